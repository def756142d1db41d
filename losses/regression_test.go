package losses_test

import (
	"testing"

	"github.com/onnxloss/onnxloss/losses"
)

func TestRegressionLossesAtTheirCorners(t *testing.T) {
	tests := []struct {
		loss        *losses.Loss
		settings    map[string]any
		difference  float64
		value, want float64 // the loss, and its slope by the prediction
	}{
		{losses.MSE, nil, 0, 0, 0},
		{losses.MSE, nil, -3, 9, -6},
		{losses.L1, nil, 0, 0, 0},
		{losses.L1, nil, -1e300, 1e300, -1},
		// PyTorch has the slope -1 at a difference of 0 where beta is 0.
		{losses.SmoothL1, map[string]any{"beta": 0}, 0, 0, 0},
		{losses.SmoothL1, map[string]any{"beta": 0}, 5e-324, 5e-324, 1},
		{losses.SmoothL1, map[string]any{"beta": 2}, 2, 1, 1},
		{losses.SmoothL1, map[string]any{"beta": 2}, -1, 0.25, -0.5},
		{losses.SmoothL1, map[string]any{"beta": 2}, 1e4, 9999, 1},
		{losses.Huber, map[string]any{"delta": 3}, 3, 4.5, 3},
		{losses.Huber, map[string]any{"delta": 3}, -5, 10.5, -3},
		{losses.Huber, map[string]any{"delta": 3}, 0, 0, 0},
	}
	for _, test := range tests {
		params, err := test.loss.Params(test.settings)
		if err != nil {
			t.Fatal(err)
		}
		in := losses.Values{
			"prediction": {Shape: []int{1}, Data: []float64{test.difference}},
			"target":     {Shape: []int{1}, Data: []float64{0}},
		}
		value, err := test.loss.Evaluate(in, params, losses.Sum)
		if err != nil {
			t.Fatal(err)
		}
		gradient, err := test.loss.EvaluateGradient(in, params, losses.Sum, nil)
		if err != nil {
			t.Fatal(err)
		}
		if value.Data[0] != test.value || gradient["prediction"].Data[0] != test.want || gradient["target"].Data[0] != -test.want {
			t.Errorf("%s %v at %g: %g with slope %g, want %g with slope %g", test.loss.Command(), test.settings, test.difference,
				value.Data[0], gradient["prediction"].Data[0], test.value, test.want)
		}
	}
}

func TestCommandNamesSplitWordsAndKeepAcronyms(t *testing.T) {
	for name, want := range map[string]string{
		"SigmoidFocalLoss": "sigmoid-focal", "MSELoss": "mse", "L1Loss": "l1", "SmoothL1Loss": "smooth-l1",
		"HuberLoss": "huber", "NLLLoss": "nll", "KLDivergenceLoss": "kl-divergence",
	} {
		if got := (&losses.Loss{Name: name}).Command(); got != want {
			t.Errorf("%s is %q on the command line, want %q", name, got, want)
		}
	}
}
