package export_test

import (
	"math"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// twoTerms is a squared and an absolute error against the same target.
func twoTerms(t *testing.T) []export.Term {
	t.Helper()
	squared, squaredParams := find(t, "mse", nil)
	absolute, absoluteParams := find(t, "l1", nil)
	return []export.Term{
		{Loss: squared, Params: squaredParams, Weight: 1},
		{Loss: absolute, Params: absoluteParams, Weight: 0.25, AttachOptions: export.AttachOptions{
			Options: export.Options{Reduction: losses.Sum},
			Bind:    map[string]string{"target": "target"},
			Output:  "off",
		}},
	}
}

func TestSeveralLossesAndTheirTotalAreOutputs(t *testing.T) {
	x := engine.Must([]int{3}, []float32{1, -2, 0.5})
	target := engine.Must([]int{3}, []float32{2, -2, 0})
	for _, opset := range []int{9, 13, ops.MaxOpset} {
		for _, form := range export.Forms() {
			terms := twoTerms(t)
			for i := range terms {
				terms[i].Form = form
			}
			model, err := export.AttachAll(hostModel(t, opset, output{"scores", ops.Float32, "N"}), terms, "")
			if err != nil {
				t.Fatalf("opset %d, %s: %v", opset, form, err)
			}
			got := runModel(t, model, map[string]engine.Tensor{"in_scores": x, "target": target})
			for name, want := range map[string]float64{"mse": 5.0 / 3, "off": 3, "loss": 5.0/3 + 0.75} {
				if d := math.Abs(got[name].Float64s()[0] - want); !(d <= 1e-6) {
					t.Errorf("opset %d, %s: %s = %v, want %g", opset, form, name, got[name].Float64s(), want)
				}
			}
			c, err := export.DescribeAll(model)
			if err != nil {
				t.Fatal(err)
			}
			if c.Total != "loss" || len(c.Terms) != 2 || c.Terms[1].Weight != 0.25 || c.Terms[1].Output != "off" || c.Terms[0].Loss.Command() != "mse" {
				t.Errorf("the metadata say %+v", c)
			}
			if _, err := export.Describe(model); err == nil || !strings.Contains(err.Error(), `2 losses and their total "loss"`) {
				t.Errorf("Describe gives the error %v", err)
			}
		}
	}
}

func TestAttachAllRefusesWhatHasNoTotal(t *testing.T) {
	tests := []struct {
		name   string
		change func(terms []export.Term) []export.Term
		total  string
		want   string
	}{
		{"no loss", func([]export.Term) []export.Term { return nil }, "", "there is no loss to attach"},
		{"an unreduced loss", func(terms []export.Term) []export.Term {
			terms[0].Reduction = losses.None
			return terms
		}, "", "export: attach: mse: its reduction is none"},
		{"a weight that is no number", func(terms []export.Term) []export.Term {
			terms[1].Weight = math.NaN()
			return terms
		}, "", "export: attach: l1: its weight is NaN"},
		{"a name that is taken", func(terms []export.Term) []export.Term { return terms }, "off", `the total: the name "off"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			model := hostModel(t, 17, output{"scores", ops.Float32, "N"})
			_, err := export.AttachAll(model, test.change(twoTerms(t)), test.total)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want ... %s", err, test.want)
			}
		})
	}
}
