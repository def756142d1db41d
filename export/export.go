// Package export makes ONNX models: a loss by itself (Model), or a loss on top of a
// model that was trained elsewhere (Attach), so that whatever runs the model computes
// the loss as well.
//
//	loss, err := losses.Find("softmax-cross-entropy")
//	params, err := loss.Params(nil)
//	model, err := models.Open("classifier.onnx")
//	attached, err := export.Attach(model, loss, params, export.AttachOptions{})
//	err = attached.Save("with_loss.onnx")
//
// AttachAll attaches several losses and their weighted sum, and a Perceptual compares
// images by the features of a network. Nothing of the model changes, and Detach takes
// the losses off again: what was done stands in the file's metadata, which Describe and
// DescribeAll read. Check proves that a model is sound.
//
// Models that are handed in are never changed. A loss needs no framework: in form
// Graph it is standard operators, in form Function one node with its body in the file.
package export

import (
	"fmt"
	"slices"

	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
)

// Domain is the operator domain of the losses, and DomainVersion its version.
const (
	Domain        = "ai.onnxloss"
	DomainVersion = 1
)

// Version is the onnxloss version that files are stamped with.
const Version = "0.1.0"

// DefaultOpset is emitted where none is asked for: old enough for most runtimes.
const DefaultOpset = 17

// Form says how a loss is written.
type Form string

// The forms.
const (
	// Graph is standard operators only.
	Graph Form = "graph"
	// Function is one node of domain ai.onnxloss, whose body is a function in the
	// same file.
	Function Form = "function"
)

// Forms lists all forms.
func Forms() []Form { return []Form{Graph, Function} }

// ParseForm reads "graph" or "function".
func ParseForm(name string) (Form, error) {
	f := Form(name)
	if !slices.Contains(Forms(), f) {
		return "", fmt.Errorf("export: unknown form %q; use graph or function", name)
	}
	return f, nil
}

// Options say how a loss is written. The zero Options mean form graph,
// DefaultOpset, float32, the loss's first reduction (mean; none for a head), and the
// shortest shapes.
type Options struct {
	Form Form
	// Opset is the version of the standard operators, MinOpset to ops.MaxOpset.
	Opset int
	// DType is the type of the floating-point inputs and of the result. The half types
	// compute in float32 and are rounded at the end; bfloat16 needs opset 13.
	DType ops.DType
	// Reduction is None, Mean or Sum; a head has None alone.
	Reduction losses.Reduction
	// With names the optional inputs that the model is to have.
	With []string
	// Shapes gives the shapes of inputs by name. The other inputs follow from the
	// prediction's: [N,C] where nothing is given. A nil shape leaves the rank open.
	// Symbolic sizes of one name are equal wherever they occur.
	Shapes map[string]ops.Shape
	// IndexType is the element type of class-index targets: int64 (where
	// undefined) or int32.
	IndexType ops.DType
}

func (o Options) withDefaults(loss *losses.Loss) (Options, error) {
	if o.Form == "" {
		o.Form = Graph
	}
	if o.Opset == 0 {
		o.Opset = DefaultOpset
	}
	if o.DType == ops.Undefined {
		o.DType = ops.Float32
	}
	if o.Reduction == "" {
		o.Reduction = loss.Reductions()[0]
	}
	if o.IndexType == ops.Undefined {
		o.IndexType = ops.Int64
	}
	switch {
	case !slices.Contains(Forms(), o.Form):
		return o, fmt.Errorf("unknown form %q; use graph or function", o.Form)
	case !o.DType.IsFloat():
		return o, fmt.Errorf("a loss cannot be of type %s; use float32, float64, float16 or bfloat16", o.DType)
	case o.Opset < ops.MinOpset || o.Opset > ops.MaxOpset:
		return o, fmt.Errorf("opset %d is not supported; use %d to %d", o.Opset, ops.MinOpset, ops.MaxOpset)
	case o.DType == ops.BFloat16 && o.Opset < 13:
		return o, fmt.Errorf("bfloat16 needs opset 13 or newer, got %d", o.Opset)
	case o.IndexType != ops.Int64 && o.IndexType != ops.Int32:
		return o, fmt.Errorf("class indices cannot be of type %s; use int64 or int32", o.IndexType)
	}
	return o, loss.CheckReduction(o.Reduction)
}
