package export_test

import (
	"errors"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/internal/testneeds"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
	"github.com/onnxloss/onnxloss/runtime/ort"
)

// joinable are models with nodes that ONNX Runtime's optimizer joins. changes are the
// tensors of which a reader keeps it from that, so that the output is rounded
// differently.
type joinable struct {
	name    string
	in, out string
	weights []*onnxpb.TensorProto
	nodes   []*onnxpb.NodeProto
	inside  []*onnxpb.ValueInfoProto // types that do not follow
	changes []string
}

func weightsOf(t testing.TB, seed uint64, name string, positive bool, shape ...int) *onnxpb.TensorProto {
	t.Helper()
	w, err := draw(seed, ops.Float32, shape)
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range engine.Data[float32](w) {
		if positive {
			engine.Data[float32](w)[i] = x*x + 0.1
		}
	}
	return engine.ToProto(name, w)
}

func quantized(n int) []int8 {
	w := make([]int8, n)
	for i := range w {
		w[i] = int8(i * 37)
	}
	return w
}

func joinables(t testing.TB) []joinable {
	number := func(name string, x float32) *onnxpb.TensorProto { return engine.ToProto(name, engine.Scalar(x)) }
	same := ops.IntsAttribute("pads", []int64{1, 1, 1, 1})
	last := ops.IntsAttribute("axes", []int64{-1})
	kernel := weightsOf(t, 1, "w", false, 5, 3, 3, 3)
	return []joinable{
		{
			name: "convolution and batch normalization", in: "x float32 2,3,9,9", out: "y float32 2,5,9,9",
			weights: []*onnxpb.TensorProto{kernel, weightsOf(t, 2, "s", true, 5), weightsOf(t, 3, "b", false, 5), weightsOf(t, 4, "mean", false, 5), weightsOf(t, 5, "var", true, 5)},
			nodes:   []*onnxpb.NodeProto{nodeOf("Conv", "x w -> c", same), nodeOf("BatchNormalization", "c s b mean var -> n"), nodeOf("Relu", "n -> y")},
			changes: []string{"c"},
		},
		{
			name: "convolution, factor and bias", in: "x float32 2,3,9,9", out: "y float32 2,5,9,9",
			weights: []*onnxpb.TensorProto{kernel, weightsOf(t, 2, "k", false, 5, 1, 1), weightsOf(t, 3, "b", false, 5, 1, 1)},
			nodes:   []*onnxpb.NodeProto{nodeOf("Conv", "x w -> c", same), nodeOf("Mul", "c k -> m"), nodeOf("Add", "m b -> a"), nodeOf("Relu", "a -> y")},
			changes: []string{"c"},
		},
		{
			name: "a residual block", in: "x float32 2,3,9,9", out: "y float32 2,5,9,9",
			weights: []*onnxpb.TensorProto{kernel, weightsOf(t, 2, "v", false, 5, 5, 3, 3)},
			nodes:   []*onnxpb.NodeProto{nodeOf("Conv", "x w -> c", same), nodeOf("Relu", "c -> r"), nodeOf("Conv", "r v -> d", same), nodeOf("Add", "d r -> a"), nodeOf("Relu", "a -> y")},
			changes: []string{"d"},
		},
		{
			name: "GELU as single operators", in: "x float32 4,6", out: "y float32 4,7",
			weights: []*onnxpb.TensorProto{weightsOf(t, 1, "w", false, 6, 7), weightsOf(t, 2, "b", false, 7), number("root", 1.4142135), number("one", 1), number("half", 0.5)},
			nodes: []*onnxpb.NodeProto{
				nodeOf("MatMul", "x w -> p"), nodeOf("Add", "p b -> h"), nodeOf("Div", "h root -> d"), nodeOf("Erf", "d -> e"),
				nodeOf("Add", "e one -> f"), nodeOf("Mul", "h f -> g"), nodeOf("Mul", "g half -> y"),
			},
			changes: []string{"d", "e", "f", "g"},
		},
		{
			name: "layer normalization as single operators", in: "x float32 2,4,6", out: "y float32 2,4,6",
			weights: []*onnxpb.TensorProto{weightsOf(t, 1, "w", false, 6), weightsOf(t, 2, "b", false, 6), number("two", 2), number("eps", 1e-5)},
			nodes: []*onnxpb.NodeProto{
				nodeOf("ReduceMean", "x -> m", last), nodeOf("Sub", "x m -> d"), nodeOf("Pow", "d two -> p"), nodeOf("ReduceMean", "p -> v", last), nodeOf("Add", "v eps -> ve"),
				nodeOf("Sqrt", "ve -> sd"), nodeOf("Div", "d sd -> q"), nodeOf("Mul", "q w -> qw"), nodeOf("Add", "qw b -> y"),
			},
			changes: []string{"m", "d", "p", "v", "ve", "sd", "q", "qw"},
		},
		{
			name: "an embedding and its layer normalization", in: "x int64 2,4", out: "y float32 2,4,6",
			weights: []*onnxpb.TensorProto{weightsOf(t, 3, "table", false, 9, 6), weightsOf(t, 1, "w", false, 6), weightsOf(t, 2, "b", false, 6), number("two", 2), number("eps", 1e-5)},
			nodes: []*onnxpb.NodeProto{
				nodeOf("Gather", "table x -> g"), nodeOf("ReduceMean", "g -> m", last), nodeOf("Sub", "g m -> d"), nodeOf("Pow", "d two -> p"), nodeOf("ReduceMean", "p -> v", last),
				nodeOf("Add", "v eps -> ve"), nodeOf("Sqrt", "ve -> sd"), nodeOf("Div", "d sd -> q"), nodeOf("Mul", "q w -> qw"), nodeOf("Add", "qw b -> y"),
			},
			changes: []string{"m", "d", "p", "v", "ve", "sd", "q", "qw"},
		},
		{
			name: "half precision", in: "x float16 4,6", out: "y float16 4,6",
			nodes: []*onnxpb.NodeProto{nodeOf("Mul", "x x -> a"), nodeOf("Sqrt", "a -> b"), nodeOf("Add", "b a -> c"), nodeOf("Sigmoid", "c -> d"), nodeOf("Mul", "d x -> y")},
		},
		{
			name: "a quantized convolution", in: "x float32 1,3,9,9", out: "y float32 1,5,9,9",
			weights: []*onnxpb.TensorProto{
				number("s", 0.05), number("ws", 0.02), engine.ToProto("z", engine.Scalar(uint8(120))), engine.ToProto("wz", engine.Scalar(int8(0))),
				engine.ToProto("w", engine.Must([]int{5, 3, 3, 3}, quantized(135))),
			},
			nodes: []*onnxpb.NodeProto{
				nodeOf("QuantizeLinear", "x s z -> xq"), nodeOf("DequantizeLinear", "xq s z -> xd"), nodeOf("DequantizeLinear", "w ws wz -> wd"),
				nodeOf("Conv", "xd wd -> c", same), nodeOf("Relu", "c -> r"), nodeOf("QuantizeLinear", "r s z -> rq"), nodeOf("DequantizeLinear", "rq s z -> y"),
			},
			inside: []*onnxpb.ValueInfoProto{shaped(t, "xd float32 1,3,9,9"), shaped(t, "c float32 1,5,9,9"), shaped(t, "r float32 1,5,9,9")},
		},
		{
			name: "a convolution and its sigmoid", in: "x float32 2,3,9,9", out: "y float32 2,5,9,9",
			weights: []*onnxpb.TensorProto{kernel, weightsOf(t, 2, "b", false, 5)},
			nodes:   []*onnxpb.NodeProto{nodeOf("Conv", "x w b -> c", same), nodeOf("Sigmoid", "c -> y")},
		},
		{
			name: "a wide convolution and its sigmoid", in: "x float32 1,16,9,9", out: "y float32 1,16,9,9",
			weights: []*onnxpb.TensorProto{weightsOf(t, 1, "w", false, 16, 16, 3, 3), weightsOf(t, 2, "b", false, 16)},
			nodes:   []*onnxpb.NodeProto{nodeOf("Conv", "x w b -> c", same), nodeOf("Sigmoid", "c -> y")},
		},
		{
			name: "a convolution and its softmax", in: "x float32 2,3,9,9", out: "y float32 2,5,9,9",
			weights: []*onnxpb.TensorProto{kernel, weightsOf(t, 2, "b", false, 5)},
			nodes:   []*onnxpb.NodeProto{nodeOf("Conv", "x w b -> c", same), nodeOf("Softmax", "c -> y", ops.IntAttribute("axis", 1))},
		},
		{
			name: "a classifier", in: "x float32 4,6", out: "y float32 4,7",
			weights: []*onnxpb.TensorProto{weightsOf(t, 1, "w", false, 6, 7), weightsOf(t, 2, "b", false, 7)},
			nodes:   []*onnxpb.NodeProto{nodeOf("MatMul", "x w -> p"), nodeOf("Add", "p b -> h"), nodeOf("Softmax", "h -> y", ops.IntAttribute("axis", -1))},
		},
		{
			name: "a classifier of Gemm", in: "x float32 4,6", out: "y float32 4,7",
			weights: []*onnxpb.TensorProto{weightsOf(t, 1, "w", false, 6, 7), weightsOf(t, 2, "b", false, 7)},
			nodes:   []*onnxpb.NodeProto{nodeOf("Gemm", "x w b -> h"), nodeOf("Sigmoid", "h -> y")},
		},
		{
			name: "an Identity between convolution and batch normalization", in: "x float32 2,3,9,9", out: "y float32 2,5,9,9",
			weights: []*onnxpb.TensorProto{kernel, weightsOf(t, 2, "s", true, 5), weightsOf(t, 3, "b", false, 5), weightsOf(t, 4, "mean", false, 5), weightsOf(t, 5, "var", true, 5)},
			nodes: []*onnxpb.NodeProto{
				nodeOf("Conv", "x w -> c", same), nodeOf("Identity", "c -> i"), nodeOf("BatchNormalization", "i s b mean var -> n"), nodeOf("Relu", "n -> y"),
			},
			changes: []string{"c", "i"},
		},
		{
			name: "a dead end beside convolution and batch normalization", in: "x float32 2,3,9,9", out: "y float32 2,5,9,9",
			weights: []*onnxpb.TensorProto{kernel, weightsOf(t, 2, "s", true, 5), weightsOf(t, 3, "b", false, 5), weightsOf(t, 4, "mean", false, 5), weightsOf(t, 5, "var", true, 5)},
			nodes: []*onnxpb.NodeProto{
				nodeOf("Conv", "x w -> c", same), nodeOf("Sigmoid", "c -> d"), nodeOf("BatchNormalization", "c s b mean var -> n"), nodeOf("Relu", "n -> y"),
			},
		},
		{
			name: "a segmenter, in blocks of channels", in: "x float32 1,16,9,9", out: "y float32 1,16,9,9",
			weights: []*onnxpb.TensorProto{weightsOf(t, 1, "w", false, 16, 16, 3, 3), weightsOf(t, 2, "b", false, 16)},
			nodes:   []*onnxpb.NodeProto{nodeOf("Conv", "x w b -> h", same), nodeOf("Sigmoid", "h -> y")},
		},
		{
			name: "quick GELU as single operators", in: "x float32 4,6", out: "y float32 4,7",
			weights: []*onnxpb.TensorProto{weightsOf(t, 1, "w", false, 6, 7), number("alpha", 1.702)},
			nodes: []*onnxpb.NodeProto{
				nodeOf("MatMul", "x w -> p"), nodeOf("Mul", "p alpha -> m"), nodeOf("Sigmoid", "m -> s"), nodeOf("Mul", "p s -> y"),
			},
		},
		{
			name: "scaled scores", in: "x float32 4,6", out: "y float32 4,7",
			weights: []*onnxpb.TensorProto{weightsOf(t, 1, "w", false, 6, 7), number("t", 0.3)},
			nodes:   []*onnxpb.NodeProto{nodeOf("MatMul", "x w -> p"), nodeOf("Mul", "p t -> h"), nodeOf("Softmax", "h -> y", ops.IntAttribute("axis", -1))},
		},
		{
			name: "a dense layer", in: "x float32 4,6", out: "y float32 4,7",
			weights: []*onnxpb.TensorProto{weightsOf(t, 1, "w", false, 6, 7), weightsOf(t, 2, "b", false, 7)},
			nodes:   []*onnxpb.NodeProto{nodeOf("MatMul", "x w -> p"), nodeOf("Add", "p b -> h"), nodeOf("Relu", "h -> y")},
		},
	}
}

