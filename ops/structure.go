package ops

import "slices"

// ShapeOf gives x's shape as an int64 vector.
func (b *Builder) ShapeOf(x Value) Value {
	shape := Shape{Dim{}}
	if x.Shape().Known() {
		shape = Shape{Fixed(len(x.Shape()))}
	}
	return b.emit("Shape", Int64, shape, []Value{x})
}

// SizeOf gives the number of x's elements, an int64 scalar.
func (b *Builder) SizeOf(x Value) Value {
	return b.emit("Size", Int64, Shape{}, []Value{x})
}

// Unsqueeze inserts an axis of size 1 so that it is at the given place of the
// result.
func (b *Builder) Unsqueeze(x Value, axis int) Value {
	var shape Shape
	if s := x.Shape(); s.Known() {
		at := axis
		if at < 0 {
			at += len(s) + 1
		}
		if at < 0 || at > len(s) {
			b.fail("Unsqueeze: axis %d does not fit shape %s", axis, s)
			return Value{}
		}
		shape = slices.Insert(slices.Clone(s), at, Fixed(1))
		if b.opset < 11 {
			axis = at
		}
	} else if axis < 0 && b.opset < 11 {
		b.fail("Unsqueeze: axis %d of a tensor of unknown rank needs opset 11, got %d", axis, b.opset)
	}
	return b.axisOperator("Unsqueeze", x, axis, shape)
}

// Squeeze removes an axis of size 1.
func (b *Builder) Squeeze(x Value, axis int) Value {
	var shape Shape
	if s := x.Shape(); s.Known() {
		at := fromStart(axis, len(s))
		if at < 0 || at >= len(s) {
			b.fail("Squeeze: axis %d does not fit shape %s", axis, s)
			return Value{}
		}
		if n, ok := s[at].Size(); ok && n != 1 {
			b.fail("Squeeze: axis %d of shape %s is not of size 1", axis, s)
		}
		shape = slices.Delete(slices.Clone(s), at, at+1)
	}
	return b.axisOperator("Squeeze", x, b.fromStart("Squeeze", axis, x), shape)
}

// axisOperator emits an operator whose axes are an input from opset 13 on.
func (b *Builder) axisOperator(op string, x Value, axis int, shape Shape) Value {
	if b.opset >= 13 {
		return b.emit(op, x.DType(), shape, []Value{x, b.Int64s(axis)})
	}
	return b.emit(op, x.DType(), shape, []Value{x}, IntsAttribute("axes", []int64{int64(axis)}))
}

// Flatten makes a matrix of x: a row for each entry of the first axis.
func (b *Builder) Flatten(x Value) Value {
	shape := Shape{Dim{}, Dim{}}
	if s := x.Shape(); s.Known() {
		if len(s) == 0 {
			b.fail("Flatten: a scalar has no first axis")
			return Value{}
		}
		shape = Shape{s[0], product(s[1:])}
	}
	return b.emit("Flatten", x.DType(), shape, []Value{x}, IntAttribute("axis", 1))
}

// product is the number of elements along the axes together.
func product(axes Shape) Dim {
	if len(axes) == 1 {
		return axes[0]
	}
	n := 1
	for _, d := range axes {
		size, ok := d.Size()
		if !ok {
			return Dim{}
		}
		n *= size
	}
	return Fixed(n)
}

// Reshape gives x the shape that an int64 vector holds; known is what is known of
// it beforehand. A size of -1 is worked out, one of 0 is copied from x.
func (b *Builder) Reshape(x, shape Value, known Shape) Value {
	return b.emit("Reshape", x.DType(), known, []Value{x, shape})
}

// Concat joins vectors or tensors along an axis; one below 0 counts from the end.
func (b *Builder) Concat(axis int, parts ...Value) Value {
	if len(parts) == 0 {
		b.fail("Concat: nothing to join")
		return Value{}
	}
	shape := concatShape(axis, parts)
	axis = b.fromStart("Concat", axis, parts[0])
	return b.emit("Concat", parts[0].DType(), shape, parts, IntAttribute("axis", int64(axis)))
}

func concatShape(axis int, parts []Value) Shape {
	first := parts[0].Shape()
	axis = fromStart(axis, len(first))
	if axis < 0 || axis >= len(first) {
		return nil
	}
	shape := slices.Clone(first)
	total := 0
	for _, part := range parts {
		s := part.Shape()
		if !s.Known() || len(s) != len(first) {
			return nil
		}
		n, ok := s[axis].Size()
		if !ok {
			shape[axis] = Dim{}
			return shape
		}
		total += n
	}
	shape[axis] = Fixed(total)
	return shape
}

// Slice takes the elements from start up to but without end along one axis. An axis
// below 0, which counts from the end, needs opset 11 where the rank is not known.
func (b *Builder) Slice(x Value, axis, start, end int) Value {
	shape := slices.Clone(x.Shape())
	switch {
	case shape.Known():
		at := fromStart(axis, len(shape))
		if at < 0 || at >= len(shape) {
			b.fail("Slice: axis %d does not fit shape %s", axis, shape)
			return Value{}
		}
		axis, shape[at] = at, slicedDim(shape[at], start, end)
	case axis < 0 && b.opset < 11:
		b.fail("Slice: axis %d of a tensor of unknown rank needs opset 11, got %d", axis, b.opset)
	}
	if b.opset < 10 {
		return b.emit("Slice", x.DType(), shape, []Value{x}, IntsAttribute("starts", []int64{int64(start)}),
			IntsAttribute("ends", []int64{int64(end)}), IntsAttribute("axes", []int64{int64(axis)}))
	}
	return b.emit("Slice", x.DType(), shape, []Value{x, b.Int64s(start), b.sliceEnd(x, axis, end), b.Int64s(axis)})
}

