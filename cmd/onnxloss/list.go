package main

import (
	"fmt"

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

func list(cmd *cobra.Command) error {
	var rows, heads [][]string
	for _, loss := range losses.All() {
		row := []string{loss.Command(), loss.Summary}
		if loss.Head {
			heads = append(heads, row)
		} else {
			rows = append(rows, row)
		}
	}
	out := cmd.OutOrStdout()
	if err := writeTable(out, 0, rows); err != nil {
		return err
	}
	if len(heads) > 0 {
		fmt.Fprintln(out, "\nHeads and parts, which give a tensor instead of a loss:")
		if err := writeTable(out, 0, heads); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(out, "\nonnxloss describe LOSS tells more of one.")
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
