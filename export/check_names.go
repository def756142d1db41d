package export

import (
	"errors"
	"fmt"
	"slices"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
)

// scope is the names that nodes can read. A subgraph sees those around it, a
// function's body does not.
type scope struct {
	names  map[string]bool
	parent *scope
}

func newScope(parent *scope) *scope { return &scope{map[string]bool{}, parent} }

func (s *scope) has(name string) bool {
	for ; s != nil; s = s.parent {
		if s.names[name] {
			return true
		}
	}
	return false
}

// names proves that the main graph and the functions' bodies are in topological
// order and make every name once.
func (c *checker) names() error {
	if err := c.graphNames(c.model.GetGraph(), nil, c.opsets, 0); err != nil {
		return err
	}
	for _, f := range c.model.GetFunctions() {
		if err := c.functionNames(f); err != nil {
			return fmt.Errorf("function %s: %w", keyOf(f), err)
		}
	}
	return nil
}

func (c *checker) graphNames(g *onnxpb.GraphProto, outer *scope, opsets map[string]int, depth int) error {
	if depth > maxNesting {
		return fmt.Errorf("subgraphs are nested more than %d deep", maxNesting)
	}
	s := newScope(outer)
	for _, in := range g.GetInput() {
		if err := s.declare("input", in.GetName()); err != nil {
			return err
		}
	}
	if err := c.initializerNames(g, s); err != nil {
		return err
	}
	if err := c.nodeNames(g.GetNode(), s, opsets, depth); err != nil {
		return err
	}
	outputs := map[string]bool{}
	for _, out := range g.GetOutput() {
		if !s.has(out.GetName()) {
			return fmt.Errorf("nothing makes the graph's output %q", out.GetName())
		}
		if outputs[out.GetName()] && c.alone() { // runtimes take it
			return fmt.Errorf("%q is an output twice", out.GetName())
		}
		outputs[out.GetName()] = true
	}
	return nil
}

func (s *scope) declare(what, name string) error {
	if name == "" {
		return fmt.Errorf("an %s has no name", what)
	}
	if s.names[name] {
		return fmt.Errorf("%q is an %s twice", name, what)
	}
	s.names[name] = true
	return nil
}

// initializerNames declares the initializers, which may be defaults of inputs.
func (c *checker) initializerNames(g *onnxpb.GraphProto, s *scope) error {
	var names []string
	for _, t := range g.GetInitializer() {
		names = append(names, t.GetName())
	}
	for _, t := range g.GetSparseInitializer() {
		names = append(names, t.GetValues().GetName())
	}
	own := newScope(nil)
	for _, name := range names {
		if err := own.declare("initializer", name); err != nil {
			return err
		}
		if ir := c.model.GetIrVersion(); ir < 4 && !s.names[name] {
			return fmt.Errorf("initializer %q is not an input of the graph, which IR version %d asks for", name, ir)
		}
		s.names[name] = true
	}
	return nil
}

func (c *checker) nodeNames(nodes []*onnxpb.NodeProto, s *scope, opsets map[string]int, depth int) error {
	for _, n := range nodes {
		if err := c.oneNode(n, s, opsets, depth); err != nil {
			return fmt.Errorf("%s: %w", describeNode(n), err)
		}
	}
	return nil
}

func (c *checker) oneNode(n *onnxpb.NodeProto, s *scope, opsets map[string]int, depth int) error {
	if n.GetOpType() == "" {
		return errors.New("it has no operator")
	}
	if domain := standardDomain(n.GetDomain()); opsets[domain] == 0 {
		return fmt.Errorf("no operator set of domain %q is imported", domain)
	}
	for _, name := range n.GetInput() {
		if name != "" && !s.has(name) {
			return fmt.Errorf("it reads %q, which no input, initializer or earlier node makes", name)
		}
	}
	if err := c.attributeNames(n, s, opsets, depth); err != nil {
		return err
	}
	for _, name := range n.GetOutput() {
		if name == "" {
			continue
		}
		if s.has(name) {
			return fmt.Errorf("it makes %q, which is made before", name)
		}
		s.names[name] = true
	}
	return nil
}

// attributeNames looks at the attributes as such, and into subgraphs.
func (c *checker) attributeNames(n *onnxpb.NodeProto, s *scope, opsets map[string]int, depth int) error {
	seen := map[string]bool{}
	for _, a := range n.GetAttribute() {
		switch {
		case a.GetName() == "":
			return errors.New("an attribute has no name")
		case seen[a.GetName()]:
			return fmt.Errorf("it has attribute %q twice", a.GetName())
		case a.GetType() == onnxpb.AttributeProto_UNDEFINED:
			return fmt.Errorf("attribute %q has no type", a.GetName())
		}
		seen[a.GetName()] = true
		for _, g := range subgraphs(a) {
			if err := c.graphNames(g, s, opsets, depth+1); err != nil {
				return fmt.Errorf("attribute %q: %w", a.GetName(), err)
			}
		}
	}
	return nil
}

