package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/score"
	"github.com/onnxloss/onnxloss/runtime/verify"
)

// The steps that are the same for every model and loss.

// open reads a model of the data folder.
func (d *demo) open(name string) (*models.Model, error) {
	start := time.Now()
	model, err := models.Open(filepath.Join(d.data, name))
	if err != nil {
		return nil, err
	}
	d.line("open", name, start)
	d.describe(model)
	return model, nil
}

// attach puts a loss onto a model, unreduced, so that it gives one figure a term
// instead of their mean. It saves the result and opens the file that it made.
func (d *demo) attach(model *models.Model, logits string, loss *losses.Loss, params losses.Params, name string) (*models.Model, error) {
	start := time.Now()
	made, err := export.Attach(model, loss, params, export.AttachOptions{
		Options: export.Options{Reduction: losses.None},
		Bind:    map[string]string{"logits": logits},
	})
	if err != nil {
		return nil, err
	}
	path := filepath.Join(d.out, name)
	if err := made.Save(path); err != nil {
		return nil, err
	}
	attached, err := models.Open(path)
	if err != nil {
		return nil, err
	}
	d.line("attach", loss.Command()+" on "+logits+", reduction none", start)
	d.describe(attached)
	d.note("saved as " + name)
	return attached, nil
}

// describe shows a model's inputs and outputs.
func (d *demo) describe(model *models.Model) {
	list := func(tensors []models.Tensor) string {
		var all []string
		for _, t := range tensors {
			all = append(all, t.Name+" "+shape(t.Shape))
		}
		return strings.Join(all, ", ")
	}
	d.wrapped("takes " + list(model.Inputs()))
	d.wrapped("gives " + list(model.Outputs()))
}

// shape writes a tensor's shape without the long names that PyTorch's exporter
// gives to sizes that it does not know.
func shape(s ops.Shape) string {
	var sizes []string
	for _, size := range s {
		text := size.String()
		if len(text) > 4 {
			text = "?"
		}
		sizes = append(sizes, text)
	}
	return "[" + strings.Join(sizes, ",") + "]"
}

// prove checks a model's file, and verifies on every engine that the loss in it
// computes what the reference does, on inputs made for that.
func (d *demo) prove(ctx context.Context, model *models.Model) error {
	start := time.Now()
	file, err := model.Bytes()
	if err != nil {
		return err
	}
	if err := export.Check(file); err != nil {
		d.fail("check", err)
	} else {
		d.line("check", "names, order, types and metadata are sound", start)
	}
	for _, eng := range d.engines {
		d.verify(ctx, model, eng)
	}
	return nil
}

func (d *demo) verify(ctx context.Context, model *models.Model, eng engine.Engine) {
	const seed = 1
	start := time.Now()
	report, err := verify.File(ctx, model.Path, []engine.Engine{eng}, seed)
	if err == nil && !report.Passed() {
		table := new(strings.Builder)
		err = errors.Join(errors.New("the loss differs from the reference"), report.WriteTable(table))
		fmt.Fprint(d.to, table)
	}
	if err != nil {
		d.fail("verify", fmt.Errorf("%s: %w", eng.Name(), err))
		return
	}
	d.line("verify", fmt.Sprintf("%s: %d cases hold against the float64 reference", eng.Name(), report.Cases()), start)
}

// scores is what an engine makes of all samples.
type scores struct {
	perSample []float64
	terms     engine.Tensor // the unreduced loss
	logits    engine.Tensor // what the model says
}

// score runs a model with a loss over all samples.
func (d *demo) score(ctx context.Context, model *models.Model, logits string, eng engine.Engine, inputs map[string]engine.Tensor) (scores, error) {
	start := time.Now()
	loss, err := score.Run(ctx, eng, model, inputs, score.Options{})
	if err != nil {
		return scores{}, fmt.Errorf("%s: %w", eng.Name(), err)
	}
	said, err := score.Run(ctx, eng, model, inputs, score.Options{Output: logits})
	if err != nil {
		return scores{}, fmt.Errorf("%s: %w", eng.Name(), err)
	}
	text := fmt.Sprintf("%s: %d images, mean loss %.6f", eng.Name(), len(loss.PerSample), loss.Mean)
	d.line("score", text, start)
	return scores{perSample: loss.PerSample, terms: loss.Raw, logits: said.Raw}, nil
}

// compare holds losses against figures from elsewhere.
func (d *demo) compare(eng engine.Engine, got, want []float64) {
	start := time.Now()
	difference, err := largestDifference(got, want)
	if err == nil && !(difference <= allowed) {
		err = fmt.Errorf("largest difference %.2g, allowed %.0e", difference, allowed)
	}
	if err != nil {
		d.fail("compare", fmt.Errorf("%s: %w", eng.Name(), err))
		return
	}
	d.line("compare", fmt.Sprintf("%s: largest difference %.2g, allowed %.0e", eng.Name(), difference, allowed), start)
}
