package export

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
)

// axes is what the names in the declared shapes of a loss's inputs stand for.
type axes struct {
	sizes map[string][]ops.Dim
	from  map[string]string // what said so, as messages call it
	open  bool              // the number of further axes is unknown
}

func newAxes() axes { return axes{sizes: map[string][]ops.Dim{}, from: map[string]string{}} }

// bind matches an input's declared shape with the one it has.
// label is what messages call it.
func (a *axes) bind(in losses.Input, label string, shape ops.Shape) error {
	if !shape.Known() {
		a.open = a.open || strings.Contains(in.Shape, "...")
		return nil
	}
	names := in.Axes()
	rest := len(shape) - (len(names) - 1)
	further := slices.Contains(names, "...")
	if !further && len(shape) != len(names) || further && rest < 0 {
		return fmt.Errorf("%s has shape %s, but the loss needs [%s]", label, shape, in.Shape)
	}
	if strings.HasPrefix(in.Shape, "N,C,") {
		a.sizes[losses.SpatialAxes], a.from[losses.SpatialAxes] = []ops.Dim{ops.Fixed(len(shape) - 2)}, label
	}
	at := 0
	for _, name := range names {
		n := 1
		if name == "..." {
			n = rest
		}
		if err := a.set(name, shape[at:at+n], label, shape); err != nil {
			return err
		}
		at += n
	}
	return nil
}

func (a *axes) set(name string, dims []ops.Dim, label string, shape ops.Shape) error {
	if fixed, err := strconv.Atoi(name); err == nil {
		if n, ok := dims[0].Size(); ok && n != fixed {
			return fmt.Errorf("%s has shape %s, but its axis of %d has the size %d", label, shape, fixed, n)
		}
		dims = []ops.Dim{ops.Fixed(fixed)}
	}
	known, ok := a.sizes[name]
	if !ok {
		a.sizes[name], a.from[name] = dims, label
		return nil
	}
	fits := len(known) == len(dims)
	for i := 0; fits && i < len(dims); i++ {
		x, fixedX := known[i].Size()
		y, fixedY := dims[i].Size()
		fits = !fixedX || !fixedY || x == y
	}
	if !fits {
		return fmt.Errorf("%s has shape %s, which does not fit %s: %s is %s there", label, shape, a.from[name], name, ops.Shape(known))
	}
	return nil
}

// expand gives an input the shape that the others imply. Names that nothing was
// said of become symbols; there are no further axes unless some were given. An
// input that broadcasts has the same rank and any sizes.
func (a axes) expand(in losses.Input) ops.Shape {
	if a.open && strings.Contains(in.Shape, "...") {
		return nil
	}
	shape := ops.Shape{}
	for _, name := range in.Axes() {
		dims, ok := a.sizes[name]
		fixed, err := strconv.Atoi(name)
		switch {
		case ok:
			shape = append(shape, dims...)
		case err == nil:
			shape = append(shape, ops.Fixed(fixed))
		case name != "...":
			shape = append(shape, ops.Symbolic(name))
		}
	}
	if in.Broadcast {
		return make(ops.Shape, len(shape))
	}
	return shape
}

// shortest is the shape of an input that nothing is said of: [N,C] where the
// declared shape is only "...", and an image's where it has spatial axes.
func shortest(in losses.Input) ops.Shape {
	switch in.Shape {
	case "...":
		return ops.Shape{ops.Symbolic("N"), ops.Symbolic("C")}
	case "N,C,D,...":
		return ops.Shape{ops.Symbolic("N"), ops.Symbolic("C"), ops.Symbolic("H"), ops.Symbolic("W")}
	}
	return newAxes().expand(in)
}

// inputShapes gives every input a shape: those asked for, the shortest one for the
// prediction, and for the others what follows. Messages call inputs by their labels,
// or by their names.
func inputShapes(inputs []losses.Input, asked map[string]ops.Shape, labels map[string]string) (map[string]ops.Shape, error) {
	for name := range asked {
		if !slices.ContainsFunc(inputs, func(in losses.Input) bool { return in.Name == name }) {
			return nil, fmt.Errorf("a shape is given for %q, but the inputs are %s", name, inputNames(inputs))
		}
	}
	a := newAxes()
	shapes := map[string]ops.Shape{}
	told := slices.ContainsFunc(inputs, func(in losses.Input) bool {
		_, ok := asked[in.Name]
		return ok && !in.Broadcast && strings.Contains(in.Shape, "...")
	})
	for _, in := range inputs {
		shape, ok := asked[in.Name]
		if !ok && in.Role == losses.Prediction && !told {
			shape, ok = shortest(in), true
		}
		if !ok {
			continue
		}
		shapes[in.Name] = shape
		if in.Broadcast {
			continue
		}
		label := in.Name
		if labels[in.Name] != "" {
			label = labels[in.Name]
		}
		if err := a.bind(in, label, shape); err != nil {
			return nil, err
		}
	}
	for _, in := range inputs {
		if _, ok := shapes[in.Name]; !ok {
			shapes[in.Name] = a.expand(in)
		}
	}
	return shapes, nil
}

func inputNames(inputs []losses.Input) string {
	names := make([]string, len(inputs))
	for i, in := range inputs {
		names[i] = in.Name
	}
	return strings.Join(names, ", ")
}
