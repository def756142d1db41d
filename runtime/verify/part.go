package verify

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// withOutputs is the model with further tensors among its outputs.
func (f *file) withOutputs(names []string) (*models.Model, error) {
	edit := f.model.Edit()
	for _, name := range names {
		if !slices.ContainsFunc(f.model.Outputs(), func(t models.Tensor) bool { return t.Name == name }) {
			edit.AddOutputs(f.info(name))
		}
	}
	return edit.Model()
}

// info declares a tensor of the model with any shape.
func (f *file) info(name string) *onnxpb.ValueInfoProto {
	t, _ := f.model.Tensor(name)
	if t.DType == ops.Undefined {
		t.DType = f.DType
	}
	return ops.ValueInfo(name, t.DType, nil)
}

// part is the model cut down to what computes some tensors, and the names that it
// reads.
func (f *file) part(names []string) (*models.Model, map[string]bool, error) {
	edit, needed := f.model.Edit(), map[string]bool{}
	for _, name := range names {
		needed[name] = true
	}
	graph := edit.Proto().Graph
	kept := map[int]bool{}
	for i, n := range slices.Backward(graph.Node) {
		if slices.ContainsFunc(n.Output, func(name string) bool { return needed[name] }) {
			need(n, needed)
			kept[i] = true
		}
	}
	edit.Keep(models.Nodes, func(i int) bool { return kept[i] })
	inputs, initializers := slices.Clone(graph.Input), slices.Clone(graph.Initializer)
	edit.Keep(models.Inputs, func(i int) bool { return needed[inputs[i].GetName()] })
	edit.Keep(models.Initializers, func(i int) bool { return needed[initializers[i].GetName()] })
	edit.Keep(models.Outputs, func(int) bool { return false })
	for _, name := range names {
		edit.AddOutputs(f.info(name))
	}
	part, err := edit.Model()
	return part, needed, err
}

// need adds what a node reads, in the graphs inside it too.
func need(n *onnxpb.NodeProto, needed map[string]bool) {
	for _, name := range n.Input {
		needed[name] = true
	}
	for _, a := range n.Attribute {
		for _, g := range append(slices.Clone(a.Graphs), a.G) {
			for _, inner := range g.GetNode() {
				need(inner, needed)
			}
			for _, out := range g.GetOutput() {
				needed[out.GetName()] = true
			}
		}
	}
}

// own draws an input that is the model's and not the loss's: small numbers that
// are valid for most models.
func (d *drawer) own(t models.Tensor, shape []int) (engine.Tensor, error) {
	numbers := make([]float64, product(shape))
	for i := range numbers {
		switch {
		case t.DType.IsFloat():
			numbers[i] = d.NormFloat64()
		case t.DType == ops.Bool || t.DType.IsInteger():
			numbers[i] = float64(d.IntN(2))
		}
	}
	made, err := engine.FromFloat64s(t.DType, shape, numbers)
	if err != nil {
		return made, fmt.Errorf("the model's input %q is of type %s, which no input can be drawn for: %w", t.Name, t.DType, err)
	}
	return made, nil
}

// The sizes that axes without one are given. An axis of the model's own may be a
// picture's, which must survive pooling.
const (
	batchSize   = 4
	classesSize = 5
	restSize    = 3
	imageSize   = 9
	ownSize     = 32
)

// solver finds sizes for the axes that a file leaves open, so that names mean the
// same everywhere.
type solver struct {
	axes    map[string]int // by name in a loss's declaration
	symbols map[string]int // by name in the file
	rest    int            // how many axes "..." is, -1 while not known
}

func newSolver() *solver {
	return &solver{axes: map[string]int{}, symbols: map[string]int{}, rest: -1}
}

// forLoss starts on another declaration in the same file.
func (s *solver) forLoss() *solver {
	return &solver{axes: map[string]int{}, symbols: s.symbols, rest: -1}
}

func fixedShape(dims []int) ops.Shape {
	shape := make(ops.Shape, len(dims))
	for i, n := range dims {
		shape[i] = ops.Fixed(n)
	}
	return shape
}

// ownShape gives an input of the model's own a shape.
func (s *solver) ownShape(shape ops.Shape) []int {
	if !shape.Known() {
		return []int{batchSize}
	}
	dims := make([]int, len(shape))
	for i, d := range shape {
		size := ownSize
		if i == 0 {
			size = batchSize
		}
		dims[i] = s.resolve(d, size)
	}
	return dims
}

// resolve gives a dimension its size, or that of its symbol, or the one proposed,
// which the symbol then keeps.
func (s *solver) resolve(d ops.Dim, proposed int) int {
	if n, ok := d.Size(); ok {
		return n
	}
	if d.Symbol() == "" {
		return proposed
	}
	if n, ok := s.symbols[d.Symbol()]; ok {
		return n
	}
	s.symbols[d.Symbol()] = proposed
	return proposed
}

// learn binds the names of an input's declaration to a shape in the file.
func (s *solver) learn(in losses.Input, shape ops.Shape) {
	if !shape.Known() || in.Broadcast {
		return
	}
	names := in.Axes()
	if slices.Contains(names, "...") {
		s.rest = len(shape) - (len(names) - 1)
	}
	if strings.HasPrefix(in.Shape, "N,C,") {
		s.axes[losses.SpatialAxes] = len(shape) - 2
	}
	for i, name := range axesOf(in, max(s.rest, 0)) {
		if i >= len(shape) {
			return // the loss refuses this shape, and says why
		}
		n, fixed := shape[i].Size()
		bound, known := s.symbols[shape[i].Symbol()]
		size, settled := s.axes[name]
		switch {
		case fixed:
			s.axes[name] = n
		case settled && shape[i].Symbol() != "":
			s.symbols[shape[i].Symbol()] = size
		case known:
			s.axes[name] = bound
		}
	}
}

// axis gives an axis of a declaration its size.
func (s *solver) axis(name string) int {
	if n, ok := s.axes[name]; ok {
		return n
	}
	if n, err := strconv.Atoi(name); err == nil {
		return n
	}
	switch name {
	case "N":
		return batchSize
	case "C":
		return classesSize
	case "H", "W":
		return imageSize
	case "S": // a style for all samples
		return 1
	}
	return restSize
}

// shapeOf gives an input of the loss a shape that fits the file and the others.
func (s *solver) shapeOf(in losses.Input, shape ops.Shape) []int {
	if s.rest < 0 {
		s.rest = 0
		if in.Shape == "..." {
			s.rest = 2
		}
	}
	axes := axesOf(in, s.rest)
	dims := []int{}
	if !shape.Known() {
		for _, name := range axes {
			dims = append(dims, s.axis(name))
		}
		return dims
	}
	for i, d := range shape {
		proposed := 1
		if !in.Broadcast && i < len(axes) {
			proposed = s.axis(axes[i])
		}
		n := s.resolve(d, proposed)
		dims = append(dims, n)
		if !in.Broadcast && i < len(axes) {
			s.axes[axes[i]] = n
		}
	}
	return dims
}
