package models

import (
	"slices"

	"github.com/onnxloss/onnxloss/ops"
)

// elements splits a shape's number of elements into the known factor and the
// symbols; ok is false where it is not known or too large to tell.
func elements(s ops.Shape) (count int, symbols []string, ok bool) {
	count = 1
	for _, d := range s {
		n, fixed := d.Size()
		switch {
		case fixed && (n < 0 || n > 0 && count > tooLarge/n):
			return 0, nil, false
		case fixed:
			count *= n
		case d.Symbol() != "":
			symbols = append(symbols, d.Symbol())
		default:
			return 0, nil, false
		}
	}
	slices.Sort(symbols)
	return count, symbols, s.Known()
}

// product is the number of elements as one size.
func product(s ops.Shape) ops.Dim { return quotient(s, ops.Shape{}) }

// quotient is the size that is left over where a shape takes up a part of another.
func quotient(whole, part ops.Shape) ops.Dim {
	x, over, okX := elements(whole)
	y, under, okY := elements(part)
	if !okX || !okY || y == 0 || x%y != 0 {
		return ops.Dim{}
	}
	for _, symbol := range under {
		at := slices.Index(over, symbol)
		if at < 0 {
			return ops.Dim{}
		}
		over = slices.Delete(over, at, at+1)
	}
	switch {
	case len(over) == 0:
		return ops.Fixed(x / y)
	case len(over) == 1 && x == y:
		return ops.Symbolic(over[0])
	}
	return ops.Dim{}
}

func (o operation) flatten() fact {
	x := o.input(0)
	f := fact{dtype: x.dtype, shape: make(ops.Shape, 2)}
	if !x.shape.Known() {
		return f
	}
	axis := o.integer("axis", 1)
	if axis < 0 {
		axis += len(x.shape)
	}
	if axis >= 0 && axis <= len(x.shape) {
		f.shape = ops.Shape{product(x.shape[:axis]), product(x.shape[axis:])}
	}
	return f
}

func (o operation) reshape() fact {
	x, to := o.input(0), o.input(1)
	f := fact{dtype: x.dtype}
	target := to.ints
	if o.attributes["shape"] != nil { // before opset 5
		target = fixed(o.attributes["shape"].GetInts())
	}
	if target == nil {
		f.shape = sizes(to)
		return f
	}
	shape, open := append(ops.Shape{}, target...), -1
	for i, d := range shape {
		switch n, fixed := d.Size(); {
		case fixed && n == 0 && o.integer("allowzero", 0) == 0:
			shape[i] = ops.Dim{}
			if i < len(x.shape) {
				shape[i] = x.shape[i]
			}
		case fixed && n == -1 && open < 0:
			open = i
		case fixed && n < 0:
			return f
		}
	}
	if open >= 0 {
		shape[open] = ops.Fixed(1)
		shape[open] = quotient(x.shape, shape)
	}
	f.shape = shape
	return f
}

func (o operation) transpose() fact {
	x := o.input(0)
	f := fact{dtype: x.dtype}
	if !x.shape.Known() {
		return f
	}
	axes := o.integers("perm")
	if axes == nil {
		for i := range x.shape {
			axes = append(axes, len(x.shape)-1-i)
		}
	}
	axes, ok := positions(axes, len(x.shape))
	if !ok || len(axes) != len(x.shape) {
		return f
	}
	f.shape = make(ops.Shape, len(axes))
	for i, axis := range axes {
		f.shape[i] = x.shape[axis]
	}
	return f
}

func (o operation) concat() fact {
	f := fact{dtype: o.joint(), ints: []ops.Dim{}}
	for _, in := range o.inputs {
		if in.ints == nil || len(in.shape) != 1 || len(f.ints) > longestInts {
			f.ints = nil
			break
		}
		f.ints = append(f.ints, in.ints...)
	}
	for i, in := range o.inputs {
		if !in.shape.Known() || i > 0 && len(in.shape) != len(f.shape) {
			return fact{dtype: f.dtype}
		}
		axis, ok := position(o.integer("axis", 1), len(in.shape))
		if !ok {
			return fact{dtype: f.dtype}
		}
		if i == 0 {
			f.shape = copyShape(in.shape)
			continue
		}
		f.shape = joined(f.shape, in.shape, axis)
	}
	return f
}

