package export

import (
	"fmt"
	"slices"
	"strings"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
)

// typeSet is a set of element types, one bit each.
type typeSet uint32

func typesOf(list ...ops.DType) (s typeSet) {
	for _, d := range list {
		s |= 1 << d
	}
	return s
}

func (s typeSet) has(d ops.DType) bool { return s>>d&1 == 1 }

// The classes of element types that the operator specification speaks of.
var (
	typeI64  = typesOf(ops.Int64)
	index    = typesOf(ops.Int32, ops.Int64)
	bools    = typesOf(ops.Bool)
	bfloats  = typesOf(ops.BFloat16)
	floats   = typesOf(ops.Float16, ops.Float32, ops.Float64)
	signed   = typesOf(ops.Int8, ops.Int16, ops.Int32, ops.Int64)
	unsigned = typesOf(ops.Uint8, ops.Uint16, ops.Uint32, ops.Uint64)
	numbers  = signed | unsigned | floats
	wide     = typesOf(ops.Int32, ops.Int64, ops.Uint32, ops.Uint64) | floats
	extremes = wide | typesOf(ops.Int8, ops.Uint8)
	whole    = numbers | bools | typesOf(ops.String)
	ranges   = typesOf(ops.Float32, ops.Float64, ops.Int16, ops.Int32, ops.Int64)
)

// schema is an operator from one opset on, until its next schema. The signature
// names a type for each operand; operands of one name have the same type. T is the
// schema's own set and P its second, the others are in fixedTypes. A "?" after a
// name makes the operand optional, a "*" lets it be repeated.
type schema struct {
	since      int
	signature  string
	types      typeSet // T
	attributes string  // "axis INT, to INT!"; "!" for those that must be there
	second     typeSet // P
}

var fixedTypes = map[string]typeSet{"B": bools, "L": typeI64, "I": index}

const (
	oldReduce  = "axes INTS, keepdims INT"
	newReduce  = "noop_with_empty_axes INT, keepdims INT"
	axisOfNode = "axis INT"
	oneValue   = "value TENSOR"
	anyValue   = "value TENSOR, sparse_value SPARSE_TENSOR, value_int INT, value_ints INTS, value_float FLOAT, value_floats FLOATS, value_string STRING, value_strings STRINGS"
)

