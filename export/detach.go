package export

import (
	"encoding/json"
	"errors"
	"fmt"

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
		return nil, fmt.Errorf("export: detach: %w", err)
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
	edit := model.Edit()
	if err := done.check(edit, known); err != nil {
		return nil, fmt.Errorf("the file has changed since the loss was attached: %w; start from the model without the loss", err)
	}
	done.takeOff(edit)
	return edit.Model()
}

// takeOff undoes what was done.
func (a *added) takeOff(edit *models.Edit) {
	for part, n := range a.parts() {
		if part == models.ValueInfo {
			continue
		}
		for range *n {
			edit.Remove(part, edit.Len(part)-1)
		}
	}
	for range a.ValueInfo - a.HiddenOutputs {
		edit.Remove(models.ValueInfo, edit.Len(models.ValueInfo)-1)
	}
	for i := range a.HiddenOutputs {
		place := -1
		if i < len(a.Hidden) {
			place = a.Hidden[i]
		}
		edit.ShowOutput(edit.Len(models.ValueInfo)-(a.HiddenOutputs-i), place)
	}
	if a.IR != nil {
		edit.SetIR(*a.IR)
	}
	if a.Opset != 0 {
		edit.SetOpset("", a.Opset)
	}
}

// check proves that what is to be taken off is the loss, and that nothing else
// needs it.
func (a *added) check(edit *models.Edit, known Composition) error {
	for part, n := range a.parts() {
		if *n < 0 || *n > edit.Len(part) {
			return fmt.Errorf("%d elements of one kind were added, and there are %d", *n, edit.Len(part))
		}
	}
	if a.HiddenOutputs < 0 || a.HiddenOutputs > a.ValueInfo {
		return fmt.Errorf("%d outputs were hidden, and %d types added", a.HiddenOutputs, a.ValueInfo)
	}
	graph := edit.Proto().GetGraph()
	own := len(graph.Node) - a.Nodes
	made := map[string]bool{}
	for _, n := range graph.Node[own:] {
		for _, name := range n.GetOutput() {
			made[name] = true
		}
	}
	for _, output := range known.outputs() {
		if !made[output] {
			return fmt.Errorf("%q is not made by the last %d nodes", output, a.Nodes)
		}
	}
	for _, in := range graph.Input[len(graph.Input)-a.Inputs:] {
		made[in.GetName()] = true
	}
	delete(made, "")
	return a.unused(graph, made)
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

// unused proves that nothing of the model itself reads what was added.
func (a *added) unused(graph *onnxpb.GraphProto, made map[string]bool) error {
	rest := &onnxpb.GraphProto{Node: graph.Node[:len(graph.Node)-a.Nodes], Output: graph.Output[:len(graph.Output)-a.Outputs]}
	used := map[string]bool{}
	takeNames(rest, used)
	for name := range made {
		if used[name] {
			return fmt.Errorf("%q, which belongs to the loss, is used elsewhere", name)
		}
	}
	for _, out := range graph.Output[len(graph.Output)-a.Outputs:] {
		if !made[out.GetName()] {
			return fmt.Errorf("the output %q does not belong to the loss", out.GetName())
		}
	}
	return nil
}
