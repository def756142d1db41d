package verify

import (
	"errors"
	"fmt"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// maxFailures is how many failures of one result are written out.
const maxFailures = 5

// key is what results are told apart by.
type key struct {
	loss      string
	form      export.Form
	dtype     ops.DType
	reduction losses.Reduction
	engine    string
}

func (r *Result) key() key { return key{r.Loss, r.Form, r.DType.DType, r.Reduction, r.Engine} }

// tally is the results of one job, in the order they were begun.
type tally struct{ results []*Result }

func (t *tally) result(k key) *Result {
	for _, r := range t.results {
		if r.key() == k {
			return r
		}
	}
	r := &Result{Loss: k.loss, Form: k.form, DType: DType{k.dtype}, Reduction: k.reduction, Engine: k.engine}
	t.results = append(t.results, r)
	return r
}

func (r *Result) merge(other *Result) {
	r.Cases += other.Cases
	r.Elements += other.Elements
	r.Failed += other.Failed
	r.Unsupported += other.Unsupported
	if r.Reason == "" {
		r.Reason = other.Reason
	}
	room := maxFailures - len(r.Failures)
	r.Failures = append(r.Failures, other.Failures[:min(room, len(other.Failures))]...)
	if other.WorstULP != nil {
		r.observe(*other.WorstULP)
	}
	if other.WorstFraction != nil {
		r.observe(*other.WorstFraction)
	}
}

// observe keeps the worst elements.
func (r *Result) observe(p Point) {
	if p.ULP > 0 && (r.WorstULP == nil || p.ULP > r.WorstULP.ULP) {
		r.WorstULP = &p
	}
	if p.Fraction > 0 && (r.WorstFraction == nil || p.Fraction > r.WorstFraction.Fraction) {
		r.WorstFraction = &p
	}
}

// refuse notes that an engine did not run a model: because it does not support
// it, or because something is wrong.
func (r *Result) refuse(place Case, err error) {
	if !errors.Is(err, engine.ErrUnsupported) {
		r.fail(place, err.Error())
		return
	}
	r.Unsupported++
	if r.Reason == "" {
		r.Reason = fmt.Sprintf("opset %d: %v", place.Opset, err)
	}
}

func (r *Result) fail(place Case, message string) {
	r.Failed++
	if len(r.Failures) < maxFailures {
		r.Failures = append(r.Failures, Failure{place, message, r.command(place)})
	}
}

// command runs the cell of a failure again, and little else.
func (r *Result) command(place Case) string {
	if place.file != "" {
		return fmt.Sprintf("onnxloss verify %q --engine %s --seed %d", place.file, r.Engine, place.Seed)
	}
	return fmt.Sprintf("onnxloss verify --loss %s --form %s --dtype %s --opset %d --reduction %s --engine %s --seed %d",
		r.Loss, r.Form, r.DType, place.Opset, r.Reduction, r.Engine, place.Seed)
}
