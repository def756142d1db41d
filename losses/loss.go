// Package losses is the catalogue: every loss with its formula, its parameters, a
// float64 reference for value and gradient, and its lowering to ONNX operators.
//
//	focal, err := losses.Find("sigmoid-focal")
//	params, err := focal.Params(map[string]any{"gamma": 1.5})
//	loss, err := focal.Evaluate(losses.Values{"logits": x, "target": y}, params, losses.Mean)
//	gradient, err := focal.EvaluateGradient(in, params, losses.Mean, nil)
//
// Find gives a loss by its name, All and Families list them, and each is a variable,
// such as SigmoidFocal, whose declaration has the formula, what its value means, and
// the inputs and parameters that it takes. Package export writes a loss as ONNX.
//
// The reference is plain float64 written from the formula; it shares nothing with
// the lowering and is the truth that package verify compares engines with.
//
// Classes lie on axis 1, [N,C,...], and samples on axis 0. What does not fit, a shape, a
// label or a parameter out of range, is an error that names it.
package losses

import (
	"fmt"
	"strings"

	"github.com/onnxloss/onnxloss/internal/spelling"
	"github.com/onnxloss/onnxloss/ops"
)

// Role says what an input is to a loss.
type Role string

// The roles an input can have.
const (
	Prediction Role = "prediction"
	Target     Role = "target"
	Weight     Role = "weight"
	// Auxiliary is what a loss needs beside them and does not differentiate by: an
	// IoU, a distance map, a schedule's state.
	Auxiliary Role = "auxiliary"
)

// Domain says which numbers an input holds. It is what verification draws its
// inputs from; only class indices, masks and positive numbers are checked on
// evaluation.
type Domain string

// The domains an input can have.
const (
	Real         Domain = "any number"
	Logit        Domain = "any number, a logit" // what the loss makes a probability of itself
	Binary       Domain = "0 or 1, or between"  // labels, possibly soft
	Distribution Domain = "0 to 1, summing to 1 over the classes"
	ClassIndex   Domain = "class index 0 to C-1, or ignore_index"
	NonNegative  Domain = "0 or more"
	// UnitInterval is for predictions and auxiliary numbers; Binary is for labels.
	UnitInterval    Domain = "0 to 1"
	LogDistribution Domain = "logarithms of numbers summing to 1 over the classes"
	Mask            Domain = "0 or 1"
	Positive        Domain = "above 0"
	Boxes           Domain = "boxes, four numbers on the last axis, as the parameter boxes says"
)

// SpatialAxes stands, in place of an axis in a declared shape, for the number of axes
// that an input [N,C,...] has after its first two.
const SpatialAxes = "rank-2"

// Input declares one tensor that a loss reads. Its Name is the key in Values and the
// name in an exported graph.
type Input struct {
	Name   string
	Role   Role
	Domain Domain
	// Shape is the axes, as in "N,C,...": a name stands for the same size in all
	// inputs, a number for itself, "..." for any number of further axes, the same in
	// all inputs, and SpatialAxes for how many axes the prediction has after N and C. A
	// scalar has none: "".
	Shape string
	// Broadcast lets the input have any shape that broadcasts to Shape.
	Broadcast bool
	Optional  bool
	// When limits the input to some settings of the parameters; nil is always.
	When func(Params) bool
	Doc  string
}

// Axes lists the names of the input's axes.
func (in Input) Axes() []string {
	if in.Shape == "" {
		return nil
	}
	return strings.Split(in.Shape, ",")
}

// Values holds arrays by input name: what a loss reads, or the gradients with
// respect to that.
type Values map[string]Array

// Terms is a loss before its reduction. A mean divides the sum of Loss, whose terms
// have been weighted, by the sum of Weight; where that is nil every term counts once.
type Terms struct {
	Loss   Array
	Weight *Array
}

