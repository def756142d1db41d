package ops

import "slices"

// Every takes, along one axis, the elements from start up to but without end that
// lie step apart; a negative end counts from the back. It needs opset 10.
func (b *Builder) Every(x Value, axis, start, end, step int) Value {
	if b.opset < 10 {
		b.fail("Every needs opset 10, got %d", b.opset)
	}
	if step < 1 {
		b.fail("Every: the step must be 1 or more, got %d", step)
		return Value{}
	}
	shape := slices.Clone(x.Shape())
	if shape.Known() {
		if axis < 0 || axis >= len(shape) {
			b.fail("Every: axis %d does not fit shape %s", axis, shape)
			return Value{}
		}
		shape[axis] = slicedDim(shape[axis], start, end)
		if n, ok := shape[axis].Size(); ok {
			shape[axis] = Fixed((n + step - 1) / step)
		}
	}
	return b.emit("Slice", x.DType(), shape, []Value{x, b.Int64s(start), b.Int64s(end), b.Int64s(axis), b.Int64s(step)})
}
