package verify

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// recipe is one way to fill a loss's inputs.
type recipe struct {
	name string
	size size
	// real draws a number of domain Real; it is what predictions are made of.
	real func(*drawer) float64
	// aligned makes the prediction from the target instead: it agrees where
	// positive, contradicts where negative, by this many units.
	aligned float64
	labels  labelling
	// weightless sets all weights to 0.
	weightless bool
}

// labelling says which targets are drawn.
type labelling int

const (
	mixed       labelling = iota // hard and soft ones
	hard                         // 0 and 1, one class each
	oneClass                     // the last class, or 1
	someIgnored                  // a third of them ignored
	allIgnored
)

// recipes lists what every model is run on.
func recipes() []recipe {
	return []recipe{
		{name: "random, scale 0.1", real: normal(0.1)},
		{name: "random, scale 1", real: normal(1), size: large},
		{name: "random, scale 5, single", real: normal(5), size: single},
		{name: "random, scale 30", real: normal(30)},
		{name: "empty", real: normal(1), size: empty},
		{name: "zeros", real: constant(0)},
		{name: "ties", real: constant(1.5), labels: hard},
		{name: "one class", real: normal(3), labels: oneClass},
		{name: "perfect", aligned: 12, labels: hard},
		{name: "perfect and sure", aligned: 300, labels: hard},
		{name: "opposite", aligned: -12, labels: hard},
		{name: "opposite and sure", aligned: -300, labels: hard},
		{name: "some ignored", real: normal(2), labels: someIgnored},
		{name: "all ignored", real: normal(2), labels: allIgnored},
		{name: "weights 0", real: normal(2), weightless: true},
		{name: "saturated", real: oneOf(17, 37, 88, 104), labels: hard},
		{name: "saturated, soft labels", real: oneOf(17, 37, 88, 104)},
		{name: "huge", real: oneOf(1e4)},
		{name: "huge and small", real: oneOf(1e4, 1e-4, 1, 0), labels: hard},
		{name: "denormal", real: denormal},
	}
}

// fits leaves out recipes that would be like another one for this loss.
func (r recipe) fits(loss *losses.Loss, p losses.Params, with []string) bool {
	if r.weightless && len(with) == 0 {
		return false
	}
	if r.labels != someIgnored && r.labels != allIgnored {
		return true
	}
	_, ignores := p["ignore_index"]
	return ignores && slices.ContainsFunc(loss.InputsFor(p), func(in losses.Input) bool { return in.Domain == losses.ClassIndex })
}

func normal(scale float64) func(*drawer) float64 {
	return func(d *drawer) float64 { return scale * d.NormFloat64() }
}

func constant(x float64) func(*drawer) float64 {
	return func(*drawer) float64 { return x }
}

// oneOf draws one of the magnitudes with either sign.
func oneOf(magnitudes ...float64) func(*drawer) float64 {
	return func(d *drawer) float64 { return d.sign() * magnitudes[d.IntN(len(magnitudes))] }
}

// denormal draws numbers below the smallest normal one of the element type.
func denormal(d *drawer) float64 {
	return d.sign() * engine.ULP(d.dtype, 0) * float64(d.IntN(100))
}

// drawer draws the inputs of one loss.
type drawer struct {
	*rand.Rand
	recipe  recipe
	dtype   ops.DType
	ignored int64 // the label that is ignored
	ignores bool
	centred bool // boxes are given by their centre
}

// newDrawer seeds the numbers with what they are for.
func newDrawer(seed uint64, what string, r recipe, dtype ops.DType, p losses.Params) *drawer {
	h := fnv.New64a()
	fmt.Fprint(h, what, "/", r.name)
	d := &drawer{Rand: rand.New(rand.NewPCG(seed, h.Sum64())), recipe: r, dtype: dtype}
	d.ignored, d.ignores = p["ignore_index"].(int64)
	d.centred = p.String("boxes") == "cxcywh"
	return d
}

func (d *drawer) sign() float64 {
	if d.IntN(2) == 0 {
		return -1
	}
	return 1
}

// field is one input to be filled.
type field struct {
	losses.Input
	shape []int
	dtype ops.DType
}

