package models

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/internal/spelling"
)

// Layer is a tensor that a network computes, and what computes it.
type Layer struct {
	Tensor
	Op   string // the operator, such as "Relu"
	Node string // the node's name, often ""
}

// Layers lists the tensors that can be the features of a loss, in the order in
// which they are computed: those of the main graph that a node computes from an
// input of the model, that are floating-point, and that are no scalars or vectors.
// Types and shapes are those that the file gives, completed by what follows from
// the operators; what is not certain stays ops.Undefined or unknown. Where a type
// is not known, the tensor is listed. A model without any such tensor is an error.
func (m *Model) Layers() ([]Layer, error) {
	graph := m.Proto.GetGraph()
	facts := infer(m.Proto)
	var inputs []string
	for _, in := range m.Inputs() {
		inputs = append(inputs, in.Name)
	}
	computed := reach(graph, inputs)
	var layers []Layer
	for _, n := range graph.GetNode() {
		for _, name := range n.GetOutput() {
			if f := facts[name]; computed[name] && f.canBeFeature() {
				layers = append(layers, Layer{Tensor{Name: name, DType: f.dtype, Shape: f.shape}, n.GetOpType(), n.GetName()})
			}
		}
	}
	if len(layers) == 0 {
		return nil, errors.New("models: layers: no node computes a floating-point tensor from an input of the model")
	}
	return layers, nil
}

func (f fact) canBeFeature() bool {
	return (f.dtype == 0 || f.dtype.IsFloat()) && (!f.shape.Known() || len(f.shape) >= 2)
}

// producers maps the tensors that nodes compute to the nodes.
func producers(g *onnxpb.GraphProto) map[string]*onnxpb.NodeProto {
	made := map[string]*onnxpb.NodeProto{}
	for _, n := range g.GetNode() {
		for _, name := range n.GetOutput() {
			if name != "" {
				made[name] = n
			}
		}
	}
	return made
}

// noSuch says which tensors could have been meant by a name that no tensor has.
func (m *Model) noSuch(name string) error {
	names := make([]string, 0)
	if layers, err := m.Layers(); err == nil {
		for _, l := range layers {
			names = append(names, l.Name)
		}
	}
	if near := spelling.Closest(name, names); near != "" {
		return fmt.Errorf("there is no tensor %q; did you mean %q?", name, near)
	}
	if len(names) == 0 {
		return fmt.Errorf("there is no tensor %q", name)
	}
	return fmt.Errorf("there is no tensor %q; the layers are %s", name, sample(names))
}

// sample lists names, the middle left out where they are many.
func sample(names []string) string {
	const most = 12
	if len(names) > most {
		names = slices.Concat(names[:most/2], []string{"..."}, names[len(names)-most/2:])
	}
	return strings.Join(names, ", ")
}
