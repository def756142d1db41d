package ops_test

import (
	"math"
	"testing"

	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// temperatures are those at which tempered functions have a form of their own, and
// the neighbourhood of 1, where their formulas as published lose all digits.
var temperatures = []float64{
	0, 0.3, 0.5, 0.87, 0.88, 1 - 1e-3, 1 - 1e-6, 1 - 1e-12, 1 - 0x1p-53, 1,
	1 + 0x1p-52, 1 + 1e-12, 1 + 1e-6, 1 + 1e-3, 1.12, 1.13, 1.5, 2, 4,
}

// checkTempered compares a function of one number, at every temperature and in both
// types, with what it should be. allowed is in ULP.
func checkTempered(t *testing.T, numbers []float64, build func(*builder, value, float64) value, truth func(x, temperature float64) (want, allowed float64)) {
	t.Helper()
	for _, dtype := range []ops.DType{ops.Float32, ops.Float64} {
		x, err := engine.FromFloat64s(dtype, []int{len(numbers)}, numbers)
		if err != nil {
			t.Fatal(err)
		}
		for _, temperature := range temperatures {
			got := compute(t, x, func(b *builder, x value) value { return build(b, x, temperature) })
			for i, x := range x.Float64s() {
				want, allowed := truth(x, temperature)
				if d := engine.ULPDistance(dtype, got[i], want); !(d <= allowed) {
					t.Errorf("%s: t = %g at %g: %g, want %g: off by %g ULP, allowed are %g", dtype, temperature, x, got[i], want, d, allowed)
				}
			}
		}
	}
}

func TestTemperedLogarithmKeepsItsRelativeError(t *testing.T) {
	numbers := []float64{0x1p-30, 0x1p-20, 0.125, 0.5, 1 - 0x1p-20, 1, 1 + 0x1p-20, 1.5, 3, 1000, 0x1p30}
	checkTempered(t, numbers, (*builder).LogT, func(x, temperature float64) (want, allowed float64) {
		if temperature == 1 {
			return math.Log(x), 4
		}
		power := (1 - temperature) * math.Log(x)
		// an error of the exponent is a relative error of the power
		return math.Expm1(power) / (1 - temperature), 8 + 3*math.Abs(power)
	})
}

func TestTemperedExponentialKeepsItsRelativeError(t *testing.T) {
	numbers := []float64{-30, -3, -1, -0.125, -0x1p-20, 0, 0x1p-20, 0.125, 0.25}
	checkTempered(t, numbers, (*builder).ExpT, func(x, temperature float64) (want, allowed float64) {
		if temperature == 1 {
			return math.Exp(x), 4
		}
		base, distance := 1+(1-temperature)*x, math.Abs(1-temperature)
		if base <= 0 {
			return 0, 0
		}
		power := math.Log1p((1-temperature)*x) / (1 - temperature)
		// the rounding of the power, and of (1-t) x and 1 + (1-t) x in it
		allowed = 4 + 4*math.Abs(power) + 2*math.Abs(x)/base
		if distance >= ops.NearlyOne {
			allowed += 1 / distance
		}
		return math.Exp(power), allowed
	})
}
