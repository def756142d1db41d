package interp

import (
	"fmt"
	"maps"
	"slices"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// A kernel computes the outputs of an operator whose attributes it already knows.
// It must not change its inputs. Missing optional inputs are zero Tensors.
type kernel func(in []engine.Tensor) ([]engine.Tensor, error)

// version is an operator from one opset on, until the next version of it.
type version struct {
	since     int
	signature string
	build     func(*attributes) kernel
}

// Operator is one standard operator with its attributes, ready to be applied.
type Operator struct {
	name      string
	signature signature
	kernel    kernel
}

// NewOperator prepares an operator of the standard's own domain, as it is at an
// opset, for callers that walk a graph themselves. outputs is how many outputs
// the node lists, which Split and others go by. Operators with subgraphs need a
// model and are refused with engine.ErrUnsupported, as are unknown ones.
func NewOperator(opType string, opset, outputs int, list []*onnxpb.AttributeProto) (_ *Operator, err error) {
	defer recoverAs(&err, opType)
	o, err := newOperator(opType, opset, outputs, list)
	if err != nil {
		return nil, fmt.Errorf("interp: %s: %w", opType, err)
	}
	return o, nil
}

func newOperator(opType string, opset, outputs int, list []*onnxpb.AttributeProto) (*Operator, error) {
	v, err := find(opType, opset)
	if err != nil {
		return nil, err
	}
	s, err := parseSignature(v.signature)
	if err != nil {
		return nil, err
	}
	a, err := newAttributes(list, opset, outputs)
	if err != nil {
		return nil, err
	}
	k := v.build(a)
	if err := a.check(); err != nil {
		return nil, err
	}
	return &Operator{opType, s, s.wrap(k)}, nil
}

// Apply computes the outputs. A zero Tensor stands for an optional input that is
// missing. There may be more outputs than were asked for. Inputs are not changed,
// but outputs may share their elements.
func (o *Operator) Apply(inputs []engine.Tensor) (_ []engine.Tensor, err error) {
	defer recoverAs(&err, o.name)
	present := make([]bool, len(inputs))
	for i, t := range inputs {
		present[i] = !t.IsZero()
	}
	if err := o.signature.checkArity(present, 0); err != nil {
		return nil, fmt.Errorf("interp: %s: %w", o.name, err)
	}
	out, err := o.kernel(inputs)
	if err != nil {
		return nil, fmt.Errorf("interp: %s: %w", o.name, err)
	}
	return out, nil
}

// find gives the version of an operator that holds at an opset.
func find(opType string, opset int) (version, error) {
	versions := operators[opType]
	if len(versions) == 0 {
		return version{}, fmt.Errorf("there is no such operator here: %w", engine.ErrUnsupported)
	}
	for _, v := range slices.Backward(versions) {
		if v.since <= opset && v.build != nil {
			return v, nil
		}
		if v.since <= opset {
			return version{}, fmt.Errorf("the operator was withdrawn at opset %d: %w", v.since, engine.ErrUnsupported)
		}
	}
	return version{}, fmt.Errorf("opset %d has an older form of the operator than %d: %w", opset, versions[0].since, engine.ErrUnsupported)
}

// Support says at which opsets an operator is had, both ends included.
type Support struct {
	Operator    string
	First, Last int
}

// Operators lists the standard operators that the engine runs, sorted by name.
func Operators() []Support {
	var list []Support
	for _, name := range slices.Sorted(maps.Keys(operators)) {
		versions := operators[name]
		last := maxOpset
		if end := versions[len(versions)-1]; end.build == nil {
			last = end.since - 1
		}
		list = append(list, Support{name, versions[0].since, last})
	}
	for _, name := range slices.Sorted(maps.Keys(controlFlow)) {
		list = append(list, Support{name, controlFlow[name], maxOpset})
	}
	slices.SortFunc(list, func(a, b Support) int {
		if a.Operator < b.Operator {
			return -1
		}
		return 1
	})
	return list
}
