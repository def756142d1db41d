package export

import (
	"slices"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
)

// apart gives an operand a copy of its tensor, where that is one inside the model,
// so that runtimes can join the nodes around it as before.
func (h *host) apart(o operand) (operand, error) {
	graph := h.edit.Proto().GetGraph()
	isOutput := slices.ContainsFunc(h.outputs, func(info *onnxpb.ValueInfoProto) bool { return info.GetName() == o.tensor })
	isMade := slices.ContainsFunc(graph.GetNode(), func(n *onnxpb.NodeProto) bool { return slices.Contains(n.GetOutput(), o.tensor) })
	if isOutput || !isMade {
		return o, nil
	}
	tensor, err := h.edit.Recompute(o.tensor, func(name string) string { return h.free("apart/" + name) })
	if err != nil {
		return o, err
	}
	if tensor == o.tensor { // it follows from weights alone
		return o, nil
	}
	info := ops.ValueInfo(tensor, o.dtype, o.shape)
	h.edit.AddValueInfo(info)
	h.typeOf[tensor] = info
	o.tensor = tensor
	return o, nil
}
