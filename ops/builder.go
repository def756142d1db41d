package ops

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"google.golang.org/protobuf/proto"
)

// MinOpset and MaxOpset bound the versions of the default operator set that a
// Builder emits. MaxOpset is the newest that the pinned ONNX Runtime runs.
const (
	MinOpset = 9
	MaxOpset = 26
)

// Value is the result of an operator or an input of the graph being built. The
// zero Value stands for an optional input that is not there.
type Value struct{ v *value }

type value struct {
	name  string // as asked for; made unique when the graph is finished
	given bool   // the name is fixed: an input's or an output's
	dtype DType
	shape Shape
}

// Present reports whether the value is there.
func (v Value) Present() bool { return v.v != nil }

// DType is the type of the elements, Undefined for an absent value.
func (v Value) DType() DType {
	if v.v == nil {
		return Undefined
	}
	return v.v.dtype
}

// Shape is what is known of the value's shape.
func (v Value) Shape() Shape {
	if v.v == nil {
		return nil
	}
	return v.v.shape
}

// Name is the tensor's name in the graph; final once Finish has returned.
func (v Value) Name() string {
	if v.v == nil {
		return ""
	}
	return v.v.name
}

// Terms is a loss before its reduction: its unreduced value, and the weight of
// each of its terms, whose sum a mean divides by. Without a weight every term
// counts once.
type Terms struct {
	Loss   Value
	Weight Value
}

// Builder builds a graph of standard ONNX operators, one method an operator. The
// operator set version is given once; each method emits what that version asks
// for. The first error is kept, later calls do nothing, and Finish returns it.
//
// Operands of a method must be of one element type, and broadcast as numpy's arrays do
// where the method computes element by element. Where their shapes cannot fit, or the
// opset lacks the operator, that is the error.
type Builder struct {
	opset     int
	prefix    string
	nodes     []*node
	inputs    []Value
	taken     map[string]bool
	constants map[string]Value
	detached  []Value
	err       error
}

type node struct {
	op         string
	inputs     []Value
	outputs    []Value
	attributes []*onnxpb.AttributeProto
}

// NewBuilder starts a graph for an opset between MinOpset and MaxOpset. Every
// tensor it names starts with prefix, and no name is one that taken reports.
func NewBuilder(opset int, prefix string, taken map[string]bool) *Builder {
	b := &Builder{opset: opset, prefix: prefix, taken: map[string]bool{}, constants: map[string]Value{}}
	for name := range taken {
		b.taken[name] = true
	}
	if opset < MinOpset || opset > MaxOpset {
		b.fail("opset %d is not supported; use %d to %d", opset, MinOpset, MaxOpset)
	}
	return b
}

// Opset is the operator set version that is emitted.
func (b *Builder) Opset() int { return b.opset }

// Err is the first error so far.
func (b *Builder) Err() error { return b.err }

// Fail refuses to make the graph, for a reason that reads as a sentence.
func (b *Builder) Fail(format string, args ...any) { b.fail(format, args...) }

func (b *Builder) fail(format string, args ...any) {
	if b.err == nil {
		b.err = fmt.Errorf("ops: "+format, args...)
	}
}

// Input declares a tensor that the graph reads, under exactly this name.
func (b *Builder) Input(name string, dtype DType, shape Shape) Value {
	v := Value{&value{name: name, given: true, dtype: dtype, shape: shape}}
	b.taken[name] = true
	b.inputs = append(b.inputs, v)
	return v
}

// Label gives a value a name that says what it is; Finish adds the prefix and, if
// need be, a number. Inputs and named outputs keep theirs.
func (b *Builder) Label(v Value, name string) Value {
	if v.v != nil && !v.v.given {
		v.v.name = name
	}
	return v
}

// Detach marks a value that counts as a constant when the graph is differentiated,
// under a name that says what it is. The mark is in Fragment.Detached; nothing is
// emitted.
func (b *Builder) Detach(v Value, name string) Value {
	if v.v != nil && v.v.given {
		v = b.Identity(v)
	}
	v = b.Label(v, name)
	b.detached = append(b.detached, v)
	return v
}

// Assume records what is known of a value's shape from elsewhere.
func (b *Builder) Assume(v Value, shape Shape) Value {
	if v.v != nil && shape.Known() {
		v.v.shape = shape
	}
	return v
}

// Output gives a value exactly this name, copying it where it has a fixed one
// already. It fails where the name is taken.
func (b *Builder) Output(v Value, name string) Value {
	if b.taken[name] {
		b.fail("the output name %q is taken", name)
		return v
	}
	if !v.Present() {
		b.fail("the output %q has no value", name)
		return v
	}
	if v.v.given {
		v = b.Identity(v)
	}
	v.v.name, v.v.given = name, true
	b.taken[name] = true
	return v
}

// Attribute is one named attribute of a node.
type Attribute = onnxpb.AttributeProto

