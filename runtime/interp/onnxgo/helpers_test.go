package onnxgo_test

import (
	"testing"

	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp/onnxgo"
	onnx "github.com/owulveryck/onnx-go"
	"gorgonia.org/tensor"
)

// decodeAndRun is what a program that uses onnx-go does.
func decodeAndRun(t *testing.T, backend *onnxgo.Backend, data []byte, inputs []tensor.Tensor) []tensor.Tensor {
	t.Helper()
	model := onnx.NewModel(backend)
	if err := model.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	for i, in := range inputs {
		if err := model.SetInput(i, in); err != nil {
			t.Fatal(err)
		}
	}
	if err := backend.Run(); err != nil {
		t.Fatal(err)
	}
	outputs, err := model.GetOutputTensors()
	if err != nil {
		t.Fatal(err)
	}
	return outputs
}

func numbersOf(t *testing.T, x tensor.Tensor) []float64 {
	t.Helper()
	switch data := x.Data().(type) {
	case float32:
		return []float64{float64(data)}
	case float64:
		return []float64{data}
	case []float32:
		return engine.Must([]int{len(data)}, data).Float64s()
	case []float64:
		return data
	}
	t.Fatalf("got a result of type %T", x.Data())
	return nil
}
