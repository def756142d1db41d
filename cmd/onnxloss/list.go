package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/onnxloss/onnxloss/losses"
)

func newList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the losses",
		Long:  "List the losses of the catalogue, by the names that the other commands take.",
		Example: `  onnxloss list
  onnxloss list --json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return listJSON(cmd)
			}
			return list(cmd)
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// list prints the catalogue by families, and then what is no plain loss.
func list(cmd *cobra.Command) error {
	out := cmd.OutOrStdout()
	width := 0
	for _, loss := range losses.All() {
		width = max(width, len(loss.Command()))
	}
	var heads [][]string
	for _, family := range losses.Families() {
		rows := [][]string{}
		for _, loss := range family.Losses {
			row := []string{fmt.Sprintf("%-*s", width, loss.Command()), loss.Summary}
			if loss.Head {
				heads = append(heads, row)
			} else {
				rows = append(rows, row)
			}
		}
		if err := writeGroup(out, family.Name, rows); err != nil {
			return err
		}
	}
	composites := [][]string{}
	for _, c := range losses.Composites() {
		composites = append(composites, []string{fmt.Sprintf("%-*s", width, c.Name), c.Summary})
	}
	if err := writeGroup(out, "With a network inside, made by onnxloss "+losses.Composites()[0].Name, composites); err != nil {
		return err
	}
	if err := writeGroup(out, "Heads and parts: a tensor instead of a loss", heads); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, "onnxloss describe LOSS tells more of one.")
	return err
}

func writeGroup(out io.Writer, title string, rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintf(out, "%s\n", title)
	if err := writeTable(out, 2, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out)
	return err
}

type listedJSON struct {
	Name     string `json:"name"`
	Operator string `json:"operator"`
	Summary  string `json:"summary"`
	Head     bool   `json:"head"`
}

func listJSON(cmd *cobra.Command) error {
	listed := []listedJSON{}
	for _, loss := range losses.All() {
		listed = append(listed, newListed(loss))
	}
	return writeJSON(cmd.OutOrStdout(), listed)
}

func newListed(loss *losses.Loss) listedJSON {
	return listedJSON{loss.Command(), loss.Name, loss.Summary, loss.Head}
}
