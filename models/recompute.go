package models

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
)

// Recompute appends copies of the nodes that a tensor inside the graph follows from,
// and gives the name of the tensor that the copies end in. free gives a name that the
// model does not have. Weights are shared, and what follows from weights alone. The
// copies start from the model's inputs and outputs, and from what nodes make that
// give other numbers each time.
//
// Whoever reads a tensor inside keeps runtimes from joining the nodes around it, and
// joined nodes round differently. Whoever reads the copy does not.
func (e *Edit) Recompute(tensor string, free func(string) string) (string, error) {
	graph := e.model.Proto.GetGraph()
	if producers(graph)[tensor] == nil {
		return "", fmt.Errorf("models: recompute: no node of the main graph makes a tensor %q", tensor)
	}
	r := recomputing{edit: e, free: free, facts: infer(e.model.Proto), names: map[string]string{}}
	nodes, err := e.nodes(r.plan(tensor))
	if err != nil {
		return "", fmt.Errorf("models: recompute %q: %w", tensor, err)
	}
	for _, n := range nodes {
		r.add(n)
	}
	if r.sources[tensor] {
		r.pass(tensor)
	}
	return r.name(tensor), nil
}

// recomputing is one tensor's copies in the making.
type recomputing struct {
	edit  *Edit
	free  func(string) string
	facts map[string]fact
	// changing are the tensors that differ from run to run.
	changing map[string]bool
	sources  map[string]bool   // the tensors that the copies start from
	names    map[string]string // of copies
}

// plan lists the nodes to copy, by their places.
func (r *recomputing) plan(tensor string) []int {
	graph, functions := r.edit.model.Proto.GetGraph(), functionsOf(r.edit.model.Proto)
	r.sources = map[string]bool{}
	for _, in := range r.edit.model.Inputs() {
		r.sources[in.Name] = true
	}
	for _, name := range infoNames(graph.GetOutput()) {
		r.sources[name] = true
	}
	for _, n := range graph.GetNode() {
		for _, name := range n.GetOutput() {
			r.sources[name] = r.sources[name] || random(n, functions)
		}
	}
	var changing []string
	for name, isSource := range r.sources {
		if isSource {
			changing = append(changing, name)
		}
	}
	r.changing = reach(graph, changing)
	var places []int
	needed := map[string]bool{tensor: true}
	for i, n := range slices.Backward(graph.GetNode()) {
		isNeeded := func(name string) bool { return needed[name] && !r.sources[name] && r.changing[name] }
		if !slices.ContainsFunc(n.GetOutput(), isNeeded) {
			continue
		}
		places = append(places, i)
		for _, name := range reads(n) {
			needed[name] = true
		}
	}
	slices.Reverse(places)
	return places
}

// add appends the copy of a node under names of its own.
func (r *recomputing) add(n *onnxpb.NodeProto) {
	for _, name := range reads(n) {
		if r.sources[name] && r.names[name] == "" {
			r.pass(name)
		}
	}
	for _, name := range n.GetOutput() {
		if name != "" {
			r.names[name] = r.free(name)
		}
	}
	if n.GetName() != "" {
		n.Name = proto.String(r.free(n.GetName()))
	}
	inside := r.inside(n)
	name := func(tensor string) string {
		if made, ok := inside[tensor]; ok {
			return made
		}
		return r.name(tensor)
	}
	renamer{name, func(node string) string { return node }}.one(n)
	r.edit.AddNodes(n)
}

// inside gives new names to what subgraphs of a node make: the graph may make something
// of the same name by now.
func (r *recomputing) inside(n *onnxpb.NodeProto) map[string]string {
	made, outside := map[string]string{}, setOf(reads(n))
	for _, g := range subgraphs(n) {
		for _, name := range slices.Sorted(maps.Keys(tensorNames(g))) {
			if !outside[name] && !slices.Contains(n.GetOutput(), name) && made[name] == "" {
				made[name] = r.free(name)
			}
		}
	}
	return made
}

// name is what a tensor is called among the copies: what is shared keeps its name.
func (r *recomputing) name(tensor string) string { return by(r.names)(tensor) }

// pass hands a tensor on to the copies by a node that leaves it as it is. Without it,
// or with an Identity, runtimes see that the copies do the same as the originals, and
// make one of both. Of a type that no such node takes, or that is not known, the tensor is read as it is.
func (r *recomputing) pass(tensor string) {
	f, n := r.facts[tensor], &onnxpb.NodeProto{Input: []string{tensor}}
	switch opset := r.edit.model.Opset(); {
	case f.dtype == ops.Float32 || f.dtype == ops.Float64 || f.dtype == ops.Float16 || opset >= 13 && (f.dtype == ops.BFloat16 || f.dtype == ops.Int64 || f.dtype == ops.Int32):
		n.OpType = proto.String("Max")
	case len(f.shape) > 0:
		n.OpType = proto.String("Concat")
		n.Attribute = []*onnxpb.AttributeProto{ops.IntAttribute("axis", 0)}
	default:
		return
	}
	r.names[tensor] = r.free(tensor)
	n.Output = []string{r.names[tensor]}
	r.edit.AddNodes(n)
}

// nodes are copies of nodes of the graph, by their places, with the numbers that stayed in
// the file.
func (e *Edit) nodes(places []int) ([]*onnxpb.NodeProto, error) {
	copies := make([]*onnxpb.NodeProto, len(places))
	if e.model.layout == nil {
		for i, place := range places {
			copies[i] = copyOf(e.model.Proto.Graph.Node[place])
		}
		return copies, nil
	}
	all := slices.Clone(*e.fields(Nodes))
	all = slices.DeleteFunc(all, func(f field) bool { return !f.is(Nodes) })
	chosen := make([]field, len(places))
	for i, place := range places {
		chosen[i] = all[place]
	}
	contents, err := e.model.layout.read(chosen)
	if err != nil {
		return nil, err
	}
	for i, bytes := range contents {
		_, _, tag := protowire.ConsumeTag(bytes) // which was read before
		content, _ := protowire.ConsumeBytes(bytes[tag:])
		copies[i] = new(onnxpb.NodeProto)
		if err := proto.Unmarshal(content, copies[i]); err != nil {
			return nil, err
		}
	}
	return copies, nil
}
