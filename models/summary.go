package models

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/bits"
	"slices"
	"strings"

	"github.com/onnxloss/onnxloss/internal/externaldata"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
)

// Summary is what a model consists of. It is made without reading any weights, and
// of broken models too.
type Summary struct {
	// Bytes is the length of the model's own file, 0 for a model that was not read.
	Bytes                     int64
	IR                        int64
	Producer, ProducerVersion string
	Opsets                    []OpsetImport // as the model lists them
	// Nodes is how many the main graph has; Operators counts those of its subgraphs
	// and of the functions too, the most frequent first.
	Nodes     int
	Operators []OperatorCount
	// Quantization is those of Operators that compute with quantized numbers or
	// convert to and from them.
	Quantization []OperatorCount
	Subgraphs    []Subgraph // of the functions too
	Functions    []Function
	// Defaults names the initializers that are listed as inputs, which whoever runs
	// the model can replace.
	Defaults []string
	// Types and Files count the numbers that the model stores, as initializers and as
	// constants of nodes, by their element type and by the file that they are in.
	Types []TypeCount
	Files []FileCount
}

// OpsetImport is a version of the operators of a domain; "" is that of the standard.
type OpsetImport struct {
	Domain  string
	Version int64
}

// OperatorCount is how many nodes are of an operator.
type OperatorCount struct {
	Domain, Operator string
	Nodes            int
}

// Subgraph is a graph inside of a node: a branch of an If, the body of a Loop.
type Subgraph struct {
	Node, Operator, Attribute string
	Nodes                     int // without those of the graphs inside of it
}

// Function is an operator that the model defines itself.
type Function struct {
	Domain, Name, Overload string
	Nodes                  int
	Calls                  int // nodes that call it, anywhere in the model
}

// TensorCount is how much some tensors hold. Bytes is what their numbers take in
// memory.
type TensorCount struct {
	Tensors         int
	Elements, Bytes int64
}

// TypeCount counts the tensors of an element type.
type TypeCount struct {
	DType ops.DType
	TensorCount
}

// FileCount counts the tensors whose numbers are in a file.
type FileCount struct {
	Location string // relative to the model's folder; "" is the model itself
	TensorCount
	// Problem is the first reason for which numbers cannot be had, such as a missing
	// file, and nil where there is none.
	Problem error
}

// Summary tells what the model consists of.
func (m *Model) Summary() Summary {
	s := Summary{
		IR: m.Proto.GetIrVersion(), Producer: m.Proto.GetProducerName(), ProducerVersion: m.Proto.GetProducerVersion(),
		Nodes: len(m.Proto.GetGraph().GetNode()), Defaults: m.defaults(),
	}
	if m.layout != nil {
		s.Bytes = sizeOf(m.layout.pieces())
	}
	for _, opset := range m.Proto.GetOpsetImport() {
		s.Opsets = append(s.Opsets, OpsetImport{opset.GetDomain(), opset.GetVersion()})
	}
	s.countNodes(m.Proto)
	s.countNumbers(m)
	return s
}

// defaults lists the inputs that are initializers too.
func (m *Model) defaults() []string {
	graph := m.Proto.GetGraph()
	initializers := map[string]bool{}
	for _, name := range initializerNames(graph) {
		initializers[name] = true
	}
	return slices.DeleteFunc(infoNames(graph.GetInput()), func(name string) bool { return !initializers[name] })
}

// countNodes counts operators, functions and subgraphs.
func (s *Summary) countNodes(model *onnxpb.ModelProto) {
	operators, calls := map[OperatorCount]int{}, map[functionKey]int{}
	visit := func(n *onnxpb.NodeProto) {
		operators[OperatorCount{Domain: standard(n.GetDomain()), Operator: n.GetOpType()}]++
		calls[calledBy(n)]++
		s.addSubgraphs(n)
	}
	eachNode(model.GetGraph().GetNode(), visit)
	for _, f := range model.GetFunctions() {
		eachNode(f.GetNode(), visit)
	}
	for o, n := range operators {
		o.Nodes = n
		s.Operators = append(s.Operators, o)
	}
	slices.SortFunc(s.Operators, func(a, b OperatorCount) int {
		return cmp.Or(cmp.Compare(b.Nodes, a.Nodes), cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Operator, b.Operator))
	})
	s.Quantization = slices.DeleteFunc(slices.Clone(s.Operators), func(o OperatorCount) bool { return !o.quantizes() })
	for _, f := range model.GetFunctions() {
		s.Functions = append(s.Functions, Function{f.GetDomain(), f.GetName(), f.GetOverload(), len(f.GetNode()), calls[keyOf(f)]})
	}
}

func (s *Summary) addSubgraphs(n *onnxpb.NodeProto) {
	for _, a := range n.GetAttribute() {
		graphs := a.GetGraphs()
		if a.GetG() != nil {
			graphs = append([]*onnxpb.GraphProto{a.G}, graphs...)
		}
		for _, g := range graphs {
			s.Subgraphs = append(s.Subgraphs, Subgraph{n.GetName(), n.GetOpType(), a.GetName(), len(g.GetNode())})
		}
	}
}

// quantizes tells the operators of quantized models, those of ONNX Runtime's own
// domain among them, by how they are named.
func (o OperatorCount) quantizes() bool {
	starts := []string{"QLinear", "ConvInteger", "MatMulInteger", "QGemm", "QAttention", "QMoE", "QOrdered", "MatMulNBits", "MatMulBnb4"}
	return strings.Contains(o.Operator, "Quantize") ||
		slices.ContainsFunc(starts, func(start string) bool { return strings.HasPrefix(o.Operator, start) })
}

