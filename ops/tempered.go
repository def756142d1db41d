package ops

import "math"

// LogT is the tempered logarithm (x^(1-t) - 1)/(1-t) for x >= 0, log x at t = 1. It
// is built from log x, so that it has no cancellation for t near 1 nor for x near 1.
func (b *Builder) LogT(x Value, t float64) Value {
	switch t {
	case 0:
		return b.Sub(x, b.Scalar(x, 1))
	case 1:
		return b.Log(x)
	}
	return b.Label(b.LogTOfLog(b.Log(x), t), "log_t")
}

// LogTOfLog is LogT of e^x.
func (b *Builder) LogTOfLog(x Value, t float64) Value {
	if t == 1 {
		return x
	}
	power := b.Expm1(b.Mul(x, b.Scalar(x, 1-t)))
	if t == 0 {
		return power
	}
	return b.Label(b.Mul(power, b.Scalar(x, 1/(1-t))), "log_t")
}

// ExpT is the tempered exponential max(0, 1 + (1-t) x)^(1/(1-t)), e^x at t = 1. For
// t > 1 it is infinite from 1/(t-1) on.
func (b *Builder) ExpT(x Value, t float64) Value {
	if t == 1 {
		return b.Exp(x)
	}
	scaled := b.Mul(x, b.Scalar(x, 1-t))
	power := b.Mul(b.LogOnePlus(b.Max(scaled, b.Scalar(x, -1)), math.Abs(1-t)), b.Scalar(x, 1/(1-t)))
	return b.Label(b.Exp(power), "exp_t")
}

// Expm1 is e^x - 1 without cancellation: (e^x - 1)/(e^x + 1) is tanh(x/2).
func (b *Builder) Expm1(x Value) Value {
	half := b.Tanh(b.Mul(x, b.Scalar(x, 0.5)))
	return b.Label(b.Mul(half, b.Add(b.Exp(x), b.Scalar(x, 1))), "expm1")
}

// NearlyOne is the distance of a temperature from 1 below which the rounding of
// 1 + x, which 1/(1-t) multiplies, is made good.
const NearlyOne = 0.125

// LogOnePlus is log(1 + x) for any finite x >= -1, to be divided by scale: where
// that is small the rounding of 1 + x is made good. Log1p is faster for 0 to 1.
func (b *Builder) LogOnePlus(x Value, scale float64) Value {
	one := b.Scalar(x, 1)
	u := b.Label(b.Add(x, one), "one_plus")
	if scale >= NearlyOne {
		return b.Log(u)
	}
	// Log u is the logarithm of the wrong number; (x - (u - 1))/u is what the
	// rounding lost, to first order. At u = 0 nothing was lost.
	lost := b.Div(b.Sub(x, b.Sub(u, one)), b.Max(u, b.Scalar(x, smallestBase)))
	return b.Label(b.Add(b.Log(u), lost), "log_one_plus")
}

// smallestBase stands for 0 in a denominator.
const smallestBase = 1e-30
