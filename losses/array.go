package losses

import (
	"fmt"
	"math"
	"slices"
)

// Array is a float64 tensor in row-major order: Data has as many numbers as the sizes
// in Shape multiply to, a scalar (no Shape) has one. Class labels are whole numbers.
type Array struct {
	Shape []int
	Data  []float64
}

// NewArray makes an array over data, which it keeps, or an error where the number
// of elements is not what the shape asks for.
func NewArray(shape []int, data []float64) (Array, error) {
	a := Array{Shape: slices.Clone(shape), Data: data}
	if err := a.check(); err != nil {
		return Array{}, fmt.Errorf("losses: %w", err)
	}
	return a, nil
}

// check proves that the data is as much as the shape asks for.
func (a Array) check() error {
	n := 1
	for _, d := range a.Shape {
		if d < 0 {
			return fmt.Errorf("shape %v has a negative size", a.Shape)
		}
		if d > 0 && n > math.MaxInt/d {
			return fmt.Errorf("shape %v is too large", a.Shape)
		}
		n *= d
	}
	if n != len(a.Data) {
		return fmt.Errorf("shape %v needs %d elements, got %d", a.Shape, n, len(a.Data))
	}
	return nil
}

// Zeros makes an array of zeros.
func Zeros(shape []int) Array { return Filled(shape, 0) }

// Filled makes an array of one number.
func Filled(shape []int, x float64) Array {
	n := 1
	for _, d := range shape {
		n *= d
	}
	data := make([]float64, n)
	if x != 0 {
		for i := range data {
			data[i] = x
		}
	}
	return Array{Shape: slices.Clone(shape), Data: data}
}

// broadcast repeats a along its axes of size 1, and in front, to fill shape.
func (a Array) broadcast(shape []int) (Array, error) {
	if slices.Equal(a.Shape, shape) {
		return a, nil
	}
	offset := len(shape) - len(a.Shape)
	if offset < 0 {
		return Array{}, fmt.Errorf("shape %v has more axes than %v", a.Shape, shape)
	}
	strides := make([]int, len(shape))
	step := 1
	for i := len(a.Shape) - 1; i >= 0; i-- {
		switch a.Shape[i] {
		case shape[offset+i]:
			strides[offset+i] = step
		case 1:
		default:
			return Array{}, fmt.Errorf("shape %v does not broadcast to %v", a.Shape, shape)
		}
		step *= a.Shape[i]
	}
	full := Zeros(shape)
	index := make([]int, len(shape))
	from := 0
	for i := range full.Data {
		full.Data[i] = a.Data[from]
		for axis := len(shape) - 1; axis >= 0; axis-- {
			index[axis]++
			from += strides[axis]
			if index[axis] < shape[axis] {
				break
			}
			from -= strides[axis] * shape[axis]
			index[axis] = 0
		}
	}
	return full, nil
}

// sampleOf is the data of the i-th sample, along the first axis.
func sampleOf(a Array, i int) []float64 {
	size := sampleSize(a)
	return a.Data[i*size : (i+1)*size]
}

// sampleSize is how many numbers a sample has.
func sampleSize(a Array) int { return len(a.Data) / max(1, a.Shape[0]) }

// classes is how a tensor [N, C, d1, ...] is walked: for each of the outer
// samples and inner positions, the classes lie inner apart.
type classes struct{ outer, count, inner int }

func classesOf(a Array) classes {
	c := classes{outer: a.Shape[0], count: a.Shape[1], inner: 1}
	for _, d := range a.Shape[2:] {
		c.inner *= d
	}
	return c
}

// positions is the number of class distributions in the tensor.
func (c classes) positions() int { return c.outer * c.inner }

// index of a class at a position, which counts as [N, d1, ...] does.
func (c classes) index(position, class int) int {
	return (position/c.inner*c.count+class)*c.inner + position%c.inner
}

// withoutClasses is the shape [N, d1, ...] that belongs to [N, C, d1, ...].
func withoutClasses(shape []int) []int {
	return slices.Concat(shape[:1], shape[2:])
}
