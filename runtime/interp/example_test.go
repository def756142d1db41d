package interp_test

import (
	"fmt"
	"log"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
)

// A loss is exported, loaded and computed for two samples of three classes.
func ExampleNew() {
	params, err := losses.SoftmaxCrossEntropy.Params(nil)
	if err != nil {
		log.Fatal(err)
	}
	model, err := export.Model(losses.SoftmaxCrossEntropy, params, export.Options{Reduction: losses.None})
	if err != nil {
		log.Fatal(err)
	}
	data, err := model.Bytes()
	if err != nil {
		log.Fatal(err)
	}
	session, err := interp.New().Load(data)
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	outputs, err := session.Run(map[string]engine.Tensor{
		"logits": engine.Must([]int{2, 3}, []float32{2, 0, 0, 0, 3, 1}),
		"target": engine.Must([]int{2}, []int64{0, 2}),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s %.4f\n", outputs["loss"], outputs["loss"].Float64s())
	// Output: float32[2] [0.2395 2.1698]
}

// One operator by itself, as it is at an opset.
func ExampleNewOperator() {
	relu, err := interp.NewOperator("Relu", 17, 1, nil)
	if err != nil {
		log.Fatal(err)
	}
	outputs, err := relu.Apply([]engine.Tensor{engine.Must([]int{3}, []float32{-1, 0, 2})})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(outputs[0], outputs[0].Float64s())
	// Output: float32[3] [0 0 2]
}
