package ops

import "slices"

// ReduceSum adds up over the given axes, or over all where none is given. Sizes
// of reduced axes become 1 with keep, else the axes vanish.
func (b *Builder) ReduceSum(x Value, keep bool, axes ...int) Value {
	return b.reduce("ReduceSum", 13, x, keep, axes)
}

// ReduceMean averages; see ReduceSum for axes and keep.
func (b *Builder) ReduceMean(x Value, keep bool, axes ...int) Value {
	return b.reduce("ReduceMean", 18, x, keep, axes)
}

// ReduceMax takes the largest; see ReduceSum for axes and keep.
func (b *Builder) ReduceMax(x Value, keep bool, axes ...int) Value {
	return b.reduce("ReduceMax", 18, x, keep, axes)
}

// ReduceMin takes the smallest; see ReduceSum for axes and keep.
func (b *Builder) ReduceMin(x Value, keep bool, axes ...int) Value {
	return b.reduce("ReduceMin", 18, x, keep, axes)
}

// reduce emits a reduction whose axes are an input from the opset inputSince on,
// and an attribute before.
func (b *Builder) reduce(op string, inputSince int, x Value, keep bool, axes []int) Value {
	axes = slices.Clone(axes)
	for i := range axes {
		axes[i] = b.fromStart(op, axes[i], x)
	}
	shape, ok := reducedShape(x.Shape(), keep, axes)
	if !ok {
		b.fail("%s: axes %v do not fit shape %s", op, axes, x.Shape())
	}
	inputs := []Value{x}
	attributes := []*Attribute{IntAttribute("keepdims", boolInt(keep))}
	switch {
	case len(axes) == 0:
	case b.opset >= inputSince:
		inputs = append(inputs, b.Int64s(axes...))
	default:
		attributes = append(attributes, IntsAttribute("axes", int64s(axes)))
	}
	return b.emit(op, x.DType(), shape, inputs, attributes...)
}

func reducedShape(s Shape, keep bool, axes []int) (Shape, bool) {
	if len(axes) == 0 && !keep {
		return Shape{}, true
	}
	if !s.Known() {
		return nil, true
	}
	for _, axis := range axes {
		if axis < -len(s) || axis >= len(s) {
			return nil, false
		}
	}
	reduced := Shape{}
	for i, d := range s {
		hit := len(axes) == 0 || slices.Contains(axes, i) || slices.Contains(axes, i-len(s))
		switch {
		case !hit:
			reduced = append(reduced, d)
		case keep:
			reduced = append(reduced, Fixed(1))
		}
	}
	return reduced, true
}

func boolInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func int64s(numbers []int) []int64 {
	wide := make([]int64, len(numbers))
	for i, n := range numbers {
		wide[i] = int64(n)
	}
	return wide
}

// LogSoftmax is x - log Σ e^x along one axis. The operator of that name flattens its
// input before opset 13, and where the axis is not the last one engines transpose for
// it, which takes most of the time: it is built from its parts there.
func (b *Builder) LogSoftmax(x Value, axis int) Value {
	if b.opset >= 13 && isLastAxis(x.Shape(), axis) {
		return b.emit("LogSoftmax", x.DType(), x.Shape(), []Value{x}, IntAttribute("axis", int64(axis)))
	}
	shifted := b.Sub(x, b.ReduceMax(x, true, axis))
	return b.Sub(shifted, b.Log(b.ReduceSum(b.Exp(shifted), true, axis)))
}

// isLastAxis takes an axis of a tensor whose rank is not known for the last one.
func isLastAxis(s Shape, axis int) bool {
	return !s.Known() || axis == -1 || axis == len(s)-1
}

// Softmax is e^x / Σ e^x along one axis; see LogSoftmax on what is emitted.
func (b *Builder) Softmax(x Value, axis int) Value {
	if b.opset >= 13 && isLastAxis(x.Shape(), axis) {
		return b.emit("Softmax", x.DType(), x.Shape(), []Value{x}, IntAttribute("axis", int64(axis)))
	}
	e := b.Exp(b.Sub(x, b.ReduceMax(x, true, axis)))
	return b.Div(e, b.ReduceSum(e, true, axis))
}

// ArgMax gives the position of the largest entry along an axis, an int64; of equal
// ones the first. The axis is removed.
func (b *Builder) ArgMax(x Value, axis int) Value {
	var shape Shape
	if s := x.Shape(); s.Known() {
		at := fromStart(axis, len(s))
		if at < 0 || at >= len(s) {
			b.fail("ArgMax: axis %d does not fit shape %s", axis, s)
			return Value{}
		}
		shape = slices.Delete(slices.Clone(s), at, at+1)
	}
	axis = b.fromStart("ArgMax", axis, x)
	return b.emit("ArgMax", Int64, shape, []Value{x}, IntAttribute("axis", int64(axis)), IntAttribute("keepdims", 0))
}
