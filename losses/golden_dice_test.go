package losses_test

import (
	"fmt"
	"math"
	"slices"

	"github.com/onnxloss/onnxloss/losses"
)

var diceMappings = map[string]mapping{
	"boundary/dice":                   mapDiceOfProbabilities,
	"boundary/generalized_dice":       mapGeneralizedDiceOfProbabilities,
	"boundary/dice_monai":             mapDiceMonai,
	"boundary/dice_monai_nosmooth":    mapDiceMonai,
	"boundary/generalized_dice_monai": mapGeneralizedDiceMonai,
	"boundary/tversky_monai":          mapTverskyMonai,
	"boundary/dice_kornia":            mapDiceKornia,
	"boundary/tversky_kornia":         mapTverskyKornia,
	"boundary/cross_entropy_probs":    mapCrossEntropyOfProbabilities,
}

var diceExclusions = []goldenExclusion{}

var diceElsewhere = slices.Concat(
	ofMonai("soft_label takes |p| for p, so that a prediction below 0 counts as one above", negativeSoftLabel),
	ofMonai("smooth_nr without smooth_dr: the loss of an empty class is infinite, ours refuses that", func(c goldenCase) bool {
		nr, given := c.Params["smooth_nr"]
		return c.Params["smooth_dr"] == 0.0 && (!given || nr != 0.0)
	}),
)

// ofMonai is an exclusion from all of MONAI's losses on regions.
func ofMonai(reason string, when func(goldenCase) bool) []goldenExclusion {
	var all []goldenExclusion
	for _, kind := range []string{"dice_monai", "dice_monai_nosmooth", "generalized_dice_monai", "tversky_monai"} {
		all = append(all, goldenExclusion{"boundary/" + kind, reason, when})
	}
	return all
}

func negativeSoftLabel(c goldenCase) bool {
	x := c.Inputs["x"].array()
	_, count, _ := split(x.Shape)
	return c.Params["soft_label"] == true && c.Params["squared_pred"] != true &&
		monaiActivation(c.Params, count) == "none" &&
		slices.ContainsFunc(x.Data, func(p float64) bool { return p < 0 })
}

// mapDiceOfProbabilities: of probabilities and masks, the classes idc, 1e-10 in both
// places.
func mapDiceOfProbabilities(c goldenCase) (mapped, error) {
	return mapProbabilities(c, losses.Dice, map[string]any{"smooth_nr": 1e-10, "smooth_dr": 1e-10})
}

// mapGeneralizedDiceOfProbabilities: 1e-10 in the sizes too, and doubled in the
// numerator.
func mapGeneralizedDiceOfProbabilities(c goldenCase) (mapped, error) {
	return mapProbabilities(c, losses.GeneralizedDice, map[string]any{"smooth_nr": 2e-10, "smooth_dr": 1e-10, "epsilon": 1e-10})
}

func mapProbabilities(c goldenCase, loss *losses.Loss, settings map[string]any) (mapped, error) {
	in, err := c.ofProbabilities()
	if err != nil {
		return mapped{}, err
	}
	settings["activation"], settings["soft_targets"] = "none", true
	m, err := finish(loss, in, settings)
	m.names = map[string]string{"probs": "prediction"}
	return m, err
}

// ofProbabilities gives the inputs of a case on probabilities, with a weight of 0 for
// the classes that are not in idc.
func (c goldenCase) ofProbabilities() (losses.Values, error) {
	if _, err := c.settings("idc", "gamma"); err != nil {
		return nil, err
	}
	in := losses.Values{"prediction": c.Inputs["probs"].array(), "target": c.Inputs["target"].array()}
	chosen := losses.Zeros(in["prediction"].Shape[1:2])
	idc, _ := c.Params["idc"].([]any)
	for _, class := range idc {
		chosen.Data[int(class.(float64))] = 1
	}
	in["weight"] = chosen
	return in, nil
}

