package interp

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/onnxloss/onnxloss/runtime/engine"
)

// topK says which elements along an axis to take.
type topK struct {
	axis             int
	largest, ordered bool
	k                int // before opset 10, an attribute
}

func topKAttribute(a *attributes) kernel {
	a.require("k")
	return topK{axis: a.integer("axis", -1), largest: true, ordered: true, k: a.integer("k", 0)}.run
}

func topKInput(a *attributes) kernel {
	return topK{axis: a.integer("axis", -1), largest: a.flag("largest", true), ordered: a.flag("sorted", true)}.run
}

func (t topK) run(in []engine.Tensor) ([]engine.Tensor, error) {
	k := t.k
	if len(in) > 1 {
		var err error
		if k, err = single(in[1], "k"); err != nil {
			return nil, err
		}
	}
	shape := slices.Clone(in[0].Shape())
	axis, err := axisOf(t.axis, len(shape))
	if err != nil {
		return nil, err
	}
	if k < 0 || k > shape[axis] {
		return nil, fmt.Errorf("k is %d, but axis %d of %s has %d elements", k, axis, in[0], shape[axis])
	}
	bases, lane := lanes(shape, []int{axis})
	shape[axis] = k
	return numbersOf(in[0]).topK(shape, bases, lane, axis, t)
}

func (v vector[T, A]) topK(shape, bases, lane []int, axis int, t topK) ([]engine.Tensor, error) {
	n := product(shape)
	values, indices := make([]T, n), make([]int64, n)
	k := shape[axis]
	outBases, outLane := lanes(shape, []int{axis})
	eachLane(v, bases, lane, func(i int, list []T) {
		order := make([]int, len(list))
		for j := range order {
			order[j] = j
		}
		// Of equals, the one with the lower index comes first.
		slices.SortStableFunc(order, func(a, b int) int {
			if t.largest {
				return cmp.Compare(list[b], list[a])
			}
			return cmp.Compare(list[a], list[b])
		})
		chosen := order[:k]
		if !t.ordered {
			slices.Sort(chosen)
		}
		if k == 0 {
			return
		}
		for j, from := range chosen {
			values[outBases[i]+outLane[j]], indices[outBases[i]+outLane[j]] = list[from], int64(from)
		}
	})
	v1, err := engine.New(shape, values)
	if err != nil {
		return nil, err
	}
	v2, err := engine.New(shape, indices)
	return []engine.Tensor{v1, v2}, err
}

func nonZero(*attributes) kernel {
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		t := in[0]
		if engine.Data[bool](t) != nil {
			t = bits(t)
		}
		return one(numbersOf(t).nonZero(t.Shape()))
	}
}

func (v vector[T, A]) nonZero(shape []int) (engine.Tensor, error) {
	var found []int
	for i, x := range v {
		if x != 0 {
			found = append(found, i)
		}
	}
	strides := stridesOf(shape)
	out := make([]int64, 0, len(shape)*len(found))
	for axis, d := range shape {
		for _, i := range found {
			out = append(out, int64(i/strides[axis]%d))
		}
	}
	return engine.New([]int{len(shape), len(found)}, out)
}
