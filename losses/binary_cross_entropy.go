package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// BinaryCrossEntropy is binary cross-entropy on probabilities.
var BinaryCrossEntropy = &Loss{
	Name:    "BinaryCrossEntropyLoss",
	Summary: "binary cross-entropy on probabilities, for independent labels",
	Formula: `loss = -weight · [y log p + (1 - y) log(1 - p)], 0 · log 0 = 0
log_limit > 0: no logarithm is taken below -log_limit`,
	Meaning: `The negative log-likelihood of each label in nats: 0 for a certain and right
prediction, 0.693 for p = 1/2. A certain and wrong one costs infinitely much, and a probability
that was rounded to 0 or 1 does so too: where the model has logits take the sigmoid
cross-entropy, which loses nothing. log_limit = 100 keeps the loss finite as PyTorch does; where it
holds the loss is flat and its gradient 0, while PyTorch's gradient there is (p - y) times 1e12.
With reduction mean the sum is divided by the number of terms, whatever the weights.`,
	Paper: "PyTorch, BCELoss (definition of weight and mean; log_limit = 100)",
	Inputs: []Input{
		{Name: "prediction", Role: Prediction, Domain: UnitInterval, Shape: "...", Doc: "the probability that the label is 1"},
		binaryTarget(),
		elementWeight(),
	},
	Declare: []Param{
		{Name: "log_limit", Kind: Float, Default: 0.0, Min: 0, Max: math.Inf(1), Try: []any{0.5, 2.0}, Doc: "the largest size that a logarithm may have; PyTorch: 100; 0 is no limit"},
	},
	Value:    binaryCrossEntropyValue,
	Gradient: binaryCrossEntropyGradient,
	Build:    buildBinaryCrossEntropy,
	Bound:    binaryCrossEntropyBound,
	Accuracy: "eps · weight · [4 y |log p| + (1 - y) (4 |log(1 - p)| + 1)]: relative but for the rounding of 1 - p, which is one of the logarithm by half an eps",
	Figure: &Figure{X: "predicted probability of a positive label", From: 0.001, To: 0.999, Curves: []Curve{
		against("no limit", nil, "prediction", map[string]float64{"target": 1}),
		against("log_limit = 3", map[string]any{"log_limit": 3}, "prediction", map[string]float64{"target": 1}),
		against("target = 0.8", nil, "prediction", map[string]float64{"target": 0.8}),
	}},
}

// limitedLog is log p and its derivative, both cut off where the limit holds.
func limitedLog(p, limit float64) (log, slope float64) {
	log = math.Log(p)
	if limit > 0 && log < -limit {
		return -limit, 0
	}
	return log, 1 / p
}

// without0 is a b, and 0 where a is, also if b is infinite.
func without0(a, b float64) float64 {
	if a == 0 {
		return 0
	}
	return a * b
}

// bernoulli is one element: the weights of both logarithms, and these with their
// derivatives.
type bernoulli struct {
	yes, no        float64 // weight · y, weight · (1 - y)
	logP, logQ     float64
	slopeP, slopeQ float64
}

func eachBernoulli(in Values, p Params, f func(i int, t bernoulli)) {
	x, y := in["prediction"], in["target"]
	w := optional(in, "weight", x.Shape)
	for i, x := range x.Data {
		t := bernoulli{yes: w.Data[i] * y.Data[i], no: w.Data[i] * (1 - y.Data[i])}
		t.logP, t.slopeP = limitedLog(x, p.Float("log_limit"))
		t.logQ, t.slopeQ = limitedLog(1-x, p.Float("log_limit"))
		f(i, t)
	}
}

func binaryCrossEntropyValue(in Values, p Params) (Terms, error) {
	loss := Zeros(in["prediction"].Shape)
	eachBernoulli(in, p, func(i int, t bernoulli) {
		loss.Data[i] = -without0(t.yes, t.logP) - without0(t.no, t.logQ)
	})
	return Terms{Loss: loss}, nil
}

func binaryCrossEntropyGradient(in Values, p Params, upstream Array) (Values, error) {
	dx, dy := Zeros(in["prediction"].Shape), Zeros(in["prediction"].Shape)
	eachBernoulli(in, p, func(i int, t bernoulli) {
		dx.Data[i] = upstream.Data[i] * (without0(t.no, t.slopeQ) - without0(t.yes, t.slopeP))
		dy.Data[i] = without0(upstream.Data[i]*(t.yes+t.no), t.logQ-t.logP)
	})
	return Values{"prediction": dx, "target": dy}, nil
}

func binaryCrossEntropyBound(in Values, p Params, eps float64) (Array, error) {
	bound := Zeros(in["prediction"].Shape)
	eachBernoulli(in, p, func(i int, t bernoulli) {
		bound.Data[i] = eps * (4*math.Abs(without0(t.yes, t.logP)) + 4*math.Abs(without0(t.no, t.logQ)) + t.no)
	})
	return bound, nil
}

func buildBinaryCrossEntropy(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	x, y := in["prediction"], in["target"]
	one := b.Scalar(y, 1)
	yes, no := y, b.Sub(one, y)
	if w := in["weight"]; w.Present() {
		yes, no = scale(b, yes, w), scale(b, no, w)
	}
	likelihood := b.Add(
		b.Mul(yes, buildLimitedLog(b, x, yes, p)),
		b.Mul(no, buildLimitedLog(b, b.Sub(one, x), no, p)),
	)
	return ops.Terms{Loss: b.Label(b.Neg(likelihood), "cross_entropy")}
}

// buildLimitedLog is log x, not below the limit; where it is multiplied by 0 it is
// finite.
func buildLimitedLog(b *ops.Builder, x, factor ops.Value, p Params) ops.Value {
	if limit := p.Float("log_limit"); limit > 0 {
		log := b.Log(x)
		return b.Max(log, b.Scalar(log, -limit))
	}
	return b.Log(b.Where(b.Equal(factor, b.Scalar(factor, 0)), b.Scalar(x, 1), x))
}
