package interp

import (
	"fmt"
	"slices"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
)

// functionKey identifies a model-local function.
type functionKey struct{ domain, name, overload string }

func (k functionKey) String() string {
	s := k.domain + "::" + k.name
	if k.overload != "" {
		s += ":" + k.overload
	}
	return s
}

func indexFunctions(list []*onnxpb.FunctionProto) (map[functionKey]*onnxpb.FunctionProto, error) {
	functions := map[functionKey]*onnxpb.FunctionProto{}
	for _, f := range list {
		key := functionKey{standardDomain(f.GetDomain()), f.GetName(), f.GetOverload()}
		if functions[key] != nil {
			return nil, fmt.Errorf("function %s is defined twice", key)
		}
		functions[key] = f
	}
	return functions, nil
}

// boundAttributes replaces references to attributes of the function being
// expanded by what they are bound to. An attribute that the caller did not give
// and that has no default is left out, as the standard says.
func boundAttributes(list []*onnxpb.AttributeProto, env environment) ([]*onnxpb.AttributeProto, error) {
	var bound []*onnxpb.AttributeProto
	for _, a := range list {
		reference := a.GetRefAttrName()
		if reference == "" {
			bound = append(bound, a)
			continue
		}
		if env.bindings == nil {
			return nil, fmt.Errorf("attribute %q refers to %q, but the node is in no function", a.GetName(), reference)
		}
		value, declared := env.bindings[reference]
		if !declared {
			return nil, fmt.Errorf("attribute %q refers to %q, which the function does not declare", a.GetName(), reference)
		}
		if value != nil {
			bound = append(bound, renamed(value, a.GetName()))
		}
	}
	return bound, nil
}

func renamed(a *onnxpb.AttributeProto, name string) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{
		Name: &name, Type: a.Type,
		F: a.F, I: a.I, S: a.S, T: a.T, G: a.G,
		Floats: a.Floats, Ints: a.Ints, Strings: a.Strings, Tensors: a.Tensors, Graphs: a.Graphs,
		Tp: a.Tp, TypeProtos: a.TypeProtos, SparseTensor: a.SparseTensor, SparseTensors: a.SparseTensors,
	}
}

// bind says what each attribute of a function stands for in one call: nil where
// it was not given and has no default.
func bind(f *onnxpb.FunctionProto, given []*onnxpb.AttributeProto) (map[string]*onnxpb.AttributeProto, error) {
	bindings := map[string]*onnxpb.AttributeProto{}
	for _, name := range f.GetAttribute() {
		bindings[name] = nil
	}
	for _, a := range f.GetAttributeProto() {
		bindings[a.GetName()] = a
	}
	for _, a := range given {
		if _, declared := bindings[a.GetName()]; !declared {
			return nil, fmt.Errorf("the function has no attribute %q", a.GetName())
		}
		bindings[a.GetName()] = a
	}
	return bindings, nil
}

// call expands a function into the steps of its body.
func (l *loader) call(f *onnxpb.FunctionProto, key functionKey, n *onnxpb.NodeProto, inputs []int, given []*onnxpb.AttributeProto, env environment) ([]step, error) {
	if slices.Contains(env.calls, key) {
		return nil, fmt.Errorf("function %s calls itself", key)
	}
	if len(inputs) > len(f.GetInput()) || len(n.GetOutput()) > len(f.GetOutput()) {
		return nil, fmt.Errorf("the call has %d inputs and %d outputs, function %s has %d and %d",
			len(inputs), len(n.GetOutput()), key, len(f.GetInput()), len(f.GetOutput()))
	}
	if len(env.calls) == maxDepth {
		return nil, fmt.Errorf("functions call each other more than %d deep", maxDepth)
	}
	if err := l.expand(len(f.GetInput()) + len(f.GetOutput()) + len(f.GetAttribute()) + len(f.GetAttributeProto()) + len(f.GetOpsetImport())); err != nil {
		return nil, err
	}
	bindings, err := bind(f, given)
	if err != nil {
		return nil, err
	}
	opsets, err := opsetImports(f.GetOpsetImport())
	if err != nil {
		return nil, err
	}
	body := environment{&scope{slots: map[string]int{}}, opsets, bindings, append(slices.Clone(env.calls), key), env.call, env.depth}
	for i, name := range f.GetInput() {
		slot := absent
		if i < len(inputs) {
			slot = inputs[i]
		}
		if err := body.bind(name, slot); err != nil {
			return nil, err
		}
	}
	steps, err := l.nodes(f.GetNode(), body)
	if err != nil {
		return nil, err
	}
	return steps, bindOutputs(f, n, body.scope, env.scope)
}

// bindOutputs makes the names of a call's outputs stand for the body's values.
func bindOutputs(f *onnxpb.FunctionProto, n *onnxpb.NodeProto, body, caller *scope) error {
	for i, name := range n.GetOutput() {
		if name == "" {
			continue
		}
		slot, ok := body.find(f.GetOutput()[i])
		if !ok || slot == absent {
			return fmt.Errorf("the function does not make its output %q", f.GetOutput()[i])
		}
		if err := caller.bind(name, slot); err != nil {
			return err
		}
	}
	return nil
}
