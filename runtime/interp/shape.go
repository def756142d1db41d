package interp

import (
	"fmt"
	"slices"

	"github.com/onnxloss/onnxloss/runtime/engine"
)

func shapeOf(a *attributes) kernel {
	start, end := a.integer("start", 0), a.integer("end", 1<<31)
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		shape := in[0].Shape()
		from, to := bound(start, len(shape)), bound(end, len(shape))
		return one(int64List(shape[from:max(from, to)]))
	}
}

// bound clamps a position that may count from the end to [0, n].
func bound(i, n int) int {
	if i < 0 {
		i += n
	}
	return min(max(i, 0), n)
}

func int64List(list []int) (engine.Tensor, error) {
	return engine.New([]int{len(list)}, convert(list, func(x int) int64 { return int64(x) }))
}

func sizeOf(*attributes) kernel {
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		return []engine.Tensor{engine.Scalar(int64(in[0].Len()))}, nil
	}
}

func reshape(a *attributes) kernel {
	zeroIsZero := a.flag("allowzero", false)
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		if len(in[1].Shape()) != 1 {
			return nil, fmt.Errorf("the new shape is %s, want rank 1", in[1])
		}
		shape, err := newShape(in[0].Shape(), wholes(in[1]), zeroIsZero)
		if err != nil {
			return nil, err
		}
		return one(in[0].Reshape(shape))
	}
}

// newShape fills in what a requested shape leaves open: 0 stands for the same
// dimension of the old shape, one -1 for whatever is left.
func newShape(old, asked []int, zeroIsZero bool) ([]int, error) {
	shape := slices.Clone(asked)
	open := -1
	known := 1
	for i, d := range shape {
		switch {
		case d == 0 && !zeroIsZero && i >= len(old):
			return nil, fmt.Errorf("cannot reshape %v to %v: axis %d copies a dimension that is not there", old, asked, i)
		case d == 0 && !zeroIsZero:
			shape[i] = old[i]
		case d == -1 && open >= 0:
			return nil, fmt.Errorf("cannot reshape %v to %v: more than one -1", old, asked)
		case d == -1:
			open = i
			continue
		case d < -1:
			return nil, fmt.Errorf("cannot reshape %v to %v: a dimension is %d", old, asked, d)
		}
		known *= shape[i]
	}
	if open < 0 {
		return shape, nil
	}
	total := product(old)
	if known == 0 || total%known != 0 {
		return nil, fmt.Errorf("cannot reshape %v to %v: %d elements do not divide by %d", old, asked, total, known)
	}
	shape[open] = total / known
	return shape, nil
}

func flatten(a *attributes) kernel {
	axis := a.integer("axis", 1)
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		shape := in[0].Shape()
		if axis < -len(shape) || axis > len(shape) {
			return nil, fmt.Errorf("axis %d is out of range [%d, %d]", axis, -len(shape), len(shape))
		}
		at := bound(axis, len(shape))
		return one(in[0].Reshape([]int{product(shape[:at]), product(shape[at:])}))
	}
}

// listed gives the axes of an operator that has them as an attribute in older
// opsets and as its second input in newer ones; nil where there are none.
func listed(attribute []int, in []engine.Tensor) []int {
	if len(in) > 1 && !in[1].IsZero() {
		return wholes(in[1])
	}
	return attribute
}

func squeeze(a *attributes) kernel {
	attribute := a.integers("axes")
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		old := in[0].Shape()
		axes, err := axesOf(listed(attribute, in), len(old))
		if err != nil {
			return nil, err
		}
		every := listed(attribute, in) == nil
		var shape []int
		for axis, d := range old {
			named := slices.Contains(axes, axis)
			if named && d != 1 {
				return nil, fmt.Errorf("cannot squeeze axis %d of %s: it is not 1", axis, in[0])
			}
			if !named && !(every && d == 1) {
				shape = append(shape, d)
			}
		}
		return one(in[0].Reshape(shape))
	}
}

func unsqueeze(a *attributes) kernel {
	attribute := a.integers("axes")
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		asked := listed(attribute, in)
		rank := len(in[0].Shape()) + len(asked)
		axes, err := axesOf(asked, rank)
		if err != nil {
			return nil, err
		}
		shape := make([]int, 0, rank)
		rest := in[0].Shape()
		for axis := range rank {
			if slices.Contains(axes, axis) {
				shape = append(shape, 1)
				continue
			}
			shape, rest = append(shape, rest[0]), rest[1:]
		}
		return one(in[0].Reshape(shape))
	}
}

func transpose(a *attributes) kernel {
	perm := a.integers("perm")
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		rank := len(in[0].Shape())
		order := perm
		if order == nil {
			for axis := rank - 1; axis >= 0; axis-- {
				order = append(order, axis)
			}
		}
		order, err := axesOf(order, rank)
		if err != nil || len(order) != rank {
			return nil, fmt.Errorf("perm %v is not an order of the axes of %s", perm, in[0])
		}
		return one(permute(in[0], order))
	}
}

func permute(t engine.Tensor, order []int) (engine.Tensor, error) {
	shape, strides := make([]int, len(order)), make([]int, len(order))
	own := stridesOf(t.Shape())
	for i, axis := range order {
		shape[i], strides[i] = t.Shape()[axis], own[axis]
	}
	return strided(t, shape, 0, strides)
}

func concatenation(a *attributes) kernel {
	a.require("axis")
	axis := a.integer("axis", 0)
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		axis, err := axisOf(axis, len(in[0].Shape()))
		if err != nil {
			return nil, err
		}
		return one(concat(in, axis))
	}
}