// IntAttribute makes an attribute of type INT.
func IntAttribute(name string, i int64) *Attribute {
	return &Attribute{Name: &name, Type: onnxpb.AttributeProto_INT.Enum(), I: &i}
}

// IntsAttribute makes an attribute of type INTS.
func IntsAttribute(name string, ints []int64) *Attribute {
	return &Attribute{Name: &name, Type: onnxpb.AttributeProto_INTS.Enum(), Ints: ints}
}

// FloatAttribute makes an attribute of type FLOAT.
func FloatAttribute(name string, f float32) *Attribute {
	return &Attribute{Name: &name, Type: onnxpb.AttributeProto_FLOAT.Enum(), F: &f}
}

// StringAttribute makes an attribute of type STRING.
func StringAttribute(name, s string) *Attribute {
	return &Attribute{Name: &name, Type: onnxpb.AttributeProto_STRING.Enum(), S: []byte(s)}
}

func tensorAttribute(name string, dtype DType, dims []int64, raw []byte) *Attribute {
	tensor := &onnxpb.TensorProto{Dims: dims, DataType: proto.Int32(int32(dtype)), RawData: raw}
	return &Attribute{Name: &name, Type: onnxpb.AttributeProto_TENSOR.Enum(), T: tensor}
}

// emit adds a node with one output.
func (b *Builder) emit(op string, dtype DType, shape Shape, inputs []Value, attributes ...*Attribute) Value {
	if b.err != nil {
		return Value{&value{dtype: dtype}}
	}
	for i, in := range inputs {
		if !in.Present() {
			b.fail("%s: its input %d is not there", op, i)
		}
	}
	out := Value{&value{name: snakeCase(op), dtype: dtype, shape: shape}}
	b.nodes = append(b.nodes, &node{op: op, inputs: inputs, outputs: []Value{out}, attributes: attributes})
	return out
}

func snakeCase(op string) string {
	var s strings.Builder
	for i, r := range op {
		if i > 0 && r >= 'A' && r <= 'Z' && op[i-1] >= 'a' {
			s.WriteByte('_')
		}
		s.WriteRune(r)
	}
	return strings.ToLower(s.String())
}

// Scalar is a constant with the element type of the value it meets.
func (b *Builder) Scalar(like Value, x float64) Value {
	return b.Constant(like.DType(), nil, []float64{x})
}

// Constant makes a constant tensor. Numbers are rounded to the element type once;
// equal constants are emitted once.
func (b *Builder) Constant(dtype DType, shape []int, numbers []float64) Value {
	if b.err != nil {
		return Value{&value{dtype: dtype}}
	}
	raw, err := encode(dtype, numbers)
	if err != nil {
		b.fail("constant: %v", err)
		return Value{&value{dtype: dtype}}
	}
	count, dims := 1, make([]int64, len(shape))
	for i, d := range shape {
		count, dims[i] = count*d, int64(d)
	}
	if count != len(numbers) {
		b.fail("constant: shape %v needs %d numbers, got %d", shape, count, len(numbers))
		return Value{&value{dtype: dtype}}
	}
	return b.constant(dtype, dims, raw, constantName(shape, numbers))
}

// Int64s makes a constant vector, as shapes and axes are written.
func (b *Builder) Int64s(numbers ...int) Value {
	var raw []byte // not by way of floats, which do not hold every int64
	for _, n := range numbers {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(n))
	}
	return b.constant(Int64, []int64{int64(len(numbers))}, raw, "constant")
}

// constant emits a constant, or finds the same one.
func (b *Builder) constant(dtype DType, dims []int64, raw []byte, name string) Value {
	key := fmt.Sprint(dtype, dims, raw)
	if known, ok := b.constants[key]; ok {
		return known
	}
	shape := make(Shape, len(dims))
	for i, d := range dims {
		shape[i] = Fixed(int(d))
	}
	v := b.emit("Constant", dtype, shape, nil, tensorAttribute("value", dtype, dims, raw))
	b.Label(v, name)
	b.constants[key] = v
	return v
}

func constantName(shape []int, numbers []float64) string {
	if len(shape) == 0 {
		return fmt.Sprintf("constant_%g", numbers[0])
	}
	return "constant"
}

func encode(dtype DType, numbers []float64) ([]byte, error) {
	raw := make([]byte, 0, len(numbers)*dtype.Size())
	for _, x := range numbers {
		switch dtype {
		case Float64:
			raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(x))
		case Float32:
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(x)))
		case Float16:
			raw = binary.LittleEndian.AppendUint16(raw, Float16Bits(x))
		case BFloat16:
			raw = binary.LittleEndian.AppendUint16(raw, BFloat16Bits(x))
		case Int64:
			raw = binary.LittleEndian.AppendUint64(raw, uint64(int64(x)))
		case Int32:
			raw = binary.LittleEndian.AppendUint32(raw, uint32(int32(x)))
		default:
			return nil, fmt.Errorf("element type %s is not supported", dtype)
		}
	}
	return raw, nil
}

