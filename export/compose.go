package export

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/onnxloss/onnxloss/internal/brief"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
)

// Term is one of several losses on a model.
type Term struct {
	Loss   *losses.Loss
	Params losses.Params
	// Weight is the loss's factor in the total; 1 has to be said too. It is 0 for a loss
	// whose reduction is none, which is not part of the total, and where WeightFrom is
	// the factor.
	Weight float64
	// WeightFrom, where it is not empty, is a tensor that is the factor, of a
	// floating-point type and of shape [] or [1]: the name of a tensor of the model or
	// of an earlier term, "new NAME" for a new scalar input of the model, which several
	// terms may share, or "new" for one that is named after the term's output.
	WeightFrom string
	// AttachOptions are those of Attach. Output names the term's own tensor, the loss's
	// command-line name, or the next free name, where empty. A tensor that an earlier
	// term brought, such as a target, can be bound by its name. Opset and OnlyLoss are
	// for all terms at once, in AllOptions, and are refused here.
	AttachOptions

	line int // of the spec that it was read from; 0 is none
}

// AllOptions say what becomes of the model that AttachAll puts losses onto.
type AllOptions struct {
	// Total names the weighted sum of the losses; "loss", or the next free name,
	// where empty.
	Total string
	// Opset raises the model's; 0 leaves it.
	Opset int
	// OnlyLoss makes the losses and their total the only outputs; the model's own
	// become tensors inside.
	OnlyLoss bool
}

// AttachAll gives a copy of a model that computes several losses, each an output of
// its own, and, as the last output, their total: the weighted sum of those that are
// one number. The total is of the element type of the first loss in it. Losses whose
// reduction is none, heads among them, are outputs only; where all are, there is no
// total.
func AttachAll(model *models.Model, terms []Term, o AllOptions) (*models.Model, error) {
	attached, err := attachAll(model, terms, o)
	if err != nil {
		return nil, fmt.Errorf("export: attach: %w", brief.Error(err))
	}
	return attached, nil
}

func attachAll(model *models.Model, terms []Term, o AllOptions) (*models.Model, error) {
	host, err := newHost(model, o.Opset)
	if err != nil {
		return nil, err
	}
	if o.OnlyLoss {
		host.hideOutputs()
	}
	composition, err := host.attachAll(terms, o.Total)
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
	terms = slices.Clone(terms)
	for i, t := range terms {
		if err := t.check(); err != nil {
			return composition, t.located(i, err)
		}
	}
	if composition.Total, err = h.reserve(terms, total); err != nil {
		return composition, err
	}
	for i, t := range terms {
		delete(h.taken, t.Output) // whoever makes the output takes its name
		description, err := h.attach(t.Loss, t.Params, t.AttachOptions)
		if err != nil {
			return composition, t.located(i, err)
		}
		description.Weight, description.WeightFrom = t.Weight, t.WeightFrom
		composition.Terms = append(composition.Terms, description)
	}
	if composition.Total == "" {
		return composition, nil
	}
	for i, t := range terms {
		d := &composition.Terms[i]
		if d.WeightFrom, err = h.weightTensor(t.WeightFrom, composition); err != nil {
			return composition, t.located(i, err)
		}
	}
	delete(h.taken, composition.Total)
	if err := h.addTotal(composition); err != nil {
		return composition, fmt.Errorf("the total: %w", err)
	}
	return composition, nil
}

// located says which term an error is about.
func (t Term) located(i int, err error) error {
	which := fmt.Sprintf("loss %d", i+1)
	if t.line > 0 {
		which = fmt.Sprintf("line %d", t.line)
	}
	if t.Loss != nil {
		which += ", " + t.Loss.Command()
	}
	return fmt.Errorf("%s: %w", which, err)
}

// reduction is the one asked for, or the loss's default.
func (t Term) reduction() losses.Reduction {
	if t.Reduction == "" {
		return t.Loss.Reductions()[0]
	}
	return t.Reduction
}

// check refuses what contradicts itself, or would have no effect.
func (t Term) check() error {
	switch weighted := t.Weight != 0 || t.WeightFrom != ""; {
	case t.Loss == nil:
		return errors.New("there is no loss; name one of the catalogue")
	case math.IsNaN(t.Weight) || math.IsInf(t.Weight, 0):
		return fmt.Errorf("its weight is %g; give a finite number", t.Weight)
	case t.Weight != 0 && t.WeightFrom != "":
		return fmt.Errorf("its weight is both the number %g and the tensor %q; give one of them", t.Weight, t.WeightFrom)
	case weighted && t.Loss.Head:
		return errors.New("it is a head, a map of tensors, which has no part in the total; leave its weight out")
	case weighted && t.reduction() == losses.None:
		return errors.New("its reduction is none, so that it has no part in the total, which is of numbers; leave its weight out, or use mean or sum")
	case t.Opset != 0:
		return fmt.Errorf("it asks for opset %d by itself; the model has one opset for all losses, ask for that once", t.Opset)
	case t.OnlyLoss:
		return errors.New("it asks by itself to be the only output; ask for that once, for all losses")
	}
	return nil
}

