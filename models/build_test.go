package models_test

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
)

// shape reads "N,3,8,8".
func shape(t testing.TB, text string) ops.Shape {
	t.Helper()
	s, err := ops.ParseShape(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// node makes a node out of "Op in1 in2 -> out1 out2"; "_" is an operand that is
// left out.
func node(text string, attributes ...*onnxpb.AttributeProto) *onnxpb.NodeProto {
	operands, results, _ := strings.Cut(text, "->")
	fields := strings.Fields(operands)
	for i, name := range fields {
		if name == "_" {
			fields[i] = ""
		}
	}
	return &onnxpb.NodeProto{OpType: proto.String(fields[0]), Input: fields[1:], Output: strings.Fields(results), Attribute: attributes}
}

func graphAttribute(name string, g *onnxpb.GraphProto) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: &name, Type: onnxpb.AttributeProto_GRAPH.Enum(), G: g}
}

// initializer encodes a tensor.
func initializer[T engine.Element](name string, shape []int, data ...T) *onnxpb.TensorProto {
	return engine.ToProto(name, engine.Must(shape, data))
}

// network is a model of opset 17 with the float32 input x of shape [N,2] and the
// output y.
func network(nodes ...*onnxpb.NodeProto) *onnxpb.ModelProto {
	return &onnxpb.ModelProto{
		IrVersion:   proto.Int64(8),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(17)}},
		Graph: &onnxpb.GraphProto{
			Name:   proto.String("network"),
			Node:   nodes,
			Input:  []*onnxpb.ValueInfoProto{ops.ValueInfo("x", ops.Float32, ops.Shape{ops.Symbolic("N"), ops.Fixed(2)})},
			Output: []*onnxpb.ValueInfoProto{ops.ValueInfo("y", ops.Float32, nil)},
		},
	}
}

func open(t testing.TB, path string) *models.Model {
	t.Helper()
	m, err := models.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// run proves that a model is valid, and runs it.
func run(t testing.TB, m *models.Model, inputs map[string]engine.Tensor) map[string]engine.Tensor {
	t.Helper()
	whole := *m
	if err := whole.LoadExternal(); err != nil {
		t.Fatal(err)
	}
	data, err := whole.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if err := export.Check(data); err != nil {
		t.Fatal(err)
	}
	session, err := interp.New().Load(data)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	outputs, err := session.Run(inputs)
	if err != nil {
		t.Fatal(err)
	}
	return outputs
}

// wantSame fails unless two tensors are the same bit for bit.
func wantSame(t testing.TB, name string, got, want engine.Tensor) {
	t.Helper()
	if got.String() != want.String() || got.Len() == 0 || !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("%s is %s, want %s, or its numbers differ", name, got, want)
	}
}

// ramp fills a tensor with numbers that differ.
func ramp(shape []int, start, step float32) engine.Tensor {
	n, _ := engine.Count(shape)
	data := make([]float32, n)
	for i := range data {
		data[i] = start + step*float32(i%251)
	}
	return engine.Must(shape, data)
}

// everywhere gives a model that has all its layers as outputs.
func everywhere(t testing.TB, m *models.Model) *models.Model {
	t.Helper()
	layers, err := m.Layers()
	if err != nil {
		t.Fatal(err)
	}
	all := proto.CloneOf(m.Proto)
	all.Graph.Output = nil
	for _, l := range layers {
		all.Graph.Output = append(all.Graph.Output, ops.ValueInfo(l.Name, l.DType, l.Shape))
	}
	return &models.Model{Proto: all, Path: m.Path}
}

func outputNames(m *models.Model) []string {
	var names []string
	for _, out := range m.Outputs() {
		names = append(names, out.Name)
	}
	return names
}

func inputNames(m *models.Model) []string {
	var names []string
	for _, in := range m.Inputs() {
		names = append(names, in.Name)
	}
	return names
}

func nodeOps(m *models.Model) string {
	var list []string
	for _, n := range m.Proto.Graph.Node {
		list = append(list, n.GetOpType())
	}
	return strings.Join(list, " ")
}
