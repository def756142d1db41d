package models

import (
	"math"
	"slices"
	"strings"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
)

// operation is one use of a standard operator. Where its operands or attributes
// make no sense, the result is unknown: inference proves nothing wrong.
type operation struct {
	op         string
	opset      int
	inputs     []fact
	results    int
	attributes map[string]*onnxpb.AttributeProto
}

// rule infers an operator's first result.
type rule func(operation) fact

// rules are the operators that feature networks consist of.
var rules = byOperator([]struct {
	rule      rule
	operators string
}{
	{operation.same, "Relu LeakyRelu PRelu Elu Selu Celu ThresholdedRelu Sigmoid HardSigmoid Tanh Softplus Softsign HardSwish Swish Gelu Mish Clip Shrink"},
	{operation.same, "BatchNormalization InstanceNormalization LayerNormalization GroupNormalization RMSNormalization MeanVarianceNormalization LpNormalization LRN"},
	{operation.same, "Exp Log Sqrt Abs Neg Reciprocal Floor Ceil Round Sign Erf Sin Cos CumSum Identity Dropout Softmax LogSoftmax Hardmax"},
	{operation.broadcast, "Add Sub Mul Div Pow Mod Min Max Mean Sum"},
	{operation.truth, "Equal Less LessOrEqual Greater GreaterOrEqual And Or Xor Not IsNaN IsInf"},
	{operation.where, "Where"},
	{operation.reduce, "ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum ReduceLogSumExp"},
	{operation.conv, "Conv"},
	{operation.convTranspose, "ConvTranspose"},
	{operation.pool, "MaxPool AveragePool LpPool"},
	{operation.globalPool, "GlobalAveragePool GlobalMaxPool GlobalLpPool"},
	{operation.gemm, "Gemm"},
	{operation.matMul, "MatMul"},
	{operation.flatten, "Flatten"},
	{operation.reshape, "Reshape"},
	{operation.transpose, "Transpose"},
	{operation.concat, "Concat"},
	{operation.squeeze, "Squeeze"},
	{operation.unsqueeze, "Unsqueeze"},
	{operation.slice, "Slice"},
	{operation.pad, "Pad"},
	{operation.gather, "Gather"},
	{operation.expand, "Expand"},
	{operation.sameRank, "Tile"},
	{operation.resize, "Resize Upsample"},
	{operation.depthToSpace, "DepthToSpace"},
	{operation.spaceToDepth, "SpaceToDepth"},
	{operation.constant, "Constant"},
	{operation.constantOfShape, "ConstantOfShape"},
	{operation.shapeOf, "Shape"},
	{operation.cast, "Cast"},
	{operation.index, "Size ArgMax ArgMin NonZero"},
	{operation.span, "Range"},
	{operation.branches, "If"},
})

func byOperator(groups []struct {
	rule      rule
	operators string
},
) map[string]rule {
	all := map[string]rule{}
	for _, g := range groups {
		for op := range strings.FieldsSeq(g.operators) {
			all[op] = g.rule
		}
	}
	return all
}

// further are the types of results after the first that do not have its type.
var further = map[string]ops.DType{"MaxPool": ops.Int64, "TopK": ops.Int64, "Dropout": ops.Bool}

// infer gives a fact for every result.
func (o operation) infer() []fact {
	results := make([]fact, o.results)
	if o.op == "Split" && !o.outsized() {
		return o.split()
	}
	rule, known := rules[o.op]
	if !known || o.results == 0 || o.outsized() {
		return results
	}
	results[0] = rule(o)
	for i := 1; i < o.results; i++ {
		switch dtype, other := further[o.op]; {
		case o.op == "If":
			results[i] = o.branch(i)
		case other:
			results[i].dtype = dtype
		default:
			results[i].dtype = results[0].dtype
		}
	}
	return results
}

// outsized reports lists among the attributes that are longer than one of axes, or
// of the parts that a tensor is split into, can be. A constant's are not read.
func (o operation) outsized() bool {
	for _, a := range o.attributes {
		if len(a.GetInts()) > mostParts && o.op != "Constant" {
			return true
		}
	}
	return false
}

func (o operation) input(i int) fact {
	if i >= len(o.inputs) {
		return fact{}
	}
	return o.inputs[i]
}

// joint is the type of operands that all have the same.
func (o operation) joint() ops.DType {
	for _, in := range o.inputs {
		if in.dtype != ops.Undefined {
			return in.dtype
		}
	}
	return ops.Undefined
}

