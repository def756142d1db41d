package export_test

import (
	"math"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

func sequenceOf(name string, dtype ops.DType) *onnxpb.ValueInfoProto {
	return &onnxpb.ValueInfoProto{Name: &name, Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_SequenceType{
		SequenceType: &onnxpb.TypeProto_Sequence{ElemType: ops.ValueInfo("", dtype, nil).Type},
	}}}
}

func nastyTypes(t testing.TB) []nasty {
	scale := func(name string) *onnxpb.TensorProto { return engine.ToProto(name, engine.Scalar(float32(0.05))) }
	zero := func(name string) *onnxpb.TensorProto { return engine.ToProto(name, engine.Scalar(uint8(128))) }
	return []nasty{
		{name: "quantized, with annotations", change: func(m *onnxpb.ModelProto) {
			m.Graph.Initializer = append(m.Graph.Initializer, scale("s"), zero("z"))
			m.Graph.Node = append(m.Graph.Node[:1], nodeOf("QuantizeLinear", "h s z -> q"), nodeOf("DequantizeLinear", "q s z -> y"))
			m.Graph.Output = append(m.Graph.Output, shaped(t, "q uint8 N,3"))
			m.Graph.QuantizationAnnotation = []*onnxpb.TensorAnnotation{{TensorName: proto.String("h"), QuantParameterTensorNames: []*onnxpb.StringStringEntryProto{
				{Key: proto.String("SCALE_TENSOR"), Value: proto.String("s")}, {Key: proto.String("ZERO_POINT_TENSOR"), Value: proto.String("z")},
			}}}
		}, refused: noQuantized},
		{name: "a quantized convolution with an output of uint8", change: func(m *onnxpb.ModelProto) {
			m.Graph.Input = append(m.Graph.Input, shaped(t, "image uint8 1,1,4,4"))
			m.Graph.Initializer = append(m.Graph.Initializer, scale("s"), zero("z"), engine.ToProto("k", engine.Must([]int{1, 1, 2, 2}, []uint8{1, 200, 3, 130})))
			m.Graph.Node = append(m.Graph.Node, nodeOf("QLinearConv", "image s z k s z s z -> q"))
			m.Graph.Output = append([]*onnxpb.ValueInfoProto{shaped(t, "q uint8 1,1,3,3")}, m.Graph.Output...)
		}, inputs: map[string]engine.Tensor{"image": engine.Must([]int{1, 1, 4, 4}, []uint8{0, 255, 3, 7, 100, 200, 128, 127, 1, 2, 3, 4, 5, 6, 7, 250})}, refused: noQuantized},
		{name: "a convolution between QuantizeLinear and DequantizeLinear", change: func(m *onnxpb.ModelProto) {
			m.Graph.Input = []*onnxpb.ValueInfoProto{shaped(t, "x float32 1,1,4,4")}
			m.Graph.Initializer = []*onnxpb.TensorProto{scale("s"), zero("z"), engine.ToProto("k", engine.Must([]int{1, 1, 2, 2}, []uint8{1, 200, 3, 130}))}
			m.Graph.Node = []*onnxpb.NodeProto{
				nodeOf("QuantizeLinear", "x s z -> xq"), nodeOf("DequantizeLinear", "xq s z -> xd"), nodeOf("DequantizeLinear", "k s z -> kd"),
				nodeOf("Conv", "xd kd -> c"), nodeOf("QuantizeLinear", "c s z -> cq"), nodeOf("DequantizeLinear", "cq s z -> y"),
			}
			m.Graph.Output = []*onnxpb.ValueInfoProto{shaped(t, "y float32 1,1,3,3")}
		}, inputs: map[string]engine.Tensor{"x": engine.Must([]int{1, 1, 4, 4}, []float32{0, 1, -1, 2, -2, .5, .25, 3, 1, 1, 1, 1, -3, 2, 0, .1})}, refused: noQuantized},
		{name: "a sequence as an output", change: func(m *onnxpb.ModelProto) {
			m.Graph.Node = append(m.Graph.Node, nodeOf("SequenceConstruct", "y h -> s"))
			m.Graph.Output = append(m.Graph.Output, sequenceOf("s", ops.Float32))
		}, refused: noContainers},
		{name: "a sequence inside", change: func(m *onnxpb.ModelProto) {
			m.Graph.Node[1] = nodeOf("SequenceConstruct", "x h -> s")
			m.Graph.Node = append(m.Graph.Node, nodeOf("ConcatFromSequence", "s -> y", ops.IntAttribute("axis", 0)))
			m.Graph.ValueInfo = append(m.Graph.ValueInfo, sequenceOf("s", ops.Float32))
			m.Graph.Output = []*onnxpb.ValueInfoProto{shaped(t, "y float32 M,3")}
		}, refused: map[string]string{"interp": noContainers["interp"]}},
		{name: "an optional as an output", change: func(m *onnxpb.ModelProto) {
			m.Graph.Node = append(m.Graph.Node, nodeOf("Optional", "y -> o"))
			m.Graph.Output = append(m.Graph.Output, &onnxpb.ValueInfoProto{Name: proto.String("o"), Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_OptionalType{
				OptionalType: &onnxpb.TypeProto_Optional{ElemType: ops.ValueInfo("", ops.Float32, nil).Type},
			}}})
		}, refused: noContainers},
		{name: "maps as an output", change: func(m *onnxpb.ModelProto) {
			m.OpsetImport = append(m.OpsetImport, imports("ai.onnx.ml", 1)...)
			zip := nodeOf("ZipMap", "y -> classes", &onnxpb.AttributeProto{Name: proto.String("classlabels_int64s"), Type: onnxpb.AttributeProto_INTS.Enum(), Ints: []int64{4, 5, 6}})
			zip.Domain = proto.String("ai.onnx.ml")
			m.Graph.Node = append(m.Graph.Node, zip)
			m.Graph.Output = append(m.Graph.Output, &onnxpb.ValueInfoProto{Name: proto.String("classes"), Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_SequenceType{
				SequenceType: &onnxpb.TypeProto_Sequence{ElemType: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_MapType{
					MapType: &onnxpb.TypeProto_Map{KeyType: proto.Int32(int32(ops.Int64)), ValueType: ops.ValueInfo("", ops.Float32, nil).Type},
				}}},
			}}})
		}, refused: map[string]string{"interp": `domain "ai.onnx.ml" has no such operator`, "ort:cpu": "only tensors go in and out of a model"}},
		{name: "strings in and out", change: func(m *onnxpb.ModelProto) {
			m.Graph.Input = append(m.Graph.Input, shaped(t, "text string 2"))
			m.Graph.Initializer = append(m.Graph.Initializer, engine.ToProto("more", engine.Must([]int{1}, []string{"a\x00b"})))
			m.Graph.Node = append(m.Graph.Node, nodeOf("Concat", "text more -> texts", ops.IntAttribute("axis", 0)))
			m.Graph.Output = append([]*onnxpb.ValueInfoProto{shaped(t, "texts string 3")}, m.Graph.Output...)
		}, inputs: map[string]engine.Tensor{"text": engine.Must([]int{2}, []string{"", "é"})}},
		{name: "a mask and labels as outputs", change: func(m *onnxpb.ModelProto) {
			m.Graph.Node = append(m.Graph.Node, nodeOf("ArgMax", "y -> labels"), nodeOf("Less", "x w -> mask"))
			m.Graph.Output = append([]*onnxpb.ValueInfoProto{shaped(t, "labels int64 1,3"), shaped(t, "mask bool N,3")}, m.Graph.Output...)
		}},
		{name: "a prediction of float64", change: func(m *onnxpb.ModelProto) {
			m.Graph.Node = append(m.Graph.Node, nodeOf("Cast", "y -> wide", ops.IntAttribute("to", int64(ops.Float64))))
			m.Graph.Output = append(m.Graph.Output, shaped(t, "wide float64 N,3"))
		}, bind: "wide"},
		{name: "NaN and infinity", change: func(*onnxpb.ModelProto) {}, inputs: map[string]engine.Tensor{
			"x": engine.Must([]int{1, 3}, []float32{float32(math.NaN()), float32(math.Inf(1)), math.Float32frombits(0xffc00123)}),
		}},
	}
}

