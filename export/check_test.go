package export_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
)

// nodeOf writes a node; its operands stand as in "x axes -> y", "_" for none.
func nodeOf(op, operands string, attributes ...*ops.Attribute) *onnxpb.NodeProto {
	in, out, _ := strings.Cut(operands, "->")
	n := &onnxpb.NodeProto{OpType: &op, Input: strings.Fields(in), Output: strings.Fields(out), Attribute: attributes}
	for i, name := range n.Input {
		if name == "_" {
			n.Input[i] = ""
		}
	}
	return n
}

// constantOf writes an int64 vector.
func constantOf(name string, ints ...int64) *onnxpb.NodeProto {
	value := &onnxpb.TensorProto{Dims: []int64{int64(len(ints))}, DataType: proto.Int32(int32(ops.Int64)), Int64Data: ints}
	return nodeOf("Constant", "-> "+name, &ops.Attribute{
		Name: proto.String("value"), Type: onnxpb.AttributeProto_TENSOR.Enum(), T: value,
	})
}

func graphAttribute(name string, g *onnxpb.GraphProto) *ops.Attribute {
	return &ops.Attribute{Name: &name, Type: onnxpb.AttributeProto_GRAPH.Enum(), G: g}
}

// shaped declares a tensor as in "x float32 N,3".
func shaped(t testing.TB, text string) *onnxpb.ValueInfoProto {
	t.Helper()
	parts := strings.Fields(text)
	dtype, err := ops.ParseDType(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	shape, err := ops.ParseShape(strings.Join(parts[2:], ""))
	if err != nil {
		t.Fatal(err)
	}
	return ops.ValueInfo(parts[0], dtype, shape)
}

// foreign is a model from elsewhere: x float32[N,3], i int64[2], b bool[N,1] and
// the nodes, which make y.
func foreign(t testing.TB, opset int, nodes ...*onnxpb.NodeProto) *onnxpb.ModelProto {
	t.Helper()
	return &onnxpb.ModelProto{
		IrVersion:   proto.Int64(10),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: proto.Int64(int64(opset))}, {Domain: proto.String("test"), Version: proto.Int64(1)}},
		Graph: &onnxpb.GraphProto{
			Name:   proto.String("g"),
			Node:   nodes,
			Input:  []*onnxpb.ValueInfoProto{shaped(t, "x float32 N,3"), shaped(t, "i int64 2"), shaped(t, "b bool N,1")},
			Output: []*onnxpb.ValueInfoProto{{Name: proto.String("y")}},
		},
	}
}

func checkModel(t testing.TB, m *onnxpb.ModelProto) error {
	t.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return export.Check(raw)
}

func wantError(t *testing.T, err error, message string) {
	t.Helper()
	if err == nil || !strings.HasPrefix(err.Error(), "export: check: ") || !strings.Contains(err.Error(), message) {
		t.Errorf("got  %v\nwant export: check: ... %s", err, message)
	}
}

func exported(t testing.TB, form export.Form) *onnxpb.ModelProto {
	t.Helper()
	loss, err := losses.Find("sigmoid-focal")
	if err != nil {
		t.Fatal(err)
	}
	params, err := loss.Params(nil)
	if err != nil {
		t.Fatal(err)
	}
	model, err := export.Model(loss, params, export.Options{Form: form})
	if err != nil {
		t.Fatal(err)
	}
	return model.Proto
}

func setMetadata(m *onnxpb.ModelProto, key, value string) {
	for _, entry := range m.MetadataProps {
		if entry.GetKey() == key {
			entry.Value = &value
		}
	}
}

