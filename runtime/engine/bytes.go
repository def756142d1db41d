package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"reflect"
	"slices"
	"unsafe"

	"github.com/onnxloss/onnxloss/ops"
)

// FromBytes makes a tensor from little-endian bytes, as ONNX's raw_data and .npy
// files hold them. Any byte but 0 is a true bool.
func FromBytes(dtype ops.DType, shape []int, raw []byte) (Tensor, error) {
	n, err := Count(shape)
	if err != nil {
		return Tensor{}, err
	}
	if len(raw) != n*dtype.Size() && dtype.Size() > 0 {
		return Tensor{}, fmt.Errorf("engine: %s%v needs %d bytes, got %d", dtype, shape, n*dtype.Size(), len(raw))
	}
	return Read(bytes.NewReader(raw), dtype, shape)
}

// Read makes a tensor from the bytes that FromBytes takes, as many of a reader as
// the shape needs. Memory is taken for all of them before any is read.
func Read(from io.Reader, dtype ops.DType, shape []int) (Tensor, error) {
	n, err := Count(shape)
	if err != nil {
		return Tensor{}, err
	}
	if dtype.Size() == 0 {
		return Tensor{}, fmt.Errorf("engine: cannot make a tensor of %s from bytes: %w", dtype, ErrUnsupported)
	}
	t := newZeros(dtype, shape, n)
	raw := t.memory()
	if _, err := io.ReadFull(from, raw); err != nil {
		return Tensor{}, fmt.Errorf("engine: read %s%v: %w", dtype, shape, err)
	}
	if dtype == ops.Bool {
		for i, b := range raw {
			raw[i] = min(b, 1)
		}
	}
	toLittleEndian(raw, dtype.Size())
	return t, nil
}

// Bytes gives the elements as little-endian bytes, or nil for strings.
func (t Tensor) Bytes() []byte {
	if t.dtype.Size() == 0 {
		return nil
	}
	raw := slices.Clone(t.memory())
	toLittleEndian(raw, t.dtype.Size())
	return raw
}

// memory is the elements of a fixed size as they are in memory.
func (t Tensor) memory() []byte {
	data := reflect.ValueOf(t.data)
	return unsafe.Slice((*byte)(data.UnsafePointer()), data.Len()*t.dtype.Size())
}

var bigEndian = binary.NativeEndian.Uint16([]byte{0, 1}) == 1

// toLittleEndian turns the byte order of numbers of a size around, on a machine
// where it is the other one.
func toLittleEndian(raw []byte, size int) {
	if !bigEndian || size == 1 {
		return
	}
	for number := range slices.Chunk(raw, size) {
		slices.Reverse(number)
	}
}
