package export_test

import (
	"errors"
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
	"github.com/onnxloss/onnxloss/internal/testneeds"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
	"github.com/onnxloss/onnxloss/runtime/ort"
)

// notAttached are the node tests with a floating-point output that no loss goes
// onto, by what the refusal says.
var notAttached = map[string]string{
	"scan_sum": "opset 8 is too old, losses need 9 or newer",
}

// notRun is why an engine cannot run some node tests, with a loss or without: what it
// says of the original.
var notRun = map[string][]string{
	"interp": {
		"there is no such operator here",
		"has element type",
		"is not a tensor",
		`domain "ai.onnx.ml" has no such operator`,
		`domain "ai.onnx.preview.training" has no such operator`,
		"results would be random",
		"BatchNormalization): training",
	},
	"ort:cpu": { // ONNX Runtime 1.30.0
		"Could not find an implementation for",
		"do not go in and out of a model",
		"only tensors go in and out of a model",
		"is not a registered function/op",
		"Batchwise recurrent operations (layout == 1) are not supported",
		"(Attention): attn_mask",
	},
}

// fewestRun guards against a mass of node tests that are left out unnoticed: this
// many run with a loss, in both forms.
var fewestRun = map[string]int{"interp": 939, "ort:cpu": 1113}

// The standard's node tests are more than a thousand models from opset 9 to the newest, with
// subgraphs, functions, sequences, optionals, and every element type.
func TestAttachToEveryNodeTestOfTheStandard(t *testing.T) {
	cases := slices.DeleteFunc(nodetests.Cases(t), func(c nodetests.Case) bool { return floatOutput(c.Graph) == "" })
	step := 1
	if testing.Short() {
		step = 16
	}
	unused := map[string]bool{}
	for name := range notAttached {
		unused[name] = true
	}
	var attached []attachedHost
	for i := 0; i < len(cases); i += step {
		made, err := attachToCase(cases[i])
		says, excluded := notAttached[cases[i].Name]
		switch {
		case err == nil && !excluded:
			attached = append(attached, made)
		case err != nil && excluded && strings.Contains(err.Error(), says):
			delete(unused, cases[i].Name)
		default:
			t.Errorf("%s: %v, excluded %t", cases[i].Name, err, excluded)
		}
	}
	if step == 1 && len(unused) > 0 {
		t.Errorf("these exclusions are stale: %v", unused)
	}
	for _, e := range []string{"interp", "ort:cpu"} {
		t.Run(e, func(t *testing.T) { runAll(t, corpusEngine(t, e), attached, step == 1) })
	}
}

// attachedHost is a model, and with a loss in each form.
type attachedHost struct {
	*host
	forms []attachedFile
}

type attachedFile struct {
	file        []byte
	description export.Description
}

func attachToCase(c nodetests.Case) (attachedHost, error) {
	h := attachedHost{host: newHost(c.Name, c.Model)}
	h.give(c.Inputs)
	for _, form := range export.Forms() {
		file, description, err := attachTo(h.file, squaredError(floatOutput(c.Graph), form))
		if err != nil {
			return h, fmt.Errorf("%s: %w", form, err)
		}
		h.forms = append(h.forms, attachedFile{file, description})
	}
	return h, nil
}

// runForms runs a model without a loss, and with it in each form.
func (h attachedHost) runForms(e engine.Engine) error {
	for _, form := range h.forms {
		if _, err := h.runBoth(e, form.file, form.description); err != nil {
			return fmt.Errorf("%s: %w", form.description.Form, err)
		}
	}
	return nil
}

// runAll runs models with a loss and without. What an engine refuses the original
// for must be among the known reasons and, where all node tests are there, be needed.
func runAll(t *testing.T, e engine.Engine, all []attachedHost, complete bool) {
	reasons := notRun[e.Name()]
	left := make([]int, len(reasons))
	ran := 0
	for _, h := range all {
		err := h.runForms(e)
		if err == nil {
			ran++
			continue
		}
		reason := slices.IndexFunc(reasons, func(says string) bool { return strings.Contains(err.Error(), says) })
		if !errors.Is(err, errOriginal) || reason < 0 {
			t.Errorf("%s: %v", h.name, err)
			continue
		}
		left[reason]++
	}
	t.Logf("%d models with a loss in both forms, %d run", len(all), ran)
	for i, says := range reasons {
		t.Logf("%d left out: %s", left[i], says)
		if complete && left[i] == 0 {
			t.Errorf("nothing is left out because of %q any more", says)
		}
	}
	if complete && ran < fewestRun[e.Name()] {
		t.Errorf("%d run, want at least %d", ran, fewestRun[e.Name()])
	}
}

