package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// Tversky weighs false positives and false negatives apart.
var Tversky = ofRegions(Loss{
	Name:    "TverskyLoss",
	Summary: "overlap of predicted and true regions, false positives and false negatives weighed apart",
	Formula: `p = softmax(prediction), t = one-hot(target) or soft target; for each sample and class
TP = Σ p t or, with intersection=minimum, Σ min(p, t) over the positions
FP = Σ p - TP, FN = Σ t - TP
loss = weight · [1 - (TP + smooth_nr) / (TP + alpha FP + beta FN + smooth_dr)]`,
	Meaning: `0 where prediction and target are the same region, 1 where they share nothing. alpha
is the price of a false positive, beta that of a false negative: beta above alpha asks for
recall, as for small lesions. alpha = beta = 1/2 is the Dice loss, alpha = beta = 1 the
Jaccard loss, alpha + beta = 1 those of the F-scores. A class that neither prediction nor
target has costs 0. A mean divides by the sum of the weights, so that a weight of 0 leaves a
class, such as the background, out; a sample whose positions are all ignored counts for
nothing.`,
	Paper:  "Salehi, Erdogmus, Gholipour: Tversky loss function for image segmentation using 3D fully convolutional deep networks, MLMI 2017, arXiv:1706.05721",
	Inputs: regionInputs("a factor for each class; 0 leaves it out"),
	Declare: regionParams(
		Param{Name: "alpha", Kind: Float, Default: 0.3, Min: 0, Max: math.Inf(1), Try: []any{0.0, 0.5, 1.0}, Doc: "weight of false positives"},
		Param{Name: "beta", Kind: Float, Default: 0.7, Min: 0, Max: math.Inf(1), Try: []any{0.0, 0.5, 1.0}, Doc: "weight of false negatives"},
	),
	Check:    checkRegions,
	Build:    buildTversky,
	Accuracy: regionsAccuracy,
	Figure: &Figure{X: growingX, From: 0, To: 3, Curves: []Curve{
		growing("alpha = 0.5, beta = 0.5 (Dice)", map[string]any{"alpha": 0.5, "beta": 0.5}),
		growing("alpha = 0.3, beta = 0.7", nil),
		growing("alpha = 0.1, beta = 0.9", map[string]any{"alpha": 0.1, "beta": 0.9}),
		growing("alpha = 0.7, beta = 0.3", map[string]any{"alpha": 0.7, "beta": 0.3}),
	}},
}, tverskyMeasure)

func tverskyMeasure(p, q, t float64, params Params) pixel {
	alpha, beta := params.Float("alpha"), params.Float("beta")
	s := sharedOf(p, q, t, params)
	return pixel{
		hit: s.both, hitByP: s.bothByP, hitByT: s.bothByT,
		miss:    alpha*s.surplus + beta*s.lack,
		missByP: alpha*(1-s.bothByP) - beta*s.bothByP,
		missByT: beta*(1-s.bothByT) - alpha*s.bothByT,
	}
}

func buildTversky(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	r := buildRegions(b, in, p)
	both := r.both(b, p)
	hit := b.Label(r.sum(b, both), "true_positives")
	positives := b.Label(r.sum(b, b.Sub(r.probability, both)), "false_positives")
	negatives := b.Label(r.sum(b, b.Sub(r.share, both)), "false_negatives")
	miss := b.Add(b.Mul(positives, b.Scalar(hit, p.Float("alpha"))), b.Mul(negatives, b.Scalar(hit, p.Float("beta"))))
	return r.terms(b, buildRatio(b, hit, b.Label(miss, "miss"), p), in["weight"])
}
