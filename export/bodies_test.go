package export_test

import (
	"math"
	"slices"
	"testing"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// Bodies of one name that differ by their attributes are what runtimes mix up, and
// overloads do not help where they are not known.
func TestSecondBodyOfOneLossHasANameThatEnginesTellApart(t *testing.T) {
	model := hostModel(t, 17, output{"a", ops.Float32, "N"})
	gammas := []float64{0, 2, 0, 1}
	for _, gamma := range gammas {
		loss, params := find(t, "sigmoid-focal", map[string]any{"gamma": gamma, "alpha": -1.0})
		attached, err := export.Attach(model, loss, params, export.AttachOptions{
			Options: export.Options{Form: export.Function, Reduction: losses.None},
			Bind:    map[string]string{"logits": "a"},
		})
		if err != nil {
			t.Fatal(err)
		}
		attached.Proto.MetadataProps = nil // as a tool that drops metadata leaves it
		model = attached
	}
	var names []string
	for _, f := range model.Proto.Functions {
		names = append(names, f.GetName()+f.GetOverload())
	}
	if want := []string{"SigmoidFocalLoss", "SigmoidFocalLoss_2", "SigmoidFocalLoss_3"}; !slices.Equal(names, want) || model.Proto.GetIrVersion() != 8 {
		t.Fatalf("the bodies are %q at IR version %d, want %q at 8", names, model.Proto.GetIrVersion(), want)
	}
	raw, err := model.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if err := export.Check(raw); err != nil {
		t.Fatal(err)
	}
	zero, one := engine.Must([]int{1}, []float32{0}), engine.Must([]int{1}, []float32{1})
	inputs := map[string]engine.Tensor{"in_a": zero, "target": one} // which all four find by its name
	for _, e := range engines(t) {
		session, err := e.Load(raw)
		if err != nil {
			t.Fatalf("%s: %v", e.Name(), err)
		}
		got, err := session.Run(inputs)
		if err != nil {
			t.Fatalf("%s: %v", e.Name(), err)
		}
		for i, name := range []string{"loss", "loss_2", "loss_3", "loss_4"} {
			want := math.Ln2 * math.Pow(0.5, gammas[i]) // p = 1/2
			if x := got[name].Float64s(); len(x) != 1 || !(math.Abs(x[0]-want) <= 1e-6) {
				t.Errorf("%s: %s with gamma %g is %v, want %g", e.Name(), name, gammas[i], x, want)
			}
		}
		if err := session.Close(); err != nil {
			t.Error(err)
		}
	}
}
