package models_test

import (
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/nodetests"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

func twin(t testing.TB, m *models.Model, copies ...string) *models.Model {
	t.Helper()
	both, err := models.Twin(m, copies...)
	if err != nil {
		t.Fatal(err)
	}
	return both
}

// wantTwin proves that each copy of a network gives what the network gives.
func wantTwin(t *testing.T, m *models.Model, inputs map[string]engine.Tensor, copies ...string) *models.Model {
	t.Helper()
	before := proto.CloneOf(m.Proto)
	both := twin(t, m, copies...)
	name := m.Inputs()[0].Name
	renamed := map[string]engine.Tensor{}
	for _, c := range copies {
		renamed[c+"/"+name] = inputs[c]
	}
	got := run(t, both, renamed)
	if len(got) != len(copies)*len(m.Outputs()) {
		t.Errorf("%d outputs from %d copies of a network with %d", len(got), len(copies), len(m.Outputs()))
	}
	for _, c := range copies {
		for output, want := range run(t, m, map[string]engine.Tensor{name: inputs[c]}) {
			wantSame(t, c+"/"+output, got[c+"/"+output], want)
		}
	}
	if !proto.Equal(m.Proto, before) {
		t.Error("the network has changed")
	}
	return both
}

func TestTwinGivesWhatTheNetworkGives(t *testing.T) {
	digits := everywhere(t, open(t, "../testdata/models/digits_cnn.onnx"))
	images := samples(t, "digits_images")
	both := wantTwin(t, digits, map[string]engine.Tensor{
		"prediction": images, "target": ramp(images.Shape(), 0, 0.003), "style": ramp([]int{4, 1, 8, 8}, 1, -0.003),
	}, "prediction", "target", "style")
	if got, want := len(both.Proto.Graph.Initializer), len(digits.Proto.Graph.Initializer); got != want {
		t.Errorf("%d initializers, the network has %d", got, want)
	}
	if got, want := inputNames(both), []string{"prediction/image", "target/image", "style/image"}; !reflect.DeepEqual(got, want) {
		t.Errorf("inputs are %v, want %v", got, want)
	}
	one, err := digits.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	three, err := both.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if most := len(one) + 12_000; len(three) > most { // 160 kB of weights
		t.Errorf("the network is %d bytes, three copies are %d", len(one), len(three))
	}
	if &both.Proto.Graph.Initializer[0].RawData[0] != &digits.Proto.Graph.Initializer[0].RawData[0] {
		t.Error("the weights were copied")
	}
}

func TestTwinSharesWeightsThatNodesMake(t *testing.T) {
	m := cut(t, open(t, nodetests.Shared(t, "models/light/light_vgg19.onnx")), "r1")
	shape := []int{1, 3, 224, 224}
	both := wantTwin(t, m, map[string]engine.Tensor{"a": ramp(shape, -1, 0.01), "b": ramp(shape, 1, -0.01)}, "a", "b")
	if got, want := nodeOps(both), "ConstantOfShape Conv Relu Conv Relu"; got != want {
		t.Errorf("nodes are %s, want %s", got, want)
	}
	if got, want := len(both.Proto.Graph.Input), 2+2; got != want { // IR 3: an initializer is an input too
		t.Errorf("%d inputs, want %d", got, want)
	}
}

func TestTwinOfWholeNetworksWhoseWeightsNodesMake(t *testing.T) {
	if testing.Short() {
		t.Skip("this takes some seconds")
	}
	m := open(t, nodetests.Shared(t, "models/light/light_squeezenet.onnx"))
	shape := []int{1, 3, 224, 224}
	wantTwin(t, m, map[string]engine.Tensor{"a": ramp(shape, -1, 0.01), "b": ramp(shape, 1, -0.01)}, "a", "b")
}

func TestTwinRenamesInSubgraphs(t *testing.T) {
	inputs := map[string]engine.Tensor{"a": choiceInputs[0], "b": choiceInputs[1]}
	wantTwin(t, &models.Model{Proto: choice()}, inputs, "a", "b")
	wantTwin(t, &models.Model{Proto: choice()}, map[string]engine.Tensor{"a": choiceInputs[1], "b": choiceInputs[0]}, "a", "b")
}

func TestTwinKeepsFunctionsOnce(t *testing.T) {
	m := &models.Model{Proto: withFunctions()}
	both := wantTwin(t, m, map[string]engine.Tensor{"a": choiceInputs[0], "b": choiceInputs[1]}, "a", "b")
	if got, want := functionNames(both), []string{"Inner", "Other", "Outer"}; !reflect.DeepEqual(got, want) {
		t.Errorf("functions are %v, want %v", got, want)
	}
}

// What the copies need for themselves is taken by shared tensors and nodes, and the
// outputs are the input, an initializer and a constant.
func TestTwinKeepsItsPromiseOfNames(t *testing.T) {
	p := network(
		node("Constant -> a/h", ops.FloatAttribute("value_float", 2)),
		node("Mul x a/x -> h"),
		node("Add h a/h -> a/y"),
		node("Sub a/y b/y -> y"),
	)
	for i, name := range []string{"a/n", "n", "", ""} {
		p.Graph.Node[i].Name = &name
	}
	p.Graph.Initializer = []*onnxpb.TensorProto{initializer("a/x", []int{2}, 5, float32(7)), initializer("b/y", []int{1}, float32(9))}
	scalar := ops.Shape{}
	p.Graph.Output = append(p.Graph.Output, p.Graph.Input[0], ops.ValueInfo("a/h", ops.Float32, scalar), ops.ValueInfo("a/x", ops.Float32, shape(t, "2")))
	both := wantTwin(t, &models.Model{Proto: p}, map[string]engine.Tensor{"a": choiceInputs[0], "b": choiceInputs[1]}, "a", "b")
	want := []string{"a/y", "a/x", "a/a/h", "a/a/x", "b/y", "b/x", "b/a/h", "b/a/x"}
	if got := outputNames(both); !reflect.DeepEqual(got, want) {
		t.Errorf("outputs are %v, want %v", got, want)
	}
	seen := map[string]bool{}
	for _, n := range both.Proto.Graph.Node {
		if n.GetName() != "" && seen[n.GetName()] {
			t.Errorf("two nodes are named %s", n.GetName())
		}
		seen[n.GetName()] = true
	}
}

// annotated is a network with a sparse weight, described tensors, and a note on the
// quantization of h, whose scale a node reads.
func annotated() *onnxpb.ModelProto {
	p := network(node("Mul x s -> h"), node("MatMul h w -> y"))
	p.Graph.Initializer = []*onnxpb.TensorProto{initializer("s", nil, float32(2))}
	p.Graph.SparseInitializer = []*onnxpb.SparseTensorProto{{
		Values: initializer("w", []int{1}, float32(3)), Indices: initializer("", []int{1}, int64(2)), Dims: []int64{2, 2},
	}}
	p.Graph.ValueInfo = []*onnxpb.ValueInfoProto{ops.ValueInfo("h", ops.Float32, nil)}
	note := func(tensor, scale string) *onnxpb.TensorAnnotation {
		return &onnxpb.TensorAnnotation{TensorName: &tensor, QuantParameterTensorNames: []*onnxpb.StringStringEntryProto{{Key: proto.String("SCALE_TENSOR"), Value: &scale}}}
	}
	p.Graph.QuantizationAnnotation = []*onnxpb.TensorAnnotation{note("h", "s"), note("h", "unread")}
	return p
}

// notes writes annotations as "tensor:scale".
func notes(m *models.Model) []string {
	var list []string
	for _, a := range m.Proto.Graph.QuantizationAnnotation {
		list = append(list, a.GetTensorName()+":"+a.QuantParameterTensorNames[0].GetValue())
	}
	return list
}

func TestTwinRenamesWhatIsSaidOfTensors(t *testing.T) {
	both := twin(t, &models.Model{Proto: annotated()}, "a", "b")
	if got, want := notes(both), []string{"a/h:s", "a/h:a/unread", "b/h:s", "b/h:b/unread"}; !reflect.DeepEqual(got, want) {
		t.Errorf("annotations are %v, want %v", got, want)
	}
	g := both.Proto.Graph
	if len(g.SparseInitializer) != 1 || g.SparseInitializer[0].GetValues().GetName() != "w" || g.Node[1].Input[1] != "w" || g.Node[3].Input[1] != "w" {
		t.Errorf("sparse initializers are %v", g.SparseInitializer)
	}
	if len(g.ValueInfo) != 2 || g.ValueInfo[0].GetName() != "a/h" || g.ValueInfo[1].GetName() != "b/h" {
		t.Errorf("tensors described are %v", g.ValueInfo)
	}
}

func TestCutKeepsWhatIsSaidOfTensors(t *testing.T) {
	c := cut(t, &models.Model{Proto: annotated()}, "y")
	if got, want := notes(c), []string{"h:s"}; !reflect.DeepEqual(got, want) {
		t.Errorf("annotations are %v, want %v", got, want)
	}
	if got := len(cut(t, &models.Model{Proto: annotated()}, "h").Proto.Graph.SparseInitializer); got != 0 {
		t.Errorf("%d sparse initializers that are not needed", got)
	}
}

// A Loop whose body captures a weight and what was computed before, and has names of
// its own.
func TestTwinRenamesInLoops(t *testing.T) {
	info := func(name string, dtype ops.DType) *onnxpb.ValueInfoProto { return ops.ValueInfo(name, dtype, nil) }
	body := &onnxpb.GraphProto{
		Name:   proto.String("body"),
		Node:   []*onnxpb.NodeProto{node("Identity on -> still"), node("Mul state w -> scaled"), node("Add scaled h -> next")},
		Input:  []*onnxpb.ValueInfoProto{info("i", ops.Int64), info("on", ops.Bool), info("state", ops.Float32)},
		Output: []*onnxpb.ValueInfoProto{info("still", ops.Bool), info("next", ops.Float32)},
	}
	p := network(node("Neg x -> h"), node("Loop count on_ x -> z", graphAttribute("body", body)), node("Relu z -> y"))
	p.Graph.Initializer = []*onnxpb.TensorProto{initializer("w", []int{2}, 2, float32(3)), initializer("count", nil, int64(3)), initializer("on_", nil, true)}
	wantTwin(t, &models.Model{Proto: p}, map[string]engine.Tensor{"a": choiceInputs[0], "b": choiceInputs[1]}, "a", "b")
}

// A random number that the network draws is drawn by each copy, although it depends
// on no input.
func TestTwinDoesNotShareChance(t *testing.T) {
	noise := node("RandomNormal -> noise", ops.IntsAttribute("shape", []int64{2}))
	both := twin(t, &models.Model{Proto: network(noise, node("Neg noise -> n"), node("Add x n -> y"))}, "a", "b")
	if got, want := nodeOps(both), "RandomNormal Neg Add RandomNormal Neg Add"; got != want {
		t.Errorf("nodes are %s, want %s", got, want)
	}
}

func TestTwinRefusesWithAReason(t *testing.T) {
	one := func() *models.Model { return &models.Model{Proto: network(node("Relu x -> y"))} }
	two, whole, none := one(), one(), one()
	two.Proto.Graph.Input = append(two.Proto.Graph.Input, ops.ValueInfo("mask", ops.Float32, nil))
	whole.Proto.Graph.Input[0] = ops.ValueInfo("x", ops.Int64, shape(t, "N"))
	none.Proto.Graph.Input = nil
	for name, test := range map[string]struct {
		model  *models.Model
		copies []string
		says   string
	}{
		"no copy":        {one(), nil, "no copy is named"},
		"an empty name":  {one(), []string{""}, `"" cannot name a copy`},
		"a path":         {one(), []string{"a/b"}, `"a/b" cannot name a copy; use a name without "/"`},
		"a name twice":   {one(), []string{"a", "a"}, `two copies are named "a"`},
		"two inputs":     {two, []string{"a"}, "has the inputs x, mask and may have one"},
		"whole numbers":  {whole, []string{"a"}, `input "x" is int64[N], not a floating-point tensor`},
		"without inputs": {none, []string{"a"}, "has no input"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := models.Twin(test.model, test.copies...)
			wantError(t, err, "models: twin: ", test.says)
		})
	}
}

// An image whose style is wanted need not be as many or as large as the others.
func TestOwnAxesLetACopyHaveOtherSizes(t *testing.T) {
	p := network(node("Relu x -> h"), node("ReduceMean h -> y", ops.IntsAttribute("axes", []int64{0})))
	p.Graph.Input[0] = ops.ValueInfo("x", ops.Float32, shape(t, "N,C"))
	m := &models.Model{Proto: p}
	both := twin(t, m, "target", "style")
	one, three := ramp([]int{1, 5}, 1, 1), ramp([]int{3, 2}, 1, 1)
	if err := both.OwnAxes("style"); err != nil {
		t.Fatal(err)
	}
	if got := both.Inputs(); got[0].Shape.String() != "[N,C]" || got[1].Shape.String() != "[style/N,style/C]" {
		t.Errorf("inputs are %v", got)
	}
	got := run(t, both, map[string]engine.Tensor{"target/x": three, "style/x": one})
	wantSame(t, "style/y", got["style/y"], one)
	wantError(t, both.OwnAxes("prediction"), `models: own axes: the model has no copy "prediction"`)
}
