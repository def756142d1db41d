package engine

import (
	"fmt"
	"math"
	"slices"

	"github.com/onnxloss/onnxloss/ops"
)

// Float16 is an IEEE 754 half-precision number, as its bits.
type Float16 uint16

// BFloat16 is a bfloat16 number, as its bits.
type BFloat16 uint16

// Element is the set of Go types a tensor's elements can have.
type Element interface {
	float32 | float64 | Float16 | BFloat16 |
		int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | bool | string
}

// Tensor is a dense array of any rank in row-major order. The zero Tensor holds
// nothing and has the DType Undefined. Tensors share their elements when copied.
type Tensor struct {
	dtype ops.DType
	shape []int
	data  any
}

// New makes a tensor over data, which it keeps, or an error where the number of
// elements is not what the shape asks for.
func New[T Element](shape []int, data []T) (Tensor, error) {
	n, err := Count(shape)
	if err != nil {
		return Tensor{}, err
	}
	if n != len(data) {
		return Tensor{}, fmt.Errorf("engine: shape %v needs %d elements, got %d", shape, n, len(data))
	}
	if data == nil {
		data = []T{}
	}
	return Tensor{dtype: DTypeOf[T](), shape: slices.Clone(shape), data: data}, nil
}

// Must makes a tensor as New does and panics on an error; it is for literals.
func Must[T Element](shape []int, data []T) Tensor {
	t, err := New(shape, data)
	if err != nil {
		panic(err)
	}
	return t
}

// Scalar makes a tensor of rank 0.
func Scalar[T Element](value T) Tensor { return Must(nil, []T{value}) }

// DTypeOf gives the element type that T stands for.
func DTypeOf[T Element]() ops.DType {
	var zero T
	switch any(zero).(type) {
	case float32:
		return ops.Float32
	case float64:
		return ops.Float64
	case Float16:
		return ops.Float16
	case BFloat16:
		return ops.BFloat16
	case int8:
		return ops.Int8
	case int16:
		return ops.Int16
	case int32:
		return ops.Int32
	case int64:
		return ops.Int64
	case uint8:
		return ops.Uint8
	case uint16:
		return ops.Uint16
	case uint32:
		return ops.Uint32
	case uint64:
		return ops.Uint64
	case bool:
		return ops.Bool
	}
	return ops.String
}

// maxElements is beyond what a machine can hold and small enough that the number
// of bytes does not overflow.
const maxElements = min(1<<41, math.MaxInt/16)

// Count multiplies the dimensions of a shape. It refuses negative dimensions and
// products that no machine can hold.
func Count(shape []int) (int, error) {
	n, empty := 1, slices.Contains(shape, 0)
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("engine: shape %v has a negative dimension", shape)
		}
		if empty {
			continue
		}
		if n > maxElements/d {
			return 0, fmt.Errorf("engine: shape %v has too many elements", shape)
		}
		n *= d
	}
	if empty {
		return 0, nil
	}
	return n, nil
}

// DType is the type of the elements.
func (t Tensor) DType() ops.DType { return t.dtype }

// Shape is the size along each axis; callers must not change it.
func (t Tensor) Shape() []int { return t.shape }

// Len is the number of elements.
func (t Tensor) Len() int {
	if t.dtype == ops.Undefined {
		return 0
	}
	n := 1
	for _, d := range t.shape {
		n *= d
	}
	return n
}

// IsZero reports whether t is the zero Tensor, which stands for an input that is
// not there.
func (t Tensor) IsZero() bool { return t.dtype == ops.Undefined }

// Data gives the elements, or nil where they are not of type T.
func Data[T Element](t Tensor) []T {
	data, _ := t.data.([]T)
	return data
}

// Reshape gives a tensor with the same elements and another shape.
func (t Tensor) Reshape(shape []int) (Tensor, error) {
	n, err := Count(shape)
	if err != nil {
		return Tensor{}, err
	}
	if n != t.Len() {
		return Tensor{}, fmt.Errorf("engine: cannot reshape %v to %v: %d elements against %d", t.shape, shape, t.Len(), n)
	}
	return Tensor{dtype: t.dtype, shape: slices.Clone(shape), data: t.data}, nil
}

// String describes the tensor without its elements, as in "float32[2,3]".
func (t Tensor) String() string {
	s := t.dtype.String() + "["
	for i, d := range t.shape {
		if i > 0 {
			s += ","
		}
		s += fmt.Sprint(d)
	}
	return s + "]"
}

