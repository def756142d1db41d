package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/models"
)

func newDetach() *cobra.Command {
	var onto ontoFlags
	var output string
	cmd := &cobra.Command{
		Use:   "detach MODEL -o FILE",
		Short: "Take the losses off a model again",
		Long: `Take off a model what attach or perceptual put onto it. Nothing but the file is
needed: what is left is the original, byte for byte where no other tool has
written the file since. A file that was changed so that it is not certain what
belongs to the losses is refused.`,
		Example: `  onnxloss detach with_loss.onnx -o classifier.onnx`,
		Args:    arguments("MODEL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if output == "" {
				return fmt.Errorf("detach: -o FILE is missing; say where to write the model")
			}
			return onto.write(cmd, args[0], output, func(model *models.Model) (*models.Model, error) {
				return export.Detach(model)
			})
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "`FILE` to write")
	externalFlag(cmd, &onto.external)
	return cmd
}
