package interp

import (
	"fmt"
	"slices"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// attributes is what an operator is built from: the attributes of its node and
// what else is known when the model is loaded. Reading one that has the wrong type
// or value is remembered as err, so that builders need not check each.
type attributes struct {
	byName  map[string]*onnxpb.AttributeProto
	read    map[string]bool
	opset   int
	outputs int // that the node lists
	err     error
}

func newAttributes(list []*onnxpb.AttributeProto, opset, outputs int) (*attributes, error) {
	a := &attributes{
		byName: map[string]*onnxpb.AttributeProto{}, read: map[string]bool{},
		opset: opset, outputs: outputs,
	}
	for _, attribute := range list {
		if attribute == nil {
			return nil, fmt.Errorf("an attribute is null")
		}
		name := attribute.GetName()
		if a.byName[name] != nil {
			return nil, fmt.Errorf("attribute %q is given twice", name)
		}
		a.byName[name] = attribute
	}
	return a, nil
}

// check reports what went wrong while reading, and attributes that nobody read:
// ignoring one could change what the model means.
func (a *attributes) check() error {
	if a.err != nil {
		return a.err
	}
	for name := range a.byName {
		if !a.read[name] {
			return fmt.Errorf("attribute %q is not known at opset %d: %w", name, a.opset, engine.ErrUnsupported)
		}
	}
	return nil
}

func (a *attributes) fail(format string, args ...any) {
	if a.err == nil {
		a.err = fmt.Errorf(format, args...)
	}
}

func (a *attributes) find(name string, kind onnxpb.AttributeProto_AttributeType) *onnxpb.AttributeProto {
	a.read[name] = true
	attribute := a.byName[name]
	if attribute == nil {
		return nil
	}
	if got := attribute.GetType(); got != kind {
		a.fail("attribute %q is %s, want %s", name, got, kind)
		return nil
	}
	return attribute
}

func (a *attributes) has(name string) bool { return a.byName[name] != nil }

func (a *attributes) integer(name string, missing int) int {
	if attribute := a.find(name, onnxpb.AttributeProto_INT); attribute != nil {
		return int(attribute.GetI())
	}
	return missing
}

func (a *attributes) flag(name string, missing bool) bool {
	if attribute := a.find(name, onnxpb.AttributeProto_INT); attribute != nil {
		return attribute.GetI() != 0
	}
	return missing
}

func (a *attributes) float(name string, missing float64) float64 {
	if attribute := a.find(name, onnxpb.AttributeProto_FLOAT); attribute != nil {
		return float64(attribute.GetF())
	}
	return float64(float32(missing)) // the standard's defaults are float32 as well
}

func (a *attributes) text(name, missing string, allowed ...string) string {
	attribute := a.find(name, onnxpb.AttributeProto_STRING)
	if attribute == nil {
		return missing
	}
	text := string(attribute.GetS())
	if len(allowed) > 0 && !slices.Contains(allowed, text) {
		a.fail("attribute %q is %q, want one of %q", name, text, allowed)
	}
	return text
}

// integers gives nil where the attribute is missing, and never nil where it is there.
func (a *attributes) integers(name string) []int {
	attribute := a.find(name, onnxpb.AttributeProto_INTS)
	if attribute == nil {
		return nil
	}
	list := make([]int, len(attribute.GetInts()))
	for i, x := range attribute.GetInts() {
		list[i] = int(x)
	}
	return list
}

func (a *attributes) floats(name string) []float32 {
	if attribute := a.find(name, onnxpb.AttributeProto_FLOATS); attribute != nil {
		return slices.Clone(attribute.GetFloats())
	}
	return nil
}

// tensor gives the zero Tensor where the attribute is missing.
func (a *attributes) tensor(name string) engine.Tensor {
	attribute := a.find(name, onnxpb.AttributeProto_TENSOR)
	if attribute == nil {
		return engine.Tensor{}
	}
	t, err := engine.FromProto(attribute.GetT())
	if err != nil {
		a.fail("attribute %q: %w", name, err)
	}
	return t
}

func (a *attributes) require(names ...string) {
	for _, name := range names {
		if !a.has(name) {
			a.fail("attribute %q is missing", name)
		}
	}
}