// draw fills the fields and returns them as tensors and, rounded alike, as arrays.
// Fields in known are there already. classes is the number of classes that labels
// count to.
func (d *drawer) draw(fields []field, known losses.Values, classes int) (map[string]engine.Tensor, losses.Values, error) {
	tensors, values := map[string]engine.Tensor{}, losses.Values{}
	for name, a := range known {
		values[name] = a
	}
	// Targets come first, because a prediction may be made from them.
	ordered := slices.Clone(fields)
	slices.SortStableFunc(ordered, func(a, b field) int { return rank(a.Role) - rank(b.Role) })
	for _, f := range ordered {
		numbers := d.fill(f, values, ordered, classes)
		t, err := engine.FromFloat64s(f.dtype, f.shape, numbers)
		if err != nil {
			return nil, nil, fmt.Errorf("input %q: %w", f.Name, err)
		}
		tensors[f.Name] = t
		values[f.Name] = losses.Array{Shape: slices.Clone(f.shape), Data: t.Float64s()}
	}
	return tensors, values, nil
}

func rank(r losses.Role) int {
	if r == losses.Prediction {
		return 1
	}
	return 0
}

func (d *drawer) fill(f field, values losses.Values, fields []field, classes int) []float64 {
	numbers := make([]float64, product(f.shape))
	if f.Role == losses.Prediction && d.recipe.aligned != 0 {
		for _, target := range fields {
			if target.Role == losses.Target && d.align(numbers, f, target, values[target.Name]) {
				return numbers
			}
		}
	}
	for i := range numbers {
		numbers[i] = d.number(f, classes)
	}
	switch f.Domain {
	case losses.Distribution:
		d.distribute(numbers, f)
	case losses.LogDistribution:
		d.logDistribute(numbers, f)
	case losses.Boxes:
		d.boxes(numbers)
		for _, other := range fields {
			if known, ok := values[other.Name]; ok && other.Domain == losses.Boxes && len(known.Data) == len(numbers) {
				d.relate(numbers, known.Data)
			}
		}
	}
	return numbers
}

// number draws one element of a field's domain.
func (d *drawer) number(f field, classes int) float64 {
	switch {
	case f.Role == losses.Weight:
		return d.weight()
	case f.Domain == losses.ClassIndex:
		return d.class(classes)
	case f.Domain == losses.Binary && f.Role == losses.Target:
		return d.label()
	case f.Domain == losses.Mask:
		return math.Round(d.label())
	case f.Domain == losses.Binary, f.Domain == losses.UnitInterval:
		return 1 / (1 + math.Exp(-d.real()))
	case f.Domain == losses.NonNegative:
		return math.Abs(d.real())
	case f.Domain == losses.Positive:
		return math.Exp(max(-8, min(d.real(), 8)))
	}
	return d.real()
}

func (d *drawer) real() float64 {
	if d.recipe.real == nil {
		return d.NormFloat64()
	}
	return d.recipe.real(d)
}

func (d *drawer) weight() float64 {
	switch {
	case d.recipe.weightless || d.IntN(8) == 0:
		return 0
	case d.IntN(8) == 0:
		return 1
	}
	return 4 * d.Float64()
}

func (d *drawer) class(classes int) float64 {
	switch {
	case d.recipe.labels == allIgnored && d.ignores, d.recipe.labels == someIgnored && d.ignores && d.IntN(3) == 0:
		return float64(d.ignored)
	case d.recipe.labels == oneClass:
		return float64(classes - 1)
	}
	return float64(d.IntN(classes))
}

func (d *drawer) label() float64 {
	switch {
	case d.recipe.labels == oneClass:
		return 1
	case d.recipe.labels == mixed && d.IntN(2) == 0:
		return d.Float64()
	}
	return float64(d.IntN(2))
}

// distribute turns numbers into distributions over axis 1: for targets as the
// labelling says, for predictions as the softmax of what was drawn.
func (d *drawer) distribute(numbers []float64, f field) {
	outer, classes, inner := around(f.shape)
	for o := range outer {
		for i := range inner {
			at := func(k int) *float64 { return &numbers[(o*classes+k)*inner+i] }
			switch {
			case f.Role == losses.Target && d.recipe.labels == oneClass:
				fillOneHot(at, classes, classes-1)
			case f.Role == losses.Target && d.recipe.labels == hard:
				fillOneHot(at, classes, d.IntN(classes))
			case f.Role == losses.Target:
				d.soften(at, classes)
			default:
				softmax(at, classes)
			}
		}
	}
}

