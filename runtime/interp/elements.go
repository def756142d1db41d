package interp

import (
	"fmt"
	"slices"

	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// elements is the data of a tensor of any type, for operators that only move it.
type elements interface {
	// strided reads a strided view into a dense tensor.
	strided(shape []int, offset int, strides []int) (engine.Tensor, error)
	// gather copies blocks: block i of the result is block index[i]; where that
	// is negative, it is filled with the single element of fill, or zero.
	gather(shape, index []int, block int, fill engine.Tensor) (engine.Tensor, error)
	// scatter copies the data and writes updates[i] to index[i].
	scatter(shape, index []int, updates engine.Tensor) (engine.Tensor, error)
	// join puts dense tensors next to each other: in turn, a run of each.
	join(shape []int, parts []engine.Tensor, runs []int) (engine.Tensor, error)
	// choose takes from the data where the condition holds, else from other.
	choose(shape []int, condition, self, other engine.Tensor) (engine.Tensor, error)
}

type slice[T engine.Element] []T

func elementsOf(t engine.Tensor) elements {
	switch t.DType() {
	case ops.Float32:
		return slice[float32](engine.Data[float32](t))
	case ops.Float64:
		return slice[float64](engine.Data[float64](t))
	case ops.Float16:
		return slice[engine.Float16](engine.Data[engine.Float16](t))
	case ops.BFloat16:
		return slice[engine.BFloat16](engine.Data[engine.BFloat16](t))
	case ops.Int8:
		return slice[int8](engine.Data[int8](t))
	case ops.Int16:
		return slice[int16](engine.Data[int16](t))
	case ops.Int32:
		return slice[int32](engine.Data[int32](t))
	case ops.Int64:
		return slice[int64](engine.Data[int64](t))
	case ops.Uint8:
		return slice[uint8](engine.Data[uint8](t))
	case ops.Uint16:
		return slice[uint16](engine.Data[uint16](t))
	case ops.Uint32:
		return slice[uint32](engine.Data[uint32](t))
	case ops.Uint64:
		return slice[uint64](engine.Data[uint64](t))
	case ops.Bool:
		return slice[bool](engine.Data[bool](t))
	}
	return slice[string](engine.Data[string](t))
}

// allocate makes room for a tensor within the limit.
func allocate[T engine.Element](shape []int) ([]T, error) {
	size := engine.DTypeOf[T]().Size()
	if size == 0 {
		size = 16 // a string's header
	}
	n, err := room(shape, size)
	if err != nil {
		return nil, err
	}
	return make([]T, n), nil
}

func (s slice[T]) strided(shape []int, offset int, strides []int) (engine.Tensor, error) {
	out, err := allocate[T](shape)
	if err != nil || len(out) == 0 {
		return finish(shape, out, err)
	}
	n := newNest(shape, strides)
	step := n.inner(0)
	n.each(func(at int, offsets []int, count int) {
		from, to := offset+offsets[0], out[at:at+count]
		if step == 1 {
			copy(to, s[from:from+count])
			return
		}
		for i := range to {
			to[i] = s[from+i*step]
		}
	})
	return engine.New(shape, out)
}

// finish makes a tensor unless an error came before.
func finish[T engine.Element](shape []int, data []T, err error) (engine.Tensor, error) {
	if err != nil {
		return engine.Tensor{}, err
	}
	return engine.New(shape, data)
}

func (s slice[T]) gather(shape, index []int, block int, fill engine.Tensor) (engine.Tensor, error) {
	out, err := allocate[T](shape)
	if err != nil {
		return engine.Tensor{}, err
	}
	var filler T
	if !fill.IsZero() {
		data := engine.Data[T](fill)
		if len(data) != 1 {
			return engine.Tensor{}, fmt.Errorf("the fill value is %s, want one element of the data's type", fill)
		}
		filler = data[0]
	}
	if block == 1 {
		for i, from := range index {
			if out[i] = filler; from >= 0 {
				out[i] = s[from]
			}
		}
		return engine.New(shape, out)
	}
	for i, from := range index {
		to := out[i*block : (i+1)*block]
		if from >= 0 {
			copy(to, s[from*block:(from+1)*block])
			continue
		}
		for j := range to {
			to[j] = filler
		}
	}
	return engine.New(shape, out)
}

func (s slice[T]) scatter(shape, index []int, updates engine.Tensor) (engine.Tensor, error) {
	out := slices.Clone(s)
	for i, u := range engine.Data[T](updates) {
		out[index[i]] = u
	}
	return engine.New(shape, []T(out))
}

func (s slice[T]) join(shape []int, parts []engine.Tensor, runs []int) (engine.Tensor, error) {
	out, err := allocate[T](shape)
	if err != nil || len(out) == 0 {
		return finish(shape, out, err)
	}
	total, before := 0, 0
	for _, run := range runs {
		total += run
	}
	for i, part := range parts {
		data := engine.Data[T](part)
		for k := 0; k*total < len(out); k++ {
			copy(out[k*total+before:], data[k*runs[i]:(k+1)*runs[i]])
		}
		before += runs[i]
	}
	return engine.New(shape, out)
}

func (s slice[T]) choose(shape []int, condition, self, other engine.Tensor) (engine.Tensor, error) {
	out, err := allocate[T](shape)
	if err != nil || len(out) == 0 {
		return finish(shape, out, err)
	}
	where, otherwise := engine.Data[bool](condition), engine.Data[T](other)
	n := newNest(shape, broadcastStrides(condition.Shape(), shape),
		broadcastStrides(self.Shape(), shape), broadcastStrides(other.Shape(), shape))
	c, x, y := n.inner(0), n.inner(1), n.inner(2)
	n.each(func(at int, offsets []int, count int) {
		for i := range count {
			if where[offsets[0]+i*c] {
				out[at+i] = s[offsets[1]+i*x]
			} else {
				out[at+i] = otherwise[offsets[2]+i*y]
			}
		}
	})
	return engine.New(shape, out)
}

func strided(t engine.Tensor, shape []int, offset int, strides []int) (engine.Tensor, error) {
	return elementsOf(t).strided(shape, offset, strides)
}

// concat joins tensors of one type along an axis.
func concat(list []engine.Tensor, axis int) (engine.Tensor, error) {
	shape := slices.Clone(list[0].Shape())
	runs := make([]int, len(list))
	shape[axis] = 0
	for i, t := range list {
		if len(t.Shape()) != len(shape) {
			return engine.Tensor{}, fmt.Errorf("input %d is %s and input 0 is %s; their ranks must agree", i, t, list[0])
		}
		for k, d := range t.Shape() {
			if k != axis && d != shape[k] {
				return engine.Tensor{}, fmt.Errorf("input %d is %s and input 0 is %s; they may differ along axis %d only", i, t, list[0], axis)
			}
		}
		shape[axis] += t.Shape()[axis]
		runs[i] = product(t.Shape()[axis:])
	}
	return elementsOf(list[0]).join(shape, list, runs)
}
