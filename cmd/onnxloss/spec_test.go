package main

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

func writeSpec(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAttachSpecScoreVerifyAndDetach(t *testing.T) {
	workIn(t)
	mustHold(t, "export", "sigmoid-cross-entropy", "-o", "host.onnx", "--reduction", "none")
	stripMetadata(t, "host.onnx")
	writeSpec(t, "losses.yaml", `
total: sum
losses:
  - loss: sigmoid-focal
    weight: 2.5
    bind: {logits: logits, target: target}
  - loss: mse
    name: distance
    weight: new alpha
    bind: {prediction: loss, target: target}
  - loss: l1
    reduction: none
    bind: {prediction: loss, target: target}
`)
	said := mustHold(t, "attach", "host.onnx", "--spec", "losses.yaml", "-o", "all.onnx")
	for _, want := range []string{
		"sigmoid-focal, form graph, float32, opset 17, reduction mean, weight 2.5: ", "-> sigmoid-focal\n",
		"mse, form graph, float32, opset 17, reduction mean, weight alpha: ", "-> distance\n",
		"l1, form graph, float32, opset 17, reduction none: ", "-> l1\n",
		"all.onnx: the weighted sum of sigmoid-focal, distance -> sum\n",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not in %s", want, said)
		}
	}
	checkInspection(t, "all.onnx")
	mustHold(t, "verify", "all.onnx", "--engine", "interp")

	save(t, "y32.npy", engine.Must([]int{2, 3}, []float32{1, 0, 0, 1, 0, 1}))
	mustHold(t, "score", "all.onnx", "--engine", "interp", "--input", "logits=x.npy", "--input", "target=y32.npy", "-o", "s.npy")
	if got := load(t, "s.npy"); !slices.Equal(got.Shape(), []int{2}) {
		t.Errorf("the scores are %s", got)
	}

	mustHold(t, "detach", "all.onnx", "-o", "back.onnx")
	before, err := os.ReadFile("host.onnx")
	if err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile("back.onnx"); err != nil || !slices.Equal(before, after) {
		t.Errorf("detach gives another file: %v", err)
	}
}

// checkInspection holds what inspect says of the losses against the spec.
func checkInspection(t *testing.T, path string) {
	t.Helper()
	var about inspection
	if err := json.Unmarshal([]byte(mustHold(t, "inspect", path, "--json")), &about); err != nil {
		t.Fatal(err)
	}
	if about.Total != "sum" || len(about.Losses) != 3 {
		t.Fatalf("inspect says %+v", about)
	}
	focal, mse, l1 := about.Losses[0], about.Losses[1], about.Losses[2]
	if focal.Weight == nil || *focal.Weight != 2.5 || mse.Weight != nil || mse.WeightFrom != "alpha" || l1.Weight != nil || l1.WeightFrom != "" {
		t.Errorf("inspect says %+v", about.Losses)
	}
	for line := range strings.Lines(mustHold(t, "inspect", path)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "distance" && fields[1] != "alpha" {
			t.Errorf("inspect says %q", line)
		}
	}
}

func TestOnlyLossOfASpecHidesTheModelsOutputs(t *testing.T) {
	workIn(t)
	mustHold(t, "export", "sigmoid-cross-entropy", "-o", "host.onnx", "--reduction", "none", "--opset", "13")
	stripMetadata(t, "host.onnx")
	writeSpec(t, "losses.json", `{"opset": 17, "only_loss": true, "losses": [{"loss": "mse", "reduction": "none"}]}`)
	said := mustHold(t, "attach", "host.onnx", "--spec", "losses.json", "-o", "only.onnx")
	if strings.Contains(said, "weight") || strings.Count(said, "\n") != 1 {
		t.Errorf("said %q", said)
	}
	model, err := models.Open("only.onnx")
	if err != nil {
		t.Fatal(err)
	}
	if outputs := model.Outputs(); len(outputs) != 1 || outputs[0].Name != "mse" || model.Opset() != 17 {
		t.Errorf("opset %d, outputs %v", model.Opset(), outputs)
	}
}

// Whoever adds a flag to attach has to say what becomes of it beside a spec.
func TestASpecReplacesAllFlagsButThoseOfTheFile(t *testing.T) {
	replaced := []string{"output", "external", "spec", "help"}
	for _, r := range inSpec {
		replaced = append(replaced, r.flag)
	}
	newAttach().Flags().VisitAll(func(f *pflag.Flag) {
		if !slices.Contains(replaced, f.Name) {
			t.Errorf("--%s is neither refused beside a spec nor of the file", f.Name)
		}
	})
}
