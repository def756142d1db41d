package export

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/onnxloss/onnxloss/ops"
)

// result infers the output of an operator.
func (o *operation) result() (fact, error) {
	f := fact{dtype: o.outputType()}
	var err error
	switch o.op {
	case "Constant":
		return o.constant()
	case "ConstantOfShape":
		f.shape, err = sizesAsShape(o.ints(0), o.input(0).shape)
	case "Shape":
		f.ints, err = o.sizes()
		f.shape = ops.Shape{{}}
		if f.ints != nil {
			f.shape = ops.Shape{ops.Fixed(len(f.ints))}
		}
	case "Size":
		f.shape = ops.Shape{}
	case "Range":
		f.shape = o.rangeShape()
	case "NonZero":
		f.shape = ops.Shape{{}, {}}
		if shape := o.input(0).shape; shape.Known() {
			f.shape[0] = ops.Fixed(max(len(shape), 1)) // a scalar counts as a vector
		}
	case "ArgMax":
		f.shape, err = o.withoutAxis()
	case "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin":
		f.shape, err = o.reduced()
	case "Softmax", "LogSoftmax":
		f.shape, err = o.alongAxis()
	case "Unsqueeze":
		f.shape, err = o.unsqueezed()
		f.ints = o.ints(0)
	case "Squeeze":
		f.shape, err = o.squeezed()
		f.ints = o.ints(0)
	case "Flatten":
		f.shape, err = o.flattened()
	case "Transpose":
		f.shape, err = o.transposed()
	case "MatMul":
		f.shape, err = o.multiplied()
	case "Pad":
		f.shape, err = o.padded()
	case "Reshape":
		f.shape, err = o.reshaped()
	case "Concat":
		return o.concatenated(f)
	case "Slice":
		return o.sliced(f)
	case "Gather":
		return o.gathered(f)
	case "GatherElements":
		f.shape, err = o.gatheredElements()
	case "Identity", "Cast":
		f = fact{f.dtype, o.input(0).shape, o.ints(0)}
	case "Clip":
		f.shape = o.input(0).shape
	default:
		f.shape, err = o.broadcast()
	}
	return f, err
}

func (o *operation) input(i int) fact {
	if i >= len(o.inputs) {
		return fact{}
	}
	return o.inputs[i]
}

func (o *operation) ints(i int) []ops.Dim { return o.input(i).ints }

// outputType is the type that the signature gives: that of an operand of the same
// name, or the only one there is.
func (o *operation) outputType() ops.DType {
	switch o.op {
	case "Cast":
		return ops.DType(o.attributes["to"].GetI())
	case "ConstantOfShape":
		if value := o.attributes["value"].GetT(); value != nil {
			return ops.DType(value.GetDataType())
		}
		return ops.Float32
	}
	_, outputs := o.schema.operands()
	switch outputs[0] {
	case "B":
		return ops.Bool
	case "L":
		return ops.Int64
	}
	for i, in := range o.inputs {
		if variable, _, _ := o.schema.input(i); variable == outputs[0] && in.dtype != ops.Undefined {
			return in.dtype
		}
	}
	return ops.Undefined
}

// integer reads an attribute of type INT.
func (o *operation) integer(name string, otherwise int) int {
	if a := o.attributes[name]; a != nil {
		return int(a.GetI())
	}
	return otherwise
}

// list reads whole numbers that are an attribute in old versions and an input in
// new ones. known is false where they are only known when the model runs, given
// where they are left out.
func (o *operation) list(name string, input int) (numbers []int, given, known bool) {
	if a := o.attributes[name]; a != nil {
		if len(a.GetInts()) > maxList {
			return nil, true, false
		}
		for _, i := range a.GetInts() {
			numbers = append(numbers, int(i))
		}
		return numbers, true, true
	}
	if input >= len(o.inputs) || o.inputs[input].dtype == ops.Undefined {
		return nil, false, input >= len(o.inputs)
	}
	if o.ints(input) == nil {
		return nil, true, false
	}
	for _, d := range o.ints(input) {
		n, ok := d.Size()
		if !ok {
			return nil, true, false
		}
		numbers = append(numbers, n)
	}
	return numbers, true, true
}

