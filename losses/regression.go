package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// regression lists the inputs of a loss on the difference of two numbers.
func regression() []Input {
	return []Input{
		{Name: "prediction", Role: Prediction, Domain: Real, Shape: "...", Doc: "the predicted numbers"},
		{Name: "target", Role: Target, Domain: Real, Shape: "...", Doc: "the true numbers"},
	}
}

// ofDifference makes Value, Gradient and Bound of a loss that is a function of
// prediction - target. Rounding the difference is a relative error, as both
// numbers are given exactly.
func ofDifference(l Loss, value, slope func(d float64, p Params) float64) *Loss {
	l.Inputs = regression()
	l.Value = func(in Values, p Params) (Terms, error) {
		x, y := in["prediction"], in["target"]
		loss := Zeros(x.Shape)
		for i := range x.Data {
			loss.Data[i] = value(x.Data[i]-y.Data[i], p)
		}
		return Terms{Loss: loss}, nil
	}
	l.Gradient = func(in Values, p Params, upstream Array) (Values, error) {
		x, y := in["prediction"], in["target"]
		dx, dy := Zeros(x.Shape), Zeros(x.Shape)
		for i := range x.Data {
			dx.Data[i] = upstream.Data[i] * slope(x.Data[i]-y.Data[i], p)
			dy.Data[i] = -dx.Data[i]
		}
		return Values{"prediction": dx, "target": dy}, nil
	}
	l.Bound = func(in Values, p Params, eps float64) (Array, error) {
		return relativeBound(l.Value, in, p, 4*eps)
	}
	l.Accuracy = "4 ULP relative: the difference is rounded once, and nothing cancels after that"
	return &l
}

func sign(d float64) float64 {
	switch {
	case d > 0:
		return 1
	case d < 0:
		return -1
	}
	return 0
}

// huber is d²/2 up to |d| = delta and linear beyond.
func huber(d, delta float64) float64 {
	size := math.Abs(d)
	if size <= delta {
		return d * d / 2
	}
	return delta * (size - delta/2)
}

// buildHuber is, of d = x - y, m (|d| - m/2) with m = min(|d|, delta), where nothing cancels: the
// bracket is at least |d|/2.
func buildHuber(b *ops.Builder, x, y ops.Value, delta float64) ops.Value {
	size := b.Label(b.Abs(b.Sub(x, y)), "size")
	m := b.Label(b.Min(size, b.Scalar(size, delta)), "capped_size")
	return b.Mul(m, b.Sub(size, b.Mul(m, b.Scalar(m, 0.5))))
}