func nastyShapes(t testing.TB) []nasty {
	output := func(text string) func(m *onnxpb.ModelProto) {
		return func(m *onnxpb.ModelProto) { m.Graph.Output[0] = shaped(t, text) }
	}
	size := func(n int64) func(m *onnxpb.ModelProto) {
		return func(m *onnxpb.ModelProto) {
			for _, info := range []*onnxpb.ValueInfoProto{m.Graph.Input[0], m.Graph.Output[0]} {
				info.Type.GetTensorType().Shape.Dim[0].Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: n}
			}
		}
	}
	return []nasty{
		{name: "a size without a name", change: output("y float32 ?,3")},
		{name: "a rank that is not known", change: output("y float32 ...")},
		{name: "sizes of other names in the output", change: output("y float32 batch,classes")},
		{name: "a size that is an expression", change: func(m *onnxpb.ModelProto) {
			m.Graph.Output[0] = ops.ValueInfo("y", ops.Float32, ops.Shape{ops.Symbolic("2*(N + 1) // 2"), ops.Fixed(3)})
		}},
		{name: "a size whose name is empty", change: func(m *onnxpb.ModelProto) {
			m.Graph.Output[0].Type.GetTensorType().Shape.Dim[0].Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: ""}
		}},
		{name: "a size of 0", change: size(0), inputs: map[string]engine.Tensor{"x": engine.Must([]int{0, 3}, []float32{})}},
		{name: "a size of -1", change: size(-1)},
		{name: "a scalar", change: func(m *onnxpb.ModelProto) {
			m.Graph.Node = append(m.Graph.Node, nodeOf("ReduceSum", "y -> total", ops.IntAttribute("keepdims", 0)))
			m.Graph.Output = append(m.Graph.Output, shaped(t, "total float32"))
		}, bind: "total"},
		{name: "an output without a type", change: func(m *onnxpb.ModelProto) {
			m.Graph.Output = append(m.Graph.Output, &onnxpb.ValueInfoProto{Name: proto.String("h")})
		}},
		{name: "inputs that nothing reads", change: func(m *onnxpb.ModelProto) {
			m.Graph.Input = append([]*onnxpb.ValueInfoProto{shaped(t, "unused float32 N,3")}, m.Graph.Input...)
		}, inputs: map[string]engine.Tensor{"unused": engine.Must([]int{2, 3}, make([]float32, 6))}},
		{name: "an output that is an input", change: func(m *onnxpb.ModelProto) { m.Graph.Output = append(m.Graph.Output, shaped(t, "x float32 N,3")) }},
		{name: "an input as the prediction", change: func(m *onnxpb.ModelProto) { m.Graph.Output = append(m.Graph.Output, shaped(t, "x float32 N,3")) }, bind: "x"},
		{name: "an output that is a weight", change: func(m *onnxpb.ModelProto) { m.Graph.Output = append(m.Graph.Output, shaped(t, "w float32 3")) }},
		{name: "a weight as the prediction", change: func(m *onnxpb.ModelProto) { m.Graph.Output = append(m.Graph.Output, shaped(t, "w float32 3")) }, bind: "w"},
		{name: "an output that is listed twice", change: func(m *onnxpb.ModelProto) { m.Graph.Output = append(m.Graph.Output, m.Graph.Output[0]) }},
		{name: "no nodes at all", change: func(m *onnxpb.ModelProto) {
			m.Graph.Node, m.Graph.Output = nil, []*onnxpb.ValueInfoProto{shaped(t, "x float32 N,3")}
		}, bind: "x"},
		{name: "nothing but a constant", change: func(m *onnxpb.ModelProto) {
			m.Graph.Input, m.Graph.Node = nil, []*onnxpb.NodeProto{nodeOf("Neg", "w -> y")}
			m.Graph.Output[0] = shaped(t, "y float32 3")
		}, inputs: map[string]engine.Tensor{"x": {}}},
		{name: "results that are left out", change: func(m *onnxpb.ModelProto) {
			m.Graph.Node = append(m.Graph.Node, &onnxpb.NodeProto{OpType: proto.String("LayerNormalization"), Input: []string{"y", "w"}, Output: []string{"normal", "", "spread"}})
			m.Graph.Output = append(m.Graph.Output, shaped(t, "spread float32 N,1"))
		}},
		{name: "operands that are left out", change: func(m *onnxpb.ModelProto) {
			m.Graph.Node[1] = nodeOf("Clip", "h _ top -> y")
			m.Graph.Initializer = append(m.Graph.Initializer, engine.ToProto("top", engine.Scalar(float32(1))))
		}},
	}
}

