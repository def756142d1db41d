package losses_test

import (
	"fmt"
	"math"
	"slices"

	"github.com/onnxloss/onnxloss/losses"
)

var gradientMappings = map[string]mapping{
	"gradient/spatial_gradient":    mapSpatialGradient,
	"gradient/l1_gradient":         mapImageGradient,
	"gradient/l1_magnitude":        mapMagnitude("l1"),
	"gradient/mse_magnitude":       mapMagnitude("l2"),
	"gradient/cascadepsp":          mapCascadePSP,
	"gradient/gca_gradient":        mapGCA,
	"gradient/vitmatte_gradient":   mapViTMatteGradient,
	"gradient/vitmatte_unknown_l1": mapViTMatteUnknown,
	"gradient/hair_shipped":        mapHair,
	"gradient/hair_soft":           mapHair,
	"gradient/laplacian":           mapLaplacian,
	"gradient/gradient_metric":     mapGradientMetric,
}

var gradientExclusions = []goldenExclusion{}

var gradientElsewhere = []goldenExclusion{}

// imageNames maps the references' inputs to ours.
var imageNames = map[string]string{"pred": "prediction", "target": "target"}

// imageRounding is that of sums of a few numbers of the size of 1.
const imageRounding = 1e-13

// sizeOfImages is what the rounding of a loss grows with.
func sizeOfImages(in losses.Values, p losses.Params) float64 {
	size := 1.0
	for _, a := range in {
		size = max(size, largest(a.Data))
	}
	if p.String("norm") == "l2" {
		return size * size
	}
	return size
}

// images gives the case's inputs under our names.
func images(c goldenCase, names map[string]string) (losses.Values, error) {
	in := losses.Values{}
	for name, a := range c.Inputs {
		ours, ok := names[name]
		if !ok {
			return nil, fmt.Errorf("%s has the input %s, which its mapping does not know", c.kind(), name)
		}
		in[ours] = a.array()
	}
	return in, nil
}

// mapImages is for losses of two images with parameters of other names; fixed ones
// come on top.
func mapImages(c goldenCase, loss *losses.Loss, names, params map[string]string, fixed map[string]any) (mapped, error) {
	settings := map[string]any{}
	for name, value := range c.Params {
		ours, ok := params[name]
		if !ok {
			return mapped{}, fmt.Errorf("%s has the parameter %s = %v, which its mapping does not know", c.kind(), name, value)
		}
		if value == "diff" {
			value = "central"
		}
		settings[ours] = value
	}
	for name, value := range fixed {
		settings[name] = value
	}
	in, err := images(c, names)
	if err != nil {
		return mapped{}, err
	}
	p, err := loss.Params(settings)
	rounding := imageRounding * sizeOfImages(in, p)
	return mapped{loss: loss, in: in, params: p, names: names, rounding: rounding, targetRounding: rounding}, err
}

func mapSpatialGradient(c goldenCase) (mapped, error) {
	return mapImages(c, losses.SpatialGradient, map[string]string{"pred": "image"},
		map[string]string{"mode": "operator", "normalized": "normalized"}, nil)
}

func mapImageGradient(c goldenCase) (mapped, error) {
	return mapImages(c, losses.ImageGradient, imageNames,
		map[string]string{"mode": "operator", "normalized": "normalized"}, nil)
}

func mapMagnitude(norm string) mapping {
	return func(c goldenCase) (mapped, error) {
		return mapImages(c, losses.GradientMagnitude, imageNames,
			map[string]string{"eps": "epsilon", "normalized": "normalized", "mode": "operator"}, map[string]any{"norm": norm})
	}
}

// mapLaplacian: the loss is the mean over the samples.
func mapLaplacian(c goldenCase) (mapped, error) {
	m, err := mapImages(c, losses.LaplacianPyramid, imageNames, map[string]string{"max_levels": "levels"}, nil)
	m.outputs = map[string]losses.Reduction{"loss": losses.Mean}
	return m, err
}

// mapGCA: a bare Sobel filter, zero padding. With a weight the sum is divided by
// the weights' sum and 1e-8; the square takes the weight along.
func mapGCA(c goldenCase) (mapped, error) {
	norm, _ := c.Params["loss_type"].(string)
	if err := checkSobel(c.Inputs["filter"]); err != nil {
		return mapped{}, err
	}
	names := map[string]string{"pred": "prediction", "target": "target", "weight": "weight", "filter": "filter"}
	m, err := mapImages(c, losses.GradientMagnitude, names, map[string]string{"loss_type": "norm"},
		map[string]any{"normalized": false, "padding": "zero", "epsilon": 1e-8})
	if err != nil {
		return mapped{}, err
	}
	delete(m.in, "filter")
	m.outputs = map[string]losses.Reduction{"loss": losses.Mean}
	weight, weighted := m.in["weight"]
	if !weighted {
		return m, nil
	}
	total := 0.0
	for _, w := range weight.Data {
		total += w
	}
	m.outputs = map[string]losses.Reduction{"loss": losses.Sum}
	m.scale = map[string]float64{"loss": 1 / (total + 1e-8)}
	if norm == "l2" {
		for i, w := range weight.Data {
			weight.Data[i] = w * w
		}
	}
	return m, nil
}

