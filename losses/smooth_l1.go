package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// SmoothL1 is the absolute error, made smooth near 0.
var SmoothL1 = ofDifference(Loss{
	Name:    "SmoothL1Loss",
	Summary: "absolute error, made smooth near 0, as detectors regress boxes with",
	Formula: `d = prediction - target
loss = d²/(2 β) where |d| < β, else |d| - β/2`,
	Meaning: `The distance, in the numbers' own unit, less β/2; quadratic below β, so that the
gradient goes to 0 with the error. With β = 0 it is the absolute error. It is the Huber loss
divided by β.`,
	Paper: "Girshick: Fast R-CNN, ICCV 2015, arXiv:1504.08083; β as in PyTorch, SmoothL1Loss",
	Declare: []Param{
		{Name: "beta", Kind: Float, Default: 1.0, Min: 0, Max: math.Inf(1), Try: []any{0.0, 0.25}, Doc: "the error up to which the loss is quadratic"},
	},
	Figure: &Figure{X: "error", From: -3, To: 3, Curves: over(ofError, "beta", 0.0, 0.5, 1.0, 2.0)},
	Build:  buildSmoothL1,
}, smoothL1Value, smoothL1Slope)

func smoothL1Value(d float64, p Params) float64 {
	beta := p.Float("beta")
	if beta == 0 {
		return math.Abs(d)
	}
	return huber(d, beta) / beta
}

func smoothL1Slope(d float64, p Params) float64 {
	beta := p.Float("beta")
	if math.Abs(d) < beta {
		return d / beta
	}
	return sign(d)
}

func buildSmoothL1(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	beta := p.Float("beta")
	if beta == 0 {
		return L1.Build(b, in, p)
	}
	loss := buildHuber(b, in["prediction"], in["target"], beta)
	if beta != 1 {
		loss = b.Div(loss, b.Scalar(loss, beta))
	}
	return ops.Terms{Loss: b.Label(loss, "smooth_l1")}
}
