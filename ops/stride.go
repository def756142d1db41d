package ops

import "slices"

// Every takes, along one axis, the elements from start up to but without end that
// lie step apart; a negative end counts from the back.
func (b *Builder) Every(x Value, axis, start, end, step int) Value {
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
	if b.opset < 10 { // Slice has no step
		part := b.Slice(x, axis, start, end)
		size := b.Squeeze(b.Slice(b.ShapeOf(part), 0, axis, axis+1), 0)
		count := b.Div(b.Add(size, b.Scalar(size, float64(step-1))), b.Scalar(size, float64(step)))
		places := b.Mul(b.Range(count), b.Scalar(size, float64(step)))
		return b.Assume(b.Gather(part, places, axis), shape)
	}
	return b.emit("Slice", x.DType(), shape, []Value{x, b.Int64s(start), b.sliceEnd(x, axis, end), b.Int64s(axis), b.Int64s(step)})
}