// place turns an axis that may count from the end into one that counts from the
// start.
func place(axis, rank int) (int, error) {
	if axis < -rank || axis >= rank {
		return 0, fmt.Errorf("axis %d does not fit rank %d", axis, rank)
	}
	if axis < 0 {
		axis += rank
	}
	return axis, nil
}

func places(axes []int, rank int) ([]int, error) {
	placed := make([]int, len(axes))
	for i, axis := range axes {
		at, err := place(axis, rank)
		if err != nil {
			return nil, err
		}
		if slices.Contains(placed[:i], at) {
			return nil, fmt.Errorf("axis %d is named twice", axis)
		}
		placed[i] = at
	}
	return placed, nil
}

// unknownSizes is a shape of which only the rank is known.
func unknownSizes(rank int) ops.Shape { return make(ops.Shape, rank) }

// broadcast is the joint shape of all inputs by numpy's rule.
func (o *operation) broadcast() (ops.Shape, error) {
	joint := ops.Shape{}
	for _, in := range o.inputs {
		if !in.shape.Known() {
			return nil, nil
		}
		wider := slices.Clone(joint)
		for len(wider) < len(in.shape) {
			wider = slices.Insert(wider, 0, ops.Fixed(1))
		}
		offset := len(wider) - len(in.shape)
		for i, d := range in.shape {
			both, ok := broadcastSize(wider[offset+i], d)
			if !ok {
				return nil, fmt.Errorf("the inputs' shapes %s and %s do not fit together", joint, in.shape)
			}
			wider[offset+i] = both
		}
		joint = wider
	}
	return joint, nil
}

func broadcastSize(a, b ops.Dim) (ops.Dim, bool) {
	x, fixedX := a.Size()
	y, fixedY := b.Size()
	switch {
	case a == b:
		return a, true
	case fixedX && x == 1:
		return b, true
	case fixedY && y == 1:
		return a, true
	case fixedX && fixedY:
		return ops.Dim{}, false
	case fixedX:
		return a, true
	case fixedY:
		return b, true
	}
	return ops.Dim{}, true
}

func (o *operation) alongAxis() (ops.Shape, error) {
	shape := o.input(0).shape
	if !shape.Known() {
		return nil, nil
	}
	otherwise := -1
	if o.opset < 13 {
		otherwise = 1
	}
	axis := o.integer("axis", otherwise)
	if o.opset < 13 && axis == len(shape) { // everything is flattened into rows
		return shape, nil
	}
	_, err := place(axis, len(shape))
	return shape, err
}

// sizes is the content of what Shape gives.
func (o *operation) sizes() ([]ops.Dim, error) {
	shape := o.input(0).shape
	if !shape.Known() || len(shape) > longestInts {
		return nil, nil
	}
	rank := len(shape)
	clamp := func(at int) int {
		if at < 0 {
			at += rank
		}
		return min(max(at, 0), rank)
	}
	start, end := clamp(o.integer("start", 0)), clamp(o.integer("end", rank))
	return slices.Concat([]ops.Dim{}, shape[start:max(start, end)]), nil
}

// sizesAsShape reads a shape out of a tensor's content, or at least the rank out
// of the tensor's length.
func sizesAsShape(sizes []ops.Dim, of ops.Shape) (ops.Shape, error) {
	if sizes == nil && len(of) == 1 {
		if n, ok := of[0].Size(); ok && n >= 0 && n <= longestInts {
			return unknownSizes(n), nil
		}
	}
	if sizes == nil {
		return nil, nil
	}
	for _, d := range sizes {
		if n, ok := d.Size(); ok && n < 0 {
			return nil, fmt.Errorf("the shape has the size %d", n)
		}
	}
	return slices.Concat(ops.Shape{}, sizes), nil
}

func (o *operation) rangeShape() ops.Shape {
	bounds := make([]ops.Dim, 3)
	for i := range bounds {
		if len(o.ints(i)) != 1 {
			return ops.Shape{{}}
		}
		bounds[i] = o.ints(i)[0]
	}
	if bounds[0] == ops.Fixed(0) && bounds[2] == ops.Fixed(1) {
		if n, ok := bounds[1].Size(); ok {
			return ops.Shape{ops.Fixed(max(n, 0))}
		}
		return ops.Shape{bounds[1]}
	}
	return ops.Shape{{}}
}

