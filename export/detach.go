package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/onnxloss/onnxloss/internal/brief"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/models"
)

// added is what was put into a model, all of it at the ends of lists, and what was
// changed: what Detach needs. It is in the metadata, as JSON.
type added struct {
	Nodes        int `json:"nodes"`
	Initializers int `json:"initializers,omitempty"`
	Inputs       int `json:"inputs,omitempty"`
	Outputs      int `json:"outputs"`
	ValueInfo    int `json:"value_info,omitempty"`
	Functions    int `json:"functions,omitempty"`
	Opsets       int `json:"opset_imports,omitempty"`
	Metadata     int `json:"metadata"`
	// IR and Opset are the model's own where they were raised; an IR version of 0 is
	// none.
	IR    *int64 `json:"ir_version,omitempty"`
	Opset int    `json:"opset,omitempty"`
	// HiddenOutputs is how many outputs became tensors inside, the first of the types
	// that were added; Hidden is where in the file they were.
	HiddenOutputs int   `json:"hidden_outputs,omitempty"`
	Hidden        []int `json:"hidden,omitempty"`
}

// parts lists the counts by what they count.
func (a *added) parts() map[models.Part]*int {
	return map[models.Part]*int{
		models.Nodes: &a.Nodes, models.Initializers: &a.Initializers, models.Inputs: &a.Inputs, models.Outputs: &a.Outputs,
		models.ValueInfo: &a.ValueInfo, models.Functions: &a.Functions, models.Opsets: &a.Opsets, models.Metadata: &a.Metadata,
	}
}

// count is how much there is of everything.
func count(e *models.Edit) added {
	var a added
	for part, n := range a.parts() {
		*n = e.Len(part)
	}
	return a
}

// startedFrom says that the host was made of another model, by putting things in.
func (h *host) startedFrom(model *models.Model, removable bool) {
	h.original, h.before, h.removable = model, count(model.Edit()), removable
}

// done says what was done to the model, when so many entries of metadata have
// followed.
func (h *host) done(metadata int) added {
	done, now := h.hidden, count(h.edit)
	there, were := now.parts(), h.before.parts()
	for part, n := range done.parts() {
		*n = *there[part] - *were[part]
	}
	done.Outputs += done.HiddenOutputs
	done.Metadata += metadata
	if ir := h.original.Proto.GetIrVersion(); ir != h.edit.Proto().GetIrVersion() {
		done.IR = &ir
	}
	if own := h.original.Opset(); own != 0 && own != h.opset {
		done.Opset = own
	}
	return done
}

// possible says that nothing was taken out.
func (a *added) possible() bool {
	for _, n := range a.parts() {
		if *n < 0 {
			return false
		}
	}
	return true
}

// ErrNotAttached says that a file is a loss alone, with no model under it.
var ErrNotAttached = errors.New("the file is a loss alone, with no model under it")

// Detach takes off what Attach, AttachAll or Perceptual.Attach put onto a model. It
// needs nothing but the file: what is left is the original, byte for byte where the
// file was written by this package. A model that was changed in between, so that it is
// not certain what belongs to the loss, is refused.
func Detach(model *models.Model) (*models.Model, error) {
	detached, err := detach(model)
	if err != nil {
		return nil, fmt.Errorf("export: detach: %w", brief.Error(err))
	}
	return detached, nil
}

func detach(model *models.Model) (*models.Model, error) {
	known, err := DescribeAll(model)
	if errors.Is(err, ErrNoLoss) {
		return nil, fmt.Errorf("there is nothing to take off: %w", ErrNoLoss)
	}
	if err != nil {
		return nil, err
	}
	if !known.Terms[0].Attached {
		return nil, ErrNotAttached
	}
	text, ok := metadata(model.Proto)[keyAdded]
	if !ok {
		return nil, fmt.Errorf("the metadata do not say what was added (%s%s); start from the model without the loss", keyPrefix, keyAdded)
	}
	var done added
	if err := json.Unmarshal([]byte(text), &done); err != nil {
		return nil, fmt.Errorf("%s%s is not JSON: %w", keyPrefix, keyAdded, err)
	}
	detached, err := done.undo(model, known)
	if err != nil {
		return nil, fmt.Errorf("the file has changed since the loss was attached: %w; start from the model without the loss", err)
	}
	return detached, nil
}

// undo takes off what was added.
func (a *added) undo(model *models.Model, known Composition) (*models.Model, error) {
	if err := a.check(model, known); err != nil {
		return nil, err
	}
	edit := model.Edit()
	a.takeOff(edit)
	detached, err := edit.Model()
	if err != nil || a.Opset == 0 {
		return detached, err
	}
	if err := detached.CheckOpset(model.Opset()); err != nil {
		return nil, fmt.Errorf("it cannot have been of opset %d: %w", a.Opset, err)
	}
	return detached, nil
}

// takeOff undoes what was done.
func (a *added) takeOff(edit *models.Edit) {
	for part, n := range a.parts() {
		if part == models.ValueInfo {
			*n -= a.HiddenOutputs
		}
		rest := edit.Len(part) - *n
		edit.Keep(part, func(i int) bool { return i < rest })
	}
	edit.ShowOutputs(a.HiddenOutputs, a.Hidden)
	if a.IR != nil {
		edit.SetIR(*a.IR)
	}
	if a.Opset != 0 {
		edit.SetOpset("", a.Opset)
	}
}