// Float64s converts the elements to float64, which rounds 64-bit integers beyond
// 2^53. It returns nil for strings.
func (t Tensor) Float64s() []float64 {
	switch data := t.data.(type) {
	case []float64:
		return slices.Clone(data)
	case []float32:
		return convert(data, func(x float32) float64 { return float64(x) })
	case []Float16:
		return convert(data, func(x Float16) float64 { return ops.Float16Value(uint16(x)) })
	case []BFloat16:
		return convert(data, func(x BFloat16) float64 { return ops.BFloat16Value(uint16(x)) })
	case []int8:
		return convert(data, func(x int8) float64 { return float64(x) })
	case []int16:
		return convert(data, func(x int16) float64 { return float64(x) })
	case []int32:
		return convert(data, func(x int32) float64 { return float64(x) })
	case []int64:
		return convert(data, func(x int64) float64 { return float64(x) })
	case []uint8:
		return convert(data, func(x uint8) float64 { return float64(x) })
	case []uint16:
		return convert(data, func(x uint16) float64 { return float64(x) })
	case []uint32:
		return convert(data, func(x uint32) float64 { return float64(x) })
	case []uint64:
		return convert(data, func(x uint64) float64 { return float64(x) })
	case []bool:
		return convert(data, func(x bool) float64 {
			if x {
				return 1
			}
			return 0
		})
	}
	return nil
}

// FromFloat64s makes a tensor of any numeric type. Numbers are rounded to the
// nearest element once, ties to even; for an integer type they must be whole and
// in range, for bool anything but 0 is true.
func FromFloat64s(dtype ops.DType, shape []int, numbers []float64) (Tensor, error) {
	switch dtype {
	case ops.Float64:
		return New(shape, slices.Clone(numbers))
	case ops.Float32:
		return New(shape, convert(numbers, func(x float64) float32 { return float32(x) }))
	case ops.Float16:
		return New(shape, convert(numbers, func(x float64) Float16 { return Float16(ops.Float16Bits(x)) }))
	case ops.BFloat16:
		return New(shape, convert(numbers, func(x float64) BFloat16 { return BFloat16(ops.BFloat16Bits(x)) }))
	case ops.Bool:
		return New(shape, convert(numbers, func(x float64) bool { return x != 0 }))
	case ops.Int8:
		return fromWhole[int8](shape, numbers)
	case ops.Int16:
		return fromWhole[int16](shape, numbers)
	case ops.Int32:
		return fromWhole[int32](shape, numbers)
	case ops.Int64:
		return fromWhole[int64](shape, numbers)
	case ops.Uint8:
		return fromWhole[uint8](shape, numbers)
	case ops.Uint16:
		return fromWhole[uint16](shape, numbers)
	case ops.Uint32:
		return fromWhole[uint32](shape, numbers)
	case ops.Uint64:
		return fromWhole[uint64](shape, numbers)
	}
	return Tensor{}, fmt.Errorf("engine: cannot make a tensor of %s from numbers", dtype)
}

func convert[From, To any](from []From, f func(From) To) []To {
	to := make([]To, len(from))
	for i, x := range from {
		to[i] = f(x)
	}
	return to
}

func fromWhole[T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64](shape []int, numbers []float64) (Tensor, error) {
	whole := make([]T, len(numbers))
	for i, x := range numbers {
		// What Go makes of a number out of range depends on the processor, so 2^63
		// and 2^64, which float64 cannot tell from the largest integers, go first.
		fits := x < 1<<63 || x < 1<<64 && DTypeOf[T]() == ops.Uint64
		if whole[i] = T(x); !fits || float64(whole[i]) != x {
			return Tensor{}, fmt.Errorf("engine: element %d is %v, which is not a number of type %s", i, x, DTypeOf[T]())
		}
	}
	return New(shape, whole)
}

// Zeros makes a tensor of zeros (false, empty strings).
func Zeros(dtype ops.DType, shape []int) (Tensor, error) {
	n, err := Count(shape)
	if err != nil {
		return Tensor{}, err
	}
	t := newZeros(dtype, shape, n)
	if t.data == nil {
		return Tensor{}, fmt.Errorf("engine: cannot make a tensor of %s", dtype)
	}
	return t, nil
}

func newZeros(dtype ops.DType, shape []int, n int) Tensor {
	t := Tensor{dtype: dtype, shape: slices.Clone(shape)}
	switch dtype {
	case ops.Float32:
		t.data = make([]float32, n)
	case ops.Float64:
		t.data = make([]float64, n)
	case ops.Float16:
		t.data = make([]Float16, n)
	case ops.BFloat16:
		t.data = make([]BFloat16, n)
	case ops.Int8:
		t.data = make([]int8, n)
	case ops.Int16:
		t.data = make([]int16, n)
	case ops.Int32:
		t.data = make([]int32, n)
	case ops.Int64:
		t.data = make([]int64, n)
	case ops.Uint8:
		t.data = make([]uint8, n)
	case ops.Uint16:
		t.data = make([]uint16, n)
	case ops.Uint32:
		t.data = make([]uint32, n)
	case ops.Uint64:
		t.data = make([]uint64, n)
	case ops.Bool:
		t.data = make([]bool, n)
	case ops.String:
		t.data = make([]string, n)
	}
	return t
}
