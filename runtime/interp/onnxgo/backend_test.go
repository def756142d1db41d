package onnxgo_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp/onnxgo"
	onnx "github.com/owulveryck/onnx-go"
	"gonum.org/v1/gonum/graph"
	"google.golang.org/protobuf/proto"
	"gorgonia.org/tensor"
)

// modelOf makes a model with float32 inputs of shape [2].
func modelOf(opset int64, inputs, outputs []string, nodes ...*onnxpb.NodeProto) *onnxpb.ModelProto {
	g := &onnxpb.GraphProto{Node: nodes}
	for _, name := range inputs {
		g.Input = append(g.Input, ops.ValueInfo(name, ops.Float32, shape(2)))
	}
	for _, name := range outputs {
		g.Output = append(g.Output, ops.ValueInfo(name, ops.Float32, shape(2)))
	}
	return &onnxpb.ModelProto{Graph: g, OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: &opset}}}
}

func shape(dims ...int) ops.Shape {
	s := ops.Shape{}
	for _, d := range dims {
		s = append(s, ops.Fixed(d))
	}
	return s
}

func node(op string, inputs, outputs []string, attributes ...*onnxpb.AttributeProto) *onnxpb.NodeProto {
	return &onnxpb.NodeProto{OpType: &op, Input: inputs, Output: outputs, Attribute: attributes}
}