// logDistribute turns numbers into logarithms of distributions over axis 1.
func (d *drawer) logDistribute(numbers []float64, f field) {
	outer, classes, inner := around(f.shape)
	for o := range outer {
		for i := range inner {
			highest, total := math.Inf(-1), 0.0
			at := func(k int) *float64 { return &numbers[(o*classes+k)*inner+i] }
			for k := range classes {
				highest = max(highest, *at(k))
			}
			for k := range classes {
				total += math.Exp(*at(k) - highest)
			}
			for k := range classes {
				*at(k) -= highest + math.Log(total)
			}
		}
	}
}

// boxes turns numbers into boxes around 8; the last axis has 4 numbers.
func (d *drawer) boxes(numbers []float64) {
	for at := 0; at+4 <= len(numbers); at += 4 {
		x, y := 8+math.Abs(numbers[at]), 8+math.Abs(numbers[at+1])
		w, h := math.Abs(numbers[at+2]), math.Abs(numbers[at+3])
		if d.centred {
			copy(numbers[at:], []float64{x + w/2, y + h/2, w, h})
		} else {
			copy(numbers[at:], []float64{x, y, x + w, y + h})
		}
	}
}

// relate puts some boxes into a special place beside others: equal, inside, touching,
// without a width, or ending before they start.
func (d *drawer) relate(numbers, others []float64) {
	for at := 0; at+4 <= len(numbers); at += 4 {
		box, other := numbers[at:at+4], others[at:at+4]
		width, start := other[2]-other[0], box[0]
		if d.centred {
			width, start = other[2], 0
		}
		switch d.IntN(10) {
		case 0:
			copy(box, other)
		case 1:
			copy(box, other)
			box[2] -= width / 2
		case 2:
			copy(box, other)
			box[0] += width
			if !d.centred {
				box[2] += width
			}
		case 3:
			box[2] = start
		case 4:
			box[2] = start - 1
		}
	}
}

// around splits [N, C, d1, ...] at the class axis.
func around(shape []int) (outer, classes, inner int) {
	if len(shape) < 2 {
		return 1, product(shape), 1
	}
	return shape[0], shape[1], product(shape[2:])
}

func fillOneHot(at func(int) *float64, classes, hot int) {
	for k := range classes {
		*at(k) = 0
	}
	*at(hot) = 1
}

func (d *drawer) soften(at func(int) *float64, classes int) {
	for k := range classes {
		*at(k) = 2 * d.NormFloat64()
	}
	softmax(at, classes)
}

func softmax(at func(int) *float64, classes int) {
	highest, total := math.Inf(-1), 0.0
	for k := range classes {
		highest = max(highest, *at(k))
	}
	for k := range classes {
		*at(k) = math.Exp(*at(k) - highest)
		total += *at(k)
	}
	for k := range classes {
		*at(k) /= total
	}
}

// align makes a prediction that agrees with the target or contradicts it, and
// reports whether it knows how to for inputs of this kind.
func (d *drawer) align(numbers []float64, prediction, target field, labels losses.Array) bool {
	sure := d.recipe.aligned
	switch {
	case target.Domain == losses.ClassIndex:
		_, classes, inner := around(prediction.shape)
		if len(labels.Data)*classes != len(numbers) {
			return false
		}
		for i := range numbers {
			hit := float64(i/inner%classes) == labels.Data[i/inner/classes*inner+i%inner]
			numbers[i] = agreement(prediction.Domain, hit, sure)
		}
	case len(labels.Data) != len(numbers):
		return false
	case target.Domain == losses.Boxes && prediction.Domain == losses.Boxes:
		copy(numbers, labels.Data)
	case target.Domain == losses.Real:
		for i, y := range labels.Data {
			numbers[i] = math.Copysign(1, sure) * y
		}
	default:
		for i, y := range labels.Data {
			numbers[i] = agreement(prediction.Domain, y >= 0.5, sure)
		}
	}
	return true
}

// agreement is a logit, or a probability, for a label that is there or not.
func agreement(domain losses.Domain, there bool, sure float64) float64 {
	if !there {
		sure = -sure
	}
	if domain == losses.Real || domain == losses.Logit {
		return sure
	}
	return 1 / (1 + math.Exp(-sure))
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