// schemas are the operators that package ops emits, as the ONNX operator
// specification has them from opset 9 on. Versions that only add element types
// that onnxloss does not write are left out.
var schemas = map[string][]schema{
	"Abs":            plain("T -> T", version{6, numbers}, version{13, numbers | bfloats}),
	"Neg":            plain("T -> T", version{6, signed | floats}, version{13, signed | floats | bfloats}),
	"Sign":           plain("T -> T", version{9, numbers}, version{13, numbers | bfloats}),
	"Relu":           plain("T -> T", version{6, floats}, version{13, floats | bfloats}, version{14, signed | floats | bfloats}),
	"Exp":            onFloats,
	"Log":            onFloats,
	"Sqrt":           onFloats,
	"Reciprocal":     onFloats,
	"Sigmoid":        onFloats,
	"Tanh":           onFloats,
	"Floor":          onFloats,
	"Atan":           plain("T -> T", version{7, floats}, version{22, floats | bfloats}),
	"IsNaN":          plain("T -> B", version{9, floats}, version{13, floats | bfloats}),
	"Not":            plain("T -> T", version{1, bools}),
	"And":            plain("T T -> T", version{7, bools}),
	"Or":             plain("T T -> T", version{7, bools}),
	"Identity":       plain("T -> T", version{1, whole}, version{13, whole | bfloats}),
	"Add":            arithmetic,
	"Sub":            arithmetic,
	"Mul":            arithmetic,
	"Div":            arithmetic,
	"Max":            extreme,
	"Min":            extreme,
	"Equal":          plain("T T -> B", version{7, bools | index}, version{11, numbers | bools}, version{13, numbers | bools | bfloats}, version{19, whole | bfloats}),
	"Less":           plain("T T -> B", version{9, numbers}, version{13, numbers | bfloats}),
	"Greater":        plain("T T -> B", version{9, numbers}, version{13, numbers | bfloats}),
	"LessOrEqual":    plain("T T -> B", version{12, numbers}, version{16, numbers | bfloats}),
	"GreaterOrEqual": plain("T T -> B", version{12, numbers}, version{16, numbers | bfloats}),
	"Where":          plain("B T T -> T", version{9, whole}, version{16, whole | bfloats}),
	"Size":           plain("T -> L", version{1, whole}, version{13, whole | bfloats}),
	"Range":          plain("T T T -> T", version{11, ranges}),
	"NonZero":        plain("T -> L", version{9, whole}, version{13, whole | bfloats}),
	"ArgMax": {
		{since: 1, signature: "T -> L", types: numbers, attributes: "axis INT, keepdims INT"},
		{since: 12, signature: "T -> L", types: numbers, attributes: "axis INT, keepdims INT, select_last_index INT"},
		{since: 13, signature: "T -> L", types: numbers | bfloats, attributes: "axis INT, keepdims INT, select_last_index INT"},
	},
	"Pow": {
		{since: 7, signature: "T T -> T", types: floats},
		{since: 12, signature: "T P -> T", types: floats | index, second: numbers},
		{since: 13, signature: "T P -> T", types: floats | bfloats | index, second: numbers},
		{since: 15, signature: "T P -> T", types: floats | bfloats | index, second: numbers | bfloats},
	},
	"Cast": {
		{since: 9, signature: "T -> P", types: whole, second: whole, attributes: "to INT!"},
		{since: 13, signature: "T -> P", types: whole | bfloats, second: whole | bfloats, attributes: "to INT!"},
		{since: 19, signature: "T -> P", types: whole | bfloats, second: whole | bfloats, attributes: "to INT!, saturate INT"},
		{since: 24, signature: "T -> P", types: whole | bfloats, second: whole | bfloats, attributes: "to INT!, saturate INT, round_mode STRING"},
	},
	"Clip": {
		{since: 6, signature: "T -> T", types: floats, attributes: "min FLOAT, max FLOAT"},
		{since: 11, signature: "T T? T? -> T", types: floats},
		{since: 12, signature: "T T? T? -> T", types: numbers},
		{since: 13, signature: "T T? T? -> T", types: numbers | bfloats},
	},
	"ReduceSum": {
		{since: 1, signature: "T -> T", types: wide, attributes: oldReduce},
		{since: 13, signature: "T L? -> T", types: wide | bfloats, attributes: newReduce},
	},
	"ReduceMean": {
		{since: 1, signature: "T -> T", types: wide, attributes: oldReduce},
		{since: 13, signature: "T -> T", types: wide | bfloats, attributes: oldReduce},
		{since: 18, signature: "T L? -> T", types: wide | bfloats, attributes: newReduce},
	},
	"ReduceMax": reduceExtreme,
	"ReduceMin": reduceExtreme,
	"Softmax":   softmax, "LogSoftmax": softmax,
	"Shape": {
		{since: 1, signature: "T -> L", types: whole},
		{since: 13, signature: "T -> L", types: whole | bfloats},
		{since: 15, signature: "T -> L", types: whole | bfloats, attributes: "start INT, end INT"},
	},
	"Unsqueeze": {
		{since: 1, signature: "T -> T", types: whole, attributes: "axes INTS!"},
		{since: 13, signature: "T L -> T", types: whole | bfloats},
	},
	"Squeeze": {
		{since: 1, signature: "T -> T", types: whole, attributes: "axes INTS"},
		{since: 13, signature: "T L? -> T", types: whole | bfloats},
	},
	"Flatten": {
		{since: 9, signature: "T -> T", types: whole, attributes: axisOfNode},
		{since: 13, signature: "T -> T", types: whole | bfloats, attributes: axisOfNode},
	},
	"Reshape": {
		{since: 5, signature: "T L -> T", types: whole},
		{since: 13, signature: "T L -> T", types: whole | bfloats},
		{since: 14, signature: "T L -> T", types: whole | bfloats, attributes: "allowzero INT"},
	},
	"Concat": {
		{since: 4, signature: "T* -> T", types: whole, attributes: "axis INT!"},
		{since: 13, signature: "T* -> T", types: whole | bfloats, attributes: "axis INT!"},
	},
	"Transpose": {
		{since: 1, signature: "T -> T", types: whole, attributes: "perm INTS"},
		{since: 13, signature: "T -> T", types: whole | bfloats, attributes: "perm INTS"},
	},
	"MatMul": plain("T T -> T", version{9, wide}, version{13, wide | bfloats}),
	"Pad": {
		{since: 2, signature: "T -> T", types: floats, attributes: "pads INTS!, mode STRING, value FLOAT"},
		{since: 11, signature: "T L T? -> T", types: numbers, attributes: "mode STRING"},
		{since: 13, signature: "T L T? -> T", types: whole | bfloats, attributes: "mode STRING"},
		{since: 18, signature: "T L T? I? -> T", types: whole | bfloats, attributes: "mode STRING"},
	},
	"Slice": {
		{since: 1, signature: "T -> T", types: whole, attributes: "starts INTS!, ends INTS!, axes INTS"},
		{since: 10, signature: "T I I I? I? -> T", types: whole},
		{since: 13, signature: "T I I I? I? -> T", types: whole | bfloats},
	},
	"Gather": {
		{since: 1, signature: "T I -> T", types: whole, attributes: axisOfNode},
		{since: 13, signature: "T I -> T", types: whole | bfloats, attributes: axisOfNode},
	},
	"GatherElements": {
		{since: 11, signature: "T I -> T", types: whole, attributes: axisOfNode},
		{since: 13, signature: "T I -> T", types: whole | bfloats, attributes: axisOfNode},
	},
	"ConstantOfShape": {
		{since: 9, signature: "L -> T", types: numbers | bools, attributes: oneValue},
		{since: 20, signature: "L -> T", types: numbers | bools | bfloats, attributes: oneValue},
	},
	"Constant": {
		{since: 9, signature: "-> T", types: whole, attributes: "value TENSOR!"},
		{since: 11, signature: "-> T", types: whole, attributes: "value TENSOR, sparse_value SPARSE_TENSOR"},
		{since: 12, signature: "-> T", types: whole, attributes: anyValue},
		{since: 13, signature: "-> T", types: whole | bfloats, attributes: anyValue},
	},
}

