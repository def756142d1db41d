package losses_test

import (
	"fmt"
	"maps"
	"slices"

	"github.com/onnxloss/onnxloss/losses"
)

// mapping turns the cases of one kind into our terms.
type mapping = func(goldenCase) (mapped, error)

// mappings and exclusions of all families. Every exclusion must match a case of the
// repository's folder; elsewhere is what only other folders have.
var (
	mappings = merged(focalMappings, baselineMappings, bitemperedMappings, ganMappings,
		iouMappings, boundaryMappings, diceMappings, perceptualMappings, gradientMappings)
	exclusions = slices.Concat(focalExclusions, baselineExclusions, bitemperedExclusions, ganExclusions,
		iouExclusions, boundaryExclusions, diceExclusions, perceptualExclusions, gradientExclusions)
	elsewhere = slices.Concat(focalElsewhere, baselineElsewhere, bitemperedElsewhere, ganElsewhere,
		iouElsewhere, boundaryElsewhere, diceElsewhere, perceptualElsewhere, gradientElsewhere)
)

func merged(families ...map[string]mapping) map[string]mapping {
	all := map[string]mapping{}
	for _, family := range families {
		maps.Copy(all, family)
	}
	return all
}

// mapped is a golden case in our terms: a loss with its inputs or, where the case
// is made of several or of none, what was computed directly.
type mapped struct {
	direct *direct

	loss   *losses.Loss
	in     losses.Values
	params losses.Params
	// outputs says which of our reductions each output of the reference is; nil is
	// none, mean and sum by name.
	outputs map[string]losses.Reduction
	// without lists outputs of the reference that ours does not give, and why.
	without map[string]string
	// withoutGradient says why the reference's gradient is no target; "" is that it
	// is one.
	withoutGradient string
	// infinite says that the loss may rightly be infinite where the reference has NaN.
	infinite bool
	// also serves further outputs of the reference by further losses, which must
	// have outputs of their own; their gradients are not compared.
	also []mapped
	// scale is what our reduced loss is multiplied by to be the reference's, by
	// the reference's output.
	scale map[string]float64
	// reshape gives our result the shape of the reference's; nil where it has that.
	reshape func(output string, a losses.Array) losses.Array
	// names maps the reference's inputs to ours, for gradients; an input that is
	// not in it has the same name, and x is the first.
	names map[string]string
	// tolerance is relative; 0 is 1e-9.
	tolerance float64
	// undo turns our gradient by the logits into the shape of the reference's
	// input; nil where it has that.
	undo func(losses.Array) losses.Array
	// upstream gives the reference's upstream gradient the shape of our terms; nil
	// where it has that.
	upstream func(losses.Array) losses.Array
	// rounding is the absolute error that the reference may have in float64;
	// targetRounding is that of its gradient by the target.
	rounding, targetRounding float64
	// gradientRounding is that of its gradients on top of these.
	gradientRounding float64
}

// direct is a case's results by the reference's names, computed through the public
// functions of package losses by the mapping itself.
type direct struct {
	outputs                  map[string]losses.Array
	grad, gradMean, gradNone losses.Values
}

// reductionOf gives our reduction for an output of the reference.
func (m mapped) reductionOf(output string) (losses.Reduction, bool) {
	if m.outputs != nil {
		r, ok := m.outputs[output]
		return r, ok
	}
	r, err := losses.ParseReduction(output)
	return r, err == nil
}

func (m mapped) scaleOf(reduction string) float64 {
	if s, ok := m.scale[reduction]; ok {
		return s
	}
	return 1
}

// gradientOf finds our gradient by an input of the reference.
func (m mapped) gradientOf(name string, got losses.Values) (losses.Array, bool) {
	if ours, ok := m.names[name]; ok {
		name = ours
	} else if name == "x" {
		name = m.loss.Inputs[0].Name
	}
	a, ok := got[name]
	if ok && m.undo != nil {
		a = m.undo(a)
	}
	return a, ok
}

// goldenExclusion is a set of golden cases that are no target, and why.
type goldenExclusion struct {
	kind   string
	reason string
	when   func(goldenCase) bool // nil is always
}

func exclusion(c goldenCase) (reason string) {
	for _, e := range slices.Concat(exclusions, elsewhere) {
		if e.kind == c.kind() && (e.when == nil || e.when(c)) {
			return e.reason
		}
	}
	return ""
}

// settings gives the case's parameters, which must be among the known ones. Null
// leaves a parameter out; an alpha of null or below 0 is our -1.
func (c goldenCase) settings(known ...string) (map[string]any, error) {
	settings := map[string]any{}
	for name, value := range c.Params {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("%s has the parameter %s = %v, which its mapping does not know", c.kind(), name, value)
		}
		if value != nil {
			settings[name] = value
		}
	}
	_, given := c.Params["alpha"]
	if alpha, ok := settings["alpha"].(float64); given && (!ok || alpha < 0) {
		settings["alpha"] = -1.0
	}
	return settings, nil
}

// values gives the case's inputs under our names. Those of perClass, of shape [C],
// are reshaped to lie along axis 1 of an elementwise loss.
func (c goldenCase) values(perClass ...string) (losses.Values, error) {
	in := losses.Values{}
	for name, a := range c.Inputs {
		switch name {
		case "x":
			in["logits"] = a.array()
		case "target", "weight", "pos_weight":
			in[name] = a.array()
		default:
			return nil, fmt.Errorf("%s has the input %s, which its mapping does not know", c.kind(), name)
		}
	}
	for _, name := range perClass {
		if a, ok := in[name]; ok && len(a.Shape) == 1 {
			a.Shape = slices.Concat(a.Shape, slices.Repeat([]int{1}, max(0, len(in["logits"].Shape)-2)))
			in[name] = a
		}
	}
	return in, nil
}

// split gives the sizes of [N, C, d1, ...] as N, C and the product of the rest.
func split(shape []int) (outer, count, inner int) {
	outer, count, inner = 1, 1, 1
	for axis, d := range shape {
		switch axis {
		case 0:
			outer = d
		case 1:
			count = d
		default:
			inner *= d
		}
	}
	return outer, count, inner
}

func scaled(a losses.Array, factor float64) losses.Array {
	b := losses.Array{Shape: a.Shape, Data: slices.Clone(a.Data)}
	for i := range b.Data {
		b.Data[i] *= factor
	}
	return b
}