func TestCheckFindsWhatIsWrongWithAnExportedGraph(t *testing.T) {
	tests := []struct {
		name    string
		damage  func(*onnxpb.ModelProto)
		message string
	}{
		{"no graph", func(m *onnxpb.ModelProto) { m.Graph = nil }, "the model has no graph"},
		{"no IR version", func(m *onnxpb.ModelProto) { m.IrVersion = nil }, "the model has no IR version"},
		{"no graph name", func(m *onnxpb.ModelProto) { m.Graph.Name = nil }, "the graph has no name"},
		{"unknown fields", func(m *onnxpb.ModelProto) { m.Graph.Node[0].ProtoReflect().SetUnknown([]byte{0xf8, 0x07, 1}) }, "a NodeProto has fields that ONNX does not know"},
		{"old IR version", func(m *onnxpb.ModelProto) { m.IrVersion = proto.Int64(7) }, "the IR version is 7; opset 17 needs 8"},
		{"no opset", func(m *onnxpb.ModelProto) { m.OpsetImport = nil }, "no operator set is imported"},
		{"opset 0", func(m *onnxpb.ModelProto) { m.OpsetImport[0].Version = proto.Int64(0) }, `domain "" is imported as version 0`},
		{"opset twice", func(m *onnxpb.ModelProto) {
			m.OpsetImport = append(m.OpsetImport, &onnxpb.OperatorSetIdProto{Domain: proto.String("ai.onnx"), Version: proto.Int64(18)})
		}, `domain "" is imported twice, as version 17 and 18`},
		{"opset too new", func(m *onnxpb.ModelProto) { m.OpsetImport[0].Version = proto.Int64(99) }, "opset 99 is imported; onnxloss writes 9 to 26"},
		{"metadata of another opset", func(m *onnxpb.ModelProto) { setMetadata(m, "onnxloss.opset", "16") }, "the metadata say opset 16, but opset 17 is imported"},
		{"metadata of another type", func(m *onnxpb.ModelProto) { setMetadata(m, "onnxloss.dtype", "float64") }, `the metadata say that the loss is float64, but tensor "loss" is float32`},
		{"metadata of another output", func(m *onnxpb.ModelProto) { setMetadata(m, "onnxloss.output", "cost") }, `the metadata call "cost" the loss's tensor, but no node makes it`},
		{"metadata of other inputs", func(m *onnxpb.ModelProto) { setMetadata(m, "onnxloss.inputs", `{"logits":"z"}`) }, `the metadata bind the loss's input "logits" to tensor "z"`},
		{"unreadable metadata", func(m *onnxpb.ModelProto) { setMetadata(m, "onnxloss.params", "{") }, "onnxloss.params is not JSON"},
		{"two nodes of one name", func(m *onnxpb.ModelProto) { m.Graph.Node[1].Name = m.Graph.Node[0].Name }, "two nodes have the name"},
		{"output twice", func(m *onnxpb.ModelProto) { m.Graph.Output = append(m.Graph.Output, m.Graph.Output[0]) }, `"loss" is an output twice`},
		{"order", func(m *onnxpb.ModelProto) { slices.Reverse(m.Graph.Node) }, "which no input, initializer or earlier node makes"},
		{"no type stored", func(m *onnxpb.ModelProto) { m.Graph.ValueInfo = m.Graph.ValueInfo[1:] }, "no element type is stored for its output"},
		{"type without element type", func(m *onnxpb.ModelProto) { m.Graph.ValueInfo[0].Type = nil }, "no element type is stored for it"},
		{"wrong type stored", func(m *onnxpb.ModelProto) {
			m.Graph.ValueInfo[0].Type.GetTensorType().ElemType = proto.Int32(int32(ops.Int32))
		}, "the element types differ"},
		{"wrong shape stored", func(m *onnxpb.ModelProto) {
			m.Graph.Output[0] = ops.ValueInfo("loss", ops.Float32, ops.Shape{ops.Fixed(1)})
		}, `its output "loss" is stored as float32[1], but float32[] follows: the ranks differ`},
		{"another size's name stored", func(m *onnxpb.ModelProto) {
			for i, info := range m.Graph.ValueInfo {
				if ops.ShapeOf(info.GetType().GetTensorType()).String() == "[N,C]" {
					m.Graph.ValueInfo[i] = ops.ValueInfo(info.GetName(), ops.DType(info.GetType().GetTensorType().GetElemType()), ops.Shape{ops.Symbolic("C"), ops.Symbolic("N")})
				}
			}
		}, "a size has another name"},
		{"negative size stored", func(m *onnxpb.ModelProto) {
			m.Graph.Input[0].Type.GetTensorType().Shape.Dim[0].Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: -3}
		}, `tensor "logits": its stored shape has the size -3`},
		{"type of nothing", func(m *onnxpb.ModelProto) {
			m.Graph.ValueInfo = append(m.Graph.ValueInfo, ops.ValueInfo("ghost", ops.Float32, nil))
		}, `a type is stored for "ghost", which nothing makes`},
		{"declared twice", func(m *onnxpb.ModelProto) {
			m.Graph.ValueInfo = append(m.Graph.ValueInfo, ops.ValueInfo("logits", ops.Float64, nil))
		}, `tensor "logits" is declared as float32[N,C] and as float64[...]`},
		{"operator that onnxloss does not write", func(m *onnxpb.ModelProto) { m.Graph.Node[len(m.Graph.Node)-1].OpType = proto.String("Erf") }, `node "SigmoidFocalLoss/loss" (Erf): the operator is none that onnxloss writes`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := exported(t, export.Graph)
			if err := checkModel(t, m); err != nil {
				t.Fatalf("before the damage: %v", err)
			}
			test.damage(m)
			wantError(t, checkModel(t, m), test.message)
		})
	}
}

