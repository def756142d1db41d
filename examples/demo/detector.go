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

// A canvas is divided into a grid of cells; each may hold one digit.
const (
	canvasSize = 24
	grid       = 3
	cells      = grid * grid
	classes    = 10
)

// detector puts the focal loss onto the class scores of a detector, and compares
// every term with the float64 reference on the logits that the engine gave.
func (d *demo) detector(ctx context.Context) error {
	d.heading("2. Detector: sigmoid focal loss on class scores")
	images, err := d.read("detector_images.npy", ops.Float32, anySize, 1, canvasSize, canvasSize)
	if err != nil {
		return err
	}
	labels, err := d.read("detector_classes.npy", ops.Int64, images.Shape()[0], cells)
	if err != nil {
		return err
	}
	target, err := oneHot(labels, classes)
	if err != nil {
		return fmt.Errorf("detector_classes.npy: %w", err)
	}
	model, err := d.open("detector.onnx")
	if err != nil {
		return err
	}

	focal, err := losses.Find("sigmoid-focal")
	if err != nil {
		return err
	}
	params, err := focal.Params(map[string]any{"alpha": 0.25, "gamma": 2.0})
	if err != nil {
		return err
	}
	attached, err := d.attach(model, "class_logits", focal, params, "detector_loss.onnx")
	if err != nil {
		return err
	}
	if err := d.prove(ctx, attached); err != nil {
		return err
	}

	d.note("each term against the float64 reference on the engine's own logits:")
	var results []scores
	for _, eng := range d.engines {
		result, err := d.score(ctx, attached, "class_logits", eng, map[string]engine.Tensor{"image": images, "target": target})
		if err != nil {
			d.fail("score", err)
			continue
		}
		want, err := focal.Evaluate(losses.Values{
			"logits": {Shape: result.logits.Shape(), Data: result.logits.Float64s()},
			"target": {Shape: target.Shape(), Data: target.Float64s()},
		}, params, losses.None)
		if err != nil {
			d.fail("compare", err)
			continue
		}
		d.compare(eng, result.terms.Float64s(), want.Data)
		results = append(results, result)
	}
	if len(results) > 0 {
		d.showCanvases(results[0], images, labels)
	}
	return nil
}

// showCanvases draws the canvases with the highest losses, with what is in each
// cell and what the model sees there.
func (d *demo) showCanvases(result scores, images, labels engine.Tensor) {
	d.describeLosses(result.perSample)
	const shown = 2
	fmt.Fprintf(d.to, "\n  The %d hardest canvases:\n", shown)
	for _, sample := range hardestFirst(result.perSample)[:min(shown, len(result.perSample))] {
		canvas := framed(2*canvasSize, picture(row(images, sample), canvasSize, d.ink))
		lines := []string{"", fmt.Sprintf("canvas %d", sample), fmt.Sprintf("loss   %.6f", result.perSample[sample])}
		lines = append(lines, "", "in its cells:")
		lines = append(lines, cellTable(trueClasses(row(labels, sample)))...)
		lines = append(lines, "", "the likeliest class:")
		lines = append(lines, cellTable(likeliestClasses(row(result.logits, sample)))...)
		fmt.Fprintln(d.to)
		for _, text := range beside(canvas, caption(24, lines...)) {
			fmt.Fprintln(d.to, text)
		}
	}
}

// cellTable lays the texts of the cells out as the cells lie.
func cellTable(texts []string) []string {
	var lines []string
	for cells := range slices.Chunk(texts, grid) {
		line := ""
		for _, text := range cells {
			line += fmt.Sprintf("  %-5s", text)
		}
		lines = append(lines, line)
	}
	return lines
}

func trueClasses(labels []float64) []string {
	var texts []string
	for _, class := range labels {
		if class < 0 {
			texts = append(texts, ".")
			continue
		}
		texts = append(texts, fmt.Sprint(class))
	}
	return texts
}

// likeliestClasses gives each cell's class of the highest logit, and its probability.
func likeliestClasses(logits []float64) []string {
	var texts []string
	for cell := range slices.Chunk(logits, classes) {
		class := argmax(cell)
		probability := 1 / (1 + math.Exp(-cell[class]))
		texts = append(texts, fmt.Sprintf("%d %2.0f%%", class, 100*probability))
	}
	return texts
}
