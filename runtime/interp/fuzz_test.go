package interp_test

import (
	"math"
	"strings"
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

// loops reports whether a model may have a loop anywhere.
func loops(m *onnxpb.ModelProto) bool {
	return strings.Contains(m.String(), "Loop") || strings.Contains(m.String(), "Scan")
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

// FuzzOperator proves the same for every operator by itself: with attributes and
// small inputs of all types and shapes, good and bad, that the bytes pick.
func FuzzOperator(f *testing.F) {
	interp.LimitTensors(f, 1<<16)
	list := interp.Operators()
	for i := range list {
		f.Add(byte(i), byte(17), byte(2), []byte{0x21, 0, 1, 2, 3, 4, 0x21, 1, 2, 0, 1, 2, 3})
		f.Add(byte(i), byte(11), byte(1), []byte{0x83, 0, 1, 1, 2, 3, 1, 0, 3, 9, 0x83, 4, 0xff, 1, 2, 3, 1, 0, 255, 254})
	}
	f.Fuzz(func(t *testing.T, operator, opset, outputs byte, raw []byte) {
		p := picker(raw)
		name := list[int(operator)%len(list)].Operator
		o, err := interp.NewOperator(name, int(opset)%27, int(outputs)%4, p.attributes(name))
		if err != nil {
			refuseInternal(t, err)
			return
		}
		var inputs []engine.Tensor
		for len(p) > 0 && len(inputs) < 6 {
			inputs = append(inputs, p.tensor())
		}
		if _, err := o.Apply(inputs); err != nil {
			refuseInternal(t, err)
		}
	})
}

// picker takes decisions from bytes, 0 when they are used up.
type picker []byte

func (p *picker) next() byte {
	if len(*p) == 0 {
		return 0
	}
	b := (*p)[0]
	*p = (*p)[1:]
	return b
}

// number is small, or now and then as large as can be.
func (p *picker) number() int64 {
	switch b := p.next(); b {
	case 200:
		return math.MaxInt64
	case 201:
		return math.MinInt64
	case 202:
		return 1 << 31
	case 203:
		return 1 << 40
	default:
		return int64(int8(b)) / 16
	}
}

func (p *picker) float() float32 {
	switch x := p.number(); x {
	case math.MaxInt64:
		return float32(math.NaN())
	case math.MinInt64:
		return float32(math.Inf(-1))
	default:
		return float32(x)
	}
}

var attributeNames = map[byte]string{
	0: "axis", 1: "axes", 2: "keepdims", 3: "kernel_shape", 4: "pads", 5: "strides", 6: "dilations", 7: "group",
	8: "output_shape", 9: "output_padding", 10: "ceil_mode", 11: "perm", 12: "starts", 13: "ends", 14: "split",
	15: "num_outputs", 16: "batch_dims", 17: "blocksize", 18: "size", 19: "to", 20: "k", 21: "num_groups",
	22: "ignore_index", 23: "transA", 24: "allowzero", 25: "select_last_index", 26: "time_axis", 27: "batch_axis",
	28: "p", 29: "upper", 30: "fmod", 31: "storage_order",
}

func (p *picker) attributes(operator string) []*onnxpb.AttributeProto {
	var list []*onnxpb.AttributeProto
	if operator == "Einsum" {
		list = append(list, text("equation", []string{"ij,jk->ik", "...i,...i", "ii->i", "i...,ij", "->", "a,b,c"}[p.next()%6]))
	}
	for range p.next() % 4 {
		name := attributeNames[p.next()%32]
		kind := p.next()
		if kind%2 == 0 {
			list = append(list, integer(name, p.number()))
			continue
		}
		values := make([]int64, kind/2%5)
		for i := range values {
			values[i] = p.number()
		}
		list = append(list, integers(name, values...))
	}
	return list
}

var fuzzedTypes = []ops.DType{
	ops.Float32, ops.Int64, ops.Float64, ops.Float16, ops.Bool, ops.Int32, ops.Uint8, ops.Int8, ops.String, ops.BFloat16, ops.Uint64,
}

// tensor has up to four axes of up to 4 elements; a missing one is possible.
func (p *picker) tensor() engine.Tensor {
	kind := p.next()
	if kind == 255 {
		return engine.Tensor{}
	}
	shape := make([]int, kind>>4%5)
	for i := range shape {
		shape[i] = int(p.next() % 5)
	}
	x, err := engine.Zeros(fuzzedTypes[int(kind&15)%len(fuzzedTypes)], shape)
	if err != nil {
		return engine.Tensor{}
	}
	for i := range engine.Data[int64](x) {
		engine.Data[int64](x)[i] = p.number()
	}
	for i := range engine.Data[float32](x) {
		engine.Data[float32](x)[i] = p.float()
	}
	for i := range engine.Data[int8](x) {
		engine.Data[int8](x)[i] = int8(p.next())
	}
	return x
}
