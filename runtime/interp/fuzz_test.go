package interp_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
)

// FuzzLoad proves that no bytes make the engine panic or take absurd amounts of
// memory: what loads is run with zeros. Models that loop are not run, for they may
// rightly take for ever.
func FuzzLoad(f *testing.F) {
	interp.LimitTensors(f, 1<<16)
	for _, m := range seeds() {
		f.Add(marshal(f, m))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := interp.New().Load(raw)
		if err != nil {
			refuseInternal(t, err)
			return
		}
		var m onnxpb.ModelProto
		if err := proto.Unmarshal(raw, &m); err != nil || loops(&m) {
			return
		}
		inputs, ok := zeroInputs(m.GetGraph())
		if !ok {
			return
		}
		outputs, err := s.Run(inputs)
		if err != nil {
			refuseInternal(t, err)
			return
		}
		for _, info := range m.GetGraph().GetOutput() {
			if outputs[info.GetName()].IsZero() {
				t.Errorf("output %q is missing", info.GetName())
			}
		}
	})
}

// loops reports whether a model has a loop anywhere.
func loops(m *onnxpb.ModelProto) bool {
	text := m.String()
	for i := range len(text) - 4 {
		if text[i:i+4] == "Loop" || text[i:i+4] == "Scan" {
			return true
		}
	}
	return false
}

// zeroInputs makes inputs of small shapes; it gives up on large ones.
func zeroInputs(g *onnxpb.GraphProto) (map[string]engine.Tensor, bool) {
	inputs := map[string]engine.Tensor{}
	for _, info := range g.GetInput() {
		var shape []int
		tensor := info.GetType().GetTensorType()
		for _, d := range tensor.GetShape().GetDim() {
			size := 2
			if _, fixed := d.GetValue().(*onnxpb.TensorShapeProto_Dimension_DimValue); fixed {
				size = int(d.GetDimValue())
			}
			shape = append(shape, size)
		}
		if n, err := engine.Count(shape); err != nil || n > 1<<12 || len(shape) > 8 {
			return nil, false
		}
		x, err := engine.Zeros(ops.DType(tensor.GetElemType()), shape)
		if err != nil {
			return nil, false
		}
		inputs[info.GetName()] = x
	}
	return inputs, true
}

// seeds are models of all parts: functions, subgraphs, shapes that come from data.
func seeds() []*onnxpb.ModelProto {
	list := []*onnxpb.ModelProto{pair()}
	function := newModel(17, call("Leaky", names("x"), names("y"), float("slope", 0.5)))
	function.Functions = []*onnxpb.FunctionProto{leaky()}
	list = append(list, function)
	shape := func(list ...int64) *onnxpb.NodeProto {
		return node("Constant", nil, names("s"), integers("value_ints", list...))
	}
	for _, nodes := range [][]*onnxpb.NodeProto{
		{shape(3, 2), node("Expand", names("x", "s"), names("y"))},
		{shape(2), node("Tile", names("x", "s"), names("y"))},
		{shape(1, 1), node("Pad", names("x", "s"), names("y"), text("mode", "reflect"))},
		{shape(1, 1, 2), node("Reshape", names("x", "s"), names("z")), node("MaxPool", names("z"), names("y"), integers("kernel_shape", 2), integers("pads", 1, 1), integer("ceil_mode", 1))},
		{shape(1, 1, 2), node("Reshape", names("x", "s"), names("z")), node("Conv", names("z", "z"), names("y"), integers("pads", 1, 1), integers("strides", 2))},
		{shape(1, 1, 2), node("Reshape", names("x", "s"), names("z")), node("ConvTranspose", names("z", "z"), names("y"), integers("output_shape", 5))},
		{shape(0), node("Slice", names("x", "s", "s", "s", "s"), names("y"))},
		{shape(0), node("Gather", names("x", "s"), names("y")), node("ScatterElements", names("x", "s", "y"), names("w"), text("reduction", "add"))},
		{shape(1), node("TopK", names("x", "s"), names("y", "i")), node("OneHot", names("i", "s", "x"), names("o"))},
		{shape(1, 2), node("Reshape", names("x", "s"), names("z")), node("Gemm", names("z", "z"), names("y"), integer("transB", 1)), node("Einsum", names("z", "z"), names("e"), text("equation", "ij,kj->ik"))},
		{shape(1), node("ConstantOfShape", names("s"), names("c")), node("Range", names("c", "c", "c"), names("y"))},
		{shape(1, 2), node("Reshape", names("x", "s"), names("z")), node("ArgMax", names("z"), names("l"), integer("keepdims", 0)), node("Softmax", names("z"), names("y")), node("LayerNormalization", names("z", "x", "x"), names("n", "m"))},
		{shape(2), node("Resize", names("x", "", "", "s"), names("y"), text("mode", "cubic"))},
		{shape(0), node("ReduceSum", names("x", "s"), names("y")), node("Split", names("x"), names("p", "q")), node("Trilu", names("y"), names("t"))},
	} {
		list = append(list, newModel(17, nodes...))
	}
	return list
}

// refuseInternal fails where an error is the last line of defence speaking: the
// check that should have come first is missing.
func refuseInternal(t *testing.T, err error) {
	t.Helper()
	if internal.MatchString(err.Error()) {
		t.Error(err)
	}
}
