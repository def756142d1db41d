package ops

import "math"

// Float16Bits rounds x to the nearest IEEE 754 half-precision number, ties to
// even, in one rounding step. Numbers beyond 65504 become infinite; a NaN stays a
// NaN.
func Float16Bits(x float64) uint16 {
	sign := uint16(math.Float64bits(x) >> 48 & 0x8000)
	switch {
	case math.IsNaN(x):
		return sign | 0x7e00
	case x == 0:
		return sign
	case math.Abs(x) >= 65520: // halfway between 65504 and the next step
		return sign | 0x7c00
	}
	magnitude := math.Abs(x)
	_, exponent := math.Frexp(magnitude)
	exponent = max(exponent, -13) // below 2^-14 the spacing is that of 2^-14
	steps := uint16(math.RoundToEven(math.Ldexp(magnitude, 11-exponent)))
	// steps counts units of 2^(exponent-11); a carry into the next binade lands
	// in the exponent field by itself.
	return sign | (uint16(exponent+13)<<10 + steps)
}

// Float16Value gives the number that half-precision bits stand for.
func Float16Value(bits uint16) float64 {
	exponent, fraction := int(bits>>10&0x1f), int(bits&0x3ff)
	var magnitude float64
	switch {
	case exponent == 0x1f && fraction != 0:
		return math.NaN()
	case exponent == 0x1f:
		magnitude = math.Inf(1)
	case exponent == 0:
		magnitude = math.Ldexp(float64(fraction), -24)
	default:
		magnitude = math.Ldexp(float64(fraction+0x400), exponent-25)
	}
	if bits&0x8000 != 0 {
		return -magnitude
	}
	return magnitude
}

// BFloat16Bits rounds x to the nearest bfloat16, ties to even, in one rounding
// step. A NaN stays a NaN.
func BFloat16Bits(x float64) uint16 {
	if math.IsNaN(x) {
		return 0x7fc0
	}
	bits := math.Float32bits(roundToOdd(x))
	bits += 0x7fff + bits>>16&1
	return uint16(bits >> 16)
}

// roundToOdd narrows x to float32 so that a second rounding to fewer digits gives
// what one rounding would have given: an inexact result has its last bit set.
func roundToOdd(x float64) float32 {
	if math.Abs(x) > math.MaxFloat32 {
		return float32(math.Copysign(math.Inf(1), x))
	}
	near := float32(x)
	if float64(near) == x {
		return near
	}
	bits := math.Float32bits(near)
	if math.Abs(float64(near)) > math.Abs(x) {
		bits--
	}
	return math.Float32frombits(bits | 1)
}

// BFloat16Value gives the number that bfloat16 bits stand for.
func BFloat16Value(bits uint16) float64 {
	return float64(math.Float32frombits(uint32(bits) << 16))
}