// mapCrossEntropyOfProbabilities: -Σ t log(p + 1e-10) / (Σ t + 1e-10), which is the
// likelihood of these logarithms under soft targets.
func mapCrossEntropyOfProbabilities(c goldenCase) (mapped, error) {
	in, err := c.ofProbabilities()
	if err != nil {
		return mapped{}, err
	}
	total := weighedSum(in["target"], in["weight"])
	p := in["prediction"]
	in["prediction"] = losses.Zeros(p.Shape)
	for i, x := range p.Data {
		in["prediction"].Data[i] = math.Log(x + 1e-10)
	}
	m, err := finish(losses.NLL, in, map[string]any{"soft_targets": true})
	m.names = map[string]string{"probs": "prediction"}
	m.outputs = map[string]losses.Reduction{"mean": losses.Sum}
	m.scale = map[string]float64{"mean": 1 / (total + 1e-10)}
	m.undo = func(byLog losses.Array) losses.Array {
		by := losses.Zeros(byLog.Shape)
		for i, x := range p.Data {
			by.Data[i] = byLog.Data[i] / (x + 1e-10)
		}
		return by
	}
	return m, err
}

// mapFocalOfProbabilities: Σ (1 - p)^γ y (-log(p + 1e-10)) / (Σ y + 1e-10), which is
// the likelihood of these logarithms under soft targets (1 - p)^γ y.
func mapFocalOfProbabilities(c goldenCase) (mapped, error) {
	in, err := c.ofProbabilities()
	if err != nil {
		return mapped{}, err
	}
	gamma, _ := c.Params["gamma"].(float64)
	total := weighedSum(in["target"], in["weight"])
	p, y := in["prediction"], in["target"]
	in["prediction"], in["target"] = losses.Zeros(p.Shape), losses.Zeros(p.Shape)
	for i, x := range p.Data {
		in["prediction"].Data[i] = math.Log(x + 1e-10)
		in["target"].Data[i] = math.Pow(1-x, gamma) * y.Data[i]
	}
	params, err := losses.NLL.Params(map[string]any{"soft_targets": true})
	if err != nil {
		return mapped{}, err
	}
	loss, err := losses.NLL.Evaluate(in, params, losses.Sum)
	if err != nil {
		return mapped{}, err
	}
	by, err := losses.NLL.EvaluateGradient(in, params, losses.Sum, nil)
	if err != nil {
		return mapped{}, err
	}
	byP := losses.Zeros(p.Shape)
	for i, x := range p.Data {
		byP.Data[i] = by["prediction"].Data[i] / (x + 1e-10)
		if by["target"].Data[i] != 0 && y.Data[i] != 0 && gamma != 0 {
			byP.Data[i] -= by["target"].Data[i] * gamma * math.Pow(1-x, gamma-1) * y.Data[i]
		}
	}
	scale := 1 / (total + 1e-10)
	return mapped{rounding: 1e-15, targetRounding: 1e-15, direct: &direct{
		outputs: map[string]losses.Array{"loss": scaled(loss, scale)},
		grad:    losses.Values{"probs": scaled(byP, scale)},
	}}, nil
}

// weighedSum adds up a tensor [N,C,...], each class times its weight.
func weighedSum(a, weight losses.Array) float64 {
	_, count, inner := split(a.Shape)
	total := 0.0
	for i, x := range a.Data {
		total += x * weight.Data[i/inner%count]
	}
	return total
}

func mapDiceMonai(c goldenCase) (mapped, error) {
	return mapRegionsMonai(c, losses.Dice, "squared_pred", "jaccard", "soft_label")
}

// mapGeneralizedDiceMonai: a class that is absent weighs as much as the heaviest.
func mapGeneralizedDiceMonai(c goldenCase) (mapped, error) {
	return mapRegionsMonai(c, losses.GeneralizedDice, "w_type", "soft_label")
}

func mapTverskyMonai(c goldenCase) (mapped, error) {
	return mapRegionsMonai(c, losses.Tversky, "alpha", "beta", "soft_label")
}

