package interp_test

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
)

func TestMalformedModelsAreRefused(t *testing.T) {
	edited := func(edit func(*onnxpb.ModelProto)) *onnxpb.ModelProto {
		m := newModel(17, node("Neg", names("x"), names("y")))
		edit(m)
		return m
	}
	for _, c := range []struct {
		name, want string
		model      *onnxpb.ModelProto
	}{
		{"no graph", "no graph", edited(func(m *onnxpb.ModelProto) { m.Graph = nil })},
		{"no opset", "no opset of theirs is imported", edited(func(m *onnxpb.ModelProto) { m.OpsetImport = nil })},
		{"two opsets", "imported as opset 17 and as opset 18", edited(func(m *onnxpb.ModelProto) {
			m.OpsetImport = append(m.OpsetImport, &onnxpb.OperatorSetIdProto{Version: proto.Int64(18)})
		})},
		{
			"a name before it is made", `node 0 (Neg): input 0 is "z", which no earlier node makes`,
			newModel(17, node("Neg", names("z"), names("y")), node("Neg", names("x"), names("z"))),
		},
		{
			"a name made twice", `node 1 (Neg): the value "y" is made twice`,
			newModel(17, node("Neg", names("x"), names("y")), node("Neg", names("x"), names("y"))),
		},
		{"an input made anew", `the value "x" is made twice`, newModel(17, node("Neg", names("x"), names("x")))},
		{"an output nobody makes", `output "y" is made by no node`, newModel(17, node("Neg", names("x"), names("z")))},
		{"a missing input", "node 0 (Add): got 1 inputs, input 1 is missing", newModel(17, node("Add", names("x"), names("y")))},
		{"an empty required input", "node 0 (Add): input 0 is missing", newModel(17, node("Add", names("", "x"), names("y")))},
		{"too many inputs", "got 2 inputs, want at most 1", newModel(17, node("Neg", names("x", "x"), names("y")))},
		{"too many outputs", "got 2 outputs, want at most 1", newModel(17, node("Neg", names("x"), names("y", "z")))},
		{
			"a wrong kind of attribute", `attribute "alpha" is INT, want FLOAT`,
			newModel(17, node("LeakyRelu", names("x"), names("y"), integer("alpha", 1))),
		},
		{
			"a wrong value of an attribute", `attribute "approximate" is "fast", want one of`,
			newModel(20, node("Gelu", names("x"), names("y"), text("approximate", "fast"))),
		},
		{
			"an attribute given twice", `attribute "alpha" is given twice`,
			newModel(17, node("LeakyRelu", names("x"), names("y"), float("alpha", 1), float("alpha", 1))),
		},
		{"a constant without value", "want exactly one value", newModel(17, node("Constant", nil, names("y")))},
		{"an initializer with too few elements", "needs 3 elements, got 1", edited(func(m *onnxpb.ModelProto) {
			m.Graph.Initializer = []*onnxpb.TensorProto{{Name: proto.String("w"), DataType: proto.Int32(1), Dims: []int64{3}, FloatData: []float32{1}}}
		})},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := interp.New().Load(marshal(t, c.model))
			if err == nil || !strings.HasPrefix(err.Error(), "interp: ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
	if _, err := interp.New().Load([]byte("no model")); err == nil || !strings.Contains(err.Error(), "not a valid ONNX file") {
		t.Errorf("got %v for bytes that are no model", err)
	}
}

// pair is y = a + b, with sizes that must agree by name.
func pair() *onnxpb.ModelProto {
	m := newModel(17, node("Add", names("a", "b"), names("y")))
	m.Graph.Input = []*onnxpb.ValueInfoProto{value("a", ops.Float32, "N", 2), value("b", ops.Float32, "N", 2)}
	return m
}

func TestInputsAreCheckedAgainstTheModel(t *testing.T) {
	s := load(t, pair())
	matrix := func(rows, columns int) engine.Tensor {
		return engine.Must([]int{rows, columns}, make([]float32, rows*columns))
	}
	for _, c := range []struct {
		name, want string
		inputs     map[string]engine.Tensor
	}{
		{"missing", `interp: input "b" (float32[N,2]) is missing`, map[string]engine.Tensor{"a": matrix(1, 2)}},
		{
			"unknown", `the model has no input "c"; it has ["a" "b"]`,
			map[string]engine.Tensor{"a": matrix(1, 2), "b": matrix(1, 2), "c": matrix(1, 2)},
		},
		{
			"element type", `input "a" is int64[1], the model declares float32[N,2]`,
			map[string]engine.Tensor{"a": indices(1), "b": matrix(1, 2)},
		},
		{"rank", "rank 1 against 2", map[string]engine.Tensor{"a": vector(1), "b": matrix(1, 2)}},
		{
			"size", `input "a" is float32[1,3], the model declares float32[N,2]: axis 1 is 3, want 2`,
			map[string]engine.Tensor{"a": matrix(1, 3), "b": matrix(1, 2)},
		},
		{
			"sizes of one name", `input "b" is float32[4,2], the model declares float32[N,2]: axis 0 is 4, but N is 3 in input "a"`,
			map[string]engine.Tensor{"a": matrix(3, 2), "b": matrix(4, 2)},
		},
		{"no tensor", `input "a" holds no tensor`, map[string]engine.Tensor{"a": {}, "b": matrix(1, 2)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := s.Run(c.inputs)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
	got := run(t, s, map[string]engine.Tensor{"a": matrix(3, 2), "b": matrix(3, 2)})["y"]
	same(t, got, matrix(3, 2))
}

func TestInitializersListedAsInputsAreDefaults(t *testing.T) {
	m := pair()
	m.IrVersion = proto.Int64(3)
	m.Graph.Initializer = []*onnxpb.TensorProto{engine.ToProto("b", engine.Must([]int{1, 2}, []float32{10, 20}))}
	s := load(t, m)
	a := engine.Must([]int{1, 2}, []float32{1, 2})
	same(t, run(t, s, map[string]engine.Tensor{"a": a})["y"], engine.Must([]int{1, 2}, []float32{11, 22}))
	same(t, run(t, s, map[string]engine.Tensor{"a": a, "b": a})["y"], engine.Must([]int{1, 2}, []float32{2, 4}))
	same(t, run(t, s, map[string]engine.Tensor{"a": a})["y"], engine.Must([]int{1, 2}, []float32{11, 22}))
}

func TestRunsLeaveTheirInputsAlone(t *testing.T) {
	m := newModel(17, node("Relu", names("x"), names("r")), node("Add", names("r", "x"), names("y")))
	x := vector(-1, 2)
	s := load(t, m)
	for range 2 {
		same(t, run(t, s, map[string]engine.Tensor{"x": x})["y"], vector(-1, 4))
		same(t, x, vector(-1, 2))
	}
}

func TestErrorsOfARunNameTheNode(t *testing.T) {
	n := node("Gather", names("x", "at"), names("y"))
	n.Name = proto.String("lookup")
	m := newModel(17, n)
	m.Graph.Input = append(m.Graph.Input, value("at", ops.Int64, "K"))
	_, err := load(t, m).Run(map[string]engine.Tensor{"x": vector(1, 2), "at": indices(0, 7)})
	want := `interp: node "lookup" (Gather): indices[1]: index 7 is out of range [-2, 1] of axis 0 of float32[2]`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestMixedElementTypesAreRefused(t *testing.T) {
	m := newModel(17, node("Cast", names("x"), names("d"), integer("to", int64(ops.Float64))), node("Add", names("x", "d"), names("y")))
	_, err := load(t, m).Run(map[string]engine.Tensor{"x": vector(1)})
	if err == nil || !strings.Contains(err.Error(), "input 0 is float32[1] and input 1 is float64[1]; they must have one element type") {
		t.Errorf("got %v", err)
	}
}

func TestAClosedSessionDoesNotRun(t *testing.T) {
	s := load(t, newModel(17, node("Neg", names("x"), names("y"))))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(map[string]engine.Tensor{"x": vector(1)}); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestNewOperatorRefusesWhatItCannotDo(t *testing.T) {
	for _, op := range []string{"If", "Nonesuch"} {
		if _, err := interp.NewOperator(op, 17, 1, nil); !errors.Is(err, engine.ErrUnsupported) {
			t.Errorf("%s: got %v, want ErrUnsupported", op, err)
		}
	}
	o, err := interp.NewOperator("Add", 17, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Apply([]engine.Tensor{vector(1)}); err == nil || !strings.Contains(err.Error(), "interp: Add: got 1 inputs") {
		t.Errorf("got %v for too few inputs", err)
	}
}
