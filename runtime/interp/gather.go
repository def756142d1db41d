package interp

import (
	"fmt"
	"slices"

	"github.com/onnxloss/onnxloss/runtime/engine"
)

// indexAt reads an index that may count from the end.
func indexAt(index, n int) (int, error) {
	if index < -n || index >= n {
		return 0, fmt.Errorf("index %d is out of range [%d, %d]", index, -n, n-1)
	}
	if index < 0 {
		return index + n, nil
	}
	return index, nil
}

func gather(a *attributes) kernel {
	axis := a.integer("axis", 0)
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		old := in[0].Shape()
		axis, err := axisOf(axis, len(old))
		if err != nil {
			return nil, err
		}
		outer, block := product(old[:axis]), product(old[axis+1:])
		shape := slices.Concat(old[:axis], in[1].Shape(), old[axis+1:])
		n, err := room(shape, 1)
		if err != nil {
			return nil, err
		}
		indices := wholes(in[1])
		for i, x := range indices {
			if indices[i], err = indexAt(x, old[axis]); err != nil {
				return nil, fmt.Errorf("indices[%d]: %w of axis %d of %s", i, err, axis, in[0])
			}
		}
		if n == 0 {
			return one(engine.Zeros(in[0].DType(), shape))
		}
		from := make([]int, 0, outer*len(indices))
		for o := range outer {
			for _, x := range indices {
				from = append(from, o*old[axis]+x)
			}
		}
		return one(elementsOf(in[0]).gather(shape, from, block, engine.Tensor{}))
	}
}

// alongAxis gives the element of a tensor that every element of indices names, as
// GatherElements and ScatterElements do.
func alongAxis(shape []int, indices engine.Tensor, axis int) ([]int, error) {
	if len(indices.Shape()) != len(shape) {
		return nil, fmt.Errorf("indices are %s for data of shape %v; their ranks must agree", indices, shape)
	}
	for i, d := range indices.Shape() {
		if i != axis && d > shape[i] {
			return nil, fmt.Errorf("indices are %s for data of shape %v; axis %d is too long", indices, shape, i)
		}
	}
	strides := stridesOf(shape)
	step, length := strides[axis], shape[axis]
	strides[axis] = 0
	at := offsets(indices.Shape(), strides)
	for i, x := range wholes(indices) {
		x, err := indexAt(x, length)
		if err != nil {
			return nil, fmt.Errorf("indices[%d]: %w of axis %d of shape %v", i, err, axis, shape)
		}
		at[i] += x * step
	}
	return at, nil
}

func gatherElements(a *attributes) kernel {
	axis := a.integer("axis", 0)
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		axis, err := axisOf(axis, len(in[0].Shape()))
		if err != nil {
			return nil, err
		}
		at, err := alongAxis(in[0].Shape(), in[1], axis)
		if err != nil {
			return nil, err
		}
		return one(elementsOf(in[0]).gather(in[1].Shape(), at, 1, engine.Tensor{}))
	}
}

// blocksAt gives the block that every row of indices names. The first axes, batch
// of them, are common to data and indices.
func blocksAt(shape []int, indices engine.Tensor, batch int) ([]int, error) {
	rank := len(indices.Shape())
	if rank == 0 || batch < 0 || batch >= rank || batch >= len(shape) || !slices.Equal(shape[:batch], indices.Shape()[:batch]) {
		return nil, fmt.Errorf("indices are %s for data of shape %v and %d batch axes", indices, shape, batch)
	}
	depth := indices.Shape()[rank-1]
	if depth < 1 || batch+depth > len(shape) {
		return nil, fmt.Errorf("indices are %s, whose last axis names %d axes of shape %v", indices, depth, shape)
	}
	named := shape[batch : batch+depth]
	rows := product(indices.Shape()[:rank-1])
	perBatch := rows / max(product(shape[:batch]), 1)
	list := wholes(indices)
	at := make([]int, rows)
	for row := range at {
		block := row / max(perBatch, 1)
		for i, d := range named {
			x, err := indexAt(list[row*depth+i], d)
			if err != nil {
				return nil, fmt.Errorf("indices, row %d: %w of axis %d of shape %v", row, err, batch+i, shape)
			}
			block = block*d + x
		}
		at[row] = block
	}
	return at, nil
}

func gatherND(a *attributes) kernel {
	batch := a.integer("batch_dims", 0)
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		old, named := in[0].Shape(), in[1].Shape()
		at, err := blocksAt(old, in[1], batch)
		if err != nil {
			return nil, err
		}
		rest := old[batch+named[len(named)-1]:]
		shape := slices.Concat(named[:len(named)-1], rest)
		if product(rest) == 0 {
			return one(engine.Zeros(in[0].DType(), shape))
		}
		return one(elementsOf(in[0]).gather(shape, at, product(rest), engine.Tensor{}))
	}
}

func scatterElements(a *attributes) kernel {
	axis := a.integer("axis", 0)
	reduction := a.text("reduction", "none", "none", "add", "mul", "max", "min")
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		axis, err := axisOf(axis, len(in[0].Shape()))
		if err != nil {
			return nil, err
		}
		if !slices.Equal(in[1].Shape(), in[2].Shape()) {
			return nil, fmt.Errorf("indices are %s and updates %s; their shapes must agree", in[1], in[2])
		}
		at, err := alongAxis(in[0].Shape(), in[1], axis)
		if err != nil {
			return nil, err
		}
		return one(scatter(reduction, in[0], at, in[2]))
	}
}

func scatterND(a *attributes) kernel {
	reduction := a.text("reduction", "none", "none", "add", "mul", "max", "min")
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		old, named := in[0].Shape(), in[1].Shape()
		blocks, err := blocksAt(old, in[1], 0)
		if err != nil {
			return nil, err
		}
		rest := old[named[len(named)-1]:]
		if want := slices.Concat(named[:len(named)-1], rest); !slices.Equal(want, in[2].Shape()) {
			return nil, fmt.Errorf("updates are %s, want shape %v", in[2], want)
		}
		size := product(rest)
		at := make([]int, 0, len(blocks)*size)
		for _, block := range blocks {
			for i := range size {
				at = append(at, block*size+i)
			}
		}
		return one(scatter(reduction, in[0], at, in[2]))
	}
}

// reductions maps what scattering calls its reductions to operators.
var reductions = map[string]string{"add": "Add", "mul": "Mul", "max": "Max", "min": "Min"}

func scatter(reduction string, data engine.Tensor, at []int, updates engine.Tensor) (engine.Tensor, error) {
	if reduction == "none" {
		return elementsOf(data).scatter(data.Shape(), at, updates)
	}
	if !isNumber(data.DType()) {
		return engine.Tensor{}, fmt.Errorf("reduction %q of %s: %w", reduction, data, engine.ErrUnsupported)
	}
	if !data.DType().IsHalf() {
		return numbersOf(data).scatterReduced(reductions[reduction], data.Shape(), at, updates)
	}
	wide, err := numbersOf(widen(data)).scatterReduced(reductions[reduction], data.Shape(), at, widen(updates))
	if err != nil {
		return engine.Tensor{}, err
	}
	return cast(wide, data.DType())
}

func (v vector[T, A]) scatterReduced(op string, shape, index []int, updates engine.Tensor) (engine.Tensor, error) {
	f := arithmeticFunction[T](op)
	out := slices.Clone(v)
	for i, u := range engine.Data[T](updates) {
		out[index[i]] = f(out[index[i]], u)
	}
	return engine.New(shape, []T(out))
}
