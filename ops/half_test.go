package ops_test

import (
	"math"
	"testing"

	"github.com/onnxloss/onnxloss/ops"
)

// nearest rounds x to the closest of the finite values, ties to the even bit
// pattern, by looking at all of them.
func nearest(x float64, value func(uint16) float64) uint16 {
	best, distance := uint16(0), math.Inf(1)
	for bits := range 0x8000 {
		v := value(uint16(bits))
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		d := math.Abs(v - math.Abs(x))
		if d < distance || d == distance && bits&1 == 0 {
			best, distance = uint16(bits), d
		}
	}
	if x < 0 {
		best |= 0x8000
	}
	return best
}

func TestHalfTypesRoundTripEveryBitPattern(t *testing.T) {
	for bits := range 0x10000 {
		b := uint16(bits)
		if v := ops.Float16Value(b); !math.IsNaN(v) && ops.Float16Bits(v) != b {
			t.Fatalf("float16 %#04x = %g comes back as %#04x", b, v, ops.Float16Bits(v))
		}
		if v := ops.BFloat16Value(b); !math.IsNaN(v) && ops.BFloat16Bits(v) != b {
			t.Fatalf("bfloat16 %#04x = %g comes back as %#04x", b, v, ops.BFloat16Bits(v))
		}
	}
}

func TestHalfTypesRoundToNearestEven(t *testing.T) {
	tiny := math.Ldexp(1, -45) // vanishes in float32 beside 1: shows double rounding
	numbers := []float64{
		0, 1, -1, 1 + 0x1p-11, 1 + 0x1p-11 + tiny, 1 + 0x3p-11, 1 + 0x1p-8, 1 + 0x1p-8 + tiny, 1 + 0x3p-8,
		2049, 2051, 65503, -0.1, 1.0 / 3, 6.1e-5, 5.96e-8, 2.98e-8, 2.99e-8, 1e-9, 0x1p-14 - 0x1p-26,
		0x1p-133, 0x1.8p-133, 1e-40,
	}
	for _, x := range numbers {
		if got, want := ops.Float16Bits(x), nearest(x, ops.Float16Value); got != want {
			t.Errorf("float16 of %v: got %#04x, want %#04x", x, got, want)
		}
		if got, want := ops.BFloat16Bits(x), nearest(x, ops.BFloat16Value); got != want {
			t.Errorf("bfloat16 of %v: got %#04x, want %#04x", x, got, want)
		}
	}
}

func TestHalfTypesAtTheEndsOfTheirRange(t *testing.T) {
	tests := []struct {
		x        float64
		f16, b16 uint16
	}{
		{65519.99, 0x7bff, 0x4780},
		{65520, 0x7c00, 0x4780},
		{-1e30, 0xfc00, 0xf14a},
		{math.Inf(1), 0x7c00, 0x7f80},
		{math.Inf(-1), 0xfc00, 0xff80},
		{1e300, 0x7c00, 0x7f80},
		{math.MaxFloat32, 0x7c00, 0x7f80},
		{math.Copysign(0, -1), 0x8000, 0x8000},
	}
	for _, test := range tests {
		if got := ops.Float16Bits(test.x); got != test.f16 {
			t.Errorf("float16 of %v: got %#04x, want %#04x", test.x, got, test.f16)
		}
		if got := ops.BFloat16Bits(test.x); got != test.b16 {
			t.Errorf("bfloat16 of %v: got %#04x, want %#04x", test.x, got, test.b16)
		}
	}
	if !math.IsNaN(ops.Float16Value(ops.Float16Bits(math.NaN()))) || !math.IsNaN(ops.BFloat16Value(ops.BFloat16Bits(math.NaN()))) {
		t.Error("a NaN must stay a NaN")
	}
}
