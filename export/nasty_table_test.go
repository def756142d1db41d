package export_test

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// nastyModels is one for each thing that a model from elsewhere may have.
func nastyModels(t testing.TB) []nasty {
	return slices.Concat(nastyVersions(t), nastyNames(t), nastyFunctions(t), nastySubgraphs(t), nastyTypes(t), nastyShapes(t), nastyWeights(t), nastyFiles(t))
}

// What engines say of models that they do not run.
var (
	noContainers = map[string]string{"interp": "there is no such operator here", "ort:cpu": "only tensors go in and out of a model"}
	noQuantized  = map[string]string{"interp": "there is no such operator here"}
)

func nastyVersions(testing.TB) []nasty {
	var all []nasty
	// The IR versions with the opsets of their time.
	for i, opset := range []int64{9, 9, 10, 11, 12, 15, 19, 21, 23, 24, ops.MaxOpset} {
		ir := int64(3 + i)
		all = append(all, nasty{name: fmt.Sprintf("opset %d, IR version %d", opset, ir), change: func(m *onnxpb.ModelProto) {
			m.IrVersion, m.OpsetImport = &ir, imports("", opset)
			if ir == 3 {
				m.Graph.Input = append(m.Graph.Input, ops.ValueInfo("w", ops.Float32, ops.Shape{ops.Fixed(3)}))
			}
		}, inputs: map[string]engine.Tensor{"w": {}}})
	}
	return append(all,
		nasty{name: "no IR version", change: func(m *onnxpb.ModelProto) { m.IrVersion = nil }, refused: map[string]string{
			"interp": "the model has IR version 0", "ort:cpu": "Missing model IR version",
		}},
		nasty{name: "an IR version older than the opset's", change: func(m *onnxpb.ModelProto) { m.IrVersion = proto.Int64(4) }},
		nasty{name: "an IR version newer than the opset's", change: func(m *onnxpb.ModelProto) { m.IrVersion, m.OpsetImport = proto.Int64(13), imports("", 9) }},
		nasty{name: "initializers that are defaults of inputs", change: func(m *onnxpb.ModelProto) {
			m.Graph.Input = append([]*onnxpb.ValueInfoProto{ops.ValueInfo("w", ops.Float32, ops.Shape{ops.Fixed(3)})}, m.Graph.Input...)
		}},
		nasty{name: "a domain spelled ai.onnx", change: func(m *onnxpb.ModelProto) { m.OpsetImport = imports("ai.onnx", 17) }},
		nasty{name: "a node of domain ai.onnx", change: func(m *onnxpb.ModelProto) { m.Graph.Node[0].Domain = proto.String("ai.onnx") }},
		nasty{name: "an import without a domain", change: func(m *onnxpb.ModelProto) { m.OpsetImport[0].Domain = nil }},
		nasty{name: "an import twice", change: func(m *onnxpb.ModelProto) { m.OpsetImport = append(m.OpsetImport, imports("", 17)...) }},
		nasty{name: "an import in both spellings", change: func(m *onnxpb.ModelProto) { m.OpsetImport = append(m.OpsetImport, imports("ai.onnx", 17)...) }},
		nasty{name: "imports that nothing uses", change: func(m *onnxpb.ModelProto) {
			m.OpsetImport = slices.Concat(imports("ai.onnx.ml", 3), m.OpsetImport, imports("nobody.knows", 7))
		}},
		nasty{name: "no import of the standard operators", change: func(m *onnxpb.ModelProto) {
			m.OpsetImport = imports("com.microsoft", 1)
			m.Graph.Node = []*onnxpb.NodeProto{{OpType: proto.String("Gelu"), Domain: proto.String("com.microsoft"), Input: []string{"x"}, Output: []string{"y"}}}
		}, refused: map[string]string{"interp": `domain "com.microsoft" has no such operator`}},
	)
}

// rename gives the tensors of plainModel other names.
func rename(m *onnxpb.ModelProto, names map[string]string) {
	to := func(name string) string {
		if other, ok := names[name]; ok {
			return other
		}
		return name
	}
	for _, infos := range [][]*onnxpb.ValueInfoProto{m.Graph.Input, m.Graph.Output} {
		for _, info := range infos {
			info.Name = proto.String(to(info.GetName()))
		}
	}
	for _, w := range m.Graph.Initializer {
		w.Name = proto.String(to(w.GetName()))
	}
	for _, n := range m.Graph.Node {
		for _, list := range [][]string{n.Input, n.Output} {
			for i, name := range list {
				list[i] = to(name)
			}
		}
	}
}

