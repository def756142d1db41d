package export

import (
	"slices"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
)

// apart gives a copy of a tensor, where that is one inside the model, so that runtimes
// can join the nodes around it as before.
func (h *host) apart(t models.Tensor) (models.Tensor, error) {
	isOutput := slices.ContainsFunc(h.outputs, func(info *onnxpb.ValueInfoProto) bool { return info.GetName() == t.Name })
	isMade := slices.ContainsFunc(h.edit.Proto().GetGraph().GetNode(), func(n *onnxpb.NodeProto) bool { return slices.Contains(n.GetOutput(), t.Name) })
	if isOutput || !isMade {
		return t, nil
	}
	name, err := h.edit.Recompute(t.Name, func(name string) string { return h.free("apart/" + name) })
	if err != nil || name == t.Name { // it follows from weights alone
		return t, err
	}
	t.Name = name
	info := ops.ValueInfo(name, t.DType, t.Shape)
	h.edit.AddValueInfo(info)
	h.typeOf[name] = info
	return t, nil
}
