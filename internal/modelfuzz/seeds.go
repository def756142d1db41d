package modelfuzz

import (
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
)

// Seeds gives small sound models that between them have everything that ONNX files
// have. Each call makes them anew.
func Seeds() []*onnxpb.ModelProto {
	seeds := []*onnxpb.ModelProto{convolution(), branches(), functions(), quantized(), sparse(), elsewhere(), sequences(), old()}
	return append(seeds, attached())
}

// list makes nodes of lines like "Op in1 in2 -> out1 out2"; "_" is an operand that
// is left out, and an operator with a domain is "domain.Op".
func list(lines string) (nodes []*onnxpb.NodeProto) {
	for line := range strings.Lines(lines) {
		operands, results, _ := strings.Cut(line, "->")
		fields := strings.Fields(operands)
		if len(fields) == 0 {
			continue
		}
		for i, name := range fields {
			if name == "_" {
				fields[i] = ""
			}
		}
		n := &onnxpb.NodeProto{OpType: proto.String(fields[0]), Input: fields[1:], Output: strings.Fields(results)}
		if domain, op, ok := strings.Cut(fields[0], "."); ok {
			n.Domain, n.OpType = proto.String(domain), proto.String(op)
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// model makes one of opset 17 with the input x and the output y, both float32.
func model(shape string, nodes ...*onnxpb.NodeProto) *onnxpb.ModelProto {
	return &onnxpb.ModelProto{
		IrVersion:   proto.Int64(8),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(17)}},
		Graph: &onnxpb.GraphProto{
			Name:   proto.String("seed"),
			Node:   nodes,
			Input:  []*onnxpb.ValueInfoProto{float("x", shape)},
			Output: []*onnxpb.ValueInfoProto{float("y", "")},
		},
	}
}

// float declares a float32 tensor; its shape is open where none is given.
func float(name, shape string) *onnxpb.ValueInfoProto {
	s, err := ops.ParseShape(shape)
	if shape == "" || err != nil {
		s = nil
	}
	return ops.ValueInfo(name, ops.Float32, s)
}

// zeros is a constant of zeros, small numbers of any type.
func zeros(name string, dtype ops.DType, dims ...int64) *onnxpb.TensorProto {
	count := int64(dtype.Size())
	for _, d := range dims {
		count *= d
	}
	return &onnxpb.TensorProto{Name: proto.String(name), DataType: proto.Int32(int32(dtype)), Dims: dims, RawData: make([]byte, count)}
}

func convolution() *onnxpb.ModelProto {
	m := model("N,3,8,8", list(`
		Conv x kernel bias -> c
		Relu c -> r
		MaxPool r -> p
		Flatten p -> f
		Gemm f weight -> y`)...)
	m.Graph.Node[0].Attribute = []*onnxpb.AttributeProto{ops.IntsAttribute("pads", []int64{1, 1, 1, 1})}
	m.Graph.Node[2].Attribute = []*onnxpb.AttributeProto{ops.IntsAttribute("kernel_shape", []int64{2, 2}), ops.IntsAttribute("strides", []int64{2, 2})}
	m.Graph.Initializer = []*onnxpb.TensorProto{zeros("kernel", ops.Float32, 4, 3, 3, 3), zeros("bias", ops.Float32, 4), zeros("weight", ops.Float32, 64, 10)}
	m.Graph.ValueInfo = []*onnxpb.ValueInfoProto{float("r", "N,4,8,8"), float("f", "N,64")}
	m.Graph.Output = []*onnxpb.ValueInfoProto{float("y", "N,10")}
	m.MetadataProps = []*onnxpb.StringStringEntryProto{{Key: proto.String("author"), Value: proto.String("nobody")}}
	return m
}

func graphAttribute(name string, g *onnxpb.GraphProto) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_GRAPH.Enum(), G: g}
}

