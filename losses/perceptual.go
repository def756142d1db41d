package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// johnson is the paper that the perceptual losses are from.
const johnson = "Johnson, Alahi, Fei-Fei: Perceptual Losses for Real-Time Style Transfer and Super-Resolution, ECCV 2016, arXiv:1603.08155"

// averageParam chooses between a sum, as formulas have it, and a mean.
func averageParam(byDefault bool, doc string) Param {
	return Param{Name: "average", Kind: Bool, Default: byDefault, Try: []any{!byDefault}, Doc: doc}
}

// featureMaps is a tensor [N, C, ...] as one matrix a sample: a row a channel, a
// column a position.
type featureMaps struct {
	classes
	data []float64
}

func featureMapsOf(a Array) featureMaps { return featureMaps{classesOf(a), a.Data} }

// channel is one row of a sample's matrix.
func (f featureMaps) channel(sample, c int) []float64 {
	start := (sample*f.count + c) * f.inner
	return f.data[start : start+f.inner]
}

// entries is what the sums of a Gram matrix are divided by.
func (f featureMaps) entries() float64 { return float64(f.count * f.inner) }

// gramMatrices computes F Fᵀ / (C·H·W) of every sample.
func gramMatrices(a Array) Array {
	f := featureMapsOf(a)
	gram := Zeros([]int{f.outer, f.count, f.count})
	products := make([]float64, f.inner)
	for n := range f.outer {
		for i := range f.count {
			for j := range i + 1 {
				x, y := f.channel(n, i), f.channel(n, j)
				for k := range products {
					products[k] = x[k] * y[k]
				}
				entry := sum(products) / f.entries()
				gram.Data[(n*f.count+i)*f.count+j] = entry
				gram.Data[(n*f.count+j)*f.count+i] = entry
			}
		}
	}
	return gram
}

// gramGradient is (U + Uᵀ) F / (C·H·W) of every sample, where U is the gradient by
// its Gram matrix.
func gramGradient(a, upstream Array) Array {
	f := featureMapsOf(a)
	gradient := Zeros(a.Shape)
	g := featureMapsOf(gradient)
	for n := range f.outer {
		u := upstream.Data[n*f.count*f.count:]
		for i := range f.count {
			for j := range f.count {
				slope := (u[i*f.count+j] + u[j*f.count+i]) / f.entries()
				into, from := g.channel(n, i), f.channel(n, j)
				for k := range into {
					into[k] += slope * from[k]
				}
			}
		}
	}
	return gradient
}

// gramBound is how far a computed Gram matrix may be from the exact one: a rounding
// for each of its products and sums, relative to what is summed without its signs.
func gramBound(a Array, eps float64) Array {
	magnitudes := Zeros(a.Shape)
	for i, x := range a.Data {
		magnitudes.Data[i] = math.Abs(x)
	}
	return scaledBy(gramMatrices(magnitudes), roundings(classesOf(a).inner, eps))
}

// roundings bounds the relative error of a sum of n numbers of one sign, and of the
// few operations before and after it.
func roundings(n int, eps float64) float64 { return float64(n+6) * eps / 2 }

func scaledBy(a Array, factor float64) Array {
	for i := range a.Data {
		a.Data[i] *= factor
	}
	return a
}

// buildGram is F Fᵀ / (C·H·W) of [N, C, ...]: but in float64, the quotient is taken of
// the matrix of channels by channels, which is smaller than the features. The positions
// are counted on one channel: Reshape does not find out a size of an empty batch, and
// to divide whole numbers by no channels ends the process in some engines.
func buildGram(b *ops.Builder, features ops.Value) ops.Value {
	shape := b.ShapeOf(features)
	positions := b.Label(entriesOf(b, b.Flatten(b.Slice(features, 1, 0, 1))), "positions")
	known := ops.Shape{{}, {}, {}}
	if s := features.Shape(); s.Known() {
		known[0], known[1] = s[0], s[1]
	}
	maps := b.Label(b.Reshape(features, b.Concat(0, b.Slice(shape, 0, 0, 2), positions), known), "feature_maps")
	turned := b.Transpose(maps, 0, 2, 1)
	entries := b.Cast(b.Label(b.Mul(b.Slice(shape, 0, 1, 2), positions), "entries"), maps.DType())
	if maps.DType() == ops.Float64 {
		// ONNX Runtime 1.23 makes one node of a Transpose and a MatMul that it then has
		// no float64 kernel for. A quotient between the two keeps them apart.
		return b.Label(b.MatMul(maps, b.Div(turned, entries)), "gram_matrix")
	}
	return b.Label(b.Div(b.MatMul(maps, turned), entries), "gram_matrix")
}

// entriesOf counts the numbers in a row of a matrix, as a vector of one.
func entriesOf(b *ops.Builder, matrix ops.Value) ops.Value {
	return b.Label(b.Slice(b.ShapeOf(matrix), 0, 1, 2), "entries")
}
