package export_test

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
)

// The loss of a trained classifier: attach, save, run. README.md shows these lines.
func Example() {
	folder, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	classifier, withLoss := "../testdata/models/digits_cnn.onnx", filepath.Join(folder, "with_loss.onnx")

	loss, err := losses.Find("softmax-cross-entropy")
	if err != nil {
		log.Fatal(err)
	}
	params, err := loss.Params(map[string]any{"label_smoothing": 0.1})
	if err != nil {
		log.Fatal(err)
	}
	model, err := models.Open(classifier)
	if err != nil {
		log.Fatal(err)
	}
	attached, err := export.Attach(model, loss, params, export.AttachOptions{})
	if err != nil {
		log.Fatal(err)
	}
	err = attached.Save(withLoss)
	if err != nil {
		log.Fatal(err)
	}

	image := engine.Must([]int{1, 1, 8, 8}, make([]float32, 64))
	target := engine.Must([]int{1}, []int64{7})
	session, err := models.Load(interp.New(), attached)
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	outputs, err := session.Run(map[string]engine.Tensor{"image": image, "target": target})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("logits %s, loss %.3f\n", outputs["logits"], outputs["loss"].Float64s())
	// Output: logits float32[1,10], loss [1.913]
}

// A loss alone, as one node of a function, for images of any size.
func ExampleModel() {
	params, err := losses.SigmoidFocal.Params(map[string]any{"gamma": 1.5})
	if err != nil {
		log.Fatal(err)
	}
	shape, err := ops.ParseShape("N,1,H,W")
	if err != nil {
		log.Fatal(err)
	}
	model, err := export.Model(losses.SigmoidFocal, params, export.Options{
		Form:      export.Function,
		Opset:     18,
		Reduction: losses.Sum,
		Shapes:    map[string]ops.Shape{"logits": shape},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, in := range model.Inputs() {
		fmt.Println("input ", in.Name, in.Type())
	}
	for _, out := range model.Outputs() {
		fmt.Println("output", out.Name, out.Type())
	}
	// Output:
	// input  logits float32[N,1,H,W]
	// input  target float32[N,1,H,W]
	// output loss float32[]
}

// A model is built, and a loss is bound to a tensor inside of it.
func ExampleAttach() {
	model, err := detector()
	if err != nil {
		log.Fatal(err)
	}
	params, err := losses.SigmoidFocal.Params(nil)
	if err != nil {
		log.Fatal(err)
	}
	attached, err := export.Attach(model, losses.SigmoidFocal, params, export.AttachOptions{
		Options: export.Options{Reduction: losses.None},
		Bind:    map[string]string{"logits": "scores"},
		Output:  "focal",
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, in := range attached.Inputs() {
		fmt.Println("input ", in.Name, in.Type())
	}
	for _, out := range attached.Outputs() {
		fmt.Println("output", out.Name, out.Type())
	}
	// Output:
	// input  features float32[N,4]
	// input  target float32[N,4]
	// output probabilities float32[N,4]
	// output focal float32[N,4]
}

// detector is a model whose output is the sigmoid of the tensor "scores".
func detector() (*models.Model, error) {
	b := ops.NewBuilder(17, "", nil)
	features := b.Input("features", ops.Float32, ops.Shape{ops.Symbolic("N"), ops.Fixed(4)})
	scores := b.Output(b.Mul(features, features), "scores")
	probabilities := b.Output(b.Sigmoid(scores), "probabilities")
	fragment, err := b.Finish(scores, probabilities)
	if err != nil {
		return nil, err
	}
	edit := models.New(b.Opset()).Edit()
	edit.AddInputs(ops.ValueInfo("features", features.DType(), features.Shape()))
	edit.AddNodes(fragment.Nodes...)
	edit.AddValueInfo(fragment.ValueInfo...)
	edit.AddOutputs(ops.ValueInfo("probabilities", probabilities.DType(), probabilities.Shape()))
	return edit.Model()
}

// Two losses on one model, which share the target, and their weighted sum.
func ExampleAttachAll() {
	model, err := models.Open("../testdata/models/superres.onnx")
	if err != nil {
		log.Fatal(err)
	}
	var terms []export.Term
	for _, t := range []struct {
		loss   *losses.Loss
		weight float64
	}{{losses.L1, 1}, {losses.ImageGradient, 0.5}} {
		params, err := t.loss.Params(nil)
		if err != nil {
			log.Fatal(err)
		}
		terms = append(terms, export.Term{Loss: t.loss, Params: params, Weight: t.weight})
	}
	terms[1].Bind = map[string]string{"target": "target"} // which the first has brought
	attached, err := export.AttachAll(model, terms, export.AllOptions{Total: "loss"})
	if err != nil {
		log.Fatal(err)
	}
	for _, in := range attached.Inputs() {
		fmt.Println("input ", in.Name, in.Type())
	}
	for _, out := range attached.Outputs() {
		fmt.Println("output", out.Name, out.Type())
	}
	// Output:
	// input  image float32[N,1,4,4]
	// input  target float32[N,1,8,8]
	// output upscaled float32[N,1,8,8]
	// output l1 float32[]
	// output image-gradient float32[]
	// output loss float32[]
}

// What was attached is taken off again: the bytes are those of the original.
func ExampleDetach() {
	const path = "../testdata/models/digits_cnn.onnx"
	model, err := models.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	params, err := losses.SoftmaxCrossEntropy.Params(nil)
	if err != nil {
		log.Fatal(err)
	}
	attached, err := export.Attach(model, losses.SoftmaxCrossEntropy, params, export.AttachOptions{})
	if err != nil {
		log.Fatal(err)
	}
	detached, err := export.Detach(attached)
	if err != nil {
		log.Fatal(err)
	}
	got, err := detached.Bytes()
	if err != nil {
		log.Fatal(err)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(got) == string(want))

	_, err = export.Detach(detached)
	fmt.Println(errors.Is(err, export.ErrNoLoss))
	// Output:
	// true
	// true
}

// A file says which loss is in it.
func ExampleDescribe() {
	params, err := losses.Dice.Params(map[string]any{"smooth_nr": 1})
	if err != nil {
		log.Fatal(err)
	}
	model, err := export.Model(losses.Dice, params, export.Options{})
	if err != nil {
		log.Fatal(err)
	}
	d, err := export.Describe(model)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(d.Loss.Command(), d.Form, d.DType, "opset", d.Opset, d.Reduction)
	fmt.Println("smooth_nr =", d.Params.Float("smooth_nr"))
	fmt.Println("reads", d.Inputs["prediction"], "and", d.Inputs["target"], "makes", d.Output)

	plain, err := models.Open("../testdata/models/digits_cnn.onnx")
	if err != nil {
		log.Fatal(err)
	}
	_, err = export.Describe(plain)
	fmt.Println(errors.Is(err, export.ErrNoLoss))
	// Output:
	// dice graph float32 opset 17 mean
	// smooth_nr = 1
	// reads prediction and target makes loss
	// true
}

// A model with a mistake: the node reads a tensor that nothing makes.
func ExampleCheckModel() {
	b := ops.NewBuilder(17, "", nil)
	x := b.Input("x", ops.Float32, ops.Shape{ops.Fixed(2)})
	y := b.Output(b.Exp(x), "y")
	fragment, err := b.Finish(y)
	if err != nil {
		log.Fatal(err)
	}
	edit := models.New(17).Edit()
	edit.AddNodes(fragment.Nodes...)
	edit.AddOutputs(ops.ValueInfo("y", y.DType(), y.Shape()))
	model, err := edit.Model()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(export.CheckModel(model))
	// Output: export: check: node "y" (Exp): it reads "x", which no input, initializer or earlier node makes
}
