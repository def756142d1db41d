package models

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/brief"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
)

// Twin gives a model that applies a network once for each copy, always with the
// same weights: initializers, and what nodes compute from no input, are there once.
// Every other tensor "x" of the network, inputs and outputs among them, is called
// "copy/x" in a copy. Inputs and outputs are in the order of the copies. Symbolic
// axes keep their names, so that they stand for the same sizes in all copies; see
// OwnAxes.
//
// The network must have one input, of a floating-point type; others need
// initializers as defaults. A copy's name must not be empty or contain "/". Weights
// that lie inside the branches of an If or the body of a Loop are repeated. The
// network is left as it is; the numbers of its tensors are shared, not copied.
func Twin(network *Model, copies ...string) (*Model, error) {
	twin, err := twin(network, copies)
	if err != nil {
		return nil, fmt.Errorf("models: twin: %w", brief.Error(err))
	}
	return &Model{Proto: twin, Path: network.Path}, nil
}

func twin(network *Model, copies []string) (*onnxpb.ModelProto, error) {
	if err := checkCopies(copies); err != nil {
		return nil, err
	}
	if err := network.checkInput(); err != nil {
		return nil, err
	}
	shared, each := network.split()
	outputs := network.Proto.GetGraph().GetOutput()
	sharedName := makeRoom(shared, each, outputs, copies)
	endEach(each, outputs, sharedName)

	common := defined(shared)
	twin := copyOf(network.about())
	inputs := shared.Input // of the initializers of old models
	shared.Input = nil
	twin.Graph = shared
	for _, name := range copies {
		add(twin.Graph, copied(each, common, name))
	}
	twin.Graph.Input = append(twin.Graph.Input, inputs...)
	keepUsed(twin, network.Proto)
	return twin, nil
}

func checkCopies(copies []string) error {
	if len(copies) == 0 {
		return errors.New("no copy is named")
	}
	for i, name := range copies {
		switch {
		case name == "" || strings.Contains(name, "/"):
			return fmt.Errorf(`%q cannot name a copy; use a name without "/"`, name)
		case slices.Contains(copies[:i], name):
			return fmt.Errorf("two copies are named %q", name)
		}
	}
	return nil
}

// checkInput refuses networks that do not have exactly one input, of numbers.
func (m *Model) checkInput() error {
	inputs := m.Inputs()
	switch {
	case len(inputs) == 0:
		return errors.New("the network has no input that the copies could differ in")
	case len(inputs) > 1:
		names := make([]string, len(inputs))
		for i, in := range inputs {
			names[i] = in.Name
		}
		return fmt.Errorf("the network has the inputs %s and may have one; cut it at layers that need only one", sample(names))
	case !inputs[0].DType.IsFloat():
		return fmt.Errorf("the network's input %q is %s%s, not a floating-point tensor", inputs[0].Name, inputs[0].DType, inputs[0].Shape)
	}
	return nil
}

// split copies the network's graph in two: what all copies share, and what each has
// for itself because it depends on the input or on chance. Neither has outputs.
func (m *Model) split() (shared, each *onnxpb.GraphProto) {
	graph, functions := m.Proto.GetGraph(), functionsOf(m.Proto)
	var changing []string
	for _, in := range m.Inputs() {
		changing = append(changing, in.Name)
	}
	byFunction := map[functionKey]bool{}
	isRandom := func(n *onnxpb.NodeProto) bool {
		key := calledBy(n)
		if functions[key] == nil || len(subgraphs(n)) > 0 {
			return random(n, functions)
		}
		known, ok := byFunction[key]
		if !ok {
			known = random(n, functions)
			byFunction[key] = known
		}
		return known
	}
	for _, n := range graph.GetNode() {
		if isRandom(n) {
			changing = append(changing, n.GetOutput()...)
		}
	}
	own := reach(graph, changing)
	common := map[string]bool{}
	for name := range defined(graph) {
		common[name] = !own[name]
	}
	ownNodes, commonNodes := map[*onnxpb.NodeProto]bool{}, map[*onnxpb.NodeProto]bool{}
	for _, n := range graph.GetNode() {
		isOwn := slices.ContainsFunc(n.GetOutput(), func(name string) bool { return own[name] })
		ownNodes[n], commonNodes[n] = isOwn, !isOwn
	}
	return copyOf(part(graph, common, commonNodes)), copyOf(part(graph, own, ownNodes))
}

