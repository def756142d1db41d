package models

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/onnxloss/onnxloss/internal/brief"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
)

// Cut gives the network that ends at the named layers, as outputs in this order.
// Only the nodes, initializers, inputs and functions that they need stay, and every
// tensor keeps its name. The model itself is left as it is; the numbers of its
// tensors are shared, not copied. What the file says about itself as a whole, such
// as which loss it computes, is left out.
func (m *Model) Cut(layers ...string) (*Model, error) {
	cut, err := m.cut(layers)
	if err != nil {
		return nil, fmt.Errorf("models: cut: %w", brief.Error(err))
	}
	return &Model{Proto: cut, Path: m.Path}, nil
}

func (m *Model) cut(layers []string) (*onnxpb.ModelProto, error) {
	if len(layers) == 0 {
		return nil, errors.New("no layer is named; name at least one tensor that is to be an output")
	}
	outputs, err := m.outputs(layers)
	if err != nil {
		return nil, err
	}
	needed, nodes := needs(m.Proto.GetGraph(), layers)
	cut := copyOf(m.about())
	cut.Graph = copyOf(part(m.Proto.GetGraph(), needed, nodes))
	cut.Graph.Output = outputs
	cut.Graph.ValueInfo = only(cut.Graph.ValueInfo, func(v *onnxpb.ValueInfoProto) bool { return !slices.Contains(layers, v.GetName()) })
	// An annotation may name scales that no node reads.
	cut.Graph.QuantizationAnnotation = only(cut.Graph.QuantizationAnnotation, func(a *onnxpb.TensorAnnotation) bool {
		return !slices.ContainsFunc(a.GetQuantParameterTensorNames(), func(e *onnxpb.StringStringEntryProto) bool { return !needed[e.GetValue()] })
	})
	keepUsed(cut, m.Proto)
	return cut, nil
}

// outputs describes layers as the outputs of a model.
func (m *Model) outputs(layers []string) ([]*onnxpb.ValueInfoProto, error) {
	facts, made := infer(m.Proto), producers(m.Proto.GetGraph())
	var outputs []*onnxpb.ValueInfoProto
	for i, name := range layers {
		if slices.Contains(layers[:i], name) {
			return nil, fmt.Errorf("%q is named twice", name)
		}
		if made[name] == nil {
			if _, ok := m.Tensor(name); ok {
				return nil, fmt.Errorf("%q is an input or an initializer of the network; name a tensor that a node computes", name)
			}
			return nil, m.noSuch(name)
		}
		f := facts[name]
		if f.dtype == ops.Undefined {
			return nil, fmt.Errorf("the element type of %q, which operator %s makes, is not known; run ONNX shape inference on the model first", name, made[name].GetOpType())
		}
		outputs = append(outputs, ops.ValueInfo(name, f.dtype, f.shape))
	}
	return outputs, nil
}

// needs gives the tensors that others are computed from, and the nodes that do it.
func needs(g *onnxpb.GraphProto, names []string) (map[string]bool, map[*onnxpb.NodeProto]bool) {
	made := producers(g)
	needed, nodes := map[string]bool{}, map[*onnxpb.NodeProto]bool{}
	for open := slices.Clone(names); len(open) > 0; {
		name := open[len(open)-1]
		open = open[:len(open)-1]
		n := made[name]
		needed[name] = true
		if n != nil && !nodes[n] {
			nodes[n] = true
			open = append(open, reads(n)...)
		}
	}
	return needed, nodes
}

// about is a model's header: all but its graph and what depends on that.
func (m *Model) about() *onnxpb.ModelProto {
	p := m.Proto
	header := &onnxpb.ModelProto{
		IrVersion: p.IrVersion, ProducerName: p.ProducerName, ProducerVersion: p.ProducerVersion,
		Domain: p.Domain, ModelVersion: p.ModelVersion, DocString: p.DocString,
	}
	for _, entry := range p.GetMetadataProps() {
		if !strings.HasPrefix(entry.GetKey(), "onnxloss.") {
			header.MetadataProps = append(header.MetadataProps, entry)
		}
	}
	return header
}

// part is the chosen nodes of a graph and what belongs to the chosen tensors,
// without outputs.
func part(g *onnxpb.GraphProto, tensors map[string]bool, nodes map[*onnxpb.NodeProto]bool) *onnxpb.GraphProto {
	made := map[string]bool{}
	p := &onnxpb.GraphProto{Name: g.Name, DocString: g.DocString, MetadataProps: g.MetadataProps}
	p.Node = only(g.GetNode(), func(n *onnxpb.NodeProto) bool { return nodes[n] })
	for _, n := range p.Node {
		for _, name := range n.GetOutput() {
			made[name] = true
		}
	}
	p.Input = only(g.GetInput(), func(in *onnxpb.ValueInfoProto) bool { return tensors[in.GetName()] })
	p.Initializer = only(g.GetInitializer(), func(t *onnxpb.TensorProto) bool { return tensors[t.GetName()] })
	p.SparseInitializer = only(g.GetSparseInitializer(), func(t *onnxpb.SparseTensorProto) bool { return tensors[t.GetValues().GetName()] })
	p.ValueInfo = only(g.GetValueInfo(), func(v *onnxpb.ValueInfoProto) bool { return made[v.GetName()] || tensors[v.GetName()] })
	p.QuantizationAnnotation = only(g.GetQuantizationAnnotation(), func(a *onnxpb.TensorAnnotation) bool { return tensors[a.GetTensorName()] })
	return p
}

func only[T any](list []T, keep func(T) bool) []T {
	var kept []T
	for _, element := range list {
		if keep(element) {
			kept = append(kept, element)
		}
	}
	return kept
}

// keepUsed gives a model the functions and operator sets of another that its graph
// uses.
func keepUsed(m, from *onnxpb.ModelProto) {
	needed := called(m.Graph.GetNode(), functionsOf(from))
	domains := map[string]bool{"": true}
	use := func(n *onnxpb.NodeProto) { domains[standard(n.GetDomain())] = true }
	eachNode(m.Graph.GetNode(), use)
	for _, f := range from.GetFunctions() {
		if needed[keyOf(f)] {
			m.Functions = append(m.Functions, copyOf(f))
			domains[standard(f.GetDomain())] = true
			eachNode(f.GetNode(), use)
		}
	}
	for _, opset := range from.GetOpsetImport() {
		if domains[standard(opset.GetDomain())] {
			m.OpsetImport = append(m.OpsetImport, copyOf(opset))
		}
	}
}
