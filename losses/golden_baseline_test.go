package losses_test

import (
	"strings"

	"github.com/onnxloss/onnxloss/losses"
)

var baselineMappings = map[string]mapping{
	"baseline/cross_entropy":      mapCrossEntropy,
	"baseline/cross_entropy_soft": mapCrossEntropySoft,
	"baseline/bce_logits":         mapBCELogits,
	"baseline/mse":                regression(losses.MSE),
	"baseline/l1":                 regression(losses.L1),
	"baseline/smooth_l1":          regression(losses.SmoothL1),
	"baseline/smooth_l1_beta0":    regression(losses.SmoothL1),
	"baseline/huber":              regression(losses.Huber),
}

var baselineExclusions = []goldenExclusion{
	{"baseline/smooth_l1_beta0", "smooth_l1 with beta 0 has the slope -1 where prediction and target are equal; ours has 0, as l1", ties},
	{"baseline/nll", "likelihood of given log-probabilities: not in the catalogue", nil},
	{"baseline/kl_div", "Kullback-Leibler divergence: not in the catalogue", nil},
	{"baseline/bce", "cross-entropy of probabilities: not in the catalogue", nil},
}

var baselineElsewhere = []goldenExclusion{
	{"baseline/smooth_l1", "smooth_l1 with beta 0 has the slope -1 where prediction and target are equal; ours has 0, as l1", func(c goldenCase) bool {
		return c.Params["beta"] == 0.0 && ties(c)
	}},
}

func ties(c goldenCase) bool {
	target := c.Inputs["target"].Data
	for i, x := range c.Inputs["x"].Data {
		if i < len(target) && x == target[i] {
			return true
		}
	}
	return false
}

func mapCrossEntropy(c goldenCase) (mapped, error) {
	return mapClasses(c, "label_smoothing", "ignore_index")
}

func mapCrossEntropySoft(c goldenCase) (mapped, error) {
	return mapClasses(c, "label_smoothing")
}

func mapClasses(c goldenCase, known ...string) (mapped, error) {
	settings, err := c.settings(known...)
	if err != nil {
		return mapped{}, err
	}
	in, err := c.values()
	if err != nil {
		return mapped{}, err
	}
	settings["soft_targets"] = strings.HasSuffix(c.kind(), "_soft")
	return finish(losses.SoftmaxCrossEntropy, in, settings)
}

func mapBCELogits(c goldenCase) (mapped, error) {
	settings, err := c.settings()
	if err != nil {
		return mapped{}, err
	}
	in, err := c.values()
	if err != nil {
		return mapped{}, err
	}
	return finish(losses.SigmoidCrossEntropy, in, settings)
}

// regression maps the cases of a loss on the difference of two numbers.
func regression(loss *losses.Loss) func(goldenCase) (mapped, error) {
	return func(c goldenCase) (mapped, error) {
		settings, err := c.settings("beta", "delta")
		if err != nil {
			return mapped{}, err
		}
		in, err := c.values()
		if err != nil {
			return mapped{}, err
		}
		in["prediction"] = in["logits"]
		delete(in, "logits")
		return finish(loss, in, settings)
	}
}
