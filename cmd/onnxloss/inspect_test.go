package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/nodetests"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
)

// simple is a model of opset 17 that computes the output y from the input x.
func simple() *onnxpb.ModelProto {
	batch := ops.Shape{ops.Symbolic("N"), ops.Fixed(4)}
	return &onnxpb.ModelProto{
		IrVersion:   proto.Int64(8),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: proto.Int64(17)}},
		Graph: &onnxpb.GraphProto{
			Node:   []*onnxpb.NodeProto{{OpType: proto.String("Relu"), Input: []string{"x"}, Output: []string{"y"}}},
			Input:  []*onnxpb.ValueInfoProto{ops.ValueInfo("x", ops.Float32, batch)},
			Output: []*onnxpb.ValueInfoProto{ops.ValueInfo("y", ops.Float32, batch)},
		},
	}
}

// with changes a simple model.
func with(change func(*onnxpb.ModelProto)) *onnxpb.ModelProto {
	model := simple()
	change(model)
	return model
}

func saveProto(t *testing.T, path string, p *onnxpb.ModelProto) {
	t.Helper()
	data, err := proto.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func inspectJSON(t *testing.T, path string) (about inspection) {
	t.Helper()
	if err := json.Unmarshal([]byte(mustHold(t, "inspect", path, "--json")), &about); err != nil {
		t.Fatal(err)
	}
	return about
}

func TestInspectShowsWhatAModelConsistsOf(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, test := range map[string]struct {
		model *onnxpb.ModelProto
		want  []string
	}{
		"a simple one": {simple(), []string{
			"made by     the file does not say\n", "opset       17\n", "IR version  8\n", "nodes       1: 1×Relu\n",
			"INPUTS\n  x  float32[N,4]\n", "OUTPUTS\n  y  float32[N,4]\n", "CANDIDATES FOR A PREDICTION\n  y  float32[N,4], output\n",
		}},
		"a producer": {with(func(m *onnxpb.ModelProto) {
			m.ProducerName, m.ProducerVersion = proto.String("pytorch"), proto.String("2.5.1")
		}), []string{"made by     pytorch 2.5.1\n"}},
		"several domains": {with(func(m *onnxpb.ModelProto) {
			m.OpsetImport = append(m.OpsetImport, &onnxpb.OperatorSetIdProto{Domain: proto.String("ai.onnx.ml"), Version: proto.Int64(3)})
		}), []string{"opset       17, ai.onnx.ml 3\n"}},
		"a function": {with(func(m *onnxpb.ModelProto) {
			m.Functions = []*onnxpb.FunctionProto{{Domain: proto.String("mine"), Name: proto.String("F"), Node: m.Graph.Node}}
			m.Graph.Node = []*onnxpb.NodeProto{{Domain: proto.String("mine"), OpType: proto.String("F"), Output: []string{"y"}}}
		}), []string{"nodes       1, and 1 in subgraphs and functions: 1×Relu, 1×mine.F\n", "FUNCTIONS\n  mine.F  1 node, called by 1 node\n"}},
		"subgraphs": {with(func(m *onnxpb.ModelProto) {
			for range 2 {
				m.Graph.Node = append(m.Graph.Node, &onnxpb.NodeProto{OpType: proto.String("Loop"), Attribute: []*onnxpb.AttributeProto{
					{Name: proto.String("body"), G: &onnxpb.GraphProto{}},
				}})
			}
		}), []string{"subgraphs   2 of Loop\n"}},
		"quantization": {with(func(m *onnxpb.ModelProto) {
			m.Graph.Node[0].OpType = proto.String("QLinearConv")
		}), []string{"quantized   1×QLinearConv\n"}},
		"weights here and elsewhere": {with(func(m *onnxpb.ModelProto) {
			m.Graph.Initializer = []*onnxpb.TensorProto{tensorHere("w", 1000), tensorIn("none.bin", 5000)}
			m.Graph.Input = append(m.Graph.Input, ops.ValueInfo("w", ops.Float32, ops.Shape{ops.Fixed(1000)}))
		}), []string{
			"weights     float32: 23.4 KiB, 6,000 numbers in 2 tensors\n",
			"stored      in the model's own file: 3.9 KiB, 1,000 numbers in 1 tensor\n",
			"stored      none.bin: 19.5 KiB, 5,000 numbers in 1 tensor\n",
			"defaults    1 initializer listed among the inputs",
			"PROBLEMS\n  tensor \"none.bin\": file \"none.bin\": no such file",
		}},
		"no tensor": {with(func(m *onnxpb.ModelProto) {
			m.Graph.Output[0].Type = &onnxpb.TypeProto{Value: &onnxpb.TypeProto_SequenceType{SequenceType: &onnxpb.TypeProto_Sequence{ElemType: m.Graph.Input[0].Type}}}
		}), []string{"OUTPUTS\n  y  sequence of float32[N,4]\n"}},
		"a broken loss": {with(func(m *onnxpb.ModelProto) {
			m.MetadataProps = []*onnxpb.StringStringEntryProto{{Key: proto.String("onnxloss.loss"), Value: proto.String("NoSuchLoss")}}
		}), []string{"nodes       1: 1×Relu\n", "PROBLEMS\n  export: metadata: "}},
		"nothing but an opset": {&onnxpb.ModelProto{OpsetImport: simple().OpsetImport, Graph: &onnxpb.GraphProto{Name: proto.String("empty")}}, []string{
			"nodes       0\n", "IR version  0\n",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			saveProto(t, "m.onnx", test.model)
			page := mustHold(t, "inspect", "m.onnx")
			checkWidth(t, page)
			for _, want := range test.want {
				if !strings.Contains(page, want) {
					t.Errorf("%q is not in\n%s", want, page)
				}
			}
		})
	}
}

func tensorHere(name string, n int) *onnxpb.TensorProto {
	return &onnxpb.TensorProto{Name: &name, DataType: proto.Int32(int32(ops.Float32)), Dims: []int64{int64(n)}, RawData: make([]byte, 4*n)}
}

// tensorIn is named as the file that its numbers are in.
func tensorIn(file string, n int) *onnxpb.TensorProto {
	t := tensorHere(file, n)
	t.RawData, t.DataLocation = nil, onnxpb.TensorProto_EXTERNAL.Enum()
	t.ExternalData = []*onnxpb.StringStringEntryProto{{Key: proto.String("location"), Value: &file}}
	return t
}

func TestInspectShowsLossesWithWhatTheyAreBoundTo(t *testing.T) {
	t.Chdir(t.TempDir())
	saveProto(t, "m.onnx", simple())
	mustHold(t, "attach", "m.onnx", "sigmoid-focal", "-o", "one.onnx", "--set", "gamma=1.5", "--reduction", "sum", "--form", "function")
	page := mustHold(t, "inspect", "one.onnx")
	want := "LOSSES\n  loss  sigmoid-focal, sum, float32, form function, opset 17, gamma=1.5; bound\n        to logits=y, target=target\n"
	if !strings.Contains(page, want) {
		t.Errorf("%q is not in\n%s", want, page)
	}
	got := inspectJSON(t, "one.onnx").Losses
	if len(got) != 1 || got[0].Loss != "sigmoid-focal" || got[0].Inputs["logits"] != "y" || got[0].Params["gamma"] != 1.5 ||
		got[0].Form != export.Function || got[0].DType != "float32" || got[0].Reduction != losses.Sum || got[0].Weight != nil || !got[0].Attached {
		t.Errorf("got %+v", got)
	}
}

// The target of a cross-entropy is declared twice, for indices and for distributions.
func TestInspectShowsTheInputsThatTheLossHas(t *testing.T) {
	t.Chdir(t.TempDir())
	saveProto(t, "m.onnx", simple())
	mustHold(t, "attach", "m.onnx", "softmax-cross-entropy", "-o", "one.onnx")
	if page := mustHold(t, "inspect", "one.onnx"); strings.Count(page, "target=target") != 1 {
		t.Errorf("got\n%s", page)
	}
}

func TestInspectShowsTheTotalOfSeveralLosses(t *testing.T) {
	t.Chdir(t.TempDir())
	saveProto(t, "m.onnx", simple())
	model, err := models.Open("m.onnx")
	if err != nil {
		t.Fatal(err)
	}
	var terms []export.Term
	for i, loss := range []*losses.Loss{losses.MSE, losses.L1} {
		p, err := loss.Params(nil)
		if err != nil {
			t.Fatal(err)
		}
		terms = append(terms, export.Term{Loss: loss, Params: p, Weight: float64(i) + 0.5})
	}
	both, err := export.AttachAll(model, terms, export.AllOptions{Total: "sum of all"})
	if err != nil {
		t.Fatal(err)
	}
	if err := both.Save("both.onnx"); err != nil {
		t.Fatal(err)
	}
	page := mustHold(t, "inspect", "both.onnx")
	checkWidth(t, page)
	for _, want := range []string{"weight 0.5; ", "weight 1.5; ", `  "sum of all"  the weighted sum of these`} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in\n%s", want, page)
		}
	}
	if about := inspectJSON(t, "both.onnx"); about.Total != "sum of all" || len(about.Losses) != 2 || *about.Losses[1].Weight != 1.5 {
		t.Errorf("got %+v", about.Losses)
	}
}