// ourNames lists what a loss's nodes and tensors are called on a model with no such
// names.
func ourNames(t testing.TB) []string {
	t.Helper()
	names := map[string]bool{}
	for _, form := range export.Forms() {
		attached, err := export.Attach(&models.Model{Proto: plainModel(t)}, losses.MSE, nil, squaredError("y", form))
		if err != nil {
			t.Fatal(err)
		}
		g := attached.Proto.Graph
		for _, n := range g.Node[2:] {
			names[n.GetName()] = true
			for _, out := range n.Output {
				names[out] = true
			}
		}
		for _, in := range g.Input[1:] {
			names[in.GetName()] = true
		}
	}
	delete(names, "")
	if len(names) < 6 {
		t.Fatalf("the names are %v", names)
	}
	return slices.Sorted(func(yield func(string) bool) {
		for name := range names {
			if !yield(name) {
				return
			}
		}
	})
}

func nastyNames(t testing.TB) []nasty {
	ours := ourNames(t)
	return []nasty{
		{name: "no node has a name", change: func(*onnxpb.ModelProto) {}},
		{name: "empty node names", change: func(m *onnxpb.ModelProto) {
			for _, n := range m.Graph.Node {
				n.Name = proto.String("")
			}
		}},
		{name: "one name for two nodes", change: func(m *onnxpb.ModelProto) {
			for _, n := range m.Graph.Node {
				n.Name = proto.String("same")
			}
		}, refused: map[string]string{"ort:cpu": "two nodes with same node name"}},
		{name: "a node of the name that a call would have", change: func(m *onnxpb.ModelProto) { m.Graph.Node[0].Name = proto.String("MSELoss/loss") }},
		{name: "numeric names", change: func(m *onnxpb.ModelProto) {
			rename(m, map[string]string{"x": "0", "w": "1", "h": "2", "y": "3"})
			m.Graph.Node[0].Name = proto.String("0")
		}, bind: "3", inputs: map[string]engine.Tensor{"x": {}, "0": engine.Must([]int{1, 3}, []float32{1, 2, 3})}},
		{name: "names that are not letters", change: func(m *onnxpb.ModelProto) {
			rename(m, map[string]string{"x": "a b:0", "w": "重み", "h": "h\"\\\n", "y": "/y/"})
		}, bind: "/y/", inputs: map[string]engine.Tensor{"x": {}, "a b:0": engine.Must([]int{1, 3}, []float32{1, 2, 3})}},
		{name: "an output called loss", change: func(m *onnxpb.ModelProto) { rename(m, map[string]string{"y": "loss"}) }, bind: "loss"},
		{name: "inputs called target and prediction", change: func(m *onnxpb.ModelProto) {
			rename(m, map[string]string{"x": "target", "w": "prediction"})
		}, inputs: map[string]engine.Tensor{"x": {}, "target": engine.Must([]int{1, 3}, []float32{1, 2, 3})}},
		{name: "the target's own name as prediction", change: func(m *onnxpb.ModelProto) { rename(m, map[string]string{"y": "target"}) }, bind: "target"},
		{name: "tensors of all our names", change: func(m *onnxpb.ModelProto) {
			for _, name := range ours {
				m.Graph.Node = append(m.Graph.Node, &onnxpb.NodeProto{OpType: proto.String("Neg"), Input: []string{"x"}, Output: []string{name}})
				m.Graph.Output = append(m.Graph.Output, shaped(t, "z float32 N,3"))
				m.Graph.Output[len(m.Graph.Output)-1].Name = proto.String(name)
			}
		}},
		{name: "nodes of all our names", change: func(m *onnxpb.ModelProto) {
			for i, name := range ours {
				m.Graph.Node = append(m.Graph.Node, &onnxpb.NodeProto{Name: proto.String(name), OpType: proto.String("Neg"), Input: []string{"x"}, Output: []string{fmt.Sprint("z", i)}})
			}
		}},
		{name: "all our names inside a subgraph", change: func(m *onnxpb.ModelProto) {
			inner := &onnxpb.GraphProto{Name: proto.String("inner"), Output: []*onnxpb.ValueInfoProto{shaped(t, "r float32 N,3")}}
			before := "x"
			for _, name := range ours {
				inner.Node = append(inner.Node, &onnxpb.NodeProto{Name: proto.String(name), OpType: proto.String("Neg"), Input: []string{before}, Output: []string{name}})
				before = name
			}
			inner.Node = append(inner.Node, &onnxpb.NodeProto{OpType: proto.String("Neg"), Input: []string{before}, Output: []string{"r"}})
			m.Graph.Input = append(m.Graph.Input, shaped(t, "c bool"))
			m.Graph.Node = append(m.Graph.Node, nodeOf("If", "c -> chosen", graphAttribute("then_branch", inner), graphAttribute("else_branch", proto.CloneOf(inner))))
			m.Graph.Output = append(m.Graph.Output, shaped(t, "chosen float32 N,3"))
		}, inputs: map[string]engine.Tensor{"c": engine.Scalar(true)}},
		{name: "our names in annotations only", change: func(m *onnxpb.ModelProto) {
			for _, name := range ours {
				m.Graph.QuantizationAnnotation = append(m.Graph.QuantizationAnnotation, &onnxpb.TensorAnnotation{TensorName: proto.String("y"), QuantParameterTensorNames: []*onnxpb.StringStringEntryProto{
					{Key: proto.String("SCALE_TENSOR"), Value: proto.String(name)},
				}})
			}
		}},
		{name: "a size of our name", change: func(m *onnxpb.ModelProto) {
			m.Graph.Output[0] = ops.ValueInfo("y", ops.Float32, ops.Shape{ops.Symbolic("target"), ops.Symbolic("loss")})
		}},
	}
}

