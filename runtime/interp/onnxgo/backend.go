// Package onnxgo lets programs that use github.com/owulveryck/onnx-go compute the
// losses of this project, and other models, on the operators of package interp.
//
//	backend := onnxgo.NewBackend(17)
//	model := onnx.NewModel(backend)
//	err := model.UnmarshalBinary(data)   // an export of form graph, opset 17
//	err = model.SetInput(0, logits)
//	err = model.SetInput(1, target)
//	err = backend.Run()
//	outputs, err := model.GetOutputTensors()
//
// onnx-go does not tell a backend the opset of the model, so NewBackend must be
// told. Decode reads it from the model and also gets around what onnx-go's decoder
// cannot read; use it where there is a choice. Run does all of the above.
//
// What onnx-go's decoder (v0.5.0) cannot hand over:
//
//   - Functions and the domain of a node are dropped: export losses with form
//     graph. Decode refuses such models; without it a node of a domain of its own
//     is taken for the standard operator of the same name.
//   - Subgraphs (If, Loop, Scan) are refused with onnx.ErrNotImplemented, as are
//     float16, bfloat16 and attributes without a type.
//   - Bool constants in raw_data are an error, and tensors without elements a
//     panic. Decode reads both where they are initializers or Constant nodes.
//   - Model.SetInput(i) sets the node with the ID i. That is the i-th input unless
//     the model lists initializers among its inputs; Decode leaves those out.
//
// Tensors are copied on their way in and out: changing one after SetInput, or one
// that GetOutputTensors gave, changes nothing here.
package onnxgo

import (
	"fmt"

	onnxbackend "github.com/owulveryck/onnx-go/backend"
	"gonum.org/v1/gonum/graph"
	"gonum.org/v1/gonum/graph/iterator"
)

var _ onnxbackend.ComputationBackend = (*Backend)(nil)

// Backend is an onnx.Backend that computes with the operators of package interp.
// It holds one model and serves one goroutine at a time.
type Backend struct {
	opset int
	next  int64
	nodes map[int64]*node
	order []*node
	// edges holds the edges from each output to the inputs of its operation. All
	// are kept: Mul(x, x) has two between the same nodes.
	edges  map[int64][]graph.WeightedEdge
	values map[string]*value
	steps  []step
	// declared is the last node known to stand for a declared input or output; the
	// nodes of initializers come later.
	declared int64
	err      error
}

// NewBackend makes a backend for one model whose operators are those of an opset
// of the standard domain.
func NewBackend(opset int) *Backend {
	return &Backend{
		opset: opset, declared: -1,
		nodes: map[int64]*node{}, edges: map[int64][]graph.WeightedEdge{}, values: map[string]*value{},
	}
}

// fail keeps the first error of a method that cannot return one, for the next
// method that can.
func (b *Backend) fail(format string, args ...any) {
	if b.err == nil {
		b.err = fmt.Errorf("onnxgo: "+format, args...)
	}
}

// NewNode makes a node that AddNode takes. It is an onnx.Namer and an
// onnx.DataCarrier. Nodes of one name share one tensor.
func (b *Backend) NewNode() graph.Node {
	n := &node{id: b.next, backend: b, value: &value{}}
	b.next++
	return n
}

// AddNode adds a node that NewNode made. Another one is an error of the next
// ApplyOperation or Run.
func (b *Backend) AddNode(n graph.Node) {
	own, ok := n.(*node)
	if !ok || own.backend != b {
		b.fail("a node (%T) was added that NewNode of this backend did not make", n)
		return
	}
	if b.nodes[own.id] != nil {
		b.fail("node %d was added twice", own.id)
		return
	}
	b.nodes[own.id] = own
	b.order = append(b.order, own)
}

// edge leads from an output to the input with the number weight.
type edge struct {
	from, to graph.Node
	weight   float64
}

func (e edge) From() graph.Node         { return e.from }
func (e edge) To() graph.Node           { return e.to }
func (e edge) Weight() float64          { return e.weight }
func (e edge) ReversedEdge() graph.Edge { return edge{e.to, e.from, e.weight} }

// NewWeightedEdge makes an edge from an output of an operation to its input with
// the number weight.
func (b *Backend) NewWeightedEdge(from, to graph.Node, weight float64) graph.WeightedEdge {
	return edge{from, to, weight}
}

// SetWeightedEdge adds an edge, also where there is one between these nodes
// already, and its nodes where they are not there.
func (b *Backend) SetWeightedEdge(e graph.WeightedEdge) {
	for _, n := range []graph.Node{e.From(), e.To()} {
		if n == nil {
			b.fail("an edge was set that lacks a node")
			return
		}
		if b.Node(n.ID()) == nil {
			b.AddNode(n)
		}
	}
	from := e.From().ID()
	b.edges[from] = append(b.edges[from], e)
}

// Node gives the node with an ID, or nil.
func (b *Backend) Node(id int64) graph.Node {
	if n := b.nodes[id]; n != nil {
		return n
	}
	return nil
}

// Nodes gives all nodes in the order in which they were added.
func (b *Backend) Nodes() graph.Nodes {
	return b.which(func(int64) bool { return true })
}

// From gives the inputs of the operation that makes a node.
func (b *Backend) From(id int64) graph.Nodes {
	return b.which(func(other int64) bool { return b.HasEdgeFromTo(id, other) })
}

// To gives the outputs of the operations that read a node.
func (b *Backend) To(id int64) graph.Nodes {
	return b.which(func(other int64) bool { return b.HasEdgeFromTo(other, id) })
}

func (b *Backend) which(holds func(id int64) bool) graph.Nodes {
	var list []graph.Node
	for _, n := range b.order {
		if holds(n.id) {
			list = append(list, n)
		}
	}
	return iterator.NewOrderedNodes(list)
}

// HasEdgeBetween reports whether one of two nodes is an input of the other.
func (b *Backend) HasEdgeBetween(x, y int64) bool {
	return b.HasEdgeFromTo(x, y) || b.HasEdgeFromTo(y, x)
}

// HasEdgeFromTo reports whether v is an input of the operation that makes u.
func (b *Backend) HasEdgeFromTo(u, v int64) bool { return b.Edge(u, v) != nil }

// Edge gives the first edge from u to v, or nil.
func (b *Backend) Edge(u, v int64) graph.Edge {
	for _, e := range b.edges[u] {
		if e.To().ID() == v {
			return e
		}
	}
	return nil
}