// checkSobel proves that a case's filter is Sobel's pair, in either order; their
// signs do not matter to a magnitude.
func checkSobel(filter goldenArray) error {
	x := []goldenNumber{-1, 0, 1, -2, 0, 2, -1, 0, 1}
	y := []goldenNumber{-1, -2, -1, 0, 0, 0, 1, 2, 1}
	if slices.Equal(filter.Data, slices.Concat(y, x)) || slices.Equal(filter.Data, slices.Concat(x, y)) {
		return nil
	}
	return fmt.Errorf("the filter %v is not Sobel's", filter.Data)
}

// computed evaluates a loss and its gradient.
type computed struct {
	value losses.Array
	grad  losses.Values
}

func compute(loss *losses.Loss, in losses.Values, settings map[string]any, r losses.Reduction) (computed, error) {
	p, err := loss.Params(settings)
	if err != nil {
		return computed{}, err
	}
	value, err := loss.Evaluate(in, p, r)
	if err != nil {
		return computed{}, err
	}
	grad, err := loss.EvaluateGradient(in, p, r, nil)
	return computed{value, grad}, err
}

// mapCascadePSP: its Sobel filter is divided by 4, ours by 8, so that its magnitudes
// are twice ours with a quarter of epsilon. The edges are the loss against 0.
func mapCascadePSP(c goldenCase) (mapped, error) {
	in, err := images(c, imageNames)
	if err != nil {
		return mapped{}, err
	}
	epsilon, ok := c.Params["epsilon"].(float64)
	if !ok || len(c.Params) != 1 {
		return mapped{}, fmt.Errorf("parameters %v", c.Params)
	}
	settings := map[string]any{"blur": true, "padding": "zero", "epsilon": epsilon / 4}
	result, err := compute(losses.GradientMagnitude, in, settings, losses.Mean)
	if err != nil {
		return mapped{}, err
	}
	d := &direct{
		outputs: map[string]losses.Array{"mean": scaled(result.value, 2)},
		grad:    losses.Values{"pred": scaled(result.grad["prediction"], 2), "target": scaled(result.grad["target"], 2)},
	}
	for theirs, ours := range imageNames {
		flat := losses.Values{"prediction": in[ours], "target": losses.Zeros(in[ours].Shape)}
		edges, err := compute(losses.GradientMagnitude, flat, settings, losses.None)
		if err != nil {
			return mapped{}, err
		}
		for i := range edges.value.Data {
			edges.value.Data[i] = 2*edges.value.Data[i] + math.Sqrt(epsilon)
		}
		d.outputs[theirs+"_edges"] = edges.value
	}
	m := mapped{direct: d, rounding: imageRounding, targetRounding: imageRounding}
	ours, theirs := c.Expected["pred_edges"].Data, c.Expected["target_edges"].Data
	for i, edge := range ours {
		off := math.Abs(float64(edge - theirs[i]))
		if off > 0 && off <= imageRounding {
			m.withoutGradient = "edges that are equal but for rounding: the sign of their difference is arbitrary"
		}
	}
	return m, nil
}

// vitMatteScale is s = N 512²/Σ mask, divided by the number of elements that its
// means are over. Nothing costs nothing where the mask is empty; the reference
// divides 0 by 0 there.
func vitMatteScale(in losses.Values) float64 {
	total := 0.0
	for _, m := range in["weight"].Data {
		total += m
	}
	if total == 0 {
		return 0
	}
	return float64(in["prediction"].Shape[0]) * 512 * 512 / total / float64(len(in["prediction"].Data))
}

// mapViTMatteGradient: the masked gradients' difference, and a hundredth of those of
// the prediction itself.
func mapViTMatteGradient(c goldenCase) (mapped, error) {
	in, err := images(c, map[string]string{"pred": "prediction", "target": "target", "mask": "weight"})
	if err != nil {
		return mapped{}, err
	}
	settings := map[string]any{"normalized": false, "padding": "zero"}
	difference, err := compute(losses.ImageGradient, in, settings, losses.Sum)
	if err != nil {
		return mapped{}, err
	}
	alone := losses.Values{"prediction": in["prediction"], "target": losses.Zeros(in["target"].Shape), "weight": in["weight"]}
	own, err := compute(losses.ImageGradient, alone, settings, losses.Sum)
	if err != nil {
		return mapped{}, err
	}
	s := vitMatteScale(in)
	byPrediction := scaled(difference.grad["prediction"], s)
	for i, g := range own.grad["prediction"].Data {
		byPrediction.Data[i] += 0.01 * s * g
	}
	return mapped{rounding: imageRounding, targetRounding: s * imageRounding, direct: &direct{
		outputs: map[string]losses.Array{"loss": scalar(s * (difference.value.Data[0] + 0.01*own.value.Data[0]))},
		grad:    losses.Values{"pred": byPrediction, "target": scaled(difference.grad["target"], s)},
	}}, nil
}

