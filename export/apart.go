package export

import (
	"slices"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
)

// apart gives a copy of a tensor inside the model, so that runtimes can join the nodes
// around it as before. A copy serves every loss.
func (h *host) apart(t models.Tensor) (models.Tensor, error) {
	isOutput := slices.ContainsFunc(h.outputs, func(info *onnxpb.ValueInfoProto) bool { return info.GetName() == t.Name })
	alone := h.hidden.HiddenOutputs > 0 // there is nothing that a reader could change
	if isOutput || alone || h.producer(t.Name) == nil || h.isSafelyRead(t.Name) {
		return t, nil
	}
	if known, done := h.copies[t.Name]; done {
		t.Name = known
		return t, nil
	}
	name, err := h.edit.Recompute(t.Name, func(name string) string { return h.free("apart/" + name) })
	if err != nil {
		return t, err
	}
	h.copies[t.Name] = name
	if name != t.Name { // else it follows from weights alone
		t.Name = name
		h.edit.AddValueInfo(ops.ValueInfo(name, t.DType, t.Shape))
		h.declared[name] = t
	}
	return t, nil
}

// separate are operators that runtimes do not join, other than with the same result, to
// what makes their first operand.
var separate = map[string]bool{"Softmax": true, "LogSoftmax": true, "Sigmoid": true, "ArgMax": true, "Identity": true}

// isSafelyRead says that a further reader of a tensor changes nothing.
func (k *tensors) isSafelyRead(tensor string) bool {
	if k.readers == nil {
		k.readers = map[string][]string{}
		readersIn(k.model.Proto.GetGraph(), k.readers)
	}
	return !slices.ContainsFunc(k.readers[tensor], func(op string) bool { return !separate[op] })
}

// readersIn lists the operators that read each tensor, in subgraphs too.
func readersIn(g *onnxpb.GraphProto, readers map[string][]string) {
	for _, n := range g.GetNode() {
		op := n.GetOpType()
		if standardDomain(n.GetDomain()) != "" {
			op = n.GetDomain() + "." + op
		}
		for _, name := range n.GetInput() {
			readers[name] = append(readers[name], op)
		}
		for _, a := range n.GetAttribute() {
			for _, inner := range append(slices.Clone(a.GetGraphs()), a.GetG()) {
				readersIn(inner, readers)
			}
		}
	}
}
