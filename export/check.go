package export

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/onnxloss/onnxloss/internal/brief"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
)

// Bounds that no honest file comes near; they keep a hostile one from using up
// the stack or the day.
const (
	maxNesting = 64   // subgraphs in subgraphs, functions that call functions
	maxAxes    = 64   // of a shape that is followed
	maxList    = 1024 // numbers of an attribute that is
	// The nodes of functions and their operands, counted at each call, are at most
	// timesCalled times those in the file, within leastCalls and maxCalls.
	timesCalled = 64
	leastCalls  = 1 << 16
	maxCalls    = 1 << 22
)

// Check proves that a serialised model is sound: its IR version and its operator
// set imports go with what is in it; every name is made once and before it is
// used; every operator exists at its opset and has the inputs, attributes and
// element types it asks for; the types and shapes that are stored are those that
// follow from the nodes.
//
// The nodes of a loss that onnxloss wrote, which the model's metadata tell, must
// be known operators with a stored type for every tensor, and the metadata must
// be true. Of the other nodes, as in a model that a loss was attached to,
// operators that onnxloss does not write pass unseen but for their names. Inputs of
// open rank pass, which the standard asks main graphs not to have.
func Check(model []byte) error {
	m := new(onnxpb.ModelProto)
	if err := (proto.UnmarshalOptions{RecursionLimit: 1000}).Unmarshal(model, m); err != nil {
		return fmt.Errorf("export: check: not an ONNX file: %w", err)
	}
	if err := check(m); err != nil {
		return fmt.Errorf("export: check: %w", brief.Error(err))
	}
	return nil
}

// CheckModel is Check for a model in memory.
func CheckModel(model *models.Model) error {
	if err := check(model.Proto); err != nil {
		return fmt.Errorf("export: check: %w", brief.Error(err))
	}
	return nil
}

// checker is the model as its checks see it.
type checker struct {
	model     *onnxpb.ModelProto
	opsets    map[string]int
	functions map[functionKey]*onnxpb.FunctionProto
	// losses is what the metadata tell of, and made which nodes of the main graph
	// that consists of.
	losses []Description
	made   map[*onnxpb.NodeProto]bool
	left   int // of the nodes and operands that calls may look at
}

func check(m *onnxpb.ModelProto) error {
	composition, err := described(m)
	if err != nil && !errors.Is(err, ErrNoLoss) {
		return err
	}
	c := &checker{model: m, losses: composition.Terms, left: callsOf(m)}
	for _, step := range []func() error{c.fields, c.imports, c.indexFunctions, c.version, c.names, c.calls, c.metadata, c.types} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// callsOf is how many nodes and operands of functions may be looked at.
func callsOf(m *onnxpb.ModelProto) int {
	cost := 0
	for _, n := range m.GetGraph().GetNode() {
		cost += costOf(n)
	}
	for _, f := range m.GetFunctions() {
		for _, n := range f.GetNode() {
			cost += costOf(n)
		}
	}
	return min(max(leastCalls, timesCalled*cost), maxCalls)
}

func costOf(n *onnxpb.NodeProto) int {
	return 1 + len(n.GetInput()) + len(n.GetOutput()) + len(n.GetAttribute())
}

// alone says that onnxloss wrote the whole file.
func (c *checker) alone() bool { return len(c.losses) > 0 && !c.losses[0].Attached }

// fields looks for what every file must have, and in files of our own for what
// none may have.
func (c *checker) fields() error {
	if c.model.GetGraph() == nil {
		return errors.New("the model has no graph")
	}
	if c.model.IrVersion == nil {
		return errors.New("the model has no IR version")
	}
	if !c.alone() {
		return nil
	}
	if c.model.Graph.GetName() == "" {
		return errors.New("the graph has no name")
	}
	return unknownField(c.model.ProtoReflect())
}

func unknownField(m protoreflect.Message) (err error) {
	if len(m.GetUnknown()) > 0 {
		return fmt.Errorf("a %s has fields that ONNX does not know", m.Descriptor().Name())
	}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.Kind() != protoreflect.MessageKind:
		case field.IsList():
			for i := 0; i < value.List().Len() && err == nil; i++ {
				err = unknownField(value.List().Get(i).Message())
			}
		default:
			err = unknownField(value.Message())
		}
		return err == nil
	})
	return err
}

// standardDomain gives the two spellings of the standard's own domain one name.
func standardDomain(domain string) string {
	if domain == "ai.onnx" {
		return ""
	}
	return domain
}

func importsOf(list []*onnxpb.OperatorSetIdProto) (map[string]int, error) {
	opsets := map[string]int{}
	for _, o := range list {
		domain, version := standardDomain(o.GetDomain()), int(o.GetVersion())
		if before, twice := opsets[domain]; twice && before != version {
			return nil, fmt.Errorf("domain %q is imported twice, as version %d and %d", domain, before, version)
		}
		if version < 1 {
			return nil, fmt.Errorf("domain %q is imported as version %d; versions start at 1", domain, version)
		}
		opsets[domain] = version
	}
	if len(opsets) == 0 {
		return nil, errors.New("no operator set is imported")
	}
	return opsets, nil
}

