package export_test

import (
	"math"
	"testing"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"google.golang.org/protobuf/proto"
)

// Two bodies of one name that differ by their attributes are what runtimes are most
// likely to mix up.
func TestSecondBodyOfOneNameIsAnOverloadThatEnginesTellApart(t *testing.T) {
	model := hostModel(t, 17, output{"a", ops.Float32, "N"})
	gammas := []float64{0, 2}
	for _, gamma := range gammas {
		loss, params := find(t, "sigmoid-focal", map[string]any{"gamma": gamma, "alpha": -1.0})
		attached, err := export.Attach(model, loss, params, export.AttachOptions{
			Options: export.Options{Form: export.Function, Reduction: losses.None},
			Bind:    map[string]string{"logits": "a"},
		})
		if err != nil {
			t.Fatal(err)
		}
		attached.MetadataProps = nil // as a tool that drops metadata leaves it
		model = attached
	}
	if len(model.Functions) != 2 || model.Functions[0].GetOverload() == model.Functions[1].GetOverload() || model.GetIrVersion() < 10 {
		t.Fatalf("%d functions, IR version %d", len(model.Functions), model.GetIrVersion())
	}
	raw, err := proto.Marshal(model)
	if err != nil {
		t.Fatal(err)
	}
	if err := export.Check(raw); err != nil {
		t.Fatal(err)
	}
	zero, one := engine.Must([]int{1}, []float32{0}), engine.Must([]int{1}, []float32{1})
	for _, e := range engines(t) {
		session, err := e.Load(raw)
		if err != nil {
			t.Fatalf("%s: %v", e.Name(), err)
		}
		got, err := session.Run(map[string]engine.Tensor{"in_a": zero, "target": one, "target_2": one})
		if err != nil {
			t.Fatalf("%s: %v", e.Name(), err)
		}
		for i, name := range []string{"loss", "loss_2"} {
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
