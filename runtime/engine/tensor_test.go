package engine_test

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// samples has a tensor of every element type, with the ends of its range.
var samples = []engine.Tensor{
	vector[float32](0, -1.5, math.MaxFloat32, math.SmallestNonzeroFloat32, float32(inf), float32(nan)),
	vector(0, -1.5, math.MaxFloat64, math.SmallestNonzeroFloat64, -inf, nan),
	vector[engine.Float16](0, 0x3c00, 0x7bff, 0x8001, 0xfc00, 0x7e00),
	vector[engine.BFloat16](0, 0x3f80, 0x7f7f, 0x8001, 0xff80, 0x7fc0),
	vector[int8](0, 1, -128, 127),
	vector[int16](0, 1, -32768, 32767),
	vector[int32](0, 1, math.MinInt32, math.MaxInt32),
	vector[int64](0, 1, math.MinInt64, math.MaxInt64),
	vector[uint8](0, 1, 255),
	vector[uint16](0, 1, 65535),
	vector[uint32](0, 1, math.MaxUint32),
	vector[uint64](0, 1, math.MaxUint64),
	vector(true, false, true),
	vector("", "one", "zwei\x00drei", "четыре"),
}

func mustPass(t *testing.T, got, want engine.Tensor) {
	t.Helper()
	if err := engine.Diff(got, want, engine.Tolerance{}); err != nil {
		t.Error(err)
	}
}

func TestBytesRoundTripEveryType(t *testing.T) {
	for _, sample := range samples {
		if sample.DType() == ops.String {
			continue
		}
		for _, shape := range [][]int{{sample.Len()}, {1, sample.Len(), 1}} {
			got, err := engine.FromBytes(sample.DType(), shape, sample.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			want, err := sample.Reshape(shape)
			if err != nil {
				t.Fatal(err)
			}
			mustPass(t, got, want)
		}
	}
}

func TestBytesAreLittleEndian(t *testing.T) {
	got := vector[int32](1, -2).Bytes()
	want := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, 1), 0xfffffffe)
	if !slices.Equal(got, want) {
		t.Errorf("int32: got % x, want % x", got, want)
	}
	if got := vector[engine.Float16](0x3c01).Bytes(); !slices.Equal(got, []byte{0x01, 0x3c}) {
		t.Errorf("float16: got % x", got)
	}
	if got := vector("a").Bytes(); got != nil {
		t.Errorf("strings: got % x, want none", got)
	}
}

func TestAnyByteButZeroIsTrue(t *testing.T) {
	got, err := engine.FromBytes(ops.Bool, []int{3}, []byte{0, 1, 7})
	if err != nil {
		t.Fatal(err)
	}
	mustPass(t, got, vector(false, true, true))
}

func TestFloat64sRoundTripEveryNumericType(t *testing.T) {
	for _, sample := range samples {
		if sample.DType() == ops.String {
			continue
		}
		numbers := sample.Float64s()
		if sample.DType() == ops.Int64 || sample.DType() == ops.Uint64 {
			numbers = numbers[:2] // the ends of their range are not float64 numbers
		}
		got, err := engine.FromFloat64s(sample.DType(), []int{len(numbers)}, numbers)
		if err != nil {
			t.Fatal(err)
		}
		if back := got.Float64s(); !equalNumbers(back, numbers) {
			t.Errorf("%s: got %v, want %v", sample.DType(), back, numbers)
		}
	}
	if got := vector("a").Float64s(); got != nil {
		t.Errorf("strings: got %v", got)
	}
}

func equalNumbers(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return x == y || math.IsNaN(x) && math.IsNaN(y) })
}

func TestFromFloat64sRefusesWhatAnIntegerTypeLacks(t *testing.T) {
	tests := []struct {
		dtype ops.DType
		x     float64
	}{
		{ops.Int8, 128},
		{ops.Int8, -129},
		{ops.Int8, 0.5},
		{ops.Uint8, -1},
		{ops.Uint8, 256},
		{ops.Int16, 32768},
		{ops.Uint16, 65536},
		{ops.Int32, 0x1p31},
		{ops.Uint32, 0x1p32},
		{ops.Int64, 0x1p63},
		{ops.Int64, -0x1.0000000000001p63},
		{ops.Uint64, 0x1p64},
		{ops.Uint64, -1},
		{ops.Int64, nan},
		{ops.Int32, inf},
		{ops.Uint64, inf},
		{ops.Int64, -inf},
	}
	for _, test := range tests {
		got, err := engine.FromFloat64s(test.dtype, nil, []float64{test.x})
		if err == nil {
			t.Errorf("%v as %s: got %v, want an error", test.x, test.dtype, got.Float64s())
			continue
		}
		if !strings.Contains(err.Error(), test.dtype.String()) {
			t.Errorf("%v as %s: the error does not name the type: %v", test.x, test.dtype, err)
		}
	}
	for dtype, x := range map[ops.DType]float64{ops.Int64: -0x1p63, ops.Uint64: 0x1p63} {
		if got, err := engine.FromFloat64s(dtype, nil, []float64{x}); err != nil || got.Float64s()[0] != x {
			t.Errorf("%v as %s: got %v, %v", x, dtype, got, err)
		}
	}
	if _, err := engine.FromFloat64s(ops.String, nil, []float64{1}); err == nil {
		t.Error("want an error for strings")
	}
}

