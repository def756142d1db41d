package interp

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// controlFlow lists the operators that run subgraphs, with the first opset whose
// form of them is had.
var controlFlow = map[string]int{"If": 1, "Loop": 1, "Scan": 9}

// body is a subgraph, ready to run over the values of the graph around it.
type body struct {
	plan            plan
	inputs, outputs []int
	inner           map[int]bool // slots that belong to the body
}

// run gives the body its inputs and returns its outputs.
func (b *body) run(ctx context.Context, values, in []engine.Tensor) ([]engine.Tensor, error) {
	for i, slot := range b.inputs {
		values[slot] = in[i]
	}
	if err := b.plan.run(ctx, values); err != nil {
		return nil, err
	}
	out := make([]engine.Tensor, len(b.outputs))
	for i, slot := range b.outputs {
		if out[i] = values[slot]; out[i].IsZero() {
			return nil, fmt.Errorf("the subgraph's output %d was not made", i)
		}
	}
	return out, nil
}

// captured lists the slots that the body reads from outside.
func (b *body) captured() []int {
	var slots []int
	for _, st := range b.plan.steps {
		slots = append(slots, st.inputs...)
		slots = append(slots, st.uses...)
	}
	slots = append(slots, b.outputs...)
	return slices.DeleteFunc(slots, func(slot int) bool { return slot == absent || b.inner[slot] })
}

// subgraph compiles a graph attribute.
func (l *loader) subgraph(a *attributes, name string, env environment) (*body, error) {
	attribute := a.find(name, onnxpb.AttributeProto_GRAPH)
	if attribute == nil || attribute.GetG() == nil {
		return nil, fmt.Errorf("attribute %q is missing", name)
	}
	graph := attribute.GetG()
	first := len(l.constants)
	env.scope = &scope{slots: map[string]int{}, parent: env.scope}
	if err := l.initializers(graph, env.scope); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	b := &body{inner: map[int]bool{}}
	for _, info := range graph.GetInput() {
		slot, err := l.define(env.scope, info.GetName(), engine.Tensor{})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		b.inputs = append(b.inputs, slot)
	}
	var err error
	if b.plan.steps, err = l.nodes(graph.GetNode(), env); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for _, info := range graph.GetOutput() {
		slot, ok := env.find(info.GetName())
		if !ok || slot == absent {
			return nil, fmt.Errorf("%s: its output %q is made by no node", name, info.GetName())
		}
		if err := checkType(info); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		b.outputs = append(b.outputs, slot)
	}
	for slot := first; slot < len(l.constants); slot++ {
		b.inner[slot] = true
	}
	b.plan.release(b.outputs)
	return b, nil
}

// controlStep makes the step of an operator that runs subgraphs.
func (l *loader) controlStep(st *step, n *onnxpb.NodeProto, list []*onnxpb.AttributeProto, opset int, env environment) error {
	if first := controlFlow[n.GetOpType()]; opset < first {
		return fmt.Errorf("opset %d has an older form of the operator than %d: %w", opset, first, engine.ErrUnsupported)
	}
	a, err := newAttributes(list, opset, len(n.GetOutput()))
	if err != nil {
		return err
	}
	switch n.GetOpType() {
	case "If":
		err = l.ifStep(st, a, env)
	case "Loop":
		err = l.loopStep(st, a, env)
	case "Scan":
		err = l.scanStep(st, a, env)
	}
	if err != nil {
		return err
	}
	return a.check()
}

func (l *loader) ifStep(st *step, a *attributes, env environment) error {
	if len(st.inputs) != 1 || st.inputs[0] == absent {
		return fmt.Errorf("got %d inputs, want the condition", len(st.inputs))
	}
	branches := map[bool]*body{}
	for condition, name := range map[bool]string{true: "then_branch", false: "else_branch"} {
		b, err := l.subgraph(a, name, env)
		if err != nil {
			return err
		}
		if len(b.inputs) != 0 || len(b.outputs) < a.outputs {
			return fmt.Errorf("%s has %d inputs and %d outputs, want none and %d", name, len(b.inputs), len(b.outputs), a.outputs)
		}
		branches[condition] = b
		st.uses = append(st.uses, b.captured()...)
	}
	st.run = func(ctx context.Context, values, in []engine.Tensor) ([]engine.Tensor, error) {
		condition, err := truth(in[0], true)
		if err != nil {
			return nil, err
		}
		return branches[condition].run(ctx, values, nil)
	}
	return nil
}

