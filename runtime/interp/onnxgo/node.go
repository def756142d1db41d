package onnxgo

import (
	"fmt"

	"github.com/onnxloss/onnxloss/runtime/engine"
	onnx "github.com/owulveryck/onnx-go"
	"gorgonia.org/tensor"
)

var (
	_ onnx.Namer       = (*node)(nil)
	_ onnx.DataCarrier = (*node)(nil)
)

// node is a tensor of the graph, as onnx-go sees it.
type node struct {
	id      int64
	name    string
	backend *Backend
	value   *value
	filled  bool // SetTensor has been called
}

// value is the tensor of all nodes that have one name. onnx-go makes a second
// node for an input that is also an output, and forgets the first.
type value struct {
	tensor engine.Tensor
	// missing is an optional input or output that a node leaves out.
	missing bool
	// made says that an operation computes the tensor.
	made bool
	// early says that the node's tensor was set only once, before the first
	// operation: it is an initializer, or the zeros that onnx-go declares inputs with.
	early bool
}

// ID tells nodes apart.
func (n *node) ID() int64 { return n.id }

// GetName gives the name of the tensor.
func (n *node) GetName() string { return n.name }

// SetName makes the node stand for the tensor with that name. The empty name
// stands for an optional input or output that is left out.
func (n *node) SetName(name string) {
	n.name = name
	if name == "" {
		n.value = &value{missing: true}
		return
	}
	known, again := n.backend.values[name]
	switch {
	case !again:
		known = &value{}
		n.backend.values[name] = known
	case len(n.backend.steps) == 0:
		n.backend.declared = max(n.backend.declared, n.id)
	}
	n.value = known
}

// SetTensor copies t into the node.
func (n *node) SetTensor(t tensor.Tensor) error {
	own, err := fromTensor(t)
	if err != nil {
		return fmt.Errorf("onnxgo: tensor %q: %w", n.name, err)
	}
	n.value.early = len(n.backend.steps) == 0 && !n.filled
	n.value.tensor, n.filled = own, true
	return nil
}

// GetTensor gives a copy of the tensor. It is nil where there is none yet, and
// where Gorgonia has no tensors of its kind: half types and tensors without elements.
func (n *node) GetTensor() tensor.Tensor {
	t, err := toTensor(n.value.tensor)
	if err != nil {
		return nil
	}
	return t
}

// set reports whether the node holds a tensor that can be computed with, other
// than the zeros that onnx-go declares an input with. It makes the nodes of
// initializers after those of all declared inputs and outputs.
func (n *node) set() bool {
	placeholder := n.value.early && n.id <= n.backend.declared
	return !n.value.tensor.IsZero() && !placeholder
}
