package onnxgo_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/interp/onnxgo"
	"gorgonia.org/tensor"
)

// lossCase is one exported loss and how it is written.
type lossCase struct {
	loss   *losses.Loss
	params losses.Params
	export.Options
}

func TestOnnxGoComputesEveryLoss(t *testing.T) {
	for _, loss := range losses.All() {
		params, err := loss.Params(nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, with := range [][]string{nil, optionalInputs(loss, params)} {
			for _, dtype := range []ops.DType{ops.Float32, ops.Float64} {
				for _, r := range loss.Reductions() {
					for _, opset := range []int{11, 13, 17} {
						c := lossCase{loss, params, export.Options{Opset: opset, DType: dtype, Reduction: r, With: with}}
						name := fmt.Sprintf("%s/%v/%s/%s/opset%d", loss.Command(), with, dtype, r, opset)
						t.Run(name, c.test)
					}
				}
			}
		}
	}
}

func (c lossCase) test(t *testing.T) {
	m, err := export.Model(c.loss, c.params, c.Options)
	if err != nil {
		t.Fatal(err)
	}
	data, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, in := range m.Proto.Graph.Input {
		names = append(names, in.GetName())
	}
	values, tensors := c.draw(t, names)
	want, tolerance := c.expect(t, values)

	byName := map[string]tensor.Tensor{}
	for i, name := range names {
		byName[name] = tensors[i]
	}
	out, err := onnxgo.Run(data, byName)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "Run", out[c.loss.Output()], want, tolerance)

	backend := onnxgo.NewBackend(c.Opset)
	compare(t, "UnmarshalBinary", decodeAndRun(t, backend, data, tensors)[0], want, tolerance)
}

func optionalInputs(loss *losses.Loss, p losses.Params) []string {
	var names []string
	for _, in := range loss.InputsFor(p) {
		if in.Optional {
			names = append(names, in.Name)
		}
	}
	return names
}

// draw fills the inputs with those names, as arrays and as tensors.
func (c lossCase) draw(t *testing.T, names []string) (losses.Values, []tensor.Tensor) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	sizes := map[string][]int{"N": {4}, "C": {3}, "S": {1}}
	for _, in := range c.loss.Inputs {
		switch {
		case in.Role == losses.Prediction && in.Shape == "...":
			sizes["..."] = []int{4, 3}
		case slices.Contains(in.Axes(), "D"): // exported for images where nothing is said
			sizes["..."] = []int{3}
		}
	}
	values := losses.Values{}
	var tensors []tensor.Tensor
	for _, name := range names {
		inputs := c.loss.InputsFor(c.params)
		in := inputs[slices.IndexFunc(inputs, func(in losses.Input) bool { return in.Name == name })]
		var shape []int
		for _, axis := range in.Axes() {
			shape = append(shape, sizesOf(axis, sizes)...)
		}
		array := losses.Zeros(shape)
		for i := range array.Data {
			array.Data[i] = drawNumber(random, in.Domain)
		}
		switch in.Domain {
		case losses.Distribution:
			normalise(array.Data, 3)
		case losses.LogDistribution:
			normalise(array.Data, 3)
			for i, x := range array.Data {
				array.Data[i] = math.Log(x)
			}
		case losses.Boxes:
			for i := range array.Data {
				if i%4 >= 2 { // the far corner, or a size
					array.Data[i] += 5
				}
			}
		}
		if c.DType == ops.Float32 {
			for i, x := range array.Data {
				array.Data[i] = float64(float32(x))
			}
		}
		values[name] = array
		tensors = append(tensors, c.tensorOf(in, array))
	}
	return values, tensors
}

// sizesOf gives an axis the sizes set for it, the size that it is, or 2; there are
// no further axes unless some are set.
func sizesOf(axis string, set map[string][]int) []int {
	if sizes, ok := set[axis]; ok || axis == "..." {
		return sizes
	}
	if n, err := strconv.Atoi(axis); err == nil {
		return []int{n}
	}
	return []int{2}
}

func drawNumber(random *rand.Rand, domain losses.Domain) float64 {
	switch domain {
	case losses.ClassIndex:
		return float64(random.IntN(3))
	case losses.Binary:
		return float64(random.IntN(5)) / 4
	case losses.Mask:
		return float64(random.IntN(2))
	case losses.UnitInterval:
		return random.Float64()
	case losses.Distribution, losses.LogDistribution, losses.NonNegative, losses.Positive, losses.Boxes:
		return 0.1 + random.Float64()
	}
	return 3 * random.NormFloat64()
}

func normalise(data []float64, classes int) {
	for row := range slices.Chunk(data, classes) {
		total := 0.0
		for _, x := range row {
			total += x
		}
		for i := range row {
			row[i] /= total
		}
	}
}

func (c lossCase) tensorOf(in losses.Input, a losses.Array) tensor.Tensor {
	switch {
	case in.Domain == losses.ClassIndex:
		return dense[int64](a)
	case c.DType == ops.Float32:
		return dense[float32](a)
	}
	return dense[float64](a)
}

func dense[T int64 | float32 | float64](a losses.Array) tensor.Tensor {
	data := make([]T, len(a.Data))
	for i, x := range a.Data {
		data[i] = T(x)
	}
	return tensor.New(tensor.WithShape(a.Shape...), tensor.WithBacking(data))
}

// expect gives the reference's result, and how far each element may be from it.
func (c lossCase) expect(t *testing.T, in losses.Values) (want losses.Array, tolerance []float64) {
	t.Helper()
	eps := 0x1p-23
	if c.DType == ops.Float64 {
		eps = 0x1p-52
	}
	want, err := c.loss.Evaluate(in, c.params, c.Reduction)
	if err != nil {
		t.Fatal(err)
	}
	terms, err := c.loss.Terms(in, c.params)
	if err != nil {
		t.Fatal(err)
	}
	bound, err := c.loss.Bound(in, c.params, eps)
	if err != nil {
		t.Fatal(err)
	}
	if c.Reduction == losses.None {
		return want, bound.Data
	}
	// A sum adds at most a rounding a term; a division and the sum of the weights
	// add as much again.
	total := 0.0
	for i, x := range terms.Loss.Data {
		total += bound.Data[i] + 2*float64(len(bound.Data)+1)*eps*math.Abs(x)
	}
	if c.Reduction == losses.Mean && want.Data[0] != 0 {
		sum := 0.0
		for _, x := range terms.Loss.Data {
			sum += x
		}
		total *= math.Abs(want.Data[0] / sum)
	}
	return want, []float64{total}
}

func compare(t *testing.T, what string, got tensor.Tensor, want losses.Array, tolerance []float64) {
	t.Helper()
	if got == nil {
		t.Fatalf("%s: there is no result", what)
	}
	if !slices.Equal([]int(got.Shape()), want.Shape) {
		t.Fatalf("%s: got shape %v, want %v", what, got.Shape(), want.Shape)
	}
	numbers := numbersOf(t, got)
	for i, w := range want.Data {
		if d := math.Abs(numbers[i] - w); !(d <= tolerance[i]) {
			t.Errorf("%s: element %d: got %v, want %v: off by %g, tolerance %g", what, i, numbers[i], w, d, tolerance[i])
		}
	}
}
