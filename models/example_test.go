package models_test

import (
	"fmt"

	"github.com/onnxloss/onnxloss/models"
)

func ExampleOpen() {
	model, err := models.Open("../testdata/models/digits_cnn.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("opset", model.Opset())
	for _, t := range model.Inputs() {
		fmt.Println("input ", t.Name, t.DType, t.Shape)
	}
	for _, t := range model.Outputs() {
		fmt.Println("output", t.Name, t.DType, t.Shape)
	}
	// Output:
	// opset 17
	// input  image float32 [N,1,8,8]
	// output logits float32 [N,10]
}
