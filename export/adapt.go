package export

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/onnxloss/onnxloss/internal/spelling"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
)

// source is what an input of a loss is bound to: a tensor, and what it passes
// through.
type source struct {
	tensor string // "" for a new input
	name   string // of a new input; "" is the loss's own
	steps  []step
}

// String writes it as parseSource reads it.
func (s source) String() string {
	first := s.tensor
	if first == "" {
		first = strings.TrimSpace(newInput + " " + s.name)
	}
	parts := []string{first}
	for _, step := range s.steps {
		parts = append(parts, step.text)
	}
	return strings.Join(parts, " | ")
}

// asIs says that the numbers are meant, whatever makes them.
func (s source) asIs() bool {
	return slices.ContainsFunc(s.steps, func(s step) bool { return s.text == asIs })
}

const (
	newInput = "new"
	asIs     = "as-is"
)

// parseSource reads "TENSOR | ADAPTER | ...", or "new NAME | ADAPTER | ...". Names of
// tensors may have any characters: the longest one that the model has counts.
func parseSource(text string, has func(string) bool) (source, error) {
	if has(text) {
		return source{tensor: text}, nil
	}
	for at := strings.LastIndex(text, "|"); at >= 0; at = strings.LastIndex(text[:at], "|") {
		if name := strings.TrimSpace(text[:at]); has(name) {
			return source{tensor: name}.through(text[at+1:])
		}
	}
	first, rest, adapted := strings.Cut(text, "|")
	from := source{tensor: strings.TrimSpace(first)}
	switch word, name, _ := strings.Cut(from.tensor, " "); {
	case from.tensor == "":
		return from, errors.New("no tensor is named; name one, or write new for an input that the model is to be given")
	case word == newInput:
		from.tensor, from.name = "", strings.TrimSpace(name)
	}
	if !adapted {
		return from, nil
	}
	return from.through(rest)
}

// through adds the adapters.
func (s source) through(text string) (source, error) {
	for part := range strings.SplitSeq(text, "|") {
		step, err := parseStep(part)
		if err != nil {
			return s, err
		}
		s.steps = append(s.steps, step)
	}
	return s, nil
}

// tensorType is an element type and a shape.
type tensorType struct {
	dtype ops.DType
	shape ops.Shape
}

// newInputs says what inputs of the model are made of that adapters turn into others.
type newInputs struct {
	index, float ops.DType
	classes      ops.Dim // as many as the prediction has
}

// step is an adapter with its arguments.
type step struct {
	text string
	// apply emits it; nil emits nothing.
	apply func(b *ops.Builder, v ops.Value) ops.Value
	// before is what it must be given for a result.
	before func(after tensorType, o newInputs) (tensorType, error)
}

// Adapter describes what a tensor can pass through on its way into a loss.
type Adapter struct {
	Usage string
	Doc   string
	parse func(args []string) (step, error)
}

func (a Adapter) name() string {
	name, _, _ := strings.Cut(a.Usage, " ")
	return name
}

// Adapters lists what can follow a tensor in AttachOptions.Bind, each behind a "|".
func Adapters() []Adapter {
	return []Adapter{
		{"transpose AXES", "reorder the axes: transpose 0 3 1 2 makes [N,C,H,W] of [N,H,W,C], transpose 0 2 1 makes [N,C,L] of [N,L,C]", parseTranspose},
		{"squeeze AXIS", "remove an axis of size 1", parseSqueeze},
		{"unsqueeze AXIS", "insert an axis of size 1", parseUnsqueeze},
		{"cast TYPE", "convert the elements, as in cast float32 or cast int64", parseCast},
		{"one-hot CLASSES", "make float32 0 and 1 of class indices, the classes on a new axis 1; an index that is no class is refused when the model runs", parseOneHot},
		{"argmax", "make class indices of one-hot numbers or scores, classes on axis 1; of equal numbers the first counts", parseArgMax},
		{"as-is", "take the numbers for logits although a Softmax or Sigmoid makes them", parseAsIs},
	}
}

// inverses are adapters that there are none of, for a reason.
var inverses = []string{"softmax-inverse", "inverse-softmax", "sigmoid-inverse", "inverse-sigmoid", "logit", "logits", "log"}