var (
	onFloats   = plain("T -> T", version{6, floats}, version{13, floats | bfloats})
	arithmetic = plain("T T -> T", version{7, wide}, version{13, wide | bfloats}, version{14, numbers | bfloats})
	extreme    = plain("T* -> T", version{8, floats}, version{12, numbers}, version{13, numbers | bfloats})
	softmax    = []schema{
		{since: 1, signature: "T -> T", types: floats, attributes: axisOfNode},
		{since: 13, signature: "T -> T", types: floats | bfloats, attributes: axisOfNode},
	}
	reduceExtreme = []schema{
		{since: 1, signature: "T -> T", types: wide, attributes: oldReduce},
		{since: 12, signature: "T -> T", types: extremes, attributes: oldReduce},
		{since: 13, signature: "T -> T", types: extremes | bfloats, attributes: oldReduce},
		{since: 18, signature: "T L? -> T", types: extremes | bfloats, attributes: newReduce},
		{since: 20, signature: "T L? -> T", types: extremes | bfloats | bools, attributes: newReduce},
	}
)

type version struct {
	since int
	types typeSet
}

// plain is an operator without attributes whose versions differ in types alone.
func plain(signature string, versions ...version) (list []schema) {
	for _, v := range versions {
		list = append(list, schema{since: v.since, signature: signature, types: v.types})
	}
	return list
}

// schemaAt gives an operator as it is at an opset; nil for operators that the
// table does not have and for opsets that it does not cover. It fails where the
// operator came later.
func schemaAt(op string, opset int) (*schema, error) {
	versions := schemas[op]
	if len(versions) == 0 || opset < ops.MinOpset || opset > ops.MaxOpset {
		return nil, nil
	}
	for i, s := range slices.Backward(versions) {
		if s.since <= opset {
			return &versions[i], nil
		}
	}
	return nil, fmt.Errorf("opset %d does not have the operator, which came with opset %d", opset, versions[0].since)
}

func (s *schema) operands() (inputs, outputs []string) {
	before, after, _ := strings.Cut(s.signature, "->")
	return strings.Fields(before), strings.Fields(after)
}

// set is the element types that an operand's type name stands for.
func (s *schema) set(name string) typeSet {
	switch name {
	case "T":
		return s.types
	case "P":
		return s.second
	}
	return fixedTypes[name]
}

// input gives the type name of the i-th input and whether it must be there.
func (s *schema) input(i int) (name string, required, ok bool) {
	inputs, _ := s.operands()
	if len(inputs) > 0 && strings.HasSuffix(inputs[len(inputs)-1], "*") {
		return strings.TrimSuffix(inputs[len(inputs)-1], "*"), true, true
	}
	if i >= len(inputs) {
		return "", false, false
	}
	name, optional := strings.CutSuffix(inputs[i], "?")
	return name, !optional, true
}

// checkNode holds a node's operands and attributes against the schema. What an
// attribute refers to, in a function, has the type it says.
func (s *schema) checkNode(n *onnxpb.NodeProto) error {
	least, _ := s.operands()
	for i := range max(len(least), len(n.GetInput())) {
		_, required, ok := s.input(i)
		if !ok {
			return fmt.Errorf("it has %d inputs; since opset %d it takes %d", len(n.GetInput()), s.since, len(least))
		}
		if required && (i >= len(n.GetInput()) || n.GetInput()[i] == "") {
			return fmt.Errorf("its input %d is missing", i)
		}
	}
	if len(n.GetOutput()) != 1 || n.GetOutput()[0] == "" {
		return fmt.Errorf("it has outputs %q; it gives one", n.GetOutput())
	}
	return s.checkAttributes(n)
}

func (s *schema) checkAttributes(n *onnxpb.NodeProto) error {
	known := map[string]string{}
	for entry := range strings.SplitSeq(s.attributes, ",") {
		name, kind, _ := strings.Cut(strings.TrimSpace(entry), " ")
		known[name] = kind
	}
	for _, a := range n.GetAttribute() {
		kind, ok := known[a.GetName()]
		if !ok {
			return fmt.Errorf("attribute %q is not known to the operator as it is since opset %d", a.GetName(), s.since)
		}
		if kind = strings.TrimSuffix(kind, "!"); a.GetType().String() != kind {
			return fmt.Errorf("attribute %q is of type %s, not %s", a.GetName(), a.GetType(), kind)
		}
		delete(known, a.GetName())
	}
	for name, kind := range known {
		if strings.HasSuffix(kind, "!") {
			return fmt.Errorf("attribute %q is missing", name)
		}
	}
	return nil
}
