package losses_test

import (
	"fmt"
	"math"
	"slices"

	"github.com/onnxloss/onnxloss/losses"
)

var iouMappings = map[string]mapping{
	"iou/iou":                    boxMapping(losses.IoU, nil),
	"iou/log_iou_plus1":          boxMapping(losses.IoU, map[string]any{"form": "log", "pixel_offset": 1}),
	"iou/giou":                   boxMapping(losses.GIoU, nil),
	"iou/giou_fvcore":            boxMapping(losses.GIoU, nil),
	"iou/diou":                   boxMapping(losses.DIoU, nil),
	"iou/ciou":                   boxMapping(losses.CIoU, nil),
	"iou/empty":                  mapEmptyBoxes,
	"iou/bounded_iou":            boxMapping(losses.BoundedIoU, map[string]any{"pixel_offset": 1}),
	"iou/balanced_l1":            mapBalancedL1,
	"iou/balanced_softmax_ce":    mapBalancedSoftmax,
	"iou/balanced_sigmoid_ce":    mapBalancedSigmoid,
	"iou/balanced_sigmoid_focal": mapBalancedFocal,
	"iou/consistent":             mapConsistent,
	"iou/balanced_smooth_l1":     mapBalancedSmoothL1,
}

const (
	etaZero     = "with eta = 0 the file weighs negatives by 1 + N, as 0^0 is 1, where the mathematics has 1"
	rowZero     = "balanced_sigmoid_ce takes the numbers of positives' columns for rows: a negative row 0 drops out wherever any row is positive, and enters N"
	epsUnused   = "torchvision's CIoU hands eps to the trade-off alone, and takes 1e-7 elsewhere"
	negativeBox = "boxes that end before they start have negative areas in the reference; ours are empty"
)

var iouExclusions = []goldenExclusion{
	{"iou/balanced_softmax_ce", etaZero, etaZeroBesideNegatives},
	{"iou/balanced_sigmoid_focal", etaZero + " (focal)", etaZeroBesideNegatives},
	{"iou/balanced_sigmoid_ce", etaZero + " (sigmoid)", etaZeroBesideNegatives},
	{"iou/ciou", epsUnused, func(c goldenCase) bool { return c.Params["eps"] != 1e-7 }},
}

var iouElsewhere = []goldenExclusion{
	{"iou/balanced_sigmoid_ce", rowZero, negativeFirstRow},
	{"iou/iou", negativeBox, invertedBoxes},
	{"iou/log_iou_plus1", negativeBox, invertedBoxes},
	{"iou/log_iou_plus1", "form log counts an IoU below 1e-12 as 1e-12, a loss of 27.6, where the file has its logarithm", slightOverlap},
	{"iou/giou", negativeBox, invertedBoxes},
	{"iou/giou_fvcore", negativeBox, func(c goldenCase) bool { return c.Error == "" && invertedBoxes(c) }},
	{"iou/diou", negativeBox, invertedBoxes},
	{"iou/ciou", negativeBox, invertedBoxes},
	{"iou/bounded_iou", negativeBox, invertedBoxes},
}

// slightOverlap finds finite losses beyond the limit of form log.
func slightOverlap(c goldenCase) bool {
	return slices.ContainsFunc(c.Expected["none"].Data, func(loss goldenNumber) bool {
		return float64(loss) > -math.Log(1e-12) && !math.IsInf(float64(loss), 0)
	})
}

// etaZeroBesideNegatives also takes the case without positives for right, where N
// is 0.
func etaZeroBesideNegatives(c goldenCase) bool {
	labels := c.Inputs["label"].Data
	if len(labels) == 0 {
		labels = c.Inputs["target"].Data
	}
	positive := func(label goldenNumber) bool { return label != 0 }
	return c.Params["eta"] == 0.0 && slices.Contains(labels, 0) && slices.ContainsFunc(labels, positive)
}

func negativeFirstRow(c goldenCase) bool {
	labels, shape := c.Inputs["label"].Data, c.Inputs["label"].Shape
	if len(shape) > 1 && shape[1] > 1 {
		return true
	}
	return len(labels) > 0 && labels[0] == 0 && slices.ContainsFunc(labels, func(y goldenNumber) bool { return y != 0 })
}

