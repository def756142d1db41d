package export

import (
	"fmt"
	"slices"

	"github.com/onnxloss/onnxloss/ops"
)

// flattened is a matrix: the axes before axis make its rows, the others its columns.
func (o *operation) flattened() (ops.Shape, error) {
	shape := o.input(0).shape
	if !shape.Known() {
		return unknownSizes(2), nil
	}
	axis := o.integer("axis", 1)
	if axis != len(shape) {
		var err error
		if axis, err = place(axis, len(shape)); err != nil {
			return nil, err
		}
	}
	return ops.Shape{joined(shape[:axis]), joined(shape[axis:])}, nil
}

// joined is the size of several axes together.
func joined(axes ops.Shape) ops.Dim {
	if len(axes) == 1 {
		return axes[0]
	}
	size := 1
	for _, d := range axes {
		n, ok := d.Size()
		if !ok {
			return ops.Dim{}
		}
		size *= n
	}
	return ops.Fixed(size)
}

func (o *operation) transposed() (ops.Shape, error) {
	shape := o.input(0).shape
	if !shape.Known() {
		return nil, nil
	}
	order, given, _ := o.list("perm", len(o.inputs))
	if !given {
		reversed := slices.Clone(shape)
		slices.Reverse(reversed)
		return reversed, nil
	}
	if len(order) != len(shape) {
		return nil, fmt.Errorf("perm has %d axes, the input's shape is %s", len(order), shape)
	}
	axes, err := places(order, len(shape))
	if err != nil {
		return nil, err
	}
	reordered := ops.Shape{}
	for _, axis := range axes {
		reordered = append(reordered, shape[axis])
	}
	return reordered, nil
}

// multiplied is numpy's rule for matrix products: a vector is a row on the left and
// a column on the right, and its axis vanishes from the result.
func (o *operation) multiplied() (ops.Shape, error) {
	x, y := o.input(0).shape, o.input(1).shape
	if !x.Known() || !y.Known() {
		return nil, nil
	}
	if len(x) == 0 || len(y) == 0 {
		return nil, fmt.Errorf("the inputs' shapes %s and %s are not matrices", x, y)
	}
	row, column := len(x) == 1, len(y) == 1
	if row {
		x = ops.Shape{ops.Fixed(1), x[0]}
	}
	if column {
		y = ops.Shape{y[0], ops.Fixed(1)}
	}
	inner, fixedX := x[len(x)-1].Size()
	outer, fixedY := y[len(y)-2].Size()
	if fixedX && fixedY && inner != outer {
		return nil, fmt.Errorf("the inputs' shapes %s and %s do not multiply: %d columns and %d rows", x, y, inner, outer)
	}
	batch := operation{inputs: []fact{{shape: x[:len(x)-2]}, {shape: y[:len(y)-2]}}}
	shape, err := batch.broadcast()
	if err != nil {
		return nil, err
	}
	if !row {
		shape = append(shape, x[len(x)-2])
	}
	if !column {
		shape = append(shape, y[len(y)-1])
	}
	return shape, nil
}

func (o *operation) padded() (ops.Shape, error) {
	shape := o.input(0).shape
	if !shape.Known() {
		return nil, nil
	}
	pads, _, known := o.list("pads", 1)
	axes, given, knownAxes := o.list("axes", 3)
	if !known || !knownAxes {
		return unknownSizes(len(shape)), nil
	}
	if !given {
		for i := range shape {
			axes = append(axes, i)
		}
	}
	axes, err := places(axes, len(shape))
	if err != nil {
		return nil, err
	}
	if len(pads) != 2*len(axes) {
		return nil, fmt.Errorf("it has %d pads for %d axes", len(pads), len(axes))
	}
	wider := slices.Clone(shape)
	for i, axis := range axes {
		added := pads[i] + pads[i+len(axes)]
		n, ok := shape[axis].Size()
		switch {
		case ok && n+added < 0:
			return nil, fmt.Errorf("it takes %d away from axis %d of shape %s", -added, axis, shape)
		case ok:
			wider[axis] = ops.Fixed(n + added)
		case added != 0:
			wider[axis] = ops.Dim{}
		}
	}
	return wider, nil
}
