package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// Hausdorff is the distance-transform form of the Hausdorff loss.
var Hausdorff = &Loss{
	Name:    "HausdorffLoss",
	Summary: "Hausdorff distance loss: squared errors times how far they are from the outlines",
	Formula: `p = softmax(prediction) over the classes, sigmoid(prediction), or prediction itself
t = 1 where the target is of the class, else 0
s = 1 for the highest prediction of a position, with sigmoid where prediction > 0, else 0
d_t, d_s = distance to the outline of t and of s: to the nearest element on the other side,
or with sides=inside 0 outside of the region; 0 in an image without an outline
loss = weight_c (p - t)² (d_t^alpha + d_s^alpha)   for every class c and position`,
	Meaning: `A smooth stand-in for the Hausdorff distance, the distance of the worst element: 0 for
a perfect prediction, and wrong elements cost the more the farther they are from the true
outline or the predicted one. With alpha = 2 it is in squared elements or, with spacing, in the
square of the spacing's unit. The distances are constants to the gradient. Positions at which
several classes tie for the highest prediction belong to all of these; a single class is always
the highest, so that it takes activation=sigmoid. sides=inside is how the boundary loss's
authors have it: errors outside of both regions cost nothing. The graph computes the distances
of both, which takes much memory: see signed-distance-map. A weight of 0 leaves a class out.
Ignored positions count for nothing and belong to no true region.`,
	Paper:    "Karimi, Salcudean: Reducing the Hausdorff Distance in Medical Image Segmentation with Convolutional Neural Networks, IEEE TMI 2020, arXiv:1904.10030",
	Inputs:   hausdorffInputs(),
	Declare:  hausdorffParams(),
	Check:    checkMasks,
	Value:    hausdorffValue,
	Gradient: hausdorffGradient,
	Frozen: func(in Values, p Params) func(Values) (Terms, error) {
		held := hausdorffOf(in, p)
		return func(in Values) (Terms, error) { return held.terms(in, p), nil }
	},
	Figure: &Figure{X: alongRowX, From: 1, To: rowLength - 1, Curves: []Curve{
		alongRow("alpha = 1", map[string]any{"alpha": 1}, nil),
		alongRow("alpha = 1.5", map[string]any{"alpha": 1.5}, nil),
		alongRow("alpha = 1, inside", map[string]any{"alpha": 1, "sides": "inside"}, nil),
	}},
	Build:    buildHausdorff,
	Bound:    hausdorffBound,
	Accuracy: "weight · (d_t^alpha + d_s^alpha) · [(|p - t| + e)² - (p - t)² + (p - t)² · (alpha · (error of d) + 8 eps)], where e is the error of p plus eps/2; " + activationAccuracy + ". The error of d is " + distanceAccuracy,
}

func hausdorffInputs() []Input {
	inputs := append(activatedInputs("N,C,D,..."), labelInputs(always)...)
	return append(inputs,
		Input{Name: "weight", Role: Weight, Domain: NonNegative, Shape: "C", Optional: true, Doc: "a factor for each class; 0 leaves it out"},
		spacingInput(nil),
	)
}

func hausdorffParams() []Param {
	return []Param{
		activationParam(),
		{Name: "alpha", Kind: Float, Default: 2.0, Max: math.Inf(1), OpenMin: true, Try: []any{1.0, 1.5}, Doc: "the power of the distances: the larger, the more the farthest error decides"},
		{Name: "sides", Kind: String, Default: "both", Values: []string{"both", "inside"}, Try: []any{"inside"}, Doc: "both: distances inside and outside of a region, as in the paper; inside: 0 outside, as in public code"},
		masksParam(),
		ignoreIndexParam(),
	}
}

// hausdorff is what the loss is made of beside the probabilities.
type hausdorff struct {
	mask   Array // t
	counts Array // the weight of the class, 0 where ignored
	factor Array // that times d_t^alpha + d_s^alpha
}

func hausdorffOf(in Values, p Params) hausdorff {
	x, alpha := in["prediction"], p.Float("alpha")
	h := hausdorff{factor: Zeros(x.Shape)}
	h.mask, h.counts = regionsOf(in, p)
	scaleByClass(h.counts, in)
	d := distancesOf(in, x.Shape)
	truth, predicted := depths(d, h.mask, p), depths(d, predictedRegions(x, p), p)
	for i, w := range h.counts.Data {
		h.factor.Data[i] = w * (math.Pow(truth.Data[i], alpha) + math.Pow(predicted.Data[i], alpha))
	}
	return h
}

