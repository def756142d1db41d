package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/onnxloss/onnxloss/internal/brief"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
)

// AttachOptions say how a loss is put onto a model. The element type is that of the
// prediction where none is asked for, and float32 for predictions of a half type.
type AttachOptions struct {
	// Options.Opset is the model's own where it is 0. A newer one raises the model's,
	// which is refused where a node of it would change its meaning.
	Options
	// Bind maps inputs of the loss to tensors of the model's main graph: outputs,
	// inputs, initializers, or what a node makes. Behind the tensor's name may follow
	// Adapters, each after a "|", for another layout or type: "scores | transpose 0 2 1".
	// In place of a tensor, "new NAME" is an input that the model is to be given, which
	// several losses on one model can share; "new" alone is one of the loss's own name.
	//
	// A prediction that is not bound is the output of its name, or the only
	// floating-point output of a shape that fits; where the loss wants logits and a
	// Softmax or Sigmoid makes the output, what that reads. Of other inputs that are
	// not bound, those are inputs of the model that have their name and fit; the rest
	// become new ones.
	Bind map[string]string
	// Output names the result's tensor; Loss.Output ("loss", or a head's name), or the
	// next free name, where empty.
	Output string
	// OnlyLoss makes the loss the only output; the model's own become tensors inside.
	OnlyLoss bool
	// Share reads what is bound inside the model where it is, which is faster, but
	// can change the model's own outputs by rounding: runtimes join nodes, such as a Conv
	// and its BatchNormalization, only where nothing reads what lies between them.
	// Without it the loss computes such tensors a second time, from the model's inputs
	// and outputs on and with the same weights, unless nothing follows in the model that a
	// runtime joins to what makes them; so that the model's own outputs stay the same
	// bits. What is bound at the inputs and outputs never changes them.
	Share bool
}

// Attach gives the model that computes a loss as well. Its own inputs, outputs, nodes
// and weights stay as they are, in the file byte for byte. Detach takes the loss off
// again.
func Attach(model *models.Model, loss *losses.Loss, p losses.Params, o AttachOptions) (*models.Model, error) {
	attached, err := attach(model, loss, p, o)
	if err != nil {
		return nil, fmt.Errorf("export: attach %s: %w", loss.Command(), brief.Error(err))
	}
	return attached, nil
}

func attach(model *models.Model, loss *losses.Loss, p losses.Params, o AttachOptions) (*models.Model, error) {
	host, err := newHost(model, o.Opset)
	if err != nil {
		return nil, err
	}
	if o.OnlyLoss {
		host.hideOutputs()
	}
	description, err := host.attach(loss, p, o)
	if err != nil {
		return nil, err
	}
	return host.finish(description.entries())
}

// attach puts one loss onto the host and says what it did. It leaves the metadata
// alone.
func (h *host) attach(loss *losses.Loss, p losses.Params, o AttachOptions) (Description, error) {
	p, err := loss.Params(p)
	if err != nil {
		return Description{}, err
	}
	inputs, err := chosenInputs(loss, p, append(slices.Clone(o.With), boundNames(o.Bind)...))
	if err != nil {
		return Description{}, err
	}
	bound, err := h.bind(loss, inputs, o)
	if err != nil {
		return Description{}, err
	}
	if o.Options, err = h.options(loss, o.Options, bound.prediction()); err != nil {
		return Description{}, err
	}
	l := lowering{loss: loss, params: p, options: o.Options}
	if l.inputs, err = h.complete(bound, o.Options); err != nil {
		return Description{}, err
	}
	output, err := h.outputName(o.Output, loss.Output())
	if err != nil {
		return Description{}, err
	}
	emitted, err := h.emit(l, output)
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
		if in.source != "" {
			if description.Bind == nil {
				description.Bind = map[string]string{}
			}
			description.Bind[in.Name] = in.source
		}
	}
	return description, nil
}

