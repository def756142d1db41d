package main

import (
	"strings"

	"github.com/onnxloss/onnxloss/examples/kit"
	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// layers are what the classifier makes of an image: strokes in its first layer, and
// what it reads the digit from in the one before the last. The second has fewer and
// larger numbers, which the weight makes up for.
var layers = []export.Layer{
	{Name: "/Relu_output_0", Weight: 1},
	{Name: "/Relu_2_output_0", Weight: 0.01},
}

// perceptual compares images by that.
func perceptual(classifier *models.Model) export.Perceptual {
	return export.Perceptual{Network: classifier, Content: layers}
}

// perceptual adds the loss, and each of its terms, from a model of the loss alone,
// for images that come from anywhere.
func (j judge) perceptual(r *report, classifier *models.Model) error {
	model, err := perceptual(classifier).Model()
	if err != nil {
		return err
	}
	cases, err := kit.Verify(j.eng, model)
	if err != nil {
		return err
	}
	r.cases += cases
	total, terms := row{name: "perceptual, both"}, []row{{name: "perceptual, first"}, {name: "perceptual, last"}}
	for _, c := range j.candidates {
		outputs, err := kit.Run(j.eng, model, map[string]engine.Tensor{"prediction": c.images, "target": j.target})
		if err != nil {
			return err
		}
		sum := 0.0
		for i, layer := range layers {
			want, err := j.reference(classifier, layer.Name, c.images)
			if err != nil {
				return err
			}
			terms[i].add(outputs["content_loss/"+strings.TrimPrefix(layer.Name, "/")], want)
			sum += layer.Weight * want
		}
		total.add(outputs["loss"], sum)
	}
	r.losses = append(append(r.losses, terms...), total)
	return nil
}

// reference is the loss of a layer in float64, on the features that the engine gives.
func (j judge) reference(classifier *models.Model, layer string, images engine.Tensor) (float64, error) {
	seen, err := j.features(classifier, layer, images)
	if err != nil {
		return 0, err
	}
	wanted, err := j.features(classifier, layer, j.target)
	if err != nil {
		return 0, err
	}
	loss, err := losses.FeatureReconstruction.Evaluate(losses.Values{"prediction": seen, "target": wanted}, nil, losses.Mean)
	if err != nil {
		return 0, err
	}
	return loss.Data[0], nil
}

// features are what a layer of the classifier makes of images. Cut ends the network
// there, so that the layer becomes an output.
func (j judge) features(classifier *models.Model, layer string, images engine.Tensor) (losses.Array, error) {
	network, err := classifier.Cut(layer)
	if err != nil {
		return losses.Array{}, err
	}
	outputs, err := kit.Run(j.eng, network, map[string]engine.Tensor{"image": images})
	if err != nil {
		return losses.Array{}, err
	}
	return kit.Array(outputs[layer]), nil
}

// read counts the images in which the classifier reads the digit that it reads in the
// true one: whether a loss is right about what got lost.
func (j judge) read(classifier *models.Model) ([]int, error) {
	truth, err := j.digits(classifier, j.target)
	if err != nil {
		return nil, err
	}
	var counts []int
	for _, c := range j.candidates {
		digits, err := j.digits(classifier, c.images)
		if err != nil {
			return nil, err
		}
		same := 0
		for i, digit := range digits {
			if digit == truth[i] {
				same++
			}
		}
		counts = append(counts, same)
	}
	return counts, nil
}

func (j judge) digits(classifier *models.Model, images engine.Tensor) ([]int, error) {
	logits, err := j.features(classifier, "logits", images)
	if err != nil {
		return nil, err
	}
	digits := make([]int, logits.Shape[0])
	for i := range digits {
		row := logits.Data[i*logits.Shape[1] : (i+1)*logits.Shape[1]]
		for k := range row {
			if row[k] > row[digits[i]] {
				digits[i] = k
			}
		}
	}
	return digits, nil
}
