package losses

import (
	"github.com/onnxloss/onnxloss/ops"
)

// SigmoidCrossEntropy is binary cross-entropy on logits.
var SigmoidCrossEntropy = &Loss{
	Name:    "SigmoidCrossEntropyLoss",
	Summary: "binary cross-entropy on logits, for independent labels",
	Formula: `softplus(z) = log(1 + e^z)
loss = weight · [pos_weight · y · softplus(-x) + (1 - y) · softplus(x)]
which is -[y log σ(x) + (1 - y) log(1 - σ(x))] without the weights`,
	Meaning: `The negative log-likelihood of each label in nats: 0 for a certain and right
prediction, 0.693 for x = 0, about |x| for a certain and wrong one. Computed on logits, it
stays finite where a sigmoid would round to 0 or 1. With reduction mean the sum is divided by
the number of terms, whatever the weights.`,
	Paper:  "PyTorch, BCEWithLogitsLoss (definition of weight, pos_weight and mean)",
	Inputs: elementwise(elementWeight(), positiveWeight()),
	Figure: &Figure{
		X: "logit", From: -5, To: 5,
		Curves: []Curve{
			against("label 1", nil, "logits", map[string]float64{"target": 1}),
			against("label 0.5", nil, "logits", map[string]float64{"target": 0.5}),
			against("label 0", nil, "logits", map[string]float64{"target": 0}),
		},
	},
	Value:    sigmoidCrossEntropyValue,
	Gradient: sigmoidCrossEntropyGradient,
	Build:    buildSigmoidCrossEntropy,
	Bound: func(in Values, p Params, eps float64) (Array, error) {
		return relativeBound(sigmoidCrossEntropyValue, in, p, 4*eps)
	},
	Accuracy: "4 ULP relative: a sum of terms that are never negative, so nothing cancels",
}

func sigmoidCrossEntropyValue(in Values, _ Params) (Terms, error) {
	x, y := in["logits"], in["target"]
	w, pw := optional(in, "weight", x.Shape), optional(in, "pos_weight", x.Shape)
	loss := Zeros(x.Shape)
	for i, x := range x.Data {
		y := y.Data[i]
		loss.Data[i] = w.Data[i] * (pw.Data[i]*y*softplus(-x) + (1-y)*softplus(x))
	}
	return Terms{Loss: loss}, nil
}

func sigmoidCrossEntropyGradient(in Values, _ Params, upstream Array) (Values, error) {
	x, y := in["logits"], in["target"]
	w, pw := optional(in, "weight", x.Shape), optional(in, "pos_weight", x.Shape)
	dx, dy := Zeros(x.Shape), Zeros(x.Shape)
	for i, x := range x.Data {
		y, scale := y.Data[i], upstream.Data[i]*w.Data[i]
		dx.Data[i] = scale * ((1-y)*sigmoid(x) - pw.Data[i]*y*sigmoid(-x))
		// pw softplus(-x) - softplus(x), with softplus(x) = x + softplus(-x)
		dy.Data[i] = scale * ((pw.Data[i]-1)*softplus(-x) - x)
	}
	return Values{"logits": dx, "target": dy}, nil
}

func buildSigmoidCrossEntropy(b *ops.Builder, in map[string]ops.Value, _ Params) ops.Terms {
	m := buildMargin(b, in["logits"], in["target"])
	loss := m.crossEntropy(b)
	if pw := in["pos_weight"]; pw.Present() {
		loss = m.weightedCrossEntropy(b, in["target"], pw)
	}
	if w := in["weight"]; w.Present() {
		loss = scale(b, loss, w)
	}
	return ops.Terms{Loss: loss}
}

// margin is what the lowerings of sigmoid losses have in common. With positive = 1
// where x > 0 and 0 elsewhere, off = positive - y has the sign of x, its size is how
// far the label is from the side that the logit is on, and with e = e^-|x| every
// part is a sum of terms that are not negative:
//
//	cross-entropy = log1p(e) + x off
//	softplus(x)   = log1p(e) + max(x, 0)
//	1 - p_t       = (|off| + e (1 - |off|)) / (1 + e)
type margin struct {
	x        ops.Value
	positive ops.Value
	off      ops.Value
	e        ops.Value
	log1p    ops.Value
}

func buildMargin(b *ops.Builder, x, y ops.Value) margin {
	m := margin{x: x}
	m.positive = b.Label(b.Cast(b.Greater(x, b.Scalar(x, 0)), x.DType()), "positive")
	m.off = b.Label(b.Sub(m.positive, y), "off")
	m.e = b.Exp(b.Neg(b.Abs(x)))
	m.log1p = b.Log1p(m.e)
	return m
}

func (m margin) crossEntropy(b *ops.Builder) ops.Value {
	return b.Label(b.Add(m.log1p, b.Mul(m.x, m.off)), "cross_entropy")
}

// weightedCrossEntropy is positiveWeight y softplus(-x) + (1 - y) softplus(x).
func (m margin) weightedCrossEntropy(b *ops.Builder, y, positiveWeight ops.Value) ops.Value {
	one := b.Scalar(y, 1)
	positives := b.Mul(scale(b, y, positiveWeight), m.softplusNegative(b))
	negatives := b.Mul(b.Sub(one, y), m.softplus(b))
	return b.Label(b.Add(positives, negatives), "cross_entropy")
}

// softplus is log(1 + e^x).
func (m margin) softplus(b *ops.Builder) ops.Value {
	return b.Label(b.Add(m.log1p, b.Relu(m.x)), "softplus")
}

// softplusNegative is log(1 + e^-x).
func (m margin) softplusNegative(b *ops.Builder) ops.Value {
	return b.Label(b.Add(m.log1p, b.Relu(b.Neg(m.x))), "softplus_negative")
}

// probabilities is σ(x) and σ(-x): 1/(1+e) and e/(1+e) where x > 0, else the other
// way round.
func (m margin) probabilities(b *ops.Builder) (p, q ops.Value) {
	one := b.Scalar(m.x, 1)
	u := b.Add(m.e, one)
	negative := b.Sub(one, m.positive)
	p = b.Label(b.Div(b.Add(m.positive, b.Mul(negative, m.e)), u), "p")
	q = b.Label(b.Div(b.Add(negative, b.Mul(m.positive, m.e)), u), "one_minus_p")
	return p, q
}
