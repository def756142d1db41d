package onnxgo_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/onnxloss/onnxloss/runtime/interp/onnxgo"
	"gorgonia.org/tensor"
)

// through puts a tensor into a node and takes it out again.
func through(t *testing.T, in tensor.Tensor) tensor.Tensor {
	t.Helper()
	n := carrier()
	if err := n.SetTensor(in); err != nil {
		t.Fatal(err)
	}
	return n.GetTensor()
}

type dataCarrier interface {
	SetTensor(tensor.Tensor) error
	GetTensor() tensor.Tensor
}

func carrier() dataCarrier { return onnxgo.NewBackend(17).NewNode().(dataCarrier) }

func TestEveryElementTypeComesThrough(t *testing.T) {
	for _, data := range []any{
		[]float32{1, -2, 3, 4},
		[]float64{1, -2, 3, 4},
		[]bool{true, false, false, true},
		[]string{"a", "", "c", "d"},
		[]int8{1, -2, 3, 4},
		[]int16{1, -2, 3, 4},
		[]int32{1, -2, 3, 4},
		[]int64{1, -2, 3, 1 << 60},
		[]uint8{1, 2, 3, 4},
		[]uint16{1, 2, 3, 4},
		[]uint32{1, 2, 3, 4},
		[]uint64{1, 2, 3, 1 << 63},
	} {
		got := through(t, tensor.New(tensor.WithShape(2, 2), tensor.WithBacking(data)))
		if got == nil || !reflect.DeepEqual(got.Data(), data) || !slices.Equal(got.Shape(), []int{2, 2}) {
			t.Errorf("got %v, want %v", got, data)
		}
	}
}

type span struct{ from, to int }

func (s span) Start() int { return s.from }
func (s span) End() int   { return s.to }
func (s span) Step() int  { return 1 }

func TestLayoutsBecomeRowMajor(t *testing.T) {
	matrix := func() *tensor.Dense {
		return tensor.New(tensor.WithShape(2, 3), tensor.WithBacking([]float32{1, 2, 3, 4, 5, 6}))
	}
	sliced := func(s ...tensor.Slice) tensor.Tensor {
		view, err := matrix().Slice(s...)
		if err != nil {
			t.Fatal(err)
		}
		return view
	}
	transposed := matrix()
	if err := transposed.T(); err != nil {
		t.Fatal(err)
	}
	moved := matrix()
	if err := moved.T(); err != nil {
		t.Fatal(err)
	}
	if err := moved.Transpose(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		in    tensor.Tensor
		shape []int
		want  []float32
	}{
		{"row-major", matrix(), []int{2, 3}, []float32{1, 2, 3, 4, 5, 6}},
		{"transposed lazily", transposed, []int{3, 2}, []float32{1, 4, 2, 5, 3, 6}},
		{"transposed", moved, []int{3, 2}, []float32{1, 4, 2, 5, 3, 6}},
		{"column-major", tensor.New(tensor.WithShape(2, 3), tensor.AsFortran([]float32{1, 2, 3, 4, 5, 6})), []int{2, 3}, []float32{1, 2, 3, 4, 5, 6}},
		{"a column", sliced(nil, span{1, 2}), []int{2}, []float32{2, 5}},
		{"a row", sliced(span{1, 2}), []int{3}, []float32{4, 5, 6}},
		{"a block", sliced(nil, span{1, 3}), []int{2, 2}, []float32{2, 3, 5, 6}},
		{"one element", sliced(span{1, 2}, span{1, 2}), nil, []float32{5}},
		{"a scalar", tensor.New(tensor.FromScalar(float32(7))), nil, []float32{7}},
		{"rank 2 with one element", tensor.New(tensor.WithShape(1, 1), tensor.WithBacking([]float32{7})), []int{1, 1}, []float32{7}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := through(t, test.in)
			if got == nil || !slices.Equal([]int(got.Shape()), test.shape) {
				t.Fatalf("got %v, want shape %v", got, test.shape)
			}
			equal(t, got, test.want)
		})
	}
}

func TestTensorsThatCannotBeTaken(t *testing.T) {
	sparse := tensor.CSRFromCoord(tensor.Shape{2, 2}, []int{0, 1}, []int{0, 1}, []float64{1, 2})
	var none *tensor.Dense
	tests := map[string]tensor.Tensor{
		"nil":            nil,
		"a nil *Dense":   none,
		"a sparse one":   sparse,
		"complex ones":   tensor.New(tensor.WithShape(2), tensor.WithBacking([]complex64{1, 2})),
		"a masked one":   tensor.New(tensor.WithShape(2), tensor.WithBacking([]float32{1, 2}, []bool{true, false})),
		"a zeroed Dense": &tensor.Dense{},
	}
	for name, in := range tests {
		t.Run(name, func(t *testing.T) {
			if err := carrier().SetTensor(in); err == nil {
				t.Error("it was taken")
			}
		})
	}
}
