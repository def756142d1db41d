package onnxgo_test

import (
	"fmt"
	"log"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/runtime/interp/onnxgo"
	onnx "github.com/owulveryck/onnx-go"
	"gorgonia.org/tensor"
)

// A program that already uses onnx-go runs an exported loss as any other model.
func Example() {
	data := exported()
	backend := onnxgo.NewBackend(17)
	model := onnx.NewModel(backend)
	if err := model.UnmarshalBinary(data); err != nil {
		log.Fatal(err)
	}
	logits := tensor.New(tensor.WithShape(2, 3), tensor.WithBacking([]float32{2, 0, 0, 0, 3, 1}))
	target := tensor.New(tensor.WithShape(2), tensor.WithBacking([]int64{0, 2}))
	if err := model.SetInput(0, logits); err != nil {
		log.Fatal(err)
	}
	if err := model.SetInput(1, target); err != nil {
		log.Fatal(err)
	}
	if err := backend.Run(); err != nil {
		log.Fatal(err)
	}
	outputs, err := model.GetOutputTensors()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.4f\n", outputs[0].Data())
	// Output: 1.2047
}

// Run reads the opset from the model and takes the inputs by name.
func ExampleRun() {
	outputs, err := onnxgo.Run(exported(), map[string]tensor.Tensor{
		"logits": tensor.New(tensor.WithShape(2, 3), tensor.WithBacking([]float32{2, 0, 0, 0, 3, 1})),
		"target": tensor.New(tensor.WithShape(2), tensor.WithBacking([]int64{0, 2})),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.4f\n", outputs["loss"].Data())
	// Output: 1.2047
}

// exported is what "onnxloss export softmax-cross-entropy" writes.
func exported() []byte {
	params, err := losses.SoftmaxCrossEntropy.Params(nil)
	if err != nil {
		log.Fatal(err)
	}
	model, err := export.Model(losses.SoftmaxCrossEntropy, params, export.Options{Opset: 17})
	if err != nil {
		log.Fatal(err)
	}
	data, err := model.Bytes()
	if err != nil {
		log.Fatal(err)
	}
	return data
}
