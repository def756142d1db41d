package export

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
	"go.yaml.in/yaml/v4"
)

// Spec is what a spec file says: several losses for one model, as AttachAll takes
// them.
type Spec struct {
	Terms []Term
	AllOptions
}

// ParseSpec reads a spec, which is YAML, or JSON, of this form:
//
//	opset: 17        # raise the model's opset
//	only_loss: true  # leave the losses as the only outputs
//	total: loss      # the name of the weighted sum
//	losses:
//	  - loss: softmax-cross-entropy
//	    name: classification     # of its output
//	    weight: 2.5              # in the total: a number, "new NAME" or a tensor's name
//	    reduction: mean          # mean, sum or none
//	    form: graph              # graph or function
//	    dtype: float32
//	    index_type: int64
//	    set: {label_smoothing: 0.1}
//	    bind: {logits: class_logits}
//	    with: [weight]
//	    shape: {target: "N"}
//	    share: true              # read tensors inside the model where they are
//	  - loss: l1
//
// Only losses, with at least one, and the loss of each are required. The weight is 1
// where it is not given, and none may be given for a loss that is not reduced; what
// else is not given is as in AttachOptions and AllOptions. Names and numbers have to be
// written as such: 2.5 is a number and "2.5" is not. An error says the line, what was
// found there, and what to do.
func ParseSpec(data []byte) (Spec, error) {
	root, err := document(data)
	if err != nil {
		return Spec{}, fmt.Errorf("export: spec: %w", err)
	}
	var r specReader
	spec := r.spec(root)
	if r.err != nil {
		return Spec{}, fmt.Errorf("export: spec: %w", r.err)
	}
	return spec, nil
}

func (r *specReader) spec(n *yaml.Node) Spec {
	var s Spec
	f := r.section(n, "the spec", []string{"losses", "total", "opset", "only_loss"})
	optional(f, "opset", r.opset, &s.Opset)
	optional(f, "only_loss", r.flag, &s.OnlyLoss)
	optional(f, "total", r.text, &s.Total)
	var list []*yaml.Node
	required(r, n, f, "losses", r.list, &list)
	outputs := map[string]int{} // by name, the lines that they are on
	r.unique(outputs, f["total"], s.Total)
	for _, item := range list {
		term, name := r.term(item)
		r.unique(outputs, name, term.Output)
		s.Terms = append(s.Terms, term)
	}
	if r.err != nil {
		return s
	}
	summed := slices.ContainsFunc(s.Terms, func(t Term) bool { return t.reduction() != losses.None })
	if s.Total != "" && !summed {
		r.fail(f["total"], "total is the name %q, but there is no total: no loss is reduced to a number; leave it out, or use the reduction mean or sum", s.Total)
	}
	return s
}

// unique refuses a name that another output has.
func (r *specReader) unique(outputs map[string]int, n *yaml.Node, name string) {
	if name == "" || n == nil {
		return
	}
	if line, twice := outputs[name]; twice {
		r.fail(n, "the output name %s is that of line %d too; choose another", short(name), line)
	}
	outputs[name] = n.Line
}

// term reads an item of losses, and gives the place of its name as well.
func (r *specReader) term(n *yaml.Node) (t Term, name *yaml.Node) {
	t.line = n.Line
	f := r.section(n, "an item of losses", []string{
		"loss", "name", "weight", "reduction", "form", "dtype", "index_type", "set", "bind", "with", "shape", "share",
	})
	required(r, n, f, "loss", r.loss, &t.Loss)
	if r.err != nil {
		return t, nil
	}
	settings := map[string]any{}
	optional(f, "set", r.settings(t.Loss), &settings)
	t.Params = r.params(t.Loss, settings, f["set"])
	if r.err != nil {
		return t, nil
	}
	optional(f, "name", r.text, &t.Output)
	optional(f, "reduction", r.reduction(t.Loss), &t.Reduction)
	optional(f, "form", parsed(r, ParseForm), &t.Form)
	optional(f, "dtype", r.dtype(ops.FloatTypes()), &t.DType)
	optional(f, "index_type", r.dtype([]ops.DType{ops.Int64, ops.Int32}), &t.IndexType)
	inputs := inputList(t.Loss.InputsFor(t.Params))
	optional(f, "bind", byName(r, inputs, r.text), &t.Bind)
	optional(f, "with", r.with(t.Loss.InputsFor(t.Params)), &t.With)
	optional(f, "shape", byName(r, inputs, parsed(r, ops.ParseShape)), &t.Shapes)
	optional(f, "share", r.flag, &t.Share)
	r.weight(&t, f["weight"])
	return t, f["name"]
}