func (o *operation) unsqueezed() (ops.Shape, error) {
	shape := o.input(0).shape
	axes, _, known := o.list("axes", 1)
	if !known || !shape.Known() {
		return nil, nil
	}
	axes, err := places(axes, len(shape)+len(axes))
	if err != nil {
		return nil, err
	}
	slices.Sort(axes)
	wider := slices.Clone(shape)
	for _, axis := range axes {
		wider = slices.Insert(wider, axis, ops.Fixed(1))
	}
	return wider, nil
}

func (o *operation) squeezed() (ops.Shape, error) {
	shape := o.input(0).shape
	axes, given, known := o.list("axes", 1)
	if !known || !shape.Known() {
		return nil, nil
	}
	axes, err := places(axes, len(shape))
	if err != nil {
		return nil, err
	}
	left := ops.Shape{}
	for i, d := range shape {
		n, fixed := d.Size()
		named := slices.Contains(axes, i)
		switch {
		case !given && !fixed:
			return nil, nil
		case named && fixed && n != 1:
			return nil, fmt.Errorf("axis %d of shape %s is not of size 1", i, shape)
		case !named && (given || n != 1):
			left = append(left, d)
		}
	}
	return left, nil
}

func (o *operation) reshaped() (ops.Shape, error) {
	data, sizes := o.input(0).shape, o.ints(1)
	if sizes == nil {
		return sizesAsShape(nil, o.input(1).shape)
	}
	shape, open := slices.Concat(ops.Shape{}, sizes), -1
	for i, d := range shape {
		switch n, fixed := d.Size(); {
		case fixed && n == 0 && o.integer("allowzero", 0) == 0:
			if shape[i] = (ops.Dim{}); data.Known() && i >= len(data) {
				return nil, fmt.Errorf("the new shape copies axis %d of shape %s", i, data)
			} else if data.Known() {
				shape[i] = data[i]
			}
		case fixed && n == -1 && open >= 0:
			return nil, errors.New("the new shape leaves two sizes open")
		case fixed && n == -1:
			open = i
		case fixed && n < 0:
			return nil, fmt.Errorf("the new shape has the size %d", n)
		}
	}
	if open < 0 {
		return shape, sameCount(data, shape)
	}
	shape[open] = ops.Fixed(1)
	size, err := quotient(data, shape)
	shape[open] = size
	return shape, err
}