// Fragment is a finished graph or function body. The lists are what models.Edit's
// AddNodes and AddValueInfo take.
type Fragment struct {
	Nodes     []*onnxpb.NodeProto
	ValueInfo []*onnxpb.ValueInfoProto // of every tensor made; shapes as far as known
	Detached  []string                 // the tensors that Detach marked
}

// Finish names everything and returns the nodes in topological order, or the
// first error. Constants and other nodes that no output needs are left out.
func (b *Builder) Finish(outputs ...Value) (Fragment, error) {
	if b.err != nil {
		return Fragment{}, b.err
	}
	var fragment Fragment
	for _, n := range b.needed(outputs) {
		for _, out := range n.outputs {
			b.settleName(out.v)
			fragment.ValueInfo = append(fragment.ValueInfo, ValueInfo(out.v.name, out.v.dtype, out.v.shape))
		}
		fragment.Nodes = append(fragment.Nodes, b.nodeProto(n))
	}
	for _, v := range b.detached {
		if v.v.given {
			fragment.Detached = append(fragment.Detached, v.v.name)
		}
	}
	return fragment, nil
}

func (b *Builder) needed(outputs []Value) []*node {
	wanted := map[*value]bool{}
	for _, out := range outputs {
		wanted[out.v] = true
	}
	var kept []*node
	for i := len(b.nodes) - 1; i >= 0; i-- {
		n := b.nodes[i]
		use := false
		for _, out := range n.outputs {
			use = use || wanted[out.v]
		}
		if !use {
			continue
		}
		for _, in := range n.inputs {
			wanted[in.v] = true
		}
		kept = append(kept, n)
	}
	for i, j := 0, len(kept)-1; i < j; i, j = i+1, j-1 {
		kept[i], kept[j] = kept[j], kept[i]
	}
	return kept
}

func (b *Builder) settleName(v *value) {
	if v.given {
		return
	}
	v.name, v.given = b.free(b.prefix+v.name), true
}

// free takes a name, or that with the first number that makes it a free one.
func (b *Builder) free(base string) string {
	name := base
	for i := 2; b.taken[name]; i++ {
		name = fmt.Sprintf("%s_%d", base, i)
	}
	b.taken[name] = true
	return name
}

// nodeProto writes a node, which is named as its first output; that of a named
// output has the prefix as well.
func (b *Builder) nodeProto(n *node) *onnxpb.NodeProto {
	p := &onnxpb.NodeProto{OpType: proto.String(n.op), Attribute: n.attributes}
	for _, in := range n.inputs {
		p.Input = append(p.Input, in.Name())
	}
	for _, out := range n.outputs {
		p.Output = append(p.Output, out.Name())
	}
	name := p.Output[0]
	if !strings.HasPrefix(name, b.prefix) {
		name = b.free(b.prefix + name)
	}
	p.Name = proto.String(name)
	return p
}

// ValueInfo describes a tensor for a graph's inputs, outputs and value_info, as
// models.Edit's AddInputs, AddOutputs and AddValueInfo take it. A nil shape is left out.
func ValueInfo(name string, dtype DType, shape Shape) *onnxpb.ValueInfoProto {
	tensor := &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(int32(dtype))}
	if shape.Known() {
		tensor.Shape = new(onnxpb.TensorShapeProto)
		for _, d := range shape {
			tensor.Shape.Dim = append(tensor.Shape.Dim, dimProto(d))
		}
	}
	return &onnxpb.ValueInfoProto{
		Name: proto.String(name),
		Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{TensorType: tensor}},
	}
}

func dimProto(d Dim) *onnxpb.TensorShapeProto_Dimension {
	if n, ok := d.Size(); ok {
		return &onnxpb.TensorShapeProto_Dimension{Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: int64(n)}}
	}
	if d.Symbol() != "" {
		return &onnxpb.TensorShapeProto_Dimension{Value: &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: d.Symbol()}}
	}
	return new(onnxpb.TensorShapeProto_Dimension)
}

// ShapeOf reads a shape out of a tensor type. A negative size, which some exporters
// write for one that varies, is unknown.
func ShapeOf(t *onnxpb.TypeProto_Tensor) Shape {
	if t.GetShape() == nil {
		return nil
	}
	shape := make(Shape, len(t.Shape.Dim))
	for i, d := range t.Shape.Dim {
		switch dim := d.Value.(type) {
		case *onnxpb.TensorShapeProto_Dimension_DimValue:
			if dim.DimValue >= 0 {
				shape[i] = Fixed(int(dim.DimValue))
			}
		case *onnxpb.TensorShapeProto_Dimension_DimParam:
			shape[i] = Symbolic(dim.DimParam)
		}
	}
	return shape
}
