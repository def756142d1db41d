//go:build cgo

package ort_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/internal/testneeds"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/ort"
)

// needLibrary skips a test where ONNX Runtime is not on this machine, or fails it
// if the environment says that it has to be there.
func needLibrary(t testing.TB) ort.Location {
	t.Helper()
	location, err := ort.Find("")
	if err == nil {
		return location
	}
	testneeds.Lacking(t, testneeds.ORT, err)
	return ort.Location{}
}

func newEngine(t testing.TB, options ort.Options) engine.Engine {
	t.Helper()
	needLibrary(t)
	e, err := ort.New(options)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func load(t testing.TB, model []byte) engine.Session {
	t.Helper()
	session, err := newEngine(t, ort.Options{}).Load(model)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := session.Close(); err != nil {
			t.Error(err)
		}
	})
	return session
}

// value declares a tensor; a dimension is a number or a name, and no dimensions
// leave the shape open.
func value(name string, dtype ops.DType, dims ...any) *onnxpb.ValueInfoProto {
	tensor := &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(int32(dtype))}
	for _, dim := range dims {
		if tensor.Shape == nil {
			tensor.Shape = &onnxpb.TensorShapeProto{}
		}
		d := &onnxpb.TensorShapeProto_Dimension{}
		switch dim := dim.(type) {
		case int:
			d.Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: int64(dim)}
		case string:
			d.Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: dim}
		}
		tensor.Shape.Dim = append(tensor.Shape.Dim, d)
	}
	return &onnxpb.ValueInfoProto{Name: &name, Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{TensorType: tensor}}}
}

func node(operator string, inputs, outputs []string, attributes ...*onnxpb.AttributeProto) *onnxpb.NodeProto {
	return &onnxpb.NodeProto{OpType: &operator, Name: proto.String("the " + operator), Input: inputs, Output: outputs, Attribute: attributes}
}

func castTo(dtype ops.DType) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: proto.String("to"), Type: onnxpb.AttributeProto_INT.Enum(), I: proto.Int64(int64(dtype))}
}

func model(t testing.TB, opset int, inputs, outputs []*onnxpb.ValueInfoProto, nodes ...*onnxpb.NodeProto) []byte {
	t.Helper()
	encoded, err := proto.Marshal(&onnxpb.ModelProto{
		IrVersion:   proto.Int64(8),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: proto.Int64(int64(opset))}},
		Graph:       &onnxpb.GraphProto{Name: proto.String("test"), Input: inputs, Output: outputs, Node: nodes},
	})
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// identity gives a model with one node from x to y, both of any shape.
func identity(t testing.TB, dtype ops.DType) []byte {
	return model(t, 16,
		[]*onnxpb.ValueInfoProto{value("x", dtype)}, []*onnxpb.ValueInfoProto{value("y", dtype)},
		node("Identity", []string{"x"}, []string{"y"}))
}

func mustPass(t testing.TB, got, want engine.Tensor) {
	t.Helper()
	if err := engine.Diff(got, want, engine.Tolerance{}); err != nil {
		t.Error(err)
	}
}
