// Package npy reads and writes tensors as NumPy's .npy files.
package npy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	format "codeberg.org/sbinet/npyio/npy"

	"github.com/onnxloss/onnxloss/internal/atomicfile"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// types are the element types of a .npy file, without the byte order.
var types = []struct {
	code  string
	dtype ops.DType
}{
	{"b1", ops.Bool},
	{"i1", ops.Int8},
	{"i2", ops.Int16},
	{"i4", ops.Int32},
	{"i8", ops.Int64},
	{"u1", ops.Uint8},
	{"u2", ops.Uint16},
	{"u4", ops.Uint32},
	{"u8", ops.Uint64},
	{"f2", ops.Float16},
	{"f4", ops.Float32},
	{"f8", ops.Float64},
}

// Read reads a .npy file that holds one array of numbers or booleans. Both byte
// orders and both memory layouts are read; the tensor is row-major.
func Read(path string) (engine.Tensor, error) {
	file, err := os.Open(path)
	if err != nil {
		return engine.Tensor{}, fmt.Errorf("npy: %w", err)
	}
	defer file.Close()
	t, err := decode(file)
	if err != nil {
		return engine.Tensor{}, fmt.Errorf("npy: read %q: %w", path, err)
	}
	return t, nil
}

// Decode reads what Read reads from r, up to its end.
func Decode(r io.Reader) (engine.Tensor, error) {
	t, err := decode(r)
	if err != nil {
		return engine.Tensor{}, fmt.Errorf("npy: %w", err)
	}
	return t, nil
}

func decode(r io.Reader) (engine.Tensor, error) {
	header, err := readHeader(r)
	if err != nil {
		return engine.Tensor{}, err
	}
	dtype, order, err := parseType(header.Descr.Type)
	if err != nil {
		return engine.Tensor{}, err
	}
	if rank := len(header.Descr.Shape); rank > maxRank {
		return engine.Tensor{}, fmt.Errorf("an array of %d axes is not read; numpy has at most %d", rank, maxRank)
	}
	n, err := engine.Count(header.Descr.Shape)
	if err != nil {
		return engine.Tensor{}, err
	}
	raw, err := readExactly(r, n*dtype.Size())
	if err != nil {
		return engine.Tensor{}, fmt.Errorf("an array of %s%v: %w", dtype, header.Descr.Shape, err)
	}
	if order == binary.BigEndian {
		swapBytes(raw, dtype.Size())
	}
	if header.Descr.Fortran {
		raw = rowMajor(raw, header.Descr.Shape, dtype.Size())
	}
	return engine.FromBytes(dtype, header.Descr.Shape, raw)
}

// maxRank is the most axes that a NumPy array has.
const maxRank = 64

// maxHeader is far beyond the header of any array of plain numbers.
const maxHeader = 1 << 16

// readHeader reads the header with the library, which trusts what it reads: the
// length is checked first, and a malformed dictionary can make it panic.
func readHeader(r io.Reader) (header format.Header, err error) {
	raw, err := headerBytes(r)
	if err != nil {
		return header, err
	}
	defer func() {
		if recover() != nil {
			err = errors.New("its header is malformed; write it anew with numpy.save")
		}
	}()
	reader, err := format.NewReader(bytes.NewReader(raw))
	if err != nil {
		return header, fmt.Errorf("its header: %w", err)
	}
	return reader.Header, nil
}

// headerBytes reads from the magic string to the header's end.
func headerBytes(r io.Reader) ([]byte, error) {
	raw := make([]byte, 10) // the magic string, the version, and a length of 2 bytes
	if n, err := io.ReadFull(r, raw); err != nil {
		return nil, notNumPy(raw[:n], err)
	}
	if !bytes.HasPrefix(raw, format.Magic[:]) {
		return nil, notNumPy(raw, nil)
	}
	length := int(binary.LittleEndian.Uint16(raw[8:]))
	switch major := raw[6]; major {
	case 1:
	case 2:
		rest := make([]byte, 2)
		if _, err := io.ReadFull(r, rest); err != nil {
			return nil, errors.New("it ends in its header")
		}
		raw = append(raw, rest...)
		length |= int(binary.LittleEndian.Uint16(rest)) << 16
	default:
		return nil, fmt.Errorf("version %d of the format is not supported; arrays of numbers are saved as version 1 or 2", major)
	}
	if length > maxHeader {
		return nil, fmt.Errorf("its header is %d bytes long, which no array of numbers needs", length)
	}
	dictionary := make([]byte, length)
	if _, err := io.ReadFull(r, dictionary); err != nil {
		return nil, errors.New("it ends in its header")
	}
	return append(raw, dictionary...), nil
}