// branches has all operators that run graphs, one inside the other.
func branches() *onnxpb.ModelProto {
	m := model("N,2", list(`
		ReduceSum x -> s
		Cast s -> condition
		If condition -> chosen
		Loop trips condition chosen -> looped
		Scan looped x -> last y`)...)
	of := func(output, nodes string) *onnxpb.GraphProto {
		return &onnxpb.GraphProto{Name: proto.String(output), Node: list(nodes), Output: []*onnxpb.ValueInfoProto{float(output, "")}}
	}
	inner := of("negative", "Neg x -> negative")
	then := of("inside", "If condition -> inside")
	then.Node[0].Attribute = []*onnxpb.AttributeProto{graphAttribute("then_branch", inner), graphAttribute("else_branch", of("other", "Abs x -> other"))}
	m.Graph.Node[0].Attribute = []*onnxpb.AttributeProto{ops.IntAttribute("keepdims", 0)}
	m.Graph.Node[1].Attribute = []*onnxpb.AttributeProto{ops.IntAttribute("to", int64(ops.Bool))}
	m.Graph.Node[2].Attribute = []*onnxpb.AttributeProto{graphAttribute("then_branch", then), graphAttribute("else_branch", of("same", "Identity x -> same"))}

	body := of("next", "Identity go -> on\nAdd carried x -> next")
	body.Input = []*onnxpb.ValueInfoProto{ops.ValueInfo("i", ops.Int64, ops.Shape{}), ops.ValueInfo("go", ops.Bool, ops.Shape{}), float("carried", "")}
	body.Output = append([]*onnxpb.ValueInfoProto{ops.ValueInfo("on", ops.Bool, ops.Shape{})}, body.Output...)
	m.Graph.Node[3].Attribute = []*onnxpb.AttributeProto{graphAttribute("body", body)}

	step := of("row", "Identity state -> after\nMul one one -> row")
	step.Input = []*onnxpb.ValueInfoProto{float("state", ""), float("one", "")}
	step.Output = append([]*onnxpb.ValueInfoProto{float("after", "")}, step.Output...)
	m.Graph.Node[4].Attribute = []*onnxpb.AttributeProto{graphAttribute("body", step), ops.IntAttribute("num_scan_inputs", 1)}
	m.Graph.Initializer = []*onnxpb.TensorProto{zeros("trips", ops.Int64)}
	return m
}

// functions has functions that call functions, with attributes that are passed on.
func functions() *onnxpb.ModelProto {
	m := model("N,2", list("test.Outer x -> middle\ntest.Outer middle -> y")...)
	m.OpsetImport = append(m.OpsetImport, &onnxpb.OperatorSetIdProto{Domain: proto.String("test"), Version: proto.Int64(1)})
	function := func(name, nodes string) *onnxpb.FunctionProto {
		f := &onnxpb.FunctionProto{Name: proto.String(name), Domain: proto.String("test"), Input: []string{"a"}, Output: []string{"b"}, Node: list(nodes), OpsetImport: m.OpsetImport}
		f.AttributeProto = []*onnxpb.AttributeProto{ops.FloatAttribute("slope", 0.5)}
		for _, n := range f.Node {
			n.Attribute = []*onnxpb.AttributeProto{{Name: proto.String("slope"), Type: onnxpb.AttributeProto_FLOAT.Enum(), RefAttrName: proto.String("slope")}}
		}
		return f
	}
	inner := function("Inner", "LeakyRelu a -> b")
	inner.Node[0].Attribute[0].Name = proto.String("alpha")
	m.Functions = []*onnxpb.FunctionProto{function("Outer", "test.Middle a -> c\ntest.Middle c -> b"), function("Middle", "test.Inner a -> c\ntest.Inner c -> b"), inner}
	m.Graph.Node[1].Attribute = []*onnxpb.AttributeProto{ops.FloatAttribute("slope", 0.25)}
	m.IrVersion = proto.Int64(9)
	return m
}

func quantized() *onnxpb.ModelProto {
	m := model("N,4", list(`
		QuantizeLinear x scale zero -> q
		DequantizeLinear q scale zero -> d
		MatMul d weight -> y`)...)
	m.Graph.Initializer = []*onnxpb.TensorProto{zeros("scale", ops.Float32), zeros("zero", ops.Uint8), zeros("weight", ops.Float32, 4, 2)}
	m.Graph.QuantizationAnnotation = []*onnxpb.TensorAnnotation{{
		TensorName:                proto.String("d"),
		QuantParameterTensorNames: []*onnxpb.StringStringEntryProto{{Key: proto.String("SCALE_TENSOR"), Value: proto.String("scale")}},
	}}
	return m
}

// sparse has a sparse initializer, and constants in all the ways that there are.
func sparse() *onnxpb.ModelProto {
	m := model("N,2", list(`
		Constant -> shape
		Constant -> half
		Reshape x shape -> r
		MatMul r weight -> p
		Mul p half -> y`)...)
	constant := zeros("", ops.Int64, 2)
	constant.RawData, constant.Int64Data = nil, []int64{-1, 2}
	m.Graph.Node[0].Attribute = []*onnxpb.AttributeProto{{Name: proto.String("value"), Type: onnxpb.AttributeProto_TENSOR.Enum(), T: constant}}
	m.Graph.Node[1].Attribute = []*onnxpb.AttributeProto{ops.FloatAttribute("value_float", 0.5)}
	m.Graph.SparseInitializer = []*onnxpb.SparseTensorProto{{Values: zeros("weight", ops.Float32, 1), Indices: zeros("", ops.Int64, 1), Dims: []int64{2, 2}}}
	return m
}

