// Command detector puts IoU-balanced losses onto a single-stage detector.
//
// The detector gives each of the 9 cells of an image class scores and a box. A
// classification loss knows nothing of the boxes: IoU-balanced classification weighs
// the cells that hold an object by how well their box fits, so that confident
// classes go with good boxes. IoU-balanced localization does the same to the boxes'
// own loss. GIoU judges the boxes themselves.
//
//	go run ./examples/detector
package main

import (
	"fmt"
	"io"
	"math"

	"github.com/onnxloss/onnxloss/examples/kit"
	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

func main() { kit.Main(run) }

func run(to io.Writer, eng engine.Engine, data string) error {
	r, err := detect(eng, data)
	if err == nil {
		r.write(to)
	}
	return err
}

const (
	cells   = 9
	classes = 10
)

// scene is the data.
type scene struct {
	images engine.Tensor // [N,1,24,24]
	labels []int64       // of each cell, -1 where there is no object
	oneHot engine.Tensor // the same as [N,9,10], all 0 where there is none
	boxes  engine.Tensor // [N,9,4], x1, y1, x2, y2 in pixels
}

func openScene(data string) (scene, error) {
	s := scene{}
	var err error
	if s.images, err = kit.Read(data, "detector_images.npy", ops.Float32, kit.AnySize, 1, 24, 24); err != nil {
		return s, err
	}
	if s.boxes, err = kit.Read(data, "detector_boxes.npy", ops.Float32, s.images.Shape()[0], cells, 4); err != nil {
		return s, err
	}
	labels, err := kit.Read(data, "detector_classes.npy", ops.Int64, s.images.Shape()[0], cells)
	if err != nil {
		return s, err
	}
	s.labels = engine.Data[int64](labels)
	oneHot := make([]float32, len(s.labels)*classes)
	for i, label := range s.labels {
		if label < -1 || label >= classes {
			return s, fmt.Errorf("detector_classes.npy holds the class %d, which is none of %d, nor -1 for no object", label, classes)
		}
		if label >= 0 {
			oneHot[i*classes+int(label)] = 1
		}
	}
	s.oneHot, err = engine.New([]int{labels.Shape()[0], cells, classes}, oneHot)
	return s, err
}

// A part is a loss on the detector. bind names the detector's tensors that it reads;
// its other inputs are fed.
type part struct {
	name     string
	loss     *losses.Loss
	settings map[string]any
	bind     map[string]string
	feed     []string
}

// parts are the losses; those of a pair differ in the exponent of the IoU alone. The
// detector has its classes on the last axis, and its boxes as corners.
var parts = []part{
	{"classification", losses.IoUBalancedSigmoid, map[string]any{"eta": 0.0, "boxes": "xyxy", "class_axis": "last"}, onScores, []string{"target", "target_boxes"}},
	{"balanced classification", losses.IoUBalancedSigmoid, map[string]any{"eta": 1.5, "boxes": "xyxy", "class_axis": "last"}, onScores, []string{"target", "target_boxes"}},
	{"localization", losses.IoUBalancedSmoothL1, map[string]any{"delta": 0.0, "boxes": "xyxy"}, onBoxes, []string{"target", "target_boxes"}},
	{"balanced localization", losses.IoUBalancedSmoothL1, map[string]any{"delta": 1.5, "boxes": "xyxy"}, onBoxes, []string{"target", "target_boxes"}},
	{"IoU", losses.IoU, nil, map[string]string{"prediction": "boxes"}, []string{"target"}},
	{"GIoU", losses.GIoU, nil, map[string]string{"prediction": "boxes"}, []string{"target"}},
}

var (
	onScores = map[string]string{"logits": "class_logits", "predicted_boxes": "boxes"}
	onBoxes  = map[string]string{"prediction": "boxes", "predicted_boxes": "boxes"}
)

// detect runs all parts.
func detect(eng engine.Engine, data string) (report, error) {
	s, err := openScene(data)
	if err != nil {
		return report{}, err
	}
	detector, err := kit.Open(data, "detector.onnx")
	if err != nil {
		return report{}, err
	}
	r := report{labels: s.labels, terms: map[string][]float64{}}
	for _, p := range parts {
		terms, err := r.add(eng, detector, s, p)
		if err != nil {
			return report{}, err
		}
		r.terms[p.name] = terms
	}
	return r, nil
}

// add attaches a loss to the detector, unreduced, so that every cell's terms can be
// looked at, and gives the terms of all images. It runs all images at once: the
// balanced losses move weight between all objects of a batch.
func (r *report) add(eng engine.Engine, detector *models.Model, s scene, p part) ([]float64, error) {
	params, err := p.loss.Params(p.settings)
	if err != nil {
		return nil, err
	}
	attached, err := export.Attach(detector, p.loss, params, export.AttachOptions{
		Options: export.Options{Reduction: losses.None},
		Bind:    p.bind,
	})
	if err != nil {
		return nil, err
	}
	cases, err := kit.Verify(eng, attached)
	if err != nil {
		return nil, err
	}
	r.cases += cases

	inputs := map[string]engine.Tensor{"image": s.images}
	for _, name := range p.feed {
		inputs[name] = s.boxes
		if p.loss == losses.IoUBalancedSigmoid && name == "target" {
			inputs[name] = s.oneHot
		}
	}
	outputs, err := kit.Run(eng, attached, inputs)
	if err != nil {
		return nil, err
	}
	got := outputs["loss"].Float64s()

	values := losses.Values{}
	for name, tensor := range p.bind {
		values[name] = kit.Array(outputs[tensor])
	}
	for _, name := range p.feed {
		values[name] = kit.Array(inputs[name])
	}
	want, err := p.loss.Evaluate(values, params, losses.None)
	if err != nil {
		return nil, err
	}
	for i := range want.Data {
		r.worst = max(r.worst, math.Abs(got[i]-want.Data[i]))
	}
	return got, nil
}
