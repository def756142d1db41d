package export

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
)

// longestInts is how long a tensor may be for its content to be followed; shapes
// and axes are far shorter.
const longestInts = 64

func (o *operation) constant() (fact, error) {
	number := func(dtype ops.DType, dims ...int) fact {
		f := fact{dtype: dtype, shape: ops.Shape{}}
		for _, n := range dims {
			f.shape = append(f.shape, ops.Fixed(n))
		}
		return f
	}
	if len(o.attributes) != 1 {
		return fact{}, fmt.Errorf("it has %d values; it takes one", len(o.attributes))
	}
	for name, a := range o.attributes {
		switch name {
		case "value":
			return factOf(a.GetT()), wholeTensor(a.GetT())
		case "value_int":
			f := number(ops.Int64)
			f.ints = []ops.Dim{ops.Fixed(int(a.GetI()))}
			return f, nil
		case "value_ints":
			f := number(ops.Int64, len(a.GetInts()))
			f.ints = dims(a.GetInts())
			return f, nil
		case "value_float":
			return number(ops.Float32), nil
		case "value_floats":
			return number(ops.Float32, len(a.GetFloats())), nil
		case "value_string":
			return number(ops.String), nil
		case "value_strings":
			return number(ops.String, len(a.GetStrings())), nil
		}
	}
	return fact{}, nil // a sparse tensor
}

// wholeTensor proves that a tensor has the bytes that its type and shape ask for.
func wholeTensor(t *onnxpb.TensorProto) error {
	dtype := ops.DType(t.GetDataType())
	if dtype == ops.Undefined {
		return errors.New("its tensor has no element type")
	}
	if t.RawData == nil || dtype.Size() == 0 {
		return nil
	}
	count, _, ok := elements(factOf(t).shape)
	if ok && count*dtype.Size() != len(t.RawData) {
		return fmt.Errorf("its tensor %s%s needs %d bytes, but has %d", dtype, factOf(t).shape, count*dtype.Size(), len(t.RawData))
	}
	return nil
}

func dims(list []int64) []ops.Dim {
	if len(list) > longestInts {
		return nil
	}
	content := make([]ops.Dim, len(list))
	for i, n := range list {
		content[i] = ops.Fixed(int(n))
	}
	return content
}

// intsOf reads a short int64 tensor that holds its content itself.
func intsOf(t *onnxpb.TensorProto) []ops.Dim {
	if ops.DType(t.GetDataType()) != ops.Int64 || t.GetDataLocation() == onnxpb.TensorProto_EXTERNAL {
		return nil
	}
	list := t.GetInt64Data()
	if raw := t.GetRawData(); len(raw) > 0 && len(raw) <= 8*longestInts {
		list = nil
		for ; len(raw) >= 8; raw = raw[8:] {
			list = append(list, int64(binary.LittleEndian.Uint64(raw)))
		}
	}
	if count, symbols, ok := elements(shapeOfTensor(t)); !ok || len(symbols) > 0 || count != len(list) {
		return nil
	}
	return dims(list)
}

func shapeOfTensor(t *onnxpb.TensorProto) ops.Shape {
	shape := ops.Shape{}
	for _, d := range t.GetDims() {
		shape = append(shape, ops.Fixed(int(d)))
	}
	return shape
}