// Loss declares one loss function. Those of the catalogue are to be read; methods do
// what callers need, and check what the functions below take for granted.
type Loss struct {
	Name    string // the operator's name, UpperCamelCase, in domain ai.onnxloss
	Summary string // one line
	Formula string // plain text, over as many lines as it needs
	Meaning string // what the value means, and what to watch out for
	Paper   string // where it is from
	Inputs  []Input
	Declare []Param
	// Head marks what is no loss but a map from tensors to a tensor: the link of a
	// loss for inference (tempered-softmax), or a part worth having by itself
	// (signed-distance-map). Its terms are its result and are not reduced.
	Head bool
	// Coupled says under which parameters a sample's terms depend on the other
	// samples of the batch, so that the data must not be cut into batches; nil is
	// under none.
	Coupled func(Params) bool
	// Figure is the plot of the loss in its documentation; nil where the loss is no
	// function of one number.
	Figure *Figure

	// Check refuses parameters that do not go together; nil accepts all.
	Check func(Params) error
	// Value computes the unreduced loss. Shapes and labels have been checked.
	Value func(Values, Params) (Terms, error)
	// Gradient computes the vector-Jacobian product of the unreduced loss with
	// upstream, which has the loss's shape, for every input that it has a
	// derivative for.
	Gradient func(in Values, p Params, upstream Array) (Values, error)
	// Frozen gives the loss around in with the parts that are not differentiated
	// held at the values they have there: Gradient is the derivative of that. It is
	// nil for a loss whose Gradient is the derivative of Value.
	Frozen func(in Values, p Params) func(Values) (Terms, error)
	// Build emits the loss. Inputs that are not there are absent Values. Floating
	// point inputs are float32 or float64: half types have been widened.
	Build func(*ops.Builder, map[string]ops.Value, Params) ops.Terms
	// Bound states how far a lowering may be from the reference: for each term of
	// the unreduced loss the largest absolute error, where eps is the spacing of
	// the computing type at 1 (2^-23 for float32 and the half types). Rounding the
	// inputs and the result to a half type comes on top.
	Bound func(in Values, p Params, eps float64) (Array, error)
	// Accuracy says in words what Bound allows, and why.
	Accuracy string
}

// always is a condition that all parameters meet.
func always(Params) bool { return true }

// Reductions lists the reductions that the loss has: all of them, and None alone
// for a head. The first is the default.
func (l *Loss) Reductions() []Reduction {
	if l.Head {
		return []Reduction{None}
	}
	return []Reduction{Mean, Sum, None}
}

// Command is the name on the command line: "SigmoidFocalLoss" is "sigmoid-focal",
// "MSELoss" is "mse", "GIoULoss" is "giou".
func (l *Loss) Command() string {
	name := strings.ReplaceAll(strings.TrimSuffix(l.Name, "Loss"), "IoU", "IOU")
	upper := func(i int) bool { return name[i] >= 'A' && name[i] <= 'Z' }
	var s strings.Builder
	for i := range len(name) {
		startsWord := upper(i) && i > 0 && (!upper(i-1) || i+1 < len(name) && !upper(i+1) && name[i+1] > '9')
		if startsWord {
			s.WriteByte('-')
		}
		s.WriteByte(name[i])
	}
	return strings.ToLower(s.String())
}

// Output is what the result is called in a graph: "loss", or of a head its own name,
// "tempered_softmax".
func (l *Loss) Output() string {
	if l.Head {
		return strings.ReplaceAll(l.Command(), "-", "_")
	}
	return "loss"
}

// InputsFor lists the inputs that the loss has under these parameters.
func (l *Loss) InputsFor(p Params) []Input {
	var inputs []Input
	for _, in := range l.Inputs {
		if in.When == nil || in.When(p) {
			inputs = append(inputs, in)
		}
	}
	return inputs
}

// Find gives a loss by its command-line name or its operator's name. The error for
// another one names the nearest.
func Find(name string) (*Loss, error) {
	for _, l := range All() {
		if l.Command() == name || l.Name == name {
			return l, nil
		}
	}
	var known []string
	for _, l := range All() {
		known = append(known, l.Command())
	}
	if close := spelling.Closest(name, known); close != "" {
		return nil, fmt.Errorf("losses: unknown loss %q; did you mean %q?", name, close)
	}
	return nil, fmt.Errorf("losses: unknown loss %q, and none has a name like it", name)
}
