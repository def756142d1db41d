package onnxgo

import (
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"gorgonia.org/tensor"
)

// fromTensor copies a dense tensor, also a transposed or sliced one, in row-major order.
func fromTensor(t tensor.Tensor) (engine.Tensor, error) {
	d, ok := t.(*tensor.Dense)
	switch {
	case t == nil || ok && d == nil:
		return engine.Tensor{}, errors.New("it is nil")
	case !ok:
		return engine.Tensor{}, fmt.Errorf("a %T is not supported; use a *tensor.Dense", t)
	case len(d.Mask()) > 0:
		return engine.Tensor{}, errors.New("a masked tensor is not supported; fill it first")
	case !d.IsNativelyAccessible():
		return engine.Tensor{}, errors.New("its memory is not Go's; copy it first")
	}
	switch d.Dtype() {
	case tensor.Float32:
		return copyOf[float32](d)
	case tensor.Float64:
		return copyOf[float64](d)
	case tensor.Int8:
		return copyOf[int8](d)
	case tensor.Int16:
		return copyOf[int16](d)
	case tensor.Int32:
		return copyOf[int32](d)
	case tensor.Int64:
		return copyOf[int64](d)
	case tensor.Uint8:
		return copyOf[uint8](d)
	case tensor.Uint16:
		return copyOf[uint16](d)
	case tensor.Uint32:
		return copyOf[uint32](d)
	case tensor.Uint64:
		return copyOf[uint64](d)
	case tensor.Bool:
		return copyOf[bool](d)
	case tensor.String:
		return copyOf[string](d)
	}
	return engine.Tensor{}, fmt.Errorf("elements of type %s are not supported", d.Dtype())
}

func copyOf[T engine.Element](d *tensor.Dense) (engine.Tensor, error) {
	data, isSlice := d.Data().([]T)
	if x, isScalar := d.Data().(T); isScalar {
		data, isSlice = []T{x}, true
	}
	if !isSlice {
		return engine.Tensor{}, fmt.Errorf("its data is a %T, not elements of type %s", d.Data(), d.Dtype())
	}
	shape, strides := d.Shape(), d.Strides()
	n, err := engine.Count(shape)
	if err != nil {
		return engine.Tensor{}, err
	}
	if len(strides) != len(shape) { // a scalar, whatever its rank
		strides = make([]int, len(shape))
	}
	row := make([]T, n)
	index := make([]int, len(shape))
	for i := range row {
		at := 0
		for axis, k := range index {
			at += k * strides[axis]
		}
		if at < 0 || at >= len(data) {
			return engine.Tensor{}, fmt.Errorf("shape %v with strides %v does not fit its %d elements", shape, strides, len(data))
		}
		row[i] = data[at]
		increment(index, shape)
	}
	runtime.KeepAlive(d) // Data points into memory that d alone holds
	return engine.New(shape, row)
}

// increment moves an index to the next element in row-major order.
func increment(index, shape []int) {
	for axis := len(shape) - 1; axis >= 0; axis-- {
		if index[axis]++; index[axis] < shape[axis] {
			return
		}
		index[axis] = 0
	}
}

// toTensor copies t into a dense tensor in row-major order.
func toTensor(t engine.Tensor) (tensor.Tensor, error) {
	if t.Len() == 0 {
		return nil, fmt.Errorf("gorgonia has no tensors without elements, such as this %s", t)
	}
	switch t.DType() {
	case ops.Float32:
		return dense[float32](t), nil
	case ops.Float64:
		return dense[float64](t), nil
	case ops.Int8:
		return dense[int8](t), nil
	case ops.Int16:
		return dense[int16](t), nil
	case ops.Int32:
		return dense[int32](t), nil
	case ops.Int64:
		return dense[int64](t), nil
	case ops.Uint8:
		return dense[uint8](t), nil
	case ops.Uint16:
		return dense[uint16](t), nil
	case ops.Uint32:
		return dense[uint32](t), nil
	case ops.Uint64:
		return dense[uint64](t), nil
	case ops.Bool:
		return dense[bool](t), nil
	case ops.String:
		return dense[string](t), nil
	}
	return nil, fmt.Errorf("gorgonia has no tensors of type %s", t.DType())
}

func dense[T engine.Element](t engine.Tensor) tensor.Tensor {
	return tensor.New(tensor.WithShape(slices.Clone(t.Shape())...), tensor.WithBacking(slices.Clone(engine.Data[T](t))))
}
