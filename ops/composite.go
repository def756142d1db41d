package ops

// Log1p is log(1 + x) for x >= 0 with a small relative error also where x is far
// below 1, which ONNX has no operator for. With u = 1 + x rounded, log u is the
// logarithm of the wrong number; (x - (u - 1))/u is what the rounding lost, to
// first order.
func (b *Builder) Log1p(x Value) Value {
	one := b.Scalar(x, 1)
	u := b.Add(x, one)
	lost := b.Sub(x, b.Sub(u, one))
	return b.Label(b.Add(b.Log(u), b.Div(lost, u)), "log1p")
}

// PowConst is x^exponent for x >= 0, by multiplications where the exponent is a
// small whole number.
func (b *Builder) PowConst(x Value, exponent float64) Value {
	switch exponent {
	case 0:
		// x^0 is 1, also at 0; 0·x would not be where x is infinite.
		return b.Scalar(x, 1)
	case 0.5:
		return b.Sqrt(x)
	case 1:
		return x
	case 1.5:
		return b.Mul(x, b.Sqrt(x))
	case 2:
		return b.Mul(x, x)
	case 3:
		return b.Mul(b.Mul(x, x), x)
	case 4:
		square := b.Mul(x, x)
		return b.Mul(square, square)
	case 5:
		square := b.Mul(x, x)
		return b.Mul(b.Mul(square, square), x)
	}
	return b.Pow(x, b.Scalar(x, exponent))
}
