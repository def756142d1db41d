package export_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
)

// attachedTo makes the nodes of a foreign model those of a loss y, whose stored
// shape is of a rank that nothing has, so that Check says what follows instead.
func attachedTo(t testing.TB, opset int, inputs []string, nodes []*onnxpb.NodeProto, dtype ops.DType) *onnxpb.ModelProto {
	t.Helper()
	m := foreign(t, opset, nodes...)
	m.Graph.Input = nil
	for _, in := range inputs {
		m.Graph.Input = append(m.Graph.Input, shaped(t, in))
	}
	for _, n := range nodes[:len(nodes)-1] {
		m.Graph.ValueInfo = append(m.Graph.ValueInfo, ops.ValueInfo(n.Output[0], ops.Int64, nil))
	}
	m.Graph.Output[0] = ops.ValueInfo("y", dtype, make(ops.Shape, 9))
	for _, entry := range []string{
		"loss=SigmoidCrossEntropyLoss", "params={}", "form=graph", "opset=17", "dtype=float32", "reduction=mean", "inputs={}", "output=y", "attached=true",
	} {
		key, value, _ := strings.Cut(entry, "=")
		m.MetadataProps = append(m.MetadataProps, &onnxpb.StringStringEntryProto{Key: proto.String("onnxloss." + key), Value: &value})
	}
	return m
}

