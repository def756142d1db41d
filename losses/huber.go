package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// Huber is quadratic near 0 and linear beyond.
var Huber = ofDifference(Loss{
	Name:    "HuberLoss",
	Summary: "quadratic for small errors, linear for large ones",
	Formula: `d = prediction - target
loss = d²/2 where |d| <= δ, else δ (|d| - δ/2)`,
	Meaning: `Half the squared error for errors up to δ; beyond it grows with slope δ, so that an
outlier pulls no harder than an error of δ.`,
	Paper: "Huber: Robust Estimation of a Location Parameter, Annals of Mathematical Statistics 35, 1964",
	Declare: []Param{
		{Name: "delta", Kind: Float, Default: 1.0, Min: 0, Max: math.Inf(1), OpenMin: true, Try: []any{0.25, 3.0}, Doc: "the error up to which the loss is quadratic"},
	},
	Figure: &Figure{X: "error", From: -3, To: 3, Curves: over(ofError, "delta", 0.5, 1.0, 2.0)},
	Build: func(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
		return ops.Terms{Loss: b.Label(buildHuber(b, in["prediction"], in["target"], p.Float("delta")), "huber")}
	},
}, func(d float64, p Params) float64 { return huber(d, p.Float("delta")) },
	func(d float64, p Params) float64 {
		return math.Max(-p.Float("delta"), math.Min(d, p.Float("delta")))
	})
