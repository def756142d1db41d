package interp

import (
	"fmt"
	"slices"
	"sync"

	"github.com/onnxloss/onnxloss/runtime/engine"
)

// maxTensorBytes bounds one tensor: a few bytes of a malicious model (a shape for
// Expand, a count for Range) could otherwise ask for all memory. The same limit as
// that of a protobuf file, 2 GiB, leaves room for every real tensor.
var maxTensorBytes = 1 << 31

// room checks a shape and counts its elements before memory is taken for them.
// size is that of one element in bytes.
func room(shape []int, size int) (int, error) {
	n, err := engine.Count(shape)
	if err != nil {
		return 0, err
	}
	if n > maxTensorBytes/max(size, 1) {
		return 0, fmt.Errorf("a tensor of shape %v would take more than the limit of %d bytes", shape, maxTensorBytes)
	}
	return n, nil
}

// axisOf turns an axis that may count from the end into one that does not.
func axisOf(axis, rank int) (int, error) {
	if axis < -rank || axis >= rank {
		return 0, fmt.Errorf("axis %d is out of range [%d, %d]", axis, -rank, rank-1)
	}
	if axis < 0 {
		return axis + rank, nil
	}
	return axis, nil
}

// axesOf does so for a list, which must not name an axis twice.
func axesOf(axes []int, rank int) ([]int, error) {
	out := make([]int, len(axes))
	for i, axis := range axes {
		a, err := axisOf(axis, rank)
		if err != nil {
			return nil, err
		}
		if slices.Contains(out[:i], a) {
			return nil, fmt.Errorf("axes %v name axis %d twice", axes, a)
		}
		out[i] = a
	}
	return out, nil
}

// stridesOf gives the distance between neighbours along each axis of a dense tensor.
func stridesOf(shape []int) []int {
	strides := make([]int, len(shape))
	step := 1
	for i, d := range slices.Backward(shape) {
		strides[i] = step
		step *= d
	}
	return strides
}

// product multiplies sizes; that of none is 1.
func product(sizes []int) int {
	n := 1
	for _, d := range sizes {
		n *= d
	}
	return n
}

// broadcastShape gives the shape that tensors are stretched to together.
func broadcastShape(shapes ...[]int) ([]int, error) {
	rank := 0
	for _, s := range shapes {
		rank = max(rank, len(s))
	}
	out := make([]int, rank)
	for i := range out {
		out[i] = 1
		for _, s := range shapes {
			j := i - (rank - len(s))
			switch {
			case j < 0 || s[j] == 1 || s[j] == out[i]:
			case out[i] == 1:
				out[i] = s[j]
			default:
				return nil, fmt.Errorf("shapes %v do not broadcast: axis %d from the end is %d and %d", shapes, rank-i, out[i], s[j])
			}
		}
	}
	return out, nil
}

// broadcastStrides gives the strides by which a tensor of one shape is read as if
// it had another: 0 along the axes that it is stretched on.
func broadcastStrides(from, to []int) []int {
	strides := make([]int, len(to))
	own := stridesOf(from)
	shift := len(to) - len(from)
	for i, d := range from {
		if d != 1 {
			strides[shift+i] = own[i]
		}
	}
	return strides
}

// nest walks over a dense output and strided operands together. Axes that follow
// each other in every operand are merged, so that the innermost loop is long.
type nest struct {
	dims    []int
	strides [][]int // by operand
}

func newNest(shape []int, strides ...[]int) nest {
	n := nest{strides: make([][]int, len(strides))}
	for axis, d := range shape {
		if d == 1 {
			continue
		}
		if n.merges(axis, d, strides) {
			n.dims[len(n.dims)-1] *= d
			for k, s := range strides {
				n.strides[k][len(n.dims)-1] = s[axis]
			}
			continue
		}
		n.dims = append(n.dims, d)
		for k, s := range strides {
			n.strides[k] = append(n.strides[k], s[axis])
		}
	}
	if len(n.dims) == 0 {
		n.dims = []int{1}
		for k := range strides {
			n.strides[k] = []int{1}
		}
	}
	return n
}

// merges reports whether the last axis taken and the next one are one loop.
func (n nest) merges(axis, d int, strides [][]int) bool {
	if len(n.dims) == 0 {
		return false
	}
	for k, s := range strides {
		if n.strides[k][len(n.dims)-1] != s[axis]*d {
			return false
		}
	}
	return true
}

// inner gives the stride of an operand in the innermost loop.
func (n nest) inner(operand int) int { return n.strides[operand][len(n.dims)-1] }

// each calls f for every innermost loop: where it begins in the output and in
// each operand, and how long it is.
func (n nest) each(f func(out int, offsets []int, count int)) {
	last := len(n.dims) - 1
	count := n.dims[last]
	total := product(n.dims)
	index, offsets := make([]int, last), make([]int, len(n.strides))
	for out := 0; out < total; out += count {
		f(out, offsets, count)
		for axis := last - 1; axis >= 0; axis-- {
			index[axis]++
			for k := range offsets {
				offsets[k] += n.strides[k][axis]
			}
			if index[axis] < n.dims[axis] {
				break
			}
			for k := range offsets {
				offsets[k] -= n.strides[k][axis] * n.dims[axis]
			}
			index[axis] = 0
		}
	}
}

// offsets lists where every element of a strided tensor lies.
func offsets(shape, strides []int) []int {
	list := make([]int, 0, product(shape))
	n := newNest(shape, strides)
	step := n.inner(0)
	n.each(func(_ int, offsets []int, count int) {
		for i := range count {
			list = append(list, offsets[0]+i*step)
		}
	})
	return list
}

// parallel splits a range in two when it is worth the while. Two goroutines, so
// that several tests or sessions at a time do not fight over the machine.
func parallel(n, worth int, f func(from, to int)) {
	if n < worth || n < 2 {
		f(0, n)
		return
	}
	var wg sync.WaitGroup
	var panicked any
	wg.Go(func() {
		defer func() { panicked = recover() }()
		f(0, n/2)
	})
	f(n/2, n)
	wg.Wait()
	if panicked != nil {
		panic(panicked)
	}
}