func nastyWeights(t testing.TB) []nasty {
	weights := func(w *onnxpb.TensorProto) func(m *onnxpb.ModelProto) {
		return func(m *onnxpb.ModelProto) {
			w.Name = proto.String("w")
			m.Graph.Initializer[0] = w
		}
	}
	float := proto.Int32(int32(ops.Float32))
	return []nasty{
		{name: "weights as numbers", change: weights(&onnxpb.TensorProto{Dims: []int64{3}, DataType: float, FloatData: []float32{0.5, -2, 3}})},
		{name: "weights of which nothing reads any", change: func(m *onnxpb.ModelProto) { m.Graph.Initializer = append(m.Graph.Initializer, numbers("idle", 1, 2)) }},
		{name: "long weights", change: func(m *onnxpb.ModelProto) {
			m.Graph.Initializer = append(m.Graph.Initializer, numbers("long", make([]float32, 5000)...))
			m.Graph.Node = append(m.Graph.Node, nodeOf("ReduceMax", "long -> most"), nodeOf("Add", "y most -> z"))
			m.Graph.Output = append(m.Graph.Output, shaped(t, "z float32 N,3"))
		}, bind: "z"},
		{name: "a constant node with long numbers", change: func(m *onnxpb.ModelProto) {
			m.Graph.Node = append(m.Graph.Node,
				nodeOf("Constant", "-> long", &onnxpb.AttributeProto{Name: proto.String("value"), Type: onnxpb.AttributeProto_TENSOR.Enum(), T: numbers("", make([]float32, 5000)...)}),
				nodeOf("ReduceMax", "long -> most"), nodeOf("Add", "y most -> z"))
			m.Graph.Output = append(m.Graph.Output, shaped(t, "z float32 N,3"))
		}, bind: "z"},
		{name: "sparse weights", change: func(m *onnxpb.ModelProto) {
			m.IrVersion = proto.Int64(10)
			m.Graph.Initializer = nil
			m.Graph.SparseInitializer = []*onnxpb.SparseTensorProto{{Values: numbers("w", 2), Indices: engine.ToProto("", engine.Must([]int{1}, []int64{1})), Dims: []int64{3}}}
		}, refused: map[string]string{"interp": "sparse initializers"}},
		{name: "weights of float16", change: func(m *onnxpb.ModelProto) {
			m.Graph.Initializer[0] = engine.ToProto("half", engine.Must([]int{3}, []engine.Float16{0x3800, 0xc000, 0x4200}))
			m.Graph.Node = append([]*onnxpb.NodeProto{nodeOf("Cast", "half -> w", ops.IntAttribute("to", int64(ops.Float32)))}, m.Graph.Node...)
		}},
		{name: "weights of int4", change: func(m *onnxpb.ModelProto) {
			m.IrVersion, m.OpsetImport = proto.Int64(10), imports("", 21)
			m.Graph.Initializer = []*onnxpb.TensorProto{
				{Name: proto.String("q"), Dims: []int64{3}, DataType: proto.Int32(int32(onnxpb.TensorProto_INT4)), RawData: []byte{0x71, 0x0f}},
				engine.ToProto("s", engine.Scalar(float32(0.5))),
			}
			m.Graph.Node = append([]*onnxpb.NodeProto{nodeOf("DequantizeLinear", "q s -> w")}, m.Graph.Node...)
		}, refused: map[string]string{"interp": "int4"}},
		{name: "weights of an 8-bit float", change: func(m *onnxpb.ModelProto) {
			m.IrVersion, m.OpsetImport = proto.Int64(9), imports("", 19)
			m.Graph.Initializer = []*onnxpb.TensorProto{
				{Name: proto.String("q"), Dims: []int64{3}, DataType: proto.Int32(int32(onnxpb.TensorProto_FLOAT8E4M3FN)), RawData: []byte{0x38, 0xb8, 0x40}},
				engine.ToProto("s", engine.Scalar(float32(0.5))),
			}
			m.Graph.Node = append([]*onnxpb.NodeProto{nodeOf("DequantizeLinear", "q s -> w")}, m.Graph.Node...)
		}, refused: map[string]string{"interp": "float8e4m3fn"}},
	}
}

