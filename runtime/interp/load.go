package interp

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/onnxloss/onnxloss/internal/externaldata"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// maxSteps bounds a plan: functions that call each other twice per level would
// otherwise grow without limit from a file of a few hundred bytes. Real models
// have some thousand nodes.
const maxSteps = 1 << 18

// A plan is a list of nodes in the order they run. Every value of a model has a
// slot, numbered across all subgraphs and functions.
type plan struct {
	steps []step
}

type step struct {
	name    string // for messages
	inputs  []int  // slots; absent where an optional input is missing
	outputs []int  // slots; absent where an output is not wanted
	run     func(ctx context.Context, values, in []engine.Tensor) ([]engine.Tensor, error)
	uses    []int // slots that subgraphs read from outside
	free    []int // slots that nothing reads after this step
}

const absent = -1

// loader turns a model into a plan.
type loader struct {
	external  *external
	functions map[functionKey]*onnxpb.FunctionProto
	constants []engine.Tensor // by slot; zero where the value is computed
	steps     int
}

// scope says which slot a name stands for. A subgraph sees its parent's names, a
// function's body does not.
type scope struct {
	slots  map[string]int
	parent *scope
}

func (s *scope) find(name string) (int, bool) {
	for ; s != nil; s = s.parent {
		if slot, ok := s.slots[name]; ok {
			return slot, true
		}
	}
	return 0, false
}

// environment is what the nodes of one graph or function body have in common.
type environment struct {
	*scope
	opsets   map[string]int
	bindings map[string]*onnxpb.AttributeProto // of the function's attributes; nil outside functions
	calls    []functionKey                     // the functions being expanded
}

// loadIn loads a model that may have external data in a folder.
func loadIn(m *onnxpb.ModelProto, folder string) (*session, error) {
	tensors := externaldata.Tensors(m)
	if len(tensors) == 0 {
		return load(m, nil)
	}
	root, err := externaldata.Open(folder, tensors)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return load(m, newExternal(root))
}

func load(m *onnxpb.ModelProto, from *external) (*session, error) {
	if ir := m.GetIrVersion(); ir < minIR || ir > maxIR {
		return nil, fmt.Errorf("the model has IR version %d, this engine reads %d to %d: %w", ir, minIR, maxIR, engine.ErrUnsupported)
	}
	opsets, err := opsetImports(m.GetOpsetImport())
	if err != nil {
		return nil, err
	}
	graph := m.GetGraph()
	if graph == nil {
		return nil, fmt.Errorf("the model has no graph")
	}
	l := &loader{external: from}
	if l.functions, err = indexFunctions(m.GetFunctions()); err != nil {
		return nil, err
	}
	env := environment{scope: &scope{slots: map[string]int{}}, opsets: opsets}
	s := &session{}
	if s.inputs, err = l.declareInputs(graph, env.scope); err != nil {
		return nil, err
	}
	if s.plan.steps, err = l.nodes(graph.GetNode(), env); err != nil {
		return nil, err
	}
	if s.outputs, err = graphOutputs(graph, env.scope); err != nil {
		return nil, err
	}
	s.plan.release(slices.Collect(maps.Values(s.outputs)))
	s.constants = l.constants
	return s, nil
}

func opsetImports(imports []*onnxpb.OperatorSetIdProto) (map[string]int, error) {
	opsets := map[string]int{}
	for _, o := range imports {
		domain, opset := standardDomain(o.GetDomain()), int(o.GetVersion())
		if before, twice := opsets[domain]; twice && before != opset {
			return nil, fmt.Errorf("domain %q is imported as opset %d and as opset %d", domain, before, opset)
		}
		if domain == mainDomain && (opset < 1 || opset > maxOpset) {
			return nil, fmt.Errorf("the model uses opset %d, this engine knows 1 to %d: %w", opset, maxOpset, engine.ErrUnsupported)
		}
		opsets[domain] = opset
	}
	return opsets, nil
}

// standardDomain gives the two spellings of the standard's domain one name.
func standardDomain(domain string) string {
	if domain == "ai.onnx" {
		return mainDomain
	}
	return domain
}

func (l *loader) newSlot(constant engine.Tensor) int {
	l.constants = append(l.constants, constant)
	return len(l.constants) - 1
}