// mapViTMatteUnknown: the mask is multiplied before the absolute value.
func mapViTMatteUnknown(c goldenCase) (mapped, error) {
	in, err := images(c, map[string]string{"pred": "prediction", "target": "target", "mask": "weight"})
	if err != nil {
		return mapped{}, err
	}
	mask := in["weight"].Data
	masked := losses.Values{"prediction": scaled(in["prediction"], 1), "target": scaled(in["target"], 1)}
	for i, m := range mask {
		masked["prediction"].Data[i] *= m
		masked["target"].Data[i] *= m
	}
	result, err := compute(losses.L1, masked, nil, losses.Sum)
	if err != nil {
		return mapped{}, err
	}
	s := vitMatteScale(in)
	d := &direct{outputs: map[string]losses.Array{"loss": scaled(result.value, s)}, grad: losses.Values{}}
	for theirs, ours := range imageNames {
		d.grad[theirs] = scaled(result.grad[ours], s)
		for i, m := range mask {
			d.grad[theirs].Data[i] *= m
		}
	}
	return mapped{direct: d}, nil
}

// mapHair: bare Sobel filters, one ratio for the batch. The shipped code takes the
// index of the higher logit as the mask.
func mapHair(c goldenCase) (mapped, error) {
	in, err := images(c, map[string]string{"mask": "prediction", "logits": "logits", "gray": "image"})
	if err != nil {
		return mapped{}, err
	}
	if logits, ok := in["logits"]; ok {
		in["prediction"] = argmax(logits)
		delete(in, "logits")
	}
	shape := in["prediction"].Shape
	in["prediction"] = reshaped(in["prediction"], in["image"].Shape)
	result, err := compute(losses.MaskImageGradientConsistency, in,
		map[string]any{"activation": "none", "unit": false, "batch": true}, losses.Mean)
	if err != nil {
		return mapped{}, err
	}
	slopes := imageRounding // parts of 1 cancel, which are divided by the mask's edges
	if top := largest(in["mask"].Data); top > 0 && top < 1 {
		slopes /= top
	}
	return mapped{rounding: imageRounding, targetRounding: slopes, direct: &direct{
		outputs: map[string]losses.Array{"loss": result.value},
		grad:    losses.Values{"mask": reshaped(result.grad["prediction"], shape), "gray": result.grad["image"]},
	}}, nil
}

// argmax is the index of the highest entry along axis 1, which vanishes.
func argmax(a losses.Array) losses.Array {
	outer, count, inner := split(a.Shape)
	top := losses.Zeros(slices.Concat(a.Shape[:1], a.Shape[2:]))
	for i := range outer * inner {
		at := func(k int) float64 { return a.Data[(i/inner*count+k)*inner+i%inner] }
		for k := range count {
			if at(k) > at(int(top.Data[i])) {
				top.Data[i] = float64(k)
			}
		}
	}
	return top
}

func reshaped(a losses.Array, shape []int) losses.Array {
	return losses.Array{Shape: shape, Data: a.Data}
}

// mapGradientMetric: images of 0 to 255, the sum over the trimap's unknown pixels in
// thousands.
func mapGradientMetric(c goldenCase) (mapped, error) {
	in, err := images(c, map[string]string{"pred": "prediction", "target": "target", "trimap": "weight"})
	if err != nil {
		return mapped{}, err
	}
	for name, a := range in {
		for i, x := range a.Data {
			switch {
			case name != "weight":
				a.Data[i] = x / 255
			case x == 128:
				a.Data[i] = 1
			default:
				a.Data[i] = 0
			}
		}
		in[name] = reshaped(a, slices.Concat([]int{1, 1}, a.Shape))
	}
	result, err := compute(losses.GradientMagnitude, in,
		map[string]any{"operator": "gaussian", "normalized": false, "norm": "l2"}, losses.Sum)
	squared := math.Pow(imageRounding, 2) * float64(len(in["weight"].Data)) // of differences that should be 0
	return mapped{rounding: squared, direct: &direct{outputs: map[string]losses.Array{"loss": scaled(result.value, 1e-3)}}}, err
}
