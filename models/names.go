package models

import (
	"fmt"
	"maps"
	"slices"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
)

// reads lists the tensors around a node that it needs: its inputs, and what the
// graphs inside of it capture.
func reads(n *onnxpb.NodeProto) []string {
	var names []string
	for _, name := range n.GetInput() {
		if name != "" { // an optional input that is left out
			names = append(names, name)
		}
	}
	for _, g := range subgraphs(n) {
		names = append(names, captured(g)...)
	}
	return names
}

// captured lists the names that a subgraph uses and does not make.
func captured(g *onnxpb.GraphProto) []string {
	own := map[string]bool{}
	for _, name := range slices.Concat(infoNames(g.GetInput()), initializerNames(g)) {
		own[name] = true
	}
	var used []string
	for _, n := range g.GetNode() {
		used = append(used, reads(n)...)
		for _, name := range n.GetOutput() {
			own[name] = true
		}
	}
	used = append(used, infoNames(g.GetOutput())...)
	return slices.DeleteFunc(used, func(name string) bool { return own[name] })
}

func subgraphs(n *onnxpb.NodeProto) []*onnxpb.GraphProto {
	var graphs []*onnxpb.GraphProto
	for _, a := range n.GetAttribute() {
		if a.GetG() != nil {
			graphs = append(graphs, a.G)
		}
		graphs = append(graphs, a.GetGraphs()...)
	}
	return graphs
}

func infoNames(infos []*onnxpb.ValueInfoProto) []string {
	names := make([]string, len(infos))
	for i, info := range infos {
		names[i] = info.GetName()
	}
	return names
}

func setOf(names []string) map[string]bool {
	set := map[string]bool{}
	for _, name := range names {
		set[name] = true
	}
	return set
}

func initializerNames(g *onnxpb.GraphProto) []string {
	var names []string
	for _, t := range g.GetInitializer() {
		names = append(names, t.GetName())
	}
	for _, t := range g.GetSparseInitializer() {
		names = append(names, t.GetValues().GetName())
	}
	return names
}

// eachNode visits nodes and those of the graphs inside of them.
func eachNode(nodes []*onnxpb.NodeProto, visit func(*onnxpb.NodeProto)) {
	for _, n := range nodes {
		visit(n)
		for _, g := range subgraphs(n) {
			eachNode(g.GetNode(), visit)
		}
	}
}

// eachGraph visits a graph and those inside of its nodes.
func eachGraph(g *onnxpb.GraphProto, visit func(*onnxpb.GraphProto)) {
	visit(g)
	for _, n := range g.GetNode() {
		for _, inner := range subgraphs(n) {
			eachGraph(inner, visit)
		}
	}
}

// tensorNames is every name of a tensor in a graph and in those inside of it.
func tensorNames(g *onnxpb.GraphProto) map[string]bool {
	names := map[string]bool{}
	take := func(list []string) {
		for _, name := range list {
			names[name] = true
		}
	}
	eachGraph(g, func(g *onnxpb.GraphProto) {
		take(infoNames(g.GetInput()))
		take(infoNames(g.GetOutput()))
		take(infoNames(g.GetValueInfo()))
		take(initializerNames(g))
		for _, n := range g.GetNode() {
			take(n.GetInput())
			take(n.GetOutput())
		}
	})
	delete(names, "")
	return names
}

// nodeNames is every name of a node in a graph and in those inside of it.
func nodeNames(g *onnxpb.GraphProto) map[string]bool {
	names := map[string]bool{}
	eachNode(g.GetNode(), func(n *onnxpb.NodeProto) { names[n.GetName()] = true })
	delete(names, "")
	return names
}

// renamer gives tensors and nodes new names.
type renamer struct {
	tensor, node func(string) string
}

