package export

import (
	"errors"
	"fmt"
	"slices"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
)

// fact is what is known of a tensor; the zero fact knows nothing.
type fact struct {
	dtype ops.DType
	shape ops.Shape
	// ints is the content of a short int64 tensor, each number a size that may be
	// symbolic; nil where it is not known.
	ints []ops.Dim
}

func (f fact) String() string {
	if f.dtype == ops.Undefined {
		return "unknown" + f.shape.String()
	}
	return f.dtype.String() + f.shape.String()
}

// body is a list of nodes on the way through inference: the main graph's, or a
// function's at one call of it.
type body struct {
	opsets     map[string]int
	facts      map[string]fact
	attributes map[string]*onnxpb.AttributeProto // that the caller gave; nil outside functions
	inFunction bool
	depth      int
}

// types infers every type and shape of the main graph, functions included, and
// holds those against the stored ones.
func (c *checker) types() error {
	for _, f := range c.model.GetFunctions() {
		if err := c.functionSchemas(f); err != nil {
			return fmt.Errorf("function %s: %w", keyOf(f), err)
		}
	}
	graph := c.model.GetGraph()
	stored, err := c.storedTypes(graph)
	if err != nil {
		return err
	}
	b := &body{opsets: c.opsets, facts: map[string]fact{}}
	for _, t := range graph.GetInitializer() {
		f := factOf(t)
		if problem := disagree(stored[t.GetName()], f); problem != "" {
			return fmt.Errorf("initializer %q is %s, but stored as %s: the %s differ", t.GetName(), f, stored[t.GetName()], problem)
		}
		b.facts[t.GetName()] = f
	}
	for _, in := range graph.GetInput() {
		b.facts[in.GetName()] = stored[in.GetName()]
	}
	for _, n := range graph.GetNode() {
		if err := c.inferStored(n, b, stored); err != nil {
			return fmt.Errorf("%s: %w", describeNode(n), err)
		}
	}
	return c.lossType(b)
}

// lossType holds the losses' tensors against the metadata.
func (c *checker) lossType(b *body) error {
	for _, d := range c.losses {
		if got := b.facts[d.Output].dtype; got != d.DType {
			return fmt.Errorf("the metadata say that the loss is %s, but tensor %q is %s", d.DType, d.Output, got)
		}
	}
	return nil
}

// functionSchemas holds a function's body against the operator table, and its
// operators' versions against those of the model.
func (c *checker) functionSchemas(f *onnxpb.FunctionProto) error {
	opsets, err := importsOf(f.GetOpsetImport())
	if err != nil {
		return err
	}
	for _, n := range f.GetNode() {
		s, err := c.schemaOf(n, opsets)
		if err != nil {
			return fmt.Errorf("%s: %w", describeNode(n), err)
		}
		there, err := c.schemaOf(n, c.opsets)
		if err != nil {
			return fmt.Errorf("%s: %w", describeNode(n), err)
		}
		if s != there && c.opsets[""] != 0 {
			return fmt.Errorf("%s: the body imports opset %d, the model opset %d, and the operator differs between them", describeNode(n), opsets[""], c.opsets[""])
		}
		if s == nil && f.GetDomain() == Domain && c.functions[calledBy(n)] == nil {
			return fmt.Errorf("%s: the operator is none that onnxloss writes", describeNode(n))
		}
		if s == nil {
			continue
		}
		if err := s.checkNode(n); err != nil {
			return fmt.Errorf("%s: %w", describeNode(n), err)
		}
	}
	return nil
}

// schemaOf finds a node in the operator table; nil where it is not there.
func (c *checker) schemaOf(n *onnxpb.NodeProto, opsets map[string]int) (*schema, error) {
	if standardDomain(n.GetDomain()) != "" || c.functions[calledBy(n)] != nil {
		return nil, nil
	}
	return schemaAt(n.GetOpType(), opsets[""])
}

