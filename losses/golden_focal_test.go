package losses_test

import (
	"fmt"
	"math"
	"slices"

	"github.com/onnxloss/onnxloss/losses"
)

var focalMappings = map[string]mapping{
	"focal/sigmoid":                 mapSigmoidFocal,
	"focal/sigmoid_fvcore":          mapSigmoidFocal,
	"focal/sigmoid_label_smoothing": mapSigmoidFocal,
	"focal/sigmoid_legacy":          mapSigmoidFocal,
	"focal/sigmoid_kornia":          mapSigmoidKornia,
	"focal/sigmoid_monai":           mapSigmoidMonai,
	"focal/sigmoid_star":            mapSigmoidStar,
	"focal/softmax_kornia":          mapSoftmaxKornia,
	"focal/probs_boundaryloss":      mapFocalOfProbabilities,
	"focal/softmax_monai":           mapSoftmaxMonai,
}

var focalExclusions = []goldenExclusion{
	{"focal/sigmoid_monai", "sigmoid_monai with soft labels modulates by σ(-x(2y-1))^γ, which is not (1-p_t)^γ", softLabels},
}

var focalElsewhere = []goldenExclusion{
	{"focal/sigmoid_legacy", "sigmoid_legacy with soft labels chooses alpha by y = 1, not in proportion", softLabels},
	{"focal/sigmoid_legacy", "sigmoid_legacy overflows below -709: its loss is 0 where it should be about alpha |x|", overflowsLegacy},
}

func softLabels(c goldenCase) bool {
	return slices.ContainsFunc(c.Inputs["target"].Data, func(y goldenNumber) bool { return y != 0 && y != 1 })
}

func overflowsLegacy(c goldenCase) bool {
	return slices.ContainsFunc(c.Inputs["x"].Data, func(x goldenNumber) bool { return x < -709 })
}

func mapSigmoidFocal(c goldenCase) (mapped, error) {
	settings, err := c.settings("alpha", "gamma", "label_smoothing", "normalizer")
	if err != nil {
		return mapped{}, err
	}
	in, err := c.values()
	if err != nil {
		return mapped{}, err
	}
	return finish(losses.SigmoidFocal, in, settings)
}

// mapSigmoidKornia: each side has its own modulator; the weights are by class;
// ignored labels count for nothing but stay in the mean's number.
func mapSigmoidKornia(c goldenCase) (mapped, error) {
	settings, err := c.settings("alpha", "gamma", "ignore_index")
	if err != nil {
		return mapped{}, err
	}
	in, err := c.values("weight", "pos_weight")
	if err != nil {
		return mapped{}, err
	}
	if ignored, ok := settings["ignore_index"].(float64); ok {
		in = ignoreByWeight(in, ignored)
	}
	delete(settings, "ignore_index")
	settings["modulator"] = "split"
	return finish(losses.SigmoidFocal, in, settings)
}

// ignoreByWeight gives ignored labels the weight 0.
func ignoreByWeight(in losses.Values, ignored float64) losses.Values {
	target, logits := in["target"], in["logits"]
	weight := losses.Filled(logits.Shape, 1)
	if w, ok := in["weight"]; ok { // [C,1,...]
		_, count, inner := split(logits.Shape)
		for i := range weight.Data {
			weight.Data[i] = w.Data[i/inner%count]
		}
	}
	for i, label := range target.Data {
		if label == ignored {
			target.Data[i], weight.Data[i] = 0, 0
		}
	}
	in["weight"] = weight
	return in
}

func mapSigmoidMonai(c goldenCase) (mapped, error) {
	return mapMonai(c, losses.SigmoidFocal, map[string]any{}, "weight")
}

// mapSoftmaxMonai: the caller gives one-hot targets, the class axis stays.
func mapSoftmaxMonai(c goldenCase) (mapped, error) {
	return mapMonai(c, losses.SoftmaxFocal, map[string]any{"soft_targets": true, "per_class": true})
}

// mapMonai: without background, channel 0 is dropped before the softmax unless it is
// the only one, and then alpha with it in the softmax form. Its sum is over means: of the spatial axes, or
// of everything where there are none.
func mapMonai(c goldenCase, loss *losses.Loss, fixed map[string]any, perClass ...string) (mapped, error) {
	settings, err := c.settings("alpha", "gamma", "use_softmax", "include_background")
	if err != nil {
		return mapped{}, err
	}
	softmax := loss == losses.SoftmaxFocal
	if used, _ := settings["use_softmax"].(bool); used != softmax {
		return mapped{}, fmt.Errorf("use_softmax is %v", used)
	}
	if _, ok := settings["alpha"]; !ok {
		settings["alpha"] = -1.0
	}
	background := settings["include_background"]
	delete(settings, "use_softmax")
	delete(settings, "include_background")
	in, err := c.values(perClass...)
	if err != nil {
		return mapped{}, err
	}
	var undo func(losses.Array) losses.Array
	if _, count, _ := split(in["logits"].Shape); background == false && count > 1 {
		whole := in["logits"].Shape
		in["logits"], in["target"] = dropChannel0(in["logits"]), dropChannel0(in["target"])
		undo = func(a losses.Array) losses.Array { return padChannel0(a, whole) }
	}
	if background == false && softmax {
		settings["alpha"] = -1.0
	}
	for name, value := range fixed {
		settings[name] = value
	}
	m, err := finish(loss, in, settings)
	m.undo = undo
	_, _, averaged := split(in["logits"].Shape)
	if len(in["logits"].Shape) == 2 {
		averaged = len(in["logits"].Data)
	}
	m.scale = map[string]float64{"sum": 1 / float64(averaged)}
	return m, err
}

