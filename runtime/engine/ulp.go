package engine

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// format is what sets the floating-point types apart: digits of the significand,
// the exponents of the largest binade and of the smallest normal one.
type format struct{ digits, largest, smallest int }

func formatOf(dtype ops.DType) (f format, ok bool) {
	switch dtype {
	case ops.Float64:
		return format{53, 1023, -1022}, true
	case ops.Float32:
		return format{24, 127, -126}, true
	case ops.Float16:
		return format{11, 15, -14}, true
	case ops.BFloat16:
		return format{8, 127, -126}, true
	}
	return format{}, false
}

// ULP is the unit in the last place: the spacing of an element type's numbers in
// the binade of |x|, never less than the smallest subnormal number and never more
// than the spacing at the largest finite number. It is infinite for an infinite x,
// NaN for a NaN, and 1 for integers and bools.
func ULP(dtype ops.DType, x float64) float64 {
	f, isFloat := formatOf(dtype)
	switch {
	case math.IsNaN(x):
		return x
	case math.IsInf(x, 0):
		return math.Inf(1)
	case !isFloat:
		return 1
	case x == 0:
		return math.Ldexp(1, f.smallest-f.digits+1)
	}
	_, exponent := math.Frexp(x) // |x| lies in [2^(exponent-1), 2^exponent)
	return math.Ldexp(1, min(max(exponent-1, f.smallest), f.largest)-f.digits+1)
}

// ULPDistance counts the steps between two numbers that are first rounded to an
// element type: 0 where they become equal or both are NaN, infinite where only one
// is NaN or they are not both finite. For integers and bools it is |a - b|.
func ULPDistance(dtype ops.DType, a, b float64) float64 {
	a, b = round(dtype, a), round(dtype, b)
	if a == b || math.IsNaN(a) && math.IsNaN(b) {
		return 0
	}
	if !finite(a) || !finite(b) {
		return math.Inf(1)
	}
	if !dtype.IsFloat() {
		return math.Abs(a - b)
	}
	return float64(steps(dtype, a, b))
}

// round gives the number of a floating-point type that is nearest to x, and x
// itself for other types.
func round(dtype ops.DType, x float64) float64 {
	switch dtype {
	case ops.Float32:
		return float64(float32(x))
	case ops.Float16:
		return ops.Float16Value(ops.Float16Bits(x))
	case ops.BFloat16:
		return ops.BFloat16Value(ops.BFloat16Bits(x))
	}
	return x
}

// steps counts the numbers of a floating-point type from a to b, which are finite
// numbers of that type.
func steps(dtype ops.DType, a, b float64) uint64 {
	from, to := position(dtype, min(a, b)), position(dtype, max(a, b))
	return uint64(to) - uint64(from) // right even where an int64 would overflow
}

// position numbers the values of a floating-point type in their order, from 0 at
// zero: for what is not negative that is the bit pattern.
func position(dtype ops.DType, x float64) int64 {
	var bits int64
	switch magnitude := math.Abs(x); dtype {
	case ops.Float64:
		bits = int64(math.Float64bits(magnitude))
	case ops.Float32:
		bits = int64(math.Float32bits(float32(magnitude)))
	case ops.Float16:
		bits = int64(ops.Float16Bits(magnitude))
	case ops.BFloat16:
		bits = int64(ops.BFloat16Bits(magnitude))
	}
	if x < 0 {
		return -bits
	}
	return bits
}
