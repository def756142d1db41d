package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
)

const head = `# The losses

Every loss of the catalogue: what it computes, what it reads, its parameters, how exact the
exported graph is, and where it is from. ` + "`onnxloss describe LOSS`" + ` prints the same. This page and
its plots are generated from the declarations in ` + "`losses/`" + ` (` + "`make generate`" + `).

A shape such as ` + "`N,C,...`" + ` names axes: the same name is the same size in every input, ` + "`...`" + ` is
any number of further axes, ` + "`" + losses.SpatialAxes + "`" + ` how many axes there are after ` + "`N,C`" + `.
`

// page writes docs/losses.md.
func page() []byte {
	var b bytes.Buffer
	b.WriteString(head)
	for _, family := range losses.Families() {
		fmt.Fprintf(&b, "\n**%s**\n\n", family.Name)
		for _, loss := range family.Losses {
			fmt.Fprintf(&b, "- [%s](#%s): %s\n", loss.Command(), loss.Command(), text(loss.Summary))
		}
	}
	b.WriteString("\n**With a network inside**\n\n")
	for _, c := range losses.Composites() {
		fmt.Fprintf(&b, "- [%s](#%s): %s\n", c.Name, c.Name, text(c.Summary))
	}
	for _, family := range losses.Families() {
		fmt.Fprintf(&b, "\n## %s\n", family.Name)
		for _, loss := range family.Losses {
			section(&b, loss)
		}
	}
	b.WriteString("\n## With a network inside\n")
	for _, c := range losses.Composites() {
		fmt.Fprintf(&b, "\n### %s\n\n%s.\n\n```\n%s\n```\n\n%s.\n\n```sh\n%s\n```\n\nFrom: %s.\n",
			c.Name, sentence(c.Summary), c.Formula, text(c.Meaning), c.Example, text(c.Paper))
	}
	return b.Bytes()
}

func section(b *bytes.Buffer, loss *losses.Loss) {
	fmt.Fprintf(b, "\n### %s\n\n%s. Operator `%s.%s`.\n", loss.Command(), sentence(loss.Summary), export.Domain, loss.Name)
	fmt.Fprintf(b, "\n```\n%s\n```\n", strings.TrimRight(loss.Formula, "\n"))
	fmt.Fprintf(b, "\n%s.\n", text(loss.Meaning))
	if loss.Figure != nil {
		fmt.Fprintf(b, "\n![%s against %s](plots/%s.svg)\n", loss.Command(), loss.Figure.X, loss.Command())
	}
	b.WriteString("\n| input | role | shape | numbers | |\n| --- | --- | --- | --- | --- |\n")
	for _, in := range loss.Inputs {
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", in.Name, role(in), shape(in), cell(string(in.Domain)), cell(about(loss, in)))
	}
	if len(loss.Declare) > 0 {
		b.WriteString("\n| parameter | default | range | |\n| --- | --- | --- | --- |\n")
	}
	for _, p := range loss.Declare {
		fmt.Fprintf(b, "| `%s` | %v | %s | %s |\n", p.Name, p.Default, cell(p.Range()), cell(p.Doc))
	}
	fmt.Fprintf(b, "\nAccuracy: %s.\n\nFrom: %s.\n", text(loss.Accuracy), text(loss.Paper))
}

func role(in losses.Input) string {
	if in.Optional {
		return "optional " + string(in.Role)
	}
	return string(in.Role)
}

func shape(in losses.Input) string {
	switch {
	case in.Shape == "":
		return "scalar"
	case in.Broadcast:
		return "broadcasts to `" + in.Shape + "`"
	}
	return "`" + in.Shape + "`"
}

func about(loss *losses.Loss, in losses.Input) string {
	if when := loss.Condition(in); when != "" {
		return in.Doc + " (" + when + ")"
	}
	return in.Doc
}

// sentence starts with a capital letter.
func sentence(s string) string {
	return strings.ToUpper(s[:1]) + text(s[1:])
}

// text keeps Markdown from reading formulas in prose as its own marks, and drops
// the full stop that the page adds.
func text(s string) string {
	s = strings.TrimSuffix(strings.TrimSpace(s), ".")
	return strings.NewReplacer("*", `\*`, "_", `\_`, "<", "&lt;", "|", `\|`).Replace(s)
}

// cell is text on one line.
func cell(s string) string { return strings.Join(strings.Fields(text(s)), " ") }
