package ops

import "slices"

// Log1p is log(1 + x) for 0 <= x <= 1, with a small relative error also where x is
// far below 1, which ONNX has no operator for.
func (b *Builder) Log1p(x Value) Value { return b.ScaledLog1p(1, x) }

// ScaledLog1p is factor · log(1 + x), as Log1p.
//
// For float32 it is 2 atanh(s) with s = x/(2 + x), by a polynomial in s²: engines
// take as long for one Log as for a dozen multiplications. For float64 that would
// need three times the terms.
func (b *Builder) ScaledLog1p(factor float64, x Value) Value {
	if x.DType() == Float32 {
		terms := slices.Clone(log1pTerms)
		for i := range terms {
			terms[i] *= factor
		}
		s := b.Div(x, b.Add(x, b.Scalar(x, 2)))
		return b.Label(b.Mul(s, b.polynomial(b.Mul(s, s), terms)), "log1p")
	}
	// With u = 1 + x rounded, log u is the logarithm of the wrong number;
	// (x - (u - 1))/u is what the rounding lost, to first order.
	one := b.Scalar(x, 1)
	u := b.Add(x, one)
	lost := b.Sub(x, b.Sub(u, one))
	log1p := b.Label(b.Add(b.Log(u), b.Div(lost, u)), "log1p")
	if factor == 1 {
		return log1p
	}
	return b.Mul(log1p, b.Scalar(x, factor))
}

// log1pTerms are the coefficients of 2 atanh(s)/s in z = s², 0 <= z <= 1/9, whose
// largest relative error is smallest: 4e-9. The first is 2 to float32's precision.
var log1pTerms = []float64{2, 0.666663146818629, 0.40024910287440274, 0.27960602677894636, 0.28178335250152986}

// polynomial is Σ terms_i x^i by Horner's rule.
func (b *Builder) polynomial(x Value, terms []float64) Value {
	last := len(terms) - 1
	sum := b.Scalar(x, terms[last])
	for _, term := range slices.Backward(terms[:last]) {
		sum = b.Add(b.Mul(sum, x), b.Scalar(x, term))
	}
	return sum
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