func parseStep(text string) (step, error) {
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' })
	if len(words) == 0 {
		return step{}, errors.New("an adapter is missing behind |; write one, such as transpose 0 2 1")
	}
	name := words[0]
	var known []string
	for _, a := range Adapters() {
		if a.name() != name {
			known = append(known, a.name())
			continue
		}
		made, err := a.parse(words[1:])
		if err != nil {
			return step{}, fmt.Errorf("adapter %q: %w; write %s", strings.Join(words, " "), err, a.Usage)
		}
		made.text = strings.Join(words, " ")
		return made, nil
	}
	if slices.Contains(inverses, name) {
		return step{}, fmt.Errorf("there is no adapter %q: a probability that has rounded to 0 or 1 has lost its logit, so that the loss of a sure answer would be infinite or wrong; bind what the Softmax or Sigmoid reads instead (onnxloss inspect names it)", name)
	}
	if near := spelling.Closest(name, known); near != "" {
		return step{}, fmt.Errorf("there is no adapter %q; did you mean %q?", name, near)
	}
	return step{}, fmt.Errorf("there is no adapter %q; known are %s", name, strings.Join(known, ", "))
}

// numbersIn reads between least and most whole numbers.
func numbersIn(args []string, least, most int) ([]int, error) {
	if len(args) < least || len(args) > most {
		return nil, fmt.Errorf("it has %d arguments", len(args))
	}
	numbers := make([]int, len(args))
	for i, text := range args {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a whole number", text)
		}
		numbers[i] = n
	}
	return numbers, nil
}

// most axes that a tensor is taken to have.
const maxRank = 32

func parseTranspose(args []string) (step, error) {
	order, err := numbersIn(args, 1, maxRank)
	if err != nil {
		return step{}, err
	}
	for i, axis := range slices.Sorted(slices.Values(order)) {
		if i != axis {
			return step{}, fmt.Errorf("%v is not an order of the axes 0 to %d", order, len(order)-1)
		}
	}
	return step{
		apply: func(b *ops.Builder, v ops.Value) ops.Value { return b.Transpose(v, order...) },
		before: func(after tensorType, _ newInputs) (tensorType, error) {
			if !after.shape.Known() {
				return after, nil
			}
			if len(after.shape) != len(order) {
				return after, fmt.Errorf("the loss needs the shape %s, which has another number of axes", after.shape)
			}
			shape := make(ops.Shape, len(order))
			for i, axis := range order {
				shape[axis] = after.shape[i]
			}
			return tensorType{after.dtype, shape}, nil
		},
	}, nil
}

func parseSqueeze(args []string) (step, error) {
	axes, err := numbersIn(args, 1, 1)
	if err != nil {
		return step{}, err
	}
	return step{
		apply: func(b *ops.Builder, v ops.Value) ops.Value { return b.Squeeze(v, axes[0]) },
		before: func(after tensorType, _ newInputs) (tensorType, error) {
			return after.inserted(axes[0], ops.Fixed(1))
		},
	}, nil
}

func parseUnsqueeze(args []string) (step, error) {
	axes, err := numbersIn(args, 1, 1)
	if err != nil {
		return step{}, err
	}
	return step{
		apply: func(b *ops.Builder, v ops.Value) ops.Value { return b.Unsqueeze(v, axes[0]) },
		before: func(after tensorType, _ newInputs) (tensorType, error) {
			return after.removed(axes[0], ops.Fixed(1))
		},
	}, nil
}

func parseCast(args []string) (step, error) {
	if len(args) != 1 {
		return step{}, fmt.Errorf("it has %d arguments", len(args))
	}
	dtype, err := ops.ParseDType(args[0])
	if err != nil {
		return step{}, err
	}
	if !dtype.IsFloat() && !dtype.IsInteger() {
		return step{}, fmt.Errorf("a loss reads no %s", dtype)
	}
	return step{
		apply: func(b *ops.Builder, v ops.Value) ops.Value { return b.Cast(v, dtype) },
		before: func(after tensorType, _ newInputs) (tensorType, error) {
			return after, errors.New("a new input has the type that the loss needs; leave the cast out, and use dtype or index type for another")
		},
	}, nil
}

func parseOneHot(args []string) (step, error) {
	numbers, err := numbersIn(args, 1, 1)
	if err != nil {
		return step{}, err
	}
	classes := numbers[0]
	if classes < 1 {
		return step{}, fmt.Errorf("%d classes are too few", classes)
	}
	return step{
		apply: func(b *ops.Builder, v ops.Value) ops.Value { return buildOneHot(b, v, classes) },
		before: func(after tensorType, o newInputs) (tensorType, error) {
			removed, err := after.removed(1, ops.Fixed(classes))
			return tensorType{o.index, removed.shape}, err
		},
	}, nil
}

