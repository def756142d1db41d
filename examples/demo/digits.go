package main

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

const digitSize = 8

// digits puts cross-entropy onto a classifier, and compares each image's loss with
// the one that PyTorch computed from its own copy of the model.
func (d *demo) digits(ctx context.Context) error {
	d.heading("1. Digits: softmax cross-entropy on a classifier")
	images, err := d.read("digits_images.npy", ops.Float32, anySize, 1, digitSize, digitSize)
	if err != nil {
		return err
	}
	count := images.Shape()[0]
	labels, err := d.read("digits_labels.npy", ops.Int64, count)
	if err != nil {
		return err
	}
	pytorch, err := d.read("digits_cnn_ce_none.npy", ops.Float32, count)
	if err != nil {
		return err
	}
	model, err := d.open("digits_cnn.onnx")
	if err != nil {
		return err
	}

	crossEntropy, err := losses.Find("softmax-cross-entropy")
	if err != nil {
		return err
	}
	params, err := crossEntropy.Params(nil) // the defaults
	if err != nil {
		return err
	}
	attached, err := d.attach(model, "logits", crossEntropy, params, "digits_cnn_loss.onnx")
	if err != nil {
		return err
	}
	if err := d.prove(ctx, attached); err != nil {
		return err
	}

	d.note("each image's loss against the one that PyTorch computed:")
	var results []scores
	for _, eng := range d.engines {
		result, err := d.score(ctx, attached, "logits", eng, map[string]engine.Tensor{"image": images, "target": labels})
		if err != nil {
			d.fail("score", err)
			continue
		}
		d.compare(eng, result.perSample, pytorch.Float64s())
		results = append(results, result)
	}
	if len(results) > 0 {
		d.showDigits(results[0], images, labels)
	}
	return nil
}

// showDigits draws the images with the highest losses.
func (d *demo) showDigits(result scores, images, labels engine.Tensor) {
	d.describeLosses(result.perSample)
	d.note(fmt.Sprintf("a model that knows nothing has log 10 = %.4f on every image", math.Log(10)))
	const shown, perLine = 8, 4
	fmt.Fprintf(d.to, "\n  The %d hardest images:\n", shown)
	var blocks []block
	for _, sample := range hardestFirst(result.perSample)[:min(shown, len(result.perSample))] {
		b := caption(2*digitSize,
			fmt.Sprintf("is %d, read as %d", engine.Data[int64](labels)[sample], argmax(row(result.logits, sample))),
			fmt.Sprintf("loss %.4f", result.perSample[sample]))
		b.lines = append(picture(row(images, sample), digitSize, d.ink), b.lines...)
		blocks = append(blocks, b)
	}
	for line := range slices.Chunk(blocks, perLine) {
		fmt.Fprintln(d.to)
		for _, text := range beside(line...) {
			fmt.Fprintln(d.to, text)
		}
	}
}