// sliceEnd is where a slice ends. ONNX's shape inference of opset 10 takes a slice of an
// axis of unknown size for as long as the whole, which makes ONNX Runtime reuse memory
// that does not fit; an end that is computed keeps it from inferring anything.
func (b *Builder) sliceEnd(x Value, axis, end int) Value {
	known := false
	if s := x.Shape(); s.Known() {
		_, known = s[axis].Size()
	}
	if b.opset != 10 || known {
		return b.Int64s(end)
	}
	size := b.Gather(b.ShapeOf(x), b.Int64s(axis), 0)
	return b.Add(b.Sub(size, size), b.Int64s(end))
}

func slicedDim(d Dim, start, end int) Dim {
	n, ok := d.Size()
	if !ok {
		return Dim{}
	}
	clamp := func(at int) int {
		if at < 0 {
			at += n
		}
		return min(max(at, 0), n)
	}
	return Fixed(max(clamp(end)-clamp(start), 0))
}

// fromStart turns an axis of x into one that counts from the start, where the opset
// does not have those that count from the end.
func (b *Builder) fromStart(op string, axis int, x Value) int {
	if axis >= 0 || b.opset >= 11 {
		return axis
	}
	if !x.Shape().Known() {
		b.fail("%s: axis %d of a tensor of unknown rank needs opset 11, got %d", op, axis, b.opset)
	}
	return axis + len(x.Shape())
}

// fromStart turns an axis that counts from the end into one that counts from the
// start.
func fromStart(axis, rank int) int {
	if axis < 0 {
		return axis + rank
	}
	return axis
}

// Gather takes the entries of x along an axis that an integer tensor names. An axis
// below 0 counts from the end.
func (b *Builder) Gather(x, indices Value, axis int) Value {
	var shape Shape
	if s, i := x.Shape(), indices.Shape(); s.Known() && i.Known() {
		at := fromStart(axis, len(s))
		if at < 0 || at >= len(s) {
			b.fail("Gather: axis %d does not fit shape %s", axis, s)
			return Value{}
		}
		shape = append(Shape{}, slices.Concat(s[:at], i, s[at+1:])...) // a scalar's is known as well
	}
	axis = b.fromStart("Gather", axis, x)
	return b.emit("Gather", x.DType(), shape, []Value{x, indices}, IntAttribute("axis", int64(axis)))
}

// Pick takes, at each place of index, the entry of x at that place which lies along a
// further axis where index says; an axis of -1 is x's last. Engines refuse an index
// beyond the axis. Before opset 11, which brought GatherElements, the entry is what is
// left of x when all others are set to 0, and the axis must be 1 or the last one of
// a known number.
func (b *Builder) Pick(x, index Value, axis int) Value {
	s := x.Shape()
	if s.Known() { // ONNX's reference evaluator gets a negative axis wrong
		axis = fromStart(axis, len(s))
	}
	along := b.Unsqueeze(index, axis)
	if b.opset >= 11 {
		entry := b.emit("GatherElements", x.DType(), along.Shape(), []Value{x, along}, IntAttribute("axis", int64(axis)))
		return b.Squeeze(entry, axis)
	}
	isLast := s.Known() && axis == len(s)-1
	if !isLast && axis != 1 {
		b.fail("GatherElements needs opset 11, got %d", b.opset)
		return Value{}
	}
	size := b.Squeeze(b.Slice(b.ShapeOf(x), 0, axis, axis+1), 0)
	places := b.Cast(b.Range(size), index.DType())
	wanted := b.Gather(places, along, 0) // looked up, so that one beyond them is refused
	if !isLast {
		places = b.AlongAxis1(places, x)
	}
	return b.ReduceSum(b.Where(b.Equal(wanted, places), x, b.Scalar(x, 0)), false, axis)
}

// Filled makes a tensor of one number in the shape that an int64 vector holds.
func (b *Builder) Filled(shape Value, dtype DType, x float64, known Shape) Value {
	raw, err := encode(dtype, []float64{x})
	if err != nil {
		b.fail("ConstantOfShape: %v", err)
		return Value{}
	}
	return b.emit("ConstantOfShape", dtype, known, []Value{shape}, tensorAttribute("value", dtype, []int64{1}, raw))
}

// AlongAxis1 shapes a vector [C] so that it broadcasts along axis 1 of like, whose
// rank may be unknown until the model runs.
func (b *Builder) AlongAxis1(vector, like Value) Value {
	if s := like.Shape(); s.Known() {
		dims := make([]int, len(s))
		known := make(Shape, len(s))
		for i := range dims {
			dims[i], known[i] = 1, Fixed(1)
		}
		if len(s) < 2 {
			b.fail("a vector along axis 1 needs a tensor of rank 2 or more, got shape %s", s)
			return Value{}
		}
		dims[1], known[1] = -1, s[1]
		return b.Reshape(vector, b.Int64s(dims...), known)
	}
	rank := b.ShapeOf(b.ShapeOf(like))
	ones := b.Filled(b.Sub(rank, b.Int64s(2)), Int64, 1, Shape{Dim{}})
	return b.Reshape(vector, b.Concat(0, b.Int64s(1, -1), ones), nil)
}

// Range is 0, 1, ... up to but without an int64 scalar. Before opset 11, which brought
// the operator, it is the places of as many ones.
func (b *Builder) Range(limit Value) Value {
	if b.opset < 11 {
		ones := b.Filled(b.Unsqueeze(limit, 0), Int64, 1, Shape{Dim{}})
		return b.Squeeze(b.emit("NonZero", Int64, Shape{Fixed(1), Dim{}}, []Value{ones}), 0)
	}
	return b.emit("Range", limit.DType(), Shape{Dim{}}, []Value{b.Scalar(limit, 0), limit, b.Scalar(limit, 1)})
}
