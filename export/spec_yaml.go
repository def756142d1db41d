package export

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/onnxloss/onnxloss/internal/spelling"
	"go.yaml.in/yaml/v4"
)

// document parses YAML that is one document, and gives its content.
func document(data []byte) (*yaml.Node, error) {
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	var first, second yaml.Node
	if err := loader.Load(&first); errors.Is(err, io.EOF) {
		return nil, errors.New("there is nothing in it; list losses under the key losses")
	} else if err != nil {
		return nil, notYAML(err)
	}
	if err := loader.Load(&second); err == nil {
		return nil, fmt.Errorf("line %d: a second document begins; a spec is one", second.Line)
	} else if !errors.Is(err, io.EOF) {
		return nil, notYAML(err)
	}
	return first.Content[0], nil
}

// notYAML says where the text cannot be read.
func notYAML(err error) error {
	mistake, ok := errors.AsType[*yaml.LoadError](err)
	switch {
	case !ok:
		return fmt.Errorf("it is not YAML: %s", oneLine(err.Error()))
	case mistake.Mark.Line == 0:
		return fmt.Errorf("it is not YAML: %s", oneLine(mistake.Message))
	}
	return fmt.Errorf("line %d: it is not YAML: %s", mistake.Mark.Line, oneLine(mistake.Message))
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// specReader turns the nodes of a document into values and keeps the first mistake.
type specReader struct{ err error }

// reading makes a value of a node; what is the node's name in an error.
type reading[T any] func(n *yaml.Node, what string) T

func (r *specReader) fail(n *yaml.Node, format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("line %d: %w", n.Line, fmt.Errorf(format, args...))
	}
}

// section reads a mapping whose keys are among those known.
func (r *specReader) section(n *yaml.Node, what string, known []string) map[string]*yaml.Node {
	n = resolved(n)
	if n.Kind != yaml.MappingNode {
		r.fail(n, "%s must be a mapping of keys to values, found %s", what, found(n))
		return nil
	}
	fields, lines := map[string]*yaml.Node{}, map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := resolved(n.Content[i])
		if key.ShortTag() == "!!merge" {
			r.fail(key, "%s has the merge key <<, which is not read; write the keys out, or give a whole value by its anchor", what)
		}
		name := r.text(key, "a key of "+what)
		r.known(key, "key", name, known)
		if line, twice := lines[name]; twice {
			r.fail(key, "%s has the key %s twice, on line %d too; leave one out", what, short(name), line)
		}
		fields[name], lines[name] = resolved(n.Content[i+1]), key.Line
	}
	return fields
}

// known refuses a name that is none of those known.
func (r *specReader) known(n *yaml.Node, kind, name string, known []string) {
	if r.err != nil || slices.Contains(known, name) {
		return
	}
	close := spelling.Closest(name, known)
	switch {
	case close != "":
		r.fail(n, "unknown %s %s; did you mean %q?", kind, short(name), close)
	case len(known) == 0:
		r.fail(n, "unknown %s %s; there is none", kind, short(name))
	default:
		r.fail(n, "unknown %s %s; known are %s", kind, short(name), strings.Join(known, ", "))
	}
}

// optional reads the value of a key that may be there.
func optional[T any](fields map[string]*yaml.Node, key string, read reading[T], into *T) {
	if n, ok := fields[key]; ok {
		*into = read(n, key)
	}
}

// required reads the value of a key that must be there.
func required[T any](r *specReader, in *yaml.Node, fields map[string]*yaml.Node, key string, read reading[T], into *T) {
	if _, ok := fields[key]; !ok {
		r.fail(in, "the key %s is missing; add it", key)
	}
	optional(fields, key, read, into)
}

// byName reads a mapping from known names to values.
func byName[T any](r *specReader, known []string, read reading[T]) reading[map[string]T] {
	return func(n *yaml.Node, what string) map[string]T {
		fields := r.section(n, what, known)
		values := map[string]T{}
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			values[name] = read(fields[name], name)
		}
		return values
	}
}

// parsed reads text that a function knows how to take apart.
func parsed[T any](r *specReader, parse func(string) (T, error)) reading[T] {
	return func(n *yaml.Node, what string) T {
		value, err := parse(r.text(n, what))
		if err != nil {
			r.fail(n, "%s: %w", what, err)
		}
		return value
	}
}

func (r *specReader) text(n *yaml.Node, what string) string {
	switch {
	case n.Kind != yaml.ScalarNode, n.ShortTag() == "!!null":
		r.fail(n, "%s must be text, found %s", what, found(n))
	case n.ShortTag() != "!!str":
		r.fail(n, "%s must be text, found %s; write it in quotes", what, found(n))
	case n.Value == "":
		r.fail(n, "%s is empty; leave it out, or give it a value", what)
	}
	return n.Value
}

func (r *specReader) flag(n *yaml.Node, what string) bool {
	value := strings.ToLower(n.Value)
	if n.ShortTag() != "!!bool" || value != "true" && value != "false" {
		r.fail(n, "%s must be true or false, found %s", what, found(n))
	}
	return value == "true"
}

func (r *specReader) list(n *yaml.Node, what string) []*yaml.Node {
	switch {
	case n.Kind != yaml.SequenceNode:
		r.fail(n, "%s must be a list, found %s", what, found(n))
	case len(n.Content) == 0:
		r.fail(n, "%s is an empty list; leave it out, or list something", what)
	}
	return n.Content
}

// isNumeric reports whether YAML takes a node for a number.
func isNumeric(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!int" || n.ShortTag() == "!!float")
}

// decimal is the one way to write numbers that all versions of YAML read alike.
var decimal = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][-+]?[0-9]+)?$`)

func (r *specReader) number(n *yaml.Node, what string) float64 {
	if !isNumeric(n) {
		r.fail(n, "%s must be a number, found %s", what, found(n))
		return 0
	}
	x, err := strconv.ParseFloat(n.Value, 64)
	if err != nil || math.IsInf(x, 0) || !decimal.MatchString(n.Value) {
		r.fail(n, "%s must be a finite number, written as 25, 0.5 or 1e-3, found %s", what, short(n.Value))
	}
	return x
}

func (r *specReader) whole(n *yaml.Node, what string) int64 {
	if n.ShortTag() != "!!int" {
		r.fail(n, "%s must be a whole number, found %s", what, found(n))
		return 0
	}
	i, err := strconv.ParseInt(n.Value, 10, 64)
	if err != nil || !decimal.MatchString(n.Value) {
		r.fail(n, "%s must be a whole number, written as 25, found %s", what, short(n.Value))
	}
	return i
}

// resolved follows an alias to what its anchor is at.
func resolved(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// found says what a node is.
func found(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.ShortTag() == "!!null":
		return "nothing"
	case n.ShortTag() == "!!str":
		return "the text " + short(n.Value)
	case isNumeric(n):
		return "the number " + short(n.Value)
	}
	return short(n.Value)
}

// short quotes text, and cuts what is too long for a sentence.
func short(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "..."
	}
	return strconv.Quote(text)
}
