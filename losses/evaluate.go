package losses

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Reduction says how the terms of a loss become its value.
type Reduction string

// The reductions.
const (
	None Reduction = "none" // every term by itself
	Mean Reduction = "mean" // sum of the terms over the sum of their weights
	Sum  Reduction = "sum"
)

// Reductions lists all reductions.
func Reductions() []Reduction { return []Reduction{None, Mean, Sum} }

// ParseReduction reads "none", "mean" or "sum".
func ParseReduction(name string) (Reduction, error) {
	r := Reduction(name)
	if !slices.Contains(Reductions(), r) {
		return "", fmt.Errorf("losses: unknown reduction %q; use none, mean or sum", name)
	}
	return r, nil
}

// Evaluate computes the loss in float64. With reduction None the result has one
// element a term, else it is a scalar. The mean over no terms, or over terms whose
// weights sum to zero, is NaN. It is an error where Params, CheckInputs or
// CheckReduction refuses.
func (l *Loss) Evaluate(in Values, p Params, r Reduction) (Array, error) {
	if err := l.CheckReduction(r); err != nil {
		return Array{}, err
	}
	terms, err := l.Terms(in, p)
	if err != nil {
		return Array{}, err
	}
	return terms.Reduce(r), nil
}

// Reduce gives the loss's value. The mean over no terms, or over terms whose weights
// sum to zero, is NaN.
func (t Terms) Reduce(r Reduction) Array {
	switch r {
	case Sum:
		return scalar(sum(t.Loss.Data))
	case Mean:
		return scalar(sum(t.Loss.Data) / t.divisor())
	}
	return t.Loss
}

// CheckReduction proves that the loss has the reduction.
func (l *Loss) CheckReduction(r Reduction) error {
	if !slices.Contains(Reductions(), r) {
		return l.errorf("unknown reduction %q; use none, mean or sum", r)
	}
	if !slices.Contains(l.Reductions(), r) {
		return l.errorf("there is no %s of it: it is a head, whose result is not reduced; use reduction none", r)
	}
	return nil
}

// Terms computes the unreduced loss and its weights in float64, after Params and
// CheckInputs.
func (l *Loss) Terms(in Values, p Params) (Terms, error) {
	p, err := l.Params(p)
	if err != nil {
		return Terms{}, err
	}
	if err := l.CheckInputs(in, p); err != nil {
		return Terms{}, err
	}
	terms, err := l.Value(in, p)
	if err != nil {
		return Terms{}, l.errorf("%w", err)
	}
	return terms, nil
}

// EvaluateGradient computes the gradient of the reduced loss in float64, for every
// input that it has a derivative for, by name and in the input's shape. For None, upstream has the loss's shape and
// weighs its terms; nil stands for ones. For Mean and Sum upstream must be nil.
// The weights of a mean are taken as constants.
func (l *Loss) EvaluateGradient(in Values, p Params, r Reduction, upstream *Array) (Values, error) {
	if err := l.CheckReduction(r); err != nil {
		return nil, err
	}
	p, err := l.Params(p)
	if err != nil {
		return nil, err
	}
	terms, err := l.Terms(in, p)
	if err != nil {
		return nil, err
	}
	seed := Filled(terms.Loss.Shape, 1)
	switch {
	case r == Mean:
		seed = Filled(terms.Loss.Shape, 1/terms.divisor())
	case r == None && upstream != nil:
		seed = *upstream
	}
	if upstream != nil && r != None {
		return nil, l.errorf("an upstream gradient goes with reduction none, not %s", r)
	}
	if err := seed.check(); err != nil {
		return nil, l.errorf("the upstream gradient: %w", err)
	}
	if !slices.Equal(seed.Shape, terms.Loss.Shape) {
		return nil, l.errorf("the upstream gradient has shape %v, the loss %v", seed.Shape, terms.Loss.Shape)
	}
	return l.Gradient(in, p, seed)
}

func (t Terms) divisor() float64 {
	if t.Weight == nil {
		return float64(len(t.Loss.Data))
	}
	return sum(t.Weight.Data)
}

func scalar(x float64) Array { return Array{Shape: []int{}, Data: []float64{x}} }

// sum adds up with Neumaier's compensation, so that the reference's rounding does
// not grow with the number of terms. A non-finite partial sum is left alone.
func sum(numbers []float64) float64 {
	total, lost := 0.0, 0.0
	for _, x := range numbers {
		next := total + x
		if math.IsInf(next, 0) || math.IsNaN(next) {
			return plainSum(numbers)
		}
		if math.Abs(total) >= math.Abs(x) {
			lost += (total - next) + x
		} else {
			lost += (x - next) + total
		}
		total = next
	}
	return total + lost
}

func plainSum(numbers []float64) float64 {
	total := 0.0
	for _, x := range numbers {
		total += x
	}
	return total
}

