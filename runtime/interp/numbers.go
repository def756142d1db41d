package interp

import (
	"fmt"

	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

type integer interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64
}

type float interface{ float32 | float64 }

type number interface{ integer | float }

// numbers is the data of a numeric tensor, for operators that compute with it.
// The half types never come here: signatures widen them first.
type numbers interface {
	simple(op string, shape []int) (engine.Tensor, error)
	binary(op string, shape []int, self, other engine.Tensor) (engine.Tensor, error)
	compare(op string, shape []int, self, other engine.Tensor) (engine.Tensor, error)
	power(shape []int, self, exponent engine.Tensor) (engine.Tensor, error)
	clip(shape []int, low, high engine.Tensor) (engine.Tensor, error)
	prelu(shape []int, self, slope engine.Tensor) (engine.Tensor, error)
	reduce(op string, shape, bases, lane []int) (engine.Tensor, error)
	argmin(shape, bases, lane []int, largest, last bool) (engine.Tensor, error)
	cumsum(shape, bases, lane []int, exclusive bool) (engine.Tensor, error)
	topK(shape, bases, lane []int, axis int, t topK) ([]engine.Tensor, error)
	span(limit, delta engine.Tensor) (engine.Tensor, error)
	nonZero(shape []int) (engine.Tensor, error)
	scatterReduced(op string, shape, index []int, updates engine.Tensor) (engine.Tensor, error)
	matmul(p *products, shape []int, other engine.Tensor) (engine.Tensor, error)
	gemm(g *gemm, other, added engine.Tensor) (engine.Tensor, error)
	contract(shape []int, in []engine.Tensor, outer, inner [][]int) (engine.Tensor, error)
	maxPool(w *window, shape []int, columns bool) ([]engine.Tensor, error)
	resample(from, to []int, axis int, taps [][]tap) (engine.Tensor, error)
	fillWhere(shape []int, value float64, where func(at int) bool) (engine.Tensor, error)
	to(dtype ops.DType, shape []int) (engine.Tensor, error)
}

// vector is the data of a tensor of T. Sums of it run in A, the widest type of
// its kind, and are rounded once.
type vector[T, A number] []T

func numbersOf(t engine.Tensor) numbers {
	switch t.DType() {
	case ops.Float32:
		return vector[float32, float64](engine.Data[float32](t))
	case ops.Float64:
		return vector[float64, float64](engine.Data[float64](t))
	case ops.Int8:
		return vector[int8, int64](engine.Data[int8](t))
	case ops.Int16:
		return vector[int16, int64](engine.Data[int16](t))
	case ops.Int32:
		return vector[int32, int64](engine.Data[int32](t))
	case ops.Int64:
		return vector[int64, int64](engine.Data[int64](t))
	case ops.Uint8:
		return vector[uint8, uint64](engine.Data[uint8](t))
	case ops.Uint16:
		return vector[uint16, uint64](engine.Data[uint16](t))
	case ops.Uint32:
		return vector[uint32, uint64](engine.Data[uint32](t))
	}
	return vector[uint64, uint64](engine.Data[uint64](t))
}

// floats is the data of a floating-point tensor.
type floats interface {
	apply(shape []int, f func(float64) float64) (engine.Tensor, error)
	test(shape []int, f func(float64) bool) (engine.Tensor, error)
	softmax(shape, bases, lane []int, logarithm, hard bool) (engine.Tensor, error)
	normalize(n normalization, shape, view []int, scale, shift engine.Tensor) (y, mean, inverse engine.Tensor, err error)
	lpNormalize(shape []int, axis, p int) (engine.Tensor, error)
	scaleChannels(shape []int, factor, shift []float64) (engine.Tensor, error)
	localResponse(n lrn, shape []int) (engine.Tensor, error)
	pool(w *window, shape []int, f func(list []float64, padded int) float64) (engine.Tensor, error)
	conv(c *convolution, shape []int, weight, bias engine.Tensor) (engine.Tensor, error)
	convTranspose(c *convolution, shape []int, weight, bias engine.Tensor) (engine.Tensor, error)
	classLoss(l classLoss, shape, classes []int, weights engine.Tensor) (engine.Tensor, error)
}

type real[T float] struct{ data []T }

func floatsOf(t engine.Tensor) floats {
	if t.DType() == ops.Float64 {
		return real[float64]{engine.Data[float64](t)}
	}
	return real[float32]{engine.Data[float32](t)}
}

// one is the result of a kernel with a single output.
func one(t engine.Tensor, err error) ([]engine.Tensor, error) {
	if err != nil {
		return nil, err
	}
	return []engine.Tensor{t}, nil
}

// wholes reads a tensor of int32 or int64, such as a list of axes or a shape.
func wholes(t engine.Tensor) []int {
	if narrow := engine.Data[int32](t); narrow != nil {
		return toInts(narrow)
	}
	return toInts(engine.Data[int64](t))
}

func toInts[T int32 | int64](list []T) []int {
	out := make([]int, len(list))
	for i, x := range list {
		out[i] = int(x)
	}
	return out
}

// single reads a tensor that must hold one integer.
func single(t engine.Tensor, what string) (int, error) {
	list := wholes(t)
	if len(list) != 1 {
		return 0, fmt.Errorf("%s is %s, want one int32 or int64", what, t)
	}
	return list[0], nil
}