// elements splits a shape's number of elements into the known factor and the
// symbols; ok is false where it is not known or too large to tell.
func elements(s ops.Shape) (count int, symbols []string, ok bool) {
	count = 1
	for _, d := range s {
		n, fixed := d.Size()
		switch {
		case fixed && n > 0 && count > math.MaxInt32/n:
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

func sameCount(a, b ops.Shape) error {
	x, left, okA := elements(a)
	y, right, okB := elements(b)
	if okA && okB && len(left)+len(right) == 0 && x != y {
		return fmt.Errorf("shape %s has %d elements, but %s has %d", a, x, b, y)
	}
	return nil
}

// quotient is the size that is left over where a shape takes up a part of another.
func quotient(whole, part ops.Shape) (ops.Dim, error) {
	x, over, okA := elements(whole)
	y, under, okB := elements(part)
	if !okA || !okB || y == 0 {
		return ops.Dim{}, nil
	}
	for _, symbol := range under {
		at := slices.Index(over, symbol)
		if at < 0 {
			return ops.Dim{}, nil
		}
		over = slices.Delete(over, at, at+1)
	}
	switch {
	case len(over) == 0 && x%y != 0:
		return ops.Dim{}, fmt.Errorf("the %d elements of shape %s do not divide by %d", x, whole, y)
	case len(over) == 0:
		return ops.Fixed(x / y), nil
	case len(over) == 1 && x == y:
		return ops.Symbolic(over[0]), nil
	}
	return ops.Dim{}, nil
}

func (o *operation) concatenated(f fact) (fact, error) {
	f.ints = []ops.Dim{}
	for _, in := range o.inputs {
		if in.ints == nil || len(in.shape) != 1 || len(f.ints) > longestInts {
			f.ints = nil
			break
		}
		f.ints = append(f.ints, in.ints...)
	}
	var joint ops.Shape
	total, fixed := 0, true
	for _, in := range o.inputs {
		if !in.shape.Known() {
			return f, nil
		}
		if joint == nil {
			joint = slices.Clone(in.shape)
		}
		if len(joint) != len(in.shape) {
			return f, fmt.Errorf("it joins shapes %s and %s of different ranks", joint, in.shape)
		}
		axis, err := place(o.integer("axis", 0), len(joint))
		if err != nil {
			return f, err
		}
		for i, d := range in.shape {
			x, fixedX := joint[i].Size()
			y, fixedY := d.Size()
			if fixedX && fixedY && x != y && i != axis {
				return f, fmt.Errorf("it joins shapes %s and %s, which differ beyond axis %d", joint, in.shape, axis)
			}
			if fixedY || joint[i] == (ops.Dim{}) {
				joint[i] = d
			}
		}
		n, ok := in.shape[axis].Size()
		total, fixed = total+n, fixed && ok
		joint[axis] = ops.Dim{}
		if fixed {
			joint[axis] = ops.Fixed(total)
		}
	}
	f.shape = joint
	return f, nil
}

func (o *operation) sliced(f fact) (fact, error) {
	shape := o.input(0).shape
	first := 1 // of the inputs that say what to take
	starts, _, known := o.list("starts", first)
	ends, _, knownEnds := o.list("ends", first+1)
	axes, given, knownAxes := o.list("axes", first+2)
	steps, stepped, knownSteps := o.list("steps", first+3)
	if !shape.Known() {
		return f, nil
	}
	if !known || !knownEnds || !knownAxes || !knownSteps {
		f.shape = unknownSizes(len(shape))
		return f, nil
	}
	for i := range starts {
		if !given {
			axes = append(axes, i)
		}
		if !stepped {
			steps = append(steps, 1)
		}
	}
	if len(starts) != len(ends) || len(starts) != len(axes) || len(starts) != len(steps) {
		return f, fmt.Errorf("it has %d starts, %d ends, %d axes and %d steps", len(starts), len(ends), len(axes), len(steps))
	}
	axes, err := places(axes, len(shape))
	if err != nil {
		return f, err
	}
	f.shape = slices.Clone(shape)
	for i, axis := range axes {
		f.shape[axis] = ops.Dim{}
		if n, ok := shape[axis].Size(); ok && steps[i] == 1 {
			from, to := clamped(starts[i], n), clamped(ends[i], n)
			f.shape[axis] = ops.Fixed(max(to-from, 0))
			if content := o.ints(0); len(shape) == 1 && len(content) == n {
				f.ints = slices.Concat([]ops.Dim{}, content[from:max(from, to)])
			}
		}
	}
	return f, nil
}

func clamped(at, size int) int {
	if at < 0 {
		at += size
	}
	return min(max(at, 0), size)
}

func (o *operation) gathered(f fact) (fact, error) {
	data, at := o.input(0), o.input(1)
	if !data.shape.Known() {
		return f, nil
	}
	axis, err := place(o.integer("axis", 0), len(data.shape))
	if err != nil || !at.shape.Known() {
		return f, err
	}
	f.shape = slices.Concat(ops.Shape{}, data.shape[:axis], at.shape, data.shape[axis+1:])
	if len(data.shape) != 1 || data.ints == nil || at.ints == nil {
		return f, nil
	}
	content := []ops.Dim{}
	for _, d := range at.ints {
		n, ok := d.Size()
		if !ok {
			return f, nil
		}
		i, err := place(n, len(data.ints))
		if err != nil {
			return f, fmt.Errorf("index %d is outside of %d elements", n, len(data.ints))
		}
		content = append(content, data.ints[i])
	}
	f.ints = content
	return f, nil
}

func (o *operation) gatheredElements() (ops.Shape, error) {
	data, at := o.input(0).shape, o.input(1).shape
	if !data.Known() || !at.Known() {
		return at, nil
	}
	if len(data) != len(at) {
		return nil, fmt.Errorf("the data %s and the indices %s are of different ranks", data, at)
	}
	_, err := place(o.integer("axis", 0), len(data))
	return at, err
}
