//go:build cgo

package ort_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/ort"
)

func TestEveryTypeRoundTrips(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	tests := []engine.Tensor{
		engine.Must([]int{2, 3}, []float32{0, -1.5, math.MaxFloat32, math.SmallestNonzeroFloat32, float32(inf), float32(nan)}),
		engine.Must([]int{2, 3}, []float64{0, -1.5, math.MaxFloat64, math.SmallestNonzeroFloat64, -inf, nan}),
		engine.Must([]int{2, 3}, []engine.Float16{0, 0x3c00, 0x7bff, 0x8001, 0xfc00, 0x7e00}),
		engine.Must([]int{2, 3}, []engine.BFloat16{0, 0x3f80, 0x7f7f, 0x8001, 0xff80, 0x7fc0}),
		engine.Must([]int{4}, []int8{0, 1, -128, 127}),
		engine.Must([]int{4}, []int16{0, 1, -32768, 32767}),
		engine.Must([]int{4}, []int32{0, 1, math.MinInt32, math.MaxInt32}),
		engine.Must([]int{4}, []int64{0, 1, math.MinInt64, math.MaxInt64}),
		engine.Must([]int{3}, []uint8{0, 1, 255}),
		engine.Must([]int{3}, []uint16{0, 1, 65535}),
		engine.Must([]int{3}, []uint32{0, 1, math.MaxUint32}),
		engine.Must([]int{3}, []uint64{0, 1, math.MaxUint64}),
		engine.Must([]int{3, 1}, []bool{true, false, true}),
		engine.Must([]int{2, 2}, []string{"", "one", "zwei\x00drei", "четыре"}),
		engine.Must([]int{2}, []string{"", ""}),
	}
	for _, full := range tests {
		t.Run(full.DType().String(), func(t *testing.T) {
			session := load(t, identity(t, full.DType()))
			for _, want := range []engine.Tensor{full, zeros(t, full.DType(), nil), zeros(t, full.DType(), []int{0}), zeros(t, full.DType(), []int{2, 0, 3})} {
				outputs, err := session.Run(map[string]engine.Tensor{"x": want})
				if err != nil {
					t.Fatalf("%s: %v", want, err)
				}
				mustPass(t, outputs["y"], want)
			}
		})
	}
}

func zeros(t *testing.T, dtype ops.DType, shape []int) engine.Tensor {
	t.Helper()
	tensor, err := engine.Zeros(dtype, shape)
	if err != nil {
		t.Fatal(err)
	}
	return tensor
}

func TestInputsAreNotChangedAndOutputsAreNew(t *testing.T) {
	x := engine.Must([]int{2}, []float32{1, 2})
	outputs, err := load(t, identity(t, ops.Float32)).Run(map[string]engine.Tensor{"x": x})
	if err != nil {
		t.Fatal(err)
	}
	engine.Data[float32](outputs["y"])[0] = 7
	mustPass(t, x, engine.Must([]int{2}, []float32{1, 2}))
}

func TestCastToHalfTypesRoundsToEven(t *testing.T) {
	numbers := []float32{0, 1, 1 + 0x1p-8, 1 + 0x3p-8, 1 + 0x1p-11, -0x1p-133, 65504, 1e30, float32(math.Inf(-1))}
	for _, dtype := range []ops.DType{ops.Float16, ops.BFloat16} {
		cast := model(t, 13,
			[]*onnxpb.ValueInfoProto{value("x", ops.Float32, "N")}, []*onnxpb.ValueInfoProto{value("y", dtype, "N")},
			node("Cast", []string{"x"}, []string{"y"}, castTo(dtype)))
		x := engine.Must([]int{len(numbers)}, numbers)
		outputs, err := load(t, cast).Run(map[string]engine.Tensor{"x": x})
		if err != nil {
			t.Fatal(err)
		}
		want, err := engine.FromFloat64s(dtype, x.Shape(), x.Float64s())
		if err != nil {
			t.Fatal(err)
		}
		mustPass(t, outputs["y"], want)
	}
}

func TestModelWithoutInputs(t *testing.T) {
	want := engine.Scalar[int64](42)
	constant := model(t, 13, nil, []*onnxpb.ValueInfoProto{value("y", ops.Int64)},
		node("Constant", nil, []string{"y"}, &onnxpb.AttributeProto{
			Name: proto.String("value"), Type: onnxpb.AttributeProto_TENSOR.Enum(), T: engine.ToProto("", want),
		}))
	session := load(t, constant)
	outputs, err := session.Run(nil)
	if err != nil {
		t.Fatal(err)
	}
	mustPass(t, outputs["y"], want)
	_, err = session.Run(map[string]engine.Tensor{"x": want})
	mustSay(t, err, `ort: run: the model has no input "x"; it has none`)
}