func (j joinable) host(t testing.TB) *host {
	t.Helper()
	file, err := proto.Marshal(&onnxpb.ModelProto{
		IrVersion: proto.Int64(8), OpsetImport: imports("", 17),
		Graph: &onnxpb.GraphProto{
			Name: proto.String("joinable"), Node: j.nodes, Initializer: j.weights, ValueInfo: j.inside,
			Input: []*onnxpb.ValueInfoProto{shaped(t, j.in)}, Output: []*onnxpb.ValueInfoProto{shaped(t, j.out)},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(j.name, file)
	in := shaped(t, j.in).GetType().GetTensorType()
	if ops.DType(in.GetElemType()) == ops.Int64 {
		h.inputs["x"] = engine.Must(sizes(ops.ShapeOf(in)), []int64{0, 1, 2, 3, 4, 5, 6, 8})
	} else if h.inputs["x"], err = draw(7, ops.DType(in.GetElemType()), sizes(ops.ShapeOf(in))); err != nil {
		t.Fatal(err)
	}
	return h
}

// What is read apart changes no bit of the model's own outputs, on any engine. What
// is read in place changes some where ONNX Runtime's optimizer is kept from joining nodes, and
// none where the optimizer is off: it is the optimizer's doing.
func TestWhatIsReadApartChangesNoBit(t *testing.T) {
	optimized := corpusEngine(t, "ort:cpu")
	plain, err := ort.New(ort.Options{DisableOptimization: true})
	if err != nil {
		testneeds.Lacking(t, testneeds.ORT, err)
	}
	for _, j := range joinables(t) {
		t.Run(j.name, func(t *testing.T) {
			h := j.host(t)
			file, layers := typed(t, h.file)
			h.file = file
			var changed []string
			for _, l := range layers {
				for _, apart := range []bool{false, true} {
					for _, form := range export.Forms() {
						o := squaredError(l.Name, form)
						o.Share = !apart
						attached, d, err := attachTo(h.file, o)
						if err != nil {
							t.Fatal(err)
						}
						for name, e := range map[string]engine.Engine{"interp": interp.New(), "as it is written": plain, "optimized": optimized} {
							err := h.runInside(e, attached, d, l.Name)
							if errors.Is(err, engine.ErrUnsupported) && len(j.inside) > 0 && name == "interp" {
								continue // it has nothing quantized
							}
							inPlace := name == "optimized" && !apart && slices.Contains(j.changes, l.Name)
							if inPlace && errors.Is(err, errBits) {
								changed = append(changed, l.Name)
							} else if err != nil {
								t.Errorf("%s, apart %t, %s, %s: %v", l.Name, apart, form, name, err)
							}
						}
					}
				}
			}
			for _, name := range j.changes {
				if !slices.Contains(changed, name) {
					t.Errorf("to read %s in place changes nothing any more", name)
				}
			}
		})
	}
}
