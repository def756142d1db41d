package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// fewest is how many elements of a list are shown where not all are.
const fewest = 10

// print writes what was found, laid out for columns.
func (about inspection) print(w io.Writer, all bool) error {
	var page bytes.Buffer
	fmt.Fprintln(&page, quoted(about.File))
	if err := writeTable(&page, 2, about.facts(all)); err != nil {
		return err
	}
	few, defaults := fewest, []string{}
	if all {
		few, defaults = math.MaxInt, about.Defaults
	}
	parts := []struct {
		title string
		rows  [][]string
		few   int
	}{
		{"INPUTS", each(about.Inputs, tensorJSON.row), few},
		{"OUTPUTS", each(about.Outputs, tensorJSON.row), few},
		{"INITIALIZERS THAT ARE INPUTS TOO", each(defaults, func(name string) []string { return []string{quoted(name)} }), few},
		{"FUNCTIONS", each(about.Functions, functionJSON.row), few},
		{"CANDIDATES FOR A PREDICTION", each(about.Candidates, candidateJSON.row), few},
		{"LOSSES", about.lossRows(), math.MaxInt},
		{"PROBLEMS", each(about.Problems, func(text string) []string { return []string{text} }), fewest},
		{"LAYERS", each(about.Layers, tensorJSON.row), math.MaxInt},
	}
	for _, p := range parts {
		if err := writePart(&page, p.title, p.rows, p.few); err != nil {
			return err
		}
	}
	_, err := w.Write(page.Bytes())
	return err
}

// writePart writes the first few rows under a title. A name that leaves too little
// room for what follows it has a line of its own.
func writePart(page *bytes.Buffer, title string, rows [][]string, few int) error {
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintf(page, "\n%s\n", title)
	const widest = 36
	var table [][]string
	for _, row := range rows[:min(few, len(rows))] {
		if len(row) > 1 && utf8.RuneCountInString(row[0]) > widest {
			table = append(table, row[:1])
			row = slices.Concat([]string{""}, row[1:])
		}
		table = append(table, row)
	}
	if err := writeTable(page, 2, table); err != nil {
		return err
	}
	if more := len(rows) - few; more > 0 {
		fmt.Fprintf(page, "  ... and %d more (--all shows them)\n", more)
	}
	return nil
}

// facts are the rows about the model as a whole.
func (about inspection) facts(all bool) [][]string {
	rows := [][]string{
		{"file", bytesText(about.Bytes)},
		{"made by", about.producer()},
		{"opset", about.opsets()},
		{"IR version", fmt.Sprint(about.IR)},
		{"nodes", about.nodes(all)},
	}
	if len(about.Subgraphs) > 0 {
		rows = append(rows, []string{"subgraphs", about.subgraphs()})
	}
	if about.Quantized {
		rows = append(rows, []string{"quantized", operatorsText(about.Quantizing, math.MaxInt)})
	}
	title := "weights"
	for _, t := range about.Weights {
		rows = append(rows, []string{title, t.Type + ": " + t.countJSON.text()})
		title = ""
	}
	for _, f := range about.Stored {
		if f.File != "" {
			rows = append(rows, []string{"stored", quoted(f.File) + ": " + f.countJSON.text()})
		} else if len(about.Stored) > 1 {
			rows = append(rows, []string{"stored", "in the model's own file: " + f.countJSON.text()})
		}
	}
	if n := len(about.Defaults); n > 0 {
		rows = append(rows, []string{"defaults", counted(int64(n), "initializer") + " listed among the inputs too, as IR 3 wants it"})
	}
	return rows
}

func (about inspection) producer() string {
	if about.Producer.Name == "" && about.Producer.Version == "" {
		return "the file does not say"
	}
	name := "?"
	if about.Producer.Name != "" {
		name = quoted(about.Producer.Name)
	}
	if about.Producer.Version == "" {
		return name
	}
	return name + " " + quoted(about.Producer.Version)
}

func (about inspection) opsets() string {
	list := each(about.Opsets, func(o opsetJSON) string {
		if o.Domain == "" || o.Domain == "ai.onnx" {
			return fmt.Sprint(o.Version)
		}
		return fmt.Sprintf("%s %d", quoted(o.Domain), o.Version)
	})
	return strings.Join(list, ", ")
}

