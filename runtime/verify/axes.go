package verify

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
)

// size chooses among the sizes that a model with symbolic axes is run at.
type size int

const (
	small size = iota
	single
	large
	empty
)

// sizes gives the axes' sizes: those with a name, the axes of "...", and any other.
var sizes = map[size]struct {
	named   map[string]int
	further []int // beside a batch axis
	only    []int // without one
	other   int
}{
	small:  {map[string]int{"N": 3, "C": 5, "H": 5, "W": 4, "S": 1, "P": 4, "Q": 7}, []int{2, 3, 2, 1}, []int{9, 4, 3, 2}, 3},
	single: {map[string]int{"N": 2, "C": 1, "H": 3, "W": 3, "S": 2, "P": 3, "Q": 3}, []int{1, 3, 1, 2}, []int{1, 3, 1, 2}, 3},
	empty:  {map[string]int{"N": 0, "C": 3, "H": 3, "W": 3, "S": 1, "P": 2, "Q": 3}, []int{2, 1, 1, 1}, []int{0, 3, 1, 2}, 3},
	large:  {map[string]int{"N": 24, "C": 7, "H": 6, "W": 9, "S": 24, "P": 8, "Q": 5}, []int{4, 3, 1, 2}, []int{64, 4, 3, 2}, 3},
}

// ranksOf lists how many axes "..." stands for when a loss is verified, first the
// number that makes predictions of rank 2.
func ranksOf(loss *losses.Loss) []int {
	open, named := false, false
	for _, in := range loss.Inputs {
		for _, name := range in.Axes() {
			open = open || name == "..."
			named = named || name != "..." && !in.Broadcast && in.Role == losses.Prediction
		}
	}
	switch {
	case !open:
		return []int{0}
	case named:
		return []int{0, 2}
	}
	return []int{2, 1, 3, 4}
}

// axesOf writes a declared shape with "..." spelt out as d1, d2 and so on.
func axesOf(in losses.Input, rest int) []string {
	axes := []string{}
	for _, name := range in.Axes() {
		if name != "..." {
			axes = append(axes, name)
			continue
		}
		for i := range rest {
			axes = append(axes, fmt.Sprintf("d%d", i+1))
		}
	}
	return axes
}

// inputAxes is the axes that an input is given. One that broadcasts has, in turn,
// all axes, only the second, only the last, or none; "1" stands for an axis of one.
func inputAxes(in losses.Input, rest, nth int) []string {
	axes := axesOf(in, rest)
	if !in.Broadcast || len(axes) == 0 {
		return axes
	}
	switch (len(axes) + nth) % 4 {
	case 1:
		if len(axes) == 1 {
			return []string{"1"}
		}
		return append([]string{axes[1]}, slices.Repeat([]string{"1"}, len(axes)-2)...)
	case 2:
		return axes[len(axes)-1:]
	case 3:
		return []string{"1"}
	}
	return axes
}

func symbolicShape(axes []string) ops.Shape {
	shape := make(ops.Shape, len(axes))
	for i, axis := range axes {
		if n, err := strconv.Atoi(axis); err == nil {
			shape[i] = ops.Fixed(n)
		} else {
			shape[i] = ops.Symbolic(axis)
		}
	}
	return shape
}

// dimensions gives the axes their sizes.
func dimensions(axes []string, s size, batched bool) []int {
	chosen := sizes[s]
	further := chosen.only
	if batched {
		further = chosen.further
	}
	dims := make([]int, len(axes))
	for i, axis := range axes {
		n, err := strconv.Atoi(axis)
		named, ok := chosen.named[axis]
		nth := furtherAxis(axis)
		switch {
		case err == nil:
			dims[i] = n
		case ok:
			dims[i] = named
		case nth >= 0:
			dims[i] = further[nth]
		default:
			dims[i] = chosen.other
		}
	}
	return dims
}

// furtherAxis numbers the axes d1 to d4 from 0; any other name is -1.
func furtherAxis(axis string) int {
	if n, err := strconv.Atoi(strings.TrimPrefix(axis, "d")); err == nil && n >= 1 && n <= 4 {
		return n - 1
	}
	return -1
}
