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

// The first activation of a network, as the features of a perceptual loss.
func ExampleModel_Cut() {
	model, err := models.Open("../testdata/models/digits_cnn.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	layers, err := model.Layers()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, l := range layers[:5] {
		fmt.Println(l.Op, l.Name, l.Shape)
	}
	features, err := model.Cut("/Relu_output_0")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(model.Proto.Graph.Node), "nodes,", len(features.Proto.Graph.Node), "after the cut")
	// Output:
	// Conv /c1/Conv_output_0 [N,16,8,8]
	// Relu /Relu_output_0 [N,16,8,8]
	// Conv /c2/Conv_output_0 [N,32,8,8]
	// Relu /Relu_1_output_0 [N,32,8,8]
	// MaxPool /MaxPool_output_0 [N,32,4,4]
	// 9 nodes, 2 after the cut
}

// What a perceptual loss is computed from: the features of an image that another
// model makes, and those of the image that it should be.
func ExampleJoin() {
	generator, err := models.Open("../testdata/models/superres.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	classifier, err := models.Open("../testdata/models/digits_cnn.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	features, err := classifier.Cut("/Relu_1_output_0")
	if err != nil {
		fmt.Println(err)
		return
	}
	twin, err := models.Twin(features, "prediction", "target")
	if err != nil {
		fmt.Println(err)
		return
	}
	joint, _, err := models.Join(generator, twin, map[string]string{"prediction/image": "upscaled"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, t := range joint.Inputs() {
		fmt.Println("input ", t.Name, t.Shape)
	}
	for _, t := range joint.Outputs() {
		fmt.Println("output", t.Name, t.Shape)
	}
	// Output:
	// input  image [N,1,4,4]
	// input  target/image [N,1,8,8]
	// output upscaled [N,1,8,8]
	// output prediction//Relu_1_output_0 [N,32,8,8]
	// output target//Relu_1_output_0 [N,32,8,8]
}