func TestShapesThatDoNotHoldAreRefused(t *testing.T) {
	huge := []int{1 << 20, 1 << 20, 1 << 20}
	tests := []struct {
		name string
		make func() error
	}{
		{"too few elements", func() error { _, err := engine.New([]int{2, 2}, []float32{1, 2, 3}); return err }},
		{"too many elements for a scalar", func() error { _, err := engine.New(nil, []float32{1, 2}); return err }},
		{"negative dimension", func() error { _, err := engine.New([]int{-1}, []float32{1}); return err }},
		{"negative dimension beside 0", func() error { _, err := engine.Zeros(ops.Float32, []int{0, -1}); return err }},
		{"overflow", func() error { _, err := engine.Zeros(ops.Float32, huge); return err }},
		{"overflow from bytes", func() error { _, err := engine.FromBytes(ops.Float32, huge, nil); return err }},
		{"bytes missing", func() error { _, err := engine.FromBytes(ops.Float32, []int{2}, make([]byte, 7)); return err }},
		{"bytes of strings", func() error { _, err := engine.FromBytes(ops.String, []int{0}, nil); return err }},
		{"bytes of no type", func() error { _, err := engine.FromBytes(ops.Undefined, nil, nil); return err }},
		{"zeros of no type", func() error { _, err := engine.Zeros(ops.Undefined, nil); return err }},
		{"reshape", func() error { _, err := vector(1.0, 2).Reshape([]int{3}); return err }},
		{"reshape to a negative dimension", func() error { _, err := vector(1.0, 2).Reshape([]int{-2}); return err }},
	}
	for _, test := range tests {
		if err := test.make(); err == nil || !strings.HasPrefix(err.Error(), "engine: ") {
			t.Errorf("%s: got error %v", test.name, err)
		}
	}
}

func TestEmptyShapesMayHaveHugeDimensions(t *testing.T) {
	n, err := engine.Count([]int{math.MaxInt, 0, math.MaxInt})
	if n != 0 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
}

func TestZerosOfEveryType(t *testing.T) {
	for _, sample := range samples {
		zeros, err := engine.Zeros(sample.DType(), []int{2, 0, 3})
		if err != nil || zeros.Len() != 0 || zeros.DType() != sample.DType() {
			t.Errorf("%s: got %s, %v", sample.DType(), zeros, err)
		}
		scalar, err := engine.Zeros(sample.DType(), nil)
		if err != nil || scalar.Len() != 1 || len(scalar.Shape()) != 0 {
			t.Errorf("%s: got %s, %v", sample.DType(), scalar, err)
		}
	}
}

func TestTensorDescribesItself(t *testing.T) {
	tests := []struct {
		tensor engine.Tensor
		text   string
		len    int
		zero   bool
	}{
		{engine.Must([]int{2, 3}, make([]float32, 6)), "float32[2,3]", 6, false},
		{engine.Scalar(engine.BFloat16(0)), "bfloat16[]", 1, false},
		{engine.Must[string]([]int{0}, nil), "string[0]", 0, false},
		{engine.Tensor{}, "undefined[]", 0, true},
	}
	for _, test := range tests {
		if got := test.tensor.String(); got != test.text {
			t.Errorf("got %s, want %s", got, test.text)
		}
		if test.tensor.Len() != test.len || test.tensor.IsZero() != test.zero {
			t.Errorf("%s: got %d elements, zero %t", test.text, test.tensor.Len(), test.tensor.IsZero())
		}
	}
}

func TestDataIsSharedAndTyped(t *testing.T) {
	elements := []float32{1, 2}
	tensor := vector(elements...)
	engine.Data[float32](tensor)[1] = 7
	if elements[1] != 7 {
		t.Error("a tensor must keep the slice it was made over")
	}
	if got := engine.Data[float64](tensor); got != nil {
		t.Errorf("float64 elements of a float32 tensor: got %v", got)
	}
	if engine.Data[float32](engine.Must[float32]([]int{0}, nil)) == nil {
		t.Error("an empty tensor must have an empty slice, not none")
	}
}

func TestShapeIsNotTheCallers(t *testing.T) {
	shape := []int{2}
	tensor := engine.Must(shape, []float32{1, 2})
	shape[0] = 5
	if tensor.Len() != 2 {
		t.Errorf("got %s after the caller changed its slice", tensor)
	}
}