func bytesOf(t *testing.T, m *onnxpb.ModelProto) []byte {
	t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func floats(dims []int, data ...float32) tensor.Tensor {
	return tensor.New(tensor.WithShape(dims...), tensor.WithBacking(data))
}

func pair(a, b float32) tensor.Tensor { return floats([]int{2}, a, b) }

func constant(name string, t engine.Tensor) *onnxpb.NodeProto {
	value := &onnxpb.AttributeProto{Name: proto.String("value"), Type: onnxpb.AttributeProto_TENSOR.Enum(), T: engine.ToProto("", t)}
	return node("Constant", nil, []string{name}, value)
}

func ints(name string, x ...int64) *onnxpb.AttributeProto { return ops.IntsAttribute(name, x) }

func TestOperations(t *testing.T) {
	x, y, both := []string{"x"}, []string{"y"}, []string{"a", "b"}
	a, b := pair(3, 5), pair(2, -4)
	tests := []struct {
		name   string
		model  *onnxpb.ModelProto
		inputs []tensor.Tensor
		want   [][]float32
	}{
		{"Mul(x, x) reads x twice", modelOf(17, x, y, node("Mul", []string{"x", "x"}, y)), []tensor.Tensor{a}, [][]float32{{9, 25}}},
		{"Sub(x, x) reads x twice", modelOf(17, x, y, node("Sub", []string{"x", "x"}, y)), []tensor.Tensor{a}, [][]float32{{0, 0}}},
		{"Sub(a, b) keeps its order", modelOf(17, both, y, node("Sub", []string{"a", "b"}, y)), []tensor.Tensor{a, b}, [][]float32{{1, 9}}},
		{"Sub(b, a) keeps its order", modelOf(17, both, y, node("Sub", []string{"b", "a"}, y)), []tensor.Tensor{a, b}, [][]float32{{-1, -9}}},
		{"Where(c, x, x) keeps three inputs", modelOf(17, x, y,
			node("Greater", []string{"x", "x"}, []string{"c"}), node("Where", []string{"c", "x", "x"}, y)), []tensor.Tensor{b}, [][]float32{{2, -4}}},
		{"a node with two outputs", modelOf(13, x, []string{"y", "z"},
			node("Split", x, []string{"y", "z"}, ops.IntAttribute("axis", 0))), []tensor.Tensor{a}, [][]float32{{3}, {5}}},
		{"a node whose first output is left out", modelOf(17, x, []string{"i"},
			constant("k", engine.Must([]int{1}, []int64{1})), node("TopK", []string{"x", "k"}, []string{"", "j"}),
			node("Cast", []string{"j"}, []string{"i"}, ops.IntAttribute("to", int64(ops.Float32)))), []tensor.Tensor{a}, [][]float32{{1}}},
		{"an optional input that is left out", modelOf(17, x, y,
			constant("high", engine.Scalar(float32(4))), node("Clip", []string{"x", "", "high"}, y)), []tensor.Tensor{a}, [][]float32{{3, 4}}},
		{"left-out outputs do not reach left-out inputs", modelOf(17, x, y,
			constant("k", engine.Must([]int{1}, []int64{1})), constant("high", engine.Scalar(float32(4))),
			node("TopK", []string{"x", "k"}, []string{"", "j"}), node("Clip", []string{"x", "", "high"}, y)), []tensor.Tensor{a}, [][]float32{{3, 4}}},
		{"an attribute of kind INTS", modelOf(11, x, y, node("ReduceSum", x, y, ints("axes", 0))), []tensor.Tensor{a}, [][]float32{{8}}},
		{"an attribute of kind FLOAT", modelOf(17, x, y, node("LeakyRelu", x, y, ops.FloatAttribute("alpha", 0.5))), []tensor.Tensor{b}, [][]float32{{2, -2}}},
		{"an attribute of kind FLOATS", modelOf(17, x, y,
			node("Constant", nil, []string{"c"}, &onnxpb.AttributeProto{Name: proto.String("value_floats"), Type: onnxpb.AttributeProto_FLOATS.Enum(), Floats: []float32{1, 2}}),
			node("Add", []string{"x", "c"}, y)), []tensor.Tensor{a}, [][]float32{{4, 7}}},
		{"an attribute of kind STRING", modelOf(20, x, y, node("Gelu", x, y, ops.StringAttribute("approximate", "tanh"))), []tensor.Tensor{pair(0, 100)}, [][]float32{{0, 100}}},
		{"two Constant nodes without names", modelOf(17, x, y,
			constant("p", engine.Scalar(float32(10))), constant("q", engine.Scalar(float32(1))),
			node("Mul", []string{"x", "p"}, []string{"xp"}), node("Sub", []string{"xp", "q"}, y)), []tensor.Tensor{a}, [][]float32{{29, 49}}},
		{"an input that is also an output", modelOf(17, x, []string{"x", "y"}, node("Neg", x, y)), []tensor.Tensor{a}, [][]float32{{3, 5}, {-3, -5}}},
		{"an output that another node reads", modelOf(17, x, []string{"y", "z"},
			node("Neg", x, y), node("Mul", []string{"y", "x"}, []string{"z"})), []tensor.Tensor{a}, [][]float32{{-3, -5}, {-9, -25}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			data := bytesOf(t, test.model)
			opset := int(test.model.OpsetImport[0].GetVersion())
			for i, got := range decodeAndRun(t, onnxgo.NewBackend(opset), data, test.inputs) {
				equal(t, got, test.want[i])
			}
			byName := map[string]tensor.Tensor{}
			for i, in := range test.model.Graph.Input {
				byName[in.GetName()] = test.inputs[i]
			}
			out, err := onnxgo.Run(data, byName)
			if err != nil {
				t.Fatal(err)
			}
			for i, o := range test.model.Graph.Output {
				equal(t, out[o.GetName()], test.want[i])
			}
		})
	}
}

func equal(t *testing.T, got tensor.Tensor, want []float32) {
	t.Helper()
	if got == nil {
		t.Fatalf("there is no result, want %v", want)
	}
	numbers := numbersOf(t, got)
	if len(numbers) != len(want) {
		t.Fatalf("got %v, want %v", numbers, want)
	}
	for i, w := range want {
		if d := math.Abs(numbers[i] - float64(w)); !(d <= 1e-6) {
			t.Errorf("got %v, want %v", numbers, want)
		}
	}
}

func TestTheOpsetDecidesWhatAnOperatorMeans(t *testing.T) {
	softmax := func(opset int64) []byte {
		m := modelOf(opset, []string{"x"}, []string{"y"}, node("Softmax", []string{"x"}, []string{"y"}))
		m.Graph.Input[0] = ops.ValueInfo("x", ops.Float32, shape(1, 2, 2))
		return bytesOf(t, m)
	}
	zeros := func() []tensor.Tensor { return []tensor.Tensor{floats([]int{1, 2, 2}, 0, 0, 0, 0)} }
	equal(t, decodeAndRun(t, onnxgo.NewBackend(11), softmax(11), zeros())[0], []float32{0.25, 0.25, 0.25, 0.25})
	equal(t, decodeAndRun(t, onnxgo.NewBackend(13), softmax(13), zeros())[0], []float32{0.5, 0.5, 0.5, 0.5})
	out, err := onnxgo.Run(softmax(11), map[string]tensor.Tensor{"x": zeros()[0]})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, out["y"], []float32{0.25, 0.25, 0.25, 0.25})
}

