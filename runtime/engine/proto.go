package engine

import (
	"fmt"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
)

// FromProto decodes a TensorProto that holds its data itself. External data is
// refused: only the model's reader knows where the file lies.
func FromProto(p *onnxpb.TensorProto) (Tensor, error) {
	t, err := fromProto(p)
	if err != nil {
		return Tensor{}, fmt.Errorf("tensor %q: %w", p.GetName(), err)
	}
	return t, nil
}

func fromProto(p *onnxpb.TensorProto) (Tensor, error) {
	dtype := ops.DType(p.GetDataType())
	shape := make([]int, len(p.Dims))
	for i, d := range p.Dims {
		shape[i] = int(d)
	}
	if p.GetDataLocation() == onnxpb.TensorProto_EXTERNAL {
		return Tensor{}, fmt.Errorf("its data are in another file; load the model with models.Load")
	}
	if p.RawData != nil {
		return FromBytes(dtype, shape, p.RawData)
	}
	switch dtype {
	case ops.Float32:
		return New(shape, p.FloatData)
	case ops.Float64:
		return New(shape, p.DoubleData)
	case ops.Int64:
		return New(shape, p.Int64Data)
	case ops.Int32:
		return New(shape, p.Int32Data)
	case ops.Uint64:
		return New(shape, p.Uint64Data)
	case ops.Uint32:
		return New(shape, convert(p.Uint64Data, func(x uint64) uint32 { return uint32(x) }))
	case ops.String:
		return New(shape, convert(p.StringData, func(s []byte) string { return string(s) }))
	case ops.Int8:
		return New(shape, convert(p.Int32Data, func(x int32) int8 { return int8(x) }))
	case ops.Int16:
		return New(shape, convert(p.Int32Data, func(x int32) int16 { return int16(x) }))
	case ops.Uint8:
		return New(shape, convert(p.Int32Data, func(x int32) uint8 { return uint8(x) }))
	case ops.Uint16:
		return New(shape, convert(p.Int32Data, func(x int32) uint16 { return uint16(x) }))
	case ops.Bool:
		return New(shape, convert(p.Int32Data, func(x int32) bool { return x != 0 }))
	case ops.Float16:
		return New(shape, convert(p.Int32Data, func(x int32) Float16 { return Float16(x) }))
	case ops.BFloat16:
		return New(shape, convert(p.Int32Data, func(x int32) BFloat16 { return BFloat16(x) }))
	}
	return Tensor{}, fmt.Errorf("element type %s: %w", dtype, ErrUnsupported)
}

// ToProto encodes t under a name.
func ToProto(name string, t Tensor) *onnxpb.TensorProto {
	dtype := int32(t.DType())
	p := &onnxpb.TensorProto{Name: &name, DataType: &dtype}
	for _, d := range t.Shape() {
		p.Dims = append(p.Dims, int64(d))
	}
	if t.DType() == ops.String {
		p.StringData = convert(Data[string](t), func(s string) []byte { return []byte(s) })
		return p
	}
	p.RawData = t.Bytes()
	return p
}
