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
	// Where the loss is alone there is nothing that a reader could change.
	if h.isOutput(t.Name) || h.alone || h.producer(t.Name) == nil || h.isSafelyRead(t.Name) {
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

// isSafelyRead says that a further reader of a tensor changes nothing: between it and
// the model's outputs are separate operators alone. Behind others, and behind an
// Identity, which runtimes take out, may be what they join with the tensor's maker.
func (k *tensors) isSafelyRead(tensor string) bool {
	if k.readers == nil {
		k.readers = map[string][]*onnxpb.NodeProto{}
		readersIn(k.model.Proto.GetGraph(), k.readers)
	}
	todo, seen := []string{tensor}, map[string]bool{}
	for len(todo) > 0 {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[name] || len(k.readers[name]) == 0 { // a broken graph, or a dead end
			return false
		}
		seen[name] = true
		for _, n := range k.readers[name] {
			if standardDomain(n.GetDomain()) != "" || !separate[n.GetOpType()] {
				return false
			}
			todo = append(todo, slices.DeleteFunc(slices.Clone(n.GetOutput()), k.isOutput)...)
		}
	}
	return true
}

func (k *tensors) isOutput(name string) bool {
	return slices.ContainsFunc(k.outputs, func(info *onnxpb.ValueInfoProto) bool { return info.GetName() == name })
}

// readersIn lists the nodes that read each tensor, in subgraphs too.
func readersIn(g *onnxpb.GraphProto, readers map[string][]*onnxpb.NodeProto) {
	for _, n := range g.GetNode() {
		for _, name := range n.GetInput() {
			readers[name] = append(readers[name], n)
		}
		for _, a := range n.GetAttribute() {
			for _, inner := range append(slices.Clone(a.GetGraphs()), a.GetG()) {
				readersIn(inner, readers)
			}
		}
	}
}