func addModel(t testing.TB) []byte {
	return model(t, 13,
		[]*onnxpb.ValueInfoProto{value("a", ops.Float32, "N", 3), value("b", ops.Float32, "N", 3)},
		[]*onnxpb.ValueInfoProto{value("sum", ops.Float32, "N", 3)},
		node("Add", []string{"a", "b"}, []string{"sum"}))
}

func TestInputsThatDoNotFit(t *testing.T) {
	row := engine.Must([]int{1, 3}, []float32{1, 2, 3})
	tests := []struct {
		name   string
		inputs map[string]engine.Tensor
		words  []string
	}{
		{"missing", map[string]engine.Tensor{"a": row}, []string{`input "b" (float32[N,3]) is missing`}},
		{"unknown", map[string]engine.Tensor{"a": row, "b": row, "c": row}, []string{`no input "c"`, `it has "a" (float32[N,3]), "b" (float32[N,3])`}},
		{"zero tensor", map[string]engine.Tensor{"a": row, "b": {}}, []string{`input "b" (float32[N,3]) got a tensor undefined[]`}},
		{"other type", map[string]engine.Tensor{"a": row, "b": engine.Must([]int{1, 3}, []float64{1, 2, 3})}, []string{`input "b" (float32[N,3]) got a tensor float64[1,3]; convert it to float32`}},
		{"other size", map[string]engine.Tensor{"a": row, "b": engine.Must([]int{1, 2}, []float32{1, 2})}, []string{"b", "Got: 2 Expected: 3"}},
		{"other rank", map[string]engine.Tensor{"a": row, "b": engine.Must([]int{3}, []float32{1, 2, 3})}, []string{"b", "rank", "Got: 1 Expected: 2"}},
		{"sizes that do not broadcast", map[string]engine.Tensor{"a": engine.Must([]int{2, 3}, make([]float32, 6)), "b": engine.Must([]int{4, 3}, make([]float32, 12))}, []string{`ort: run: node "the Add" (Add): `}},
	}
	session := load(t, addModel(t))
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := session.Run(test.inputs)
			mustSay(t, err, append(test.words, "ort: run: ")...)
		})
	}
	outputs, err := session.Run(map[string]engine.Tensor{"a": row, "b": row})
	if err != nil {
		t.Fatalf("after the errors: %v", err)
	}
	mustPass(t, outputs["sum"], engine.Must([]int{1, 3}, []float32{2, 4, 6}))
}

func TestCancellingEndsALoopThatDoesNotEnd(t *testing.T) {
	scalar := func(name string, dtype ops.DType) *onnxpb.ValueInfoProto {
		v := value(name, dtype)
		v.GetType().GetTensorType().Shape = &onnxpb.TensorShapeProto{}
		return v
	}
	body := &onnxpb.AttributeProto{Name: proto.String("body"), Type: onnxpb.AttributeProto_GRAPH.Enum(), G: &onnxpb.GraphProto{
		Name: proto.String("body"),
		Node: []*onnxpb.NodeProto{
			node("Identity", []string{"going"}, []string{"on"}), node("Neg", []string{"kept"}, []string{"next"}),
		},
		Input:  []*onnxpb.ValueInfoProto{scalar("i", ops.Int64), scalar("going", ops.Bool), value("kept", ops.Float32)},
		Output: []*onnxpb.ValueInfoProto{scalar("on", ops.Bool), value("next", ops.Float32)},
	}}
	data := model(t, 17,
		[]*onnxpb.ValueInfoProto{scalar("condition", ops.Bool), value("x", ops.Float32)}, []*onnxpb.ValueInfoProto{value("y", ops.Float32)},
		node("Loop", []string{"", "condition", "x"}, []string{"y"}, body))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	session, err := engine.WithContext(ctx, newEngine(t, ort.Options{})).Load(data)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	inputs := map[string]engine.Tensor{"condition": engine.Scalar(true), "x": engine.Scalar(float32(1))}
	if outputs, err := session.Run(inputs); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v and error %v, want that the time is over", outputs, err)
	}
}