// split builds Split. Its sizes are an attribute before opset 13 and an input
// after; from 18 on, num_outputs may leave a shorter last part.
func split(a *attributes) kernel {
	axis, attribute := a.integer("axis", 0), a.integers("split")
	parts := a.integer("num_outputs", a.outputs)
	uneven := a.has("num_outputs")
	if parts < 1 {
		a.fail("num_outputs is %d, want at least 1", parts)
	}
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		axis, err := axisOf(axis, len(in[0].Shape()))
		if err != nil {
			return nil, err
		}
		sizes := listed(attribute, in)
		if sizes == nil {
			if sizes, err = evenParts(in[0].Shape()[axis], parts, uneven); err != nil {
				return nil, err
			}
		}
		return cut(in[0], axis, sizes)
	}
}

// maxParts is how many results Split may have where they are empty.
const maxParts = 1 << 18

func evenParts(n, parts int, uneven bool) ([]int, error) {
	if parts > max(n, 1)*2+maxParts || n%parts != 0 && !uneven {
		return nil, fmt.Errorf("cannot split %d elements into %d equal parts", n, parts)
	}
	size := (n + parts - 1) / parts
	sizes := make([]int, parts)
	for i := range sizes {
		sizes[i] = min(size, n)
		n -= sizes[i]
	}
	return sizes, nil
}

func cut(t engine.Tensor, axis int, sizes []int) ([]engine.Tensor, error) {
	total := 0
	for _, size := range sizes {
		if size < 0 || size > t.Shape()[axis] {
			return nil, fmt.Errorf("cannot split axis %d of %s into sizes %v", axis, t, sizes)
		}
		total += size
	}
	if total != t.Shape()[axis] {
		return nil, fmt.Errorf("cannot split axis %d of %s into sizes %v, which make %d", axis, t, sizes, total)
	}
	var parts []engine.Tensor
	strides := stridesOf(t.Shape())
	before := 0
	for _, size := range sizes {
		shape := slices.Clone(t.Shape())
		shape[axis] = size
		part, err := strided(t, shape, before*strides[axis], strides)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
		before += size
	}
	return parts, nil
}

func expand(*attributes) kernel {
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		asked := wholes(in[1])
		if _, err := engine.Count(asked); err != nil {
			return nil, err
		}
		shape, err := broadcastShape(in[0].Shape(), asked)
		if err != nil {
			return nil, err
		}
		return one(strided(in[0], shape, 0, broadcastStrides(in[0].Shape(), shape)))
	}
}

func tile(*attributes) kernel {
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		repeats, old := wholes(in[1]), in[0].Shape()
		if len(repeats) != len(old) {
			return nil, fmt.Errorf("repeats are %v for %s; want one for each axis", repeats, in[0])
		}
		var pairs, strides, shape []int
		own := stridesOf(old)
		if _, err := engine.Count(repeats); err != nil {
			return nil, err
		}
		for axis, d := range old {
			if d > 0 && repeats[axis] > maxTensorBytes/d {
				return nil, fmt.Errorf("axis %d of %s repeated %d times is beyond the limit", axis, in[0], repeats[axis])
			}
			pairs, strides = append(pairs, repeats[axis], d), append(strides, 0, own[axis])
			shape = append(shape, repeats[axis]*d)
		}
		tiled, err := strided(in[0], pairs, 0, strides)
		if err != nil {
			return nil, err
		}
		return one(tiled.Reshape(shape))
	}
}

// depthToSpace moves blocks of channels to blocks of pixels.
func depthToSpace(a *attributes) kernel {
	a.require("blocksize")
	block := a.integer("blocksize", 1)
	column := a.text("mode", "DCR", "DCR", "CRD") == "CRD"
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		s := in[0].Shape()
		if len(s) != 4 || block < 1 || block > 1<<15 || s[1]%(block*block) != 0 {
			return nil, fmt.Errorf("input is %s, want rank 4 with channels that divide by %d squared", in[0], block)
		}
		channels := s[1] / (block * block)
		split, order := []int{s[0], block, block, channels, s[2], s[3]}, []int{0, 3, 4, 1, 5, 2}
		if column {
			split, order = []int{s[0], channels, block, block, s[2], s[3]}, []int{0, 1, 4, 2, 5, 3}
		}
		return one(rearrange(in[0], split, order, []int{s[0], channels, s[2] * block, s[3] * block}))
	}
}

func spaceToDepth(a *attributes) kernel {
	a.require("blocksize")
	block := a.integer("blocksize", 1)
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		s := in[0].Shape()
		if len(s) != 4 || block < 1 || block > 1<<15 || s[2]%block != 0 || s[3]%block != 0 {
			return nil, fmt.Errorf("input is %s, want rank 4 with height and width that divide by %d", in[0], block)
		}
		h, w := s[2]/block, s[3]/block
		return one(rearrange(in[0], []int{s[0], s[1], h, block, w, block}, []int{0, 3, 5, 1, 2, 4},
			[]int{s[0], s[1] * block * block, h, w}))
	}
}

// rearrange splits axes, permutes them and merges them again.
func rearrange(t engine.Tensor, split, order, merged []int) (engine.Tensor, error) {
	t, err := t.Reshape(split)
	if err != nil {
		return engine.Tensor{}, err
	}
	if t, err = permute(t, order); err != nil {
		return engine.Tensor{}, err
	}
	return t.Reshape(merged)
}
