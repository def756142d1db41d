package models

import (
	"encoding/binary"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
)

// fact is what is known of a tensor: its type, its shape and, of short tensors of
// whole numbers such as shapes, its content.
type fact struct {
	dtype ops.DType
	shape ops.Shape
	ints  []ops.Dim
}

// longestInts is how long a tensor may be for its content to be followed; shapes
// and axes are far shorter.
const longestInts = 64

// mostCalls bounds the nodes of functions' bodies that are looked at: a file of a
// few hundred bytes can nest functions so that they are called 2^30 times.
const mostCalls = 100_000

// inference finds facts about the tensors of a graph or of a function's body.
type inference struct {
	opset      int
	facts      map[string]fact
	functions  map[functionKey]*onnxpb.FunctionProto
	attributes map[string]*onnxpb.AttributeProto // of the function call, nil for a graph
	calls      *int
}

// Infer lists what is known of every tensor of the main graph, by name: what the file
// says, completed by what follows from the operators. What is not certain stays
// ops.Undefined or unknown.
func (m *Model) Infer() map[string]Tensor {
	tensors, declared := map[string]Tensor{}, m.Declared()
	for name, f := range infer(m.Proto) {
		tensors[name] = Tensor{Name: name, DType: f.dtype, Shape: f.shape, Other: declared[name].Other}
	}
	return tensors
}

// Declared lists what the file says of inputs, outputs and tensors inside the main
// graph, by name.
func (m *Model) Declared() map[string]Tensor { return declaredIn(m.Proto.GetGraph()) }

func declaredIn(graph *onnxpb.GraphProto) map[string]Tensor {
	declared := map[string]Tensor{}
	for _, infos := range [][]*onnxpb.ValueInfoProto{graph.GetValueInfo(), graph.GetOutput(), graph.GetInput()} {
		for _, info := range infos {
			declared[info.GetName()] = fromInfo(info)
		}
	}
	return declared
}

// infer finds what is known of the tensors of the main graph. It follows what the
// file says, and completes it.
func infer(m *onnxpb.ModelProto) map[string]fact {
	graph := m.GetGraph()
	in := &inference{opset: opsetOf(m.GetOpsetImport()), facts: map[string]fact{}, functions: functionsOf(m), calls: new(int)}
	declared := map[string]fact{}
	for name, t := range declaredIn(graph) {
		declared[name] = fact{dtype: t.DType, shape: t.Shape}
	}
	for _, info := range graph.GetInput() {
		in.facts[info.GetName()] = declared[info.GetName()]
	}
	for _, t := range graph.GetInitializer() {
		f := factOf(t)
		if _, input := in.facts[t.GetName()]; input && m.GetIrVersion() >= 4 {
			f.ints = nil // a default, which whoever runs the model may replace
		}
		in.facts[t.GetName()] = f
	}
	for _, t := range graph.GetSparseInitializer() {
		in.facts[t.GetValues().GetName()] = fact{dtype: ops.DType(t.GetValues().GetDataType()), shape: fromDims(t.GetDims())}
	}
	for _, n := range graph.GetNode() {
		for i, f := range in.node(n) {
			name := n.GetOutput()[i]
			in.facts[name] = f.completing(declared[name])
		}
		delete(in.facts, "") // an output that is left out
	}
	return in.facts
}

// completing gives what is declared, with what it leaves open filled in.
func (f fact) completing(declared fact) fact {
	merged := fact{declared.dtype, declared.shape, f.ints}
	if merged.dtype == ops.Undefined {
		merged.dtype = f.dtype
	}
	if !merged.shape.Known() {
		merged.shape = f.shape
	}
	if len(merged.shape) != len(f.shape) {
		return merged
	}
	merged.shape = copyShape(merged.shape)
	for i, d := range f.shape {
		if _, fixed := d.Size(); merged.shape[i] == (ops.Dim{}) || fixed && merged.shape[i].Symbol() != "" {
			merged.shape[i] = d
		}
	}
	return merged
}

func copyShape(s ops.Shape) ops.Shape {
	if !s.Known() {
		return nil
	}
	return append(ops.Shape{}, s...)
}

// node infers a node's outputs, one fact each.
func (in *inference) node(n *onnxpb.NodeProto) []fact {
	o := in.operation(n)
	results := make([]fact, o.results)
	switch f := in.functions[calledBy(n)]; {
	case f != nil:
		copy(results, in.call(f, o))
	case standard(n.GetDomain()) == "":
		copy(results, o.infer())
	}
	return results
}

func (in *inference) operation(n *onnxpb.NodeProto) operation {
	o := operation{op: n.GetOpType(), opset: in.opset, results: len(n.GetOutput()), attributes: in.attributesOf(n)}
	for _, name := range n.GetInput() {
		o.inputs = append(o.inputs, in.facts[name])
	}
	return o
}

// attributesOf resolves references to the attributes of the function around.
func (in *inference) attributesOf(n *onnxpb.NodeProto) map[string]*onnxpb.AttributeProto {
	attributes := map[string]*onnxpb.AttributeProto{}
	for _, a := range n.GetAttribute() {
		if to := a.GetRefAttrName(); to == "" {
			attributes[a.GetName()] = a
		} else if given := in.attributes[to]; given != nil {
			attributes[a.GetName()] = given
		}
	}
	return attributes
}

// call infers the results of a function.
func (in *inference) call(f *onnxpb.FunctionProto, o operation) []fact {
	body := &inference{opset: opsetOf(f.GetOpsetImport()), facts: map[string]fact{}, functions: in.functions, attributes: o.attributes, calls: in.calls}
	for _, a := range f.GetAttributeProto() {
		if o.attributes[a.GetName()] == nil {
			o.attributes[a.GetName()] = a
		}
	}
	for i, name := range f.GetInput() {
		body.facts[name] = o.input(i)
	}
	for _, n := range f.GetNode() {
		if *in.calls++; *in.calls > mostCalls {
			return nil
		}
		for i, result := range body.node(n) {
			body.facts[n.GetOutput()[i]] = result
		}
		delete(body.facts, "")
	}
	results := make([]fact, len(f.GetOutput()))
	for i, name := range f.GetOutput() {
		results[i] = body.facts[name]
	}
	return results
}

func opsetOf(imports []*onnxpb.OperatorSetIdProto) int {
	for _, opset := range imports {
		if standard(opset.GetDomain()) == "" {
			return int(opset.GetVersion())
		}
	}
	return 0
}

func factOf(t *onnxpb.TensorProto) fact {
	f := fact{dtype: ops.DType(t.GetDataType()), shape: fromDims(t.GetDims())}
	f.ints = intsOf(t, f)
	return f
}

// intsOf reads a short int64 tensor that holds its content itself.
func intsOf(t *onnxpb.TensorProto, f fact) []ops.Dim {
	count, _, known := elements(f.shape)
	if f.dtype != ops.Int64 || t.GetDataLocation() == onnxpb.TensorProto_EXTERNAL || !known || count > longestInts {
		return nil
	}
	list := t.GetInt64Data()
	if raw := t.GetRawData(); len(raw) == 8*count {
		list = make([]int64, count)
		for i := range list {
			list[i] = int64(binary.LittleEndian.Uint64(raw[8*i:]))
		}
	}
	if len(list) != count {
		return nil
	}
	return fixed(list)
}

func fixed(list []int64) []ops.Dim {
	if len(list) > longestInts {
		return nil
	}
	sizes := make([]ops.Dim, len(list))
	for i, n := range list {
		sizes[i] = ops.Fixed(int(n))
	}
	return sizes
}
