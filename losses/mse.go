package losses

import "github.com/onnxloss/onnxloss/ops"

// MSE is the squared error.
var MSE = ofDifference(Loss{
	Name:    "MSELoss",
	Summary: "squared error",
	Formula: `loss = (prediction - target)²`,
	Meaning: `The square of the distance, in the square of the numbers' unit; with reduction mean
the mean squared error. It is the negative log-likelihood of a normal distribution of fixed
variance, up to a factor and a constant. Outliers weigh heavily.`,
	Paper:  "PyTorch, MSELoss (definition)",
	Figure: &Figure{X: "error", From: -3, To: 3, Curves: []Curve{ofError("", nil)}},
	Build: func(b *ops.Builder, in map[string]ops.Value, _ Params) ops.Terms {
		d := b.Label(b.Sub(in["prediction"], in["target"]), "difference")
		return ops.Terms{Loss: b.Label(b.Mul(d, d), "squared_error")}
	},
}, func(d float64, _ Params) float64 { return d * d },
	func(d float64, _ Params) float64 { return 2 * d })
