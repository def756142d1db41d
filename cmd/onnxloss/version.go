package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/onnxloss/onnxloss/export"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Long:    "Print the version of onnxloss, of Go, and the platform it was built for.",
		Example: "  onnxloss version",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), versionLine())
			return err
		},
	}
}

func versionLine() string {
	return fmt.Sprintf("onnxloss %s (%s, %s/%s)", export.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