// joined is the shape of two tensors one after the other.
func joined(a, b ops.Shape, axis int) ops.Shape {
	shape := make(ops.Shape, len(a))
	for i := range shape {
		shape[i] = a[i]
		if _, fixed := b[i].Size(); fixed || a[i] == (ops.Dim{}) {
			shape[i] = b[i] // the same size, by whichever says more
		}
	}
	x, okX := a[axis].Size()
	y, okY := b[axis].Size()
	shape[axis] = ops.Dim{}
	if okX && okY && x+y < tooLarge {
		shape[axis] = ops.Fixed(x + y)
	}
	return shape
}

func (o operation) squeeze() fact {
	x := o.input(0)
	f := fact{dtype: x.dtype, ints: x.ints}
	axes, given, known := o.list("axes", 1)
	if !known || !x.shape.Known() {
		return f
	}
	axes, ok := positions(axes, len(x.shape))
	if !ok {
		return f
	}
	left := ops.Shape{}
	for i, d := range x.shape {
		n, fixed := d.Size()
		switch {
		case !given && !fixed:
			return f
		case given && !slices.Contains(axes, i), !given && n != 1:
			left = append(left, d)
		}
	}
	f.shape = left
	return f
}

func (o operation) unsqueeze() fact {
	x := o.input(0)
	f := fact{dtype: x.dtype, ints: x.ints}
	axes, _, known := o.list("axes", 1)
	if !known || !x.shape.Known() {
		return f
	}
	axes, ok := positions(axes, len(x.shape)+len(axes))
	if !ok {
		return f
	}
	slices.Sort(axes)
	f.shape = copyShape(x.shape)
	for _, axis := range axes {
		f.shape = slices.Insert(f.shape, axis, ops.Fixed(1))
	}
	return f
}

func (o operation) slice() fact {
	x := o.input(0)
	f := o.sameRank()
	starts, _, okStarts := o.list("starts", 1)
	ends, _, okEnds := o.list("ends", 2)
	axes, given, okAxes := o.list("axes", 3)
	steps, stepped, okSteps := o.list("steps", 4)
	if !x.shape.Known() || !okStarts || !okEnds || !okAxes || !okSteps {
		return f
	}
	for i := range starts {
		if !given {
			axes = append(axes, i)
		}
		if !stepped {
			steps = append(steps, 1)
		}
	}
	axes, ok := positions(axes, len(x.shape))
	if !ok || len(starts) != len(ends) || len(starts) != len(axes) || len(starts) != len(steps) {
		return f
	}
	f.shape = copyShape(x.shape)
	for i, axis := range axes {
		f.shape[axis] = ops.Dim{}
		n, fixed := x.shape[axis].Size()
		if !fixed || steps[i] != 1 {
			continue
		}
		from, to := clamped(starts[i], n), clamped(ends[i], n)
		to = max(from, to)
		f.shape[axis] = ops.Fixed(to - from)
		if len(x.shape) == 1 && len(x.ints) == n {
			f.ints = append([]ops.Dim{}, x.ints[from:to]...)
		}
	}
	return f
}

