package export

import (
	"slices"

	"github.com/onnxloss/onnxloss/ops"
)

func (o *operation) reduced() (ops.Shape, error) {
	shape, keep := o.input(0).shape, o.integer("keepdims", 1) != 0
	axes, given, known := o.list("axes", 1)
	if len(axes) == 0 && known && o.integer("noop_with_empty_axes", 0) != 0 {
		return shape, nil
	}
	switch {
	case !given && known && !keep:
		return ops.Shape{}, nil
	case !shape.Known() || !known && !keep:
		return nil, nil
	case !known:
		return unknownSizes(len(shape)), nil
	}
	axes, err := places(axes, len(shape))
	if err != nil {
		return nil, err
	}
	left := ops.Shape{}
	for i, d := range shape {
		gone := len(axes) == 0 || slices.Contains(axes, i)
		switch {
		case !gone:
			left = append(left, d)
		case keep:
			left = append(left, ops.Fixed(1))
		}
	}
	return left, nil
}

// withoutAxis is the shape of a reduction along one axis.
func (o *operation) withoutAxis() (ops.Shape, error) {
	shape := o.input(0).shape
	if !shape.Known() {
		return nil, nil
	}
	at, err := places([]int{o.integer("axis", 0)}, len(shape))
	if err != nil {
		return nil, err
	}
	if o.integer("keepdims", 1) == 0 {
		return slices.Delete(slices.Clone(shape), at[0], at[0]+1), nil
	}
	kept := slices.Clone(shape)
	kept[at[0]] = ops.Fixed(1)
	return kept, nil
}