// truth reads a condition, which may be missing.
func truth(t engine.Tensor, missing bool) (bool, error) {
	if t.IsZero() {
		return missing, nil
	}
	if data := engine.Data[bool](t); len(data) == 1 {
		return data[0], nil
	}
	return false, fmt.Errorf("the condition is %s, want one bool", t)
}

// loopStep compiles Loop(trips, condition, carried...): the body takes iteration
// number, condition and carried values, and gives condition, carried values and
// rows of the stacked outputs.
func (l *loader) loopStep(st *step, a *attributes, env environment) error {
	b, err := l.subgraph(a, "body", env)
	if err != nil {
		return err
	}
	carried := len(st.inputs) - 2
	if carried < 0 || len(b.inputs) != carried+2 || len(b.outputs) < carried+1 {
		return fmt.Errorf("got %d inputs for a body with %d inputs and %d outputs", len(st.inputs), len(b.inputs), len(b.outputs))
	}
	if slices.Contains(st.inputs[2:], absent) {
		return fmt.Errorf("a carried value is missing")
	}
	st.uses = b.captured()
	st.run = func(ctx context.Context, values, in []engine.Tensor) ([]engine.Tensor, error) {
		return loop(ctx, b, values, in)
	}
	return nil
}

func loop(ctx context.Context, b *body, values, in []engine.Tensor) ([]engine.Tensor, error) {
	trips := int64(math.MaxInt64)
	if !in[0].IsZero() {
		data := engine.Data[int64](in[0])
		if len(data) != 1 {
			return nil, fmt.Errorf("the trip count is %s, want one int64", in[0])
		}
		trips = data[0]
	}
	going, err := truth(in[1], true)
	if err != nil {
		return nil, err
	}
	state := in[2:]
	rows := make([][]engine.Tensor, len(b.outputs)-1-len(state))
	for i := int64(0); i < trips && going; i++ {
		out, err := b.run(ctx, values, append([]engine.Tensor{engine.Scalar(i), engine.Scalar(going)}, state...))
		if err != nil {
			return nil, fmt.Errorf("iteration %d: %w", i, err)
		}
		if going, err = truth(out[0], true); err != nil {
			return nil, fmt.Errorf("iteration %d: %w", i, err)
		}
		for j := range rows {
			rows[j] = append(rows[j], out[1+len(state)+j])
		}
		state = out[1 : 1+len(state)]
	}
	return appendStacks(slices.Clone(state), rows)
}