func subgraphs(a *onnxpb.AttributeProto) []*onnxpb.GraphProto {
	if a.GetG() == nil {
		return a.GetGraphs()
	}
	return append([]*onnxpb.GraphProto{a.G}, a.GetGraphs()...)
}

// functionKey is what tells functions apart.
type functionKey struct{ domain, name, overload string }

func keyOf(f *onnxpb.FunctionProto) functionKey {
	return functionKey{standardDomain(f.GetDomain()), f.GetName(), f.GetOverload()}
}

func calledBy(n *onnxpb.NodeProto) functionKey {
	return functionKey{standardDomain(n.GetDomain()), n.GetOpType(), n.GetOverload()}
}

func (k functionKey) String() string {
	if k.overload != "" {
		return k.domain + "." + k.name + ":" + k.overload
	}
	return k.domain + "." + k.name
}

func (c *checker) indexFunctions() error {
	c.functions = map[functionKey]*onnxpb.FunctionProto{}
	for _, f := range c.model.GetFunctions() {
		key := keyOf(f)
		switch {
		case key.name == "":
			return errors.New("a function has no name")
		case c.functions[key] != nil:
			return fmt.Errorf("function %s is defined twice", key)
		case c.opsets[key.domain] == 0:
			return fmt.Errorf("function %s: the model does not import its domain", key)
		}
		c.functions[key] = f
	}
	return nil
}

func (c *checker) functionNames(f *onnxpb.FunctionProto) error {
	opsets, err := importsOf(f.GetOpsetImport())
	if err != nil {
		return err
	}
	s := newScope(nil)
	for _, name := range f.GetInput() {
		if err := s.declare("input", name); err != nil {
			return err
		}
	}
	if err := declareAttributes(f); err != nil {
		return err
	}
	if err := c.nodeNames(f.GetNode(), s, opsets, 0); err != nil {
		return err
	}
	if err := c.uniqueBodyNames(f); err != nil {
		return err
	}
	outputs := newScope(nil)
	for _, name := range f.GetOutput() {
		if err := outputs.declare("output", name); err != nil {
			return err
		}
		if !s.has(name) {
			return fmt.Errorf("nothing makes its output %q", name)
		}
	}
	return nil
}

func (c *checker) uniqueBodyNames(f *onnxpb.FunctionProto) error {
	if f.GetDomain() != Domain {
		return nil
	}
	seen := map[string]bool{}
	for _, n := range f.GetNode() {
		if n.GetName() != "" && seen[n.GetName()] {
			return fmt.Errorf("two nodes have the name %q", n.GetName())
		}
		seen[n.GetName()] = true
	}
	return nil
}

// declareAttributes proves that a function's attributes have one name each, and
// that its body refers to no others.
func declareAttributes(f *onnxpb.FunctionProto) error {
	names := slices.Clone(f.GetAttribute())
	for _, a := range f.GetAttributeProto() {
		names = append(names, a.GetName())
	}
	declared := newScope(nil)
	for _, name := range names {
		if err := declared.declare("attribute", name); err != nil {
			return err
		}
	}
	return eachNode(f.GetNode(), 0, func(n *onnxpb.NodeProto) error {
		for _, a := range n.GetAttribute() {
			if to := a.GetRefAttrName(); to != "" && !declared.has(to) {
				return fmt.Errorf("%s: attribute %q refers to the function's attribute %q, which is not declared", describeNode(n), a.GetName(), to)
			}
		}
		return nil
	})
}

// eachNode visits nodes and those of their subgraphs.
func eachNode(nodes []*onnxpb.NodeProto, depth int, visit func(*onnxpb.NodeProto) error) error {
	if depth > maxNesting {
		return fmt.Errorf("subgraphs are nested more than %d deep", maxNesting)
	}
	for _, n := range nodes {
		if err := visit(n); err != nil {
			return err
		}
		for _, a := range n.GetAttribute() {
			for _, g := range subgraphs(a) {
				if err := eachNode(g.GetNode(), depth+1, visit); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// calls proves that no function calls itself, directly or through others.
func (c *checker) calls() error {
	finished := map[functionKey]bool{}
	for _, f := range c.model.GetFunctions() {
		if err := c.follow(f, nil, finished); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) follow(f *onnxpb.FunctionProto, callers []functionKey, finished map[functionKey]bool) error {
	key := keyOf(f)
	switch {
	case finished[key]:
		return nil
	case slices.Contains(callers, key):
		return fmt.Errorf("function %s calls itself", key)
	case len(callers) > maxNesting:
		return fmt.Errorf("functions call each other more than %d deep", maxNesting)
	}
	callers = append(callers, key)
	err := eachNode(f.GetNode(), 0, func(n *onnxpb.NodeProto) error {
		if callee := c.functions[calledBy(n)]; callee != nil {
			return c.follow(callee, callers, finished)
		}
		return nil
	})
	finished[key] = err == nil
	return err
}