// check proves that what is to be taken off is the loss, and that nothing else
// needs it.
func (a *added) check(m *models.Model, known Composition) error {
	model, edit := m.Proto, m.Edit()
	for part, n := range a.parts() {
		if *n < 0 || *n > edit.Len(part) {
			return fmt.Errorf("%d elements of one kind were added, and there are %d", *n, edit.Len(part))
		}
	}
	if a.HiddenOutputs < 0 || a.HiddenOutputs > a.ValueInfo || a.HiddenOutputs > 0 && a.Outputs < len(model.Graph.Output) {
		return fmt.Errorf("%d outputs were hidden, %d types and %d outputs added, and there are %d outputs", a.HiddenOutputs, a.ValueInfo, a.Outputs, len(model.Graph.Output))
	}
	if a.IR != nil && *a.IR >= model.GetIrVersion() {
		return fmt.Errorf("the IR version was %d and is %d", *a.IR, model.GetIrVersion())
	}
	if now := m.Opset(); a.Opset != 0 && (a.Opset < 1 || a.Opset >= now) {
		return fmt.Errorf("the opset was %d and is %d", a.Opset, now)
	}
	loss, rest := a.split(model)
	if err := unused(rest, loss, known); err != nil {
		return err
	}
	return unneeded(rest, loss)
}

// split tells what was added from what was there.
func (a *added) split(m *onnxpb.ModelProto) (loss, rest *onnxpb.ModelProto) {
	loss, rest = &onnxpb.ModelProto{Graph: new(onnxpb.GraphProto)}, &onnxpb.ModelProto{Graph: new(onnxpb.GraphProto)}
	g := m.Graph
	rest.Graph.Node, loss.Graph.Node = splitList(g.Node, a.Nodes)
	rest.Graph.Initializer, loss.Graph.Initializer = splitList(g.Initializer, a.Initializers)
	rest.Graph.Input, loss.Graph.Input = splitList(g.Input, a.Inputs)
	rest.Graph.Output, loss.Graph.Output = splitList(g.Output, a.Outputs)
	rest.Graph.ValueInfo, loss.Graph.ValueInfo = splitList(g.ValueInfo, a.ValueInfo)
	hidden := loss.Graph.ValueInfo[:a.HiddenOutputs]
	rest.Graph.Output = slices.Concat(rest.Graph.Output, hidden)
	loss.Graph.ValueInfo = loss.Graph.ValueInfo[a.HiddenOutputs:]
	rest.Graph.SparseInitializer = g.SparseInitializer
	rest.Functions, loss.Functions = splitList(m.Functions, a.Functions)
	rest.OpsetImport, loss.OpsetImport = splitList(m.OpsetImport, a.Opsets)
	rest.MetadataProps, loss.MetadataProps = splitList(m.MetadataProps, a.Metadata)
	return loss, rest
}

// splitList cuts the last n off.
func splitList[T any](list []T, n int) (before, last []T) {
	return list[:len(list)-n], list[len(list)-n:]
}

// outputs lists the tensors that the metadata speak of.
func (c Composition) outputs() []string {
	var names []string
	for _, d := range c.Terms {
		names = append(names, d.Output)
	}
	if c.Total != "" {
		names = append(names, c.Total)
	}
	return names
}

// unused proves that the loss makes what the metadata say and no other names, and that
// the rest of the model does without them.
func unused(rest, loss *onnxpb.ModelProto, known Composition) error {
	made, used := map[string]bool{}, map[string]bool{}
	for _, n := range loss.Graph.Node {
		for _, name := range n.GetOutput() {
			made[name] = true
		}
	}
	delete(made, "")
	for _, output := range known.outputs() {
		if !made[output] {
			return fmt.Errorf("%q is not made by the last %d nodes", output, len(loss.Graph.Node))
		}
	}
	for _, info := range slices.Concat(loss.Graph.Output, loss.Graph.ValueInfo) {
		if !made[info.GetName()] {
			return fmt.Errorf("the output or type of %q does not belong to the loss", info.GetName())
		}
	}
	for _, in := range loss.Graph.Input {
		made[in.GetName()] = true
	}
	for _, t := range loss.Graph.Initializer {
		made[t.GetName()] = true
	}
	takeNames(rest.Graph, used)
	for name := range made {
		if used[name] {
			return fmt.Errorf("%q, which belongs to the loss, is used elsewhere", name)
		}
	}
	return nil
}

// unneeded proves that the rest of the model does without the loss's functions and
// operator sets, and that the metadata that go are the loss's.
func unneeded(rest, loss *onnxpb.ModelProto) error {
	for _, e := range loss.MetadataProps {
		if !strings.HasPrefix(e.GetKey(), keyPrefix) {
			return fmt.Errorf("the entry %q of the metadata does not belong to the loss", e.GetKey())
		}
	}
	for _, e := range rest.MetadataProps {
		if key, ok := strings.CutPrefix(e.GetKey(), keyPrefix); ok && slices.Contains(keys, key) {
			return fmt.Errorf("the entry %q of the metadata would be left", e.GetKey())
		}
	}
	functions, domains := map[functionKey]bool{}, map[string]bool{}
	for _, f := range loss.Functions {
		functions[keyOf(f)] = true
	}
	for _, o := range loss.OpsetImport {
		domains[standardDomain(o.GetDomain())] = true
	}
	calls := func(n *onnxpb.NodeProto) error {
		if functions[calledBy(n)] {
			return fmt.Errorf("%s calls a function that came with the loss", describeNode(n))
		}
		return nil
	}
	for _, f := range rest.Functions {
		if domains[standardDomain(f.GetDomain())] {
			return fmt.Errorf("the function %s needs an operator set that came with the loss", keyOf(f))
		}
		if err := eachNode(f.GetNode(), 0, calls); err != nil {
			return err
		}
	}
	return eachNode(rest.Graph.Node, 0, func(n *onnxpb.NodeProto) error {
		if domains[standardDomain(n.GetDomain())] {
			return fmt.Errorf("%s needs an operator set that came with the loss", describeNode(n))
		}
		return calls(n)
	})
}
