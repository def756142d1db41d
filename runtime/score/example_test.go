package score_test

import (
	"context"
	"fmt"
	"log"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
	"github.com/onnxloss/onnxloss/runtime/score"
)

// The cross-entropy of three images that a classifier of digits sees. Its loss must
// not be reduced.
func ExampleRun() {
	classifier, err := models.Open("../../testdata/models/digits_cnn.onnx")
	if err != nil {
		log.Fatal(err)
	}
	params, err := losses.SoftmaxCrossEntropy.Params(nil)
	if err != nil {
		log.Fatal(err)
	}
	options := export.AttachOptions{Options: export.Options{Reduction: losses.None}}
	model, err := export.Attach(classifier, losses.SoftmaxCrossEntropy, params, options)
	if err != nil {
		log.Fatal(err)
	}
	images := make([]float32, 3*64) // white, grey, black
	for i := range images {
		images[i] = float32(i/64) / 2
	}
	result, err := score.Run(context.Background(), interp.New(), model, map[string]engine.Tensor{
		"image":  engine.Must([]int{3, 1, 8, 8}, images),
		"target": engine.Must([]int{3}, []int64{8, 8, 8}),
	}, score.Options{Batch: 2})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("each %.2f\n", result.PerSample)
	fmt.Printf("mean %.2f\n", result.Mean)
	// Output:
	// each [3.04 0.61 0.10]
	// mean 1.25
}