func invertedBoxes(c goldenCase) bool {
	for _, name := range []string{"pred", "target"} {
		boxes := c.Inputs[name].Data
		for i := 0; i+4 <= len(boxes); i += 4 {
			if boxes[i+2] < boxes[i] || boxes[i+3] < boxes[i+1] {
				return true
			}
		}
	}
	return false
}

// renamed gives the case's inputs under our names.
func (c goldenCase) renamed(names map[string]string) losses.Values {
	in := losses.Values{}
	for name, a := range c.Inputs {
		if ours, ok := names[name]; ok {
			name = ours
		}
		in[name] = a.array()
	}
	return in
}

// reparameterized gives the case's parameters under our names, without those that
// are left out.
func (c goldenCase) reparameterized(names map[string]string, fixed map[string]any) (map[string]any, error) {
	settings := map[string]any{}
	for name, value := range fixed {
		settings[name] = value
	}
	for name, value := range c.Params {
		ours, ok := names[name]
		if !ok {
			return nil, fmt.Errorf("%s has the parameter %s = %v, which its mapping does not know", c.kind(), name, value)
		}
		if ours != "" && value != nil {
			settings[ours] = value
		}
	}
	return settings, nil
}

// boxMapping is for losses on pairs of boxes, whose mean over none is 0 in the
// references.
func boxMapping(loss *losses.Loss, fixed map[string]any) mapping {
	return func(c goldenCase) (mapped, error) {
		settings, err := c.reparameterized(map[string]string{"eps": "epsilon", "beta": "beta"}, fixed)
		if err != nil {
			return mapped{}, err
		}
		params, err := loss.Params(settings)
		if err != nil {
			return mapped{}, err
		}
		m := mapped{loss: loss, params: params, in: c.renamed(map[string]string{"pred": "prediction"}), names: map[string]string{"pred": "prediction"}}
		m.rounding, m.targetRounding = cancelled, cancelled
		return m, nil
	}
}

// cancelled is what the references lose in 1 - IoU and in gradients by differences of
// areas, and ours as well.
const cancelled = 16 * 0x1p-53

// mapEmptyBoxes is for the three losses of torchvision alike: nothing, and its sum.
func mapEmptyBoxes(c goldenCase) (mapped, error) {
	for _, loss := range []*losses.Loss{losses.GIoU, losses.DIoU, losses.CIoU} {
		m, err := boxMapping(loss, nil)(c)
		if err != nil {
			return mapped{}, err
		}
		terms, err := loss.Terms(m.in, m.params)
		if err != nil || len(terms.Loss.Data) != 0 {
			return mapped{}, fmt.Errorf("%s of no boxes: %v, %v", loss.Command(), terms.Loss, err)
		}
	}
	m, err := boxMapping(losses.GIoU, nil)(c)
	m.without = map[string]string{"mean": "the mean over nothing is 0 there, NaN here"}
	return m, err
}

func mapBalancedL1(c goldenCase) (mapped, error) {
	settings, err := c.reparameterized(map[string]string{"alpha": "alpha", "beta": "beta", "gamma": "gamma"}, nil)
	if err != nil {
		return mapped{}, err
	}
	if beta, ok := settings["beta"].(float64); ok {
		settings["shift"] = 1 / beta
	}
	params, err := losses.BalancedL1.Params(settings)
	return mapped{
		loss: losses.BalancedL1, params: params, in: c.renamed(map[string]string{"pred": "prediction"}),
		names: map[string]string{"pred": "prediction"}, rounding: 0x1p-50,
	}, err
}

// balancedMapping is for the authors' losses: avg_factor divides their sum and every
// term and is, where it is not given, the number of weights above 0, but at least 1.
func balancedMapping(c goldenCase, loss *losses.Loss, names map[string]string, in losses.Values, fixed map[string]any) (mapped, error) {
	settings, err := c.reparameterized(names, fixed)
	if err != nil {
		return mapped{}, err
	}
	factor, given := settings["avg_factor"].(float64)
	delete(settings, "avg_factor")
	if !given {
		factor = max(1, above0(in["weight"]))
	}
	params, err := loss.Params(settings)
	m := mapped{loss: loss, params: params, in: in}
	m.divideBy(factor)
	m.rounding = 0x1p-49 * max(1, largest(in["logits"].Data))
	return m, err
}

