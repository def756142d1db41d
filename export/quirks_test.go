package export_test

import (
	"testing"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
)

// ONNX Runtime 1.23 joins a Transpose that only a MatMul reads with it, and then
// refuses the model for want of a float64 kernel.
func TestFloat64GramMatricesDoNotMultiplyByATransposeDirectly(t *testing.T) {
	for _, name := range []string{"gram-matrix", "style"} {
		loss, params := find(t, name, nil)
		model, err := export.Model(loss, params, export.Options{DType: ops.Float64})
		if err != nil {
			t.Fatal(err)
		}
		producer, products := producers(model.Proto.Graph.Node), 0
		for _, n := range model.Proto.Graph.Node {
			if n.GetOpType() != "MatMul" {
				continue
			}
			products++
			for _, operand := range n.Input {
				if producer[operand].GetOpType() == "Transpose" {
					t.Errorf("%s: %s multiplies by the Transpose %s", name, n.GetName(), operand)
				}
			}
		}
		if products == 0 {
			t.Errorf("%s: no MatMul", name)
		}
	}
}

func producers(nodes []*onnxpb.NodeProto) map[string]*onnxpb.NodeProto {
	producer := map[string]*onnxpb.NodeProto{}
	for _, n := range nodes {
		for _, out := range n.Output {
			producer[out] = n
		}
	}
	return producer
}

// ONNX's reference evaluator takes a negative axis of GatherElements for another one.
func TestGatherElementsCountsItsAxisFromTheStartWhereTheRankIsKnown(t *testing.T) {
	loss, params := find(t, "iou-balanced-softmax", map[string]any{"class_axis": "last"})
	model, err := export.Model(loss, params, export.Options{Reduction: losses.None})
	if err != nil {
		t.Fatal(err)
	}
	gathers := 0
	for _, n := range model.Proto.Graph.Node {
		if n.GetOpType() != "GatherElements" {
			continue
		}
		gathers++
		for _, a := range n.Attribute {
			if a.GetName() == "axis" && a.GetI() < 0 {
				t.Errorf("%s: the axis is %d", n.GetName(), a.GetI())
			}
		}
	}
	if gathers == 0 {
		t.Error("no GatherElements")
	}
}