// random reports whether a node gives other numbers each time.
func random(n *onnxpb.NodeProto, functions map[functionKey]*onnxpb.FunctionProto) bool {
	nodes := []*onnxpb.NodeProto{n}
	for key := range called(nodes, functions) {
		nodes = append(nodes, functions[key].GetNode()...)
	}
	found := false
	eachNode(nodes, func(n *onnxpb.NodeProto) {
		switch n.GetOpType() {
		case "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli":
			found = found || standard(n.GetDomain()) == ""
		}
	})
	return found
}

// defined is the tensors that a graph itself has, not those inside of its nodes.
func defined(g *onnxpb.GraphProto) map[string]bool {
	names := map[string]bool{}
	for _, name := range slices.Concat(infoNames(g.GetInput()), initializerNames(g)) {
		names[name] = true
	}
	for name := range producers(g) {
		names[name] = true
	}
	return names
}

// makeRoom renames shared tensors and nodes that have a name that a copy needs: the
// names in copies are promised, those of what is shared are not. It returns what
// shared tensors are called now.
func makeRoom(shared, each *onnxpb.GraphProto, outputs []*onnxpb.ValueInfoProto, copies []string) func(string) string {
	fixed := defined(shared)
	taken, takenNodes := map[string]bool{}, map[string]bool{}
	for _, name := range copies {
		for tensor := range tensorNames(each) {
			if !fixed[tensor] {
				taken[name+"/"+tensor] = true
			}
		}
		for node := range nodeNames(each) {
			takenNodes[name+"/"+node] = true
		}
		for _, out := range outputs {
			taken[name+"/"+out.GetName()] = true
			taken[out.GetName()] = true
		}
	}
	inShared := func(name string) string { return "shared/" + name }
	tensors := by(apart(tensorNames(shared), taken, inShared))
	renamer{tensors, by(apart(nodeNames(shared), takenNodes, inShared))}.graph(shared)
	renamer{tensors, func(node string) string { return node }}.graph(each)
	return tensors
}

// endEach gives the part that is copied the network's outputs. One that does not
// depend on the input, and is shared under another name by now, is passed on.
func endEach(each *onnxpb.GraphProto, outputs []*onnxpb.ValueInfoProto, sharedName func(string) string) {
	own := defined(each)
	for _, out := range outputs {
		each.Output = append(each.Output, copyOf(out))
		if name := out.GetName(); !own[name] {
			each.Node = append(each.Node, &onnxpb.NodeProto{OpType: proto.String("Identity"), Input: []string{sharedName(name)}, Output: []string{name}})
		}
	}
}

// copied is one copy, in which all but what is shared has the copy's name.
func copied(each *onnxpb.GraphProto, shared map[string]bool, name string) *onnxpb.GraphProto {
	g := copyOf(each)
	prefixed := func(tensor string) string {
		if shared[tensor] {
			return tensor
		}
		return name + "/" + tensor
	}
	renamer{prefixed, func(node string) string { return name + "/" + node }}.graph(g)
	return g
}

// OwnAxes gives the symbolic axes of a copy in a model that Twin made names of their
// own, "copy/N" for "N": the copy's input may then have other sizes than those of the
// other copies, as an image has whose style is wanted. Join comes after it.
func (m *Model) OwnAxes(copy string) error {
	graph, prefix, found := m.Proto.GetGraph(), copy+"/", false
	own := func(d *onnxpb.TensorShapeProto_Dimension) {
		if symbol := d.GetDimParam(); symbol != "" {
			d.Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: prefix + symbol}
		}
	}
	for _, info := range slices.Concat(graph.GetInput(), graph.GetOutput(), graph.GetValueInfo()) {
		if strings.HasPrefix(info.GetName(), prefix) {
			found = true
			for _, d := range dims(info) {
				own(d)
			}
		}
	}
	for _, n := range graph.GetNode() {
		if !slices.ContainsFunc(n.GetOutput(), func(name string) bool { return strings.HasPrefix(name, prefix) }) {
			continue
		}
		for _, g := range subgraphs(n) {
			eachDim(g, own)
		}
	}
	if !found {
		return fmt.Errorf("models: own axes: the model has no copy %q; name one that Twin made", copy)
	}
	return nil
}

// add puts what a graph has into another.
func add(to, g *onnxpb.GraphProto) {
	to.Node = append(to.Node, g.Node...)
	to.Input = append(to.Input, g.Input...)
	to.Output = append(to.Output, g.Output...)
	to.Initializer = append(to.Initializer, g.Initializer...)
	to.SparseInitializer = append(to.SparseInitializer, g.SparseInitializer...)
	to.ValueInfo = append(to.ValueInfo, g.ValueInfo...)
	to.QuantizationAnnotation = append(to.QuantizationAnnotation, g.QuantizationAnnotation...)
}