func TestInitializers(t *testing.T) {
	m := modelOf(17, []string{"x"}, []string{"y"}, node("Add", []string{"x", "w"}, []string{"y"}))
	m.Graph.Initializer = []*onnxpb.TensorProto{engine.ToProto("w", engine.Must([]int{2}, []float32{0, 0}))}
	equal(t, decodeAndRun(t, onnxgo.NewBackend(17), bytesOf(t, m), []tensor.Tensor{pair(1, 2)})[0], []float32{1, 2})

	// As models of IR version 3 do, w comes first among the inputs.
	m.Graph.Input = append([]*onnxpb.ValueInfoProto{ops.ValueInfo("w", ops.Float32, shape(2))}, m.Graph.Input...)
	data := bytesOf(t, m)
	model, backend, err := onnxgo.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(model.SetInput(0, pair(3, 4)), backend.Run()); err != nil {
		t.Fatal(err)
	}
	outputs, err := model.GetOutputTensors()
	if err != nil {
		t.Fatal(err)
	}
	equal(t, outputs[0], []float32{3, 4})

	out, err := onnxgo.Run(data, map[string]tensor.Tensor{"x": pair(3, 4), "w": pair(1, 1)})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, out["y"], []float32{4, 5})
}

func TestDecodeTakesConstantsThatOnnxGoCannotRead(t *testing.T) {
	mask := engine.Must([]int{2}, []bool{true, false})
	tests := map[string]*onnxpb.ModelProto{
		"a bool Constant": modelOf(17, []string{"x"}, []string{"y"}, constant("m", mask),
			node("Neg", []string{"x"}, []string{"n"}), node("Where", []string{"m", "x", "n"}, []string{"y"})),
		"a bool initializer": modelOf(17, []string{"x"}, []string{"y"},
			node("Neg", []string{"x"}, []string{"n"}), node("Where", []string{"m", "x", "n"}, []string{"y"})),
		"a constant without elements": modelOf(17, []string{"x"}, []string{"y"},
			constant("e", engine.Must([]int{0}, []float32{})), constant("one", engine.Must([]int{2}, []float32{1, -1})),
			node("Mul", []string{"x", "one"}, []string{"p"}), node("Concat", []string{"p", "e"}, []string{"y"}, ops.IntAttribute("axis", 0))),
	}
	tests["a bool initializer"].Graph.Initializer = []*onnxpb.TensorProto{engine.ToProto("m", mask)}
	for name, m := range tests {
		t.Run(name, func(t *testing.T) {
			out, err := onnxgo.Run(bytesOf(t, m), map[string]tensor.Tensor{"x": pair(1, 2)})
			if err != nil {
				t.Fatal(err)
			}
			equal(t, out["y"], []float32{1, -2})
		})
	}
}

func TestRunAgainUsesTheNewInputs(t *testing.T) {
	data := bytesOf(t, modelOf(17, []string{"x"}, []string{"y"}, node("Neg", []string{"x"}, []string{"y"})))
	model, backend, err := onnxgo.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []float32{1, 2, 3} {
		if err := errors.Join(model.SetInput(0, pair(x, x)), backend.Run()); err != nil {
			t.Fatal(err)
		}
		outputs, err := model.GetOutputTensors()
		if err != nil {
			t.Fatal(err)
		}
		equal(t, outputs[0], []float32{-x, -x})
	}
}

