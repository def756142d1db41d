package export

import (
	"fmt"

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
	a := activation{direct: true}
	for range k.model.Proto.GetGraph().GetNode() { // a broken graph may have a cycle
		n := k.producer(tensor)
		if n == nil || standardDomain(n.GetDomain()) != "" || len(n.GetInput()) == 0 {
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
