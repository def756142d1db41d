// Package score runs a model that computes a loss over data, in batches, and
// gives the loss of every sample.
//
//	model, err := models.Open("with_loss.onnx") // attached with reduction none
//	result, err := score.Run(ctx, interp.New(), model, inputs, score.Options{})
//	result.PerSample, result.Mean
//
// The samples lie along axis 0 of the inputs. The model's loss must not be
// reduced: a mean over a batch no longer says what each sample's loss was.
package score

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// DefaultBatch is the number of samples that are run at once where none is asked for.
const DefaultBatch = 64

// Options say how a model is run. The zero Options serve a model that export or
// attach made.
type Options struct {
	// Batch is the most samples to run at once; 0 is DefaultBatch, or all of them
	// where the loss is coupled. A model whose inputs have a fixed first size is run
	// in batches of that size instead.
	Batch int
	// Output is the unreduced loss's name; "" is what the metadata of export and
	// attach say, where they say of one loss only that it is not reduced.
	Output string
	// Progress is told how many samples are done after every batch; it may be nil.
	Progress func(done, total int)
}

// Result is the loss of every sample.
type Result struct {
	// PerSample is the mean of each sample's terms, without weights: of one term
	// for a classifier, of every pixel's for a segmentation. A NaN among the terms
	// makes it NaN, as does having none.
	PerSample []float64
	// Mean is the mean of PerSample: each sample counts once, and one NaN makes it
	// NaN. It is not a weighted mean that the loss itself may define.
	Mean float64
	// Raw is the model's unreduced loss of all samples, joined along axis 0.
	Raw engine.Tensor
}

// NaN lists the samples whose loss is NaN, by index.
func (r *Result) NaN() []int {
	var found []int
	for i, x := range r.PerSample {
		if math.IsNaN(x) {
			found = append(found, i)
		}
	}
	return found
}

// Run scores the samples in inputs, which are the model's inputs by name. Inputs
// that are the same for all samples, such as weights of classes, are passed whole
// to every batch. Of a model with several losses only what the one that is scored
// needs is run, and inputs that are only for others may be left out. A cancelled ctx
// ends the run with ctx's error, as soon as the engine can, before the next batch at the
// latest.
func Run(ctx context.Context, eng engine.Engine, model *models.Model, inputs map[string]engine.Tensor, o Options) (*Result, error) {
	result, err := run(ctx, eng, model, inputs, o)
	if err != nil {
		return nil, fmt.Errorf("score: %w", err)
	}
	return result, nil
}

func run(ctx context.Context, eng engine.Engine, model *models.Model, inputs map[string]engine.Tensor, o Options) (_ *Result, err error) {
	if o.Batch < 0 {
		return nil, fmt.Errorf("a batch of %d samples is not possible; use 1 or more, or 0 for %d", o.Batch, DefaultBatch)
	}
	all, err := export.DescribeAll(model)
	if err != nil && !errors.Is(err, export.ErrNoLoss) {
		return nil, err
	}
	output, description, err := lossOutput(model, all, o.Output)
	if err != nil {
		return nil, err
	}
	if len(all.Terms) > 1 {
		if model, inputs, err = alone(model, output, inputs); err != nil {
			return nil, err
		}
	}
	if err := checkInputs(model.Inputs(), inputs); err != nil {
		return nil, err
	}
	if inputs, err = withLeadingAxes(model, description, inputs); err != nil {
		return nil, err
	}
	plan, err := newPlan(model, description, inputs, o.Batch)
	if err != nil {
		return nil, err
	}
	session, err := models.Load(engine.WithContext(ctx, eng), model)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	joined := joiner{output: output}
	for start := 0; start < plan.samples; start += plan.batch {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("stopped after %d of %d samples: %w", start, plan.samples, err)
		}
		end := min(start+plan.batch, plan.samples)
		if err := scoreBatch(session, plan, &joined, start, end); err != nil {
			return nil, fmt.Errorf("samples %d to %d: %w", start, end-1, err)
		}
		if o.Progress != nil {
			o.Progress(end, plan.samples)
		}
	}
	raw, err := joined.tensor()
	if err != nil {
		return nil, err
	}
	return newResult(raw), nil
}

// lossOutput finds the name of the unreduced loss. The description has no Loss
// where the metadata do not speak of that output.
func lossOutput(model *models.Model, all export.Composition, asked string) (string, export.Description, error) {
	description, err := chosen(model, all, asked)
	if err != nil {
		return "", description, err
	}
	name := asked
	if asked == "" {
		name = description.Output
	}
	if name == description.Output && description.Loss != nil && description.Reduction != losses.None {
		return "", description, fmt.Errorf("the model's loss is reduced (%s), which hides the samples; make the model with --reduction none", description.Reduction)
	}
	outputs := model.Outputs()
	at := slices.IndexFunc(outputs, func(t models.Tensor) bool { return t.Name == name })
	switch {
	case at < 0:
		return "", description, fmt.Errorf("the model has no output %q; it has %s", name, names(outputs))
	case outputs[at].Shape.Known() && len(outputs[at].Shape) == 0:
		return "", description, scalarOutput(name)
	}
	return name, description, nil
}