// depths is how far each element is from the outline.
func depths(d distances, mask Array, p Params) Array {
	result := d.to(0, mask)
	if p.String("sides") == "both" {
		for i, outside := range d.to(1, mask).Data {
			result.Data[i] += outside // one of them is 0
		}
	}
	return result
}

// predictedRegions is the mask of each class in the prediction.
func predictedRegions(x Array, p Params) Array {
	mask := Zeros(x.Shape)
	c := classesOf(x)
	for i := range c.positions() {
		border := 0.0
		if p.String("activation") != "sigmoid" {
			border = math.Inf(-1)
			for k := range c.count {
				border = math.Max(border, x.Data[c.index(i, k)])
			}
		}
		for k := range c.count {
			at := c.index(i, k)
			if x.Data[at] > border || x.Data[at] == border && p.String("activation") != "sigmoid" {
				mask.Data[at] = 1
			}
		}
	}
	return mask
}

func (h hausdorff) terms(in Values, p Params) Terms {
	loss := activated(in["prediction"], p)
	for i, probability := range loss.Data {
		off := probability - h.mask.Data[i]
		loss.Data[i] = h.factor.Data[i] * off * off
	}
	if _, weighted := in["weight"]; !weighted && p.Bool("masks") {
		return Terms{Loss: loss}
	}
	return Terms{Loss: loss, Weight: &h.counts}
}

func hausdorffValue(in Values, p Params) (Terms, error) {
	return hausdorffOf(in, p).terms(in, p), nil
}

func hausdorffGradient(in Values, p Params, upstream Array) (Values, error) {
	h := hausdorffOf(in, p)
	slope := activated(in["prediction"], p)
	for i, probability := range slope.Data {
		slope.Data[i] = upstream.Data[i] * h.factor.Data[i] * 2 * (probability - h.mask.Data[i])
	}
	return Values{"prediction": beforeActivation(in["prediction"], p, slope)}, nil
}

func hausdorffBound(in Values, p Params, eps float64) (Array, error) {
	x := in["prediction"]
	h := hausdorffOf(in, p)
	probability, off := activated(x, p), activationError(x, p, eps)
	relative := p.Float("alpha")*distanceError(len(x.Shape)-2, eps) + 8*eps
	bound := Zeros(x.Shape)
	for i := range bound.Data {
		wrong := math.Abs(probability.Data[i] - h.mask.Data[i])
		e := off.Data[i] + eps/2*wrong
		bound.Data[i] = h.factor.Data[i] * (e*(2*wrong+e) + wrong*wrong*relative)
	}
	return bound, nil
}

func buildHausdorff(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	x, mask, keep := in["prediction"], in["target"], ops.Value{}
	if !p.Bool("masks") {
		mask, keep = buildMasks(b, x, in["target"], p)
	}
	spreads := buildSpreads(b, "HausdorffLoss", x, in["spacing"])
	region := b.Label(b.Cast(buildPredictedRegions(b, x, p), x.DType()), "predicted_region")
	truth, predicted := buildDepths(b, mask, spreads, p), buildDepths(b, region, spreads, p)
	distance := b.Detach(b.Add(truth, predicted), "distances")
	off := b.Sub(buildActivation(b, x, p), mask)
	loss := b.Mul(b.Mul(off, off), distance)
	counts := ops.Value{}
	if in["weight"].Present() || keep.Present() {
		counts = buildTermCounts(b, x, in["weight"], keep)
		loss = b.Mul(loss, counts)
	}
	return ops.Terms{Loss: b.Assume(loss, x.Shape()), Weight: counts}
}

func buildPredictedRegions(b *ops.Builder, x ops.Value, p Params) ops.Value {
	if p.String("activation") == "sigmoid" {
		return b.Greater(x, b.Scalar(x, 0))
	}
	return b.GreaterOrEqual(x, b.ReduceMax(x, true, 1))
}

// buildDepths is the distance to the outline, to the power alpha.
func buildDepths(b *ops.Builder, mask ops.Value, spreads []ops.Value, p Params) ops.Value {
	depth := func(mask ops.Value) ops.Value {
		squared := buildSquaredDistances(b, b.Mul(mask, b.Scalar(mask, far)), spreads)
		return buildFound(b, squared, squared)
	}
	squared := depth(mask)
	if p.String("sides") == "both" {
		squared = b.Add(squared, depth(b.Sub(b.Scalar(mask, 1), mask)))
	}
	return b.PowConst(squared, p.Float("alpha")/2)
}
