package score

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// plan says how samples become batches.
type plan struct {
	samples, batch int
	whole          map[string]engine.Tensor // passed to every batch as they are
	split          []rows                   // cut along axis 0
}

// newPlan tells the inputs that have one row a sample from those that every batch
// needs whole.
func newPlan(model *models.Model, d export.Description, given map[string]engine.Tensor, batch int) (*plan, error) {
	perSample, broadcast := candidates(model, d, given)
	perSample, fixed := ofOneBatch(perSample)
	if len(perSample) == 0 {
		return nil, errors.New("no input has an axis of samples")
	}
	for _, t := range broadcast {
		varies, err := variesBySample(model, d, t.Name, given)
		if err != nil {
			return nil, err
		}
		if varies {
			perSample = append(perSample, t)
		}
	}
	samples, err := countSamples(perSample, given)
	if err != nil {
		return nil, err
	}
	p := &plan{samples: samples, batch: batch, whole: map[string]engine.Tensor{}}
	switch {
	case fixed > 0 && samples%fixed != 0:
		return nil, fmt.Errorf("the model takes batches of exactly %d samples and %d samples are not a multiple of that; leave out %d, or export the model with a batch axis that varies", fixed, samples, samples%fixed)
	case fixed > 0:
		p.batch = fixed
	case batch == 0 && coupled(d):
		p.batch = samples
	case batch == 0:
		p.batch = DefaultBatch
	}
	if coupled(d) && p.batch < samples {
		return nil, fmt.Errorf("%s weighs each sample by the others of its batch, so that %d samples cannot be run %d at a time; leave the batch size out", d.Loss.Command(), samples, p.batch)
	}
	p.assign(perSample, given)
	return p, nil
}

// coupled reports whether samples must not be cut into batches.
func coupled(d export.Description) bool {
	return d.Loss != nil && d.Loss.Coupled != nil && d.Loss.Coupled(d.Params)
}

// withLeadingAxes gives weights that broadcast the rank that the model declares, as
// broadcasting by numpy's rule would: by axes of one in front.
func withLeadingAxes(model *models.Model, d export.Description, given map[string]engine.Tensor) (map[string]engine.Tensor, error) {
	padded := maps.Clone(given)
	for _, t := range model.Inputs() {
		in, isLossInput := lossInput(d, t.Name)
		missing := len(t.Shape) - len(given[t.Name].Shape())
		if !isLossInput || !in.Broadcast || missing <= 0 {
			continue
		}
		shape := append(slices.Repeat([]int{1}, missing), given[t.Name].Shape()...)
		reshaped, err := given[t.Name].Reshape(shape)
		if err != nil {
			return nil, err
		}
		padded[t.Name] = reshaped
	}
	return padded, nil
}

// candidates lists the inputs that may have a row for every sample, and those of
// the loss for which that depends on how they broadcast.
func candidates(model *models.Model, d export.Description, given map[string]engine.Tensor) (perSample, broadcast []models.Tensor) {
	for _, t := range model.Inputs() {
		in, isLossInput := lossInput(d, t.Name)
		switch {
		case len(given[t.Name].Shape()) == 0:
		case isLossInput && in.Broadcast:
			broadcast = append(broadcast, t)
		case isLossInput && firstAxis(in) != firstAxis(d.Loss.Inputs[0]):
		default:
			perSample = append(perSample, t)
		}
	}
	return perSample, broadcast
}

func countSamples(perSample []models.Tensor, given map[string]engine.Tensor) (int, error) {
	first := given[perSample[0].Name]
	samples := first.Shape()[0]
	for _, t := range perSample {
		if n := given[t.Name].Shape()[0]; n != samples {
			return 0, fmt.Errorf("input %q has %d samples (%s) and input %q has %d (%s); axis 0 must be the same", perSample[0].Name, samples, first, t.Name, n, given[t.Name])
		}
	}
	if samples == 0 {
		return 0, fmt.Errorf("input %q is %s: there are no samples", perSample[0].Name, first)
	}
	return samples, nil
}

func (p *plan) assign(perSample []models.Tensor, given map[string]engine.Tensor) {
	for name, t := range given {
		if slices.ContainsFunc(perSample, func(s models.Tensor) bool { return s.Name == name }) {
			p.split = append(p.split, newRows(name, t))
		} else {
			p.whole[name] = t
		}
	}
}

