package models

import "github.com/onnxloss/onnxloss/ops"

// window is how a kernel moves over the spatial axes. Lists that are shorter than
// the axes are filled up with the operator's defaults.
type window struct {
	kernel, strides, dilations, pads []int
	autoPad                          string
	ceil                             bool
}

func (o operation) window(kernel []int) window {
	return window{
		kernel: kernel, strides: o.integers("strides"), dilations: o.integers("dilations"), pads: o.integers("pads"),
		autoPad: string(o.attributes["auto_pad"].GetS()), ceil: o.integer("ceil_mode", 0) != 0,
	}
}

// consistent reports whether the attributes are for this many axes and make sense.
func (w window) consistent(axes int) bool {
	if len(w.kernel) != axes || len(w.strides) != 0 && len(w.strides) != axes ||
		len(w.dilations) != 0 && len(w.dilations) != axes || len(w.pads) != 0 && len(w.pads) != 2*axes {
		return false
	}
	for axis := range axes {
		if w.kernel[axis] <= 0 || w.stride(axis) <= 0 || w.dilation(axis) <= 0 {
			return false
		}
	}
	return true
}

func (w window) stride(axis int) int   { return at(w.strides, axis, 1) }
func (w window) dilation(axis int) int { return at(w.dilations, axis, 1) }

// extent is how far the kernel reaches, dilation included.
func (w window) extent(axis int) int { return w.dilation(axis)*(w.kernel[axis]-1) + 1 }

func at(list []int, i, otherwise int) int {
	if i < len(list) {
		return list[i]
	}
	return otherwise
}

// padding is what is added before an axis, and in all.
func (w window) padding(axis int) (before, total int) {
	if w.autoPad == "VALID" || len(w.pads) == 0 {
		return 0, 0
	}
	before = w.pads[axis]
	return before, before + w.pads[len(w.kernel)+axis]
}

// places is how often the kernel fits along an axis. A symbolic size is kept where
// it does not change; other sizes are unknown.
func (w window) places(axis int, size ops.Dim) ops.Dim {
	n, fixed := size.Size()
	stride := w.stride(axis)
	if w.autoPad == "SAME_UPPER" || w.autoPad == "SAME_LOWER" {
		switch {
		case stride == 1:
			return size
		case !fixed || n < 0:
			return ops.Dim{}
		}
		return ops.Fixed((n + stride - 1) / stride)
	}
	before, padding := w.padding(axis)
	spare := n + padding - w.extent(axis)
	switch {
	case !fixed && stride == 1 && padding == w.extent(axis)-1:
		return size
	case !fixed || n < 0 || spare < 0:
		return ops.Dim{}
	case !w.ceil:
		return ops.Fixed(spare/stride + 1)
	}
	count := (spare+stride-1)/stride + 1
	if (count-1)*stride >= n+before {
		return ops.Dim{} // a place in nothing but padding: runtimes do not agree on it
	}
	return ops.Fixed(count)
}

// spatial gives the sizes after the batch and the channels.
func (w window) spatial(x ops.Shape) []ops.Dim {
	result := make([]ops.Dim, len(x)-2)
	if w.consistent(len(result)) {
		for axis := range result {
			result[axis] = w.places(axis, x[2+axis])
		}
	}
	return result
}

func (o operation) conv() fact {
	f := fact{dtype: o.joint()}
	x, weight := o.input(0).shape, o.input(1).shape
	if !x.Known() && len(weight) >= 3 {
		x = make(ops.Shape, len(weight))
	}
	if len(x) < 3 {
		return f
	}
	f.shape = make(ops.Shape, 2, len(x))
	f.shape[0] = x[0]
	if weight.Known() {
		f.shape[1] = weight[0]
	}
	f.shape = append(f.shape, o.window(o.kernel(weight)).spatial(x)...)
	return f
}

// kernel is the kernel's size, by attribute or by the weight's shape.
func (o operation) kernel(weight ops.Shape) []int {
	kernel := o.integers("kernel_shape")
	if kernel != nil || len(weight) < 3 {
		return kernel
	}
	for _, d := range weight[2:] {
		n, ok := d.Size()
		if !ok || n > tooLarge {
			return nil
		}
		kernel = append(kernel, n)
	}
	return kernel
}

func (o operation) convTranspose() fact {
	f := fact{dtype: o.joint()}
	x, weight := o.input(0).shape, o.input(1).shape
	if len(x) < 3 {
		return f
	}
	f.shape = make(ops.Shape, len(x))
	f.shape[0] = x[0]
	if len(weight) > 1 {
		if n, ok := weight[1].Size(); ok && n < tooLarge {
			f.shape[1] = ops.Fixed(n * o.integer("group", 1))
		}
	}
	w, axes := o.window(o.kernel(weight)), len(x)-2
	if o.attributes["output_shape"] != nil || w.autoPad != "" && w.autoPad != "NOTSET" || !w.consistent(axes) {
		return f
	}
	more := o.integers("output_padding")
	for axis := range axes {
		_, padding := w.padding(axis)
		if n, ok := x[2+axis].Size(); ok && n > 0 && n < tooLarge {
			f.shape[2+axis] = ops.Fixed((n-1)*w.stride(axis) + at(more, axis, 0) + w.extent(axis) - padding)
		}
	}
	f.shape = withoutNegative(f.shape)
	return f
}

func (o operation) pool() fact {
	x := o.input(0)
	if len(x.shape) < 3 {
		return fact{dtype: x.dtype}
	}
	w := o.window(o.integers("kernel_shape"))
	return fact{dtype: x.dtype, shape: append(copyShape(x.shape[:2]), w.spatial(x.shape)...)}
}

func (o operation) globalPool() fact {
	x := o.input(0)
	f := fact{dtype: x.dtype, shape: copyShape(x.shape)}
	for i := 2; i < len(f.shape); i++ {
		f.shape[i] = ops.Fixed(1)
	}
	return f
}
