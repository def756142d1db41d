package export

import (
	"fmt"
	"slices"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"google.golang.org/protobuf/proto"
)

// AttachOptions say how a loss is put onto a model. The opset is the model's own;
// Options.Opset must be 0. The element type is that of the prediction where none
// is asked for, and float32 for predictions of a half type.
type AttachOptions struct {
	Options
	// Bind maps inputs of the loss to tensors of the model. A prediction that is
	// not bound is found by itself where there is only one way; other inputs
	// become inputs of the model.
	Bind map[string]string
	// Output names the result's tensor; Loss.Output ("loss", or a head's name), or the
	// next free name, where empty.
	Output string
}

// Attach gives a copy of a model that computes a loss as well. Its own inputs,
// outputs and nodes stay as they are.
func Attach(model *models.Model, loss *losses.Loss, p losses.Params, o AttachOptions) (*models.Model, error) {
	attached, err := attach(model, loss, p, o)
	if err != nil {
		return nil, fmt.Errorf("export: attach %s: %w", loss.Command(), err)
	}
	return attached, nil
}

func attach(model *models.Model, loss *losses.Loss, p losses.Params, o AttachOptions) (*models.Model, error) {
	host, err := newHost(model.Proto)
	if err != nil {
		return nil, err
	}
	description, err := host.attach(loss, p, o)
	if err != nil {
		return nil, err
	}
	return &models.Model{Proto: host.model, Path: model.Path}, description.stamp(host.model)
}

// attach puts one loss onto the host and says what it did. It leaves the metadata
// alone.
func (h *host) attach(loss *losses.Loss, p losses.Params, o AttachOptions) (Description, error) {
	inputs, err := chosenInputs(loss, p, append(slices.Clone(o.With), boundNames(o.Bind)...))
	if err != nil {
		return Description{}, err
	}
	operands, err := h.bind(inputs, o.Bind)
	if err != nil {
		return Description{}, err
	}
	if o.Options, err = h.options(loss, o.Options, operands[0].dtype); err != nil {
		return Description{}, err
	}
	l := lowering{loss: loss, params: p, options: o.Options}
	if l.inputs, err = h.complete(inputs, operands, o.Options); err != nil {
		return Description{}, err
	}
	output, err := h.outputName(o.Output, loss.Output())
	if err != nil {
		return Description{}, err
	}
	emitted, err := l.emit(output, h.taken)
	if err != nil {
		return Description{}, err
	}
	if err := h.add(emitted, output); err != nil {
		return Description{}, err
	}
	description := Description{
		Loss: loss, Params: p, Form: o.Form, Opset: o.Opset, DType: o.DType, Reduction: o.Reduction,
		Inputs: map[string]string{}, Output: output, Attached: true, Detached: emitted.detached, Weight: 1,
	}
	for _, in := range l.inputs {
		description.Inputs[in.Name] = in.tensor
	}
	return description, nil
}

// options fills in what follows from the model: the opset, and the element type of
// the prediction.
func (h *host) options(loss *losses.Loss, o Options, prediction ops.DType) (Options, error) {
	if o.Opset != 0 {
		return o, fmt.Errorf("the opset is the model's own and cannot be set to %d", o.Opset)
	}
	opset := opsetOf(h.model.OpsetImport, "")
	if opset < ops.MinOpset {
		return o, fmt.Errorf("the model is of opset %d; losses need opset %d or newer", opset, ops.MinOpset)
	}
	if o.DType == ops.Undefined {
		o.DType = prediction
		if o.DType.IsHalf() {
			o.DType = ops.Float32
		}
	}
	// Models older than exported losses may be served by a loss that needs nothing
	// newer; the builder says so where it does.
	o.Opset = max(opset, MinOpset)
	o, err := o.withDefaults(loss)
	o.Opset = opset
	return o, err
}

// add puts a piece into the model and takes the names in it.
func (h *host) add(p piece, output string) error {
	if err := p.addTo(h.model, output); err != nil {
		return err
	}
	for _, n := range p.nodes {
		h.taken[n.GetName()] = true
	}
	for _, info := range p.valueInfo {
		h.taken[info.GetName()] = true
		h.typeOf[info.GetName()] = info
	}
	return nil
}

// host is a model that a loss is put onto.
type host struct {
	model  *onnxpb.ModelProto
	taken  map[string]bool                   // every tensor and node name
	typeOf map[string]*onnxpb.ValueInfoProto // of the tensors that the file gives types for
	// outputs are the model's own.
	outputs []*onnxpb.ValueInfoProto
}

// newHost copies a model that has no loss yet.
func newHost(model *onnxpb.ModelProto) (*host, error) {
	if model.GetGraph() == nil {
		return nil, fmt.Errorf("the model has no graph")
	}
	if known, err := described(model); err == nil {
		return nil, fmt.Errorf("the model already carries %s; start from the model without it", known.Terms[0].Loss.Command())
	}
	model = proto.Clone(model).(*onnxpb.ModelProto)
	h := &host{
		model: model, taken: map[string]bool{}, typeOf: map[string]*onnxpb.ValueInfoProto{},
		outputs: slices.Clone(model.Graph.Output),
	}
	takeNames(model.Graph, h.taken)
	for _, infos := range [][]*onnxpb.ValueInfoProto{model.Graph.ValueInfo, model.Graph.Input, model.Graph.Output} {
		for _, info := range infos {
			h.typeOf[info.GetName()] = info
		}
	}
	return h, nil
}

// takeNames collects the names of a graph and of the graphs inside its nodes.
func takeNames(g *onnxpb.GraphProto, taken map[string]bool) {
	for _, infos := range [][]*onnxpb.ValueInfoProto{g.GetInput(), g.GetOutput(), g.GetValueInfo()} {
		for _, info := range infos {
			taken[info.GetName()] = true
		}
	}
	for _, t := range g.GetInitializer() {
		taken[t.GetName()] = true
	}
	for _, t := range g.GetSparseInitializer() {
		taken[t.GetValues().GetName()] = true
	}
	for _, n := range g.GetNode() {
		taken[n.GetName()] = true
		for _, name := range slices.Concat(n.Input, n.Output) {
			taken[name] = true
		}
		for _, a := range n.Attribute {
			if a.G != nil {
				takeNames(a.G, taken)
			}
			for _, inner := range a.Graphs {
				takeNames(inner, taken)
			}
		}
	}
}

// free gives a name that the model does not have, and takes it.
func (h *host) free(name string) string { return takeFree(h.taken, name) }

func takeFree(taken map[string]bool, name string) string {
	unique := name
	for i := 2; taken[unique]; i++ {
		unique = fmt.Sprintf("%s_%d", name, i)
	}
	taken[unique] = true
	return unique
}

// outputName is the name asked for, or a free one. It is not taken here: the
// builder does that.
func (h *host) outputName(asked, otherwise string) (string, error) {
	if asked == "" {
		return h.freeOutput(otherwise), nil
	}
	if h.taken[asked] {
		return "", fmt.Errorf("the name %q of the loss's output is taken in the model; ask for another", asked)
	}
	return asked, nil
}

func (h *host) freeOutput(name string) string {
	name = h.free(name)
	delete(h.taken, name)
	return name
}
