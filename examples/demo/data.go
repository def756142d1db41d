package main

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/onnxloss/onnxloss/internal/npy"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// anySize stands for a size that may be anything but 0.
const anySize = -1

// read reads a .npy file of the data folder and refuses one of another type or
// shape than asked for.
func (d *demo) read(name string, dtype ops.DType, shape ...int) (engine.Tensor, error) {
	t, err := npy.Read(filepath.Join(d.data, name))
	if err != nil {
		return t, err
	}
	same := func(got, want int) bool { return got == want || want == anySize && got > 0 }
	if t.DType() != dtype || !slices.EqualFunc(t.Shape(), shape, same) {
		return t, fmt.Errorf("%s holds %s, want %s%v where %d is any size", filepath.Join(d.data, name), t, dtype, shape, anySize)
	}
	return t, nil
}

// oneHot spreads class indices over an axis of their own, at the end: 1 at the
// class, 0 elsewhere. All is 0 where the index is -1.
func oneHot(indices engine.Tensor, classes int) (engine.Tensor, error) {
	spread := make([]float32, indices.Len()*classes)
	for i, class := range engine.Data[int64](indices) {
		if class < -1 || class >= int64(classes) {
			return engine.Tensor{}, fmt.Errorf("class %d at element %d is not one of %d classes, nor -1 for none", class, i, classes)
		}
		if class >= 0 {
			spread[i*classes+int(class)] = 1
		}
	}
	return engine.New(append(slices.Clone(indices.Shape()), classes), spread)
}

// row is the numbers of one sample, as float64.
func row(t engine.Tensor, sample int) []float64 {
	size := t.Len() / t.Shape()[0]
	return t.Float64s()[sample*size : (sample+1)*size]
}

// argmax is the index of the largest number.
func argmax(numbers []float64) int {
	best := 0
	for i, x := range numbers {
		if x > numbers[best] {
			best = i
		}
	}
	return best
}