func TestInspectJSONHasEveryKeyAlsoWhereThereIsNothing(t *testing.T) {
	t.Chdir(t.TempDir())
	saveProto(t, "m.onnx", simple())
	var got map[string]any
	if err := json.Unmarshal([]byte(mustHold(t, "inspect", "m.onnx", "--json")), &got); err != nil {
		t.Fatal(err)
	}
	keys := []string{
		"bytes", "candidates", "file", "functions", "initializers_as_inputs", "inputs", "ir_version", "layers", "losses", "nodes",
		"operators", "opset", "opset_imports", "outputs", "problems", "producer", "quantization", "quantized", "stored", "subgraphs",
		"total", "weights",
	}
	var have []string
	for key, value := range got {
		have = append(have, key)
		if value == nil {
			t.Errorf("%s is null", key)
		}
	}
	slices.Sort(have)
	if !slices.Equal(have, keys) {
		t.Errorf("got  %v\nwant %v", have, keys)
	}
}

func TestInspectShortensLongLists(t *testing.T) {
	t.Chdir(t.TempDir())
	saveProto(t, "m.onnx", with(func(m *onnxpb.ModelProto) {
		for i := range 30 {
			out := fmt.Sprintf("out%d", i)
			m.Graph.Node = append(m.Graph.Node, &onnxpb.NodeProto{OpType: proto.String(fmt.Sprintf("Op%d", i)), Input: []string{"x"}, Output: []string{out}})
			m.Graph.Output = append(m.Graph.Output, ops.ValueInfo(out, ops.Int64, nil))
			m.Graph.Initializer = append(m.Graph.Initializer, tensorHere(fmt.Sprintf("w%d", i), 1))
			m.Graph.Input = append(m.Graph.Input, ops.ValueInfo(fmt.Sprintf("w%d", i), ops.Float32, nil))
		}
	}))
	short, all := mustHold(t, "inspect", "m.onnx"), mustHold(t, "inspect", "m.onnx", "--all")
	if strings.Contains(short, "out25") || strings.Contains(short, "Op9") || !strings.Contains(short, "... and 21 more") || strings.Count(short, "\n") > 40 {
		t.Errorf("it is long:\n%s", short)
	}
	for _, want := range []string{"out29", "Op29", "w29", "LAYERS"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in\n%s", want, all)
		}
	}
	checkWidth(t, short+all)
	if about := inspectJSON(t, "m.onnx"); len(about.Outputs) != 31 || len(about.Operators) != 31 || len(about.Defaults) != 30 || len(about.Layers) != 1 {
		t.Errorf("got %+v", about)
	}
}

