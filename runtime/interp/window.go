package interp

import (
	"fmt"
	"slices"
)

// window is what moves over an image: its size, and how it moves. The lists have
// one entry for each spatial axis, once resolve has filled them in.
type window struct {
	autoPad                    string
	kernel, strides, dilations []int
	pads                       []int // before every axis, then after
	ceil                       bool
	in, out                    []int // spatial sizes of input and output
}

func newWindow(a *attributes) window {
	return window{
		autoPad: a.text("auto_pad", "NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"),
		kernel:  a.integers("kernel_shape"), strides: a.integers("strides"),
		dilations: a.integers("dilations"), pads: a.integers("pads"),
	}
}

// complete fills in what the attributes left open and checks the rest.
func (w *window) complete(in []int) error {
	w.in = in
	rank := len(in)
	if rank == 0 {
		return fmt.Errorf("the input has no spatial axes")
	}
	ones := slices.Repeat([]int{1}, rank)
	for _, list := range []*[]int{&w.strides, &w.dilations} {
		if *list == nil {
			*list = ones
		}
	}
	if w.pads == nil || w.autoPad == "VALID" {
		w.pads = make([]int, 2*rank)
	}
	if len(w.kernel) != rank || len(w.strides) != rank || len(w.dilations) != rank || len(w.pads) != 2*rank {
		return fmt.Errorf("kernel %v, strides %v, dilations %v and pads %v do not fit %d spatial axes",
			w.kernel, w.strides, w.dilations, w.pads, rank)
	}
	// Beyond what a tensor can hold, sizes make no sense and may overflow.
	const limit = 1 << 30
	for _, list := range [][]int{w.kernel, w.strides, w.dilations} {
		if slices.Min(list) < 1 || slices.Max(list) > limit {
			return fmt.Errorf("kernel %v, strides %v and dilations %v must be at least 1", w.kernel, w.strides, w.dilations)
		}
	}
	if slices.Min(w.pads) < 0 || slices.Max(w.pads) > limit {
		return fmt.Errorf("pads %v must not be negative", w.pads)
	}
	return nil
}

// resolve works out pads and output for an input of given spatial sizes.
func (w *window) resolve(in []int) error {
	if err := w.complete(in); err != nil {
		return err
	}
	rank := len(in)
	w.pads, w.out = slices.Clone(w.pads), make([]int, rank)
	for i, size := range in {
		span, stride := w.extent(i), w.strides[i]
		if w.autoPad == "SAME_UPPER" || w.autoPad == "SAME_LOWER" {
			w.out[i] = (size + stride - 1) / stride
			w.share(i, max((w.out[i]-1)*stride+span-size, 0), w.autoPad == "SAME_UPPER")
			continue
		}
		free := size + w.pads[i] + w.pads[rank+i] - span
		if free < 0 {
			return fmt.Errorf("the window reaches over %d elements, but axis %d has %d with its pads", span, i+2, free+span)
		}
		w.out[i] = free/stride + 1
		// With ceil_mode a last window may overhang, but must not begin in the
		// padding behind the input.
		if w.ceil && free%stride != 0 && w.out[i]*stride < size+w.pads[i] {
			w.out[i]++
		}
	}
	return nil
}

// extent is how many elements the window reaches over along an axis.
func (w *window) extent(axis int) int { return (w.kernel[axis]-1)*w.dilations[axis] + 1 }

// share splits padding between both ends of an axis; an odd one goes to the end
// where more is at the end.
func (w *window) share(axis, total int, moreAtEnd bool) {
	half := total / 2
	if !moreAtEnd {
		half = total - half
	}
	w.pads[axis], w.pads[len(w.in)+axis] = half, total-half
}

// span is the part of a window that lies inside of an axis.
type span struct {
	first, step, count int // positions in the input
	tap                int // the window's element that first is
	padded             int // how many elements lie in input or padding
}

// spanAt gives that part for one output position.
func (w *window) spanAt(axis, out int) span {
	begin, step := out*w.strides[axis]-w.pads[axis], w.dilations[axis]
	tap := 0
	if begin < 0 {
		tap = (-begin + step - 1) / step
	}
	inside := func(end int) int { // taps before a position
		if end <= begin {
			return 0
		}
		return min((end-begin-1)/step+1, w.kernel[axis])
	}
	return span{
		first: begin + tap*step, step: step, tap: tap,
		count:  max(inside(w.in[axis])-tap, 0),
		padded: inside(w.in[axis] + w.pads[len(w.in)+axis]),
	}
}

// taps lists the input elements under the window at an output position, given
// by its index along each axis; the slice buffer is used again. It also counts
// the elements under the window with those of the padding.
func (w *window) taps(buffer, out []int) (taps []int, padded int) {
	taps = append(buffer[:0], 0)
	padded = 1
	for axis := range out {
		s := w.spanAt(axis, out[axis])
		padded *= s.padded
		taps = spread(taps, s, w.in[axis])
	}
	return taps, padded
}

// spread replaces each offset by those of one more axis.
func spread(taps []int, s span, size int) []int {
	n := len(taps)
	if s.count == 0 {
		return taps[:0]
	}
	taps = append(taps, make([]int, n*(s.count-1))...)
	for i := n - 1; i >= 0; i-- {
		base := taps[i]*size + s.first
		for k := s.count - 1; k >= 0; k-- {
			taps[i*s.count+k] = base + k*s.step
		}
	}
	return taps
}

// next counts up an index, the last axis first.
func next(index, shape []int) {
	for axis := len(shape) - 1; axis >= 0; axis-- {
		if index[axis]++; index[axis] < shape[axis] {
			return
		}
		index[axis] = 0
	}
}

// unravel splits a position in row-major order into an index.
func unravel(at int, shape []int) []int {
	index := make([]int, len(shape))
	for axis, d := range slices.Backward(shape) {
		index[axis] = at % d
		at /= d
	}
	return index
}
