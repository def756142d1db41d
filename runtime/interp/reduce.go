package interp

import (
	"fmt"
	"math"
	"slices"

	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// lanes describes the parts of a tensor that are computed on together, such as
// the elements that one sum runs over: bases has where each lane begins, and lane
// where its elements lie from there.
func lanes(shape, axes []int) (bases, lane []int) {
	strides := stridesOf(shape)
	var outer, outerStrides, inner, innerStrides []int
	for axis, d := range shape {
		if slices.Contains(axes, axis) {
			inner, innerStrides = append(inner, d), append(innerStrides, strides[axis])
		} else {
			outer, outerStrides = append(outer, d), append(outerStrides, strides[axis])
		}
	}
	return offsets(outer, outerStrides), offsets(inner, innerStrides)
}

// eachLane calls f with the elements of every lane, in a buffer that is only
// valid during the call.
func eachLane[T any](data []T, bases, lane []int, f func(i int, elements []T)) {
	parallel(len(bases), worthSplitting/(len(lane)+1), func(from, to int) {
		buffer := make([]T, len(lane))
		for i := from; i < to; i++ {
			if isDense(lane) {
				f(i, data[bases[i]:bases[i]+len(lane)])
				continue
			}
			for j, at := range lane {
				buffer[j] = data[bases[i]+at]
			}
			f(i, buffer)
		}
	})
}

// isDense reports whether the elements of a lane lie side by side. Offsets rise
// along every axis, so the last one tells.
func isDense(lane []int) bool { return len(lane) > 0 && lane[len(lane)-1] == len(lane)-1 }

// reduction builds an operator that folds axes away. The axes are an attribute or,
// in newer opsets, an input.
func reduction(name string) func(*attributes) kernel {
	return func(a *attributes) kernel {
		keep := a.flag("keepdims", true)
		listed := a.integers("axes")
		noop := a.flag("noop_with_empty_axes", false)
		return func(in []engine.Tensor) ([]engine.Tensor, error) {
			axes := listed
			if len(in) > 1 && !in[1].IsZero() {
				axes = wholes(in[1])
			}
			if len(axes) == 0 && noop {
				return one(reduceElements(name, in[0]))
			}
			return one(reduce(name, in[0], axes, keep))
		}
	}
}

// reduceElements is a reduction over no axes: each element is its own sum.
func reduceElements(name string, t engine.Tensor) (engine.Tensor, error) {
	bases, lane := lanes(t.Shape(), nil)
	return numbersOf(t).reduce(name, t.Shape(), bases, lane)
}

// reduce folds the axes of t, all of them where none are named.
func reduce(name string, t engine.Tensor, axes []int, keep bool) (engine.Tensor, error) {
	rank := len(t.Shape())
	axes, err := axesOf(axes, rank)
	if err != nil {
		return engine.Tensor{}, err
	}
	if len(axes) == 0 {
		for axis := range rank {
			axes = append(axes, axis)
		}
	}
	shape := reducedShape(t.Shape(), axes, keep)
	if _, err := room(shape, 8); err != nil {
		return engine.Tensor{}, err
	}
	bases, lane := lanes(t.Shape(), axes)
	if t.DType() != ops.Bool {
		return numbersOf(t).reduce(name, shape, bases, lane)
	}
	folded, err := numbersOf(bits(t)).reduce(name, shape, bases, lane)
	if err != nil {
		return engine.Tensor{}, err
	}
	return cast(folded, ops.Bool)
}

func reducedShape(shape, axes []int, keep bool) []int {
	var out []int
	for axis, d := range shape {
		switch {
		case !slices.Contains(axes, axis):
			out = append(out, d)
		case keep:
			out = append(out, 1)
		}
	}
	return out
}

func (v vector[T, A]) reduce(op string, shape, bases, lane []int) (engine.Tensor, error) {
	if len(lane) == 0 && !isFloat[T]() && (op == "Mean" || op == "LogSum" || op == "LogSumExp") {
		return engine.Tensor{}, fmt.Errorf("the result over no elements is not an integer")
	}
	f := reducer[T, A](op)
	out := make([]T, len(bases))
	eachLane(v, bases, lane, func(i int, elements []T) { out[i] = f(elements) })
	return engine.New(shape, out)
}

// reducer gives the function that folds a list to one number.
func reducer[T, A number](op string) func([]T) T {
	switch op {
	case "Max":
		return func(list []T) T { return fold(list, lowest[T](), func(x, y T) T { return max(x, y) }) }
	case "Min":
		return func(list []T) T { return fold(list, highest[T](), func(x, y T) T { return min(x, y) }) }
	case "Prod":
		return func(list []T) T { return T(fold(list, 1, func(x A, y T) A { return x * A(y) })) }
	case "Mean":
		return func(list []T) T { return T(sum[T, A](list) / A(len(list))) }
	case "L1":
		return func(list []T) T { return T(fold(list, 0, func(x A, y T) A { return x + magnitude(A(y)) })) }
	case "L2":
		return func(list []T) T { return T(math.Sqrt(float64(sumSquare[T, A](list)))) }
	case "SumSquare":
		return func(list []T) T { return T(sumSquare[T, A](list)) }
	case "LogSum":
		return func(list []T) T { return T(math.Log(float64(sum[T, A](list)))) }
	case "LogSumExp":
		return func(list []T) T { return T(logSumExp(list)) }
	}
	return func(list []T) T { return T(sum[T, A](list)) } // Sum
}

func fold[T, A any](list []T, start A, f func(A, T) A) A {
	for _, x := range list {
		start = f(start, x)
	}
	return start
}

func sum[T, A number](list []T) A {
	var total A
	for _, x := range list {
		total += A(x)
	}
	return total
}

func magnitude[A number](x A) A {
	if x < 0 {
		return -x
	}
	return x
}

func sumSquare[T, A number](list []T) A {
	var total A
	for _, x := range list {
		total += A(x) * A(x)
	}
	return total
}

// logSumExp shifts by the largest element, so that no exponential overflows.
func logSumExp[T number](list []T) float64 {
	peak := math.Inf(-1)
	for _, x := range list {
		peak = math.Max(peak, float64(x))
	}
	if math.IsInf(peak, 0) || math.IsNaN(peak) {
		return peak
	}
	total := 0.0
	for _, x := range list {
		total += math.Exp(float64(x) - peak)
	}
	return peak + math.Log(total)
}

// lowest is what the maximum of nothing is: -Inf, or the smallest integer.
func lowest[T number]() T {
	var zero T
	if isFloat[T]() {
		return T(math.Inf(-1))
	}
	if zero-1 > 0 {
		return 0
	}
	return -highest[T]() - 1
}

// highest is what the minimum of nothing is: +Inf, or the largest integer.
func highest[T number]() T {
	if isFloat[T]() {
		return T(math.Inf(1))
	}
	x := T(1)
	for x*2+1 > x {
		x = x*2 + 1
	}
	return x
}

// argument builds ArgMax and ArgMin.
func argument(largest bool) func(*attributes) kernel {
	return func(a *attributes) kernel {
		axis, keep := a.integer("axis", 0), a.flag("keepdims", true)
		last := a.flag("select_last_index", false)
		return func(in []engine.Tensor) ([]engine.Tensor, error) {
			axis, err := axisOf(axis, len(in[0].Shape()))
			if err != nil {
				return nil, err
			}
			if in[0].Shape()[axis] == 0 {
				return nil, fmt.Errorf("input %s has no elements along axis %d to choose from", in[0], axis)
			}
			bases, lane := lanes(in[0].Shape(), []int{axis})
			shape := reducedShape(in[0].Shape(), []int{axis}, keep)
			return one(numbersOf(in[0]).argmin(shape, bases, lane, largest, last))
		}
	}
}

func (v vector[T, A]) argmin(shape, bases, lane []int, largest, last bool) (engine.Tensor, error) {
	out := make([]int64, len(bases))
	eachLane(v, bases, lane, func(i int, list []T) {
		best := 0
		for j, x := range list {
			better := x < list[best]
			if largest {
				better = x > list[best]
			}
			if better || last && x == list[best] {
				best = j
			}
		}
		out[i] = int64(best)
	})
	return engine.New(shape, out)
}

func cumsum(a *attributes) kernel {
	exclusive, reverse := a.flag("exclusive", false), a.flag("reverse", false)
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		axis, err := single(in[1], "axis")
		if err != nil {
			return nil, err
		}
		if axis, err = axisOf(axis, len(in[0].Shape())); err != nil {
			return nil, err
		}
		bases, lane := lanes(in[0].Shape(), []int{axis})
		if reverse {
			slices.Reverse(lane)
		}
		return one(numbersOf(in[0]).cumsum(in[0].Shape(), bases, lane, exclusive))
	}
}

