package interp

import (
	"fmt"
	"math"
	"slices"

	"github.com/onnxloss/onnxloss/runtime/engine"
)

// pooled resolves a pooling window over x and gives the shape of the output.
func (w *window) pooled(x engine.Tensor) ([]int, error) {
	if len(x.Shape()) < 3 {
		return nil, fmt.Errorf("input is %s, want [N, C, spatial...]", x)
	}
	if err := w.resolve(x.Shape()[2:]); err != nil {
		return nil, err
	}
	shape := slices.Concat(x.Shape()[:2], w.out)
	_, err := room(shape, 8)
	return shape, err
}

func maxPool(a *attributes) kernel {
	a.require("kernel_shape")
	base := newWindow(a)
	base.ceil = a.flag("ceil_mode", false)
	columns := a.flag("storage_order", false)
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		w := base
		shape, err := w.pooled(in[0])
		if err != nil {
			return nil, err
		}
		return numbersOf(in[0]).maxPool(&w, shape, columns)
	}
}

// eachWindow calls f for every output position, with the input elements under
// the window there.
func (w *window) eachWindow(f func(at int, taps []int, padded int)) {
	parallel(product(w.out), 256, func(from, to int) {
		var buffer []int
		index := unravel(from, w.out)
		for at := from; at < to; at++ {
			taps, padded := w.taps(buffer, index)
			f(at, taps, padded)
			buffer = taps
			next(index, w.out)
		}
	})
}

// maxPool gives the largest elements, and which elements of the tensor they are;
// columns asks for positions in column-major order within an image.
func (v vector[T, A]) maxPool(w *window, shape []int, columns bool) ([]engine.Tensor, error) {
	planes, in, out := shape[0]*shape[1], product(w.in), product(w.out)
	values, indices := make([]T, planes*out), make([]int64, planes*out)
	if len(values) > 0 {
		w.eachWindow(func(at int, taps []int, _ int) {
			for p := range planes {
				best, where := lowest[T](), 0
				for i, tap := range taps {
					if x := v[p*in+tap]; i == 0 || x > best || x != x {
						best, where = x, tap
					}
				}
				values[p*out+at] = best
				if columns {
					where = columnMajor(where, w.in)
				}
				indices[p*out+at] = int64(p*in + where)
			}
		})
	}
	y, err := engine.New(shape, values)
	if err != nil {
		return nil, err
	}
	z, err := engine.New(shape, indices)
	return []engine.Tensor{y, z}, err
}

// columnMajor renumbers a position of a row-major image.
func columnMajor(at int, shape []int) int {
	position, step := 0, 1
	strides := stridesOf(shape)
	for axis, d := range shape {
		position += at / strides[axis] % d * step
		step *= d
	}
	return position
}

func averagePool(a *attributes) kernel {
	includePad := a.flag("count_include_pad", false)
	return poolWith(a, func(list []float64, padded int) float64 {
		total := sum[float64, float64](list)
		if includePad {
			return total / float64(padded)
		}
		return total / float64(len(list))
	})
}

func lpPool(a *attributes) kernel {
	p := float64(a.integer("p", 2))
	return poolWith(a, func(list []float64, _ int) float64 {
		total := 0.0
		for _, x := range list {
			total += math.Pow(math.Abs(x), p)
		}
		return math.Pow(total, 1/p)
	})
}

// poolWith builds a pooling operator from the function of what a window covers;
// padded counts the elements with those of the padding.
func poolWith(a *attributes, f func(list []float64, padded int) float64) kernel {
	a.require("kernel_shape")
	base := newWindow(a)
	base.ceil = a.flag("ceil_mode", false)
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		w := base
		shape, err := w.pooled(in[0])
		if err != nil {
			return nil, err
		}
		return one(floatsOf(in[0]).pool(&w, shape, f))
	}
}

func (r real[T]) pool(w *window, shape []int, f func([]float64, int) float64) (engine.Tensor, error) {
	planes, in, size := shape[0]*shape[1], product(w.in), product(w.out)
	out := make([]T, planes*size)
	if len(out) == 0 {
		return engine.New(shape, out)
	}
	w.eachWindow(func(at int, taps []int, padded int) {
		list := make([]float64, len(taps))
		for p := range planes {
			for i, tap := range taps {
				list[i] = float64(r.data[p*in+tap])
			}
			out[p*size+at] = T(f(list, padded))
		}
	})
	return engine.New(shape, out)
}

// globalPool folds all spatial axes.
func globalPool(name string) func(*attributes) kernel {
	return func(*attributes) kernel {
		return func(in []engine.Tensor) ([]engine.Tensor, error) {
			if len(in[0].Shape()) < 3 {
				return nil, fmt.Errorf("input is %s, want [N, C, spatial...]", in[0])
			}
			var axes []int
			for axis := 2; axis < len(in[0].Shape()); axis++ {
				axes = append(axes, axis)
			}
			return one(reduce(name, in[0], axes, true))
		}
	}
}