// tooLarge is beyond any size of an axis; numbers below do not overflow when two
// are multiplied.
const tooLarge = math.MaxInt32

func (o operation) integer(name string, otherwise int) int {
	if a := o.attributes[name]; a != nil {
		return int(min(max(a.GetI(), -tooLarge), tooLarge))
	}
	return otherwise
}

func (o operation) integers(name string) []int {
	var list []int
	for _, i := range o.attributes[name].GetInts() {
		list = append(list, int(min(max(i, -tooLarge), tooLarge)))
	}
	return list
}

// list reads whole numbers that are an attribute in old versions and an input in
// new ones. known is false where only running the model tells them, given where
// they are left out.
func (o operation) list(name string, input int) (numbers []int, given, known bool) {
	if o.attributes[name] != nil {
		return o.integers(name), true, true
	}
	in := o.input(input)
	if in.dtype == ops.Undefined { // left out, or nothing is known of it
		return nil, false, input >= len(o.inputs)
	}
	if in.ints == nil {
		return nil, true, false
	}
	for _, d := range in.ints {
		n, ok := d.Size()
		if !ok {
			return nil, true, false
		}
		numbers = append(numbers, min(max(n, -tooLarge), tooLarge))
	}
	return numbers, true, true
}

// position turns an axis that may count from the end into one that counts from the
// start.
func position(axis, rank int) (int, bool) {
	if axis < 0 {
		axis += rank
	}
	return axis, axis >= 0 && axis < rank
}

func positions(axes []int, rank int) ([]int, bool) {
	placed := make([]int, len(axes))
	for i, axis := range axes {
		at, ok := position(axis, rank)
		if !ok || slices.Contains(placed[:i], at) {
			return nil, false
		}
		placed[i] = at
	}
	return placed, true
}

func (o operation) same() fact {
	x := o.input(0)
	f := fact{dtype: x.dtype, shape: x.shape}
	if o.op == "Identity" {
		f.ints = x.ints
	}
	return f
}

func (o operation) sameRank() fact {
	x := o.input(0)
	if !x.shape.Known() {
		return fact{dtype: x.dtype}
	}
	return fact{dtype: x.dtype, shape: make(ops.Shape, len(x.shape))}
}

func (o operation) index() fact { return fact{dtype: ops.Int64} }

func (o operation) span() fact { return fact{dtype: o.joint(), shape: ops.Shape{{}}} }

func (o operation) truth() fact { return fact{dtype: ops.Bool, shape: broadcast(o.inputs...)} }

func (o operation) where() fact {
	values := operation{inputs: o.inputs[min(1, len(o.inputs)):]}
	return fact{dtype: values.joint(), shape: broadcast(o.inputs...)}
}

func (o operation) broadcast() fact {
	f := fact{dtype: o.joint(), shape: broadcast(o.inputs...)}
	if o.opset < 7 { // the second operand is fitted to the first, by an attribute
		f.shape = o.input(0).shape
	}
	if o.op == "Pow" {
		f.dtype = o.input(0).dtype
	}
	return f
}

// broadcast is the joint shape by numpy's rule.
func broadcast(facts ...fact) ops.Shape {
	joint := ops.Shape{}
	for _, f := range facts {
		if !f.shape.Known() {
			return nil
		}
		wide, narrow := copyShape(joint), f.shape
		if len(wide) < len(narrow) {
			wide, narrow = copyShape(narrow), wide
		}
		offset := len(wide) - len(narrow)
		for i, d := range narrow {
			both, ok := broadcastSize(wide[offset+i], d)
			if !ok {
				return nil
			}
			wide[offset+i] = both
		}
		joint = wide
	}
	return joint
}

func broadcastSize(a, b ops.Dim) (ops.Dim, bool) {
	one := ops.Fixed(1)
	_, fixedA := a.Size()
	_, fixedB := b.Size()
	switch {
	case a == b || b == one:
		return a, true
	case a == one:
		return b, true
	case fixedA && fixedB:
		return ops.Dim{}, false
	case fixedA:
		return a, true
	case fixedB:
		return b, true
	}
	return ops.Dim{}, true
}