func (v vector[T, A]) cumsum(shape, bases, lane []int, exclusive bool) (engine.Tensor, error) {
	out := make([]T, len(v))
	for _, base := range bases {
		var total A
		for _, at := range lane {
			x := A(v[base+at])
			if exclusive {
				out[base+at] = T(total)
			}
			if total += x; !exclusive {
				out[base+at] = T(total)
			}
		}
	}
	return engine.New(shape, out)
}

// softmaxAxis is Softmax, LogSoftmax and Hardmax from opset 13 on: along one axis.
func softmaxAxis(logarithm, hard bool) func(*attributes) kernel {
	return func(a *attributes) kernel {
		axis := a.integer("axis", -1)
		return func(in []engine.Tensor) ([]engine.Tensor, error) {
			axis, err := axisOf(axis, len(in[0].Shape()))
			if err != nil {
				return nil, err
			}
			bases, lane := lanes(in[0].Shape(), []int{axis})
			return one(floatsOf(in[0]).softmax(in[0].Shape(), bases, lane, logarithm, hard))
		}
	}
}

// softmaxMatrix is the same before opset 13: the tensor is seen as a matrix, its
// columns being all axes from the given one on.
func softmaxMatrix(logarithm, hard bool) func(*attributes) kernel {
	return func(a *attributes) kernel {
		axis := a.integer("axis", 1)
		return func(in []engine.Tensor) ([]engine.Tensor, error) {
			rank := len(in[0].Shape())
			if axis < -rank || axis > rank {
				return nil, fmt.Errorf("axis %d is out of range [%d, %d]", axis, -rank, rank)
			}
			first := axis
			if first < 0 {
				first += rank
			}
			var axes []int
			for i := first; i < rank; i++ {
				axes = append(axes, i)
			}
			bases, lane := lanes(in[0].Shape(), axes)
			return one(floatsOf(in[0]).softmax(in[0].Shape(), bases, lane, logarithm, hard))
		}
	}
}

