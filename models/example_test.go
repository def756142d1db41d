package models_test

import (
	"fmt"

	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
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

// What a model consists of, found out without reading its weights.
func ExampleModel_Summary() {
	model, err := models.Open("../testdata/models/digits_cnn.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	s := model.Summary()
	fmt.Println("made by", s.Producer, "for IR version", s.IR)
	for _, o := range s.Operators {
		fmt.Println(o.Nodes, o.Operator)
	}
	for _, t := range s.Types {
		fmt.Println(t.Elements, t.DType, "numbers in", t.Tensors, "tensors")
	}
	// Output:
	// made by pytorch for IR version 8
	// 3 Relu
	// 2 Conv
	// 2 Gemm
	// 1 Flatten
	// 1 MaxPool
	// 38282 float32 numbers in 8 tensors
}

// A softmax behind a classifier. What was there is written as the bytes that it was.
func ExampleModel_Edit() {
	model, err := models.Open("../testdata/models/digits_cnn.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	logits := model.Outputs()[0]
	b := ops.NewBuilder(model.Opset(), "softmax/", nil)
	p := b.Output(b.Softmax(b.Input(logits.Name, logits.DType, logits.Shape), 1), "probabilities")
	fragment, err := b.Finish(p)
	if err != nil {
		fmt.Println(err)
		return
	}
	edit := model.Edit()
	edit.AddNodes(fragment.Nodes...)
	edit.AddOutputs(ops.ValueInfo(p.Name(), p.DType(), p.Shape()))
	changed, err := edit.Model()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, t := range changed.Outputs() {
		fmt.Println(t.Name, t.Type())
	}
	// Output:
	// logits float32[N,10]
	// probabilities float32[N,10]
}
