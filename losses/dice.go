package losses

import (
	"fmt"

	"github.com/onnxloss/onnxloss/ops"
)

// Dice is one minus the Dice coefficient of every class.
var Dice = ofRegions(Loss{
	Name:    "DiceLoss",
	Summary: "overlap of predicted and true regions, for each class of each sample",
	Formula: `p = softmax(prediction), t = one-hot(target) or soft target; for each sample and class
I = Σ p t or, with intersection=minimum, Σ min(p, t) over the positions
S = Σ p + Σ t, with squared_pred Σ p² + Σ t²
loss = weight · [1 - (2 I + smooth_nr) / (S + smooth_dr)]
jaccard: loss = weight · [1 - (2 I + smooth_nr) / (2 (S - I) + smooth_dr)]`,
	Meaning: `0 where prediction and target are the same region, 1 where they share nothing. A
class counts the same however few pixels it has, which is what the loss is for; it says
nothing about how far off a boundary is. A class that neither prediction nor target has costs
0; one that the target has not costs 1 as soon as anything of it is predicted, unless
smooth_dr is there to soften that. A mean divides by the sum of the weights, so that a weight
of 0 leaves a class, such as the background, out; a sample whose positions are all ignored
counts for nothing. With soft targets the plain form is not smallest at p = t; squared_pred
and intersection=minimum are.`,
	Paper:  "Milletari, Navab, Ahmadi: V-Net, 3DV 2016, arXiv:1606.04797 (squared_pred); Wang, Popordanoska, Bertels, Lemmens, Blaschko: Dice Semimetric Losses, MICCAI 2023, arXiv:2303.16296 (intersection=minimum); the parameters follow MONAI's DiceLoss, with 0 for its smoothing",
	Inputs: regionInputs("a factor for each class; 0 leaves it out"),
	Declare: regionParams(
		Param{Name: "squared_pred", Kind: Bool, Default: false, Try: []any{true}, Doc: "square p and t in the denominator, as the paper does"},
		Param{Name: "jaccard", Kind: Bool, Default: false, Try: []any{true}, Doc: "intersection over union instead of Dice"},
	),
	Check:    checkDice,
	Build:    buildDice,
	Accuracy: regionsAccuracy,
	Figure: &Figure{X: growingX, From: 0, To: 3, Curves: []Curve{
		growing("Dice", nil),
		growing("squared_pred", map[string]any{"squared_pred": true}),
		growing("jaccard", map[string]any{"jaccard": true}),
		growing("smooth_nr = smooth_dr = 1", map[string]any{"smooth_nr": 1, "smooth_dr": 1}),
	}},
}, diceMeasure)

func checkDice(p Params) error {
	if p.Bool("squared_pred") && p.String("intersection") == "minimum" {
		return fmt.Errorf("squared_pred goes with intersection=product, where the loss is 0 for p = t already; leave one of them out")
	}
	return checkRegions(p)
}

func diceMeasure(p, q, t float64, params Params) pixel {
	x := dicePixel(p, q, t, params)
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
	both := r.both(b, p)
	missed := r.mismatch(b, both, p)
	if p.Bool("squared_pred") {
		difference := b.Sub(r.probability, r.share)
		missed = b.Mul(difference, difference)
	}
	hit, miss := r.intersection(b, both), b.Label(r.sum(b, missed), "miss")
	if p.Bool("jaccard") {
		miss = b.Mul(miss, b.Scalar(miss, 2))
	}
	return r.terms(b, buildRatio(b, hit, miss, p), in["weight"])
}