func notNumPy(start []byte, err error) error {
	switch {
	case err != nil && err != io.EOF && err != io.ErrUnexpectedEOF:
		return err
	case len(start) == 0:
		return errors.New("it is empty")
	case bytes.HasPrefix(start, []byte("PK\x03\x04")):
		return errors.New("it is a zip archive, perhaps a .npz; save each array by itself with numpy.save")
	case bytes.HasPrefix(start, format.Magic[:]):
		return errors.New("it ends in its header")
	}
	return errors.New("it is not a .npy file; write it with numpy.save")
}

// parseType reads a type such as '<f4', quotes included.
func parseType(descr string) (ops.DType, binary.ByteOrder, error) {
	text := strings.Trim(descr, `'"`)
	for _, t := range types {
		code, found := strings.CutSuffix(text, t.code)
		switch {
		case !found:
		case code == "<", code == "|" && t.dtype.Size() == 1:
			return t.dtype, binary.LittleEndian, nil
		case code == ">":
			return t.dtype, binary.BigEndian, nil
		}
	}
	if strings.HasSuffix(text, "O") {
		return ops.Undefined, nil, errors.New("its elements are Python objects, which are not read; convert the array with astype to a numeric type")
	}
	return ops.Undefined, nil, fmt.Errorf("element type %s is not supported; convert the array with astype to a float, integer or bool type", descr)
}

// readExactly reads n bytes and the end. Memory grows with what is there and not
// with what a header claims.
func readExactly(r io.Reader, n int) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, int64(n)+1))
	switch {
	case err != nil:
		return nil, err
	case len(raw) < n:
		return nil, fmt.Errorf("it needs %d bytes of data, the file has %d; the file is cut off", n, len(raw))
	case len(raw) > n:
		return nil, fmt.Errorf("it needs %d bytes of data, the file has more; it holds something else too", n)
	}
	return raw, nil
}

func swapBytes(raw []byte, size int) {
	for element := range slices.Chunk(raw, size) {
		slices.Reverse(element)
	}
}

// rowMajor puts column-major elements in row-major order.
func rowMajor(raw []byte, shape []int, size int) []byte {
	strides := make([]int, len(shape)) // in bytes, of the column-major elements
	stride := size
	for axis, d := range shape {
		strides[axis] = stride
		stride *= d
	}
	out := make([]byte, 0, len(raw))
	index, offset := make([]int, len(shape)), 0
	for len(out) < len(raw) {
		out = append(out, raw[offset:offset+size]...)
		for axis := len(shape) - 1; axis >= 0; axis-- {
			index[axis]++
			offset += strides[axis]
			if index[axis] < shape[axis] {
				break
			}
			offset -= shape[axis] * strides[axis]
			index[axis] = 0
		}
	}
	return out
}

// Write writes t to a .npy file, whole or not at all. Bfloat16, which the format
// does not have, becomes float32, without loss; strings are refused.
func Write(path string, t engine.Tensor) error {
	data, err := encode(t)
	if err != nil {
		return fmt.Errorf("npy: write %q: %w", path, err)
	}
	if err := atomicfile.Write(path, data); err != nil {
		return fmt.Errorf("npy: %w", err)
	}
	return nil
}

func encode(t engine.Tensor) ([]byte, error) {
	if t.DType() == ops.BFloat16 {
		var err error
		if t, err = engine.FromFloat64s(ops.Float32, t.Shape(), t.Float64s()); err != nil {
			return nil, err
		}
	}
	if rank := len(t.Shape()); rank > maxRank {
		return nil, fmt.Errorf("a tensor of %d axes cannot be written as .npy; numpy has at most %d", rank, maxRank)
	}
	descr, err := typeText(t.DType())
	if err != nil {
		return nil, err
	}
	// The library writes no array of more than two axes, and a header that does
	// not end at a multiple of 64 bytes as the format asks.
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr, shapeText(t.Shape()))
	const before = 10
	padding := 63 - (before+len(header))%64
	header += strings.Repeat(" ", padding) + "\n"
	out := append(format.Magic[:], 1, 0)
	out = binary.LittleEndian.AppendUint16(out, uint16(len(header)))
	out = append(out, header...)
	return append(out, t.Bytes()...), nil
}

func typeText(dtype ops.DType) (string, error) {
	for _, t := range types {
		switch {
		case t.dtype != dtype:
		case dtype.Size() == 1:
			return "|" + t.code, nil
		default:
			return "<" + t.code, nil
		}
	}
	return "", fmt.Errorf("a tensor of %s cannot be written as .npy", dtype)
}

// shapeText writes a shape as Python writes a tuple.
func shapeText(shape []int) string {
	text := ""
	for _, d := range shape {
		text += fmt.Sprintf("%d, ", d)
	}
	if len(shape) == 1 {
		return "(" + strings.TrimSuffix(text, " ") + ")"
	}
	return "(" + strings.TrimSuffix(text, ", ") + ")"
}
