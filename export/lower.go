package export

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"google.golang.org/protobuf/proto"
)

// lowering is one loss on its way into a graph.
type lowering struct {
	loss    *losses.Loss
	params  losses.Params
	options Options
	inputs  []operand
}

// operand is an input of the loss: what it is declared as, and the tensor it is.
type operand struct {
	losses.Input
	from   string // the tensor that was bound
	tensor string // what became of it, most often itself
	dtype  ops.DType
	shape  ops.Shape
	source string // what it was made of, "" for a tensor of the model itself
}

// knownShape is the operand's shape or, where that is unknown, as many axes as the
// loss declares.
func (o operand) knownShape() ops.Shape {
	if o.shape.Known() || o.Broadcast || slices.Contains(o.Axes(), "...") {
		return o.shape
	}
	return newAxes().expand(o.Input)
}

// piece is what a lowering adds to a model.
type piece struct {
	nodes     []*onnxpb.NodeProto
	valueInfo []*onnxpb.ValueInfoProto
	function  *onnxpb.FunctionProto // nil in form graph
	shape     ops.Shape             // of the loss
	detached  []string              // tensors that are not differentiated
}

// emit writes the loss in the form asked for, ending in the tensor output. Names
// that taken reports are kept away from.
func (l lowering) emit(output string, taken map[string]bool) (piece, error) {
	if l.options.Form == Graph {
		return l.emitGraph(l.loss.Name+"/", output, taken)
	}
	body, err := l.inFunction().emitGraph("", l.loss.Output(), nil)
	if err != nil {
		return piece{}, err
	}
	function := l.function(body)
	return piece{
		nodes:     []*onnxpb.NodeProto{l.call(output, taken)},
		valueInfo: []*onnxpb.ValueInfoProto{ops.ValueInfo(output, l.options.DType, body.shape)},
		function:  function,
		shape:     body.shape,
		detached:  body.detached,
	}, nil
}

// emitGraph writes the loss as standard operators.
func (l lowering) emitGraph(prefix, output string, taken map[string]bool) (piece, error) {
	b := ops.NewBuilder(l.options.Opset, prefix, taken)
	in := map[string]ops.Value{}
	for _, o := range l.inputs {
		in[o.Name] = l.widen(b, b.Input(o.tensor, o.dtype, o.knownShape()), o.Input)
	}
	result := reduce(b, l.loss.Build(b, in, l.params), l.options.Reduction)
	result = b.Output(b.Cast(result, l.options.DType), output)
	fragment, err := b.Finish(result)
	if err != nil {
		return piece{}, err
	}
	return piece{nodes: fragment.Nodes, valueInfo: fragment.ValueInfo, shape: result.Shape(), detached: fragment.Detached}, nil
}

// widen turns a floating-point input into the type that the loss computes in:
// float32 for the half types.
func (l lowering) widen(b *ops.Builder, v ops.Value, in losses.Input) ops.Value {
	if in.Domain == losses.ClassIndex {
		return v
	}
	if l.options.DType.IsHalf() {
		return b.Cast(v, ops.Float32)
	}
	return b.Cast(v, l.options.DType)
}

// reduce is the one place where a graph's loss becomes a mean or a sum. The number
// of terms is counted at run time, so that a mean over nothing is NaN on every
// engine.
func reduce(b *ops.Builder, terms ops.Terms, r losses.Reduction) ops.Value {
	if r == losses.None {
		return terms.Loss
	}
	total := b.Label(b.ReduceSum(terms.Loss, false), "total")
	if r == losses.Sum {
		return total
	}
	divisor := b.Cast(b.SizeOf(terms.Loss), terms.Loss.DType())
	if terms.Weight.Present() {
		divisor = b.ReduceSum(terms.Weight, false)
	}
	return b.Div(total, b.Label(divisor, "divisor"))
}

// inFunction names the operands as the loss's inputs, as they are inside the body.
func (l lowering) inFunction() lowering {
	inputs := append([]operand(nil), l.inputs...)
	for i := range inputs {
		inputs[i].tensor = inputs[i].Name
	}
	l.inputs = inputs
	return l
}

// signature lists all inputs that the loss can have, up to the last that is
// there, so that every input keeps its position whatever else is left out.
func (l lowering) signature() (names, tensors []string) {
	last := 0
	for i, in := range l.loss.InputsFor(l.params) {
		names, tensors = append(names, in.Name), append(tensors, "")
		for _, o := range l.inputs {
			if o.Name == in.Name {
				tensors[i], last = o.tensor, i+1
			}
		}
	}
	return names[:last], tensors[:last]
}