// twiceA is a function that is 2 * a.
func twiceA(domain, name, overload string) *onnxpb.FunctionProto {
	f := &onnxpb.FunctionProto{
		Domain: &domain, Name: &name, Input: []string{"a"}, Output: []string{"b"},
		Node: []*onnxpb.NodeProto{nodeOf("Add", "a a -> b")}, OpsetImport: imports("", 17),
	}
	if overload != "" {
		f.Overload = &overload
	}
	return f
}

// calling adds functions, and a call of each whose result is an output.
func calling(t testing.TB, functions ...*onnxpb.FunctionProto) func(m *onnxpb.ModelProto) {
	return func(m *onnxpb.ModelProto) {
		for i, f := range functions {
			out := fmt.Sprint("called", i)
			m.Graph.Node = append(m.Graph.Node, &onnxpb.NodeProto{OpType: f.Name, Domain: f.Domain, Overload: f.Overload, Input: []string{"x"}, Output: []string{out}})
			m.Graph.Output = append(m.Graph.Output, shaped(t, out+" float32 N,3"))
			if !slices.ContainsFunc(m.OpsetImport, func(o *onnxpb.OperatorSetIdProto) bool { return o.GetDomain() == f.GetDomain() }) {
				m.OpsetImport = append(m.OpsetImport, imports(f.GetDomain(), 1)...)
			}
			if f.Overload != nil {
				m.IrVersion = proto.Int64(10)
			}
		}
		m.Functions = functions
	}
}

func nastyFunctions(t testing.TB) []nasty {
	return []nasty{
		{name: "a function of another domain", change: calling(t, twiceA("elsewhere", "Double", ""))},
		{name: "a function of our domain and name", change: calling(t, twiceA("ai.onnxloss", "MSELoss", ""))},
		{name: "functions of our domain and of all names that we would take next", change: calling(t, twiceA("ai.onnxloss", "MSELoss", ""), twiceA("ai.onnxloss", "MSELoss_2", ""))},
		{name: "an overload of our name", change: calling(t, twiceA("ai.onnxloss", "MSELoss", "other"))},
		{name: "overloads of another domain", change: calling(t, twiceA("elsewhere", "Double", "a"), twiceA("elsewhere", "Double", "b"))},
		{name: "another version of our domain", change: func(m *onnxpb.ModelProto) {
			calling(t, twiceA("ai.onnxloss", "Double", ""))(m)
			m.OpsetImport[1].Version = proto.Int64(5)
		}},
		{name: "a function that shadows a standard operator's name", change: calling(t, twiceA("elsewhere", "Relu", ""))},
		{name: "an operator of a runtime's own", change: func(m *onnxpb.ModelProto) {
			m.OpsetImport = append(m.OpsetImport, imports("com.microsoft", 1)...)
			m.Graph.Node[1] = &onnxpb.NodeProto{OpType: proto.String("Gelu"), Domain: proto.String("com.microsoft"), Input: []string{"h"}, Output: []string{"y"}}
		}, refused: map[string]string{"interp": `domain "com.microsoft" has no such operator`}},
		{name: "an operator that nobody knows", change: func(m *onnxpb.ModelProto) {
			m.OpsetImport = append(m.OpsetImport, imports("nobody", 3)...)
			m.Graph.Node[1] = &onnxpb.NodeProto{OpType: proto.String("Secret"), Domain: proto.String("nobody"), Input: []string{"h"}, Output: []string{"y"}}
		}, refused: map[string]string{"interp": `domain "nobody" has no such operator`, "ort:cpu": "nobody"}},
	}
}

