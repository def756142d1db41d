package interp

import (
	"fmt"
	"slices"
	"strings"

	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// A signature is the inputs and outputs of an operator, written as in
// "F F F? -> F". Each letter is an element type, the same one wherever it stands
// again, except that I and U are independent each time. After it, "?" marks an
// input that may be missing, and "*" any number of inputs or outputs, at least one.
type signature struct {
	inputs, outputs []parameter
}

type parameter struct {
	letter             byte
	optional, variadic bool
}

// letters says which element types each letter allows.
var letters = map[byte]struct {
	allows func(ops.DType) bool
	words  string
}{
	'F': {ops.DType.IsFloat, "a floating-point type"},
	'G': {ops.DType.IsFloat, "a floating-point type"},
	'H': {ops.DType.IsFloat, "a floating-point type"},
	'N': {isNumber, "a number"},
	'P': {isNumber, "a number"},
	'M': {func(d ops.DType) bool { return isNumber(d) || d == ops.Bool }, "a number or bool"},
	'E': {isKnown, "a type of this engine"},
	'J': {ops.DType.IsInteger, "an integer type"},
	'A': {isKnown, "a type of this engine"},
	'C': {isKnown, "a type of this engine"},
	'U': {isKnown, "a type of this engine"},
	'B': {func(d ops.DType) bool { return d == ops.Bool }, "bool"},
	'I': {func(d ops.DType) bool { return d == ops.Int32 || d == ops.Int64 }, "int32 or int64"},
	'L': {func(d ops.DType) bool { return d == ops.Int64 }, "int64"},
	'S': {func(d ops.DType) bool { return d == ops.Float32 }, "float32"},
}

func isNumber(d ops.DType) bool { return d.IsFloat() || d.IsInteger() }

func isKnown(d ops.DType) bool { return isNumber(d) || d == ops.Bool || d == ops.String }

// widened reports whether the half types of a letter are computed in float32.
func widened(letter byte) bool { return strings.IndexByte("FGHNPME", letter) >= 0 }

func parseSignature(text string) (signature, error) {
	before, after, ok := strings.Cut(text, "->")
	if !ok {
		return signature{}, fmt.Errorf("signature %q has no arrow", text)
	}
	inputs, err := parseParameters(before)
	if err != nil {
		return signature{}, err
	}
	outputs, err := parseParameters(after)
	return signature{inputs, outputs}, err
}

func parseParameters(text string) ([]parameter, error) {
	var list []parameter
	for _, word := range strings.Fields(text) {
		if _, known := letters[word[0]]; !known {
			return nil, fmt.Errorf("signature has an unknown letter in %q", word)
		}
		list = append(list, parameter{word[0], strings.Contains(word, "?"), strings.Contains(word, "*")})
	}
	return list, nil
}

// at gives the parameter that the i-th input or output belongs to.
func at(list []parameter, i int) (parameter, bool) {
	if i < len(list) {
		return list[i], true
	}
	if len(list) > 0 && list[len(list)-1].variadic {
		return list[len(list)-1], true
	}
	return parameter{}, false
}

// checkArity compares what a node lists with the signature; present says which
// inputs are there.
func (s signature) checkArity(present []bool, outputs int) error {
	for i := range present {
		p, ok := at(s.inputs, i)
		if !ok {
			return fmt.Errorf("got %d inputs, want at most %d", len(present), len(s.inputs))
		}
		if !present[i] && !p.optional {
			return fmt.Errorf("input %d is missing", i)
		}
	}
	if n := len(present); n < len(s.inputs) && !s.inputs[n].optional {
		return fmt.Errorf("got %d inputs, input %d is missing", n, n)
	}
	if outputs == 0 {
		return nil
	}
	if _, ok := at(s.outputs, outputs-1); !ok {
		return fmt.Errorf("got %d outputs, want at most %d", outputs, len(s.outputs))
	}
	return nil
}

// typed checks the element types of a call's inputs.
func (s signature) typed(in []engine.Tensor) error {
	first := map[byte]int{}
	for i, t := range in {
		p, _ := at(s.inputs, i)
		if t.IsZero() {
			continue
		}
		if rule := letters[p.letter]; !rule.allows(t.DType()) {
			return fmt.Errorf("input %d is %s, want %s: %w", i, t, rule.words, engine.ErrUnsupported)
		}
		if strings.IndexByte("IU", p.letter) >= 0 {
			continue
		}
		if j, seen := first[p.letter]; !seen {
			first[p.letter] = i
		} else if in[j].DType() != t.DType() {
			return fmt.Errorf("input %d is %s and input %d is %s; they must have one element type", j, in[j], i, t)
		}
	}
	return nil
}

// wrap turns the kernel of an operator, written for the wide types, into one that
// checks its inputs, takes the half types, and always sees every optional input.
func (s signature) wrap(k kernel) kernel {
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		if err := s.typed(in); err != nil {
			return nil, err
		}
		wide := slices.Clone(in)
		halves := map[byte]ops.DType{}
		for i, t := range in {
			p, _ := at(s.inputs, i)
			if t.DType().IsHalf() && widened(p.letter) {
				halves[p.letter] = t.DType()
				wide[i] = widen(t)
			}
		}
		for len(wide) < len(s.inputs) {
			wide = append(wide, engine.Tensor{})
		}
		out, err := k(wide)
		if err != nil || len(halves) == 0 {
			return out, err
		}
		return s.narrow(out, halves)
	}
}

func (s signature) narrow(out []engine.Tensor, halves map[byte]ops.DType) ([]engine.Tensor, error) {
	narrowed := slices.Clone(out)
	for i, t := range out {
		p, _ := at(s.outputs, i)
		half, ok := halves[p.letter]
		if !ok || t.DType() != ops.Float32 {
			continue
		}
		var err error
		if narrowed[i], err = cast(t, half); err != nil {
			return nil, err
		}
	}
	return narrowed, nil
}
