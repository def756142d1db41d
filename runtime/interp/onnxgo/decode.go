package onnxgo

import (
	"fmt"
	"slices"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
	onnx "github.com/owulveryck/onnx-go"
	"google.golang.org/protobuf/proto"
	"gorgonia.org/tensor"
)

// Decode has onnx-go decode a serialised ModelProto into a backend of the model's
// opset. Constants go to the backend directly, so that they may be of types and
// shapes that onnx-go cannot read. It refuses what onnx-go would drop, and returns
// an error where onnx-go panics.
func Decode(model []byte) (*onnx.Model, *Backend, error) {
	m := &onnxpb.ModelProto{}
	if err := proto.Unmarshal(model, m); err != nil {
		return nil, nil, fmt.Errorf("onnxgo: not an ONNX model: %w", err)
	}
	opset, err := readable(m)
	if err != nil {
		return nil, nil, fmt.Errorf("onnxgo: %w", err)
	}
	constants, err := takeConstants(m.GetGraph(), opset)
	if err != nil {
		return nil, nil, fmt.Errorf("onnxgo: %w", err)
	}
	rest, err := proto.Marshal(m)
	if err != nil {
		return nil, nil, fmt.Errorf("onnxgo: %w", err)
	}
	backend := NewBackend(opset)
	decoded := onnx.NewModel(backend)
	if err := unmarshal(decoded, rest); err != nil {
		return nil, nil, err
	}
	for name, t := range constants {
		if v := backend.values[name]; v != nil {
			*v = value{tensor: t}
		}
	}
	return decoded, backend, nil
}

// readable gives the opset of a model, or says why onnx-go cannot read the model.
func readable(m *onnxpb.ModelProto) (int, error) {
	for _, f := range m.GetFunctions() {
		return 0, fmt.Errorf("the model has the function %q and onnx-go reads none; export the loss with form graph", f.GetName())
	}
	if len(m.GetGraph().GetSparseInitializer()) > 0 {
		return 0, fmt.Errorf("the model has sparse initializers and onnx-go reads none; make them dense")
	}
	for _, n := range m.GetGraph().GetNode() {
		if !standard(n.GetDomain()) {
			return 0, fmt.Errorf("node %q (%s) is of the domain %q and onnx-go reads only standard operators; export the loss with form graph", n.GetName(), n.GetOpType(), n.GetDomain())
		}
	}
	for _, o := range m.GetOpsetImport() {
		if standard(o.GetDomain()) {
			return int(o.GetVersion()), nil
		}
	}
	return 0, fmt.Errorf("the model does not import the standard operators; its opset_import needs an entry of domain \"\"")
}

func standard(domain string) bool { return domain == "" || domain == "ai.onnx" }

// takeConstants moves initializers and Constant nodes out of a graph.
func takeConstants(g *onnxpb.GraphProto, opset int) (map[string]engine.Tensor, error) {
	constants := map[string]engine.Tensor{}
	for _, p := range g.GetInitializer() {
		t, err := engine.FromProto(p)
		if err != nil {
			return nil, fmt.Errorf("initializer %w", err)
		}
		constants[p.GetName()] = t
	}
	for _, n := range g.GetNode() {
		if !isConstant(n) {
			continue
		}
		t, err := constantOf(n, opset)
		if err != nil {
			return nil, fmt.Errorf("node %q: %w", n.GetName(), err)
		}
		constants[n.Output[0]] = t
	}
	if g == nil {
		return constants, nil
	}
	g.Initializer = nil
	g.Node = slices.DeleteFunc(g.Node, isConstant)
	g.Input = slices.DeleteFunc(g.Input, func(in *onnxpb.ValueInfoProto) bool {
		_, ok := constants[in.GetName()]
		return ok
	})
	g.ValueInfo = nil // nothing reads it, and onnx-go allocates tensors for it
	return constants, nil
}

func isConstant(n *onnxpb.NodeProto) bool {
	return n.GetOpType() == "Constant" && len(n.GetOutput()) == 1
}

func constantOf(n *onnxpb.NodeProto, opset int) (engine.Tensor, error) {
	o, err := interp.NewOperator("Constant", opset, 1, n.GetAttribute())
	if err != nil {
		return engine.Tensor{}, err
	}
	out, err := o.Apply(nil)
	if err != nil {
		return engine.Tensor{}, err
	}
	return out[0], nil
}

// unmarshal turns the panics of onnx-go's decoder into errors.
func unmarshal(m *onnx.Model, data []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("onnxgo: onnx-go cannot decode the model: %v", r)
		}
	}()
	return m.UnmarshalBinary(data)
}

// Run decodes a serialised ModelProto and computes all its outputs once, by name.
// An input that has an initializer may be left out. Inputs are not changed.
func Run(model []byte, inputs map[string]tensor.Tensor) (map[string]tensor.Tensor, error) {
	decoded, backend, err := Decode(model)
	if err != nil {
		return nil, err
	}
	for name, t := range inputs {
		if err := setInput(decoded, name, t); err != nil {
			return nil, err
		}
	}
	if err := backend.Run(); err != nil {
		return nil, err
	}
	outputs := map[string]tensor.Tensor{}
	for _, id := range decoded.Output {
		n := backend.nodes[id]
		if outputs[n.name], err = toTensor(n.value.tensor); err != nil {
			return nil, fmt.Errorf("onnxgo: output %q: %w", n.name, err)
		}
	}
	return outputs, nil
}

func setInput(m *onnx.Model, name string, t tensor.Tensor) error {
	found, _ := m.GetNodeByName(name)
	n, ok := found.(*node)
	if !ok || n.value.made {
		return fmt.Errorf("onnxgo: the model has no input %q", name)
	}
	return n.SetTensor(t)
}