func TestInspectQuotesNamesThatDoNotPrint(t *testing.T) {
	t.Chdir(t.TempDir())
	long := strings.Repeat("scope/", 11) + "out"
	saveProto(t, "m.onnx", with(func(m *onnxpb.ModelProto) {
		evil := "a\x1b[31m\nb\u202e"
		m.ProducerName, m.ProducerVersion = &evil, &evil
		m.OpsetImport = append(m.OpsetImport, &onnxpb.OperatorSetIdProto{Domain: &evil})
		m.Graph.Node = append(m.Graph.Node, &onnxpb.NodeProto{OpType: &evil, Domain: &evil, Input: []string{"x"}, Output: []string{evil}})
		m.Graph.Output = append(m.Graph.Output, ops.ValueInfo(evil, ops.Float32, ops.Shape{ops.Symbolic(evil)}))
		m.Graph.Output = append(m.Graph.Output, ops.ValueInfo("", ops.Float32, nil), ops.ValueInfo("two words", ops.Float32, nil))
		dim := ops.Symbolic("unknown_dimension_of_an_exporter")
		m.Graph.Output = append(m.Graph.Output, ops.ValueInfo(long, ops.Float32, ops.Shape{dim, dim, dim}))
		m.Functions = []*onnxpb.FunctionProto{{Domain: &evil, Name: &evil, Overload: &evil}}
		m.Graph.Initializer = []*onnxpb.TensorProto{tensorIn(evil, 1)}
	}))
	page := mustHold(t, "inspect", "m.onnx", "--all")
	if strings.ContainsAny(page, "\x1b\u202e") {
		t.Errorf("control characters are printed: %q", page)
	}
	for _, want := range []string{`"a\x1b[31m\nb\u202e"`, `  ""`, `  "two words"`, "  " + long + "\n"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in\n%s", want, page)
		}
	}
	checkWidth(t, mustHold(t, "inspect", "m.onnx"))
}