// CheckInputs proves that the arrays are those the loss declares: none missing,
// none unknown, shapes that fit each other, labels in range.
func (l *Loss) CheckInputs(in Values, p Params) error {
	inputs := l.InputsFor(p)
	if err := l.checkNames(in, inputs); err != nil {
		return err
	}
	sizes := map[string]sizeOf{}
	for _, want := range inputs {
		got, ok := in[want.Name]
		if !ok {
			continue
		}
		if err := got.check(); err != nil {
			return l.errorf("%s: %w", want.Name, err)
		}
		if want.Broadcast {
			continue
		}
		if err := matchShape(sizes, want, got.Shape); err != nil {
			return l.errorf("%w", err)
		}
	}
	for _, want := range inputs {
		got, ok := in[want.Name]
		if !ok {
			continue
		}
		if err := l.checkInput(want, got, sizes, p); err != nil {
			return l.errorf("%w", err)
		}
	}
	return nil
}

func (l *Loss) checkNames(in Values, inputs []Input) error {
	var names []string
	for _, want := range inputs {
		names = append(names, want.Name)
		if _, ok := in[want.Name]; !ok && !want.Optional {
			return l.errorf("input %q is missing; it is the %s, of shape [%s]", want.Name, want.Role, want.Shape)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		if !slices.Contains(names, name) {
			return l.errorf("there is no input %q; the inputs are %s", name, strings.Join(names, ", "))
		}
	}
	return nil
}

func (l *Loss) checkInput(want Input, got Array, sizes map[string]sizeOf, p Params) error {
	if want.Broadcast {
		full := expand(want, sizes)
		if _, err := got.broadcast(full); err != nil {
			return fmt.Errorf("%s has shape %v, which does not broadcast to %v", want.Name, got.Shape, full)
		}
	}
	switch want.Domain {
	case Mask:
		return checkMask(want, got)
	case Positive:
		return checkPositive(want, got)
	}
	if want.Domain != ClassIndex {
		return nil
	}
	count := sizes["C"].dims[0]
	for i, label := range got.Data {
		if ignored, ok := p["ignore_index"].(int64); ok && label == float64(ignored) {
			continue
		}
		if !(label >= 0 && label < float64(count)) || label != math.Trunc(label) {
			return fmt.Errorf("%s holds the label %g at element %d; labels are whole numbers from 0 to %d%s", want.Name, label, i, count-1, ignoreHint(p))
		}
	}
	return nil
}

func checkMask(want Input, got Array) error {
	for i, x := range got.Data {
		if x != 0 && x != 1 {
			return fmt.Errorf("%s holds %g at element %d; a mask is 0 or 1", want.Name, x, i)
		}
	}
	return nil
}

func checkPositive(want Input, got Array) error {
	for i, x := range got.Data {
		if !(x > 0) || math.IsInf(x, 1) {
			return fmt.Errorf("%s holds %g at element %d; it must be above 0 and finite", want.Name, x, i)
		}
	}
	return nil
}

func ignoreHint(p Params) string {
	if ignored, ok := p["ignore_index"].(int64); ok {
		return fmt.Sprintf(", or %d to be ignored (ignore_index)", ignored)
	}
	return ""
}

// sizeOf remembers what a name in a declared shape stood for, and where.
type sizeOf struct {
	dims []int
	from string
}

// matchShape binds the names of a declared shape to a given one's sizes.
func matchShape(sizes map[string]sizeOf, want Input, got []int) error {
	names := want.Axes()
	rest := len(got) - (len(names) - 1)
	open := slices.Contains(names, "...")
	if !open && len(got) != len(names) || open && rest < 0 {
		return fmt.Errorf("%s has shape %v, but needs [%s]", want.Name, got, want.Shape)
	}
	if strings.HasPrefix(want.Shape, "N,C,") {
		sizes[SpatialAxes] = sizeOf{dims: []int{len(got) - 2}, from: want.Name}
	}
	at := 0
	for _, name := range names {
		n := 1
		if name == "..." {
			n = rest
		}
		dims := got[at : at+n]
		at += n
		if name == "C" && dims[0] == 0 {
			return fmt.Errorf("%s has shape %v, without any class; axis C must not be empty", want.Name, got)
		}
		if fixed, err := strconv.Atoi(name); err == nil && dims[0] != fixed {
			return fmt.Errorf("%s has shape %v, but needs [%s]", want.Name, got, want.Shape)
		}
		known, ok := sizes[name]
		if !ok {
			sizes[name] = sizeOf{dims: dims, from: want.Name}
			continue
		}
		if !slices.Equal(known.dims, dims) {
			return fmt.Errorf("%s has shape %v, which does not fit %s: %s is %v there and %v here", want.Name, got, known.from, name, known.dims, dims)
		}
	}
	return nil
}

func expand(in Input, sizes map[string]sizeOf) []int {
	full := []int{}
	for _, name := range in.Axes() {
		full = append(full, sizes[name].dims...)
	}
	return full
}