func TestCheckFindsWhatIsWrongWithAFunction(t *testing.T) {
	tests := []struct {
		name    string
		damage  func(m *onnxpb.ModelProto, f *onnxpb.FunctionProto)
		message string
	}{
		{"old IR version", func(m *onnxpb.ModelProto, f *onnxpb.FunctionProto) {
			m.IrVersion = proto.Int64(7)
			m.OpsetImport[0].Version, f.OpsetImport[0].Version = proto.Int64(14), proto.Int64(14)
			setMetadata(m, "onnxloss.opset", "14")
		}, "the IR version is 7; function ai.onnxloss.SigmoidFocalLoss needs 8"},
		{"overload in an old file", func(m *onnxpb.ModelProto, f *onnxpb.FunctionProto) {
			f.Overload = proto.String("2")
			m.Graph.Node[0].Overload = f.Overload
		}, "the IR version is 8; function ai.onnxloss.SigmoidFocalLoss:2 needs 10"},
		{"attribute defaults in an old file", func(_ *onnxpb.ModelProto, f *onnxpb.FunctionProto) {
			f.AttributeProto = append(f.AttributeProto, ops.IntAttribute("more", 1))
		}, "needs 9"},
		{"no name", func(_ *onnxpb.ModelProto, f *onnxpb.FunctionProto) { f.Name = nil }, "a function has no name"},
		{"defined twice", func(m *onnxpb.ModelProto, f *onnxpb.FunctionProto) { m.Functions = append(m.Functions, f) }, "function ai.onnxloss.SigmoidFocalLoss is defined twice"},
		{"domain not imported", func(m *onnxpb.ModelProto, _ *onnxpb.FunctionProto) { m.OpsetImport = m.OpsetImport[:1] }, "the model does not import its domain"},
		{"body without opset", func(_ *onnxpb.ModelProto, f *onnxpb.FunctionProto) { f.OpsetImport = nil }, "no operator set is imported"},
		{"body of another opset", func(_ *onnxpb.ModelProto, f *onnxpb.FunctionProto) { f.OpsetImport[0].Version = proto.Int64(11) }, "the body imports opset 11, the model opset 17"},
		{"body out of order", func(_ *onnxpb.ModelProto, f *onnxpb.FunctionProto) { slices.Reverse(f.Node) }, "which no input, initializer or earlier node makes"},
		{"unknown operator", func(_ *onnxpb.ModelProto, f *onnxpb.FunctionProto) {
			f.Node[len(f.Node)-1].OpType = proto.String("Erf")
		}, "the operator is none that onnxloss writes"},
		{"two nodes of one name", func(_ *onnxpb.ModelProto, f *onnxpb.FunctionProto) { f.Node[1].Name = f.Node[0].Name }, "two nodes have the name"},
		{"input twice", func(_ *onnxpb.ModelProto, f *onnxpb.FunctionProto) { f.Input = append(f.Input, f.Input[0]) }, `"logits" is an input twice`},
		{"output twice", func(_ *onnxpb.ModelProto, f *onnxpb.FunctionProto) { f.Output = append(f.Output, f.Output[0]) }, `"loss" is an output twice`},
		{"output from nowhere", func(_ *onnxpb.ModelProto, f *onnxpb.FunctionProto) { f.Output[0] = "cost" }, `nothing makes its output "cost"`},
		{"attribute twice", func(_ *onnxpb.ModelProto, f *onnxpb.FunctionProto) { f.Attribute = append(f.Attribute, "gamma") }, `"gamma" is an attribute twice`},
		{"unknown reference", func(_ *onnxpb.ModelProto, f *onnxpb.FunctionProto) {
			f.Node[0].Attribute = append(f.Node[0].Attribute, refTo("to", "delta"))
		}, `attribute "to" refers to the function's attribute "delta", which is not declared`},
		{"unknown attribute at the call", func(m *onnxpb.ModelProto, _ *onnxpb.FunctionProto) {
			m.Graph.Node[0].Attribute[0].Name = proto.String("delta")
		}, `attribute "delta" is not one of the function's`},
		{"too many inputs at the call", func(m *onnxpb.ModelProto, _ *onnxpb.FunctionProto) {
			m.Graph.Node[0].Input = append(m.Graph.Node[0].Input, "logits")
		}, "it has 3 inputs and 1 outputs; the function has 2 and 1"},
		{"no body", func(m *onnxpb.ModelProto, _ *onnxpb.FunctionProto) { m.Functions = nil }, "the file has no function of its name"},
		{"calls itself", func(_ *onnxpb.ModelProto, f *onnxpb.FunctionProto) {
			f.OpsetImport = append(f.OpsetImport, &onnxpb.OperatorSetIdProto{Domain: proto.String(export.Domain), Version: proto.Int64(1)})
			f.Node = append(f.Node, &onnxpb.NodeProto{OpType: f.Name, Domain: f.Domain, Input: []string{"logits", "target"}, Output: []string{"again"}})
		}, "function ai.onnxloss.SigmoidFocalLoss calls itself"},
		{"type does not follow", func(m *onnxpb.ModelProto, _ *onnxpb.FunctionProto) {
			m.Graph.Output[0] = ops.ValueInfo("loss", ops.Float64, ops.Shape{})
		}, "is stored as float64[], but float32[] follows"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := exported(t, export.Function)
			if err := checkModel(t, m); err != nil {
				t.Fatalf("before the damage: %v", err)
			}
			test.damage(m, m.Functions[0])
			wantError(t, checkModel(t, m), test.message)
		})
	}
}

