package models

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/externaldata"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
)

// Join puts a network behind a model, the host: feeds maps inputs of the network to
// the tensors of the host's main graph that they become. The host keeps its names,
// inputs and outputs. Inputs of the network that are not fed, and its outputs, are
// added to the host's; a name that the host has too gets the prefix "network/".
// names tells what each tensor of the network's main graph is called in the joint
// model. Neither model is changed; the numbers of their tensors are shared, not
// copied.
//
// Types and known sizes of what is fed must fit; a size that an input of the network
// has a symbol for becomes the host's. The joint model is of the host's opset, and
// of the newer IR version. A network of another opset is refused unless its operators
// have not changed their meaning between the two; nothing is converted.
func Join(host, network *Model, feeds map[string]string) (joint *Model, names map[string]string, err error) {
	j := joining{host: host, network: network, feeds: feeds}
	if err := j.join(); err != nil {
		return nil, nil, fmt.Errorf("models: join: %w", err)
	}
	return &Model{Proto: j.joint, Path: j.path}, j.names, nil
}

type joining struct {
	host, network *Model
	feeds         map[string]string

	joint *onnxpb.ModelProto
	names map[string]string // from the network's tensors to those of the joint model
	path  string
}

func (j *joining) join() error {
	sizes, err := j.fit()
	if err != nil {
		return err
	}
	if err := j.checkOpsets(); err != nil {
		return err
	}
	if err := j.choosePath(); err != nil {
		return err
	}
	graph := copyOf(j.network.Proto.GetGraph())
	j.setSymbols(graph, sizes)
	graph.Input = only(graph.Input, func(in *onnxpb.ValueInfoProto) bool { return j.feeds[in.GetName()] == "" })
	j.rename(graph)

	j.joint = copyOf(j.host.Proto)
	j.raiseIR(graph)
	have := infoNames(j.joint.Graph.Output) // the network may pass on what it is fed
	graph.Output = only(graph.Output, func(out *onnxpb.ValueInfoProto) bool { return !slices.Contains(have, out.GetName()) })
	add(j.joint.Graph, graph)
	j.addImports()
	if err := j.addFunctions(); err != nil {
		return err
	}
	describeAgain(j.joint, graph.Output)
	return nil
}

// raiseIR gives the joint model the newer IR version. Before version 4 every
// initializer is an input too; later on that would say that it may be replaced.
func (j *joining) raiseIR(network *onnxpb.GraphProto) {
	const irOfDefaults = 4
	host, other := j.host.Proto.GetIrVersion(), j.network.Proto.GetIrVersion()
	j.joint.IrVersion = proto.Int64(max(host, other))
	if max(host, other) < irOfDefaults || min(host, other) >= irOfDefaults {
		return
	}
	older := network
	if host < other {
		older = j.joint.Graph
	}
	constants := initializerNames(older)
	older.Input = only(older.Input, func(in *onnxpb.ValueInfoProto) bool { return !slices.Contains(constants, in.GetName()) })
}

// describeAgain completes the shapes of outputs, by what their inputs now are.
func describeAgain(m *onnxpb.ModelProto, outputs []*onnxpb.ValueInfoProto) {
	facts := infer(m)
	for _, out := range outputs {
		if f := facts[out.GetName()]; f.dtype != ops.Undefined {
			out.Type = ops.ValueInfo("", f.dtype, f.shape).Type
		}
	}
}

// fit checks that the feeds are possible, and gives the sizes that the network's
// symbols stand for.
func (j *joining) fit() (map[string]ops.Dim, error) {
	if len(j.feeds) == 0 {
		return nil, errors.New("feeds is empty; say which input of the network which tensor of the host becomes")
	}
	inputs := map[string]Tensor{}
	for _, in := range j.network.Inputs() {
		inputs[in.Name] = in
	}
	facts, has := infer(j.host.Proto), defined(j.host.Proto.GetGraph())
	sizes := map[string]ops.Dim{}
	for _, name := range slices.Sorted(maps.Keys(j.feeds)) {
		in, ok := inputs[name]
		if !ok {
			return nil, fmt.Errorf("the network has no input %q; it has %s", name, sample(slices.Sorted(maps.Keys(inputs))))
		}
		from := j.feeds[name]
		if !has[from] {
			return nil, fmt.Errorf("input %q of the network: the host: %w", name, j.host.noSuch(from))
		}
		f := facts[from]
		if !bindSizes(sizes, in, f) {
			return nil, fmt.Errorf("input %q of the network takes %s%s, but %q of the host is %s%s", name, in.DType, in.Shape, from, f.dtype, f.shape)
		}
	}
	return sizes, nil
}

