package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// L1 is the absolute error.
var L1 = ofDifference(Loss{
	Name:    "L1Loss",
	Summary: "absolute error",
	Formula: `loss = |prediction - target|`,
	Meaning: `The distance, in the numbers' own unit; with reduction mean the mean absolute error.
Robust against outliers. The gradient is 1 or -1 however small the error is, and taken as 0 where
there is none.`,
	Paper:  "PyTorch, L1Loss (definition)",
	Figure: &Figure{X: "error", From: -3, To: 3, Curves: []Curve{ofError("", nil)}},
	Build: func(b *ops.Builder, in map[string]ops.Value, _ Params) ops.Terms {
		return ops.Terms{Loss: b.Label(b.Abs(b.Sub(in["prediction"], in["target"])), "absolute_error")}
	},
}, func(d float64, _ Params) float64 { return math.Abs(d) },
	func(d float64, _ Params) float64 { return sign(d) })