func TestInspectReadsEveryTrainedModel(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("..", "..", "testdata", "models", "*.onnx"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no models: %v", err)
	}
	for _, path := range paths {
		about := inspectJSON(t, path)
		if about.Nodes == 0 || len(about.Candidates) == 0 || len(about.Weights) == 0 || len(about.Layers) == 0 || len(about.Problems) > 0 {
			t.Errorf("%s: %+v", path, about)
		}
		checkWidth(t, mustHold(t, "inspect", path))
	}
}

func TestInspectReadsEveryModelBesideTheRepository(t *testing.T) {
	folder := nodetests.Shared(t, "models")
	checked := 0
	err := filepath.WalkDir(folder, func(path string, _ os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".onnx" {
			return err
		}
		checked++
		about := inspectJSON(t, path)
		if about.Nodes == 0 || len(about.Operators) == 0 || len(about.Inputs) == 0 || len(about.Problems) > 0 {
			t.Errorf("%s: %+v", path, about)
		}
		checkWidth(t, mustHold(t, "inspect", path))
		return nil
	})
	if err != nil || checked == 0 {
		t.Errorf("%d models, %v", checked, err)
	}
}

func TestInspectReadsEveryNodeTest(t *testing.T) {
	if testing.Short() {
		t.Skip("there are thousands")
	}
	for _, c := range nodetests.Cases(t) {
		model, err := models.Parse(c.Model)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		about := inspect(model, c.Name)
		if about.Nodes == 0 || len(about.Outputs) == 0 || len(about.Problems) > 0 {
			t.Errorf("%s: %+v", c.Name, about)
		}
		var page strings.Builder
		if err := about.print(&page, true, true); err != nil || !strings.Contains(page.String(), "\nOUTPUTS\n") {
			t.Errorf("%s: %v\n%s", c.Name, err, page.String())
		}
	}
}
