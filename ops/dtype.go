package ops

import (
	"fmt"
	"strings"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
)

// DType is a tensor element type, numbered as in ONNX's TensorProto.DataType.
type DType int32

// The element types that onnxloss reads, writes and computes with.
const (
	Undefined DType = 0
	Float32   DType = 1
	Uint8     DType = 2
	Int8      DType = 3
	Uint16    DType = 4
	Int16     DType = 5
	Int32     DType = 6
	Int64     DType = 7
	String    DType = 8
	Bool      DType = 9
	Float16   DType = 10
	Float64   DType = 11
	Uint32    DType = 12
	Uint64    DType = 13
	BFloat16  DType = 16
)

var dtypes = []struct {
	dtype DType
	name  string
	size  int
}{
	{Float32, "float32", 4},
	{Float64, "float64", 8},
	{Float16, "float16", 2},
	{BFloat16, "bfloat16", 2},
	{Int8, "int8", 1},
	{Int16, "int16", 2},
	{Int32, "int32", 4},
	{Int64, "int64", 8},
	{Uint8, "uint8", 1},
	{Uint16, "uint16", 2},
	{Uint32, "uint32", 4},
	{Uint64, "uint64", 8},
	{Bool, "bool", 1},
	{String, "string", 0},
}

// FloatTypes lists the element types a loss can be exported in.
func FloatTypes() []DType { return []DType{Float32, Float64, Float16, BFloat16} }

// ParseDType turns a name such as "float16" into its DType.
func ParseDType(name string) (DType, error) {
	for _, d := range dtypes {
		if d.name == name {
			return d.dtype, nil
		}
	}
	known := make([]string, len(dtypes))
	for i, d := range dtypes {
		known[i] = d.name
	}
	return Undefined, fmt.Errorf("ops: unknown element type %q; use one of %s", name, strings.Join(known, ", "))
}

// String gives the name as numpy writes it, or for a type not listed here the
// name of the ONNX standard.
func (d DType) String() string {
	for _, known := range dtypes {
		if known.dtype == d {
			return known.name
		}
	}
	return strings.ToLower(onnxpb.TensorProto_DataType(d).String())
}

// Size is the number of bytes of one element, or 0 where an element has no
// fixed size (strings) or the type is not supported.
func (d DType) Size() int {
	for _, known := range dtypes {
		if known.dtype == d {
			return known.size
		}
	}
	return 0
}

// IsFloat reports whether d is one of FloatTypes.
func (d DType) IsFloat() bool {
	return d == Float32 || d == Float64 || d == Float16 || d == BFloat16
}

// IsHalf reports whether d is a 16-bit floating-point type.
func (d DType) IsHalf() bool { return d == Float16 || d == BFloat16 }

// IsInteger reports whether d is a signed or unsigned integer type.
func (d DType) IsInteger() bool {
	switch d {
	case Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64:
		return true
	}
	return false
}
