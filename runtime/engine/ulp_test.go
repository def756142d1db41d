package engine_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

func TestULP(t *testing.T) {
	tests := []struct {
		dtype   ops.DType
		x, want float64
	}{
		{ops.Float64, 1, 0x1p-52},
		{ops.Float32, 1, 0x1p-23},
		{ops.Float32, -1, 0x1p-23},
		{ops.Float32, math.Nextafter(1, 0), 0x1p-24},
		{ops.Float32, 0, 0x1p-149},
		{ops.Float32, 0x1p-149, 0x1p-149},
		{ops.Float32, 1e-300, 0x1p-149},
		{ops.Float32, 0x1p-126, 0x1p-149},
		{ops.Float32, 0x1p-125, 0x1p-148},
		{ops.Float32, math.MaxFloat32, 0x1p104},
		{ops.Float32, 1e300, 0x1p104},
		{ops.Float16, 1, 0x1p-10},
		{ops.Float16, 0, 0x1p-24},
		{ops.Float16, 65504, 32},
		{ops.BFloat16, 1, 0x1p-7},
		{ops.BFloat16, 0, 0x1p-133},
		{ops.Float64, 0, math.SmallestNonzeroFloat64},
		{ops.Float64, math.SmallestNonzeroFloat64, math.SmallestNonzeroFloat64},
		{ops.Float64, math.MaxFloat64, 0x1p971},
		{ops.Float16, math.Inf(-1), math.Inf(1)},
		{ops.Int32, 7, 1},
		{ops.Bool, 0, 1},
	}
	for _, test := range tests {
		if got := engine.ULP(test.dtype, test.x); got != test.want {
			t.Errorf("ULP(%s, %v): got %g, want %g", test.dtype, test.x, got, test.want)
		}
	}
	if got := engine.ULP(ops.Float32, math.NaN()); !math.IsNaN(got) {
		t.Errorf("ULP of NaN: got %g", got)
	}
}

func TestULPDistance(t *testing.T) {
	tests := []struct {
		dtype      ops.DType
		a, b, want float64
	}{
		{ops.Float32, 1, 1 + 0x1p-23, 1},
		{ops.Float32, 1, 1 + 0x1p-30, 0}, // rounded first
		{ops.Float32, 1 - 0x1p-24, 1 + 0x1p-23, 2},
		{ops.Float32, 0x1p-149, -0x1p-149, 2},
		{ops.Float32, 0, math.Copysign(0, -1), 0},
		{ops.Float32, 1e300, math.Inf(1), 0}, // rounded, 1e300 is infinite
		{ops.Float32, 1, math.Inf(1), math.Inf(1)},
		{ops.Float64, math.NaN(), math.NaN(), 0},
		{ops.Float64, math.NaN(), 1, math.Inf(1)},
		{ops.Float64, 1, math.NaN(), math.Inf(1)},
		{ops.Float64, math.Inf(1), math.Inf(-1), math.Inf(1)},
		{ops.Float64, math.MaxFloat64, -math.MaxFloat64, 2 * float64(0x7fefffffffffffff)},
		{ops.Float16, 65504, -65504, 2 * 0x7bff},
		{ops.BFloat16, 1, 2, 128},
		{ops.Int64, 3, -4, 7},
		{ops.Bool, 0, 1, 1},
	}
	for _, test := range tests {
		if got := engine.ULPDistance(test.dtype, test.a, test.b); got != test.want {
			t.Errorf("ULPDistance(%s, %v, %v): got %v, want %v", test.dtype, test.a, test.b, got, test.want)
		}
	}
}

func TestNeighboursAreOneULPApart(t *testing.T) {
	values := map[ops.DType]func(uint16) float64{ops.Float16: ops.Float16Value, ops.BFloat16: ops.BFloat16Value}
	for dtype, value := range values {
		for bits := range uint16(0x7fff) {
			x, next := value(bits), value(bits+1)
			if math.IsNaN(next) || math.IsInf(next, 0) {
				break
			}
			if d := engine.ULPDistance(dtype, x, next); d != 1 {
				t.Fatalf("%s: %g and %g are neighbours, got distance %g", dtype, x, next, d)
			}
			if u := engine.ULP(dtype, x); u != next-x {
				t.Fatalf("%s: the number after %g is %g away, ULP says %g", dtype, x, next-x, u)
			}
		}
	}
}

func TestULPDistanceAddsUp(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 10000 {
		x := float64(math.Float32frombits(random.Uint32()))
		steps := int(random.Uint32() % 1000)
		y := float32(x)
		for range steps {
			y = math.Nextafter32(y, float32(math.Inf(1)))
		}
		if math.IsNaN(x) || math.IsInf(float64(y), 0) {
			continue
		}
		if got := engine.ULPDistance(ops.Float32, x, float64(y)); got != float64(steps) {
			t.Fatalf("%d steps up from %g: got %g", steps, x, got)
		}
	}
}
