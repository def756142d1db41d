package main

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/onnxloss/onnxloss/examples/kit"
	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/score"
)

// outcome is what became of a layer.
type outcome struct {
	loss     *losses.Loss
	accuracy float64 // on clean images
	// best is the highest accuracy during the training: what stopping in time would
	// give, if clean images were there to tell when.
	best float64
	// confidence is the mean probability of the class that is chosen.
	confidence float64
	// found is the share of wrong labels among those with the highest losses, of which
	// as many are taken as there are wrong labels.
	found float64
	worst float64 // the largest difference of the engine from the reference
	cases int     // verified
}

// mean is the experiments of several draws as one.
func mean(drawn []experiment) experiment {
	all := experiment{noise: drawn[0].noise, outcomes: make([]outcome, len(objectives))}
	share := 1 / float64(len(drawn))
	for _, x := range drawn {
		for i, o := range x.outcomes {
			m := &all.outcomes[i]
			m.loss = o.loss
			m.accuracy += share * o.accuracy
			m.best += share * o.best
			m.confidence += share * o.confidence
			m.found += share * o.found
			m.worst = max(m.worst, o.worst)
			m.cases += o.cases
		}
	}
	return all
}

// judge puts a layer into the classifier and looks at it from both sides: what it
// says of clean images, and of the labels that it was trained with.
func (s *scene) judge(l layer, o objective, noisy []int64, flipped []bool) (outcome, error) {
	trained, err := s.withLayer(l)
	if err != nil {
		return outcome{}, err
	}
	result := outcome{loss: o.loss}
	if err := s.answer(trained, o, &result); err != nil {
		return outcome{}, err
	}
	return result, s.suspect(trained, o, noisy, flipped, &result)
}

// withLayer is the classifier with another last layer: the numbers of its two
// initializers are replaced.
func (s *scene) withLayer(l layer) (*models.Model, error) {
	weight, err := engine.FromFloat64s(ops.Float32, []int{classes, len(l.weight[0])}, slices.Concat(l.weight...))
	if err != nil {
		return nil, err
	}
	bias, err := engine.FromFloat64s(ops.Float32, []int{classes}, l.bias)
	if err != nil {
		return nil, err
	}
	return s.classifier.WithInitializers(map[string]engine.Tensor{"f2.weight": weight, "f2.bias": bias})
}

// answer classifies the clean images. The head, unlike a loss, stays in the model that
// is deployed.
func (s *scene) answer(trained *models.Model, o objective, result *outcome) error {
	params, err := o.head.Params(o.headSettings)
	if err != nil {
		return err
	}
	model, err := export.Attach(trained, o.head, params, export.AttachOptions{
		Bind: map[string]string{"logits": "logits"}, Output: "probabilities",
	})
	if err != nil {
		return err
	}
	if result.cases, err = kit.Verify(s.eng, model); err != nil {
		return err
	}
	outputs, err := kit.Run(s.eng, model, map[string]engine.Tensor{"image": s.test})
	if err != nil {
		return err
	}
	probabilities := rows(outputs["probabilities"])
	result.accuracy = accuracy(probabilities, s.testLabels)
	for _, row := range probabilities {
		result.confidence += slices.Max(row) / float64(len(probabilities))
	}
	want, err := o.head.Evaluate(losses.Values{"logits": kit.Array(outputs["logits"])}, params, losses.None)
	if err != nil {
		return err
	}
	for i, probability := range outputs["probabilities"].Float64s() {
		result.worst = math.Max(result.worst, math.Abs(probability-want.Data[i]))
	}
	return nil
}

// suspect scores the training labels with the loss that the layer was trained with.
func (s *scene) suspect(trained *models.Model, o objective, noisy []int64, flipped []bool, result *outcome) error {
	params, err := o.loss.Params(o.lossSettings)
	if err != nil {
		return err
	}
	model, err := export.Attach(trained, o.loss, params, export.AttachOptions{
		Options: export.Options{Reduction: losses.None},
	})
	if err != nil {
		return err
	}
	cases, err := kit.Verify(s.eng, model)
	if err != nil {
		return err
	}
	result.cases += cases
	scored, err := score.Run(context.Background(), s.eng, model, map[string]engine.Tensor{
		"image": s.train, "target": engine.Must([]int{len(noisy)}, noisy),
	}, score.Options{})
	if err != nil {
		return err
	}
	order := make([]int, len(noisy))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(scored.PerSample[b], scored.PerSample[a]) })
	found := 0
	for _, i := range order[:wrong] {
		if flipped[i] {
			found++
		}
	}
	result.found = float64(found) / wrong
	return nil
}