// divideBy has none and loss be our terms and their sum over a factor.
func (m *mapped) divideBy(factor float64) {
	m.outputs = map[string]losses.Reduction{"none": losses.None, "loss": losses.Sum}
	m.scale = map[string]float64{"none": 1 / factor, "loss": 1 / factor}
	m.reshape = func(output string, a losses.Array) losses.Array {
		if output == "loss" {
			a.Shape = []int{1}
		}
		return a
	}
}

func above0(weight losses.Array) float64 {
	n := 0.0
	for _, w := range weight.Data {
		if w > 0 {
			n++
		}
	}
	return n
}

// asReleased is what the authors' code has otherwise than the paper.
func asReleased() map[string]any {
	return map[string]any{"epsilon": 1e-6, "weighted_normalizer": false}
}

var balancedParams = map[string]string{"eta": "eta", "alpha": "alpha", "gamma": "gamma", "avg_factor": "avg_factor"}

func mapBalancedSoftmax(c goldenCase) (mapped, error) {
	in := c.renamed(map[string]string{"x": "logits", "label": "target"})
	return balancedMapping(c, losses.IoUBalancedSoftmax, balancedParams, in, asReleased())
}

func mapBalancedSigmoid(c goldenCase) (mapped, error) {
	in := c.renamed(map[string]string{"x": "logits", "label": "target"})
	return balancedMapping(c, losses.IoUBalancedSigmoid, balancedParams, in, asReleased())
}

// mapBalancedFocal: unlike in the others, the weight is part of the focal loss that N
// is of.
func mapBalancedFocal(c goldenCase) (mapped, error) {
	in := c.renamed(map[string]string{"x": "logits"})
	fixed := asReleased()
	fixed["weighted_normalizer"] = true
	return balancedMapping(c, losses.IoUBalancedFocal, balancedParams, in, fixed)
}

// mapConsistent is softmax cross-entropy with positives above an IoU of 0.5 weighed
// by 1 + (IoU - 0.5), a sum that such weights make as an upstream gradient.
func mapConsistent(c goldenCase) (mapped, error) {
	in := c.renamed(map[string]string{"x": "logits", "label": "target"})
	loss, weights := losses.SoftmaxCrossEntropy, in["weight"]
	factor := max(1, above0(weights))
	for name, value := range c.Params {
		given, ok := value.(float64)
		switch {
		case name == "avg_factor" && ok:
			factor = given
		case name != "eta":
			return mapped{}, fmt.Errorf("%s has the parameter %s = %v, which its mapping does not know", c.kind(), name, value)
		}
	}
	params, err := loss.Params(nil)
	if err != nil {
		return mapped{}, err
	}
	plain := losses.Values{"logits": in["logits"], "target": in["target"]}
	terms, err := loss.Evaluate(plain, params, losses.None)
	if err != nil {
		return mapped{}, err
	}
	upstream, each, total := losses.Zeros(weights.Shape), losses.Zeros(weights.Shape), 0.0
	for i, iou := range in["iou"].Data {
		upstream.Data[i] = weights.Data[i] / factor
		if in["target"].Data[i] > 0 {
			upstream.Data[i] *= 1 + math.Max(0, iou-0.5)
		}
		each.Data[i] = upstream.Data[i] * terms.Data[i]
		total += each.Data[i]
	}
	gradient, err := loss.EvaluateGradient(plain, params, losses.None, &upstream)
	rounding := 0x1p-49 * max(1, largest(in["logits"].Data)) * max(1, largest(upstream.Data))
	return mapped{direct: &direct{
		outputs: map[string]losses.Array{"none": each, "loss": {Shape: []int{1}, Data: []float64{total}}},
		grad:    losses.Values{"x": gradient["logits"]},
	}, rounding: rounding, targetRounding: rounding}, err
}

func mapBalancedSmoothL1(c goldenCase) (mapped, error) {
	settings, err := c.reparameterized(map[string]string{"beta": "beta", "delta": "delta", "avg_factor": "avg_factor"}, nil)
	if err != nil {
		return mapped{}, err
	}
	in := c.renamed(map[string]string{"pred": "prediction"})
	factor, given := settings["avg_factor"].(float64)
	delete(settings, "avg_factor")
	if !given {
		factor = above0(in["weight"])/4 + 1e-6
	}
	params, err := losses.IoUBalancedSmoothL1.Params(settings)
	m := mapped{loss: losses.IoUBalancedSmoothL1, params: params, in: in, names: map[string]string{"pred": "prediction"}}
	m.divideBy(factor)
	return m, err
}