// graph renames everything in a graph and in those inside of it, captured names
// too.
func (r renamer) graph(g *onnxpb.GraphProto) {
	for _, infos := range [][]*onnxpb.ValueInfoProto{g.Input, g.Output, g.ValueInfo} {
		for _, info := range infos {
			r.rename(&info.Name, r.tensor)
		}
	}
	for _, t := range g.Initializer {
		r.rename(&t.Name, r.tensor)
	}
	for _, t := range g.SparseInitializer {
		if t.Values != nil {
			r.rename(&t.Values.Name, r.tensor)
		}
	}
	for _, a := range g.QuantizationAnnotation {
		r.rename(&a.TensorName, r.tensor)
		for _, entry := range a.QuantParameterTensorNames {
			r.rename(&entry.Value, r.tensor)
		}
	}
	for _, n := range g.Node {
		r.one(n)
	}
}

func (r renamer) one(n *onnxpb.NodeProto) {
	r.rename(&n.Name, r.node)
	for _, names := range [][]string{n.Input, n.Output} {
		for i, name := range names {
			if name != "" {
				names[i] = r.tensor(name)
			}
		}
	}
	for _, g := range subgraphs(n) {
		r.graph(g)
	}
}

// rename leaves an empty name, which stands for none, as it is.
func (renamer) rename(name **string, to func(string) string) {
	if *name != nil && **name != "" {
		renamed := to(**name)
		*name = &renamed
	}
}

// apart gives new names to those of names that are taken, so that all differ.
func apart(names, taken map[string]bool, renamed func(string) string) map[string]string {
	used := maps.Clone(taken)
	maps.Copy(used, names)
	given := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !taken[name] {
			continue
		}
		unique := renamed(name)
		for i := 2; used[unique]; i++ {
			unique = fmt.Sprintf("%s_%d", renamed(name), i)
		}
		used[unique] = true
		given[name] = unique
	}
	return given
}

// by looks names up in a map and leaves those alone that it does not have.
func by(given map[string]string) func(string) string {
	return func(name string) string {
		if to, ok := given[name]; ok {
			return to
		}
		return name
	}
}

// functionKey is what tells functions apart.
type functionKey struct{ domain, name, overload string }

func keyOf(f *onnxpb.FunctionProto) functionKey {
	return functionKey{standard(f.GetDomain()), f.GetName(), f.GetOverload()}
}

func calledBy(n *onnxpb.NodeProto) functionKey {
	return functionKey{standard(n.GetDomain()), n.GetOpType(), n.GetOverload()}
}

func (k functionKey) String() string {
	name := k.domain + "." + k.name
	if k.overload != "" {
		name += ":" + k.overload
	}
	return name
}

// standard gives the standard operators' domain, which has two names, as "".
func standard(domain string) string {
	if domain == "ai.onnx" {
		return ""
	}
	return domain
}

func functionsOf(m *onnxpb.ModelProto) map[functionKey]*onnxpb.FunctionProto {
	functions := map[functionKey]*onnxpb.FunctionProto{}
	for _, f := range m.GetFunctions() {
		functions[keyOf(f)] = f
	}
	return functions
}

// called gives the functions that nodes need, by what those call too.
func called(nodes []*onnxpb.NodeProto, functions map[functionKey]*onnxpb.FunctionProto) map[functionKey]bool {
	needed := map[functionKey]bool{}
	var follow func([]*onnxpb.NodeProto)
	follow = func(nodes []*onnxpb.NodeProto) {
		eachNode(nodes, func(n *onnxpb.NodeProto) {
			key := calledBy(n)
			if f := functions[key]; f != nil && !needed[key] {
				needed[key] = true
				follow(f.GetNode())
			}
		})
	}
	follow(nodes)
	return needed
}

// reach gives the tensors of a graph that follow from others.
func reach(g *onnxpb.GraphProto, from []string) map[string]bool {
	reached := map[string]bool{}
	for _, name := range from {
		reached[name] = true
	}
	for _, n := range g.GetNode() {
		if slices.ContainsFunc(reads(n), func(name string) bool { return reached[name] }) {
			for _, name := range n.GetOutput() {
				reached[name] = true
			}
		}
	}
	delete(reached, "")
	return reached
}
