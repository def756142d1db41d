package main

import (
	"slices"

	"github.com/onnxloss/onnxloss/examples/kit"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// The budget of both objectives: gradient descent with momentum over all images. The
// rate is relative to the features' size.
const (
	steps    = 60
	rate     = 4.0
	momentum = 0.9
)

// layer is logits = weight · features + bias, with a row of weights a class.
type layer struct {
	weight [][]float64
	bias   []float64
}

func newLayer(width int) layer {
	l := layer{bias: make([]float64, classes)}
	for range classes {
		l.weight = append(l.weight, make([]float64, width))
	}
	return l
}

func (l layer) logits(features [][]float64) losses.Array {
	logits := losses.Zeros([]int{len(features), classes})
	for i, feature := range features {
		for class, weights := range l.weight {
			sum := l.bias[class]
			for j, w := range weights {
				sum += w * feature[j]
			}
			logits.Data[i*classes+class] = sum
		}
	}
	return logits
}

// step moves the layer against the gradient, of which by logit is given.
func (l layer) step(velocity layer, features [][]float64, byLogit losses.Array, rate float64) {
	for class, weights := range l.weight {
		v := velocity.weight[class]
		for j := range v {
			v[j] *= momentum
		}
		velocity.bias[class] *= momentum
		for i, feature := range features {
			slope := rate * byLogit.Data[i*classes+class]
			velocity.bias[class] -= slope
			for j, x := range feature {
				v[j] -= slope * x
			}
		}
		for j := range weights {
			weights[j] += v[j]
		}
		l.bias[class] += velocity.bias[class]
	}
}

// train fits a layer to labels. It starts at 0, so that nothing is drawn. watch sees
// the layer after every tenth step.
func train(features engine.Tensor, labels []int64, o objective, watch func(layer)) (layer, error) {
	params, err := o.loss.Params(o.lossSettings)
	if err != nil {
		return layer{}, err
	}
	samples, squares := rows(features), 0.0
	for _, x := range features.Float64s() {
		squares += x * x
	}
	target := kit.Array(engine.Must([]int{len(labels)}, labels))
	l, velocity := newLayer(features.Shape()[1]), newLayer(features.Shape()[1])
	for i := range steps {
		in := losses.Values{"logits": l.logits(samples), "target": target}
		gradient, err := o.loss.EvaluateGradient(in, params, losses.Mean, nil)
		if err != nil {
			return layer{}, err
		}
		l.step(velocity, samples, gradient["logits"], rate*float64(len(samples))/squares)
		if i%10 == 9 {
			watch(l)
		}
	}
	return l, nil
}

// rows are the numbers of each sample.
func rows(t engine.Tensor) [][]float64 {
	return slices.Collect(slices.Chunk(t.Float64s(), t.Shape()[1]))
}

// accuracy is the share of samples whose highest number is that of their class.
func accuracy(rows [][]float64, labels []int64) float64 {
	right := 0
	for i, row := range rows {
		if int64(slices.Index(row, slices.Max(row))) == labels[i] {
			right++
		}
	}
	return float64(right) / float64(len(labels))
}