// buildOneHot looks indices up among the classes, so that engines refuse one that is
// none; they would count a negative one from the end.
func buildOneHot(b *ops.Builder, index ops.Value, classes int) ops.Value {
	switch {
	case !index.DType().IsInteger():
		b.Fail("one-hot needs class indices, but the tensor is %s%s; put cast int64 before it", index.DType(), index.Shape())
		return index
	case len(index.Shape()) == 0:
		b.Fail("one-hot needs a tensor of known rank, 1 or more, but the shape is %s", index.Shape())
		return index
	}
	index = b.Cast(index, ops.Int64)
	index = b.Where(b.Less(index, b.Scalar(index, 0)), b.Scalar(index, float64(classes)), index)
	along := make([]int, len(index.Shape())+1)
	for i := range along {
		along[i] = 1
	}
	along[1] = classes
	numbers := make([]float64, classes)
	for k := range numbers {
		numbers[k] = float64(k)
	}
	found := b.Gather(b.Constant(ops.Int64, []int{classes}, numbers), index, 0)
	return b.Cast(b.Equal(b.Unsqueeze(found, 1), b.Constant(ops.Int64, along, numbers)), ops.Float32)
}

func parseArgMax(args []string) (step, error) {
	if len(args) != 0 {
		return step{}, fmt.Errorf("it has %d arguments", len(args))
	}
	return step{
		apply: func(b *ops.Builder, v ops.Value) ops.Value {
			if v.DType() != ops.Float64 { // the types that every engine takes
				v = b.Cast(v, ops.Float32)
			}
			return b.ArgMax(v, 1)
		},
		before: func(after tensorType, o newInputs) (tensorType, error) {
			inserted, err := after.inserted(1, o.classes)
			return tensorType{o.float, inserted.shape}, err
		},
	}, nil
}

func parseAsIs(args []string) (step, error) {
	if len(args) != 0 {
		return step{}, fmt.Errorf("it has %d arguments", len(args))
	}
	return step{before: func(after tensorType, _ newInputs) (tensorType, error) { return after, nil }}, nil
}

// inserted is the type with a further axis, so that it is at the given place.
func (t tensorType) inserted(axis int, d ops.Dim) (tensorType, error) {
	if !t.shape.Known() {
		return t, nil
	}
	at := axis
	if at < 0 {
		at += len(t.shape) + 1
	}
	if at < 0 || at > len(t.shape) {
		return t, fmt.Errorf("there is no place %d for an axis beside those of %s, which the loss needs", axis, t.shape)
	}
	return tensorType{t.dtype, slices.Insert(slices.Clone(t.shape), at, d)}, nil
}

// removed is the type without an axis, which must be able to have the size d.
func (t tensorType) removed(axis int, d ops.Dim) (tensorType, error) {
	if !t.shape.Known() {
		return t, nil
	}
	at := axis
	if at < 0 {
		at += len(t.shape)
	}
	if at < 0 || at >= len(t.shape) {
		return t, fmt.Errorf("the loss needs the shape %s, which has no axis %d", t.shape, axis)
	}
	if _, fixed := t.shape[at].Size(); fixed && t.shape[at] != d {
		return t, fmt.Errorf("the loss needs the shape %s, whose axis %d is not of size %s", t.shape, at, d)
	}
	return tensorType{t.dtype, slices.Delete(slices.Clone(t.shape), at, at+1)}, nil
}

// adapt puts the nodes of the steps into the model and gives the tensor that comes
// out.
func (h *host) adapt(in losses.Input, t models.Tensor, steps []step, prefix string) (models.Tensor, error) {
	b := ops.NewBuilder(h.opset, prefix, h.taken)
	first := b.Input(t.Name, t.DType, t.Shape)
	v := first
	for _, s := range steps {
		if s.apply == nil {
			continue
		}
		v = s.apply(b, v)
		if err := b.Err(); err != nil {
			return t, fmt.Errorf("%s: %s of %q, which is %s%s: %w", in.Name, s.text, t.Name, t.DType, t.Shape, err)
		}
	}
	if v == first {
		return t, nil
	}
	adapted := models.Tensor{Name: h.freeOutput(prefix + in.Name), DType: v.DType(), Shape: v.Shape()}
	v = b.Output(v, adapted.Name)
	fragment, err := b.Finish(v)
	if err != nil {
		return t, err
	}
	return adapted, h.add(piece{nodes: fragment.Nodes, valueInfo: fragment.ValueInfo}, "")
}