// nastyFiles are about what is in a file beside the graph that it computes, and how it is written.
func nastyFiles(t testing.TB) []nasty {
	entry := func(key, value string) []*onnxpb.StringStringEntryProto {
		return []*onnxpb.StringStringEntryProto{{Key: &key, Value: &value}}
	}
	return []nasty{
		{name: "doc strings and types of tensors inside", change: func(m *onnxpb.ModelProto) {
			m.DocString, m.Graph.DocString, m.Graph.Node[0].DocString = proto.String("model"), proto.String(""), proto.String("node")
			m.Graph.Input[0].DocString, m.Graph.Initializer[0].DocString = proto.String("input"), proto.String("weight")
			m.Graph.ValueInfo = []*onnxpb.ValueInfoProto{shaped(t, "h float32 N,3"), shaped(t, "h float32 N,3"), shaped(t, "y float32 N,3")}
			m.Domain, m.ModelVersion, m.ProducerVersion = proto.String("org.example"), proto.Int64(-3), proto.String("")
			m.Graph.Input[0].Type.Denotation = proto.String("IMAGE")
			m.Graph.Input[0].Type.GetTensorType().Shape.Dim[0].Denotation = proto.String("DATA_BATCH")
		}},
		{name: "metadata", change: func(m *onnxpb.ModelProto) {
			m.MetadataProps = append(entry("author", "x"), entry("author", "a second time")...)
			m.MetadataProps = append(m.MetadataProps, entry("onnxloss.note", "somebody's own")...)
		}},
		{name: "metadata everywhere", change: func(m *onnxpb.ModelProto) {
			m.IrVersion = proto.Int64(10)
			m.Graph.MetadataProps, m.Graph.Node[0].MetadataProps = entry("a", "b"), entry("namespace", "layer.1")
			m.Graph.Input[0].MetadataProps, m.Graph.Initializer[0].MetadataProps = entry("c", "d"), entry("e", "f")
		}},
		{name: "training information", change: func(m *onnxpb.ModelProto) {
			m.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 20, protowire.BytesType), nil))
		}},
		{name: "device configurations", change: func(m *onnxpb.ModelProto) {
			m.IrVersion = proto.Int64(11)
			configuration := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "two devices")
			configuration = protowire.AppendVarint(protowire.AppendTag(configuration, 2, protowire.VarintType), 2)
			m.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 26, protowire.BytesType), configuration))
			use := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "two devices")
			m.Graph.Node[0].ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 10, protowire.BytesType), use))
		}},
		{name: "fields from the future", change: func(m *onnxpb.ModelProto) {
			for _, message := range []proto.Message{m, m.Graph, m.Graph.Node[0], m.Graph.Input[0], m.Graph.Output[0], m.Graph.Initializer[0], m.OpsetImport[0], m.Graph.Output[0].Type} {
				message.ProtoReflect().SetUnknown(unknownField(1234))
			}
		}},
		{name: "fields in another order", change: func(*onnxpb.ModelProto) {}, rewrite: reversed},
		{name: "a graph without a name", change: func(m *onnxpb.ModelProto) { m.Graph.Name = nil }},
		{name: "no producer", change: func(m *onnxpb.ModelProto) { m.ProducerName = nil }},
	}
}

// reversed writes the fields of the model and of its graph from the last to the first, those
// of one kind in their order.
func reversed(file []byte) []byte {
	model, graph, err := fieldsOf(file)
	if err != nil {
		panic(err)
	}
	var inner []byte
	for _, f := range byNumber(graph) {
		inner = append(inner, f.bytes...)
	}
	var outer []byte
	for _, f := range byNumber(model) {
		outer = append(outer, f.bytes...)
	}
	half := len(byNumber(model)[0].bytes)
	start := append([]byte{}, outer[:half]...)
	start = protowire.AppendBytes(protowire.AppendTag(start, 7, protowire.BytesType), inner)
	return append(start, outer[half:]...)
}

func byNumber(fields []wireField) []wireField {
	var sorted []wireField
	for number := protowire.Number(30); number > 0; number-- {
		for _, f := range fields {
			if f.number == number {
				sorted = append(sorted, f)
			}
		}
	}
	return sorted
}
