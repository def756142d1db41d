package ops

import (
	"fmt"
	"strconv"
	"strings"
)

// Dim is the size of one axis: a number, a symbol that stands for the same
// number wherever it occurs in a model, or unknown (the zero Dim).
type Dim struct {
	size   int
	fixed  bool
	symbol string
}

// Fixed is an axis of n elements.
func Fixed(n int) Dim { return Dim{size: n, fixed: true} }

// Symbolic is an axis whose size has a name.
func Symbolic(name string) Dim { return Dim{symbol: name} }

// Size gives the number of elements, and whether it is known.
func (d Dim) Size() (int, bool) { return d.size, d.fixed }

// Symbol is the name of a symbolic axis, else "".
func (d Dim) Symbol() string { return d.symbol }

// String writes the number, the symbol, or "?".
func (d Dim) String() string {
	switch {
	case d.fixed:
		return strconv.Itoa(d.size)
	case d.symbol != "":
		return d.symbol
	}
	return "?"
}

// Shape is the axes of a tensor. A nil Shape says that even the rank is unknown;
// an empty one that is not nil is a scalar's.
type Shape []Dim

// Known reports whether the rank is known.
func (s Shape) Known() bool { return s != nil }

// String writes a shape as ParseShape reads it.
func (s Shape) String() string {
	if !s.Known() {
		return "[...]"
	}
	parts := make([]string, len(s))
	for i, d := range s {
		parts[i] = d.String()
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// ParseShape reads "N,C,8,8": numbers are fixed sizes, names are symbols, "?" is
// an unknown size and "..." alone a shape of unknown rank. Brackets are optional;
// "[]" is a scalar.
func ParseShape(text string) (Shape, error) {
	inner := strings.TrimSpace(text)
	if strings.HasPrefix(inner, "[") && strings.HasSuffix(inner, "]") {
		inner = inner[1 : len(inner)-1]
	}
	switch strings.TrimSpace(inner) {
	case "...":
		return nil, nil
	case "":
		return Shape{}, nil
	}
	var shape Shape
	for part := range strings.SplitSeq(inner, ",") {
		part = strings.TrimSpace(part)
		n, err := strconv.Atoi(part)
		switch {
		case err == nil && n < 0:
			return nil, fmt.Errorf("ops: shape %q has the negative size %d; use a name for a size that varies", text, n)
		case err == nil:
			shape = append(shape, Fixed(n))
		case part == "?":
			shape = append(shape, Dim{})
		case isSymbol(part):
			shape = append(shape, Symbolic(part))
		default:
			return nil, fmt.Errorf("ops: shape %q: %q is neither a number nor a name; write a shape as in N,C,8,8", text, part)
		}
	}
	return shape, nil
}

func isSymbol(s string) bool {
	for i, r := range s {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

// broadcast gives the shape that numpy's rule makes of two, or ok = false where
// they are known not to fit.
func broadcast(a, b Shape) (shape Shape, ok bool) {
	if !a.Known() || !b.Known() {
		return nil, true
	}
	if len(a) < len(b) {
		a, b = b, a
	}
	shape = append(Shape{}, a...)
	offset := len(a) - len(b)
	for i, d := range b {
		merged, ok := broadcastDim(a[offset+i], d)
		if !ok {
			return nil, false
		}
		shape[offset+i] = merged
	}
	return shape, true
}

func broadcastDim(a, b Dim) (Dim, bool) {
	one := Fixed(1)
	switch {
	case a == b || b == one:
		return a, true
	case a == one:
		return b, true
	case a.fixed && b.fixed:
		return Dim{}, false
	case a.fixed:
		return a, true
	case b.fixed:
		return b, true
	}
	return Dim{}, true
}