func TestTensorsAreCopied(t *testing.T) {
	data := bytesOf(t, modelOf(17, []string{"x"}, []string{"x", "y"}, node("Identity", []string{"x"}, []string{"y"})))
	model, backend, err := onnxgo.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	in := pair(1, 2)
	if err := model.SetInput(0, in); err != nil {
		t.Fatal(err)
	}
	in.Data().([]float32)[0] = 99
	if err := backend.Run(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		outputs, err := model.GetOutputTensors()
		if err != nil {
			t.Fatal(err)
		}
		for _, out := range outputs {
			equal(t, out, []float32{1, 2})
			out.Data().([]float32)[0] = 99
		}
	}
}

func TestOutputsAreNilUntilRun(t *testing.T) {
	data := bytesOf(t, modelOf(17, []string{"x"}, []string{"y"}, node("Neg", []string{"x"}, []string{"y"})))
	model := onnx.NewModel(onnxgo.NewBackend(17))
	if err := model.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	outputs, err := model.GetOutputTensors()
	if err != nil || len(outputs) != 1 || outputs[0] != nil {
		t.Errorf("got %v, %v before Run, want one nil tensor", outputs, err)
	}
}

func TestGraph(t *testing.T) {
	backend := onnxgo.NewBackend(17)
	data := bytesOf(t, modelOf(17, []string{"x"}, []string{"z"},
		node("Neg", []string{"x"}, []string{"y"}), node("Sub", []string{"x", "y"}, []string{"z"})))
	model := onnx.NewModel(backend)
	if err := model.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	id := map[string]int64{}
	for _, name := range []string{"x", "y", "z"} {
		n, ok := model.GetNodeByName(name)
		if !ok {
			t.Fatalf("there is no node %q", name)
		}
		id[name] = n.ID()
	}
	tests := []struct {
		what string
		got  graph.Nodes
		want []string
	}{
		{"Nodes", backend.Nodes(), []string{"x", "z", "y"}},
		{"From(z)", backend.From(id["z"]), []string{"x", "y"}},
		{"From(x)", backend.From(id["x"]), nil},
		{"To(x)", backend.To(id["x"]), []string{"z", "y"}},
	}
	for _, test := range tests {
		var names []string
		for test.got.Next() {
			names = append(names, test.got.Node().(onnx.Namer).GetName())
		}
		if !slices.Equal(names, test.want) {
			t.Errorf("%s: got %v, want %v", test.what, names, test.want)
		}
	}
	if backend.HasEdgeFromTo(id["x"], id["z"]) || !backend.HasEdgeFromTo(id["z"], id["x"]) || !backend.HasEdgeBetween(id["x"], id["z"]) {
		t.Error("the edge from z to x is not there, or points the other way")
	}
	if backend.Node(99) != nil || backend.Edge(id["x"], id["z"]) != nil {
		t.Error("got a node or an edge that is not there")
	}
	if w := backend.Edge(id["z"], id["y"]).(graph.WeightedEdge).Weight(); w != 1 {
		t.Errorf("the edge to the second input has weight %v, want 1", w)
	}
}

// foreign is a node of somebody else's graph.
type foreign struct{}

func (foreign) ID() int64 { return 7 }

