package export

import (
	"fmt"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/losses"
)

// activation is the node that makes probabilities of logits.
type activation struct {
	op    string // "" for none
	reads string // the tensor of logits
	// direct says that nothing between the node and the tensor changes its layout.
	direct bool
}

// passing are the operators that give the numbers that they are given, and whether
// in the same layout.
var passing = map[string]bool{
	"Identity": true, "Cast": true,
	"Reshape": false, "Flatten": false, "Squeeze": false, "Unsqueeze": false, "Transpose": false,
}

// activationOf finds the Softmax or Sigmoid that a tensor comes out of.
func (k *tensors) activationOf(tensor string) activation {
	if k.producers == nil {
		k.producers = producersOf(k.model.Proto.GetGraph())
	}
	a := activation{direct: true}
	for range len(k.producers) { // a broken graph may have a cycle
		n := k.producers[tensor]
		if n == nil || !isStandard(n.GetDomain()) || len(n.GetInput()) == 0 {
			return activation{}
		}
		tensor = n.GetInput()[0]
		if op := n.GetOpType(); op == "Softmax" || op == "Sigmoid" {
			a.op, a.reads = op, tensor
			return a
		}
		keepsLayout, passes := passing[n.GetOpType()]
		if !passes {
			return activation{}
		}
		a.direct = a.direct && keepsLayout
	}
	return activation{}
}

func producersOf(g *onnxpb.GraphProto) map[string]*onnxpb.NodeProto {
	made := map[string]*onnxpb.NodeProto{}
	for _, n := range g.GetNode() {
		for _, name := range n.GetOutput() {
			made[name] = n
		}
	}
	delete(made, "")
	return made
}

func isStandard(domain string) bool { return domain == "" || domain == "ai.onnx" }

// checkActivation refuses probabilities where logits, or logarithms, are wanted:
// the loss would be finite and wrong.
func (h *host) checkActivation(in losses.Input, from source) error {
	if in.Domain != losses.Logit && in.Domain != losses.LogDistribution || in.Role != losses.Prediction || from.asIs() {
		return nil
	}
	a := h.activationOf(from.tensor)
	if a.op == "" {
		return nil
	}
	meant := fmt.Sprintf("say %s=\"%s | as-is\" if these numbers are meant", in.Name, from.tensor)
	if in.Domain == losses.LogDistribution {
		return fmt.Errorf("%s cannot be bound to %q: a %s makes it, and the loss needs logarithms of probabilities, as LogSoftmax gives; attach a loss that takes logits to what the %s reads, %q, or %s", in.Name, from.tensor, a.op, a.op, a.reads, meant)
	}
	return fmt.Errorf("%s cannot be bound to %q: a %s makes it, and the loss needs logits, which cannot be had back from probabilities that have rounded to 0 or 1; bind what the %s reads, %q, or %s", in.Name, from.tensor, a.op, a.op, a.reads, meant)
}