// bindSizes notes what the symbols of an input are where it is fed, and reports
// whether it fits.
func bindSizes(sizes map[string]ops.Dim, in Tensor, f fact) bool {
	if in.DType != f.dtype && in.DType != ops.Undefined && f.dtype != ops.Undefined {
		return false
	}
	if !in.Shape.Known() || !f.shape.Known() {
		return true
	}
	if len(in.Shape) != len(f.shape) {
		return false
	}
	for i, d := range in.Shape {
		if bound, ok := sizes[d.Symbol()]; ok {
			d = bound
		}
		n, fixed := d.Size()
		m, given := f.shape[i].Size()
		if fixed && given && n != m {
			return false
		}
		if symbol := in.Shape[i].Symbol(); symbol != "" && !fixed && f.shape[i] != (ops.Dim{}) {
			sizes[symbol] = f.shape[i]
		}
	}
	return true
}

// setSymbols puts sizes in the place of symbols. Another symbol that the host uses
// too may stand for something else there, and gets the prefix.
func (j *joining) setSymbols(g *onnxpb.GraphProto, sizes map[string]ops.Dim) {
	theirs, ours := symbols(j.host.Proto.GetGraph()), symbols(g)
	for symbol := range sizes {
		delete(ours, symbol)
	}
	for symbol, renamed := range apart(ours, theirs, inNetwork) {
		sizes[symbol] = ops.Symbolic(renamed)
	}
	eachDim(g, func(d *onnxpb.TensorShapeProto_Dimension) {
		if size, ok := sizes[d.GetDimParam()]; ok {
			d.Value = dimOf(size).Value
		}
	})
}

func inNetwork(name string) string { return "network/" + name }

// dimOf encodes a size.
func dimOf(size ops.Dim) *onnxpb.TensorShapeProto_Dimension {
	return ops.ValueInfo("", ops.Undefined, ops.Shape{size}).GetType().GetTensorType().GetShape().GetDim()[0]
}

func symbols(g *onnxpb.GraphProto) map[string]bool {
	all := map[string]bool{}
	eachDim(g, func(d *onnxpb.TensorShapeProto_Dimension) { all[d.GetDimParam()] = true })
	delete(all, "")
	return all
}

// eachDim visits the axes of all tensors that a graph, and those inside of it,
// describe.
func eachDim(g *onnxpb.GraphProto, visit func(*onnxpb.TensorShapeProto_Dimension)) {
	eachGraph(g, func(g *onnxpb.GraphProto) {
		for _, info := range slices.Concat(g.GetInput(), g.GetOutput(), g.GetValueInfo()) {
			for _, d := range dims(info) {
				visit(d)
			}
		}
	})
}

func dims(info *onnxpb.ValueInfoProto) []*onnxpb.TensorShapeProto_Dimension {
	return info.GetType().GetTensorType().GetShape().GetDim()
}

// rename gives the network's tensors and nodes the names that they have behind the
// host.
func (j *joining) rename(g *onnxpb.GraphProto) {
	own := tensorNames(g)
	for input := range j.feeds {
		delete(own, input)
	}
	host := j.host.Proto.GetGraph()
	tensors := apart(own, tensorNames(host), inNetwork)
	maps.Copy(tensors, j.feeds)
	j.names = map[string]string{}
	for name := range defined(j.network.Proto.GetGraph()) {
		j.names[name] = by(tensors)(name)
	}
	renamer{by(tensors), by(apart(nodeNames(g), nodeNames(host), inNetwork))}.graph(g)
}

// addImports adds operator sets that the host does not import.
func (j *joining) addImports() {
	have := versions(j.joint)
	for _, opset := range j.network.Proto.GetOpsetImport() {
		if _, ok := have[standard(opset.GetDomain())]; !ok {
			j.joint.OpsetImport = append(j.joint.OpsetImport, copyOf(opset))
		}
	}
}

// addFunctions adds the functions that the host does not have.
func (j *joining) addFunctions() error {
	have := functionsOf(j.joint)
	for _, f := range j.network.Proto.GetFunctions() {
		switch same := have[keyOf(f)]; {
		case same == nil:
			j.joint.Functions = append(j.joint.Functions, copyOf(f))
		case !proto.Equal(same, f):
			return fmt.Errorf("the host and the network each define a function %s, and they differ; rename one", keyOf(f))
		}
	}
	return nil
}

// choosePath finds the folder in which the joint model's external data are.
func (j *joining) choosePath() error {
	apart := !sameFile(filepath.Dir(j.host.Path), filepath.Dir(j.network.Path))
	if apart {
		if err := j.loadOwn(); err != nil {
			return err
		}
	}
	j.path = j.host.Path
	switch inHost, inNetwork := len(externaldata.Tensors(j.host.Proto)), len(externaldata.Tensors(j.network.Proto)); {
	case apart && inHost > 0 && inNetwork > 0:
		return errors.New("the host and the network have their data in different folders; call LoadExternal on one of them")
	case inNetwork > 0:
		j.path = j.network.Path
	}
	return nil
}

// loadOwn reads the numbers that stayed in the files of the two models.
func (j *joining) loadOwn() error {
	for _, m := range []**Model{&j.host, &j.network} {
		whole, err := (*m).withNumbers()
		if err != nil {
			return err
		}
		*m = &Model{Proto: whole, Path: (*m).Path}
	}
	return nil
}
