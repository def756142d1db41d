package interp_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
)

// The helpers here write small models.

func integer(name string, x int64) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: &name, Type: onnxpb.AttributeProto_INT.Enum(), I: &x}
}

func float(name string, x float32) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: &name, Type: onnxpb.AttributeProto_FLOAT.Enum(), F: &x}
}

func integers(name string, list ...int64) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: &name, Type: onnxpb.AttributeProto_INTS.Enum(), Ints: list}
}

func text(name, s string) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: &name, Type: onnxpb.AttributeProto_STRING.Enum(), S: []byte(s)}
}

func subgraph(name string, g *onnxpb.GraphProto) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: &name, Type: onnxpb.AttributeProto_GRAPH.Enum(), G: g}
}

func reference(name, to string, kind onnxpb.AttributeProto_AttributeType) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: &name, Type: &kind, RefAttrName: &to}
}

func node(op string, inputs, outputs []string, attributes ...*onnxpb.AttributeProto) *onnxpb.NodeProto {
	return &onnxpb.NodeProto{OpType: &op, Input: inputs, Output: outputs, Attribute: attributes}
}

func call(function string, inputs, outputs []string, attributes ...*onnxpb.AttributeProto) *onnxpb.NodeProto {
	n := node(function, inputs, outputs, attributes...)
	n.Domain = proto.String("test")
	return n
}

// value declares a tensor; each dimension is a number or a name.
func value(name string, dtype ops.DType, dims ...any) *onnxpb.ValueInfoProto {
	shape := &onnxpb.TensorShapeProto{}
	for _, d := range dims {
		dim := &onnxpb.TensorShapeProto_Dimension{}
		switch d := d.(type) {
		case int:
			dim.Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: int64(d)}
		case string:
			dim.Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: d}
		}
		shape.Dim = append(shape.Dim, dim)
	}
	return &onnxpb.ValueInfoProto{Name: &name, Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{
		TensorType: &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(int32(dtype)), Shape: shape},
	}}}
}

func names(list ...string) []string { return list }

// newModel is a model of nodes that take x and give y, both float32[N].
func newModel(opset int64, nodes ...*onnxpb.NodeProto) *onnxpb.ModelProto {
	return &onnxpb.ModelProto{
		IrVersion:   proto.Int64(8),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: &opset}, {Domain: proto.String("test"), Version: proto.Int64(1)}},
		Graph: &onnxpb.GraphProto{
			Node:   nodes,
			Input:  []*onnxpb.ValueInfoProto{value("x", ops.Float32, "N")},
			Output: []*onnxpb.ValueInfoProto{value("y", ops.Float32)},
		},
	}
}

func marshal(t testing.TB, m *onnxpb.ModelProto) []byte {
	t.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func load(t testing.TB, m *onnxpb.ModelProto) engine.Session {
	t.Helper()
	s, err := interp.New().Load(marshal(t, m))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func vector(list ...float32) engine.Tensor { return engine.Must([]int{len(list)}, list) }

func indices(list ...int64) engine.Tensor { return engine.Must([]int{len(list)}, list) }

// applyAll runs one operator by itself.
func applyAll(t testing.TB, op string, opset int, attributes []*onnxpb.AttributeProto, inputs ...engine.Tensor) []engine.Tensor {
	t.Helper()
	o, err := interp.NewOperator(op, opset, 1, attributes)
	if err != nil {
		t.Fatal(err)
	}
	out, err := o.Apply(inputs)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func apply(t testing.TB, op string, opset int, attributes []*onnxpb.AttributeProto, inputs ...engine.Tensor) engine.Tensor {
	t.Helper()
	return applyAll(t, op, opset, attributes, inputs...)[0]
}

func same(t testing.TB, got, want engine.Tensor) {
	t.Helper()
	if err := engine.Diff(got, want, engine.Tolerance{ULP: 2}); err != nil {
		t.Errorf("got %v: %v", got.Float64s(), err)
	}
}