// define gives a name a slot of its own.
func (l *loader) define(s *scope, name string, constant engine.Tensor) (int, error) {
	slot := l.newSlot(constant)
	return slot, s.bind(name, slot)
}

func (s *scope) bind(name string, slot int) error {
	if _, taken := s.slots[name]; taken {
		return fmt.Errorf("the value %q is made twice", name)
	}
	s.slots[name] = slot
	return nil
}

// initializers defines the constants of a graph.
func (l *loader) initializers(graph *onnxpb.GraphProto, s *scope) error {
	if len(graph.GetSparseInitializer()) > 0 {
		return fmt.Errorf("the graph has sparse initializers: %w", engine.ErrUnsupported)
	}
	for _, p := range graph.GetInitializer() {
		if p.GetName() == "" {
			return fmt.Errorf("an initializer has no name")
		}
		t, err := l.external.tensor(p)
		if err != nil {
			return fmt.Errorf("initializer: %w", err)
		}
		if _, err := l.define(s, p.GetName(), t); err != nil {
			return err
		}
	}
	return nil
}

// declareInputs defines the initializers and inputs of the main graph. An input
// that is also an initializer has that as its default.
func (l *loader) declareInputs(graph *onnxpb.GraphProto, s *scope) ([]input, error) {
	if err := l.initializers(graph, s); err != nil {
		return nil, err
	}
	var inputs []input
	seen := map[string]bool{}
	for _, info := range graph.GetInput() {
		name := info.GetName()
		if name == "" || seen[name] {
			return nil, fmt.Errorf("the graph's input %q has no name of its own", name)
		}
		seen[name] = true
		in, err := newInput(info)
		if err != nil {
			return nil, err
		}
		slot, hasDefault := s.slots[name]
		if !hasDefault {
			slot = l.newSlot(engine.Tensor{})
			s.slots[name] = slot
		}
		in.slot, in.optional = slot, hasDefault
		inputs = append(inputs, in)
	}
	return inputs, nil
}

func graphOutputs(graph *onnxpb.GraphProto, s *scope) (map[string]int, error) {
	outputs := map[string]int{}
	for _, info := range graph.GetOutput() {
		name := info.GetName()
		slot, ok := s.find(name)
		if !ok || name == "" {
			return nil, fmt.Errorf("the graph's output %q is made by no node", name)
		}
		if err := checkType(info); err != nil {
			return nil, err
		}
		outputs[name] = slot
	}
	return outputs, nil
}

// checkType refuses values that are not tensors, and element types not had.
func checkType(info *onnxpb.ValueInfoProto) error {
	tensor := info.GetType().GetTensorType()
	if info.GetType().GetValue() != nil && tensor == nil {
		return fmt.Errorf("value %q is not a tensor: %w", info.GetName(), engine.ErrUnsupported)
	}
	if dtype := ops.DType(tensor.GetElemType()); dtype != ops.Undefined && !isKnown(dtype) {
		return fmt.Errorf("value %q has element type %s: %w", info.GetName(), dtype, engine.ErrUnsupported)
	}
	return nil
}

// nodes makes the steps of a list of nodes.
func (l *loader) nodes(nodes []*onnxpb.NodeProto, env environment) ([]step, error) {
	var steps []step
	for i, n := range nodes {
		more, err := l.node(n, env)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", title(n, i), err)
		}
		for j := range more {
			more[j].name = joinTitles(title(n, i), more[j].name)
		}
		if l.steps += len(more); l.steps > maxSteps {
			return nil, fmt.Errorf("the model has more than %d nodes after its functions are expanded", maxSteps)
		}
		steps = append(steps, more...)
	}
	return steps, nil
}

// title names a node in messages.
func title(n *onnxpb.NodeProto, index int) string {
	if n.GetName() == "" {
		return fmt.Sprintf("node %d (%s)", index, n.GetOpType())
	}
	return fmt.Sprintf("node %q (%s)", n.GetName(), n.GetOpType())
}

func joinTitles(outer, inner string) string {
	if inner == "" {
		return outer
	}
	return outer + ": " + inner
}