func mapSigmoidStar(c goldenCase) (mapped, error) {
	settings, err := c.settings("alpha", "gamma")
	if err != nil {
		return mapped{}, err
	}
	settings["beta"] = 0.0
	in, err := c.values()
	if err != nil {
		return mapped{}, err
	}
	return finish(losses.SigmoidFocalStar, in, settings)
}

// mapSoftmaxKornia: the one-hot target has 1e-6 instead of 0 at the wrong classes;
// ignored positions count for nothing but stay in the mean's number.
func mapSoftmaxKornia(c goldenCase) (mapped, error) {
	settings, err := c.settings("alpha", "gamma", "ignore_index")
	if err != nil {
		return mapped{}, err
	}
	in, err := c.values()
	if err != nil {
		return mapped{}, err
	}
	ignored := math.NaN()
	if i, ok := settings["ignore_index"].(float64); ok {
		ignored = i
	}
	delete(settings, "ignore_index")
	settings["soft_targets"], settings["per_class"] = true, true
	in["target"] = flooredOneHot(in["target"], in["logits"].Shape, ignored)
	return finish(losses.SoftmaxFocal, in, settings)
}

func flooredOneHot(labels losses.Array, shape []int, ignored float64) losses.Array {
	_, count, inner := split(shape)
	target := losses.Zeros(shape)
	for i := range target.Data {
		label := labels.Data[i/(count*inner)*inner+i%inner]
		if label == ignored {
			continue
		}
		target.Data[i] = 1e-6
		if label == float64(i/inner%count) {
			target.Data[i] = 1
		}
	}
	return target
}

// finish resolves the parameters and states what rounding the reference has.
//
// A reference forms 1 - p and, in cross-entropy, differences of numbers as large
// as the logits: both have an absolute error of some 2^-53 of these, whatever is
// left. It is multiplied by the weights. A power γ < 1 magnifies that error where
// 1 - p is small, up to its γ-th power where 1 - p is nothing but error. That shows
// in the gradient by the target, where (1-p)^γ is not multiplied by something as
// small as 1-p, and with smoothed labels, where cross-entropy is not small either.
// Beyond logits of 40 a prediction is saturated and nothing of that grows, but for
// the gradient by the target, which is a sum of multiples of the logit.
func finish(loss *losses.Loss, in losses.Values, settings map[string]any) (mapped, error) {
	params, err := loss.Params(settings)
	if err != nil {
		return mapped{}, err
	}
	factor := max(1, largest(in["weight"].Data)) * max(1, largest(in["pos_weight"].Data))
	largestLogit := largest(in["logits"].Data)
	farthest := min(40, largestLogit)
	size, targetSize := factor*(1+farthest), factor*(1+largestLogit)
	const unit = 8 * 0x1p-53
	m := mapped{loss: loss, in: in, params: params, rounding: unit * size, targetRounding: unit * targetSize}
	if gamma, ok := params["gamma"].(float64); ok && gamma > 0 && gamma < 1 {
		slope := math.Exp(farthest * (1 - gamma)) // of (1-p)^γ, at most
		magnified := min(math.Pow(unit, gamma), 2*unit*slope)
		m.targetRounding = magnified * targetSize
		if params.Float("label_smoothing") > 0 {
			m.rounding = magnified * size
		}
	}
	return m, nil
}

func dropChannel0(a losses.Array) losses.Array {
	outer, count, inner := split(a.Shape)
	shape := slices.Clone(a.Shape)
	shape[1]--
	var data []float64
	for n := range outer {
		data = append(data, a.Data[(n*count+1)*inner:(n+1)*count*inner]...)
	}
	return losses.Array{Shape: shape, Data: data}
}

func padChannel0(a losses.Array, shape []int) losses.Array {
	outer, count, inner := split(shape)
	padded := losses.Zeros(shape)
	for n := range outer {
		copy(padded.Data[(n*count+1)*inner:(n+1)*count*inner], a.Data[n*(count-1)*inner:])
	}
	return padded
}