// weight reads the factor in the total, a number or a tensor; nil is none given.
func (r *specReader) weight(t *Term, n *yaml.Node) {
	if r.err != nil {
		return
	}
	summed := t.reduction() != losses.None
	if n == nil {
		if summed {
			t.Weight = 1
		}
		return
	}
	switch {
	case !summed:
		r.fail(n, "a weight is given for %s, whose reduction is none, so that it has no part in the total; leave the weight out, or use the reduction mean or sum", t.Loss.Command())
	case isNumeric(n):
		t.Weight = r.number(n, "weight")
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str":
		t.WeightFrom = r.text(n, "weight")
		if quoted := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0; !quoted && looksNumeric(n.Value) {
			r.fail(n, "weight must be a finite number, found %s", short(n.Value))
		}
	default:
		r.fail(n, "weight must be a number, new NAME for an input, or the name of a tensor, found %s", found(n))
	}
}

// opset reads a version of the standard operators.
func (r *specReader) opset(n *yaml.Node, what string) int {
	version := r.whole(n, what)
	if version < ops.MinOpset || version > ops.MaxOpset {
		r.fail(n, "%s is %d; use %d to %d, or leave it out to keep the model's", what, version, ops.MinOpset, ops.MaxOpset)
	}
	return int(version)
}

func (r *specReader) loss(n *yaml.Node, what string) *losses.Loss {
	name := r.text(n, what)
	for _, c := range losses.Composites() {
		if c.Name == name {
			r.fail(n, "%s needs a feature network and cannot be one of several losses; make it with export.Perceptual, or onnxloss %s", name, name)
		}
	}
	loss, err := losses.Find(name)
	if err != nil {
		r.fail(n, "%w", err)
	}
	return loss
}

func (r *specReader) reduction(loss *losses.Loss) reading[losses.Reduction] {
	return func(n *yaml.Node, what string) losses.Reduction {
		reduction := parsed(r, losses.ParseReduction)(n, what)
		if err := loss.CheckReduction(reduction); err != nil {
			r.fail(n, "%w", err)
		}
		return reduction
	}
}

func (r *specReader) dtype(allowed []ops.DType) reading[ops.DType] {
	return func(n *yaml.Node, what string) ops.DType {
		dtype := parsed(r, ops.ParseDType)(n, what)
		if !slices.Contains(allowed, dtype) {
			r.fail(n, "%s cannot be %s; use %s", what, dtype, typeList(allowed))
		}
		return dtype
	}
}

func typeList(types []ops.DType) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = t.String()
	}
	return strings.Join(names, ", ")
}

// with reads a list of optional inputs.
func (r *specReader) with(inputs []losses.Input) reading[[]string] {
	known := inputList(slices.DeleteFunc(inputs, func(in losses.Input) bool { return !in.Optional }))
	return func(n *yaml.Node, what string) []string {
		var names []string
		for _, item := range r.list(n, what) {
			name := r.text(resolved(item), "an item of with")
			r.known(item, "optional input", name, known)
			if slices.Contains(names, name) {
				r.fail(item, "with has %s twice; leave one out", short(name))
			}
			names = append(names, name)
		}
		return names
	}
}

// settings reads parameters in the types that the loss declares.
func (r *specReader) settings(loss *losses.Loss) reading[map[string]any] {
	var names []string
	kinds := map[string]losses.Kind{}
	for _, p := range loss.Declare {
		names = append(names, p.Name)
		kinds[p.Name] = p.Kind
	}
	return func(n *yaml.Node, what string) map[string]any {
		settings, fields := map[string]any{}, r.section(n, what, names)
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			switch value := fields[name]; kinds[name] {
			case losses.Float:
				settings[name] = r.number(value, name)
			case losses.Int:
				settings[name] = r.whole(value, name)
			case losses.Bool:
				settings[name] = r.flag(value, name)
			case losses.String:
				settings[name] = r.text(value, name)
			}
		}
		return settings
	}
}

// params checks settings as a whole.
func (r *specReader) params(loss *losses.Loss, settings map[string]any, n *yaml.Node) losses.Params {
	if r.err != nil {
		return nil
	}
	params, err := loss.Params(settings)
	if err != nil && n != nil {
		r.fail(n, "%w", err)
	}
	return params
}

func inputList(inputs []losses.Input) []string {
	names := make([]string, len(inputs))
	for i, in := range inputs {
		names[i] = in.Name
	}
	return names
}