// emit lowers a loss. Where an operator that it needs is newer than the model, the
// error says which opset has all of them.
func (h *host) emit(l lowering, output string) (piece, error) {
	emitted, err := l.emit(output, h.taken)
	if err == nil {
		return emitted, nil
	}
	for newer := l.options.Opset + 1; newer <= ops.MaxOpset; newer++ {
		raised := l
		raised.options.Opset = newer
		if _, stillNot := raised.emit(output, h.taken); stillNot != nil {
			continue
		}
		if cannot := h.original.CheckOpset(newer); cannot != nil {
			return piece{}, fmt.Errorf("%w; the loss needs opset %d, which the model cannot be raised to: %w", err, newer, cannot)
		}
		return piece{}, fmt.Errorf("%w; the loss needs opset %d: ask for that, and the model is raised to it", err, newer)
	}
	return piece{}, err
}

// options fills in what follows from the model: the opset, and the element type of
// the prediction.
func (h *host) options(loss *losses.Loss, o Options, prediction ops.DType) (Options, error) {
	if o.DType == ops.Undefined {
		o.DType = prediction
		if o.DType.IsHalf() {
			o.DType = ops.Float32
		}
	}
	o.Opset = h.opset
	return o.withDefaults(loss)
}

// add puts a piece into the model and takes the names in it.
func (h *host) add(p piece, output string) error {
	if err := p.addTo(h.edit, output); err != nil {
		return err
	}
	for _, n := range p.nodes {
		h.taken[n.GetName()] = true
	}
	for _, info := range p.valueInfo {
		h.taken[info.GetName()] = true
		tensor := info.GetType().GetTensorType()
		h.declared[info.GetName()] = models.Tensor{Name: info.GetName(), DType: ops.DType(tensor.GetElemType()), Shape: ops.ShapeOf(tensor)}
	}
	return nil
}

// host is a model that a loss is put onto.
type host struct {
	tensors
	original *models.Model // what Detach gives back
	edit     *models.Edit
	opset    int
	taken    map[string]bool   // every tensor and node name
	next     map[string]int    // the number that a name gets next
	brought  map[string]bool   // the inputs that losses have brought
	copies   map[string]string // of tensors inside the model, by the tensor
	before   added             // how much there was of everything
	hidden   added             // which outputs were hidden
	// alone says that the model's own outputs are hidden.
	alone bool
	// removable says that what is added can be taken off the original.
	removable bool
}

// newHost starts from a model that has no loss yet, raised to an opset where that is
// not 0.
func newHost(model *models.Model, opset int) (*host, error) {
	graph := model.Proto.GetGraph()
	if graph == nil {
		return nil, errors.New("the model has no graph")
	}
	switch known, err := DescribeAll(model); {
	case err == nil:
		return nil, fmt.Errorf("the model already carries %s; detach it first, or attach both at once", known.Terms[0].Loss.Command())
	case !errors.Is(err, ErrNoLoss):
		return nil, fmt.Errorf("the model already has metadata of a loss, which cannot be read; take them out first: %w", err)
	}
	for _, e := range model.Proto.MetadataProps {
		key, ok := strings.CutPrefix(e.GetKey(), keyPrefix)
		if ok && slices.Contains(keys, key) { // it would mix with the new ones
			return nil, fmt.Errorf("the model's metadata have %q, but describe no loss; take the entry out", e.GetKey())
		}
	}
	h := &host{
		tensors: tensorsOf(model), original: model, edit: model.Edit(),
		brought: map[string]bool{}, copies: map[string]string{}, next: map[string]int{}, removable: true,
	}
	h.before = count(h.edit)
	if err := h.raise(opset); err != nil {
		return nil, err
	}
	if model.Proto.GetIrVersion() == 0 { // no runtime takes a file that has none
		h.edit.SetIR(ops.MinIR(h.opset))
	}
	h.taken = make(map[string]bool, 2*len(graph.Node)+len(graph.Initializer))
	takeNames(graph, h.taken)
	return h, nil
}