func (r real[T]) softmax(shape, bases, lane []int, logarithm, hard bool) (engine.Tensor, error) {
	out := make([]T, len(r.data))
	if len(out) == 0 {
		return engine.New(shape, out)
	}
	eachLane(r.data, bases, lane, func(i int, list []T) {
		write := func(j int, x float64) { out[bases[i]+lane[j]] = T(x) }
		switch {
		case hard:
			write(firstLargest(list), 1)
		case logarithm:
			peak, rest := logSumExpParts(list)
			for j, x := range list {
				write(j, float64(x)-peak-rest)
			}
		default:
			softmaxLane(list, write)
		}
	})
	return engine.New(shape, out)
}

// firstLargest passes over NaNs, unless one comes first.
func firstLargest[T float](list []T) int {
	best := 0
	for i, x := range list {
		if x > list[best] {
			best = i
		}
	}
	return best
}

// logSumExpParts gives log(sum(exp(x))) as a sum of two: together they would
// lose the digits of the second where the first is huge.
func logSumExpParts[T float](list []T) (peak, rest float64) {
	peak = float64(slices.Max(list))
	total := 0.0
	for _, x := range list {
		total += math.Exp(float64(x) - peak)
	}
	return peak, math.Log(total)
}

func softmaxLane[T float](list []T, write func(int, float64)) {
	peak := float64(slices.Max(list))
	powers := make([]float64, len(list))
	total := 0.0
	for j, x := range list {
		powers[j] = math.Exp(float64(x) - peak)
		total += powers[j]
	}
	for j, p := range powers {
		write(j, p/total)
	}
}
