package interp

import (
	"fmt"
	"slices"

	"github.com/onnxloss/onnxloss/runtime/engine"
)

// sliceAttributes is Slice before opset 10.
func sliceAttributes(a *attributes) kernel {
	a.require("starts", "ends")
	starts, ends, axes := a.integers("starts"), a.integers("ends"), a.integers("axes")
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		return one(sliced(in[0], starts, ends, axes, nil))
	}
}

func sliceInputs(*attributes) kernel {
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		return one(sliced(in[0], wholes(in[1]), wholes(in[2]), listed(nil, in[2:4]), listed(nil, in[3:5])))
	}
}

// sliced takes a range along each of the axes; nil axes are the first ones, and
// nil steps are 1.
func sliced(t engine.Tensor, starts, ends, axes, steps []int) (engine.Tensor, error) {
	if axes == nil {
		for i := range starts {
			axes = append(axes, i)
		}
	}
	if steps == nil {
		steps = slices.Repeat([]int{1}, len(starts))
	}
	if len(ends) != len(starts) || len(axes) != len(starts) || len(steps) != len(starts) {
		return engine.Tensor{}, fmt.Errorf("starts %v, ends %v, axes %v and steps %v differ in length", starts, ends, axes, steps)
	}
	axes, err := axesOf(axes, len(t.Shape()))
	if err != nil {
		return engine.Tensor{}, err
	}
	shape, strides := slices.Clone(t.Shape()), stridesOf(t.Shape())
	offset := 0
	for i, axis := range axes {
		if steps[i] == 0 {
			return engine.Tensor{}, fmt.Errorf("the step along axis %d is 0", axis)
		}
		first, count := cutRange(starts[i], ends[i], steps[i], shape[axis])
		offset += first * strides[axis]
		shape[axis] = count
		if count > 1 { // else the step may be out of all proportion
			strides[axis] *= steps[i]
		}
	}
	return strided(t, shape, offset, strides)
}

// cutRange gives where a slice of n elements begins and how many it takes.
func cutRange(start, end, step, n int) (first, count int) {
	if step > 0 {
		first, end = bound(start, n), bound(end, n)
		if end <= first {
			return 0, 0
		}
		return first, (end-first-1)/step + 1
	}
	first, end = boundBackwards(start, n), boundBackwards(end, n)
	if end >= first {
		return 0, 0
	}
	step = max(step, -n-1)
	return first, (first-end-1)/-step + 1
}

// boundBackwards clamps a position to [-1, n-1]; -1 is before the first element.
func boundBackwards(i, n int) int {
	if i < 0 {
		i += n
	}
	return min(max(i, -1), n-1)
}

// padAttributes is Pad before opset 11.
func padAttributes(a *attributes) kernel {
	mode := a.text("mode", "constant", "constant", "reflect", "edge")
	a.require("pads")
	pads, value := a.integers("pads"), a.float("value", 0)
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		fill, err := cast(engine.Scalar(value), in[0].DType())
		if err != nil {
			return nil, err
		}
		return one(pad(in[0], mode, pads, nil, fill))
	}
}

func padInputs(a *attributes) kernel {
	mode := a.text("mode", "constant", "constant", "reflect", "edge", "wrap")
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		return one(pad(in[0], mode, wholes(in[1]), padAxes(in), in[2]))
	}
}

// padAxes gives the axes that opset 18 lets a node name.
func padAxes(in []engine.Tensor) []int {
	if len(in) < 4 {
		return nil
	}
	return listed(nil, in[2:])
}

// pad puts pads[i] elements before and pads[len(axes)+i] after axis axes[i], or
// takes as many away where that is negative. nil axes are all axes.
func pad(t engine.Tensor, mode string, pads, axes []int, fill engine.Tensor) (engine.Tensor, error) {
	old := t.Shape()
	if axes == nil {
		for axis := range old {
			axes = append(axes, axis)
		}
	}
	axes, err := axesOf(axes, len(old))
	if err != nil {
		return engine.Tensor{}, err
	}
	if len(pads) != 2*len(axes) {
		return engine.Tensor{}, fmt.Errorf("pads are %v for %d axes of %s; want two for each", pads, len(axes), t)
	}
	shape, before := slices.Clone(old), make([]int, len(old))
	for i, axis := range axes {
		for _, p := range []int{pads[i], pads[len(axes)+i]} {
			if p > maxTensorBytes || p < -maxTensorBytes {
				return engine.Tensor{}, fmt.Errorf("a pad of %d along axis %d is beyond the limit", p, axis)
			}
		}
		before[axis] = pads[i]
		if shape[axis] += pads[i] + pads[len(axes)+i]; shape[axis] < 0 {
			return engine.Tensor{}, fmt.Errorf("pads %v take more than axis %d of %s has", pads, axis, t)
		}
	}
	from, err := padSources(old, shape, before, mode)
	if err != nil {
		return engine.Tensor{}, err
	}
	return elementsOf(t).gather(shape, from, 1, fill)
}

// padSources says which element of the old tensor each one of the new is, or -1.
func padSources(old, shape, before []int, mode string) ([]int, error) {
	n, err := room(shape, 8)
	if err != nil || n == 0 {
		return nil, err
	}
	from := []int{0}
	for axis, d := range shape {
		if d > 0 && old[axis] == 0 && mode != "constant" {
			return nil, fmt.Errorf("axis %d is empty, so mode %q has nothing to pad with", axis, mode)
		}
		next := make([]int, 0, len(from)*d)
		for _, base := range from {
			for i := range d {
				source := padSource(i-before[axis], old[axis], mode)
				if base < 0 || source < 0 {
					next = append(next, -1)
					continue
				}
				next = append(next, base*old[axis]+source)
			}
		}
		from = next
	}
	return from, nil
}

// padSource maps a position outside of [0, n) to one inside, or to -1.
func padSource(i, n int, mode string) int {
	if i >= 0 && i < n {
		return i
	}
	switch mode {
	case "edge":
		return bound(max(i, 0), n-1)
	case "wrap":
		return (i%n + n) % n
	case "reflect":
		period := max(2*(n-1), 1)
		i = (i%period + period) % period
		return min(i, period-i)
	}
	return -1
}

// reverseSequence turns around the first elements, as many as sequence_lens says,
// of every sequence of a batch.
func reverseSequence(a *attributes) kernel {
	time, batch := a.integer("time_axis", 0), a.integer("batch_axis", 1)
	if time+batch != 1 || time*batch != 0 {
		a.fail("time_axis is %d and batch_axis %d, want 0 and 1 or the other way around", time, batch)
	}
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		shape := in[0].Shape()
		lengths := wholes(in[1])
		if len(shape) < 2 || len(lengths) != shape[batch] {
			return nil, fmt.Errorf("input is %s with lengths %s, want one for each of the batch", in[0], in[1])
		}
		strides := stridesOf(shape)
		block := product(shape[2:])
		if in[0].Len() == 0 {
			return in[:1], nil
		}
		from := make([]int, shape[0]*shape[1])
		for i := range from {
			position := [2]int{i / shape[1], i % shape[1]}
			length := lengths[position[batch]]
			if length < 0 || length > shape[time] {
				return nil, fmt.Errorf("a sequence has length %d, but axis %d of %s has %d elements", length, time, in[0], shape[time])
			}
			if position[time] < length {
				position[time] = length - 1 - position[time]
			}
			from[i] = (position[0]*strides[0] + position[1]*strides[1]) / block
		}
		return one(elementsOf(in[0]).gather(shape, from, block, engine.Tensor{}))
	}
}