func TestModelsThatDoNotLoad(t *testing.T) {
	x, y := []*onnxpb.ValueInfoProto{value("x", ops.Float32)}, []*onnxpb.ValueInfoProto{value("y", ops.Float32)}
	sequence := &onnxpb.ValueInfoProto{Name: proto.String("y"), Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_SequenceType{
		SequenceType: &onnxpb.TypeProto_Sequence{ElemType: value("", ops.Float32).Type},
	}}}
	tests := []struct {
		name        string
		model       []byte
		unsupported bool
		words       []string
	}{
		{"empty", nil, false, []string{"the model is empty"}},
		{"not a model", []byte("not a model"), false, []string{"not a valid ONNX file"}},
		{"unknown operator", model(t, 13, x, y, node("Frobnicate", []string{"x"}, []string{"y"})), true, []string{"Frobnicate"}},
		{"type without a kernel", model(t, 22,
			[]*onnxpb.ValueInfoProto{value("x", ops.BFloat16)}, []*onnxpb.ValueInfoProto{value("y", ops.BFloat16)},
			node("Sin", []string{"x"}, []string{"y"})), true, []string{"Sin"}},
		{"type that the operator does not have", model(t, 13,
			[]*onnxpb.ValueInfoProto{value("x", ops.Int64)}, []*onnxpb.ValueInfoProto{value("y", ops.Int64)},
			node("Sin", []string{"x"}, []string{"y"})), false, []string{"invalid model", "Sin"}},
		{"opset of the future", model(t, 999, x, y, node("Identity", []string{"x"}, []string{"y"})), true, []string{"opset"}},
		{"unconnected input", model(t, 13, x, y, node("Neg", []string{"z"}, []string{"y"})), false, []string{"z"}},
		{"float8 output", model(t, 19, x, []*onnxpb.ValueInfoProto{value("y", ops.DType(onnxpb.TensorProto_FLOAT8E4M3FN))},
			node("Cast", []string{"x"}, []string{"y"}, castTo(ops.DType(onnxpb.TensorProto_FLOAT8E4M3FN)))), true, []string{`"y"`, "float8e4m3fn"}},
		{"sequence", model(t, 13, x, []*onnxpb.ValueInfoProto{sequence},
			node("SequenceConstruct", []string{"x"}, []string{"y"})), true, []string{`"y"`, "only tensors"}},
	}
	e := newEngine(t, ort.Options{})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			session, err := e.Load(test.model)
			if err == nil {
				t.Fatal(session.Close(), "want an error")
			}
			mustSay(t, err, append(test.words, "ort: load: ")...)
			if errors.Is(err, engine.ErrUnsupported) != test.unsupported {
				t.Errorf("wraps ErrUnsupported: %t, want %t: %v", !test.unsupported, test.unsupported, err)
			}
		})
	}
}

func TestClosedSessionRefusesToRun(t *testing.T) {
	session, err := newEngine(t, ort.Options{}).Load(identity(t, ops.Float32))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := session.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, err = session.Run(map[string]engine.Tensor{"x": engine.Scalar[float32](1)})
	mustSay(t, err, "ort: run: the session is closed")
}

func TestSessionsRunAtTheSameTime(t *testing.T) {
	sessions := []engine.Session{load(t, addModel(t)), load(t, addModel(t))}
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 50 {
				a := engine.Must([]int{1, 3}, []float32{float32(worker), float32(i), 1})
				outputs, err := sessions[worker%2].Run(map[string]engine.Tensor{"a": a, "b": a})
				if err != nil {
					t.Error(err)
					return
				}
				mustPass(t, outputs["sum"], engine.Must([]int{1, 3}, []float32{2 * float32(worker), 2 * float32(i), 2}))
			}
		})
	}
	group.Wait()
}

func TestCloseWaitsForRuns(t *testing.T) {
	session, err := newEngine(t, ort.Options{}).Load(addModel(t))
	if err != nil {
		t.Fatal(err)
	}
	a := engine.Must([]int{1, 3}, []float32{1, 2, 3})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for {
				outputs, err := session.Run(map[string]engine.Tensor{"a": a, "b": a})
				if err != nil {
					mustSay(t, err, "the session is closed")
					return
				}
				mustPass(t, outputs["sum"], engine.Must([]int{1, 3}, []float32{2, 4, 6}))
			}
		})
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}
	group.Wait()
}

func TestOptionsReachTheSession(t *testing.T) {
	x := engine.Must([]int{1, 3}, []float32{1, 2, 3})
	for _, options := range []ort.Options{{}, {Threads: 1}, {Threads: 2, DisableOptimization: true}, {Provider: "cpu"}} {
		e := newEngine(t, options)
		if e.Name() != "ort:cpu" {
			t.Errorf("%+v: got name %q", options, e.Name())
		}
		session, err := e.Load(addModel(t))
		if err != nil {
			t.Fatal(err)
		}
		outputs, err := session.Run(map[string]engine.Tensor{"a": x, "b": x})
		if err := errors.Join(err, session.Close()); err != nil {
			t.Fatal(err)
		}
		mustPass(t, outputs["sum"], engine.Must([]int{1, 3}, []float32{2, 4, 6}))
	}
	_, err := ort.New(ort.Options{Threads: -1})
	mustSay(t, err, "ort: threads must be >= 0, got -1")
}

func BenchmarkIdentity(b *testing.B) {
	session := load(b, identity(b, ops.Float32))
	x := engine.Must([]int{1 << 20}, make([]float32, 1<<20))
	b.SetBytes(4 << 20)
	for b.Loop() {
		if _, err := session.Run(map[string]engine.Tensor{"x": x}); err != nil {
			b.Fatal(err)
		}
	}
}