func TestErrors(t *testing.T) {
	one, two := []string{"x"}, []string{"y"}
	neg := node("Neg", one, two)
	branch := &onnxpb.AttributeProto{Name: proto.String("then_branch"), Type: onnxpb.AttributeProto_GRAPH.Enum(), G: &onnxpb.GraphProto{}}
	untyped := &onnxpb.AttributeProto{Name: proto.String("alpha"), F: proto.Float32(1)}
	custom := node("SigmoidFocalLoss", one, two)
	custom.Domain = proto.String("ai.onnxloss")
	function := modelOf(17, one, two, neg)
	function.Functions = []*onnxpb.FunctionProto{{Name: proto.String("F")}}
	half := modelOf(17, one, two, neg)
	half.Graph.Input[0] = ops.ValueInfo("x", ops.Float16, shape(2))
	noOpset := modelOf(17, one, two, neg)
	noOpset.OpsetImport = nil
	empty := modelOf(17, one, two, neg)
	empty.Graph.Input[0] = ops.ValueInfo("x", ops.Float32, shape(0))
	inputs := map[string]tensor.Tensor{"x": pair(1, 2)}
	tests := []struct {
		name   string
		model  *onnxpb.ModelProto
		inputs map[string]tensor.Tensor
		want   string
	}{
		{"no graph", &onnxpb.ModelProto{OpsetImport: imports(17)}, inputs, "Graph is nil"},
		{"no opset", noOpset, inputs, "does not import the standard operators"},
		{"a function", function, inputs, "export the loss with form graph"},
		{"another domain", modelOf(17, one, two, custom), inputs, `domain "ai.onnxloss"`},
		{"an unknown operator", modelOf(17, one, two, node("Nonsense", one, two)), inputs, "Nonsense not implemented"},
		{"a subgraph", modelOf(17, one, two, node("If", one, two, branch)), inputs, "GRAPH not handled"},
		{"an attribute without a type", modelOf(17, one, two, node("LeakyRelu", one, two, untyped)), inputs, "of which type"},
		{"an attribute that the operator lacks", modelOf(17, one, two, node("Neg", one, two, ops.IntAttribute("axis", 1))), inputs, `"axis"`},
		{"a half type", half, inputs, "FLOAT16"},
		{"a shape that onnx-go panics on", empty, inputs, "onnx-go cannot decode"},
		{"a name made twice", modelOf(17, one, two, neg, neg), inputs, "made already"},
		{"an input that is not given", modelOf(17, one, two, neg), nil, `input "x" holds no tensor`},
		{"an input that is not given but is an output", modelOf(17, one, []string{"y", "x"}, neg), nil, `input "x" holds no tensor`},
		{"an input that is nil", modelOf(17, one, two, neg), map[string]tensor.Tensor{"x": nil}, "it is nil"},
		{"an input that the model lacks", modelOf(17, one, two, neg), map[string]tensor.Tensor{"q": pair(1, 2)}, `no input "q"`},
		{"an input that a node makes", modelOf(17, one, two, neg), map[string]tensor.Tensor{"y": pair(1, 2)}, `no input "y"`},
		{"a tensor that nothing makes", modelOf(17, one, two, node("Add", []string{"x", "q"}, two)), inputs, `input "q" holds no tensor`},
		{
			"shapes that do not fit", modelOf(17, []string{"x", "z"}, two, node("Add", []string{"x", "z"}, two)),
			map[string]tensor.Tensor{"x": pair(1, 2), "z": floats([]int{3}, 1, 2, 3)},
			`Add making "y"`,
		},
		{"a node without outputs", modelOf(17, one, two, node("Neg", one, nil)), inputs, "no outputs"},
		{"a node without inputs that needs one", modelOf(17, one, two, node("Neg", nil, two)), inputs, `Neg making "y"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := onnxgo.Run(bytesOf(t, test.model), test.inputs)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
	if _, _, err := onnxgo.Decode([]byte("nonsense")); err == nil {
		t.Error("Decode takes bytes that are not a model")
	}
}

// A fault in Run would end the test by its panic.
func TestBrokenModelsDoNotPanic(t *testing.T) {
	whole := bytesOf(t, modelOf(13, []string{"a", "b"}, []string{"y", "z"},
		constant("k", engine.Must([]int{2}, []float32{1, 2})), constant("m", engine.Must([]int{2}, []bool{true, false})),
		node("Sub", []string{"a", "b"}, []string{"d"}), node("Where", []string{"m", "d", "k"}, []string{"w"}),
		node("ReduceMean", []string{"w"}, []string{"y"}, ints("axes", 0)), node("Mul", []string{"w", "w"}, []string{"z"})))
	inputs := map[string]tensor.Tensor{"a": pair(1, 2), "b": pair(3, 4)}
	if _, err := onnxgo.Run(whole, inputs); err != nil {
		t.Fatal(err)
	}
	failed := 0
	for i := range whole {
		for _, x := range []byte{0x01, 0x10, 0x80, 0xff} {
			broken := slices.Clone(whole)
			broken[i] ^= x
			if _, err := onnxgo.Run(broken, inputs); err != nil {
				failed++
			}
		}
		if _, err := onnxgo.Run(whole[:i], inputs); err != nil {
			failed++
		}
	}
	if failed < len(whole) {
		t.Errorf("only %d of %d broken models are errors", failed, 5*len(whole))
	}
}

func imports(version int64) []*onnxpb.OperatorSetIdProto {
	return []*onnxpb.OperatorSetIdProto{{Version: &version}}
}

func TestInputsThatAreNotSetAreAnError(t *testing.T) {
	m := modelOf(17, []string{"x", "w"}, []string{"y"}, node("Mul", []string{"x", "w"}, []string{"y"}))
	backend := onnxgo.NewBackend(17)
	model := onnx.NewModel(backend)
	if err := model.UnmarshalBinary(bytesOf(t, m)); err != nil {
		t.Fatal(err)
	}
	if err := model.SetInput(0, pair(1, 2)); err != nil {
		t.Fatal(err)
	}
	if err := backend.Run(); err == nil || !strings.Contains(err.Error(), `"w" holds no tensor`) {
		t.Errorf("got %v, want an error that names w", err)
	}
}

func TestUnsupportedIsOnnxGosErrorForThat(t *testing.T) {
	var missing *onnx.ErrNotImplemented
	model := onnx.NewModel(onnxgo.NewBackend(17))
	err := model.UnmarshalBinary(bytesOf(t, modelOf(17, []string{"x"}, []string{"y"}, node("Nonsense", []string{"x"}, []string{"y"}))))
	if missing, _ = err.(*onnx.ErrNotImplemented); missing == nil || missing.Operator != "Nonsense" {
		t.Errorf("got %v (%T), want an *onnx.ErrNotImplemented for Nonsense", err, err)
	}
	_, err = onnxgo.Run(bytesOf(t, modelOf(17, []string{"x"}, []string{"y"}, node("BitwiseNot", []string{"x"}, []string{"y"}))), map[string]tensor.Tensor{"x": pair(1, 2)})
	if !errors.As(err, &missing) {
		t.Errorf("got %v (%T), want an *onnx.ErrNotImplemented", err, err)
	}
}

func TestMisuseIsAnErrorOfTheNextCall(t *testing.T) {
	twice := func(b *onnxgo.Backend) {
		n := b.NewNode()
		b.AddNode(n)
		b.AddNode(n)
	}
	tests := map[string]struct {
		misuse func(*onnxgo.Backend)
		want   string
	}{
		"a foreign node":           {func(b *onnxgo.Backend) { b.AddNode(foreign{}) }, "did not make"},
		"a node of another":        {func(b *onnxgo.Backend) { b.AddNode(onnxgo.NewBackend(17).NewNode()) }, "did not make"},
		"a node twice":             {twice, "twice"},
		"an edge without a node":   {func(b *onnxgo.Backend) { b.SetWeightedEdge(b.NewWeightedEdge(b.NewNode(), nil, 0)) }, "lacks a node"},
		"an edge to a foreign one": {func(b *onnxgo.Backend) { b.SetWeightedEdge(b.NewWeightedEdge(b.NewNode(), foreign{}, 0)) }, "did not make"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			backend := onnxgo.NewBackend(17)
			test.misuse(backend)
			if err := backend.Run(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Run: got %v, want an error with %q", err, test.want)
			}
			if err := backend.ApplyOperation(onnx.Operation{Name: "Neg"}, backend.NewNode()); err == nil {
				t.Error("ApplyOperation takes a broken graph")
			}
		})
	}
}

func TestWeightsNumberTheInputs(t *testing.T) {
	for _, weights := range [][]float64{{0, 0}, {0, 2}, {1, 2}, {0, 0.5}, {0, -1}, {0, math.NaN()}, {0, math.Inf(1)}} {
		backend := onnxgo.NewBackend(17)
		x, y := backend.NewNode(), backend.NewNode()
		for _, w := range weights {
			backend.SetWeightedEdge(backend.NewWeightedEdge(y, x, w))
		}
		err := backend.ApplyOperation(onnx.Operation{Name: "Add"}, y)
		if err == nil || !strings.Contains(err.Error(), "weights") {
			t.Errorf("weights %v: got %v, want an error", weights, err)
		}
	}
}