// raise gives the model the opset asked for. A model that imports no standard
// operators gets the one that losses are written for.
func (h *host) raise(asked int) error {
	own := h.original.Opset()
	h.opset = asked
	switch {
	case asked == 0 && own == 0:
		h.opset = DefaultOpset
	case asked == 0:
		h.opset = own
	}
	switch {
	case h.opset < own:
		return fmt.Errorf("the model is of opset %d, and can only be raised, not brought down to %d", own, h.opset)
	case h.opset < ops.MinOpset:
		return fmt.Errorf("opset %d is too old, losses need %d or newer; ask for a newer one, and the model is raised to it where it means the same there", h.opset, ops.MinOpset)
	case h.opset > ops.MaxOpset:
		return fmt.Errorf("opset %d is newer than those known here, up to %d", h.opset, ops.MaxOpset)
	case h.opset == own:
		return nil
	}
	if own == 0 {
		if err := h.hasVersion(); err != nil {
			return err
		}
	}
	if err := h.original.CheckOpset(h.opset); err != nil {
		return err
	}
	h.edit.SetOpset("", h.opset)
	return nil
}

// hasVersion proves that an import of the standard operators says which.
func (h *host) hasVersion() error {
	for _, o := range h.original.Proto.OpsetImport {
		if standardDomain(o.GetDomain()) == "" {
			return errors.New("the model imports the standard operators without a version; export it again")
		}
	}
	return nil
}

// needsNoImport proves that nothing of the model itself needs the imports that the loss
// brought.
func (h *host) needsNoImport() error {
	brought := map[string]bool{}
	imports := h.edit.Proto().OpsetImport
	for _, o := range imports[min(h.before.Opsets, len(imports)):] {
		brought[standardDomain(o.GetDomain())] = true
	}
	if len(brought) == 0 {
		return nil
	}
	const missing = "%s is of domain %q, of which the model imports no version; export it again"
	for _, f := range h.original.Proto.Functions {
		if domain := standardDomain(f.GetDomain()); brought[domain] {
			return fmt.Errorf("function "+missing, keyOf(f), domain)
		}
	}
	return eachNode(h.original.Proto.Graph.Node, 0, func(n *onnxpb.NodeProto) error {
		if domain := standardDomain(n.GetDomain()); brought[domain] {
			return fmt.Errorf(missing, describeNode(n), domain)
		}
		return nil
	})
}

// hideOutputs leaves the loss as the only output.
func (h *host) hideOutputs() {
	h.alone = true
	h.hidden.Hidden = h.edit.HideOutputs()
	h.hidden.HiddenOutputs = len(h.outputs)
}

// finish stamps the model with metadata.
func (h *host) finish(entries []entry, err error) (*models.Model, error) {
	if err != nil {
		return nil, err
	}
	if err := h.needsNoImport(); err != nil {
		return nil, err
	}
	if done := h.done(len(entries) + 1); h.removable && done.possible() {
		undo, err := json.Marshal(done)
		if err != nil {
			return nil, fmt.Errorf("encode what was added: %w", err)
		}
		entries = append(entries, entry{keyAdded, string(undo)})
	}
	for _, e := range entries {
		h.edit.AddMetadata(keyPrefix+e.key, e.value)
	}
	return h.edit.Model()
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
func (h *host) free(name string) string {
	unique := name
	for i := max(h.next[name], 2); h.taken[unique]; i++ {
		unique = fmt.Sprintf("%s_%d", name, i)
		h.next[name] = i + 1 // a broken graph makes one name over and over
	}
	h.taken[unique] = true
	return unique
}

func takeFree(taken map[string]bool, name string) string {
	name = freeName(taken, name)
	taken[name] = true
	return name
}

func freeName(taken map[string]bool, name string) string {
	unique := name
	for i := 2; taken[unique]; i++ {
		unique = fmt.Sprintf("%s_%d", name, i)
	}
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

func (h *host) freeOutput(name string) string { return freeName(h.taken, name) }