func (l *loader) node(n *onnxpb.NodeProto, env environment) ([]step, error) {
	inputs, err := inputSlots(n, env.scope)
	if err != nil {
		return nil, err
	}
	list, err := boundAttributes(n.GetAttribute(), env)
	if err != nil {
		return nil, err
	}
	if err := l.external.fill(list); err != nil {
		return nil, err
	}
	domain := standardDomain(n.GetDomain())
	key := functionKey{domain, n.GetOpType(), n.GetOverload()}
	if f := l.functions[key]; f != nil {
		return l.call(f, key, n, inputs, list, env)
	}
	if domain != mainDomain {
		return nil, fmt.Errorf("domain %q has no such operator or function here: %w", domain, engine.ErrUnsupported)
	}
	opset, ok := env.opsets[mainDomain]
	if !ok {
		return nil, fmt.Errorf("the standard's operators are used, but no opset of theirs is imported")
	}
	st := step{inputs: inputs}
	switch {
	case n.GetOpType() == "Constant":
		return nil, l.constant(n, list, opset, env.scope)
	case controlFlow[n.GetOpType()] > 0:
		err = l.controlStep(&st, n, list, opset, env)
	default:
		err = operatorStep(&st, n, list, opset)
	}
	if err != nil {
		return nil, err
	}
	if st.outputs, err = l.outputSlots(n, env.scope); err != nil {
		return nil, err
	}
	return []step{st}, nil
}

func operatorStep(st *step, n *onnxpb.NodeProto, list []*onnxpb.AttributeProto, opset int) error {
	o, err := newOperator(n.GetOpType(), opset, len(n.GetOutput()), list)
	if err != nil {
		return err
	}
	st.run = func(_ context.Context, _, in []engine.Tensor) ([]engine.Tensor, error) { return o.kernel(in) }
	return o.signature.checkArity(presence(st.inputs), len(n.GetOutput()))
}

func presence(slots []int) []bool {
	present := make([]bool, len(slots))
	for i, slot := range slots {
		present[i] = slot != absent
	}
	return present
}

// constant evaluates a Constant node while loading.
func (l *loader) constant(n *onnxpb.NodeProto, list []*onnxpb.AttributeProto, opset int, s *scope) error {
	o, err := newOperator("Constant", opset, 1, list)
	if err != nil {
		return err
	}
	if len(n.GetInput()) != 0 || len(n.GetOutput()) != 1 || n.GetOutput()[0] == "" {
		return fmt.Errorf("got %d inputs and outputs %q, want no input and one output", len(n.GetInput()), n.GetOutput())
	}
	out, err := o.kernel(nil)
	if err != nil {
		return err
	}
	_, err = l.define(s, n.GetOutput()[0], out[0])
	return err
}

func inputSlots(n *onnxpb.NodeProto, s *scope) ([]int, error) {
	slots := make([]int, len(n.GetInput()))
	for i, name := range n.GetInput() {
		slots[i] = absent
		if name == "" {
			continue
		}
		slot, ok := s.find(name)
		if !ok {
			return nil, fmt.Errorf("input %d is %q, which no earlier node makes", i, name)
		}
		slots[i] = slot
	}
	return slots, nil
}

func (l *loader) outputSlots(n *onnxpb.NodeProto, s *scope) ([]int, error) {
	slots := make([]int, len(n.GetOutput()))
	for i, name := range n.GetOutput() {
		slots[i] = absent
		if name == "" {
			continue
		}
		var err error
		if slots[i], err = l.define(s, name, engine.Tensor{}); err != nil {
			return nil, err
		}
	}
	return slots, nil
}

// release notes at each step which of the plan's own values it is the last to
// read, so that a run can let go of them. Values in keep live on.
func (p plan) release(keep []int) {
	made, done := map[int]bool{}, map[int]bool{}
	for _, slot := range keep {
		done[slot] = true
	}
	for _, st := range p.steps {
		for _, slot := range st.outputs {
			made[slot] = true
		}
	}
	for i := range slices.Backward(p.steps) {
		st := &p.steps[i]
		for _, slot := range slices.Concat(st.inputs, st.uses, st.outputs) {
			if slot != absent && made[slot] && !done[slot] {
				done[slot] = true
				st.free = append(st.free, slot)
			}
		}
	}
}