func (l lowering) function(body piece) *onnxpb.FunctionProto {
	names, _ := l.signature()
	function := &onnxpb.FunctionProto{
		Name:        proto.String(l.loss.Name),
		Domain:      proto.String(Domain),
		DocString:   proto.String(l.loss.Summary),
		Input:       names,
		Output:      []string{l.loss.Output()},
		Node:        body.nodes,
		OpsetImport: []*onnxpb.OperatorSetIdProto{opsetImport("", l.options.Opset)},
	}
	for _, a := range l.attributes() {
		function.Attribute = append(function.Attribute, a.GetName())
	}
	return function
}

// call is the node that stands for the whole loss.
func (l lowering) call(output string, taken map[string]bool) *onnxpb.NodeProto {
	_, tensors := l.signature()
	return &onnxpb.NodeProto{
		Name:      proto.String(freeName(taken, l.loss.Name+"/"+output)),
		OpType:    proto.String(l.loss.Name),
		Domain:    proto.String(Domain),
		Input:     tensors,
		Output:    []string{output},
		Attribute: l.attributes(),
	}
}

// attributes writes the parameters and the reduction on the node, for kernels and
// for whoever reads the graph; the body has them built in.
func (l lowering) attributes() []*onnxpb.AttributeProto {
	var attributes []*onnxpb.AttributeProto
	for _, p := range l.loss.Declare {
		switch p.Kind {
		case losses.Float:
			attributes = append(attributes, ops.FloatAttribute(p.Name, float32(l.params.Float(p.Name))))
		case losses.Int:
			attributes = append(attributes, ops.IntAttribute(p.Name, l.params.Int(p.Name)))
		case losses.Bool:
			var i int64
			if l.params.Bool(p.Name) {
				i = 1
			}
			attributes = append(attributes, ops.IntAttribute(p.Name, i))
		case losses.String:
			attributes = append(attributes, ops.StringAttribute(p.Name, l.params.String(p.Name)))
		}
	}
	return append(attributes, ops.StringAttribute("reduction", string(l.options.Reduction)))
}

// addTo puts the piece into a model: nodes, types, function, operator sets and
// the IR version that they need.
func (p piece) addTo(model *models.Edit, output string) error {
	if p.function != nil {
		if err := addFunction(model, p.function, p.nodes[0]); err != nil {
			return err
		}
	}
	model.AddNodes(p.nodes...)
	for _, info := range p.valueInfo {
		if info.GetName() == output {
			model.AddOutputs(info)
		} else {
			model.AddValueInfo(info)
		}
	}
	return nil
}

// irFunctions is the IR version that brought functions.
const irFunctions = 8

// addFunction adds a body, or finds the same one. A second body under the same name
// gets a number and the call with it: overloads are what ONNX has for that, but
// ONNX Runtime before the middle of 2026 and the reference evaluator take one body
// for all of them.
func addFunction(model *models.Edit, function *onnxpb.FunctionProto, call *onnxpb.NodeProto) error {
	proto := model.Proto()
	if opsetOf(proto.OpsetImport, Domain) == 0 {
		model.SetOpset(Domain, DomainVersion)
	}
	base := function.GetName()
	for number := 2; ; number++ {
		known := functionNamed(proto, function.GetName())
		if known == nil {
			model.AddFunctions(function)
			break
		}
		same, err := sameMessage(known, function)
		if err != nil {
			return err
		}
		if same {
			break
		}
		name := fmt.Sprintf("%s_%d", base, number)
		function.Name, call.OpType = &name, &name
	}
	if proto.GetIrVersion() < irFunctions {
		model.SetIR(irFunctions)
	}
	return nil
}

// functionNamed finds the body of a loss, or any of its overloads; nil is none.
func functionNamed(model *onnxpb.ModelProto, name string) *onnxpb.FunctionProto {
	for _, f := range model.Functions {
		if f.GetDomain() == Domain && f.GetName() == name {
			return f
		}
	}
	return nil
}

func sameMessage(a, b proto.Message) (bool, error) {
	deterministic := proto.MarshalOptions{Deterministic: true}
	x, err := deterministic.Marshal(a)
	if err != nil {
		return false, fmt.Errorf("encode the function: %w", err)
	}
	y, err := deterministic.Marshal(b)
	if err != nil {
		return false, fmt.Errorf("encode the function: %w", err)
	}
	return bytes.Equal(x, y), nil
}

func opsetImport(domain string, version int) *onnxpb.OperatorSetIdProto {
	return &onnxpb.OperatorSetIdProto{Domain: proto.String(domain), Version: proto.Int64(int64(version))}
}

func opsetOf(imports []*onnxpb.OperatorSetIdProto, domain string) int {
	for _, i := range imports {
		if i.GetDomain() == domain {
			return int(i.GetVersion())
		}
	}
	return 0
}
