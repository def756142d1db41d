package ops

import "slices"

// Transpose reorders the axes of a tensor of known rank: axis i of the result is
// axis order[i] of x.
func (b *Builder) Transpose(x Value, order ...int) Value {
	s := x.Shape()
	sorted := slices.Sorted(slices.Values(order))
	for i, axis := range sorted {
		if axis != i {
			b.fail("Transpose: %v is not an order of axes", order)
			return Value{}
		}
	}
	var shape Shape
	if s.Known() {
		if len(s) != len(order) {
			b.fail("Transpose: %v does not order the axes of shape %s", order, s)
			return Value{}
		}
		shape = Shape{}
		for _, axis := range order {
			shape = append(shape, s[axis])
		}
	}
	return b.emit("Transpose", x.DType(), shape, []Value{x}, IntsAttribute("perm", int64s(order)))
}

// MatMul multiplies the matrices on the last two axes; the axes before them
// broadcast.
func (b *Builder) MatMul(x, y Value) Value {
	if x.DType() != y.DType() {
		b.fail("MatMul: the operands are %s and %s; cast one", x.DType(), y.DType())
	}
	shape, ok := matMulShape(x.Shape(), y.Shape())
	if !ok {
		b.fail("MatMul: shapes %s and %s do not fit together", x.Shape(), y.Shape())
	}
	return b.emit("MatMul", x.DType(), shape, []Value{x, y})
}

func matMulShape(x, y Shape) (Shape, bool) {
	if !x.Known() || !y.Known() {
		return nil, true
	}
	if len(x) < 2 || len(y) < 2 {
		return nil, false
	}
	inner, fixedX := x[len(x)-1].Size()
	outer, fixedY := y[len(y)-2].Size()
	shape, ok := broadcast(x[:len(x)-2], y[:len(y)-2])
	if !ok || fixedX && fixedY && inner != outer {
		return nil, false
	}
	return append(slices.Clone(shape), x[len(x)-2], y[len(y)-1]), true
}

// PadMode says what is put around a tensor.
type PadMode string

// The ways to pad.
const (
	PadZero    PadMode = "constant" // zeros
	PadReflect PadMode = "reflect"  // mirrored at the outermost element, which is not repeated
	PadEdge    PadMode = "edge"     // the outermost element
)

// Pad puts elements around a tensor of known rank: before[i] at the start of axis
// i and after[i] at its end.
func (b *Builder) Pad(x Value, mode PadMode, before, after []int) Value {
	shape := slices.Clone(x.Shape())
	if !shape.Known() || len(before) != len(shape) || len(after) != len(shape) {
		b.fail("Pad: %v and %v are not one number for each axis of shape %s", before, after, x.Shape())
		return Value{}
	}
	for i, d := range shape {
		if before[i] == 0 && after[i] == 0 {
			continue
		}
		shape[i] = Dim{}
		if n, ok := d.Size(); ok {
			shape[i] = Fixed(n + before[i] + after[i])
		}
	}
	pads := slices.Concat(before, after)
	if b.opset < 11 {
		return b.emit("Pad", x.DType(), shape, []Value{x}, IntsAttribute("pads", int64s(pads)), StringAttribute("mode", string(mode)))
	}
	return b.emit("Pad", x.DType(), shape, []Value{x, b.Int64s(pads...)}, StringAttribute("mode", string(mode)))
}
