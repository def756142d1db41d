//go:build cgo

package ort

// #include "capi.h"
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// toValue makes an ONNX Runtime tensor over the elements of t, which the pinner
// keeps in place; strings are copied.
func toValue(t engine.Tensor, pinner *runtime.Pinner) (*C.Value, error) {
	if t.DType() == ops.String {
		return toStrings(t)
	}
	var data unsafe.Pointer
	if t.Len() > 0 {
		data = elements(t)
		pinner.Pin(data)
	}
	shape := toShape(t.Shape())
	var value *C.Value
	status := C.capi_tensor(data, C.size_t(t.Len()*t.DType().Size()), unsafe.SliceData(shape), C.size_t(len(shape)), C.int(t.DType()), &value)
	return value, check(status)
}

func toStrings(t engine.Tensor) (*C.Value, error) {
	shape := toShape(t.Shape())
	var value *C.Value
	if err := check(C.capi_string_tensor(unsafe.SliceData(shape), C.size_t(len(shape)), &value)); err != nil {
		return nil, err
	}
	for i, s := range engine.Data[string](t) {
		text := (*C.char)(unsafe.Pointer(unsafe.StringData(s)))
		if err := check(C.capi_set_string(value, C.size_t(i), text, C.size_t(len(s)))); err != nil {
			C.capi_release_value(value)
			return nil, err
		}
	}
	return value, nil
}

func toShape(shape []int) []C.int64_t {
	dims := make([]C.int64_t, len(shape))
	for i, d := range shape {
		dims[i] = C.int64_t(d)
	}
	return dims
}

// fromValue copies an ONNX Runtime tensor.
func fromValue(value *C.Value) (engine.Tensor, error) {
	dtype, shape, err := typeOf(value)
	if err != nil {
		return engine.Tensor{}, err
	}
	t, err := engine.Zeros(dtype, shape)
	if err != nil {
		return engine.Tensor{}, fmt.Errorf("%w: %w", err, engine.ErrUnsupported)
	}
	if t.Len() == 0 {
		return t, nil
	}
	if dtype == ops.String {
		return t, copyStrings(engine.Data[string](t), value)
	}
	var data unsafe.Pointer
	if err := check(C.capi_value_data(value, &data)); err != nil {
		return engine.Tensor{}, err
	}
	size := t.Len() * dtype.Size()
	copy(unsafe.Slice((*byte)(elements(t)), size), unsafe.Slice((*byte)(data), size))
	return t, nil
}

func typeOf(value *C.Value) (ops.DType, []int, error) {
	var info *C.TensorInfo
	if err := check(C.capi_value_info(value, &info)); err != nil {
		return ops.Undefined, nil, err
	}
	if info == nil {
		return ops.Undefined, nil, fmt.Errorf("it is not a tensor: %w", engine.ErrUnsupported)
	}
	defer C.capi_release_tensor_info(info)
	dtype, dims, err := tensorType(info)
	if err != nil {
		return ops.Undefined, nil, err
	}
	shape := make([]int, len(dims))
	for i, d := range dims {
		shape[i] = int(d)
	}
	return dtype, shape, nil
}

// tensorType reads the element type and the dimensions; those that are not known
// are -1.
func tensorType(info *C.TensorInfo) (ops.DType, []C.int64_t, error) {
	var dtype C.int
	if err := check(C.capi_element_type(info, &dtype)); err != nil {
		return ops.Undefined, nil, err
	}
	var rank C.size_t
	if err := check(C.capi_rank(info, &rank)); err != nil {
		return ops.Undefined, nil, err
	}
	dims := make([]C.int64_t, rank)
	err := check(C.capi_dimensions(info, unsafe.SliceData(dims), rank))
	return ops.DType(dtype), dims, err
}

func copyStrings(to []string, value *C.Value) error {
	var size C.size_t
	if err := check(C.capi_strings_length(value, &size)); err != nil {
		return err
	}
	text, offsets := make([]byte, size), make([]C.size_t, len(to))
	status := C.capi_strings(value, unsafe.Pointer(unsafe.SliceData(text)), size, unsafe.SliceData(offsets), C.size_t(len(offsets)))
	if err := check(status); err != nil {
		return err
	}
	for i := range to {
		end := size
		if i+1 < len(offsets) {
			end = offsets[i+1]
		}
		to[i] = string(text[offsets[i]:end])
	}
	return nil
}

// elements gives the address of the elements of a tensor that has some and whose
// element type has a fixed size.
func elements(t engine.Tensor) unsafe.Pointer {
	switch t.DType() {
	case ops.Float32:
		return first[float32](t)
	case ops.Float64:
		return first[float64](t)
	case ops.Float16:
		return first[engine.Float16](t)
	case ops.BFloat16:
		return first[engine.BFloat16](t)
	case ops.Int8:
		return first[int8](t)
	case ops.Int16:
		return first[int16](t)
	case ops.Int32:
		return first[int32](t)
	case ops.Int64:
		return first[int64](t)
	case ops.Uint8:
		return first[uint8](t)
	case ops.Uint16:
		return first[uint16](t)
	case ops.Uint32:
		return first[uint32](t)
	case ops.Uint64:
		return first[uint64](t)
	}
	return first[bool](t)
}

func first[T engine.Element](t engine.Tensor) unsafe.Pointer {
	return unsafe.Pointer(unsafe.SliceData(engine.Data[T](t)))
}
