package engine_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

var (
	nan = math.NaN()
	inf = math.Inf(1)
)

func vector[T engine.Element](elements ...T) engine.Tensor {
	return engine.Must([]int{len(elements)}, elements)
}

func TestDiffSaysWhichElementsPass(t *testing.T) {
	tests := []struct {
		name      string
		got, want engine.Tensor
		tol       engine.Tolerance
		pass      bool
	}{
		{"zero tolerance, equal", vector[float32](1, 2), vector[float32](1, 2), engine.Tolerance{}, true},
		{"zero tolerance, one step off", vector(float32(1)), vector(math.Nextafter32(1, 2)), engine.Tolerance{}, false},
		{"minus zero", vector(math.Copysign(0, -1)), vector(0.0), engine.Tolerance{}, true},
		{"NaN and NaN", vector(nan), vector(nan), engine.Tolerance{}, true},
		{"NaN for a number", vector(nan), vector(1.0), engine.Tolerance{Abs: inf, Rel: inf, ULP: math.MaxUint64}, false},
		{"number for a NaN", vector(1.0), vector(nan), engine.Tolerance{Abs: inf, Rel: inf, ULP: math.MaxUint64}, false},
		{"infinity and itself", vector(inf, -inf), vector(inf, -inf), engine.Tolerance{}, true},
		{"infinity of the other sign", vector(inf), vector(-inf), engine.Tolerance{Abs: inf, Rel: inf, ULP: math.MaxUint64}, false},
		{"number for an infinity", vector(math.MaxFloat64), vector(inf), engine.Tolerance{Abs: inf, Rel: inf, ULP: math.MaxUint64}, false},
		{"infinity for a number", vector(float32(inf)), vector[float32](3), engine.Tolerance{Abs: inf, Rel: inf, ULP: math.MaxUint64}, false},
		{"on the absolute bound", vector(1.5), vector(1.0), engine.Tolerance{Abs: 0.5}, true},
		{"beyond the absolute bound", vector(1.5), vector(1.0), engine.Tolerance{Abs: 0.49}, false},
		{"on the relative bound", vector(-12.0), vector(-8.0), engine.Tolerance{Rel: 0.5}, true},
		{"relative to want, not to got", vector(-8.0), vector(-4.0), engine.Tolerance{Rel: 0.5}, false},
		{"relative to a want of 0", vector(1e-300), vector(0.0), engine.Tolerance{Rel: 1}, false},
		{"NaN bounds", vector(1.5), vector(1.0), engine.Tolerance{Abs: nan, Rel: nan}, false},
		{"negative bounds", vector(1.5, 1), vector(1.0, 1), engine.Tolerance{Abs: -1, Rel: -1}, false},
		{"difference overflows", vector(math.MaxFloat64), vector(-math.MaxFloat64), engine.Tolerance{Rel: 1.5}, false},
		{"two steps of float32", vector(1 + float32(0x1p-22)), vector[float32](1), engine.Tolerance{ULP: 2}, true},
		{"three steps of float32", vector(1 + float32(0x3p-23)), vector[float32](1), engine.Tolerance{ULP: 2}, false},
		{"steps across zero", vector(math.SmallestNonzeroFloat64), vector(-math.SmallestNonzeroFloat64), engine.Tolerance{ULP: 2}, true},
		{"steps across zero, too many", vector(math.SmallestNonzeroFloat64), vector(-math.SmallestNonzeroFloat64), engine.Tolerance{ULP: 1}, false},
		{"one step of float16", vector(engine.Float16(0x3c01)), vector(engine.Float16(0x3c00)), engine.Tolerance{ULP: 1}, true},
		{"float16 NaNs of different bits", vector(engine.Float16(0x7e00)), vector(engine.Float16(0xfe01)), engine.Tolerance{}, true},
		{"largest float16 for an infinity", vector(engine.Float16(0x7bff)), vector(engine.Float16(0x7c00)), engine.Tolerance{ULP: 1}, false},
		{"one step of bfloat16", vector(engine.BFloat16(0x3f81)), vector(engine.BFloat16(0x3f80)), engine.Tolerance{ULP: 1}, true},
		{"two steps of bfloat16", vector(engine.BFloat16(0x3f82)), vector(engine.BFloat16(0x3f80)), engine.Tolerance{ULP: 1}, false},
		{"integers are exact", vector[int64](1), vector[int64](2), engine.Tolerance{Abs: 5, Rel: 5, ULP: 5}, false},
		{"integers beyond 2^53", vector[int64](1 << 60), vector[int64](1<<60 + 1), engine.Tolerance{}, false},
		{"equal unsigned", vector[uint64](math.MaxUint64), vector[uint64](math.MaxUint64), engine.Tolerance{}, true},
		{"bools are exact", vector(true), vector(false), engine.Tolerance{Abs: 1, ULP: 1}, false},
		{"equal strings", vector("a", ""), vector("a", ""), engine.Tolerance{}, true},
		{"other strings", vector("a"), vector("b"), engine.Tolerance{Abs: inf, Rel: inf, ULP: math.MaxUint64}, false},
		{"nothing to compare", engine.Must([]int{0, 3}, []float32{}), engine.Must([]int{0, 3}, []float32{}), engine.Tolerance{}, true},
		{"zero tensors", engine.Tensor{}, engine.Tensor{}, engine.Tolerance{}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := engine.Diff(test.got, test.want, test.tol)
			if test.pass && err != nil {
				t.Fatalf("want a pass, got %v", err)
			}
			if mismatch := new(engine.Mismatch); !test.pass && !errors.As(err, &mismatch) {
				t.Fatalf("want a mismatch, got %v", err)
			}
		})
	}
}