// mapRegionsMonai: masks for each class, 1e-5 in both places unless given; a mean
// divides by the number of classes, whatever their weights.
func mapRegionsMonai(c goldenCase, loss *losses.Loss, known ...string) (mapped, error) {
	settings, err := c.settings(append(known, "softmax", "sigmoid", "batch", "smooth_nr", "smooth_dr", "include_background")...)
	if err != nil {
		return mapped{}, err
	}
	in := losses.Values{"prediction": c.Inputs["x"].array(), "target": c.Inputs["target"].array()}
	_, count, _ := split(in["prediction"].Shape)
	background := settings["include_background"] != false || count == 1
	in["weight"] = monaiWeight(c, count, background)
	settings["activation"] = monaiActivation(settings, count)
	settings["soft_targets"] = true
	for _, smooth := range []string{"smooth_nr", "smooth_dr"} {
		if _, ok := settings[smooth]; !ok {
			settings[smooth] = 1e-5
		}
	}
	if loss == losses.GeneralizedDice && settings["w_type"] != "uniform" {
		settings["absent"] = "largest"
	}
	if settings["soft_label"] == true && settings["squared_pred"] != true {
		settings["intersection"] = "minimum"
	}
	for _, name := range []string{"softmax", "sigmoid", "include_background", "soft_label"} {
		delete(settings, name)
	}
	m, err := finish(loss, in, settings)
	m.names = map[string]string{"x": "prediction"}
	if err != nil {
		return mapped{}, err
	}
	if settings["intersection"] == "minimum" && settings["activation"] == "none" && slices.Contains(in["prediction"].Data, 0) {
		m.withoutGradient = "soft_label takes |p| for p, whose slope at p = 0 it has as 0"
	}
	terms, err := loss.Terms(in, m.params)
	if err != nil {
		return mapped{}, err
	}
	if dr := settings["smooth_dr"].(float64); dr > 0 && dr < 1 {
		m.gradientRounding = 8 * 0x1p-53 / dr // slopes of an empty class's ratio cancel
	}
	rows, chosen, dropped := count, count, 0 // terms in a row
	switch {
	case loss == losses.GeneralizedDice:
		rows = 1
	case !background:
		chosen, dropped = count-1, 1
	}
	m.reshape, m.upstream = likeNone(c, dropped, rows), unlikeNone(terms.Loss.Shape, dropped, rows)
	if loss != losses.GeneralizedDice {
		m.scale = map[string]float64{"mean": weighedSum(losses.Filled([]int{1, count}, 1), in["weight"]) / float64(chosen)}
	}
	return m, nil
}

func monaiActivation(settings map[string]any, count int) string {
	switch {
	case settings["sigmoid"] == true:
		return "sigmoid"
	case settings["softmax"] == true && count > 1: // of one class it is left out
		return "softmax"
	}
	return "none"
}

// monaiWeight is the weight of each class: 0 for a background that is left out, for
// which MONAI's own weights have no number.
func monaiWeight(c goldenCase, count int, background bool) losses.Array {
	weight := losses.Filled([]int{count}, 1)
	given, kept := c.Inputs["weight"].array(), count
	if !background {
		kept--
	}
	switch {
	case kept > 1 && len(given.Data) == 1: // one number for all
		weight = losses.Filled([]int{count}, given.Data[0])
	case kept > 1: // of one class it is left out
		copy(weight.Data[count-len(given.Data):], given.Data)
	}
	if !background {
		weight.Data[0] = 0
	}
	return weight
}

// likeNone gives unreduced terms the shape that the reference has, without the first
// classes of each row of count.
func likeNone(c goldenCase, dropped, count int) func(string, losses.Array) losses.Array {
	return func(output string, a losses.Array) losses.Array {
		if output != "none" {
			return a
		}
		kept := losses.Array{Shape: c.Expected["none"].Shape}
		for i, x := range a.Data {
			if i%count >= dropped {
				kept.Data = append(kept.Data, x)
			}
		}
		return kept
	}
}

// unlikeNone is its opposite, for upstream gradients: it gives them shape.
func unlikeNone(shape []int, dropped, count int) func(losses.Array) losses.Array {
	return func(a losses.Array) losses.Array {
		given := losses.Array{Shape: shape}
		for i, x := range a.Data {
			if i%(count-dropped) == 0 {
				given.Data = append(given.Data, make([]float64, dropped)...)
			}
			given.Data = append(given.Data, x)
		}
		return given
	}
}

// korniaInputs gives the softmax of a case's logits and its one-hot target with a
// floor of 1e-6, both 0 where ignored and times the class's factor, and what turns a
// gradient by that product into one by the logits.
func korniaInputs(c goldenCase, factor []float64) (prediction, target losses.Array, undo func(losses.Array) losses.Array) {
	logits, labels := c.Inputs["x"].array(), c.Inputs["target"].array()
	ignored := -100.0
	if i, ok := c.Params["ignore_index"].(float64); ok {
		ignored = i
	}
	_, count, inner := split(logits.Shape)
	target = flooredOneHot(labels, logits.Shape, ignored)
	p, scale := softmaxOf(logits), losses.Zeros(logits.Shape)
	prediction = losses.Zeros(logits.Shape)
	for i := range p.Data {
		if labels.Data[i/(count*inner)*inner+i%inner] != ignored {
			scale.Data[i] = factor[i/inner%count]
		}
		prediction.Data[i] = p.Data[i] * scale.Data[i]
		target.Data[i] *= scale.Data[i]
	}
	undo = func(by losses.Array) losses.Array {
		slope := losses.Zeros(by.Shape)
		for i, g := range by.Data {
			slope.Data[i] = g * scale.Data[i]
		}
		return softmaxBackward(p, slope)
	}
	return prediction, target, undo
}

