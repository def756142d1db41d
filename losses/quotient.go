package losses

import "github.com/onnxloss/onnxloss/ops"

// quotient is x/y, and 0 where y is 0: where x is 0 as well that is what adding any
// epsilon > 0 to y would give.
func quotient(x, y float64) float64 {
	if y == 0 {
		return 0
	}
	return x / y
}

// buildQuotient is x/y, and 0 where y is 0, as x is there.
func buildQuotient(b *ops.Builder, x, y ops.Value) ops.Value {
	return b.Div(x, b.Where(b.Equal(y, b.Scalar(y, 0)), b.Scalar(y, 1), y))
}
