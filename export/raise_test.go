package export_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// oldHost is a classifier of opset 9 and IR version 3, where initializers are inputs
// too: x w, then some operator, then Softmax.
func oldHost(t *testing.T, middle *onnxpb.NodeProto) *models.Model {
	t.Helper()
	shape, err := ops.ParseShape("N,3")
	if err != nil {
		t.Fatal(err)
	}
	weights := engine.ToProto("w", engine.Must([]int{3, 3}, []float32{1, 2, -3, 4, -5, 6, -7, 8, 9}))
	return &models.Model{Proto: &onnxpb.ModelProto{
		IrVersion:   proto.Int64(3),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(9)}},
		Graph: &onnxpb.GraphProto{
			Name: proto.String("old"),
			Node: []*onnxpb.NodeProto{
				{OpType: proto.String("MatMul"), Input: []string{"x", "w"}, Output: []string{"h"}},
				middle,
				{OpType: proto.String("Softmax"), Input: []string{"m"}, Output: []string{"probabilities"}},
			},
			Initializer: []*onnxpb.TensorProto{weights},
			Input: []*onnxpb.ValueInfoProto{
				ops.ValueInfo("x", ops.Float32, shape),
				ops.ValueInfo("w", ops.Float32, ops.Shape{ops.Fixed(3), ops.Fixed(3)}),
			},
			Output: []*onnxpb.ValueInfoProto{ops.ValueInfo("probabilities", ops.Float32, shape)},
		},
	}}
}

// Losses are written from opset 9 on, and models older than that are raised to it.
func TestAttachRaisesWhatIsOlderThanLosses(t *testing.T) {
	host := oldHost(t, &onnxpb.NodeProto{OpType: proto.String("Relu"), Input: []string{"h"}, Output: []string{"m"}})
	host.Proto.OpsetImport[0].Version = proto.Int64(7)
	loss, params := find(t, "mse", nil)
	_, err := export.Attach(host, loss, params, export.AttachOptions{})
	if err == nil || !strings.Contains(err.Error(), "opset 7 is too old, losses need 9 or newer; ask for a newer one") {
		t.Errorf("got %v", err)
	}
	raised, err := export.Attach(host, loss, params, export.AttachOptions{Options: export.Options{Opset: 9}})
	if err != nil {
		t.Fatal(err)
	}
	checkDetach(t, raised, host)
}

func TestAttachRaisesTheOpsetAndNothingElse(t *testing.T) {
	host := oldHost(t, &onnxpb.NodeProto{OpType: proto.String("Relu"), Input: []string{"h"}, Output: []string{"m"}})
	loss, params := find(t, "mse", nil)
	x := engine.Must([]int{2, 3}, []float32{0.25, -1, 3, 0.5, 2, -0.125})
	inputs := map[string]engine.Tensor{"x": x, "target": x}
	for _, opset := range []int{11, 13, 17, ops.MaxOpset} {
		raised, err := export.Attach(host, loss, params, export.AttachOptions{Options: export.Options{Opset: opset}})
		if err != nil {
			t.Fatal(err)
		}
		if raised.Opset() != opset || raised.Proto.GetIrVersion() != 3 || host.Opset() != 9 {
			t.Errorf("the model is of opset %d and IR version %d, want %d and 3", raised.Opset(), raised.Proto.GetIrVersion(), opset)
		}
		if before := host.Proto.Graph.Node; !slices.Equal(raised.Proto.Graph.Node[:len(before)], before) {
			t.Errorf("opset %d: the model's nodes have changed", opset)
		}
		for _, e := range engines(t) {
			want := outputsOf(t, e, host, map[string]engine.Tensor{"x": x})["probabilities"]
			got := outputsOf(t, e, raised, inputs)
			if !bytes.Equal(got["probabilities"].Bytes(), want.Bytes()) || got["loss"].Len() != 1 {
				t.Errorf("opset %d, %s: outputs are %v, want %v and a loss", opset, e.Name(), got, want)
			}
		}
	}
}

func outputsOf(t *testing.T, e engine.Engine, m *models.Model, inputs map[string]engine.Tensor) map[string]engine.Tensor {
	t.Helper()
	raw, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if err := export.Check(raw); err != nil {
		t.Fatal(err)
	}
	session, err := e.Load(raw)
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

func TestAttachSaysWhatKeepsAModelInItsOpset(t *testing.T) {
	clip := &onnxpb.NodeProto{
		OpType: proto.String("Clip"), Name: proto.String("relu6"), Input: []string{"h"}, Output: []string{"m"},
		Attribute: []*onnxpb.AttributeProto{ops.FloatAttribute("min", 0), ops.FloatAttribute("max", 6)},
	}
	for _, test := range []struct {
		dtype ops.DType // of the output
		opset int
		says  []string
	}{
		{ops.Float32, 13, []string{
			`export: attach mse: models: raise opset 9 to 13: Clip (node "relu6"): since opset 11 min and max are inputs; export the model again with opset 13`,
		}},
		{ops.BFloat16, 0, []string{
			"export: attach mse: ", "the loss needs opset 13, which the model cannot be raised to", `Clip (node "relu6"): since opset 11 min and max are inputs`,
		}},
	} {
		host := oldHost(t, clip)
		host.Proto.Graph.Output[0].GetType().GetTensorType().ElemType = proto.Int32(int32(test.dtype))
		loss, params := find(t, "mse", nil)
		_, err := export.Attach(host, loss, params, export.AttachOptions{Options: export.Options{Opset: test.opset}})
		for _, message := range test.says {
			if err == nil || !strings.Contains(err.Error(), message) {
				t.Errorf("got  %v\nwant %s", err, message)
			}
		}
	}
}

// A model that imports no standard operators gets those of the loss, and with them what
// its functions are made of.
func TestAttachGivesNoOpsetThatFunctionsContradict(t *testing.T) {
	host := oldHost(t, nil)
	graph := host.Proto.Graph
	graph.Node = []*onnxpb.NodeProto{{OpType: proto.String("Classify"), Domain: proto.String("test"), Input: []string{"x"}, Output: []string{"probabilities"}}}
	host.Proto.IrVersion = proto.Int64(8)
	host.Proto.OpsetImport = []*onnxpb.OperatorSetIdProto{{Domain: proto.String("test"), Version: proto.Int64(1)}}
	host.Proto.Functions = []*onnxpb.FunctionProto{{
		Domain: proto.String("test"), Name: proto.String("Classify"), Input: []string{"a"}, Output: []string{"b"},
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(12)}},
		Node:        []*onnxpb.NodeProto{{OpType: proto.String("Softmax"), Input: []string{"a"}, Output: []string{"b"}, Attribute: []*onnxpb.AttributeProto{ops.IntAttribute("axis", 0)}}},
	}}
	loss, params := find(t, "mse", nil)
	_, err := export.Attach(host, loss, params, export.AttachOptions{})
	if want := "models: import opset 17: Softmax (function test.Classify): it is not the same in opset 12"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if _, err := export.Attach(host, loss, params, export.AttachOptions{Options: export.Options{Opset: 12}}); err != nil {
		t.Error(err)
	}
}