func softmaxOf(logits losses.Array) losses.Array {
	outer, count, inner := split(logits.Shape)
	p := losses.Zeros(logits.Shape)
	for i := range outer * inner {
		at := func(k int) int { return (i/inner*count+k)*inner + i%inner }
		highest, total := math.Inf(-1), 0.0
		for k := range count {
			highest = max(highest, logits.Data[at(k)])
		}
		for k := range count {
			p.Data[at(k)] = math.Exp(logits.Data[at(k)] - highest)
			total += p.Data[at(k)]
		}
		for k := range count {
			p.Data[at(k)] /= total
		}
	}
	return p
}

func softmaxBackward(p, slope losses.Array) losses.Array {
	outer, count, inner := split(p.Shape)
	by := losses.Zeros(p.Shape)
	for i := range outer * inner {
		at := func(k int) int { return (i/inner*count+k)*inner + i%inner }
		mean := 0.0
		for k := range count {
			mean += p.Data[at(k)] * slope.Data[at(k)]
		}
		for k := range count {
			by.Data[at(k)] = p.Data[at(k)] * (slope.Data[at(k)] - mean)
		}
	}
	return by
}

// mapDiceKornia: macro is a Dice loss for each class and their weighted mean, micro
// one for all classes together, whose weights multiply prediction and target.
func mapDiceKornia(c goldenCase) (mapped, error) {
	given, err := c.settings("average", "ignore_index", "eps")
	if err != nil {
		return mapped{}, err
	}
	_, count, _ := split(c.Inputs["x"].Shape)
	weight := losses.Filled([]int{count}, 1)
	copy(weight.Data, c.Inputs["weight"].array().Data)
	ones := losses.Filled([]int{count}, 1)
	loss, factor := losses.Dice, ones.Data
	settings := map[string]any{"activation": "none", "soft_targets": true, "smooth_dr": korniaEpsilon(given)}
	switch given["average"] {
	case "macro":
	case "micro":
		loss, factor, weight = losses.GeneralizedDice, weight.Data, ones
		settings["w_type"] = "uniform"
	default:
		return mapped{}, fmt.Errorf("average is %v", given["average"])
	}
	prediction, target, undo := korniaInputs(c, factor)
	m, err := finish(loss, losses.Values{"prediction": prediction, "target": target, "weight": weight}, settings)
	m.names, m.undo = map[string]string{"x": "prediction"}, undo
	return m, err
}

func korniaEpsilon(given map[string]any) float64 {
	if eps, ok := given["eps"].(float64); ok {
		return eps
	}
	return 1e-8
}

// mapTverskyKornia: of the probability of the right class alone, as one region whose
// false negatives weigh alpha + beta.
func mapTverskyKornia(c goldenCase) (mapped, error) {
	given, err := c.settings("alpha", "beta", "ignore_index", "eps")
	if err != nil {
		return mapped{}, err
	}
	outer, count, inner := split(c.Inputs["x"].Shape)
	all, oneHot, undo := korniaInputs(c, slices.Repeat([]float64{1}, count))
	prediction, target := losses.Zeros([]int{outer, 1, inner}), losses.Zeros([]int{outer, 1, inner})
	for i, t := range oneHot.Data {
		if at := i/(count*inner)*inner + i%inner; t == 1 {
			prediction.Data[at], target.Data[at] = all.Data[i], 1
		}
	}
	alpha, _ := given["alpha"].(float64)
	beta, _ := given["beta"].(float64)
	settings := map[string]any{"activation": "none", "soft_targets": true, "smooth_dr": korniaEpsilon(given), "alpha": 0.0, "beta": alpha + beta}
	m, err := finish(losses.Tversky, losses.Values{"prediction": prediction, "target": target}, settings)
	m.names = map[string]string{"x": "prediction"}
	m.undo = func(byRight losses.Array) losses.Array {
		slope := losses.Zeros(all.Shape)
		for i, t := range oneHot.Data {
			if t == 1 {
				slope.Data[i] = byRight.Data[i/(count*inner)*inner+i%inner]
			}
		}
		return undo(slope)
	}
	return m, err
}