func refTo(name, to string) *ops.Attribute {
	return &ops.Attribute{Name: &name, Type: onnxpb.AttributeProto_INT.Enum(), RefAttrName: &to}
}

func TestCheckFindsWhatIsWrongWithNodes(t *testing.T) {
	inner := func(nodes ...*onnxpb.NodeProto) *ops.Attribute {
		return graphAttribute("then_branch", &onnxpb.GraphProto{
			Name: proto.String("then"), Node: nodes,
			Output: []*onnxpb.ValueInfoProto{{Name: proto.String("z")}},
		})
	}
	tests := []struct {
		opset   int
		nodes   []*onnxpb.NodeProto
		message string // "" where the model is sound
	}{
		// names
		{17, []*onnxpb.NodeProto{nodeOf("Abs", "x -> y")}, ""},
		{17, []*onnxpb.NodeProto{nodeOf("Mystery", "x _ _ -> y")}, ""},
		{17, []*onnxpb.NodeProto{nodeOf("", "x -> y")}, `node "y" (): it has no operator`},
		{17, []*onnxpb.NodeProto{nodeOf("Abs", "z -> y")}, `node "y" (Abs): it reads "z", which no input, initializer or earlier node makes`},
		{17, []*onnxpb.NodeProto{nodeOf("Abs", "x -> y"), nodeOf("Neg", "x -> y")}, `node "y" (Neg): it makes "y", which is made before`},
		{17, []*onnxpb.NodeProto{nodeOf("Abs", "x -> x"), nodeOf("Abs", "x -> y")}, `it makes "x", which is made before`},
		{17, []*onnxpb.NodeProto{nodeOf("Abs", "x -> z")}, `nothing makes the graph's output "y"`},
		{17, []*onnxpb.NodeProto{{OpType: proto.String("Abs"), Domain: proto.String("else"), Input: []string{"x"}, Output: []string{"y"}}}, `node "y" (else.Abs): no operator set of domain "else" is imported`},
		{17, []*onnxpb.NodeProto{nodeOf("If", "b -> y", inner(nodeOf("Abs", "x -> z")))}, ""},
		{17, []*onnxpb.NodeProto{nodeOf("If", "b -> y", inner(nodeOf("Abs", "w -> z")))}, `attribute "then_branch": node "z" (Abs): it reads "w"`},
		{17, []*onnxpb.NodeProto{nodeOf("If", "b -> y", inner(nodeOf("Abs", "x -> x")))}, `it makes "x", which is made before`},
		{17, []*onnxpb.NodeProto{nodeOf("If", "b -> y", inner())}, `nothing makes the graph's output "z"`},
		// operators and attributes
		{11, []*onnxpb.NodeProto{nodeOf("LessOrEqual", "x x -> y")}, "opset 11 does not have the operator, which came with opset 12"},
		{10, []*onnxpb.NodeProto{nodeOf("Range", "x x x -> y")}, "which came with opset 11"},
		{17, []*onnxpb.NodeProto{nodeOf("Add", "x -> y")}, "its input 1 is missing"},
		{17, []*onnxpb.NodeProto{nodeOf("Add", "_ x -> y")}, "its input 0 is missing"},
		{17, []*onnxpb.NodeProto{nodeOf("Max", "-> y")}, "its input 0 is missing"},
		{17, []*onnxpb.NodeProto{nodeOf("Max", "x x x -> y")}, ""},
		{17, []*onnxpb.NodeProto{nodeOf("Abs", "x x -> y")}, "it has 2 inputs; since opset 13 it takes 1"},
		{17, []*onnxpb.NodeProto{nodeOf("Abs", "x -> y z")}, `it has outputs ["y" "z"]; it gives one`},
		{17, []*onnxpb.NodeProto{nodeOf("Clip", "x _ _ -> y")}, ""},
		{17, []*onnxpb.NodeProto{nodeOf("Abs", "x -> y", ops.IntAttribute("axis", 1))}, `attribute "axis" is not known to the operator`},
		{17, []*onnxpb.NodeProto{nodeOf("Softmax", "x -> y", ops.FloatAttribute("axis", 1))}, `attribute "axis" is of type FLOAT, not INT`},
		{17, []*onnxpb.NodeProto{nodeOf("Softmax", "x -> y", ops.IntAttribute("axis", 1), ops.IntAttribute("axis", 1))}, `it has attribute "axis" twice`},
		{17, []*onnxpb.NodeProto{nodeOf("Softmax", "x -> y", ops.IntAttribute("", 1))}, "an attribute has no name"},
		{17, []*onnxpb.NodeProto{nodeOf("Softmax", "x -> y", &ops.Attribute{Name: proto.String("axis")})}, `attribute "axis" has no type`},
		{17, []*onnxpb.NodeProto{nodeOf("Softmax", "x -> y", &ops.Attribute{Name: proto.String("axis"), Type: onnxpb.AttributeProto_INT.Enum()})}, `attribute "axis" is of type INT, but has no such value`},
		{17, []*onnxpb.NodeProto{nodeOf("Softmax", "x -> y", refTo("axis", "axis"))}, `attribute "axis" refers to "axis", but it is not in a function`},
		{17, []*onnxpb.NodeProto{nodeOf("Concat", "x x -> y")}, `attribute "axis" is missing`},
		{12, []*onnxpb.NodeProto{nodeOf("ReduceSum", "x -> y", ops.IntsAttribute("axes", []int64{1}))}, ""},
		{13, []*onnxpb.NodeProto{nodeOf("ReduceSum", "x -> y", ops.IntsAttribute("axes", []int64{1}))}, `attribute "axes" is not known to the operator as it is since opset 13`},
		{17, []*onnxpb.NodeProto{constantOf("a", 1), nodeOf("ReduceMean", "x a -> y")}, "it has 2 inputs; since opset 13 it takes 1"},
		{18, []*onnxpb.NodeProto{constantOf("a", 1), nodeOf("ReduceMean", "x a -> y")}, ""},
		{10, []*onnxpb.NodeProto{nodeOf("Clip", "x -> y", ops.FloatAttribute("min", 0))}, ""},
		{11, []*onnxpb.NodeProto{nodeOf("Clip", "x -> y", ops.FloatAttribute("min", 0))}, `attribute "min" is not known`},
		{27, []*onnxpb.NodeProto{nodeOf("Clip", "x -> y", ops.FloatAttribute("min", 0))}, ""},
		// element types
		{17, []*onnxpb.NodeProto{nodeOf("Add", "x i -> y")}, `input "i": it is int64, but another input is float32; they must be the same`},
		{17, []*onnxpb.NodeProto{nodeOf("Exp", "i -> y")}, `input "i": it is int64, which the operator does not take as it is since opset 13`},
		{10, []*onnxpb.NodeProto{nodeOf("Equal", "x x -> y")}, `input "x": it is float32, which the operator does not take as it is since opset 7`},
		{17, []*onnxpb.NodeProto{nodeOf("Where", "x x x -> y")}, `input "x": it is float32, which the operator does not take`},
		{17, []*onnxpb.NodeProto{nodeOf("Size", "x -> n"), nodeOf("Pow", "x n -> y")}, ""},
		{11, []*onnxpb.NodeProto{nodeOf("Pow", "x i -> y")}, `input "i": it is int64`},
		{17, []*onnxpb.NodeProto{nodeOf("Gather", "x x -> y")}, `input "x": it is float32, which the operator does not take`},
		// shapes
		{17, []*onnxpb.NodeProto{nodeOf("Cast", "i -> f", ops.IntAttribute("to", 1)), nodeOf("Add", "x f -> y")}, "the inputs' shapes [N,3] and [2] do not fit together"},
		{17, []*onnxpb.NodeProto{nodeOf("Softmax", "x -> y", ops.IntAttribute("axis", 2))}, "axis 2 does not fit rank 2"},
		{17, []*onnxpb.NodeProto{constantOf("a", -3), nodeOf("ReduceSum", "x a -> y")}, "axis -3 does not fit rank 2"},
		{17, []*onnxpb.NodeProto{constantOf("a", 1, -1), nodeOf("ReduceSum", "x a -> y")}, "axis -1 is named twice"},
		{17, []*onnxpb.NodeProto{constantOf("a", 3), nodeOf("Unsqueeze", "x a -> y")}, "axis 3 does not fit rank 3"},
		{17, []*onnxpb.NodeProto{constantOf("a", 1), nodeOf("Squeeze", "x a -> y")}, "axis 1 of shape [N,3] is not of size 1"},
		{17, []*onnxpb.NodeProto{constantOf("s", 5), nodeOf("Reshape", "i s -> y")}, "shape [2] has 2 elements, but [5] has 5"},
		{17, []*onnxpb.NodeProto{constantOf("s", -1, 3), nodeOf("Reshape", "i s -> y")}, "the 2 elements of shape [2] do not divide by 3"},
		{17, []*onnxpb.NodeProto{constantOf("s", -1, -1), nodeOf("Reshape", "x s -> y")}, "the new shape leaves two sizes open"},
		{17, []*onnxpb.NodeProto{constantOf("s", -2), nodeOf("Reshape", "x s -> y")}, "the new shape has the size -2"},
		{17, []*onnxpb.NodeProto{constantOf("s", 1, 0), nodeOf("Reshape", "i s -> y")}, "the new shape copies axis 1 of shape [2]"},
		{17, []*onnxpb.NodeProto{nodeOf("Concat", "i i -> y", ops.IntAttribute("axis", 1))}, "axis 1 does not fit rank 1"},
		{17, []*onnxpb.NodeProto{nodeOf("Shape", "x -> s"), constantOf("a", 0), nodeOf("Unsqueeze", "s a -> t"), nodeOf("Concat", "s t -> y", ops.IntAttribute("axis", 0))}, "it joins shapes [2] and [1,2] of different ranks"},
		{17, []*onnxpb.NodeProto{constantOf("a", 0), constantOf("z", 0, 1), nodeOf("Slice", "x a a z -> y")}, "it has 1 starts, 1 ends, 2 axes and 1 steps"},
		{17, []*onnxpb.NodeProto{constantOf("a", 5), nodeOf("Gather", "i a -> y", ops.IntAttribute("axis", 1))}, "axis 1 does not fit rank 1"},
		{17, []*onnxpb.NodeProto{nodeOf("Shape", "x -> s"), constantOf("a", 5), nodeOf("Gather", "s a -> y")}, "index 5 is outside of 2 elements"},
		{17, []*onnxpb.NodeProto{nodeOf("GatherElements", "x i -> y")}, "the data [N,3] and the indices [2] are of different ranks"},
		{17, []*onnxpb.NodeProto{constantOf("s", -4), nodeOf("ConstantOfShape", "s -> y")}, "the shape has the size -4"},
		{17, []*onnxpb.NodeProto{nodeOf("Constant", "-> y")}, "it has 0 values; it takes one"},
		{17, []*onnxpb.NodeProto{nodeOf("Constant", "-> y", tensorOf(&onnxpb.TensorProto{}))}, "its tensor has no element type"},
		{17, []*onnxpb.NodeProto{nodeOf("Constant", "-> y", tensorOf(&onnxpb.TensorProto{DataType: proto.Int32(1), Dims: []int64{3}, RawData: make([]byte, 8)}))}, "its tensor float32[3] needs 12 bytes, but has 8"},
	}
	for _, test := range tests {
		last := test.nodes[len(test.nodes)-1]
		t.Run(fmt.Sprint(last.GetOpType(), " at opset ", test.opset, " ", test.message), func(t *testing.T) {
			err := checkModel(t, foreign(t, test.opset, test.nodes...))
			if test.message != "" {
				wantError(t, err, test.message)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func tensorOf(value *onnxpb.TensorProto) *ops.Attribute {
	return &ops.Attribute{Name: proto.String("value"), Type: onnxpb.AttributeProto_TENSOR.Enum(), T: value}
}
