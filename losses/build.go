package losses

import "github.com/onnxloss/onnxloss/ops"

// scale multiplies a loss by a factor that broadcasts to it.
func scale(b *ops.Builder, loss, factor ops.Value) ops.Value {
	return b.Assume(b.Mul(loss, factor), loss.Shape())
}

// times multiplies by a constant.
func times(b *ops.Builder, x ops.Value, factor float64) ops.Value {
	if factor == 1 {
		return x
	}
	return b.Mul(x, b.Scalar(x, factor))
}

// plus adds to a sum that may still be empty.
func plus(b *ops.Builder, sum, x ops.Value) ops.Value {
	if !sum.Present() {
		return x
	}
	return b.Add(sum, x)
}

// onesLike makes ones of a value's shape.
func onesLike(b *ops.Builder, x ops.Value) ops.Value {
	return b.Filled(b.ShapeOf(x), x.DType(), 1, x.Shape())
}

// buildMean counts at run time what it divides by, so that a mean over nothing is
// NaN on every engine.
func buildMean(b *ops.Builder, x ops.Value) ops.Value {
	return b.Div(b.ReduceSum(x, false), b.Cast(b.SizeOf(x), x.DType()))
}