// appendStacks adds to out each list of rows as one tensor along a new first axis.
func appendStacks(out []engine.Tensor, rows [][]engine.Tensor) ([]engine.Tensor, error) {
	for _, list := range rows {
		if len(list) == 0 {
			return nil, fmt.Errorf("a stacked output has no rows, so its element type and shape are not known: %w", engine.ErrUnsupported)
		}
		t, err := stack(list, 0)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// scan is a Scan node: state and scanned inputs, stacked outputs.
type scan struct {
	body                      *body
	scanned                   int // how many inputs are scanned
	inAxes, outAxes           []int
	inBackwards, outBackwards []int
}

func (l *loader) scanStep(st *step, a *attributes, env environment) error {
	b, err := l.subgraph(a, "body", env)
	if err != nil {
		return err
	}
	a.require("num_scan_inputs")
	s := scan{
		body: b, scanned: a.integer("num_scan_inputs", 0),
		inAxes: a.integers("scan_input_axes"), outAxes: a.integers("scan_output_axes"),
		inBackwards: a.integers("scan_input_directions"), outBackwards: a.integers("scan_output_directions"),
	}
	states := len(st.inputs) - s.scanned
	if s.scanned < 1 || states < 0 || len(b.inputs) != len(st.inputs) || len(b.outputs) < states {
		return fmt.Errorf("got %d inputs, %d of them scanned, for a body with %d inputs and %d outputs",
			len(st.inputs), s.scanned, len(b.inputs), len(b.outputs))
	}
	if slices.Contains(st.inputs, absent) {
		return fmt.Errorf("an input is missing")
	}
	st.uses = b.captured()
	st.run = s.run
	return nil
}

// nth gives the i-th of a list that may be left out, or shorter.
func nth(list []int, i int) int {
	if i < len(list) {
		return list[i]
	}
	return 0
}

func (s scan) run(ctx context.Context, values, in []engine.Tensor) ([]engine.Tensor, error) {
	states := len(in) - s.scanned
	state, scanned := in[:states], in[states:]
	length := -1
	axes := make([]int, s.scanned)
	for i, t := range scanned {
		var err error
		if axes[i], err = axisOf(nth(s.inAxes, i), len(t.Shape())); err != nil {
			return nil, fmt.Errorf("scan_input_axes: %w", err)
		}
		n := t.Shape()[axes[i]]
		if length >= 0 && n != length {
			return nil, fmt.Errorf("scanned input %d has length %d, the one before %d", i, n, length)
		}
		length = n
	}
	rows := make([][]engine.Tensor, len(s.body.outputs)-states)
	for step := range length {
		call := slices.Clone(state)
		for i, t := range scanned {
			row, err := pick(t, axes[i], directed(step, length, nth(s.inBackwards, i)))
			if err != nil {
				return nil, err
			}
			call = append(call, row)
		}
		out, err := s.body.run(ctx, values, call)
		if err != nil {
			return nil, fmt.Errorf("step %d: %w", step, err)
		}
		state = out[:states]
		for i := range rows {
			rows[i] = append(rows[i], out[states+i])
		}
	}
	return s.stacks(slices.Clone(state), rows)
}

func directed(i, length, backwards int) int {
	if backwards != 0 {
		return length - 1 - i
	}
	return i
}

func (s scan) stacks(out []engine.Tensor, rows [][]engine.Tensor) ([]engine.Tensor, error) {
	for i, list := range rows {
		if len(list) == 0 {
			return nil, fmt.Errorf("a scanned output has no rows, so its element type and shape are not known: %w", engine.ErrUnsupported)
		}
		if nth(s.outBackwards, i) != 0 {
			slices.Reverse(list)
		}
		axis, err := axisOf(nth(s.outAxes, i), len(list[0].Shape())+1)
		if err != nil {
			return nil, fmt.Errorf("scan_output_axes: %w", err)
		}
		t, err := stack(list, axis)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// stack joins tensors of one shape along a new axis.
func stack(list []engine.Tensor, axis int) (engine.Tensor, error) {
	shape := slices.Insert(slices.Clone(list[0].Shape()), axis, 1)
	rows := make([]engine.Tensor, len(list))
	for i, t := range list {
		if t.DType() != list[0].DType() || !slices.Equal(t.Shape(), list[0].Shape()) {
			return engine.Tensor{}, fmt.Errorf("row %d is %s, row 0 is %s; they must be alike", i, t, list[0])
		}
		var err error
		if rows[i], err = t.Reshape(shape); err != nil {
			return engine.Tensor{}, err
		}
	}
	return concat(rows, axis)
}

// pick takes one position along an axis and drops the axis.
func pick(t engine.Tensor, axis, position int) (engine.Tensor, error) {
	shape := slices.Delete(slices.Clone(t.Shape()), axis, axis+1)
	strides := stridesOf(t.Shape())
	offset := position * strides[axis]
	return strided(t, shape, offset, slices.Delete(strides, axis, axis+1))
}
