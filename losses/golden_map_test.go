package losses_test

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/onnxloss/onnxloss/losses"
)

// mapped is a golden case in our terms.
type mapped struct {
	loss   *losses.Loss
	in     losses.Values
	params losses.Params
	// scale is what our reduced loss is multiplied by to be the reference's.
	scale map[string]float64
	// undo turns our gradient by the logits into the shape of the reference's
	// input; nil where it has that.
	undo func(losses.Array) losses.Array
	// rounding is the absolute error that the reference may have in float64;
	// targetRounding is that of its gradient by the target.
	rounding, targetRounding float64
}

func (m mapped) scaleOf(reduction string) float64 {
	if s, ok := m.scale[reduction]; ok {
		return s
	}
	return 1
}

// gradientOf finds our gradient by an input of the reference.
func (m mapped) gradientOf(name string, got losses.Values) (losses.Array, bool) {
	if name == "x" {
		name = m.loss.Inputs[0].Name
	}
	a, ok := got[name]
	if ok && m.undo != nil {
		a = m.undo(a)
	}
	return a, ok
}

// goldenExclusion is a set of golden cases that are no target, and why.
type goldenExclusion struct {
	kind   string
	reason string
	when   func(goldenCase) bool // nil is always
}

// exclusions must each match a case of the repository's folder.
var exclusions = []goldenExclusion{
	{"focal/probs_boundaryloss", "focal loss on probabilities: not in the catalogue", nil},
	{"focal/sigmoid_monai", "sigmoid_monai with soft labels modulates by σ(-x(2y-1))^γ, which is not (1-p_t)^γ", softLabels},
	{"baseline/smooth_l1_beta0", "smooth_l1 with beta 0 has the slope -1 where prediction and target are equal; ours has 0, as l1", ties},
	{"baseline/nll", "likelihood of given log-probabilities: not in the catalogue", nil},
	{"baseline/kl_div", "Kullback-Leibler divergence: not in the catalogue", nil},
	{"baseline/bce", "cross-entropy of probabilities: not in the catalogue", nil},
}

// elsewhere is what only other folders have.
var elsewhere = []goldenExclusion{
	{"baseline/smooth_l1", "smooth_l1 with beta 0 has the slope -1 where prediction and target are equal; ours has 0, as l1", func(c goldenCase) bool {
		return c.Params["beta"] == 0.0 && ties(c)
	}},
	{"focal/sigmoid_legacy", "sigmoid_legacy with soft labels chooses alpha by y = 1, not in proportion", softLabels},
	{"focal/sigmoid_legacy", "sigmoid_legacy overflows below -709: its loss is 0 where it should be about alpha |x|", overflowsLegacy},
}

// otherFamilies have no loss in the catalogue yet.
var otherFamilies = []string{"bitempered", "gan", "iou", "boundary", "perceptual", "gradient"}

func exclusion(c goldenCase) (reason string) {
	if slices.Contains(otherFamilies, c.family()) {
		return c.family() + ": no loss of this family in the catalogue"
	}
	for _, e := range slices.Concat(exclusions, elsewhere) {
		if e.kind == c.kind() && (e.when == nil || e.when(c)) {
			return e.reason
		}
	}
	return ""
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

func softLabels(c goldenCase) bool {
	return slices.ContainsFunc(c.Inputs["target"].Data, func(y goldenNumber) bool { return y != 0 && y != 1 })
}

func overflowsLegacy(c goldenCase) bool {
	return slices.ContainsFunc(c.Inputs["x"].Data, func(x goldenNumber) bool { return x < -709 })
}

var mappings = map[string]func(goldenCase) (mapped, error){
	"focal/sigmoid":                 mapSigmoidFocal,
	"focal/sigmoid_fvcore":          mapSigmoidFocal,
	"focal/sigmoid_label_smoothing": mapSigmoidFocal,
	"focal/sigmoid_legacy":          mapSigmoidFocal,
	"focal/sigmoid_kornia":          mapSigmoidKornia,
	"focal/sigmoid_monai":           mapSigmoidMonai,
	"focal/sigmoid_star":            mapSigmoidStar,
	"focal/softmax_kornia":          mapSoftmaxKornia,
	"focal/softmax_monai":           mapSoftmaxMonai,
	"baseline/cross_entropy":        mapCrossEntropy,
	"baseline/cross_entropy_soft":   mapCrossEntropySoft,
	"baseline/bce_logits":           mapBCELogits,
	"baseline/mse":                  regression(losses.MSE),
	"baseline/l1":                   regression(losses.L1),
	"baseline/smooth_l1":            regression(losses.SmoothL1),
	"baseline/smooth_l1_beta0":      regression(losses.SmoothL1),
	"baseline/huber":                regression(losses.Huber),
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

// mapMonai: without background, channel 0 is dropped before the softmax, and then
// alpha with it in the softmax form. Its sum is over means: of the spatial axes, or
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
	if background == false {
		whole := in["logits"].Shape
		in["logits"], in["target"] = dropChannel0(in["logits"]), dropChannel0(in["target"])
		undo = func(a losses.Array) losses.Array { return padChannel0(a, whole) }
		if softmax {
			settings["alpha"] = -1.0
		}
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

// settings gives the case's parameters, which must be among the known ones. Null
// leaves a parameter out; an alpha of null or below 0 is our -1.
func (c goldenCase) settings(known ...string) (map[string]any, error) {
	settings := map[string]any{}
	for name, value := range c.Params {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("%s has the parameter %s = %v, which its mapping does not know", c.kind(), name, value)
		}
		if value != nil {
			settings[name] = value
		}
	}
	_, given := c.Params["alpha"]
	if alpha, ok := settings["alpha"].(float64); given && (!ok || alpha < 0) {
		settings["alpha"] = -1.0
	}
	return settings, nil
}

// values gives the case's inputs under our names. Those of perClass, of shape [C],
// are reshaped to lie along axis 1 of an elementwise loss.
func (c goldenCase) values(perClass ...string) (losses.Values, error) {
	in := losses.Values{}
	for name, a := range c.Inputs {
		switch name {
		case "x":
			in["logits"] = a.array()
		case "target", "weight", "pos_weight":
			in[name] = a.array()
		default:
			return nil, fmt.Errorf("%s has the input %s, which its mapping does not know", c.kind(), name)
		}
	}
	for _, name := range perClass {
		if a, ok := in[name]; ok && len(a.Shape) == 1 {
			a.Shape = slices.Concat(a.Shape, slices.Repeat([]int{1}, max(0, len(in["logits"].Shape)-2)))
			in[name] = a
		}
	}
	return in, nil
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

// split gives the sizes of [N, C, d1, ...] as N, C and the product of the rest.
func split(shape []int) (outer, count, inner int) {
	outer, count, inner = 1, 1, 1
	for axis, d := range shape {
		switch axis {
		case 0:
			outer = d
		case 1:
			count = d
		default:
			inner *= d
		}
	}
	return outer, count, inner
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

func scaled(a losses.Array, factor float64) losses.Array {
	b := losses.Array{Shape: a.Shape, Data: slices.Clone(a.Data)}
	for i := range b.Data {
		b.Data[i] *= factor
	}
	return b
}