func nastySubgraphs(t testing.TB) []nasty {
	result := func(name string, nodes ...*onnxpb.NodeProto) *onnxpb.GraphProto {
		return &onnxpb.GraphProto{Name: proto.String(name), Node: nodes, Output: []*onnxpb.ValueInfoProto{shaped(t, name+" float32 ?,?")}}
	}
	choose := func(out string, then, otherwise *onnxpb.GraphProto) *onnxpb.NodeProto {
		return nodeOf("If", "c -> "+out, graphAttribute("then_branch", then), graphAttribute("else_branch", otherwise))
	}
	condition := map[string]engine.Tensor{"c": engine.Scalar(true)}
	return []nasty{
		{name: "If that captures", change: func(m *onnxpb.ModelProto) {
			m.Graph.Input = append(m.Graph.Input, shaped(t, "c bool"))
			m.Graph.Node[1] = choose("y", result("then", nodeOf("Add", "h x -> then")), result("else", nodeOf("Sub", "h w -> else")))
		}, inputs: condition},
		{name: "If in If that captures from both", change: func(m *onnxpb.ModelProto) {
			m.Graph.Input = append(m.Graph.Input, shaped(t, "c bool"))
			inner := choose("inner", result("a", nodeOf("Add", "between x -> a")), result("b", nodeOf("Sub", "h w -> b")))
			m.Graph.Node[1] = choose("y", result("then", nodeOf("Neg", "h -> between"), inner, nodeOf("Mul", "inner h -> then")), result("else", nodeOf("Identity", "h -> else")))
		}, inputs: condition},
		{name: "Loop that captures", change: func(m *onnxpb.ModelProto) {
			m.Graph.Initializer = append(m.Graph.Initializer, engine.ToProto("trips", engine.Scalar(int64(3))), engine.ToProto("go", engine.Scalar(true)))
			m.Graph.Node[1] = nodeOf("Loop", "trips go h -> y", graphAttribute("body", &onnxpb.GraphProto{
				Name: proto.String("body"), Node: []*onnxpb.NodeProto{nodeOf("Add", "state x -> next"), nodeOf("Identity", "again -> still")},
				Input:  []*onnxpb.ValueInfoProto{shaped(t, "i int64"), shaped(t, "again bool"), shaped(t, "state float32 ?,?")},
				Output: []*onnxpb.ValueInfoProto{shaped(t, "still bool"), shaped(t, "next float32 ?,?")},
			}))
		}},
		{name: "Scan that captures", change: func(m *onnxpb.ModelProto) {
			m.Graph.Node[1] = nodeOf("Scan", "h -> y", ops.IntAttribute("num_scan_inputs", 1), graphAttribute("body", &onnxpb.GraphProto{
				Name: proto.String("body"), Node: []*onnxpb.NodeProto{nodeOf("Add", "row w -> sum")},
				Input:  []*onnxpb.ValueInfoProto{shaped(t, "row float32 3")},
				Output: []*onnxpb.ValueInfoProto{shaped(t, "sum float32 3")},
			}))
		}},
		{name: "a subgraph with weights of its own", change: func(m *onnxpb.ModelProto) {
			m.Graph.Input = append(m.Graph.Input, shaped(t, "c bool"))
			then := result("then", nodeOf("Add", "h own -> then"))
			then.Initializer = []*onnxpb.TensorProto{numbers("own", 1, 2, 3)}
			m.Graph.Node[1] = choose("y", then, result("else", nodeOf("Identity", "h -> else")))
		}, inputs: condition},
	}
}

// unknownField is a field that this version of the format does not have.
func unknownField(number protowire.Number) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, number, protowire.BytesType), "from the future")
}