func (c *checker) imports() (err error) {
	if c.opsets, err = importsOf(c.model.GetOpsetImport()); err != nil {
		return err
	}
	if opset := c.opsets[""]; c.alone() && (opset < ops.MinOpset || opset > ops.MaxOpset) {
		return fmt.Errorf("opset %d is imported; onnxloss writes %d to %d", opset, ops.MinOpset, ops.MaxOpset)
	}
	return nil
}

// irVersions says from which opset on a file needs which IR version, as ONNX's
// releases were numbered.
var irVersions = []struct{ opset, ir int }{
	{26, 13}, {25, 13}, {24, 12}, {23, 11}, {21, 10}, {19, 9}, {15, 8}, {12, 7}, {11, 6}, {10, 5}, {9, 4}, {1, 3},
}

func irForOpset(opset int) int {
	for _, v := range irVersions {
		if opset >= v.opset {
			return v.ir
		}
	}
	return 0
}

// version holds the IR version against everything that asks for one.
func (c *checker) version() error {
	ir := int(c.model.GetIrVersion())
	need := func(least int, what string) error {
		if ir < least {
			return fmt.Errorf("the IR version is %d; %s needs %d", ir, what, least)
		}
		return nil
	}
	if c.alone() { // models from elsewhere often say less than their opset's IR version
		if err := need(irForOpset(c.opsets[""]), fmt.Sprintf("opset %d", c.opsets[""])); err != nil {
			return err
		}
	}
	for _, f := range c.model.GetFunctions() {
		least := 8
		if len(f.GetAttributeProto()) > 0 {
			least = 9
		}
		if f.GetOverload() != "" || len(f.GetValueInfo()) > 0 || len(f.GetMetadataProps()) > 0 {
			least = 10
		}
		if err := need(least, "function "+keyOf(f).String()); err != nil {
			return err
		}
	}
	for _, n := range c.model.GetGraph().GetNode() {
		if n.GetOverload() == "" && len(n.GetMetadataProps()) == 0 {
			continue
		}
		if err := need(10, describeNode(n)+", which has an overload or metadata,"); err != nil {
			return err
		}
	}
	return nil
}

// metadata holds what the metadata say against the graph, and finds the nodes
// that the loss consists of.
func (c *checker) metadata() error {
	c.made = map[*onnxpb.NodeProto]bool{}
	if len(c.losses) == 0 {
		return nil
	}
	maker := map[string]*onnxpb.NodeProto{}
	for _, n := range c.model.GetGraph().GetNode() {
		for _, name := range n.GetOutput() {
			maker[name] = n
		}
		c.made[n] = c.alone()
	}
	given := c.sources()
	for _, d := range c.losses {
		if err := c.bound(d, maker, given); err != nil {
			return err
		}
		c.collect(d, maker)
	}
	return c.uniqueNodeNames()
}

// bound proves that the tensors that the metadata speak of are there.
func (c *checker) bound(d Description, maker map[string]*onnxpb.NodeProto, given map[string]bool) error {
	if opset := c.opsets[""]; opset != d.Opset {
		return fmt.Errorf("the metadata say opset %d, but opset %d is imported", d.Opset, opset)
	}
	if maker[d.Output] == nil {
		return fmt.Errorf("the metadata call %q the loss's tensor, but no node makes it", d.Output)
	}
	for input, tensor := range d.Inputs {
		if maker[tensor] == nil && !given[tensor] {
			return fmt.Errorf("the metadata bind the loss's input %q to tensor %q, which the graph does not have", input, tensor)
		}
	}
	return nil
}

// sources lists the tensors that the main graph starts from.
func (c *checker) sources() map[string]bool {
	given := map[string]bool{}
	for _, in := range c.model.GetGraph().GetInput() {
		given[in.GetName()] = true
	}
	for _, in := range c.model.GetGraph().GetInitializer() {
		given[in.GetName()] = true
	}
	for _, in := range c.model.GetGraph().GetSparseInitializer() {
		given[in.GetValues().GetName()] = true
	}
	return given
}

// collect walks from the loss's tensor up to the tensors that it is bound to.
func (c *checker) collect(d Description, maker map[string]*onnxpb.NodeProto) {
	done := map[string]bool{}
	for _, tensor := range d.Inputs {
		done[tensor] = true
	}
	todo := []string{d.Output}
	for len(todo) > 0 {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		n := maker[name]
		if done[name] || n == nil {
			continue
		}
		done[name], c.made[n] = true, true
		todo = append(todo, n.GetInput()...)
	}
}

func (c *checker) uniqueNodeNames() error {
	first := map[string]*onnxpb.NodeProto{}
	for _, n := range c.model.GetGraph().GetNode() {
		before, twice := first[n.GetName()]
		if n.GetName() != "" && twice && (c.made[n] || c.made[before]) {
			return fmt.Errorf("two nodes have the name %q, a %s and a %s", n.GetName(), before.GetOpType(), n.GetOpType())
		}
		first[n.GetName()] = n
	}
	return nil
}

// describeNode names a node by what a reader of the file sees first.
func describeNode(n *onnxpb.NodeProto) string {
	name := n.GetName()
	if name == "" && len(n.GetOutput()) > 0 {
		name = n.GetOutput()[0]
	}
	op := n.GetOpType()
	if domain := standardDomain(n.GetDomain()); domain != "" {
		op = domain + "." + op
	}
	return fmt.Sprintf("node %q (%s)", name, op)
}
