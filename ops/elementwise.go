package ops

// unary emits an operator whose result has the type and shape of its input.
func (b *Builder) unary(op string, x Value) Value {
	return b.emit(op, x.DType(), x.Shape(), []Value{x})
}

// Abs is |x|.
func (b *Builder) Abs(x Value) Value { return b.unary("Abs", x) }

// Neg is -x.
func (b *Builder) Neg(x Value) Value { return b.unary("Neg", x) }

// Exp is e^x.
func (b *Builder) Exp(x Value) Value { return b.unary("Exp", x) }

// Log is the natural logarithm.
func (b *Builder) Log(x Value) Value { return b.unary("Log", x) }

// Sqrt is the square root.
func (b *Builder) Sqrt(x Value) Value { return b.unary("Sqrt", x) }

// Reciprocal is 1/x.
func (b *Builder) Reciprocal(x Value) Value { return b.unary("Reciprocal", x) }

// Relu is max(x, 0).
func (b *Builder) Relu(x Value) Value { return b.unary("Relu", x) }

// Sigmoid is 1/(1 + e^-x). Engines compute it with a small absolute error, not a
// small relative one: where the tails count, build it from Exp.
func (b *Builder) Sigmoid(x Value) Value { return b.unary("Sigmoid", x) }

// Tanh is the hyperbolic tangent.
func (b *Builder) Tanh(x Value) Value { return b.unary("Tanh", x) }

// Sign is -1, 0 or 1.
func (b *Builder) Sign(x Value) Value { return b.unary("Sign", x) }

// Atan is the arc tangent of x.
func (b *Builder) Atan(x Value) Value { return b.unary("Atan", x) }

// Floor is the largest whole number that is not above x.
func (b *Builder) Floor(x Value) Value { return b.unary("Floor", x) }

// Identity copies x.
func (b *Builder) Identity(x Value) Value { return b.unary("Identity", x) }

// Not negates booleans.
func (b *Builder) Not(x Value) Value { return b.unary("Not", x) }

// IsNaN is true where x is not a number.
func (b *Builder) IsNaN(x Value) Value {
	return b.Label(b.emit("IsNaN", Bool, x.Shape(), []Value{x}), "is_nan")
}

// Cast converts x to another element type; it emits nothing where x has it.
// Bfloat16 needs opset 13.
func (b *Builder) Cast(x Value, to DType) Value {
	if x.DType() == to {
		return x
	}
	if b.opset < 13 && (to == BFloat16 || x.DType() == BFloat16) {
		b.fail("Cast of %s to %s needs opset 13, got %d", x.DType(), to, b.opset)
	}
	return b.emit("Cast", to, x.Shape(), []Value{x}, IntAttribute("to", int64(to)))
}

// sameType checks the operands of a binary operator and gives their joint shape.
func (b *Builder) sameType(op string, x, y Value) Shape {
	if b.err != nil {
		return nil
	}
	if x.DType() != y.DType() {
		b.fail("%s: the operands are %s and %s; cast one", op, x.DType(), y.DType())
	}
	shape, ok := broadcast(x.Shape(), y.Shape())
	if !ok {
		b.fail("%s: shapes %s and %s do not fit together", op, x.Shape(), y.Shape())
	}
	return shape
}

func (b *Builder) binary(op string, x, y Value) Value {
	shape := b.sameType(op, x, y)
	return b.emit(op, x.DType(), shape, []Value{x, y})
}

func (b *Builder) compare(op string, x, y Value) Value {
	shape := b.sameType(op, x, y)
	return b.emit(op, Bool, shape, []Value{x, y})
}

// Add is x + y.
func (b *Builder) Add(x, y Value) Value { return b.binary("Add", x, y) }

// Sub is x - y.
func (b *Builder) Sub(x, y Value) Value { return b.binary("Sub", x, y) }

// Mul is x · y.
func (b *Builder) Mul(x, y Value) Value { return b.binary("Mul", x, y) }

// Div is x / y.
func (b *Builder) Div(x, y Value) Value { return b.binary("Div", x, y) }

// Pow is x^y.
func (b *Builder) Pow(x, y Value) Value { return b.binary("Pow", x, y) }

// Max is the larger of x and y. Integers need opset 12.
func (b *Builder) Max(x, y Value) Value { return b.extreme("Max", x, y) }

// Min is the smaller of x and y. Integers need opset 12.
func (b *Builder) Min(x, y Value) Value { return b.extreme("Min", x, y) }

func (b *Builder) extreme(op string, x, y Value) Value {
	if b.opset < 12 && x.DType().IsInteger() {
		b.fail("%s of %s needs opset 12, got %d", op, x.DType(), b.opset)
	}
	return b.binary(op, x, y)
}

// And is true where x and y are.
func (b *Builder) And(x, y Value) Value { return b.binary("And", x, y) }

// Or is true where x or y is.
func (b *Builder) Or(x, y Value) Value { return b.binary("Or", x, y) }

// Equal is true where x = y, and false where one is not a number. Before opset 11, which
// brought it for floating-point numbers, neither must be less, and both must be numbers.
func (b *Builder) Equal(x, y Value) Value {
	if b.opset < 11 && x.DType().IsFloat() {
		differ := b.Or(b.Or(b.Less(x, y), b.Greater(x, y)), b.Or(b.IsNaN(x), b.IsNaN(y)))
		return b.Label(b.Not(differ), "equal")
	}
	return b.compare("Equal", x, y)
}

// Less is true where x < y.
func (b *Builder) Less(x, y Value) Value { return b.compare("Less", x, y) }

// Greater is true where x > y.
func (b *Builder) Greater(x, y Value) Value { return b.compare("Greater", x, y) }

// LessOrEqual is true where x <= y, and false where one is not a number.
func (b *Builder) LessOrEqual(x, y Value) Value {
	if b.opset < 12 {
		return b.Or(b.Less(x, y), b.Equal(x, y))
	}
	return b.compare("LessOrEqual", x, y)
}

// GreaterOrEqual is true where x >= y, and false where one is not a number.
func (b *Builder) GreaterOrEqual(x, y Value) Value {
	if b.opset < 12 {
		return b.Or(b.Greater(x, y), b.Equal(x, y))
	}
	return b.compare("GreaterOrEqual", x, y)
}

// Where takes x where the condition holds and y elsewhere.
func (b *Builder) Where(condition, x, y Value) Value {
	shape := b.sameType("Where", x, y)
	if b.err == nil && condition.DType() != Bool {
		b.fail("Where: the condition is %s, not bool", condition.DType())
	}
	joint, ok := broadcast(shape, condition.Shape())
	if !ok {
		b.fail("Where: the condition's shape %s does not fit %s", condition.Shape(), shape)
	}
	return b.emit("Where", x.DType(), joint, []Value{condition, x, y})
}

// Clip limits x to lo..hi. Before opset 12 other types than float32 have no Clip
// on common engines and take Max and Min.
func (b *Builder) Clip(x Value, lo, hi float64) Value {
	switch {
	case b.opset < 12 && x.DType() != Float32:
		return b.Min(b.Max(x, b.Scalar(x, lo)), b.Scalar(x, hi))
	case b.opset < 11:
		return b.emit("Clip", x.DType(), x.Shape(), []Value{x},
			FloatAttribute("min", float32(lo)), FloatAttribute("max", float32(hi)))
	}
	return b.emit("Clip", x.DType(), x.Shape(), []Value{x, b.Scalar(x, lo), b.Scalar(x, hi)})
}
