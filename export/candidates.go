package export

import (
	"slices"

	"github.com/onnxloss/onnxloss/models"
)

// Candidate is a tensor of a model that the prediction of a loss can be.
type Candidate struct {
	models.Tensor
	// Output says that the model gives it.
	Output bool
	// Probabilities is the operator that makes them, Softmax or Sigmoid, of an output
	// that has probabilities; "" for others.
	Probabilities string
	// LogitsOf is the output whose probabilities are made of this tensor, "" for none:
	// what losses that want logits are bound to.
	LogitsOf string
}

// Candidates lists the tensors that predictions are usually bound to: the outputs of
// floating-point numbers, and the logits of those that are probabilities. Any other
// tensor of the main graph can be bound by its name; see models.Model.Infer. What
// losses have put onto the model is left out.
func Candidates(model *models.Model) []Candidate {
	k := tensorsOf(model)
	var made []string
	if known, err := DescribeAll(model); err == nil {
		made = known.outputs()
	}
	var found []Candidate
	for _, out := range k.outputs {
		t, _ := k.about(out.GetName())
		if !t.DType.IsFloat() || slices.Contains(made, t.Name) {
			continue
		}
		a := k.activationOf(t.Name)
		found = append(found, Candidate{Tensor: t, Output: true, Probabilities: a.op})
		known := k.isOutput(a.reads) || slices.ContainsFunc(found, func(c Candidate) bool { return c.Name == a.reads })
		if logits, ok := k.about(a.reads); ok && a.op != "" && !known {
			found = append(found, Candidate{Tensor: logits, LogitsOf: t.Name})
		}
	}
	return found
}
