package losses

import "github.com/onnxloss/onnxloss/ops"

// Dice is one minus the Dice coefficient of every class.
var Dice = ofRegions(Loss{
	Name:    "DiceLoss",
	Summary: "overlap of predicted and true regions, for each class of each sample",
	Formula: `p = softmax(prediction), t = one-hot(target) or soft target; for each sample and class
I = Σ p t, S = Σ p + Σ t over the positions, with squared_pred S = Σ p² + Σ t²
loss = weight · [1 - (2 I + smooth_nr) / (S + smooth_dr)]
jaccard: loss = weight · [1 - (2 I + smooth_nr) / (2 (S - I) + smooth_dr)]`,
	Meaning: `0 where prediction and target are the same region, 1 where they share nothing. A
class counts the same however few pixels it has, which is what the loss is for; it says
nothing about how far off a boundary is. A class that neither prediction nor target has costs
0; one that the target has not costs 1 as soon as anything of it is predicted, unless
smooth_dr is there to soften that. A mean divides by the sum of the weights, so that a weight
of 0 leaves a class, such as the background, out; a sample whose positions are all ignored
counts for nothing. With soft targets the plain form is not smallest at p = t; squared_pred
is.`,
	Paper:  "Milletari, Navab, Ahmadi: V-Net, 3DV 2016, arXiv:1606.04797 (squared_pred); the parameters follow MONAI's DiceLoss, with 0 for its smoothing",
	Inputs: regionInputs("a factor for each class; 0 leaves it out"),
	Declare: regionParams(
		Param{Name: "squared_pred", Kind: Bool, Default: false, Try: []any{true}, Doc: "square p and t in the denominator, as the paper does"},
		Param{Name: "jaccard", Kind: Bool, Default: false, Try: []any{true}, Doc: "intersection over union instead of Dice"},
	),
	Check:    checkRegions,
	Build:    buildDice,
	Accuracy: regionsAccuracy,
	Figure: &Figure{X: growingX, From: 0, To: 3, Curves: []Curve{
		growing("Dice", nil),
		growing("squared_pred", map[string]any{"squared_pred": true}),
		growing("jaccard", map[string]any{"jaccard": true}),
		growing("smooth_nr = smooth_dr = 1", map[string]any{"smooth_nr": 1, "smooth_dr": 1}),
	}},
}, diceMeasure)

func diceMeasure(p, q, t float64, params Params) pixel {
	x := dicePixel(p, q, t)
	if params.Bool("squared_pred") {
		difference := p*(1-t) - q*t
		x.miss, x.missByP, x.missByT = difference*difference, 2*difference, -2*difference
	}
	if params.Bool("jaccard") {
		x.miss, x.missByP, x.missByT = 2*x.miss, 2*x.missByP, 2*x.missByT
	}
	return x
}

func buildDice(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	r := buildRegions(b, in, p)
	miss := r.mismatch(b, p)
	if p.Bool("squared_pred") {
		difference := b.Sub(r.probability, r.share)
		miss = b.Mul(difference, difference)
	}
	hit, missed := r.intersection(b), b.Label(r.sum(b, miss), "miss")
	if p.Bool("jaccard") {
		missed = b.Mul(missed, b.Scalar(missed, 2))
	}
	return r.terms(b, buildRatio(b, hit, missed, p), in["weight"])
}

// intersection is 2 Σ p t for each region.
func (r regions) intersection(b *ops.Builder) ops.Value {
	shared := r.sum(b, b.Mul(r.probability, r.share))
	return b.Label(b.Mul(shared, b.Scalar(shared, 2)), "hit")
}

// mismatch is p (1 - t) + (1 - p) t, which for a mask is |p - t|.
func (r regions) mismatch(b *ops.Builder, p Params) ops.Value {
	if !p.Bool("soft_targets") {
		return b.Abs(b.Sub(r.probability, r.share))
	}
	both := b.Mul(r.probability, r.share)
	return b.Add(b.Sub(r.probability, both), b.Sub(r.share, both))
}
