package nodetests_test

import (
	"testing"

	"github.com/onnxloss/onnxloss/internal/nodetests"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

func TestCasesOfTheArchive(t *testing.T) {
	cases := nodetests.Cases(t)
	if len(cases) != 1653 {
		t.Errorf("got %d cases, want 1653", len(cases))
	}
	for _, c := range cases {
		if c.Name != "relu" {
			continue
		}
		if len(c.Inputs) != 1 || len(c.Outputs) != 1 || c.Graph.GetNode()[0].GetOpType() != "Relu" {
			t.Fatalf("relu decoded as %d inputs, %d outputs, nodes %v", len(c.Inputs), len(c.Outputs), c.Graph.GetNode())
		}
		x, err := engine.FromProto(c.Inputs[0])
		if err != nil || x.String() != "float32[3,4,5]" || c.Inputs[0].GetName() != "x" {
			t.Errorf("relu's input is %q %s (%v), want x float32[3,4,5]", c.Inputs[0].GetName(), x, err)
		}
		return
	}
	t.Error("there is no case relu")
}