// chosen is the loss whose output is asked for or, where none is, the one that is
// not reduced and no head. Where the model has one loss, that is it, whatever is asked
// for.
func chosen(model *models.Model, all export.Composition, asked string) (export.Description, error) {
	var unreduced []export.Description
	var found []string
	for _, d := range all.Terms {
		if d.Output == asked || len(all.Terms) == 1 {
			return d, nil
		}
		if d.Reduction == losses.None && !d.Loss.Head {
			unreduced = append(unreduced, d)
			found = append(found, strconv.Quote(d.Output))
		}
	}
	switch {
	case asked != "":
		return export.Description{}, nil
	case len(all.Terms) == 0:
		return export.Description{}, fmt.Errorf("the model carries no loss of onnxloss's; attach one, or name the output that is the loss (it has %s)", names(model.Outputs()))
	case len(unreduced) == 0:
		return export.Description{}, fmt.Errorf("the model's losses are all reduced, which hides the samples; attach one with the reduction none, or name an output that has a number for each sample (it has %s)", names(model.Outputs()))
	case len(unreduced) > 1:
		return export.Description{}, fmt.Errorf("the model carries %d losses that are not reduced, %s; name one", len(unreduced), strings.Join(found, ", "))
	}
	return unreduced[0], nil
}

// alone cuts a model down to what one of its losses needs, and the inputs with it.
func alone(model *models.Model, output string, inputs map[string]engine.Tensor) (*models.Model, map[string]engine.Tensor, error) {
	cut, err := model.Cut(output)
	if err != nil {
		return nil, nil, err
	}
	needed := maps.Clone(inputs)
	for _, t := range model.Inputs() {
		if !slices.ContainsFunc(cut.Inputs(), func(kept models.Tensor) bool { return kept.Name == t.Name }) {
			delete(needed, t.Name)
		}
	}
	return cut, needed, nil
}

func scalarOutput(name string) error {
	return fmt.Errorf("output %q is one number, so it is reduced, which hides the samples; make the model with --reduction none", name)
}

// checkInputs compares what is given with what the model asks for.
func checkInputs(declared []models.Tensor, given map[string]engine.Tensor) error {
	known := map[string]bool{}
	var missing []models.Tensor
	for _, t := range declared {
		known[t.Name] = true
		got, ok := given[t.Name]
		switch {
		case !ok:
			missing = append(missing, t)
		case t.DType != ops.Undefined && got.DType() != t.DType:
			return fmt.Errorf("input %q is %s, the model takes %s%s; convert it", t.Name, got, t.DType, t.Shape)
		case got.DType().Size() == 0:
			return fmt.Errorf("input %q is %s, which cannot be run in batches", t.Name, got)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the model also needs %s", names(missing))
	}
	var unknown []string
	for name := range given {
		if !known[name] {
			unknown = append(unknown, fmt.Sprintf("%q", name))
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return fmt.Errorf("the model has no input %s; it takes %s", strings.Join(unknown, ", "), names(declared))
	}
	return nil
}

// names lists tensors as in `"x" float32[N,3], "y" int64[N]`.
func names(tensors []models.Tensor) string {
	if len(tensors) == 0 {
		return "none"
	}
	parts := make([]string, len(tensors))
	for i, t := range tensors {
		parts[i] = fmt.Sprintf("%q %s%s", t.Name, t.DType, t.Shape)
	}
	return strings.Join(parts, ", ")
}

func scoreBatch(session engine.Session, plan *plan, joined *joiner, start, end int) error {
	inputs, err := plan.inputs(start, end)
	if err != nil {
		return err
	}
	outputs, err := session.Run(inputs)
	if err != nil {
		return err
	}
	return joined.add(outputs, end-start)
}

func newResult(raw engine.Tensor) *Result {
	terms := raw.Float64s()
	samples := raw.Shape()[0]
	result := &Result{PerSample: make([]float64, samples), Raw: raw}
	size := len(terms) / samples
	for i := range result.PerSample {
		result.PerSample[i] = mean(terms[i*size : (i+1)*size])
	}
	result.Mean = mean(result.PerSample)
	return result
}

func mean(numbers []float64) float64 {
	sum := 0.0
	for _, x := range numbers {
		sum += x
	}
	return sum / float64(len(numbers))
}