func (o operation) pad() fact {
	x := o.input(0)
	f := o.sameRank()
	name := "pads"
	if o.opset < 2 {
		name = "paddings"
	}
	pads, _, known := o.list(name, 1)
	axes, given, knownAxes := o.list("axes", 3)
	if !x.shape.Known() || !known || !knownAxes {
		return f
	}
	if !given {
		for i := range x.shape {
			axes = append(axes, i)
		}
	}
	axes, ok := positions(axes, len(x.shape))
	if !ok || len(pads) != 2*len(axes) {
		return f
	}
	f.shape = copyShape(x.shape)
	for i, axis := range axes {
		added := pads[i] + pads[len(axes)+i]
		n, fixed := x.shape[axis].Size()
		switch {
		case fixed && n < tooLarge:
			f.shape[axis] = ops.Fixed(n + added)
		case pads[i] != 0 || pads[len(axes)+i] != 0:
			f.shape[axis] = ops.Dim{}
		}
	}
	f.shape = withoutNegative(f.shape)
	return f
}

func (o operation) gather() fact {
	x, at := o.input(0), o.input(1)
	f := fact{dtype: x.dtype}
	axis, ok := position(o.integer("axis", 0), len(x.shape))
	if !ok || !at.shape.Known() {
		return f
	}
	f.shape = copyShape(x.shape[:axis])
	f.shape = append(append(f.shape, at.shape...), x.shape[axis+1:]...)
	if len(x.shape) != 1 || x.ints == nil || at.ints == nil {
		return f
	}
	content := []ops.Dim{}
	for _, d := range at.ints {
		n, fixed := d.Size()
		i, ok := position(n, len(x.ints))
		if !fixed || !ok {
			return f
		}
		content = append(content, x.ints[i])
	}
	f.ints = content
	return f
}

func (o operation) expand() fact {
	return fact{dtype: o.input(0).dtype, shape: broadcast(o.input(0), fact{shape: sizes(o.input(1))})}
}

// resize knows the sizes only where they are given as such, not as scales.
func (o operation) resize() fact {
	x := o.input(0)
	f := o.sameRank()
	to := o.input(3)
	if o.op == "Resize" && len(to.ints) == len(x.shape) && len(o.integers("axes")) == 0 && o.integer("antialias", 0) == 0 && o.stretches() {
		f.shape = sizes(to)
	}
	return f
}

// stretches reports whether Resize gives the sizes asked for exactly.
func (o operation) stretches() bool {
	policy := string(o.attributes["keep_aspect_ratio_policy"].GetS())
	return policy == "" || policy == "stretch"
}

func (o operation) depthToSpace() fact { return o.blocks(true) }
func (o operation) spaceToDepth() fact { return o.blocks(false) }

// blocks moves channels into space or back.
func (o operation) blocks(toSpace bool) fact {
	x := o.input(0)
	f := fact{dtype: x.dtype}
	block := o.integer("blocksize", 0)
	if len(x.shape) != 4 || block <= 0 || block > 1<<15 {
		return f
	}
	scaled := func(d ops.Dim, up bool, by int) ops.Dim {
		n, fixed := d.Size()
		switch {
		case by == 1:
			return d
		case !fixed || n < 0 || !up && n%by != 0 || up && n > tooLarge/by:
			return ops.Dim{}
		case up:
			return ops.Fixed(n * by)
		}
		return ops.Fixed(n / by)
	}
	f.shape = ops.Shape{
		x.shape[0], scaled(x.shape[1], !toSpace, block*block),
		scaled(x.shape[2], toSpace, block), scaled(x.shape[3], toSpace, block),
	}
	return f
}

// split gives the results of Split.
func (o operation) split() []fact {
	x := o.input(0)
	parts := slices.Repeat([]fact{{dtype: x.dtype}}, o.results)
	axis, ok := position(o.integer("axis", 0), len(x.shape))
	if !ok {
		return parts
	}
	lengths, given, known := o.list("split", 1)
	n, fixed := x.shape[axis].Size()
	for i := range parts {
		shape := copyShape(x.shape)
		shape[axis] = ops.Dim{}
		switch {
		case given && known && i < len(lengths):
			shape[axis] = ops.Fixed(lengths[i])
		case !given && known && fixed && n >= 0 && n%o.results == 0:
			shape[axis] = ops.Fixed(n / o.results)
		}
		parts[i].shape = withoutNegative(shape)
	}
	return parts
}