// storedTypes reads the types that the main graph declares.
func (c *checker) storedTypes(g *onnxpb.GraphProto) (map[string]fact, error) {
	stored := map[string]fact{}
	made := c.sources()
	for _, n := range g.GetNode() {
		for _, name := range n.GetOutput() {
			made[name] = true
		}
	}
	for _, info := range slices.Concat(g.GetInput(), g.GetOutput(), g.GetValueInfo()) {
		name := info.GetName()
		f, err := declaredFact(info)
		if err != nil && c.alone() {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		if !made[name] && c.alone() {
			return nil, fmt.Errorf("a type is stored for %q, which nothing makes", name)
		}
		before, twice := stored[name]
		if twice && disagree(before, f) != "" {
			return nil, fmt.Errorf("tensor %q is declared as %s and as %s", name, before, f)
		}
		stored[name] = f
	}
	return stored, nil
}

func declaredFact(info *onnxpb.ValueInfoProto) (fact, error) {
	t := info.GetType().GetTensorType()
	if t == nil || t.GetElemType() == 0 {
		return fact{}, errors.New("no element type is stored for it")
	}
	f := fact{dtype: ops.DType(t.GetElemType()), shape: ops.ShapeOf(t)}
	for _, d := range t.GetShape().GetDim() {
		if d.GetDimValue() < 0 {
			return f, fmt.Errorf("its stored shape has the size %d", d.GetDimValue())
		}
	}
	return f, nil
}

// factOf is what a stored tensor is, its content included where it is short.
func factOf(t *onnxpb.TensorProto) fact {
	if len(t.GetDims()) > maxAxes {
		return fact{dtype: ops.DType(t.GetDataType())}
	}
	return fact{ops.DType(t.GetDataType()), shapeOfTensor(t), intsOf(t)}
}

// inferStored infers one node of the main graph and holds its outputs against the
// stored types. Where both are known the stored shape may say more.
func (c *checker) inferStored(n *onnxpb.NodeProto, b *body, stored map[string]fact) error {
	inferred, err := c.infer(n, b, c.made[n])
	if err != nil {
		return err
	}
	for i, name := range n.GetOutput() {
		if name == "" {
			continue
		}
		var f fact
		if i < len(inferred) {
			f = inferred[i]
		}
		s, ok := stored[name]
		if c.made[n] && (!ok || s.dtype == ops.Undefined) {
			return fmt.Errorf("no element type is stored for its output %q", name)
		}
		if problem := disagree(s, f); problem != "" && (c.made[n] || problem == otherType) {
			return fmt.Errorf("its output %q is stored as %s, but %s follows: the %s differ", name, s, f, problem)
		}
		if c.alone() && otherSizes(s.shape, f.shape) {
			return fmt.Errorf("its output %q is stored as %s, but %s follows: a size has another name", name, s, f)
		}
		b.facts[name] = merged(s, f)
	}
	return nil
}

const otherType = "element types"

// disagree says in what two facts about one tensor contradict each other.
func disagree(a, b fact) string {
	if a.dtype != b.dtype && a.dtype != ops.Undefined && b.dtype != ops.Undefined {
		return otherType
	}
	if !a.shape.Known() || !b.shape.Known() {
		return ""
	}
	if len(a.shape) != len(b.shape) {
		return "ranks"
	}
	for i, d := range a.shape {
		x, fixedX := d.Size()
		y, fixedY := b.shape[i].Size()
		if fixedX && fixedY && x != y {
			return "shapes"
		}
	}
	return ""
}

// otherSizes says whether shapes of the same rank give an axis different sizes or
// names, which in a model from elsewhere need not be a contradiction.
func otherSizes(a, b ops.Shape) bool {
	for i, d := range a {
		if i < len(b) && d != b[i] && d != (ops.Dim{}) && b[i] != (ops.Dim{}) {
			return true
		}
	}
	return false
}

// merged takes the stored fact where it says something, else the inferred one.
func merged(stored, inferred fact) fact {
	f := inferred
	if stored.dtype != ops.Undefined {
		f.dtype = stored.dtype
	}
	if stored.shape.Known() {
		f.shape = slices.Clone(stored.shape)
		for i, d := range f.shape {
			if d == (ops.Dim{}) && len(inferred.shape) == len(f.shape) {
				f.shape[i] = inferred.shape[i]
			}
		}
	}
	return f
}

// infer gives the facts of a node's outputs, none for operators that are not
// known. made asks for an operator that is.
func (c *checker) infer(n *onnxpb.NodeProto, b *body, made bool) ([]fact, error) {
	if err := c.count(n, b); err != nil {
		return nil, err
	}
	if f := c.functions[calledBy(n)]; f != nil {
		return c.inferCall(n, f, b)
	}
	s, err := c.schemaOf(n, b.opsets)
	if err != nil {
		return nil, err
	}
	if s == nil {
		if made {
			return nil, errors.New("the operator is none that onnxloss writes, and the file has no function of its name")
		}
		return nil, nil
	}
	if err := s.checkNode(n); err != nil {
		return nil, err
	}
	o, err := c.operation(n, s, b)
	if err != nil {
		return nil, err
	}
	result, err := o.result()
	if err != nil {
		return nil, err
	}
	return []fact{result}, nil
}

// count bounds what functions cost that call each other.
func (c *checker) count(n *onnxpb.NodeProto, b *body) error {
	if !b.inFunction {
		return nil
	}
	if c.left -= costOf(n); c.left < 0 {
		return fmt.Errorf("functions call each other too often: there are more than %d nodes and operands in all", callsOf(c.model))
	}
	return nil
}

// inferCall infers a function's outputs from its body at the facts of a call.
func (c *checker) inferCall(n *onnxpb.NodeProto, f *onnxpb.FunctionProto, caller *body) ([]fact, error) {
	if len(n.GetInput()) > len(f.GetInput()) || len(n.GetOutput()) > len(f.GetOutput()) {
		return nil, fmt.Errorf("it has %d inputs and %d outputs; the function has %d and %d",
			len(n.GetInput()), len(n.GetOutput()), len(f.GetInput()), len(f.GetOutput()))
	}
	c.left -= len(f.GetInput()) + len(f.GetOutput()) + len(f.GetAttribute()) + len(f.GetAttributeProto()) + len(f.GetOpsetImport())
	attributes, err := bindAttributes(n, f, caller)
	if err != nil {
		return nil, err
	}
	opsets, err := importsOf(f.GetOpsetImport())
	if err != nil {
		return nil, err
	}
	inner := &body{opsets: opsets, facts: map[string]fact{}, attributes: attributes, inFunction: true, depth: caller.depth + 1}
	for i, name := range n.GetInput() {
		inner.facts[f.GetInput()[i]] = caller.facts[name]
	}
	for _, step := range f.GetNode() {
		results, err := c.infer(step, inner, false)
		if err != nil {
			return nil, fmt.Errorf("in its body, %s: %w", describeNode(step), err)
		}
		for i, name := range step.GetOutput() {
			if name != "" && i < len(results) {
				inner.facts[name] = results[i]
			}
		}
	}
	var results []fact
	for _, name := range f.GetOutput() {
		results = append(results, inner.facts[name])
	}
	return results, nil
}

// bindAttributes gives a function's attributes their values at a call.
func bindAttributes(n *onnxpb.NodeProto, f *onnxpb.FunctionProto, caller *body) (map[string]*onnxpb.AttributeProto, error) {
	bound := map[string]*onnxpb.AttributeProto{} // nil where there is no default
	for _, name := range f.GetAttribute() {
		bound[name] = nil
	}
	for _, a := range f.GetAttributeProto() {
		bound[a.GetName()] = a
	}
	for _, a := range n.GetAttribute() {
		if _, known := bound[a.GetName()]; !known {
			return nil, fmt.Errorf("attribute %q is not one of the function's", a.GetName())
		}
		value, err := resolve(a, caller)
		if err != nil {
			return nil, err
		}
		bound[a.GetName()] = value
	}
	return bound, nil
}

// resolve follows an attribute's reference to one of the function around it; nil
// where the caller left that out.
func resolve(a *onnxpb.AttributeProto, b *body) (*onnxpb.AttributeProto, error) {
	if a.GetRefAttrName() == "" {
		return a, nil
	}
	if !b.inFunction {
		return nil, fmt.Errorf("attribute %q refers to %q, but it is not in a function", a.GetName(), a.GetRefAttrName())
	}
	value := b.attributes[a.GetRefAttrName()]
	if value != nil && value.GetType() != a.GetType() {
		return nil, fmt.Errorf("attribute %q is of type %s, but refers to %q of type %s", a.GetName(), a.GetType(), a.GetRefAttrName(), value.GetType())
	}
	return value, nil
}

// operation is a node of a known operator with what is known of its operands.
type operation struct {
	op         string
	opset      int
	schema     *schema
	inputs     []fact
	attributes map[string]*onnxpb.AttributeProto
}

func (c *checker) operation(n *onnxpb.NodeProto, s *schema, b *body) (*operation, error) {
	o := &operation{op: n.GetOpType(), opset: b.opsets[""], schema: s, attributes: map[string]*onnxpb.AttributeProto{}}
	for _, a := range n.GetAttribute() {
		value, err := resolve(a, b)
		if err != nil {
			return nil, err
		}
		if value == nil {
			continue
		}
		if err := holdsValue(value); err != nil {
			return nil, err
		}
		o.attributes[a.GetName()] = value
	}
	types := map[string]ops.DType{}
	for i, name := range n.GetInput() {
		f := b.facts[name]
		if len(f.shape) > maxAxes {
			f.shape = nil
		}
		o.inputs = append(o.inputs, f)
		if name == "" || f.dtype == ops.Undefined {
			continue
		}
		variable, _, _ := s.input(i)
		if err := s.admit(variable, f.dtype, types); err != nil {
			return nil, fmt.Errorf("input %q: %w", name, err)
		}
	}
	return o, nil
}

// holdsValue proves that a scalar attribute's value is written, also where it is
// 0: some writers drop it, and readers then take the attribute for missing.
func holdsValue(a *onnxpb.AttributeProto) error {
	ok := true
	switch a.GetType() {
	case onnxpb.AttributeProto_INT:
		ok = a.I != nil
	case onnxpb.AttributeProto_FLOAT:
		ok = a.F != nil
	case onnxpb.AttributeProto_STRING:
		ok = a.S != nil
	case onnxpb.AttributeProto_TENSOR:
		ok = a.T != nil
	}
	if !ok {
		return fmt.Errorf("attribute %q is of type %s, but has no such value", a.GetName(), a.GetType())
	}
	return nil
}

// admit holds an element type against the set of a type name, and against the
// other operands of the same name.
func (s *schema) admit(variable string, dtype ops.DType, types map[string]ops.DType) error {
	// Types newer than the table are for others to judge.
	if _, err := ops.ParseDType(dtype.String()); err == nil && !s.set(variable).has(dtype) {
		return fmt.Errorf("it is %s, which the operator does not take as it is since opset %d", dtype, s.since)
	}
	if other, ok := types[variable]; ok && other != dtype {
		return fmt.Errorf("it is %s, but another input is %s; they must be the same", dtype, other)
	}
	types[variable] = dtype
	return nil
}
