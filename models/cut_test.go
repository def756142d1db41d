package models_test

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/nodetests"
	"github.com/onnxloss/onnxloss/internal/npy"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

func cut(t testing.TB, m *models.Model, layers ...string) *models.Model {
	t.Helper()
	c, err := m.Cut(layers...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// samples reads the first few samples of a .npy file of float32.
func samples(t testing.TB, file string) engine.Tensor {
	t.Helper()
	all, err := npy.Read("../testdata/models/" + file + ".npy")
	if err != nil {
		t.Fatal(err)
	}
	const count = 4
	shape := slices.Clone(all.Shape())
	data := engine.Data[float32](all)[:all.Len()/shape[0]*count]
	shape[0] = count
	return engine.Must(shape, data)
}

func TestCutComputesWhatTheNetworkComputes(t *testing.T) {
	for _, test := range []struct{ file, data string }{
		{"digits_cnn", "digits_images"}, {"unet", "unet_images"}, {"gan_generator", "gan_z"}, {"superres", "superres_low"}, {"detector", "detector_images"},
	} {
		t.Run(test.file, func(t *testing.T) {
			m := open(t, "../testdata/models/"+test.file+".onnx")
			before := proto.CloneOf(m.Proto)
			inputs := map[string]engine.Tensor{m.Inputs()[0].Name: samples(t, test.data)}
			all := everywhere(t, m)
			want := run(t, all, inputs)
			for _, layer := range outputNames(all) {
				c := cut(t, m, layer)
				wantSame(t, layer, run(t, c, inputs)[layer], want[layer])
				for _, n := range c.Proto.Graph.Node {
					if n.GetName() == "" {
						t.Errorf("%s: a node has lost its name", layer)
					}
				}
			}
			c := cut(t, m, outputNames(all)...)
			got := run(t, c, inputs)
			for _, layer := range outputNames(all) {
				wantSame(t, layer, got[layer], want[layer])
			}
			if !proto.Equal(m.Proto, before) {
				t.Error("the network has changed")
			}
		})
	}
}

func TestCutKeepsOnlyWhatIsNeeded(t *testing.T) {
	m := open(t, "../testdata/models/digits_cnn.onnx")
	c := cut(t, m, "/Relu_output_0", "/c1/Conv_output_0")
	if got, want := nodeOps(c), "Conv Relu"; got != want {
		t.Errorf("nodes are %s, want %s", got, want)
	}
	if got, want := outputNames(c), []string{"/Relu_output_0", "/c1/Conv_output_0"}; !reflect.DeepEqual(got, want) {
		t.Errorf("outputs are %v, want %v", got, want)
	}
	for _, out := range c.Outputs() {
		if got, want := out.DType.String()+out.Shape.String(), "float32[N,16,8,8]"; got != want {
			t.Errorf("output %s is %s, want %s", out.Name, got, want)
		}
	}
	if got := len(c.Proto.Graph.Initializer); got != 2 {
		t.Errorf("%d initializers, want a weight and a bias", got)
	}
	for _, info := range c.Proto.Graph.ValueInfo {
		t.Errorf("%s is described beside its output", info.GetName())
	}
}

func TestCutOfANetworkWhoseWeightsNodesMake(t *testing.T) {
	m := open(t, nodetests.Shared(t, "models/light/light_vgg19.onnx"))
	c := cut(t, m, "r1")
	image := ramp([]int{1, 3, 224, 224}, -1, 0.01)
	outputs := run(t, c, map[string]engine.Tensor{"data_0": image})
	if got, want := outputs["r1"].String(), "float32[1,64,224,224]"; got != want {
		t.Errorf("r1 is %s, want %s", got, want)
	}
	if got, want := nodeOps(c), "ConstantOfShape Conv Relu"; got != want {
		t.Errorf("nodes are %s, want %s", got, want)
	}
	if got, want := inputNames(c), []string{"data_0"}; !reflect.DeepEqual(got, want) {
		t.Errorf("inputs are %v, want %v", got, want)
	}
	g := c.Proto.Graph
	if len(g.Initializer) != 2 || len(g.Input) != 3 { // IR 3: an initializer is an input too
		t.Errorf("%d initializers and %d inputs, want 2 and 3", len(g.Initializer), len(g.Input))
	}
}

func TestCutSharesTheWeightsAndNothingElse(t *testing.T) {
	m := &models.Model{Proto: small(weight())}
	c := cut(t, m, "1")
	ours, theirs := c.Proto.Graph.Initializer[0], m.Proto.Graph.Initializer[0]
	if &ours.RawData[0] != &theirs.RawData[0] {
		t.Error("the weight's bytes were copied")
	}
	before := proto.CloneOf(m.Proto)
	ours.RawData, ours.Dims, ours.Name = nil, nil, proto.String("other")
	c.Proto.Graph.Node[0].Input[0] = "other"
	c.Proto.Graph.Input[0].Name = proto.String("other")
	c.Proto.OpsetImport[0].Version = proto.Int64(99)
	if !proto.Equal(m.Proto, before) {
		t.Error("a change of the part changed the network")
	}
}

// choice is y = If(mean(x) > 0) then relu(x) * w else h, where h is x + w.
func choice() *onnxpb.ModelProto {
	branch := func(nodes ...*onnxpb.NodeProto) *onnxpb.GraphProto {
		out := nodes[len(nodes)-1].Output[0]
		return &onnxpb.GraphProto{Name: &out, Node: nodes, Output: []*onnxpb.ValueInfoProto{ops.ValueInfo(out, ops.Float32, nil)}}
	}
	p := network(
		node("Add x w -> h"),
		node("Neg x -> unused"),
		node("ReduceMean x -> mean", ops.IntAttribute("keepdims", 0)),
		node("Greater mean zero -> positive"),
		node("If positive -> chosen",
			graphAttribute("then_branch", branch(node("Relu x -> r"), node("Mul r w -> product"))),
			graphAttribute("else_branch", branch(node("Identity h -> same")))),
		node("Tanh chosen -> y"),
	)
	p.Graph.Initializer = []*onnxpb.TensorProto{initializer("w", []int{2}, 2, float32(3)), initializer("zero", nil, float32(0))}
	return p
}

var choiceInputs = []engine.Tensor{
	engine.Must([]int{2, 2}, []float32{1, 2, -3, 4}), engine.Must([]int{2, 2}, []float32{1, -2, -3, 1}),
}

func TestCutKeepsWhatSubgraphsCapture(t *testing.T) {
	m := &models.Model{Proto: choice()}
	c := cut(t, m, "chosen")
	if got, want := nodeOps(c), "Add ReduceMean Greater If"; got != want {
		t.Errorf("nodes are %s, want %s", got, want)
	}
	for _, x := range choiceInputs {
		inputs := map[string]engine.Tensor{"x": x}
		wantSame(t, "chosen", run(t, c, inputs)["chosen"], run(t, everywhereIn(m, "chosen"), inputs)["chosen"])
	}
}

// everywhereIn gives a copy of a model with one tensor as its output.
func everywhereIn(m *models.Model, name string) *models.Model {
	p := proto.CloneOf(m.Proto)
	p.Graph.Output = []*onnxpb.ValueInfoProto{ops.ValueInfo(name, ops.Float32, nil)}
	return &models.Model{Proto: p}
}

// withFunctions calls test.Outer, which calls test.Inner; test.Other is called
// later.
func withFunctions() *onnxpb.ModelProto {
	call := func(text string) *onnxpb.NodeProto {
		n := node(text)
		n.Domain = proto.String("test")
		return n
	}
	p := network(call("Outer x -> h"), call("Other h -> y"))
	p.OpsetImport = append(p.OpsetImport,
		&onnxpb.OperatorSetIdProto{Domain: proto.String("test"), Version: proto.Int64(1)},
		&onnxpb.OperatorSetIdProto{Domain: proto.String("elsewhere"), Version: proto.Int64(1)})
	for name, body := range map[string]*onnxpb.NodeProto{"Inner": node("Neg a -> b"), "Other": node("Tanh a -> b"), "Outer": call("Inner a -> b")} {
		p.Functions = append(p.Functions, &onnxpb.FunctionProto{
			Domain: proto.String("test"), Name: proto.String(name), Input: []string{"a"}, Output: []string{"b"}, Node: []*onnxpb.NodeProto{body}, OpsetImport: p.OpsetImport[:2],
		})
	}
	slices.SortFunc(p.Functions, func(a, b *onnxpb.FunctionProto) int { return bytes.Compare([]byte(a.GetName()), []byte(b.GetName())) })
	return p
}

func functionNames(m *models.Model) []string {
	var names []string
	for _, f := range m.Proto.Functions {
		names = append(names, f.GetName())
	}
	return names
}

func TestCutKeepsTheFunctionsThatAreCalled(t *testing.T) {
	c := cut(t, &models.Model{Proto: withFunctions()}, "h")
	if got, want := functionNames(c), []string{"Inner", "Outer"}; !reflect.DeepEqual(got, want) {
		t.Errorf("functions are %v, want %v", got, want)
	}
	if got := len(c.Proto.OpsetImport); got != 2 {
		t.Errorf("%d operator sets, want the standard's and the functions'", got)
	}
	x := choiceInputs[0]
	wantSame(t, "h", run(t, c, map[string]engine.Tensor{"x": x})["h"], engine.Must([]int{2, 2}, []float32{-1, -2, 3, -4}))
}

func TestCutLeavesOutWhatTheFileSaysOfTheWhole(t *testing.T) {
	p := small(weight())
	entry := func(key string) *onnxpb.StringStringEntryProto {
		return &onnxpb.StringStringEntryProto{Key: &key, Value: proto.String("v")}
	}
	p.MetadataProps = []*onnxpb.StringStringEntryProto{entry("author"), entry("onnxloss.loss")}
	c := cut(t, &models.Model{Proto: p}, "1")
	if got := c.Proto.MetadataProps; len(got) != 1 || got[0].GetKey() != "author" {
		t.Errorf("metadata are %v", got)
	}
}

func TestCutLeavesExternalDataWhereTheyAre(t *testing.T) {
	m := folder(t, small(apart("data", "4", "8")))
	c := cut(t, m, "1")
	if got := c.Proto.Graph.Initializer[0]; got.RawData != nil || len(got.ExternalData) != 3 {
		t.Errorf("the initializer is %v", got)
	}
	beside := filepath.Join(filepath.Dir(m.Path), "cut.onnx")
	if err := c.Save(beside); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(beside); err != nil || !bytes.Contains(data, []byte("location")) {
		t.Errorf("the data were put into the file: %v", err)
	}
	elsewhere := filepath.Join(t.TempDir(), "cut.onnx")
	if err := c.Save(elsewhere); err != nil {
		t.Fatal(err)
	}
	x := engine.Must([]int{1, 2}, []float32{3, 5})
	got := run(t, open(t, elsewhere), map[string]engine.Tensor{"x": x})["1"]
	wantSame(t, "1", got, engine.Must([]int{1, 2}, []float32{3, 10}))
	if err := c.LoadExternal(); err != nil {
		t.Fatal(err)
	}
	if m.Proto.Graph.Initializer[0].RawData != nil {
		t.Error("loading the part's data loaded the network's")
	}
}

func TestCutRefusesWithAReason(t *testing.T) {
	digits := open(t, "../testdata/models/digits_cnn.onnx")
	custom := &models.Model{Proto: network(node("Elsewhere x -> h"), node("Relu h -> y"))}
	for name, test := range map[string]struct {
		model  *models.Model
		layers []string
		says   string
	}{
		"nothing named":     {digits, nil, "models: cut: no layer is named; name at least one tensor"},
		"a slip":            {digits, []string{"/relu_output_0"}, `there is no tensor "/relu_output_0"; did you mean "/Relu_output_0"?`},
		"a part":            {digits, []string{"Relu_2"}, `did you mean "/Relu_2_output_0"?`},
		"something else":    {digits, []string{"relu3_3"}, `there is no tensor "relu3_3"; the layers are /c1/Conv_output_0, /Relu_output_0, `},
		"an empty name":     {digits, []string{""}, `there is no tensor ""`},
		"twice":             {digits, []string{"logits", "logits"}, `"logits" is named twice`},
		"an input":          {digits, []string{"image"}, `"image" is an input or an initializer`},
		"an initializer":    {digits, []string{"c1.weight"}, `"c1.weight" is an input or an initializer`},
		"of unknown type":   {custom, []string{"h"}, `the element type of "h", which operator Elsewhere makes, is not known`},
		"without a network": {&models.Model{Proto: new(onnxpb.ModelProto)}, []string{"h"}, `there is no tensor "h"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := test.model.Cut(test.layers...)
			wantError(t, err, "models: cut: ", test.says)
		})
	}
}