// corpusEngine gives the engine that the lists above are about.
func corpusEngine(t *testing.T, name string) engine.Engine {
	t.Helper()
	if name == "interp" {
		return interp.New()
	}
	e, err := ort.New(ort.Options{})
	if err != nil {
		testneeds.Lacking(t, testneeds.ORT, err)
	}
	if version, err := ort.Version(); err != nil || version != "1.30.0" {
		testneeds.Lacking(t, testneeds.ORT, fmt.Sprintf("what is left out is that of ONNX Runtime 1.30.0, this is %s (%v)", version, err))
	}
	return e
}

func floatOutput(g *onnxpb.GraphProto) string {
	for _, out := range g.GetOutput() {
		if ops.DType(out.GetType().GetTensorType().GetElemType()).IsFloat() {
			return out.GetName()
		}
	}
	return ""
}

// fileHost reads a model and draws inputs for it; sizes that are open are 3.
func fileHost(t *testing.T, path string) *host {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	model, err := models.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(strings.TrimSuffix(filepath.Base(path), ".onnx"), data)
	for i, in := range model.Inputs() {
		if h.inputs[in.Name], err = draw(uint64(i), in.DType, sizes(in.Shape)); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func sizes(s ops.Shape) []int {
	shape := make([]int, len(s))
	for i, d := range s {
		if n, fixed := d.Size(); fixed {
			shape[i] = n
		} else {
			shape[i] = 3
		}
	}
	return shape
}

// trainedHosts are the small models of this repository and, where they are, those
// beside it.
func trainedHosts(t *testing.T) []*host {
	t.Helper()
	var hosts []*host
	seen := map[string]bool{}
	for _, pattern := range []string{"../testdata/models/*.onnx", "../../shared/models/*.onnx"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if h := fileHost(t, file); !seen[h.name] {
				seen[h.name], hosts = true, append(hosts, h)
			}
		}
	}
	if len(hosts) == 0 {
		t.Fatal("there are no models")
	}
	return hosts
}

func TestAttachToEveryOutputOfTrainedModels(t *testing.T) {
	for _, e := range []string{"interp", "ort:cpu"} {
		t.Run(e, func(t *testing.T) {
			runner, ran := corpusEngine(t, e), 0
			for _, h := range trainedHosts(t) {
				model, err := models.Parse(h.file)
				if err != nil {
					t.Fatal(err)
				}
				for _, out := range model.Outputs() {
					for _, form := range export.Forms() {
						attached, d, err := attachTo(h.file, squaredError(out.Name, form))
						if err == nil {
							_, err = h.runBoth(runner, attached, d)
						}
						if err != nil {
							t.Errorf("%s, %s, %s: %v", h.name, out.Name, form, err)
						}
						ran++
					}
				}
			}
			t.Logf("%d losses", ran)
		})
	}
}

// The topologies are real and of opset 9; the expected outputs lie beside them.
func TestAttachToLightModels(t *testing.T) {
	for _, e := range []string{"interp", "ort:cpu"} {
		for _, name := range []string{"squeezenet", "shufflenet", "resnet50", "vgg19"} {
			t.Run(e+"/"+name, func(t *testing.T) {
				if testing.Short() && (e == "interp" || name != "squeezenet") {
					t.Skip("these take some seconds")
				}
				forms := export.Forms()
				if name == "vgg19" { // its run alone takes as long as all others
					forms = forms[:1]
				}
				attachToLight(t, corpusEngine(t, e), "models/light/light_"+name, forms)
			})
		}
	}
}

func attachToLight(t *testing.T, e engine.Engine, path string, forms []export.Form) {
	h := fileHost(t, nodetests.Shared(t, path+".onnx"))
	for name, x := range h.inputs { // what the expected outputs were made from
		data := engine.Data[float32](x)
		for i := range data {
			data[i] = float32(i) / float32(len(data))
		}
		h.inputs[name] = x
	}
	raw, err := os.ReadFile(nodetests.Shared(t, path+"_output_0.pb"))
	if err != nil {
		t.Fatal(err)
	}
	expected := new(onnxpb.TensorProto)
	if err := proto.Unmarshal(raw, expected); err != nil {
		t.Fatal(err)
	}
	want, err := engine.FromProto(expected)
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range forms {
		attached, d, err := attachTo(h.file, export.AttachOptions{Options: export.Options{Form: form}})
		if err != nil {
			t.Fatal(form, ": ", err)
		}
		got, err := h.runBoth(e, attached, d)
		if err != nil {
			t.Fatal(form, ": ", err)
		}
		if err := engine.Diff(got[d.Inputs["prediction"]], want, engine.Tolerance{Abs: 1e-6, Rel: 1e-4}); err != nil {
			t.Errorf("%s: %v", form, err)
		}
	}
}

// Every tensor inside the small models is bound in turn. What a model computes must
// not change by that, also where an engine rewrites the graph.
func TestAttachToEveryTensorInsideTrainedModels(t *testing.T) {
	plain, err := ort.New(ort.Options{DisableOptimization: true})
	if err != nil {
		testneeds.Lacking(t, testneeds.ORT, err)
	}
	all := map[string]engine.Engine{"interp": interp.New(), "ort:cpu": corpusEngine(t, "ort:cpu"), "ort:cpu, as it is written": plain}
	for _, original := range trainedHosts(t) {
		file, layers := typed(t, original.file)
		h := newHost(original.name, file)
		h.inputs = original.inputs
		step := 1
		if testing.Short() {
			step = 4
		}
		for i := 0; i < len(layers); i += step {
			attached, d, err := attachTo(file, squaredError(layers[i].Name, export.Graph))
			if err != nil {
				t.Fatalf("%s, %s: %v", h.name, layers[i].Name, err)
			}
			for name, e := range all {
				if err := h.runInside(e, attached, d, layers[i].Name); err != nil {
					t.Errorf("%s, %s, %s: %v", h.name, layers[i].Name, name, err)
				}
			}
		}
		t.Logf("%s: %d tensors", h.name, (len(layers)+step-1)/step)
	}
}

// Of the tensors inside the standard's node tests one in 25 is bound, in place and
// apart. All 3633 were when this was written.
func TestAttachToTensorsInsideNodeTests(t *testing.T) {
	if testing.Short() {
		t.Skip("it loads some hundred models")
	}
	all := []engine.Engine{interp.New(), corpusEngine(t, "ort:cpu")}
	const step = 25
	seen, ran := 0, 0
	for _, c := range nodetests.Cases(t) {
		model, err := models.Parse(c.Model)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := model.Layers(); err != nil || len(c.Graph.GetNode()) < 2 || notAttached[c.Name] != "" {
			continue
		}
		file, layers := typed(t, c.Model)
		for _, l := range layers {
			if seen++; seen%step != 0 {
				continue
			}
			h := newHost(c.Name, file)
			h.give(c.Inputs)
			for _, apart := range []bool{false, true} {
				o := squaredError(l.Name, export.Graph)
				o.Share = !apart
				attached, d, err := attachTo(file, o)
				if err != nil {
					t.Errorf("%s, %s, apart %t: %v", c.Name, l.Name, apart, err)
					continue
				}
				for _, e := range all {
					if err := h.runInside(e, attached, d, l.Name); err != nil {
						t.Errorf("%s, %s, apart %t, %s: %v", c.Name, l.Name, apart, e.Name(), err)
					}
					ran++
				}
			}
		}
	}
	t.Logf("%d tensors, %d runs", seen/step, ran)
	if ran < 500 {
		t.Errorf("%d runs, want 500 or more", ran)
	}
}
