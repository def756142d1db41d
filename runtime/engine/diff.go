package engine

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/onnxloss/onnxloss/ops"
)

// Tolerance says how far a floating-point element may lie from the wanted one: it
// passes where any of the three allows it. The zero Tolerance asks for equality, as
// does a negative or NaN bound.
type Tolerance struct {
	Abs float64 // largest |got - want|
	Rel float64 // largest |got - want| / |want|
	ULP uint64  // largest number of steps between got and want in their own element type
}

// Difference is an element that does not pass.
type Difference struct {
	Index []int // along each axis
	// Got and Want are the elements; those of half types as float32.
	Got, Want any
	// Abs is |got - want| and ULP the number of steps between them in the tensor's
	// element type. Both are infinite where no number says how far off the element
	// is: a NaN or an infinity against anything else, and strings.
	Abs, ULP float64
}

// Mismatch is the error of two tensors of the same type and shape whose elements
// differ by more than the tolerance.
type Mismatch struct {
	Count, Total int        // elements that do not pass, elements in all
	First        Difference // in row-major order
	Worst        Difference // by ULP, then by Abs
}

// Error gives how many elements differ, the first of them and the worst.
func (m *Mismatch) Error() string {
	s := fmt.Sprintf("engine: %d of %d elements differ: first %s", m.Count, m.Total, m.First)
	if m.Count > 1 {
		s += fmt.Sprintf(", worst %s", m.Worst)
	}
	return s
}

// String gives the place, the two elements and the error.
func (d Difference) String() string {
	place := strings.ReplaceAll(fmt.Sprint(d.Index), " ", ",")
	if text, ok := d.Got.(string); ok {
		return fmt.Sprintf("at %s: got %q, want %q", place, text, d.Want)
	}
	if math.IsInf(d.ULP, 1) {
		return fmt.Sprintf("at %s: got %v, want %v", place, d.Got, d.Want)
	}
	return fmt.Sprintf("at %s: got %v, want %v (off by %.3g, %g ULP)", place, d.Got, d.Want, d.Abs, d.ULP)
}

// Diff compares a tensor to the wanted one. Element types and shapes must agree.
// A NaN equals only a NaN, an infinity only itself, 0 equals -0. The tolerance is
// for floating-point types: integers, bools and strings must be equal. Elements
// that differ are reported as a *Mismatch.
func Diff(got, want Tensor, tol Tolerance) error {
	if got.dtype != want.dtype || !slices.Equal(got.shape, want.shape) {
		return fmt.Errorf("engine: got a tensor %s, want %s", got, want)
	}
	if m := diffData(got, want, tol); m != nil {
		return m
	}
	return nil
}

func diffData(got, want Tensor, tol Tolerance) *Mismatch {
	switch data := got.data.(type) {
	case []float32:
		return diffFloats(data, want, tol, func(x float32) float64 { return float64(x) })
	case []float64:
		return diffFloats(data, want, tol, func(x float64) float64 { return x })
	case []Float16:
		return diffFloats(data, want, tol, func(x Float16) float64 { return ops.Float16Value(uint16(x)) })
	case []BFloat16:
		return diffFloats(data, want, tol, func(x BFloat16) float64 { return ops.BFloat16Value(uint16(x)) })
	case []int8:
		return diffIntegers(data, want)
	case []int16:
		return diffIntegers(data, want)
	case []int32:
		return diffIntegers(data, want)
	case []int64:
		return diffIntegers(data, want)
	case []uint8:
		return diffIntegers(data, want)
	case []uint16:
		return diffIntegers(data, want)
	case []uint32:
		return diffIntegers(data, want)
	case []uint64:
		return diffIntegers(data, want)
	case []bool:
		return scan(data, want, func(a, b bool) (gap, bool) { return gap{1, 1}, a == b })
	case []string:
		return scan(data, want, func(a, b string) (gap, bool) { return noNumber, a == b })
	}
	return nil
}

// gap is how far two elements lie apart.
type gap struct{ abs, ulp float64 }

var noNumber = gap{math.Inf(1), math.Inf(1)}

func (g gap) worseThan(d Difference) bool {
	return g.ulp > d.ULP || g.ulp == d.ULP && g.abs > d.Abs
}

func diffFloats[T Element](got []T, want Tensor, tol Tolerance, value func(T) float64) *Mismatch {
	return scan(got, want, func(a, b T) (gap, bool) { return tol.compare(want.dtype, value(a), value(b)) })
}

func diffIntegers[T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64](got []T, want Tensor) *Mismatch {
	return scan(got, want, func(a, b T) (gap, bool) {
		// Subtracting modulo 2^64 is right for signed types too.
		apart := float64(uint64(max(a, b)) - uint64(min(a, b)))
		return gap{apart, apart}, a == b
	})
}

// compare measures two numbers of an element type and says whether they pass.
func (tol Tolerance) compare(dtype ops.DType, got, want float64) (gap, bool) {
	if got == want || math.IsNaN(got) && math.IsNaN(want) {
		return gap{}, true
	}
	if !finite(got) || !finite(want) {
		return noNumber, false
	}
	abs, steps := math.Abs(got-want), steps(dtype, got, want)
	// A difference that overflows is beyond every bound but ULP.
	near := finite(abs) && (abs <= tol.Abs || abs <= tol.Rel*math.Abs(want))
	return gap{abs, float64(steps)}, near || steps <= tol.ULP
}

// scan collects the elements that do not pass; nil says that all do.
func scan[T Element](got []T, want Tensor, compare func(got, want T) (gap, bool)) *Mismatch {
	var m *Mismatch
	wanted := Data[T](want)
	for i := range got {
		g, ok := compare(got[i], wanted[i])
		if ok {
			continue
		}
		if m == nil {
			m = &Mismatch{Total: len(got), First: difference(want.shape, i, got[i], wanted[i], g)}
			m.Worst = m.First
		}
		m.Count++
		if g.worseThan(m.Worst) {
			m.Worst = difference(want.shape, i, got[i], wanted[i], g)
		}
	}
	return m
}

func difference[T Element](shape []int, flat int, got, want T, g gap) Difference {
	return Difference{unravel(shape, flat), printable(got), printable(want), g.abs, g.ulp}
}

func printable(element any) any {
	switch x := element.(type) {
	case Float16:
		return float32(ops.Float16Value(uint16(x)))
	case BFloat16:
		return float32(ops.BFloat16Value(uint16(x)))
	}
	return element
}

// unravel turns a position in row-major order into an index along each axis.
func unravel(shape []int, flat int) []int {
	index := make([]int, len(shape))
	for axis := len(shape) - 1; axis >= 0; axis-- {
		index[axis] = flat % shape[axis]
		flat /= shape[axis]
	}
	return index
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