func TestCheckInfersTypesAndShapes(t *testing.T) {
	const f, i, b = ops.Float32, ops.Int64, ops.Bool
	axis := func(n int64) *ops.Attribute { return ops.IntAttribute("axis", n) }
	drop := ops.IntAttribute("keepdims", 0)
	shapeOfX := nodeOf("Shape", "x -> s")
	tests := []struct {
		inputs string // separated by ";"
		nodes  []*onnxpb.NodeProto
		dtype  ops.DType
		want   string
	}{
		{"x float32 N,C", []*onnxpb.NodeProto{nodeOf("Exp", "x -> y")}, f, "float32[N,C]"},
		{"x float32 N,C;w float32 C", []*onnxpb.NodeProto{nodeOf("Mul", "x w -> y")}, f, "float32[N,C]"},
		{"x float32 N,1;w float32 1,4,M", []*onnxpb.NodeProto{nodeOf("Mul", "x w -> y")}, f, ""},
		{"x float32 4,1;w float32 1,4,M", []*onnxpb.NodeProto{nodeOf("Mul", "x w -> y")}, f, "float32[1,4,M]"},
		{"x float32 N,?;w float32 4,M", []*onnxpb.NodeProto{nodeOf("Less", "x w -> y")}, b, "bool[4,?]"},
		{"x float32 N,C;c bool C;w float32 1", []*onnxpb.NodeProto{nodeOf("Where", "c x w -> y")}, f, "float32[N,C]"},
		{"x float32 N,C", []*onnxpb.NodeProto{nodeOf("IsNaN", "x -> y")}, b, "bool[N,C]"},
		{"x float32 N,C", []*onnxpb.NodeProto{nodeOf("Cast", "x -> y", ops.IntAttribute("to", 7))}, i, "int64[N,C]"},
		{"x float32 N,C", []*onnxpb.NodeProto{nodeOf("ReduceMax", "x -> y")}, f, "float32[1,1]"},
		{"x float32 N,C", []*onnxpb.NodeProto{nodeOf("ReduceMax", "x -> y", drop)}, f, "float32[]"},
		{"x float32 N,C", []*onnxpb.NodeProto{nodeOf("ReduceMax", "x -> y", drop, ops.IntsAttribute("axes", []int64{-1}))}, f, "float32[N]"},
		{"x float32 N,C", []*onnxpb.NodeProto{constantOf("a", 0), nodeOf("ReduceSum", "x a -> y")}, f, "float32[1,C]"},
		{"x float32 N,C", []*onnxpb.NodeProto{constantOf("a"), nodeOf("ReduceSum", "x a -> y", ops.IntAttribute("noop_with_empty_axes", 1))}, f, "float32[N,C]"},
		{"x float32 N,C;a int64 1", []*onnxpb.NodeProto{nodeOf("ReduceSum", "x a -> y")}, f, "float32[?,?]"},
		{"x float32 N,C", []*onnxpb.NodeProto{nodeOf("LogSoftmax", "x -> y", axis(-2))}, f, "float32[N,C]"},
		{"x float32 N,C", []*onnxpb.NodeProto{nodeOf("Shape", "x -> y")}, i, "int64[2]"},
		{"x float32 N,C,H", []*onnxpb.NodeProto{nodeOf("Shape", "x -> y", ops.IntAttribute("start", -1))}, i, "int64[1]"},
		{"x float32 ...", []*onnxpb.NodeProto{nodeOf("Shape", "x -> y")}, i, "int64[?]"},
		{"x float32 N,C", []*onnxpb.NodeProto{nodeOf("Size", "x -> y")}, i, "int64[]"},
		{"x float32 N,C", []*onnxpb.NodeProto{constantOf("a", 0, -1), nodeOf("Unsqueeze", "x a -> y")}, f, "float32[1,N,C,1]"},
		{"x float32 N,1,C", []*onnxpb.NodeProto{constantOf("a", 1), nodeOf("Squeeze", "x a -> y")}, f, "float32[N,C]"},
		{"x float32 1,3,1", []*onnxpb.NodeProto{nodeOf("Squeeze", "x -> y")}, f, "float32[3]"},
		{"x float32 C", []*onnxpb.NodeProto{constantOf("a", 1, -1, 1), nodeOf("Reshape", "x a -> y")}, f, "float32[1,C,1]"},
		{"x float32 N,6,C", []*onnxpb.NodeProto{constantOf("a", 0, 2, -1), nodeOf("Reshape", "x a -> y")}, f, "float32[N,2,?]"},
		{"x float32 N,6", []*onnxpb.NodeProto{constantOf("a", 0, 2, -1), nodeOf("Reshape", "x a -> y")}, f, "float32[N,2,3]"},
		{"x float32 N,C;w float32 ?", []*onnxpb.NodeProto{shapeOfX, nodeOf("Reshape", "w s -> y")}, f, "float32[N,C]"},
		{"x float32 C;a int64 3", []*onnxpb.NodeProto{nodeOf("Reshape", "x a -> y")}, f, "float32[?,?,?]"},
		{"x float32 N,C,H", []*onnxpb.NodeProto{nodeOf("NonZero", "x -> y")}, i, "int64[3,?]"},
		{"x float32 N,C,H", []*onnxpb.NodeProto{nodeOf("ArgMax", "x -> y", axis(-2))}, i, "int64[N,1,H]"},
		{"x float32 N,C,H", []*onnxpb.NodeProto{nodeOf("ArgMax", "x -> y", axis(1), drop)}, i, "int64[N,H]"},
		{"x float32 N,C,4", []*onnxpb.NodeProto{nodeOf("Flatten", "x -> y")}, f, "float32[N,?]"},
		{"x float32 N,3,4", []*onnxpb.NodeProto{nodeOf("Flatten", "x -> y", axis(-2))}, f, "float32[N,12]"},
		{"x float32 N", []*onnxpb.NodeProto{nodeOf("Flatten", "x -> y", axis(1))}, f, "float32[N,1]"},
		{"x float32 ...", []*onnxpb.NodeProto{nodeOf("Flatten", "x -> y")}, f, "float32[?,?]"},
		{"x float32 N,C;w float32 N,2", []*onnxpb.NodeProto{nodeOf("Concat", "x w -> y", axis(-1))}, f, "float32[N,?]"},
		{"x float32 N,3;w float32 ?,2", []*onnxpb.NodeProto{nodeOf("Concat", "x w -> y", axis(1))}, f, "float32[N,5]"},
		{"x float32 N,7", []*onnxpb.NodeProto{constantOf("from", 1), constantOf("to", -1), nodeOf("Slice", "x from to to -> y")}, f, "float32[N,5]"},
		{"x float32 N,7;a int64 1", []*onnxpb.NodeProto{nodeOf("Slice", "x a a -> y")}, f, "float32[?,?]"},
		{"x float32 N,C;k int64 K,2", []*onnxpb.NodeProto{nodeOf("Gather", "x k -> y", axis(1))}, f, "float32[N,K,2]"},
		{"x float32 N,C;k int64 N,1", []*onnxpb.NodeProto{nodeOf("GatherElements", "x k -> y", axis(1))}, f, "float32[N,1]"},
		{"x float32 N,C", []*onnxpb.NodeProto{shapeOfX, nodeOf("ConstantOfShape", "s -> y")}, f, "float32[N,C]"},
		{"x float32 N,C", []*onnxpb.NodeProto{shapeOfX, constantOf("k", 1, 0), nodeOf("Gather", "s k -> r"), nodeOf("ConstantOfShape", "r -> y")}, f, "float32[C,N]"},
		{"x float32 N,C", []*onnxpb.NodeProto{shapeOfX, nodeOf("Concat", "s s -> r", axis(0)), nodeOf("ConstantOfShape", "r -> y")}, f, "float32[N,C,N,C]"},
		{"x float32 N,C;zero int64 []", []*onnxpb.NodeProto{nodeOf("Range", "zero zero zero -> y")}, i, "int64[?]"},
	}
	for _, test := range tests {
		t.Run(test.nodes[len(test.nodes)-1].GetOpType()+" "+test.inputs, func(t *testing.T) {
			err := checkModel(t, attachedTo(t, 17, strings.Split(test.inputs, ";"), test.nodes, test.dtype))
			if test.want == "" {
				wantError(t, err, "")
				return
			}
			wantError(t, err, "but "+test.want+" follows: the ranks differ")
		})
	}
}