func TestDiffRefusesOtherTypesAndShapes(t *testing.T) {
	row := engine.Must([]int{1, 2}, []float32{1, 2})
	tests := []struct {
		want    engine.Tensor
		message string
	}{
		{vector[float32](1, 2), "engine: got a tensor float32[1,2], want float32[2]"},
		{engine.Must([]int{1, 2}, []float64{1, 2}), "engine: got a tensor float32[1,2], want float64[1,2]"},
		{engine.Scalar[float32](1), "engine: got a tensor float32[1,2], want float32[]"},
	}
	for _, test := range tests {
		err := engine.Diff(row, test.want, engine.Tolerance{Abs: inf})
		if err == nil || err.Error() != test.message {
			t.Errorf("got %v, want %s", err, test.message)
		}
	}
}

func TestMismatchNamesFirstAndWorst(t *testing.T) {
	want := engine.Must([]int{2, 3}, []float32{1, 2, 4, 8, 16, 0})
	got := engine.Must([]int{2, 3}, []float32{1, 2 + 0x1p-22, 4, 9, 16 + 0x1p-19, 0})
	var m *engine.Mismatch
	if !errors.As(engine.Diff(got, want, engine.Tolerance{}), &m) {
		t.Fatal("want a mismatch")
	}
	if m.Count != 3 || m.Total != 6 {
		t.Errorf("got %d of %d, want 3 of 6", m.Count, m.Total)
	}
	if !slices.Equal(m.First.Index, []int{0, 1}) || m.First.Want != float32(2) || m.First.ULP != 1 {
		t.Errorf("first: got %+v", m.First)
	}
	if !slices.Equal(m.Worst.Index, []int{1, 0}) || m.Worst.Got != float32(9) || m.Worst.Abs != 1 || m.Worst.ULP != 0x1p20 {
		t.Errorf("worst: got %+v", m.Worst)
	}
	const message = "engine: 3 of 6 elements differ: first at [0,1]: got 2.0000002, want 2 (off by 2.38e-07, 1 ULP), " +
		"worst at [1,0]: got 9, want 8 (off by 1, 1.048576e+06 ULP)"
	if m.Error() != message {
		t.Errorf("got  %s\nwant %s", m, message)
	}
}

