package interp

import (
	"fmt"
	"slices"

	"github.com/onnxloss/onnxloss/runtime/engine"
)

// classLoss takes from log-probabilities [N, C, d1, ...] those of the labels
// [N, d1, ...], with the classes on axis 1.
type classLoss struct {
	reduction string
	ignored   int
	ignores   bool
}

func newClassLoss(a *attributes) classLoss {
	return classLoss{
		reduction: a.text("reduction", "mean", "none", "mean", "sum"),
		ignored:   a.integer("ignore_index", 0), ignores: a.has("ignore_index"),
	}
}

func negativeLogLikelihood(a *attributes) kernel {
	l := newClassLoss(a)
	return func(in []engine.Tensor) ([]engine.Tensor, error) { return one(l.of(in[0], in[1], in[2])) }
}

func softmaxCrossEntropy(a *attributes) kernel {
	l := newClassLoss(a)
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		shape := in[0].Shape()
		if len(shape) < 2 {
			return nil, fmt.Errorf("scores are %s, want [N, C, ...]", in[0])
		}
		var bases, lane []int
		if in[0].Len() > 0 {
			bases, lane = lanes(shape, []int{1})
		}
		logProb, err := floatsOf(in[0]).softmax(shape, bases, lane, true, false)
		if err != nil {
			return nil, err
		}
		loss, err := l.of(logProb, in[1], in[2])
		return []engine.Tensor{loss, logProb}, err
	}
}

// of computes the loss of log-probabilities.
func (l classLoss) of(logProb, labels, weights engine.Tensor) (engine.Tensor, error) {
	shape := logProb.Shape()
	if len(shape) < 2 {
		return engine.Tensor{}, fmt.Errorf("input is %s, want [N, C, ...]", logProb)
	}
	want := slices.Delete(slices.Clone(shape), 1, 2)
	if !slices.Equal(labels.Shape(), want) {
		return engine.Tensor{}, fmt.Errorf("labels are %s, want shape %v for %s", labels, want, logProb)
	}
	if !weights.IsZero() && !slices.Equal(weights.Shape(), shape[1:2]) {
		return engine.Tensor{}, fmt.Errorf("weights are %s, want [%d], one for each class of %s", weights, shape[1], logProb)
	}
	classes := wholes(labels)
	for i, class := range classes {
		if (class < 0 || class >= shape[1]) && !(l.ignores && class == l.ignored) {
			return engine.Tensor{}, fmt.Errorf("labels[%d]: class %d is out of range [0, %d]", i, class, shape[1]-1)
		}
	}
	return floatsOf(logProb).classLoss(l, shape, classes, weights)
}

func (r real[T]) classLoss(l classLoss, shape, classes []int, weights engine.Tensor) (engine.Tensor, error) {
	given := engine.Data[T](weights)
	losses := make([]T, len(classes))
	total, divisor := 0.0, 0.0
	inner := product(shape[2:])
	for i, class := range classes {
		if l.ignores && class == l.ignored {
			continue
		}
		weight := 1.0
		if given != nil {
			weight = float64(given[class])
		}
		loss := 0.0
		if weight != 0 { // else a log-probability of -Inf would make it NaN
			loss = -weight * float64(r.data[(i/inner*shape[1]+class)*inner+i%inner])
		}
		losses[i] = T(loss)
		total += loss
		divisor += weight
	}
	switch l.reduction {
	case "none":
		return engine.New(slices.Delete(slices.Clone(shape), 1, 2), losses)
	case "mean":
		total /= divisor
	}
	return engine.Scalar(T(total)), nil
}