func (about inspection) nodes(all bool) string {
	if len(about.Operators) == 0 {
		return fmt.Sprint(about.Nodes)
	}
	few := fewest
	if all {
		few = math.MaxInt
	}
	text := operatorsText(about.Operators, few)
	inside := -about.Nodes
	for _, o := range about.Operators {
		inside += o.Nodes
	}
	if inside > 0 {
		return fmt.Sprintf("%d, and %d in subgraphs and functions: %s", about.Nodes, inside, text)
	}
	return fmt.Sprintf("%d: %s", about.Nodes, text)
}

func operatorsText(operators []operatorJSON, few int) string {
	list := each(operators[:min(few, len(operators))], func(o operatorJSON) string {
		name := quoted(o.Operator)
		if o.Domain != "" {
			name = quoted(o.Domain) + "." + name
		}
		return fmt.Sprintf("%d×%s", o.Nodes, name)
	})
	if more := len(operators) - few; more > 0 {
		list = append(list, fmt.Sprintf("and of %d more operators", more))
	}
	return strings.Join(list, ", ")
}

func (about inspection) subgraphs() string {
	in := map[string]int{}
	for _, s := range about.Subgraphs {
		in[s.Operator]++
	}
	var list []string
	for _, operator := range slices.Sorted(maps.Keys(in)) {
		list = append(list, fmt.Sprintf("%d of %s", in[operator], quoted(operator)))
	}
	return strings.Join(list, ", ")
}

func (c countJSON) text() string {
	return fmt.Sprintf("%s, %s in %s", bytesText(c.Bytes), counted(c.Elements, "number"), counted(int64(c.Tensors), "tensor"))
}

func (t tensorJSON) row() []string {
	text := breakable(t.text)
	if t.Operator != "" {
		text += ", " + printable(t.Operator)
	}
	return []string{quoted(t.Name), text}
}

func (c candidateJSON) row() []string {
	return []string{quoted(c.Name), breakable(c.text) + ", " + c.Why}
}

func (f functionJSON) row() []string {
	name := quoted(f.Domain) + "." + quoted(f.Name)
	if f.Overload != "" {
		name += ":" + quoted(f.Overload)
	}
	return []string{name, fmt.Sprintf("%s, called by %s", counted(int64(f.Nodes), "node"), counted(int64(f.Calls), "node"))}
}

// lossRows describes the losses in the order in which they were attached.
func (about inspection) lossRows() [][]string {
	rows := each(about.Losses, func(l carriedJSON) []string {
		return []string{quoted(l.Output), l.text()}
	})
	if about.Total != "" {
		rows = append(rows, []string{quoted(about.Total), "the weighted sum of these"})
	}
	return rows
}

func (l carriedJSON) text() string {
	facts := []string{l.Loss, string(l.Reduction), l.DType, "form " + string(l.Form), fmt.Sprintf("opset %d", l.Opset)}
	if l.factor != "" {
		facts = append(facts, "weight "+l.factor)
	}
	for _, p := range l.loss.Declare {
		if value := l.Params[p.Name]; value != p.Default {
			facts = append(facts, fmt.Sprintf("%s=%v", p.Name, value))
		}
	}
	var bound []string
	for _, in := range l.loss.InputsFor(l.Params) {
		tensor, ok := l.Inputs[in.Name]
		switch adapted := l.Bind[in.Name]; {
		case adapted != "":
			bound = append(bound, in.Name+"=("+printable(adapted)+")")
		case ok:
			bound = append(bound, in.Name+"="+quoted(tensor))
		}
	}
	return strings.Join(facts, ", ") + "; bound to " + strings.Join(bound, ", ")
}

// quoted quotes a name that is empty, or has blanks or what does not print.
func quoted(name string) string {
	strange := func(r rune) bool { return unicode.IsSpace(r) || r == '"' }
	if name == "" || strings.ContainsFunc(name, strange) {
		return strconv.Quote(name)
	}
	return printable(name)
}

// breakable lets a type that is too long for a line be wrapped.
func breakable(kind string) string {
	if kind == "?" {
		return "type unknown"
	}
	if utf8.RuneCountInString(kind) > columns/2 {
		kind = strings.ReplaceAll(kind, ",", ", ")
	}
	return printable(kind)
}

// counted writes "1 node" or "12,000 nodes".
func counted(n int64, what string) string {
	if n != 1 {
		what += "s"
	}
	digits := strconv.FormatInt(n, 10)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits + " " + what
}

// bytesText writes a size as 512 bytes, 1.5 KiB, 97.8 MiB.
func bytesText(n int64) string {
	if n < 1024 {
		return counted(n, "byte")
	}
	size, unit := float64(n), -1
	for size >= 1024 {
		size /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", size, "KMGTPE"[unit])
}
