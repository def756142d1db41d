package onnxgo

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
	onnx "github.com/owulveryck/onnx-go"
	"gonum.org/v1/gonum/graph"
	"gorgonia.org/tensor"
)

// step is one operation with the nodes it reads and makes.
type step struct {
	name            string
	operator        *interp.Operator
	inputs, outputs []*node
}

// ApplyOperation makes the outputs the results of an operation on the nodes that
// the outputs have edges to; the weights number the inputs from 0. What package
// interp does not have is an *onnx.ErrNotImplemented.
func (b *Backend) ApplyOperation(op onnx.Operation, outputs ...graph.Node) error {
	if b.err != nil {
		return b.err
	}
	s := step{name: op.Name}
	var err error
	if s.outputs, err = b.outputsOf(outputs); err != nil {
		return fmt.Errorf("onnxgo: %s: %w", op.Name, err)
	}
	source := slices.IndexFunc(s.outputs, func(n *node) bool { return !n.value.missing })
	if source < 0 {
		return nil // nobody can read what it makes
	}
	if s.inputs, err = b.inputsOf(s.outputs[source]); err != nil {
		return fmt.Errorf("onnxgo: %s: %w", s, err)
	}
	if op.Name == "Constant" {
		s.inputs = nil // onnx-go gives every operation an input
	}
	attributes, err := toAttributes(op)
	if err != nil {
		return err
	}
	if s.operator, err = interp.NewOperator(op.Name, b.opset, len(outputs), attributes); err != nil {
		return asNotImplemented(op.Name, err)
	}
	b.add(s)
	return nil
}

func (b *Backend) outputsOf(nodes []graph.Node) ([]*node, error) {
	if len(nodes) == 0 {
		return nil, errors.New("it has no outputs")
	}
	var outputs []*node
	for i, n := range nodes {
		if n == nil || b.nodes[n.ID()] == nil {
			return nil, fmt.Errorf("output %d is not a node of this backend", i)
		}
		own := b.nodes[n.ID()]
		if own.value.made || !own.value.missing && slices.Contains(outputs, own) {
			return nil, fmt.Errorf("output %d, %q, has been made already", i, own.name)
		}
		outputs = append(outputs, own)
	}
	return outputs, nil
}

// inputsOf orders the inputs of the operation that makes n.
func (b *Backend) inputsOf(n *node) ([]*node, error) {
	edges := b.edges[n.id]
	inputs := make([]*node, len(edges))
	for _, e := range edges {
		i := int(e.Weight())
		if float64(i) != e.Weight() || i < 0 || i >= len(edges) || inputs[i] != nil {
			return nil, fmt.Errorf("the weights of its %d edges must number its inputs from 0; %v is out of range or there twice", len(edges), e.Weight())
		}
		inputs[i] = b.nodes[e.To().ID()]
	}
	return inputs, nil
}

func (b *Backend) add(s step) {
	for _, n := range s.outputs {
		if n.value.missing {
			continue
		}
		if !n.value.tensor.IsZero() {
			b.declared = max(b.declared, n.id)
		}
		*n.value = value{made: true}
	}
	b.steps = append(b.steps, s)
}

// asNotImplemented turns what is not supported into onnx-go's error for that,
// unwrapped, because its users ask for its type.
func asNotImplemented(operator string, err error) error {
	if errors.Is(err, engine.ErrUnsupported) {
		return &onnx.ErrNotImplemented{Operator: operator, Message: err.Error()}
	}
	return fmt.Errorf("onnxgo: %w", err)
}

// toAttributes turns attributes as onnx-go decodes them back into ONNX's.
func toAttributes(op onnx.Operation) ([]*onnxpb.AttributeProto, error) {
	var list []*onnxpb.AttributeProto
	for _, name := range slices.Sorted(maps.Keys(op.Attributes)) {
		a := &onnxpb.AttributeProto{Name: &name}
		if err := setAttribute(a, op.Attributes[name]); err != nil {
			return nil, &onnx.ErrNotImplemented{
				Operator: op.Name, AttributeName: name, AttributeValue: op.Attributes[name], Message: err.Error(),
			}
		}
		list = append(list, a)
	}
	return list, nil
}

func setAttribute(a *onnxpb.AttributeProto, x any) error {
	switch x := x.(type) {
	case float32:
		a.Type, a.F = onnxpb.AttributeProto_FLOAT.Enum(), &x
	case int64:
		a.Type, a.I = onnxpb.AttributeProto_INT.Enum(), &x
	case string:
		a.Type, a.S = onnxpb.AttributeProto_STRING.Enum(), []byte(x)
	case []float32:
		a.Type, a.Floats = onnxpb.AttributeProto_FLOATS.Enum(), x
	case []int64:
		a.Type, a.Ints = onnxpb.AttributeProto_INTS.Enum(), x
	case []string:
		a.Type = onnxpb.AttributeProto_STRINGS.Enum()
		for _, s := range x {
			a.Strings = append(a.Strings, []byte(s))
		}
	case tensor.Tensor:
		t, err := fromTensor(x)
		if err != nil {
			return err
		}
		a.Type, a.T = onnxpb.AttributeProto_TENSOR.Enum(), engine.ToProto("", t)
	case struct{}:
		return errors.New("the model does not say of which type it is")
	default:
		return fmt.Errorf("onnxgo does not take a %T", x)
	}
	return nil
}

// String names a step for errors by what it makes: onnx-go hides the node's name.
func (s step) String() string {
	for _, n := range s.outputs {
		if n.name != "" {
			return fmt.Sprintf("%s making %q", s.name, n.name)
		}
	}
	return s.name
}

// Run computes all nodes that operations make. It may be called again after inputs
// were set anew. An input that was never set is an error; a kind of tensor that an
// operator does not have is an *onnx.ErrNotImplemented.
func (b *Backend) Run() error {
	if b.err != nil {
		return b.err
	}
	for _, s := range b.steps {
		for _, n := range s.outputs {
			n.value.tensor = engine.Tensor{}
		}
	}
	for _, s := range b.steps {
		if err := s.run(); err != nil {
			return err
		}
	}
	return nil
}

func (s step) run() error {
	in := make([]engine.Tensor, len(s.inputs))
	for i, n := range s.inputs {
		if n.value.missing {
			continue
		}
		if !n.set() {
			return fmt.Errorf("onnxgo: %s: input %q holds no tensor; set it before Run", s, n.name)
		}
		in[i] = n.value.tensor
	}
	out, err := s.operator.Apply(in)
	if err != nil {
		return asNotImplemented(s.name, fmt.Errorf("%s: %w", s, err))
	}
	for i, n := range s.outputs {
		if n.value.missing {
			continue
		}
		if i >= len(out) {
			return fmt.Errorf("onnxgo: %s: it made %d outputs, the node lists %d", s, len(out), len(s.outputs))
		}
		n.value.tensor = out[i]
	}
	return nil
}
