package export

import (
	"errors"
	"fmt"
	"math"

	"github.com/onnxloss/onnxloss/internal/brief"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
)

// Term is one of several losses on a model.
type Term struct {
	Loss   *losses.Loss
	Params losses.Params
	// Weight is the loss's factor in the total.
	Weight float64
	// AttachOptions are those of Attach. The reduction is mean or sum. Output names
	// the term's own tensor, the loss's command-line name where empty. A tensor that an earlier term brought, such as a
	// target, can be bound by its name.
	AttachOptions
}

// AttachAll gives a copy of a model that computes several losses, each an output of
// its own, and their weighted sum, the output total. It is of the first loss's
// element type.
func AttachAll(model *models.Model, terms []Term, total string) (*models.Model, error) {
	attached, err := attachAll(model, terms, total)
	if err != nil {
		return nil, fmt.Errorf("export: attach: %w", brief.Error(err))
	}
	return attached, nil
}

func attachAll(model *models.Model, terms []Term, total string) (*models.Model, error) {
	host, err := newHost(model, 0)
	if err != nil {
		return nil, err
	}
	composition, err := host.attachAll(terms, total)
	if err != nil {
		return nil, err
	}
	return host.finish(composition.entries())
}

// attachAll puts losses and their total onto the host.
func (h *host) attachAll(terms []Term, total string) (composition Composition, err error) {
	if len(terms) == 0 {
		return composition, errors.New("there is no loss to attach; name one or more")
	}
	for _, t := range terms {
		if math.IsNaN(t.Weight) || math.IsInf(t.Weight, 0) {
			return composition, fmt.Errorf("%s: its weight is %g; give a finite number", t.Loss.Command(), t.Weight)
		}
		if t.Output == "" {
			t.Output = h.freeOutput(t.Loss.Command())
		}
		description, err := h.attach(t.Loss, t.Params, t.AttachOptions)
		if err == nil && description.Reduction == losses.None {
			err = errors.New("its reduction is none, and a total is of numbers; use mean or sum")
		}
		if err != nil {
			return composition, fmt.Errorf("%s: %w", t.Loss.Command(), err)
		}
		description.Weight = t.Weight
		composition.Terms = append(composition.Terms, description)
	}
	if composition.Total, err = h.outputName(total, "loss"); err != nil {
		return composition, fmt.Errorf("the total: %w", err)
	}
	if err := h.addTotal(composition); err != nil {
		return composition, fmt.Errorf("the total: %w", err)
	}
	return composition, nil
}

// addTotal puts the weighted sum of the losses into the model.
func (h *host) addTotal(c Composition) error {
	b := ops.NewBuilder(c.Terms[0].Opset, "Total/", h.taken)
	var total ops.Value
	for _, d := range c.Terms {
		term := b.Cast(b.Input(d.Output, d.DType, ops.Shape{}), c.Terms[0].DType)
		if d.Weight != 1 {
			term = b.Mul(term, b.Scalar(term, d.Weight))
		}
		if total.Present() {
			term = b.Add(total, term)
		}
		total = term
	}
	total = b.Output(total, c.Total)
	fragment, err := b.Finish(total)
	if err != nil {
		return err
	}
	return h.add(piece{nodes: fragment.Nodes, valueInfo: fragment.ValueInfo}, c.Total)
}
