package engine_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

func TestProtoRoundTripsEveryType(t *testing.T) {
	for _, sample := range samples {
		encoded, err := proto.Marshal(engine.ToProto("x", sample))
		if err != nil {
			t.Fatal(err)
		}
		var decoded onnxpb.TensorProto
		if err := proto.Unmarshal(encoded, &decoded); err != nil {
			t.Fatal(err)
		}
		got, err := engine.FromProto(&decoded)
		if err != nil {
			t.Fatal(err)
		}
		if decoded.GetName() != "x" {
			t.Errorf("name: got %q", decoded.GetName())
		}
		mustPass(t, got, sample)
	}
}

func TestProtoRoundTripsScalarsAndEmptyTensors(t *testing.T) {
	for _, sample := range samples {
		for _, shape := range [][]int{nil, {0}, {2, 0}} {
			want, err := engine.Zeros(sample.DType(), shape)
			if err != nil {
				t.Fatal(err)
			}
			got, err := engine.FromProto(engine.ToProto("", want))
			if err != nil {
				t.Fatal(err)
			}
			mustPass(t, got, want)
		}
	}
}

func TestProtoTypedFields(t *testing.T) {
	tests := []struct {
		proto *onnxpb.TensorProto
		want  engine.Tensor
	}{
		{&onnxpb.TensorProto{FloatData: []float32{1, 2}}, vector[float32](1, 2)},
		{&onnxpb.TensorProto{DoubleData: []float64{1, 2}}, vector(1.0, 2)},
		{&onnxpb.TensorProto{Int64Data: []int64{1, -2}}, vector[int64](1, -2)},
		{&onnxpb.TensorProto{Int32Data: []int32{1, -2}}, vector[int32](1, -2)},
		{&onnxpb.TensorProto{Int32Data: []int32{1, -2}}, vector[int16](1, -2)},
		{&onnxpb.TensorProto{Int32Data: []int32{1, -2}}, vector[int8](1, -2)},
		{&onnxpb.TensorProto{Int32Data: []int32{1, 65535}}, vector[uint16](1, 65535)},
		{&onnxpb.TensorProto{Int32Data: []int32{1, 255}}, vector[uint8](1, 255)},
		{&onnxpb.TensorProto{Uint64Data: []uint64{1, 1<<32 - 1}}, vector[uint32](1, 1<<32-1)},
		{&onnxpb.TensorProto{Uint64Data: []uint64{1, 1<<64 - 1}}, vector[uint64](1, 1<<64-1)},
		{&onnxpb.TensorProto{Int32Data: []int32{1, 0}}, vector(true, false)},
		{&onnxpb.TensorProto{Int32Data: []int32{0x3c00, 0xbc00}}, vector[engine.Float16](0x3c00, 0xbc00)},
		{&onnxpb.TensorProto{Int32Data: []int32{0x3f80, 0xbf80}}, vector[engine.BFloat16](0x3f80, 0xbf80)},
		{&onnxpb.TensorProto{StringData: [][]byte{[]byte("a"), nil}}, vector("a", "")},
	}
	for _, test := range tests {
		test.proto.DataType = proto.Int32(int32(test.want.DType()))
		test.proto.Dims = []int64{2}
		got, err := engine.FromProto(test.proto)
		if err != nil {
			t.Errorf("%s: %v", test.want, err)
			continue
		}
		mustPass(t, got, test.want)
	}
}

func TestProtoThatCannotBeRead(t *testing.T) {
	float8 := proto.Int32(int32(onnxpb.TensorProto_FLOAT8E4M3FN))
	float32s := proto.Int32(int32(ops.Float32))
	tests := []struct {
		name  string
		proto *onnxpb.TensorProto
		wants []string
	}{
		{"external data", &onnxpb.TensorProto{DataType: float32s, DataLocation: onnxpb.TensorProto_EXTERNAL.Enum()}, []string{"another file", "models.Load"}},
		{"missing elements", &onnxpb.TensorProto{DataType: float32s, Dims: []int64{2}, FloatData: []float32{1}}, []string{"2 elements, got 1"}},
		{"missing bytes", &onnxpb.TensorProto{DataType: float32s, Dims: []int64{2}, RawData: []byte{1}}, []string{"8 bytes, got 1"}},
		{"negative dimension", &onnxpb.TensorProto{DataType: float32s, Dims: []int64{-1}}, []string{"negative"}},
		{"overflow", &onnxpb.TensorProto{DataType: float32s, Dims: []int64{1 << 40, 1 << 40}, RawData: []byte{}}, []string{"too many elements"}},
	}
	for _, test := range tests {
		test.proto.Name = proto.String("weights")
		_, err := engine.FromProto(test.proto)
		if err == nil {
			t.Errorf("%s: want an error", test.name)
			continue
		}
		for _, want := range append(test.wants, `"weights"`) {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not in %v", test.name, want, err)
			}
		}
	}
	for _, p := range []*onnxpb.TensorProto{
		{DataType: float8}, {DataType: float8, RawData: []byte{0}}, {},
	} {
		if _, err := engine.FromProto(p); !errors.Is(err, engine.ErrUnsupported) {
			t.Errorf("type %d: got %v, want ErrUnsupported", p.GetDataType(), err)
		}
	}
}

func TestToProtoKeepsShape(t *testing.T) {
	p := engine.ToProto("", engine.Must([]int{2, 0, 3}, []int64{}))
	if !slices.Equal(p.Dims, []int64{2, 0, 3}) {
		t.Errorf("got %v", p.Dims)
	}
}

func FuzzFromProto(f *testing.F) {
	for _, sample := range samples {
		encoded, err := proto.Marshal(engine.ToProto("x", sample))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encoded)
	}
	f.Fuzz(func(t *testing.T, encoded []byte) {
		var p onnxpb.TensorProto
		if proto.Unmarshal(encoded, &p) != nil {
			return
		}
		tensor, err := engine.FromProto(&p)
		if err != nil {
			return
		}
		again, err := engine.FromProto(engine.ToProto("x", tensor))
		if err != nil {
			t.Fatal(err)
		}
		mustPass(t, again, tensor)
	})
}