// countNumbers counts what tensors hold.
func (s *Summary) countNumbers(m *Model) {
	types, files := map[ops.DType]TensorCount{}, map[string]FileCount{}
	root, err := externaldata.OpenFolderOf(m.Path)
	if err == nil {
		defer root.Close()
	}
	for _, t := range stored(m.Proto) {
		count, problem := holds(t)
		location := ""
		if t.GetDataLocation() == onnxpb.TensorProto_EXTERNAL && !inOwnFile(t) {
			var missing error
			location, missing = locate(m.Path, root, t)
			problem = cmp.Or(problem, missing)
		}
		file := files[location]
		if file.Problem == nil && problem != nil {
			file.Problem = fmt.Errorf("tensor %q: %w", t.GetName(), problem)
		}
		file.Location, file.TensorCount = location, file.plus(count)
		files[location] = file
		dtype := ops.DType(t.GetDataType())
		types[dtype] = types[dtype].plus(count)
	}
	for dtype, count := range types {
		s.Types = append(s.Types, TypeCount{dtype, count})
	}
	slices.SortFunc(s.Types, func(a, b TypeCount) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.DType, b.DType))
	})
	for _, location := range slices.Sorted(maps.Keys(files)) {
		s.Files = append(s.Files, files[location])
	}
}

// locate tells which file a tensor's data are in, and why they cannot be had there.
func locate(model string, root *externaldata.Folder, t *onnxpb.TensorProto) (location string, err error) {
	location, err = externaldata.File(t)
	switch {
	case err != nil:
	case model == "" || root == nil:
		err = errors.New("its data are in another file, and the model was not read from a folder")
	default:
		_, err = externaldata.Find(root, t)
	}
	return location, err
}

// stored lists the tensors of a model, wherever they are.
func stored(model *onnxpb.ModelProto) (tensors []*onnxpb.TensorProto) {
	sparse := func(list ...*onnxpb.SparseTensorProto) {
		for _, t := range list {
			tensors = append(tensors, t.GetValues(), t.GetIndices())
		}
	}
	graph := func(g *onnxpb.GraphProto) {
		tensors = append(tensors, g.GetInitializer()...)
		sparse(g.GetSparseInitializer()...)
	}
	node := func(n *onnxpb.NodeProto) {
		for _, a := range n.GetAttribute() {
			tensors = append(append(tensors, a.GetT()), a.GetTensors()...)
			sparse(a.GetSparseTensors()...)
			sparse(a.GetSparseTensor())
		}
		for _, g := range subgraphs(n) {
			graph(g)
		}
	}
	graph(model.GetGraph())
	eachNode(model.GetGraph().GetNode(), node)
	for _, f := range model.GetFunctions() {
		node(&onnxpb.NodeProto{Attribute: f.GetAttributeProto()})
		eachNode(f.GetNode(), node)
	}
	return slices.DeleteFunc(tensors, func(t *onnxpb.TensorProto) bool { return t == nil })
}

func (c TensorCount) plus(d TensorCount) TensorCount {
	return TensorCount{c.Tensors + d.Tensors, sum(c.Elements, d.Elements), sum(c.Bytes, d.Bytes)}
}

// sum stays at the largest number where it would overflow: the shapes in a broken
// file can be anything.
func sum(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// otherBits are those of the element types that ops.DType knows no size of.
var otherBits = map[onnxpb.TensorProto_DataType]int64{
	onnxpb.TensorProto_COMPLEX64: 64, onnxpb.TensorProto_COMPLEX128: 128,
	onnxpb.TensorProto_FLOAT8E4M3FN: 8, onnxpb.TensorProto_FLOAT8E4M3FNUZ: 8,
	onnxpb.TensorProto_FLOAT8E5M2: 8, onnxpb.TensorProto_FLOAT8E5M2FNUZ: 8, onnxpb.TensorProto_FLOAT8E8M0: 8,
	onnxpb.TensorProto_UINT4: 4, onnxpb.TensorProto_INT4: 4, onnxpb.TensorProto_FLOAT4E2M1: 4,
	onnxpb.TensorProto_UINT2: 2, onnxpb.TensorProto_INT2: 2,
}

// holds counts a tensor by its type and shape.
func holds(t *onnxpb.TensorProto) (TensorCount, error) {
	elements := uint64(1)
	for _, d := range t.GetDims() {
		high, low := bits.Mul64(elements, uint64(d))
		if d < 0 || high != 0 || low > math.MaxInt64/16 {
			return TensorCount{Tensors: 1}, fmt.Errorf("its shape %v is not one that a tensor can have", t.GetDims())
		}
		elements = low
	}
	count := TensorCount{Tensors: 1, Elements: int64(elements)}
	for _, text := range t.GetStringData() {
		count.Bytes += int64(len(text))
	}
	if size := ops.DType(t.GetDataType()).Size(); size > 0 {
		count.Bytes = count.Elements * int64(size)
	} else if n := otherBits[onnxpb.TensorProto_DataType(t.GetDataType())]; n > 0 {
		count.Bytes = (count.Elements/8)*n + (count.Elements%8*n+7)/8
	}
	return count, nil
}
