package models

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/onnxloss/onnxloss/internal/brief"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
)

// CheckOpset reports whether the model means the same when it imports a newer version
// of the standard operators, and all else stays as it is. The error names the nodes
// that mean something else then.
//
// The IR version does not matter: neither runtimes nor ONNX's checker tie one to the
// other. A function of the model imports a version of its own, but runtimes take the
// model's for its body, and so all its operators must be the same in both.
func (m *Model) CheckOpset(to int) error {
	switch err := m.checkOpset(to); {
	case err == nil:
		return nil
	case m.Opset() == 0:
		return fmt.Errorf("models: import opset %d: %w", to, brief.Error(err))
	default:
		return fmt.Errorf("models: raise opset %d to %d: %w", m.Opset(), to, brief.Error(err))
	}
}

func (m *Model) checkOpset(to int) error {
	from := m.Opset()
	switch {
	case to == from:
		return nil
	case to < from:
		return errors.New("a model can only be raised")
	case to > newestHistory:
		return fmt.Errorf("only opsets up to %d are known here", newestHistory)
	}
	found, functions := objections{known: map[[2]string]*objection{}}, functionsOf(m.Proto)
	eachUse(m.Proto, func(u use) {
		why := "the model imports no version of the standard operators"
		if from != 0 {
			why = u.why(to)
		}
		found.add(u.op, label(u.node), why)
	})
	for _, f := range m.Proto.GetFunctions() {
		found.addFunction(f, to, functions)
	}
	if len(found.list) == 0 {
		return nil
	}
	return fmt.Errorf("%s; export the model again with opset %d", &found, to)
}

// eachUse visits the nodes of a model's graphs that are standard operators, and not
// calls of functions. What is around nodes of inner graphs is not known.
func eachUse(m *onnxpb.ModelProto, visit func(use)) {
	main := &inference{opset: opsetOf(m.GetOpsetImport()), facts: infer(m)}
	inner := &inference{opset: main.opset}
	idle, functions := idleResults(m.GetGraph()), functionsOf(m)
	isStandard := func(n *onnxpb.NodeProto) bool {
		return standard(n.GetDomain()) == "" && functions[calledBy(n)] == nil
	}
	for _, n := range m.GetGraph().GetNode() {
		if isStandard(n) {
			visit(use{main.operation(n), n, idle})
		}
		for _, g := range subgraphs(n) {
			eachNode(g.GetNode(), func(n *onnxpb.NodeProto) {
				if isStandard(n) {
					visit(use{inner.operation(n), n, nil})
				}
			})
		}
	}
}

// idleResults are what a graph's nodes give and nothing reads or describes.
func idleResults(g *onnxpb.GraphProto) map[string]bool {
	idle := map[string]bool{"": true}
	for _, n := range g.GetNode() {
		for _, name := range n.GetOutput() {
			idle[name] = true
		}
	}
	for _, name := range slices.Concat(infoNames(g.GetOutput()), infoNames(g.GetValueInfo())) {
		delete(idle, name)
	}
	for _, n := range g.GetNode() {
		for _, name := range reads(n) {
			delete(idle, name)
		}
	}
	return idle
}

// label names a node, by what it gives where it has no name.
func label(n *onnxpb.NodeProto) string {
	if name := n.GetName(); name != "" {
		return fmt.Sprintf("node %q", name)
	}
	for _, name := range n.GetOutput() {
		if name != "" {
			return fmt.Sprintf("output %q", name)
		}
	}
	return "a node without a name"
}

// objections are the reasons to stay with an opset, the same ones put together.
type objections struct {
	list  []*objection
	known map[[2]string]*objection // by the operator and the reason
}

type objection struct {
	op, first, why string
	more           int
}

// add notes a reason; "" is none.
func (all *objections) add(op, where, why string) {
	if why == "" {
		return
	}
	if o := all.known[[2]string{op, why}]; o != nil {
		o.more++
		return
	}
	made := &objection{op: op, first: where, why: why}
	all.list, all.known[[2]string{op, why}] = append(all.list, made), made
}

// addFunction notes the operators in a function's body that are not those of the
// model's opset.
func (all *objections) addFunction(f *onnxpb.FunctionProto, to int, functions map[functionKey]*onnxpb.FunctionProto) {
	own := opsetOf(f.GetOpsetImport())
	eachNode(f.GetNode(), func(n *onnxpb.NodeProto) {
		op := n.GetOpType()
		if standard(n.GetDomain()) != "" || functions[calledBy(n)] != nil {
			return
		}
		if version := versionAt(op, to); version == 0 || version != versionAt(op, own) {
			all.add(op, "function "+keyOf(f).String(), fmt.Sprintf("it is not the same in opset %d, which the function imports", own))
		}
	})
}

func (all *objections) String() string {
	const most = 4
	var texts []string
	for i, o := range all.list {
		if i == most {
			texts = append(texts, fmt.Sprintf("and %d more", len(all.list)-most))
			break
		}
		first := o.first
		if o.more > 0 {
			first += fmt.Sprintf(" and %d more", o.more)
		}
		texts = append(texts, fmt.Sprintf("%s (%s): %s", o.op, first, o.why))
	}
	return strings.Join(texts, "; ")
}

// versions maps the domains that a model imports to their versions.
func versions(m *onnxpb.ModelProto) map[string]int64 {
	imported := map[string]int64{}
	for _, opset := range m.GetOpsetImport() {
		imported[standard(opset.GetDomain())] = opset.GetVersion()
	}
	return imported
}

// checkOpsets refuses a network whose operators mean something else in the host.
func (j *joining) checkOpsets() error {
	host, network := versions(j.host.Proto), versions(j.network.Proto)
	for _, domain := range slices.Sorted(maps.Keys(network)) {
		have, imported := host[domain]
		switch {
		case !imported || have == network[domain]:
		case domain != "":
			return fmt.Errorf("the host imports version %d of the operators %s, the network version %d; export one again", have, domain, network[domain])
		default:
			if err := j.sameMeaning(int(network[domain]), int(have)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (j *joining) sameMeaning(from, to int) error {
	changed := map[string]bool{}
	eachUse(j.network.Proto, func(u use) {
		if u.why(to) != "" {
			changed[u.op] = true
		}
	})
	differ := fmt.Sprintf("the host is of opset %d, the network of opset %d", to, from)
	if len(changed) > 0 {
		return fmt.Errorf("%s, and between those %s may have changed; export the network with opset %d", differ, strings.Join(slices.Sorted(maps.Keys(changed)), ", "), to)
	}
	if len(j.network.Proto.GetFunctions()) > 0 {
		return fmt.Errorf("%s, and it has functions of its own; export the network with opset %d", differ, to)
	}
	return nil
}