func TestMismatchMessages(t *testing.T) {
	tests := []struct {
		got, want engine.Tensor
		message   string
	}{
		{engine.Scalar(nan), engine.Scalar(2.0), "engine: 1 of 1 elements differ: first at []: got NaN, want 2"},
		{vector("a b", "c"), vector("a b", "d"), `engine: 1 of 2 elements differ: first at [1]: got "c", want "d"`},
		{vector[int64](math.MinInt64), vector[int64](math.MaxInt64), "engine: 1 of 1 elements differ: first at [0]: got -9223372036854775808, want 9223372036854775807 (off by 1.84e+19, 1.8446744073709552e+19 ULP)"},
		{vector[int8](-128), vector[int8](127), "engine: 1 of 1 elements differ: first at [0]: got -128, want 127 (off by 255, 255 ULP)"},
		{vector(engine.Float16(0x3c01)), vector(engine.Float16(0x3c00)), "engine: 1 of 1 elements differ: first at [0]: got 1.0009766, want 1 (off by 0.000977, 1 ULP)"},
		{vector(engine.BFloat16(0xbf80)), vector(engine.BFloat16(0x7f80)), "engine: 1 of 1 elements differ: first at [0]: got -1, want +Inf"},
		{vector(true), vector(false), "engine: 1 of 1 elements differ: first at [0]: got true, want false (off by 1, 1 ULP)"},
	}
	for _, test := range tests {
		if err := engine.Diff(test.got, test.want, engine.Tolerance{}); err == nil || err.Error() != test.message {
			t.Errorf("got  %v\nwant %s", err, test.message)
		}
	}
}

func TestNoNumberIsWorseThanAnyNumber(t *testing.T) {
	var m *engine.Mismatch
	if !errors.As(engine.Diff(vector(5.0, nan, 1e300), vector(1.0, 1, 1), engine.Tolerance{}), &m) {
		t.Fatal("want a mismatch")
	}
	if !slices.Equal(m.Worst.Index, []int{1}) {
		t.Errorf("worst: got %v, want the NaN at [1]", m.Worst)
	}
}

// FuzzDiff holds the comparison of single numbers against its definition.
func FuzzDiff(f *testing.F) {
	f.Add(1.0, 1.5, 0.5, 0.0, uint64(0))
	f.Add(nan, 1.0, inf, inf, uint64(math.MaxUint64))
	f.Add(math.MaxFloat64, -math.MaxFloat64, 0.0, 2.0, uint64(1))
	f.Add(5e-324, -5e-324, 0.0, 0.0, uint64(2))
	f.Add(65504.0, 65519.0, 1.0, 1e-3, uint64(0))
	f.Fuzz(func(t *testing.T, a, b, abs, rel float64, ulp uint64) {
		tol := engine.Tolerance{Abs: abs, Rel: rel, ULP: ulp}
		for _, dtype := range ops.FloatTypes() {
			got, want := single(t, dtype, a), single(t, dtype, b)
			x, y := got.Float64s()[0], want.Float64s()[0]
			if err := engine.Diff(got, got, engine.Tolerance{}); err != nil {
				t.Fatalf("%s: %v differs from itself: %v", dtype, x, err)
			}
			passes := engine.Diff(got, want, tol) == nil
			distance := engine.ULPDistance(dtype, a, b)
			if distance != engine.ULPDistance(dtype, b, a) || !(distance >= 0) {
				t.Fatalf("%s: distance of %v and %v is %v, and %v the other way round", dtype, x, y, distance, engine.ULPDistance(dtype, b, a))
			}
			switch gap := math.Abs(x - y); {
			case distance == 0:
				if !passes {
					t.Fatalf("%s: %v and %v are equal", dtype, x, y)
				}
			case math.IsInf(distance, 1):
				if passes {
					t.Fatalf("%s: %v passes for %v", dtype, x, y)
				}
			case gap <= abs && !math.IsInf(gap, 0) || distance < float64(ulp):
				if !passes {
					t.Fatalf("%s: %v fails for %v with %+v", dtype, x, y, tol)
				}
			case !(gap <= abs) && !(gap <= rel*math.Abs(y)) && distance > float64(ulp):
				if passes {
					t.Fatalf("%s: %v passes for %v with %+v", dtype, x, y, tol)
				}
			}
		}
	})
}

func single(t *testing.T, dtype ops.DType, x float64) engine.Tensor {
	t.Helper()
	tensor, err := engine.FromFloat64s(dtype, nil, []float64{x})
	if err != nil {
		t.Fatal(err)
	}
	return tensor
}
