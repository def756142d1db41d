package verify

import (
	"fmt"
	"math"
	"slices"

	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// flushed is how many of the smallest normal numbers may be lost in one term.
const flushed = 8

// precision is what the computing type of an element type allows.
type precision struct {
	dtype ops.DType
	eps   float64 // spacing of the computing type at 1
	tiny  float64 // its smallest normal number
}

func precisionOf(dtype ops.DType) precision {
	if dtype == ops.Float64 {
		return precision{dtype, 0x1p-52, 0x1p-1022}
	}
	return precision{dtype, 0x1p-23, 0x1p-126}
}

// infinite is the smallest magnitude that rounds to infinity.
func (p precision) infinite() float64 {
	switch p.dtype {
	case ops.Float16:
		return 65520
	case ops.BFloat16:
		return (2 - 0x1p-8) * 0x1p127
	case ops.Float32:
		return (2 - 0x1p-24) * 0x1p127
	}
	return math.Inf(1)
}

// rounding is what one rounding to a half type may add to a number that is itself
// off by at most tolerance. The other types compute in themselves.
func (p precision) rounding(want, tolerance float64) float64 {
	if !p.dtype.IsHalf() {
		return 0
	}
	return engine.ULP(p.dtype, min(math.Abs(want)+tolerance, math.MaxFloat64)) / 2
}

// expectation is the reference's result for one input and reduction.
type expectation struct {
	precision
	shape     []int
	want      []float64
	tolerance []float64
	lost      float64 // the part of the tolerance that is for flushed numbers
}

// reference is a loss computed on one input: its terms and how far they may be off.
type reference struct {
	precision
	terms, bound losses.Array
	weight       *losses.Array
	lost         float64 // what flushing to zero may take from a term
}

func newReference(loss *losses.Loss, p losses.Params, in losses.Values, dtype ops.DType) (reference, error) {
	r := reference{precision: precisionOf(dtype)}
	terms, err := loss.Terms(in, p)
	if err != nil {
		return r, err
	}
	r.terms, r.weight = terms.Loss, terms.Weight
	if r.bound, err = loss.Bound(in, p, r.eps); err != nil {
		return r, err
	}
	if err := checkBound(r.bound, r.terms); err != nil {
		return r, fmt.Errorf("losses: %s: %w", loss.Command(), err)
	}
	r.lost = flushed * r.tiny * largestWeight(loss, p, in)
	return r, nil
}

// expect gives a reduction's result and how far an engine's may lie from it.
func (r reference) expect(how losses.Reduction) expectation {
	e := expectation{precision: r.precision, lost: r.lost}
	terms := losses.Terms{Loss: r.terms, Weight: r.weight}
	want := terms.Reduce(how)
	e.shape, e.want = want.Shape, want.Data
	if how == losses.None {
		e.tolerance = slices.Clone(r.bound.Data)
	} else {
		e.lost *= float64(len(r.bound.Data))
	}
	switch how {
	case losses.Sum:
		e.tolerance = []float64{e.sumTolerance(terms, r.bound)}
	case losses.Mean:
		e.tolerance = []float64{e.meanTolerance(terms, r.bound)}
	}
	for i, want := range e.want {
		e.tolerance[i] += e.lost
		e.tolerance[i] += e.rounding(want, e.tolerance[i])
	}
	return e
}

// checkBound refuses a bound that would let everything pass, or is not one.
func checkBound(bound, terms losses.Array) error {
	if !slices.Equal(bound.Shape, terms.Shape) {
		return fmt.Errorf("its Bound has shape %v, the unreduced loss %v", bound.Shape, terms.Shape)
	}
	for i, b := range bound.Data {
		if finite(terms.Data[i]) && !(b >= 0 && b <= math.MaxFloat64) {
			return fmt.Errorf("its Bound is %g at element %d; it must be finite and not negative", b, i)
		}
	}
	return nil
}

func largestWeight(loss *losses.Loss, p losses.Params, in losses.Values) float64 {
	largest := 1.0
	for _, input := range loss.InputsFor(p) {
		if input.Role != losses.Weight {
			continue
		}
		for _, w := range in[input.Name].Data {
			largest = max(largest, w)
		}
	}
	return largest
}

func (e expectation) sumTolerance(terms losses.Terms, bound losses.Array) float64 {
	total, magnitude := 0.0, 0.0
	for i, b := range bound.Data {
		total += b
		magnitude += math.Abs(terms.Loss.Data[i])
	}
	return total + float64(len(bound.Data))*e.eps*magnitude
}

// meanTolerance also allows for the rounding of the division, and of the weights'
// sum where there are weights.
func (e *expectation) meanTolerance(terms losses.Terms, bound losses.Array) float64 {
	n := float64(len(bound.Data))
	divisor, roundings := n, 1.0
	if terms.Weight != nil {
		divisor, roundings = 0, 1+n
		for _, w := range terms.Weight.Data {
			divisor += w
		}
	}
	e.lost /= divisor
	return e.sumTolerance(terms, bound)/divisor + roundings*e.eps*math.Abs(e.want[0])
}

// verdict is the judgement of one element.
type verdict struct {
	ok       bool
	ulp      float64 // the error beyond lost numbers, in spacings of the element type
	fraction float64 // the error over the tolerance
}

var (
	exact = verdict{ok: true}
	wrong = verdict{ulp: math.Inf(1), fraction: math.Inf(1)}
)

func exactIf(ok bool) verdict {
	if ok {
		return exact
	}
	return wrong
}

// judge compares one element. Near the largest finite number both an infinity and
// a number within the tolerance pass.
func (e expectation) judge(got float64, i int) verdict {
	want, tolerance := e.want[i], e.tolerance[i]
	switch {
	case math.IsNaN(want):
		return exactIf(math.IsNaN(got))
	case math.IsInf(want, 0) || math.Abs(want)-tolerance >= e.infinite():
		return exactIf(got == math.Inf(int(math.Copysign(1, want))))
	case math.Abs(want)+tolerance >= e.infinite() && got == math.Inf(int(math.Copysign(1, want))):
		return exact
	case !finite(got):
		return wrong
	}
	off := math.Abs(got - want)
	return verdict{
		ok:       off <= tolerance,
		ulp:      max(0, off-e.lost) / engine.ULP(e.dtype, want),
		fraction: off / tolerance,
	}
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
