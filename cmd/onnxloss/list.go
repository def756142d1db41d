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
	var rows [][]string
	for _, loss := range losses.All() {
		rows = append(rows, []string{loss.Command(), loss.Summary})
	}
	if err := writeTable(cmd.OutOrStdout(), 0, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), "\nonnxloss describe LOSS tells more of one.")
	return err
}

type listedJSON struct {
	Name     string `json:"name"`
	Operator string `json:"operator"`
	Summary  string `json:"summary"`
}

func listJSON(cmd *cobra.Command) error {
	listed := []listedJSON{}
	for _, loss := range losses.All() {
		listed = append(listed, listedJSON{loss.Command(), loss.Name, loss.Summary})
	}
	return writeJSON(cmd.OutOrStdout(), listed)
}