// elsewhere keeps its weights in another file.
func elsewhere() *onnxpb.ModelProto {
	m := model("N,2", list("MatMul x weight -> y")...)
	entry := func(key, value string) *onnxpb.StringStringEntryProto {
		return &onnxpb.StringStringEntryProto{Key: proto.String(key), Value: proto.String(value)}
	}
	m.Graph.Initializer = []*onnxpb.TensorProto{{
		Name: proto.String("weight"), DataType: proto.Int32(int32(ops.Float32)), Dims: []int64{2, 2},
		DataLocation: onnxpb.TensorProto_EXTERNAL.Enum(),
		ExternalData: []*onnxpb.StringStringEntryProto{entry("location", "weights.bin"), entry("offset", "0"), entry("length", "16")},
	}}
	return m
}

func sequences() *onnxpb.ModelProto {
	m := model("N,2", list("SequenceConstruct x x -> s\nConcatFromSequence s -> y")...)
	m.Graph.Node[1].Attribute = []*onnxpb.AttributeProto{ops.IntAttribute("axis", 0)}
	element := float("", "N,2").Type
	sequence := &onnxpb.TypeProto{Value: &onnxpb.TypeProto_SequenceType{SequenceType: &onnxpb.TypeProto_Sequence{ElemType: element}}}
	optional := &onnxpb.TypeProto{Value: &onnxpb.TypeProto_OptionalType{OptionalType: &onnxpb.TypeProto_Optional{ElemType: sequence}}}
	m.Graph.Output = append(m.Graph.Output, &onnxpb.ValueInfoProto{Name: proto.String("s"), Type: sequence})
	m.Graph.ValueInfo = []*onnxpb.ValueInfoProto{{Name: proto.String("s"), Type: optional}}
	return m
}

// old is of IR version 3: initializers are inputs too. Names are numbers and those
// that a loss would take, nodes have none.
func old() *onnxpb.ModelProto {
	m := model("1,2", list("Add x 1 -> loss\nRelu loss -> y")...)
	m.IrVersion, m.OpsetImport[0].Version = proto.Int64(3), proto.Int64(9)
	m.Graph.Initializer = []*onnxpb.TensorProto{zeros("1", ops.Float32, 1, 2)}
	m.Graph.Input = append(m.Graph.Input, float("1", "1,2"))
	m.Graph.ValueInfo = []*onnxpb.ValueInfoProto{float("loss", "1,2")}
	return m
}

// attached carries a loss, with the metadata that package export writes.
func attached() *onnxpb.ModelProto {
	m := model("N,2", list(`
		Relu x -> y
		Sub y target -> difference
		Mul difference difference -> squared
		ReduceMean squared -> loss`)...)
	for i, n := range m.Graph.Node[1:] {
		n.Name = proto.String("MSE/" + string(rune('a'+i)))
	}
	m.Graph.Node[3].Attribute = []*onnxpb.AttributeProto{ops.IntAttribute("keepdims", 0)}
	m.Graph.Input = append(m.Graph.Input, float("target", "N,2"))
	m.Graph.Output = []*onnxpb.ValueInfoProto{float("y", "N,2"), ops.ValueInfo("loss", ops.Float32, ops.Shape{})}
	m.Graph.ValueInfo = []*onnxpb.ValueInfoProto{float("difference", "N,2"), float("squared", "N,2")}
	for _, e := range [][2]string{
		{"loss", "MSELoss"},
		{"params", "{}"},
		{"version", "1"},
		{"form", "graph"},
		{"opset", "17"},
		{"dtype", "float32"},
		{"reduction", "mean"},
		{"inputs", `{"prediction":"y","target":"target"}`},
		{"output", "loss"},
		{"attached", "true"},
		{"added", `{"nodes":3,"inputs":1,"outputs":1,"value_info":2,"metadata":11}`},
	} {
		m.MetadataProps = append(m.MetadataProps, &onnxpb.StringStringEntryProto{Key: proto.String("onnxloss." + e[0]), Value: proto.String(e[1])})
	}
	return m
}