func (o operation) reduce() fact {
	x := o.input(0)
	f := fact{dtype: x.dtype}
	axes, _, known := o.list("axes", 1)
	keep := o.integer("keepdims", 1) != 0
	if !x.shape.Known() || !known {
		return f
	}
	if len(axes) == 0 && o.integer("noop_with_empty_axes", 0) != 0 {
		return x
	}
	axes, ok := positions(axes, len(x.shape))
	if !ok {
		return f
	}
	f.shape = ops.Shape{}
	for i, d := range x.shape {
		gone := len(axes) == 0 || slices.Contains(axes, i)
		switch {
		case !gone:
			f.shape = append(f.shape, d)
		case keep:
			f.shape = append(f.shape, ops.Fixed(1))
		}
	}
	return f
}

func (o operation) gemm() fact {
	f := fact{dtype: o.joint()}
	a, b := o.input(0).shape, o.input(1).shape
	if a.Known() && len(a) != 2 || b.Known() && len(b) != 2 {
		return f
	}
	f.shape = make(ops.Shape, 2)
	if a.Known() {
		f.shape[0] = a[min(max(o.integer("transA", 0), 0), 1)]
	}
	if b.Known() {
		f.shape[1] = b[1-min(max(o.integer("transB", 0), 0), 1)]
	}
	return f
}

func (o operation) matMul() fact {
	f := fact{dtype: o.joint()}
	a, b := o.input(0).shape, o.input(1).shape
	if len(a) < 2 || len(b) < 2 { // vectors are rare in networks
		return f
	}
	rows, columns := a[len(a)-2], b[len(b)-1]
	if batch := broadcast(fact{shape: a[:len(a)-2]}, fact{shape: b[:len(b)-2]}); batch.Known() {
		f.shape = append(batch, rows, columns)
	}
	return f
}

func (o operation) cast() fact {
	return fact{ops.DType(o.integer("to", 0)), o.input(0).shape, o.input(0).ints}
}

func (o operation) constant() fact {
	number := func(dtype ops.DType, count int) fact {
		return fact{dtype: dtype, shape: ops.Shape{ops.Fixed(count)}}
	}
	for name, a := range o.attributes { // there is one
		switch name {
		case "value":
			return factOf(a.GetT())
		case "value_int":
			return fact{ops.Int64, ops.Shape{}, fixed([]int64{a.GetI()})}
		case "value_ints":
			f := number(ops.Int64, len(a.GetInts()))
			f.ints = fixed(a.GetInts())
			return f
		case "value_float":
			return fact{dtype: ops.Float32, shape: ops.Shape{}}
		case "value_floats":
			return number(ops.Float32, len(a.GetFloats()))
		}
	}
	return fact{}
}

func (o operation) constantOfShape() fact {
	f := fact{dtype: ops.Float32, shape: sizes(o.input(0))}
	if value := o.attributes["value"].GetT(); value != nil {
		f.dtype = ops.DType(value.GetDataType())
	}
	return f
}

// sizes reads a shape out of a tensor's content, or at least the rank out of its
// length.
func sizes(of fact) ops.Shape {
	if of.ints == nil && len(of.shape) == 1 {
		if n, ok := of.shape[0].Size(); ok && n >= 0 && n <= longestInts {
			return make(ops.Shape, n)
		}
	}
	if of.ints == nil {
		return nil
	}
	return withoutNegative(append(ops.Shape{}, of.ints...))
}

func (o operation) shapeOf() fact {
	x := o.input(0).shape
	if !x.Known() || len(x) > longestInts {
		return fact{dtype: ops.Int64, shape: ops.Shape{{}}}
	}
	from := clamped(o.integer("start", 0), len(x))
	to := max(from, clamped(o.integer("end", len(x)), len(x)))
	return fact{ops.Int64, ops.Shape{ops.Fixed(to - from)}, append([]ops.Dim{}, x[from:to]...)}
}

func clamped(at, size int) int {
	if at < 0 {
		at += size
	}
	return min(max(at, 0), size)
}

func (o operation) branches() fact { return o.branch(0) }

// branch gives the type that both branches of If say that a result has.
func (o operation) branch(i int) fact {
	then, otherwise := o.attributes["then_branch"].GetG().GetOutput(), o.attributes["else_branch"].GetG().GetOutput()
	if i >= len(then) || i >= len(otherwise) {
		return fact{}
	}
	a, b := fromInfo(then[i]), fromInfo(otherwise[i])
	if a.DType != b.DType {
		return fact{}
	}
	return fact{dtype: a.DType}
}
