package interp

import (
	"fmt"
	"slices"
	"strings"

	"github.com/onnxloss/onnxloss/runtime/engine"
)

// einsum multiplies and sums over the axes that an equation names by letters.
func einsum(a *attributes) kernel {
	a.require("equation")
	equation := strings.ReplaceAll(a.text("equation", ""), " ", "")
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		left, right, explicit := strings.Cut(equation, "->")
		terms := strings.Split(left, ",")
		if len(terms) != len(in) {
			return nil, fmt.Errorf("equation %q has %d terms for %d inputs", equation, len(terms), len(in))
		}
		labels := make([]string, len(in))
		sizes := map[rune]int{}
		ellipsis := ""
		for i, t := range in {
			var err error
			if labels[i], err = labelAxes(terms[i], len(t.Shape())); err != nil {
				return nil, fmt.Errorf("equation %q: %w", equation, err)
			}
			if err := measure(sizes, labels[i], t.Shape()); err != nil {
				return nil, fmt.Errorf("equation %q: %w", equation, err)
			}
			if e := strings.TrimFunc(labels[i], isLetter); len(e) > len(ellipsis) {
				ellipsis = e
			}
		}
		result := strings.Replace(right, "...", ellipsis, 1)
		if !explicit {
			result = implicitResult(labels, ellipsis)
		}
		return one(contract(in, labels, result, sizes))
	}
}

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

// ellipsisLabel is the label of an axis that "..." stands for, counted from the
// last; digits cannot be labels in an equation.
const ellipsisLabel = "9876543210"

// labelAxes gives every axis of a term a label of its own.
func labelAxes(term string, rank int) (string, error) {
	before, after, dots := strings.Cut(term, "...")
	if strings.ContainsFunc(before+after, func(r rune) bool { return !isLetter(r) }) {
		return "", fmt.Errorf("term %q has other signs than letters and one ellipsis", term)
	}
	hidden := rank - len(before) - len(after)
	if hidden < 0 || hidden > 0 && !dots || hidden > len(ellipsisLabel) {
		return "", fmt.Errorf("term %q does not fit rank %d", term, rank)
	}
	return before + ellipsisLabel[len(ellipsisLabel)-hidden:] + after, nil
}

// measure notes the size of every label; axes of size 1 stretch.
func measure(sizes map[rune]int, labels string, shape []int) error {
	for axis, label := range labels {
		d := shape[axis]
		known, seen := sizes[label]
		switch {
		case !seen || known == 1:
			sizes[label] = d
		case d != known && d != 1:
			return fmt.Errorf("label %q is %d and %d", label, known, d)
		}
	}
	return nil
}

// implicitResult is the ellipsis and the labels that stand once, in order.
func implicitResult(labels []string, ellipsis string) string {
	all := strings.Join(labels, "")
	var once []rune
	for _, label := range all {
		if isLetter(label) && strings.Count(all, string(label)) == 1 {
			once = append(once, label)
		}
	}
	slices.Sort(once)
	return ellipsis + string(once)
}

func contract(in []engine.Tensor, labels []string, result string, sizes map[rune]int) (engine.Tensor, error) {
	shape, summed := []int{}, []int{}
	rest := ""
	for _, label := range result {
		if _, known := sizes[label]; !known || strings.Count(result, string(label)) > 1 {
			return engine.Tensor{}, fmt.Errorf("the result %q names %q, which is unknown or there twice", result, label)
		}
		shape = append(shape, sizes[label])
	}
	for label := range sizes {
		if !strings.ContainsRune(result, label) {
			rest += string(label)
			summed = append(summed, sizes[label])
		}
	}
	n, err := room(shape, 8)
	if err != nil {
		return engine.Tensor{}, err
	}
	if n == 0 {
		return engine.Zeros(in[0].DType(), shape)
	}
	if _, err := room(summed, 8); err != nil {
		return engine.Tensor{}, err
	}
	outer, inner := make([][]int, len(in)), make([][]int, len(in))
	for i, t := range in {
		outer[i] = offsets(shape, labelStrides(result, labels[i], t.Shape()))
		inner[i] = offsets(summed, labelStrides(rest, labels[i], t.Shape()))
	}
	return numbersOf(in[0]).contract(shape, in, outer, inner)
}

// labelStrides says how far apart a tensor's elements lie along each of some
// labels; 0 along those that it does not have or is stretched on.
func labelStrides(of, labels string, shape []int) []int {
	own := stridesOf(shape)
	strides := make([]int, len(of))
	for i, label := range of {
		for axis, have := range labels {
			if have == label && shape[axis] != 1 {
				strides[i] += own[axis]
			}
		}
	}
	return strides
}

func (v vector[T, A]) contract(shape []int, in []engine.Tensor, outer, inner [][]int) (engine.Tensor, error) {
	out, err := allocate[T](shape)
	if err != nil {
		return engine.Tensor{}, err
	}
	data := make([][]T, len(in))
	for i, t := range in {
		data[i] = engine.Data[T](t)
	}
	for at := range out {
		var total A
		for k := range inner[0] {
			term := A(1)
			for i := range data {
				term *= A(data[i][outer[i][at]+inner[i][k]])
			}
			total += term
		}
		out[at] = T(total)
	}
	return engine.New(shape, out)
}