// reserve settles the names of the outputs and of new weights before anything is
// made, so that none that is asked for goes to something else. It gives the name of
// the total, "" where there is none.
func (h *host) reserve(terms []Term, total string) (string, error) {
	for i := range terms {
		t := &terms[i]
		if t.Output == "" {
			continue
		}
		if _, err := h.outputName(t.Output, ""); err != nil {
			return "", t.located(i, err)
		}
		h.taken[t.Output] = true
	}
	summed := slices.ContainsFunc(terms, func(t Term) bool { return t.reduction() != losses.None })
	if total != "" && !summed {
		return "", fmt.Errorf("the total is to be called %q, but there is none: no loss is reduced to a number; leave the name out, or use mean or sum", total)
	}
	if total != "" {
		if _, err := h.outputName(total, ""); err != nil {
			return "", fmt.Errorf("the total: %w", err)
		}
		h.taken[total] = true
	}
	for i := range terms {
		if t := &terms[i]; t.Output == "" {
			t.Output = h.free(t.Loss.Command())
		}
	}
	if summed && total == "" {
		total = h.free("loss")
	}
	return total, h.reserveWeights(terms)
}

// reserveWeights takes the names of the new inputs that are weights, and writes them
// out.
func (h *host) reserveWeights(terms []Term) error {
	made := map[string]bool{}
	for i := range terms {
		t := &terms[i]
		words := strings.Fields(t.WeightFrom)
		switch {
		case len(words) == 0 && t.WeightFrom != "", len(words) > 2 && words[0] == "new":
			return t.located(i, fmt.Errorf("its weight %q names no tensor; write new NAME for a new input, or the name of a tensor", t.WeightFrom))
		case len(words) == 0 || words[0] != "new":
			continue
		case len(words) == 1:
			words = append(words, h.free(t.Output+"_weight"))
		case h.taken[words[1]] && !made[words[1]]:
			return t.located(i, fmt.Errorf("its weight is to be a new input %q, but that name is taken in the model; choose another, or leave out new to use that tensor", words[1]))
		}
		h.taken[words[1]], made[words[1]] = true, true
		t.WeightFrom = "new " + words[1]
	}
	return nil
}

// weightTensor finds the tensor that a weight is, and makes the input where it is a
// new one.
func (h *host) weightTensor(from string, c Composition) (string, error) {
	if from == "" {
		return "", nil
	}
	if name, ok := strings.CutPrefix(from, "new "); ok {
		if h.brought[name] {
			return name, nil // for an earlier term
		}
		h.bring(models.Tensor{Name: name, DType: c.Summands()[0].DType, Shape: ops.Shape{}}, "factor of a loss in the total "+c.Total)
		return name, nil
	}
	t, ok := h.about(from)
	if !ok {
		return "", fmt.Errorf("its weight is to be the tensor %q, which the model does not have; %s", from, instead(from))
	}
	if t.DType == ops.Undefined {
		return "", fmt.Errorf("its weight cannot be %q: the file does not say its type, and it does not follow from the operators", from)
	}
	if !t.DType.IsFloat() || !isNumber(t.Shape) {
		return "", fmt.Errorf("its weight must be one floating-point number, of shape [] or [1], but %q is %s%s", from, t.DType, t.Shape)
	}
	return from, nil
}

// instead says what to do about a weight that is no tensor.
func instead(from string) string {
	if looksNumeric(from) {
		return "a number is written without quotes, and is finite"
	}
	return "write new NAME to make it an input"
}

// looksNumeric reports whether text could be meant as a number.
func looksNumeric(text string) bool {
	_, err := strconv.ParseFloat(text, 64)
	return err == nil || errors.Is(err, strconv.ErrRange)
}

// isNumber reports whether a shape is a scalar's, or [1].
func isNumber(s ops.Shape) bool {
	if len(s) != 1 {
		return s.Known() && len(s) == 0
	}
	n, fixed := s[0].Size()
	return fixed && n == 1
}

// inFloat32 reports whether a number stays finite, and not 0 unless it is.
func inFloat32(x float64) bool {
	rounded := float64(float32(x))
	return !math.IsInf(rounded, 0) && (rounded != 0 || x == 0)
}

// addTotal puts the weighted sum of the losses into the model. Like the losses, it
// computes in float32 where it is of a half type.
func (h *host) addTotal(c Composition) error {
	b := ops.NewBuilder(h.opset, "Total/", h.taken)
	dtype := c.Summands()[0].DType
	computing := dtype
	if dtype.IsHalf() {
		computing = ops.Float32
	}
	var total ops.Value
	for _, d := range c.Summands() {
		term := b.Cast(b.Input(d.Output, d.DType, ops.Shape{}), computing)
		switch {
		case d.WeightFrom != "":
			t, _ := h.about(d.WeightFrom)
			weight := b.Input(t.Name, t.DType, t.Shape)
			if len(t.Shape) == 1 {
				weight = b.Squeeze(weight, 0)
			}
			term = b.Mul(term, b.Cast(weight, computing))
		case computing == ops.Float32 && !inFloat32(d.Weight):
			return fmt.Errorf("the weight %g of %s is beyond what %s holds; give one that is nearer to 1, or ask for float64", d.Weight, d.Output, computing)
		case d.Weight != 1:
			term = b.Mul(term, b.Scalar(term, d.Weight))
		}
		if total.Present() {
			term = b.Add(total, term)
		}
		total = term
	}
	total = b.Output(b.Cast(total, dtype), c.Total)
	fragment, err := b.Finish(total)
	if err != nil {
		return err
	}
	return h.add(piece{nodes: fragment.Nodes, valueInfo: fragment.ValueInfo}, c.Total)
}