func TestCheckFollowsSizesThroughSliceSqueezeAndRange(t *testing.T) {
	zero := &onnxpb.TensorProto{Name: proto.String("zero"), DataType: proto.Int32(7), Int64Data: []int64{0}}
	one := &onnxpb.TensorProto{Name: proto.String("one"), DataType: proto.Int32(7), RawData: []byte{1, 0, 0, 0, 0, 0, 0, 0}}
	m := attachedTo(t, 17, []string{"x float32 N,C"}, []*onnxpb.NodeProto{
		constantOf("from", 1), constantOf("to", 2), constantOf("first", 0),
		nodeOf("Shape", "x -> s"), nodeOf("Slice", "s from to -> r"), nodeOf("Squeeze", "r first -> n"),
		nodeOf("Range", "zero n one -> y"),
	}, ops.Int64)
	m.Graph.Initializer = []*onnxpb.TensorProto{zero, one}
	wantError(t, checkModel(t, m), "but int64[C] follows: the ranks differ")
}

func TestCheckLooksAtInitializersInputsAndOutputs(t *testing.T) {
	tests := []struct {
		name    string
		change  func(*onnxpb.ModelProto)
		message string
	}{
		{"initializer that is an input", func(m *onnxpb.ModelProto) { initializer(m, "i") }, ""},
		{"initializer by itself", func(m *onnxpb.ModelProto) { initializer(m, "w") }, ""},
		{"initializer by itself in an old file", func(m *onnxpb.ModelProto) { m.IrVersion = proto.Int64(3); initializer(m, "w") }, `initializer "w" is not an input of the graph, which IR version 3 asks for`},
		{"initializer twice", func(m *onnxpb.ModelProto) { initializer(m, "w"); initializer(m, "w") }, `"w" is an initializer twice`},
		{"initializer without a name", func(m *onnxpb.ModelProto) { initializer(m, "") }, "an initializer has no name"},
		{"initializer that a node makes", func(m *onnxpb.ModelProto) { initializer(m, "y") }, `it makes "y", which is made before`},
		{"input twice", func(m *onnxpb.ModelProto) { m.Graph.Input = append(m.Graph.Input, m.Graph.Input[0]) }, `"x" is an input twice`},
		{"output twice, which runtimes take", func(m *onnxpb.ModelProto) { m.Graph.Output = append(m.Graph.Output, m.Graph.Output[0]) }, ""},
		{"stored shapes of others are their own affair", func(m *onnxpb.ModelProto) {
			m.Graph.Output[0] = ops.ValueInfo("y", ops.Float32, ops.Shape{})
		}, ""},
		{"stored element types of others are not", func(m *onnxpb.ModelProto) {
			m.Graph.Output[0] = ops.ValueInfo("y", ops.Int64, nil)
		}, `node "y" (Abs): its output "y" is stored as int64[...], but float32[N,3] follows: the element types differ`},
		{"nodes of one name of others", func(m *onnxpb.ModelProto) {
			more := nodeOf("Abs", "x -> z")
			more.Name, m.Graph.Node[0].Name = proto.String("same"), proto.String("same")
			m.Graph.Node = append(m.Graph.Node, more)
		}, ""},
		{"old IR version of others", func(m *onnxpb.ModelProto) { m.IrVersion = proto.Int64(4) }, ""},
		{"metadata of a node in an old file", func(m *onnxpb.ModelProto) {
			m.IrVersion = proto.Int64(9)
			m.Graph.Node[0].MetadataProps = []*onnxpb.StringStringEntryProto{{}}
		}, "the IR version is 9; node \"y\" (Abs), which has an overload or metadata, needs 10"},
		{"element type from the future", func(m *onnxpb.ModelProto) {
			m.Graph.Input[0].Type.GetTensorType().ElemType = proto.Int32(23)
		}, ""},
		{"element type from nowhere", func(m *onnxpb.ModelProto) {
			m.Graph.Input[0].Type.GetTensorType().ElemType = proto.Int32(-5)
		}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := foreign(t, 17, nodeOf("Abs", "x -> y"))
			test.change(m)
			err := checkModel(t, m)
			if test.message != "" {
				wantError(t, err, test.message)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func initializer(m *onnxpb.ModelProto, name string) {
	m.Graph.Initializer = append(m.Graph.Initializer, &onnxpb.TensorProto{
		Name: &name, DataType: proto.Int32(7), Dims: []int64{2}, Int64Data: []int64{0, 1},
	})
}

func TestCheckRefusesWhatIsNoModel(t *testing.T) {
	wantError(t, export.Check([]byte("not a model")), "not an ONNX file")
	wantError(t, export.Check(nil), "the model has no graph")
}

func TestCheckBoundsHostileFiles(t *testing.T) {
	nested := foreign(t, 17, nodeOf("If", "b -> y", graphAttribute("then_branch", nest(100))))
	wantError(t, checkModel(t, nested), "subgraphs are nested more than 64 deep")
	wantError(t, checkModel(t, doubling(t, 40)), "functions call each other too often")
	wantError(t, checkModel(t, doubling(t, 200)), "functions call each other more than 64 deep")
}

func nest(depth int) *onnxpb.GraphProto {
	n := nodeOf("Abs", "x -> z")
	if depth > 0 {
		n = nodeOf("If", "b -> z", graphAttribute("then_branch", nest(depth-1)))
		n.Output[0] += strings.Repeat("z", depth)
	}
	return &onnxpb.GraphProto{Node: []*onnxpb.NodeProto{n}, Output: []*onnxpb.ValueInfoProto{{Name: &n.Output[0]}}}
}

// doubling is a model whose functions each call the next one twice.
func doubling(t *testing.T, levels int) *onnxpb.ModelProto {
	call := func(level int, operands string) *onnxpb.NodeProto {
		n := nodeOf("f"+strings.Repeat("+", level), operands)
		n.Domain = proto.String("test")
		return n
	}
	m := foreign(t, 17, call(0, "x -> y"))
	for level := range levels {
		f := &onnxpb.FunctionProto{
			Name: call(level, "").OpType, Domain: proto.String("test"), OpsetImport: m.OpsetImport,
			Input: []string{"x"}, Output: []string{"y"},
			Node: []*onnxpb.NodeProto{call(level+1, "x -> z"), call(level+1, "z -> y")},
		}
		if level == levels-1 {
			f.Node = []*onnxpb.NodeProto{nodeOf("Abs", "x -> y")}
		}
		m.Functions = append(m.Functions, f)
	}
	return m
}

// FuzzCheck looks for models that make Check panic.
func FuzzCheck(f *testing.F) {
	for _, form := range export.Forms() {
		raw, err := proto.Marshal(exported(f, form))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	for _, nodes := range [][]*onnxpb.NodeProto{
		{constantOf("a", 0, 2, -1), nodeOf("Reshape", "x a -> y")},
		{constantOf("a", 1), nodeOf("Slice", "x a a a -> y")},
		{nodeOf("Shape", "x -> s"), nodeOf("Gather", "s i -> y")},
		{nodeOf("Concat", "x x -> y", ops.IntAttribute("axis", 1))},
		{nodeOf("If", "b -> y", graphAttribute("then_branch", nest(2)))},
	} {
		raw, err := proto.Marshal(foreign(f, 17, nodes...))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, model []byte) {
		if err := export.Check(model); err != nil && !strings.HasPrefix(err.Error(), "export: check: ") {
			t.Errorf("the error %q does not say where it is from", err)
		}
	})
}

func TestCheckBindsAttributesOfFunctions(t *testing.T) {
	tests := []struct {
		given   *ops.Attribute
		message string
	}{
		{nil, "axis 7 does not fit rank 2"}, // the default
		{ops.IntAttribute("along", 1), ""},
		{ops.IntAttribute("along", 3), `node "y" (test.rows): in its body, node "p" (Softmax): axis 3 does not fit rank 2`},
		{ops.IntAttribute("along", 2), ""}, // before opset 13 all axes may be flattened,
		{ops.FloatAttribute("along", 1), `attribute "axis" is of type INT, but refers to "along" of type FLOAT`},
	}
	for _, test := range tests {
		call := nodeOf("rows", "x -> y")
		call.Domain = proto.String("test")
		if test.given != nil {
			call.Attribute = []*ops.Attribute{test.given}
		}
		m := foreign(t, 12, call)
		m.Functions = []*onnxpb.FunctionProto{{
			Name: proto.String("rows"), Domain: proto.String("test"), OpsetImport: m.OpsetImport,
			Input: []string{"a"}, Output: []string{"p"},
			AttributeProto: []*ops.Attribute{ops.IntAttribute("along", 7)},
			Node:           []*onnxpb.NodeProto{nodeOf("Softmax", "a -> p", refTo("axis", "along"))},
		}}
		err := checkModel(t, m)
		if test.message != "" {
			wantError(t, err, test.message)
		} else if err != nil {
			t.Error(err)
		}
	}
}