// ofOneBatch keeps the inputs that share the axis of samples. Where some leave
// its size open, those with a fixed first size are something else, such as
// anchors. Where all are fixed, the first one's size is the batch's.
func ofOneBatch(inputs []models.Tensor) (kept []models.Tensor, fixed int) {
	for _, t := range inputs {
		if _, ok := firstSize(t); !ok {
			kept = append(kept, t)
		}
	}
	if len(kept) > 0 || len(inputs) == 0 {
		return kept, 0
	}
	fixed, _ = firstSize(inputs[0])
	for _, t := range inputs {
		if n, _ := firstSize(t); n == fixed {
			kept = append(kept, t)
		}
	}
	return kept, fixed
}

func firstSize(t models.Tensor) (n int, fixed bool) {
	if len(t.Shape) == 0 {
		return 0, false
	}
	return t.Shape[0].Size()
}

// lossInput finds which of the loss's inputs a tensor of the model is.
func lossInput(d export.Description, tensor string) (losses.Input, bool) {
	if d.Loss == nil {
		return losses.Input{}, false
	}
	for _, in := range d.Loss.InputsFor(d.Params) {
		if d.Inputs[in.Name] == tensor {
			return in, true
		}
	}
	return losses.Input{}, false
}

func firstAxis(in losses.Input) string {
	name, _, _ := strings.Cut(in.Shape, ",")
	return name
}

// variesBySample reports whether an input that broadcasts against the loss's
// prediction has a row for every sample: it has as many axes and not 1 on the first.
func variesBySample(model *models.Model, d export.Description, name string, given map[string]engine.Tensor) (bool, error) {
	shape := given[name].Shape()
	rank, ok := predictionRank(model, d, given)
	switch {
	case !ok:
		return false, fmt.Errorf("whether input %q (%s) differs by sample cannot be told: the model does not say how many axes %q has; run ONNX shape inference on it before attach", name, given[name], d.Inputs[d.Loss.Inputs[0].Name])
	case len(shape) > rank:
		return false, fmt.Errorf("input %q (%s) has more axes than the %d of the loss", name, given[name], rank)
	}
	return len(shape) == rank && shape[0] != 1, nil
}

func predictionRank(model *models.Model, d export.Description, given map[string]engine.Tensor) (int, bool) {
	name := d.Inputs[d.Loss.Inputs[0].Name]
	if t, ok := given[name]; ok {
		return len(t.Shape()), true
	}
	t, _ := model.Tensor(name)
	return len(t.Shape), t.Shape.Known()
}

// inputs gives the model's inputs for the samples from start to end.
func (p *plan) inputs(start, end int) (map[string]engine.Tensor, error) {
	inputs := map[string]engine.Tensor{}
	for name, t := range p.whole {
		inputs[name] = t
	}
	for _, r := range p.split {
		t, err := r.cut(start, end)
		if err != nil {
			return nil, fmt.Errorf("input %q: %w", r.name, err)
		}
		inputs[r.name] = t
	}
	return inputs, nil
}

// rows is a tensor that is cut along axis 0.
type rows struct {
	name  string
	dtype ops.DType
	shape []int // of one row
	size  int   // of one row, in bytes
	raw   []byte
}

func newRows(name string, t engine.Tensor) rows {
	r := rows{name: name, dtype: t.DType(), shape: t.Shape()[1:], raw: t.Bytes()}
	r.size = len(r.raw) / max(t.Shape()[0], 1)
	return r
}

func (r rows) cut(start, end int) (engine.Tensor, error) {
	shape := append([]int{end - start}, r.shape...)
	return engine.FromBytes(r.dtype, shape, r.raw[start*r.size:end*r.size])
}

// joiner puts the losses of batches together along axis 0.
type joiner struct {
	output  string
	dtype   ops.DType
	shape   []int // of one sample
	samples int
	raw     []byte
}

// add takes the outputs of a batch.
func (j *joiner) add(outputs map[string]engine.Tensor, batch int) error {
	t, ok := outputs[j.output]
	switch {
	case !ok:
		return fmt.Errorf("the engine gave no output %q", j.output)
	case t.DType().Size() == 0:
		return fmt.Errorf("output %q is %s, which is no loss", j.output, t)
	case len(t.Shape()) == 0:
		return scalarOutput(j.output)
	case t.Shape()[0] != batch:
		return fmt.Errorf("output %q is %s for %d samples; axis 0 must be the samples", j.output, t, batch)
	case j.samples == 0:
		j.dtype, j.shape = t.DType(), t.Shape()[1:]
	case t.DType() != j.dtype || !slices.Equal(t.Shape()[1:], j.shape):
		return fmt.Errorf("output %q is %s, but %s%v a sample in the batches before", j.output, t, j.dtype, j.shape)
	}
	j.samples += batch
	j.raw = append(j.raw, t.Bytes()...)
	return nil
}

func (j *joiner) tensor() (engine.Tensor, error) {
	return engine.FromBytes(j.dtype, append([]int{j.samples}, j.shape...), j.raw)
}
