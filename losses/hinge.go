package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// Hinge is the margin loss of support vector machines.
var Hinge = &Loss{
	Name:    "HingeLoss",
	Summary: "margin loss on scores of independent binary labels: nothing beyond the margin, linear before it",
	Formula: `s = 2 target - 1, which is 1 for a positive label and -1 for a negative one
loss = weight · max(0, margin - s · prediction), or with squared its square`,
	Meaning: `0 for a score on the right side by the margin or more; then it grows with the
distance to that, or with its square. The score is any number whose sign decides, not a
probability: its scale means something only against the margin. Labels are 0 and 1, not -1 and
1; numbers in between are soft labels, of which 1/2 costs the margin whatever is predicted. With
reduction mean the sum is divided by the number of terms, whatever the weights.`,
	Paper: "Cortes, Vapnik: Support-Vector Networks, Machine Learning 20, 1995; squared: Lee, Mangasarian: SSVM, Computational Optimization and Applications 20, 2001",
	Inputs: []Input{
		{Name: "prediction", Role: Prediction, Domain: Real, Shape: "...", Doc: "one score a label; positive leans to 1"},
		binaryTarget(),
		elementWeight(),
	},
	Declare: []Param{
		{Name: "margin", Kind: Float, Default: 1.0, Min: 0, Max: math.Inf(1), Try: []any{0.25, 2.5}, Doc: "how far on its side a score must be to cost nothing; 0 is the perceptron's loss"},
		{Name: "squared", Kind: Bool, Default: false, Try: []any{true}, Doc: "the squared hinge, which has no kink"},
	},
	Value:    hingeValue,
	Gradient: hingeGradient,
	Build:    buildHinge,
	Bound:    hingeBound,
	Accuracy: "weight · δ with δ = eps · (margin + 2 |s · prediction|), for the lack to the margin is a difference; squared: weight · (2 lack + δ) · δ; beyond that 4 ULP",
	Figure: &Figure{X: "score of a positive label", From: -2, To: 3, Curves: []Curve{
		against("hinge", nil, "prediction", map[string]float64{"target": 1}),
		against("squared", map[string]any{"squared": true}, "prediction", map[string]float64{"target": 1}),
		against("margin = 0", map[string]any{"margin": 0}, "prediction", map[string]float64{"target": 1}),
	}},
}

// hingeLack is what a score lacks to the margin.
func hingeLack(x, y float64, p Params) float64 {
	return max(0, p.Float("margin")-(2*y-1)*x)
}

// hingeOf is the loss of a lack, with its slope, which is 0 at the kink.
func hingeOf(lack float64, p Params) (loss, slope float64) {
	switch {
	case lack == 0:
		return 0, 0
	case p.Bool("squared"):
		return lack * lack, 2 * lack
	}
	return lack, 1
}

func hingeValue(in Values, p Params) (Terms, error) {
	x, y := in["prediction"], in["target"]
	w := optional(in, "weight", x.Shape)
	loss := Zeros(x.Shape)
	for i, x := range x.Data {
		value, _ := hingeOf(hingeLack(x, y.Data[i], p), p)
		loss.Data[i] = w.Data[i] * value
	}
	return Terms{Loss: loss}, nil
}

func hingeGradient(in Values, p Params, upstream Array) (Values, error) {
	x, y := in["prediction"], in["target"]
	w := optional(in, "weight", x.Shape)
	dx, dy := Zeros(x.Shape), Zeros(x.Shape)
	for i, x := range x.Data {
		_, slope := hingeOf(hingeLack(x, y.Data[i], p), p)
		slope *= upstream.Data[i] * w.Data[i]
		dx.Data[i], dy.Data[i] = -slope*(2*y.Data[i]-1), -slope*2*x
	}
	return Values{"prediction": dx, "target": dy}, nil
}

func hingeBound(in Values, p Params, eps float64) (Array, error) {
	x, y := in["prediction"], in["target"]
	w := optional(in, "weight", x.Shape)
	bound := Zeros(x.Shape)
	for i, x := range x.Data {
		lack := hingeLack(x, y.Data[i], p)
		off := eps * (p.Float("margin") + 2*math.Abs(x*(2*y.Data[i]-1)))
		value, _ := hingeOf(lack, p)
		if p.Bool("squared") {
			off *= 2*lack + off
		}
		bound.Data[i] = w.Data[i] * (off + 4*eps*value)
	}
	return bound, nil
}

func buildHinge(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	x, y := in["prediction"], in["target"]
	side := b.Label(b.Sub(b.Add(y, y), b.Scalar(y, 1)), "side")
	lack := b.Label(b.Relu(b.Sub(b.Scalar(x, p.Float("margin")), b.Mul(side, x))), "lack")
	loss := lack
	if p.Bool("squared") {
		loss = b.Label(b.Mul(lack, lack), "squared_lack")
	}
	if w := in["weight"]; w.Present() {
		loss = scale(b, loss, w)
	}
	return ops.Terms{Loss: loss}
}
