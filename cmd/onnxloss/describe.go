package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
)

func newDescribe() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "describe LOSS",
		Short: "Describe a loss: formula, inputs, parameters, accuracy",
		Long: `Describe a loss: its formula, what its value means, the inputs it reads, its
parameters with defaults and ranges, how exact the exported loss is, and where
it is from.`,
		Example: `  onnxloss describe sigmoid-focal
  onnxloss describe SigmoidFocalLoss --json`,
		Args:              arguments("LOSS"),
		ValidArgsFunction: completeLoss(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			if composite, ok := findComposite(args[0]); ok {
				return describeComposite(cmd.OutOrStdout(), composite, asJSON)
			}
			loss, err := findLoss(args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), describeJSON(loss))
			}
			return describe(cmd.OutOrStdout(), loss)
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func describe(w io.Writer, loss *losses.Loss) error {
	var page bytes.Buffer
	fmt.Fprintf(&page, "%s\n  operator %s.%s, version %d\n", loss.Command(), export.Domain, loss.Name, export.DomainVersion)
	section(&page, "", loss.Summary)
	formula(&page, loss.Formula)
	section(&page, "MEANING", loss.Meaning)
	fmt.Fprintf(&page, "\nINPUTS\n")
	for _, in := range loss.Inputs {
		hanging(&page, in.Name+": "+strings.Join(inputFacts(loss, in), "; "))
		paragraph(&page, 6, in.Doc)
	}
	if len(loss.Declare) > 0 {
		fmt.Fprintf(&page, "\nPARAMETERS (--set name=value)\n")
	}
	for _, p := range loss.Declare {
		hanging(&page, fmt.Sprintf("%s: %s, default %v; %s", p.Name, p.Kind, p.Default, p.Range()))
		paragraph(&page, 6, p.Doc)
	}
	section(&page, "ACCURACY", loss.Accuracy)
	section(&page, "FROM", loss.Paper)
	fmt.Fprintf(&page, "\nEXAMPLE\n  %s\n", example(loss))
	_, err := w.Write(page.Bytes())
	return err
}

func findComposite(name string) (losses.Composite, bool) {
	for _, c := range losses.Composites() {
		if c.Name == name {
			return c, true
		}
	}
	return losses.Composite{}, false
}

func describeComposite(w io.Writer, c losses.Composite, asJSON bool) error {
	if asJSON {
		return writeJSON(w, map[string]string{
			"name": c.Name, "summary": c.Summary, "formula": c.Formula, "meaning": c.Meaning, "paper": c.Paper, "example": c.Example,
		})
	}
	var page bytes.Buffer
	fmt.Fprintf(&page, "%s\n", c.Name)
	section(&page, "", c.Summary)
	formula(&page, c.Formula)
	section(&page, "MEANING", c.Meaning)
	section(&page, "FROM", c.Paper)
	fmt.Fprintf(&page, "\nEXAMPLE\n  %s\n", c.Example)
	_, err := w.Write(page.Bytes())
	return err
}

func formula(page *bytes.Buffer, text string) {
	fmt.Fprintf(page, "\nFORMULA\n")
	for line := range strings.Lines(text) {
		fmt.Fprintf(page, "  %s\n", strings.TrimRight(line, "\n"))
	}
}

func section(page *bytes.Buffer, title, text string) {
	if title != "" {
		fmt.Fprintf(page, "\n%s\n", title)
	}
	paragraph(page, 2, text)
}

// hanging writes text whose first line stands out to the left.
func hanging(page *bytes.Buffer, text string) {
	for i, line := range wrap(text, columns-4) {
		margin := "    "
		if i == 0 {
			margin = "  "
		}
		fmt.Fprintf(page, "%s%s\n", margin, line)
	}
}

func paragraph(page *bytes.Buffer, indent int, text string) {
	margin := strings.Repeat(" ", indent)
	for _, line := range wrap(text, columns-indent) {
		fmt.Fprintf(page, "%s%s\n", margin, line)
	}
}

// inputFacts lists what is declared of an input.
func inputFacts(loss *losses.Loss, in losses.Input) []string {
	shape := "shape [" + in.Shape + "]"
	if in.Shape == "" {
		shape = "a scalar"
	}
	if in.Broadcast {
		shape += " or broadcast to it"
	}
	facts := []string{string(in.Role), shape, string(in.Domain)}
	if in.Optional {
		facts[0] = "optional " + facts[0]
	}
	if when := loss.Condition(in); when != "" {
		facts = append(facts, when)
	}
	return facts
}

// example is a command line that exports the loss.
func example(loss *losses.Loss) string {
	line, file := "onnxloss export "+loss.Command(), "-o "+loss.Command()+".onnx"
	if len(line)+len(file) < columns-4 {
		line += " " + file
	} else {
		line += " \\\n      " + file
	}
	for _, p := range loss.Declare {
		for _, value := range p.Try {
			if _, err := loss.Params(map[string]any{p.Name: value}); err == nil {
				return fmt.Sprintf("%s \\\n      --set %s=%v", line, p.Name, value)
			}
		}
	}
	return line
}

type lossJSON struct {
	listedJSON
	Formula    string      `json:"formula"`
	Meaning    string      `json:"meaning"`
	Paper      string      `json:"paper"`
	Accuracy   string      `json:"accuracy"`
	Inputs     []inputJSON `json:"inputs"`
	Parameters []paramJSON `json:"parameters"`
}

type inputJSON struct {
	Name      string        `json:"name"`
	Role      losses.Role   `json:"role"`
	Shape     string        `json:"shape"`
	Domain    losses.Domain `json:"domain"`
	Optional  bool          `json:"optional"`
	Broadcast bool          `json:"broadcast"`
	Condition string        `json:"condition,omitempty"`
	Doc       string        `json:"doc"`
}

type paramJSON struct {
	Name    string      `json:"name"`
	Kind    losses.Kind `json:"kind"`
	Default any         `json:"default"`
	Range   string      `json:"range"`
	Values  []string    `json:"values,omitempty"`
	Doc     string      `json:"doc"`
}

func describeJSON(loss *losses.Loss) lossJSON {
	described := lossJSON{
		listedJSON: newListed(loss),
		Formula:    loss.Formula, Meaning: loss.Meaning, Paper: loss.Paper, Accuracy: loss.Accuracy,
		Inputs: []inputJSON{}, Parameters: []paramJSON{},
	}
	for _, in := range loss.Inputs {
		described.Inputs = append(described.Inputs, inputJSON{
			in.Name, in.Role, in.Shape, in.Domain, in.Optional, in.Broadcast, loss.Condition(in), in.Doc,
		})
	}
	for _, p := range loss.Declare {
		described.Parameters = append(described.Parameters, paramJSON{
			p.Name, p.Kind, p.Default, p.Range(), slices.Clone(p.Values), p.Doc,
		})
	}
	return described
}
