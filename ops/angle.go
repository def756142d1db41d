package ops

// Angle is the angle between the first axis and the point (x, y) with x >= 0: from
// -π/2 to π/2, and 0 at the origin. Neither may be so large or, unless it is 0, so
// small that its square is not a number of the type.
//
// It is twice the arc tangent of y/(√(x² + y²) + x), which is never beyond 1. For
// float64 common engines have no Atan: the angle is halved twice more there, for a
// series that then needs few terms.
func (b *Builder) Angle(y, x Value) Value {
	radius := b.Sqrt(b.Add(b.Mul(x, x), b.Mul(y, y)))
	half := b.Div(y, b.Max(b.Add(radius, x), b.smallest(x.DType())))
	if x.DType() != Float64 {
		return b.Mul(b.Atan(half), b.Scalar(x, 2))
	}
	eighth := b.halfAngle(b.halfAngle(half))
	series := b.polynomial(b.Mul(eighth, eighth), atanTerms)
	return b.Label(b.Mul(b.Mul(eighth, series), b.Scalar(x, 8)), "angle")
}

// halfAngle is tan(a/2) for t = tan a.
func (b *Builder) halfAngle(t Value) Value {
	one := b.Scalar(t, 1)
	return b.Div(t, b.Add(b.Sqrt(b.Add(b.Mul(t, t), one)), one))
}

// smallest is the smallest normal number of the type.
func (b *Builder) smallest(dtype DType) Value {
	if dtype == Float64 {
		return b.Constant(dtype, nil, []float64{0x1p-1022})
	}
	return b.Constant(dtype, nil, []float64{0x1p-126})
}

// atanTerms are the coefficients of atan(t)/t in t², by Taylor; up to an angle of
// π/16 what is left out is below 2^-60.
var atanTerms = []float64{1, -1. / 3, 1. / 5, -1. / 7, 1. / 9, -1. / 11, 1. / 13, -1. / 15, 1. / 17, -1. / 19, 1. / 21, -1. / 23}
