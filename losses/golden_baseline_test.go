package losses_test

import (
	"math"
	"slices"
	"strings"

	"github.com/onnxloss/onnxloss/losses"
)

var baselineMappings = map[string]mapping{
	"baseline/cross_entropy":      mapCrossEntropy,
	"baseline/cross_entropy_soft": mapCrossEntropySoft,
	"baseline/bce_logits":         mapBCELogits,
	"baseline/bce":                mapBCE,
	"baseline/nll":                mapNLL,
	"baseline/kl_div":             mapKL,
	"baseline/mse":                regression(losses.MSE),
	"baseline/l1":                 regression(losses.L1),
	"baseline/smooth_l1":          regression(losses.SmoothL1),
	"baseline/smooth_l1_beta0":    regression(losses.SmoothL1),
	"baseline/huber":              regression(losses.Huber),
}

var baselineExclusions = []goldenExclusion{
	{"baseline/smooth_l1_beta0", "smooth_l1 with beta 0 has the slope -1 where prediction and target are equal; ours has 0, as l1", ties},
	{"baseline/bce", "bce where p is 0 or 1 has the gradient (p - y)/1e-12, which is not the derivative of its clamped value", saturatedProbabilities},
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
	return func(c goldenCase) (mapped, error) { return mapPrediction(c, loss, "beta", "delta") }
}

// saturatedProbabilities says that PyTorch's gradient divides by a clamped p (1 - p).
func saturatedProbabilities(c goldenCase) bool {
	return slices.ContainsFunc(c.Inputs["x"].Data, func(p goldenNumber) bool { return p*(1-p) < 1e-12 })
}

// mapBCE: logarithms are not taken below -100.
func mapBCE(c goldenCase) (mapped, error) {
	m, err := mapPrediction(c, losses.BinaryCrossEntropy)
	if err == nil {
		m.params["log_limit"] = 100.0
	}
	return m, err
}

func mapNLL(c goldenCase) (mapped, error) {
	return mapPrediction(c, losses.NLL, "ignore_index")
}

// mapKL: terms for each class, a mean over all of them, and batchmean, which divides
// by the number of samples.
func mapKL(c goldenCase) (mapped, error) {
	m, err := mapPrediction(c, losses.KLDivergence, "log_target")
	if err != nil {
		return mapped{}, err
	}
	m.params["per_class"] = true
	m.outputs = map[string]losses.Reduction{"none": losses.None, "mean": losses.Mean, "sum": losses.Sum, "batchmean": losses.Sum}
	samples := c.Inputs["x"].Shape[0]
	m.scale = map[string]float64{"batchmean": 1 / float64(max(1, samples))}
	if samples == 0 {
		m.without = map[string]string{"batchmean": "a mean over nothing"}
	}
	if sum := c.Expected["sum"]; len(sum.Data) == 1 && math.IsNaN(float64(sum.Data[0])) && infiniteDivergence(c) {
		reason := "the divergence is infinite, since the prediction rules out what the target has; the reference's sum is NaN, for it takes 0 · log 0 for NaN"
		m.without = map[string]string{"mean": reason, "sum": reason, "batchmean": reason}
	}
	return m, nil
}

func infiniteDivergence(c goldenCase) bool {
	absent := 0.0 // the target of a class without a share
	if c.Params["log_target"] == true {
		absent = math.Inf(-1)
	}
	target := c.Inputs["target"].Data
	for i, x := range c.Inputs["x"].Data {
		if math.IsInf(float64(x), -1) && float64(target[i]) != absent {
			return true
		}
	}
	return false
}

// mapPrediction maps the cases of a loss whose first input is no logits.
func mapPrediction(c goldenCase, loss *losses.Loss, known ...string) (mapped, error) {
	settings, err := c.settings(known...)
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
