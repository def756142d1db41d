package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
)

func newAttach() *cobra.Command {
	var flags writeFlags
	var bind []string
	var name string
	cmd := &cobra.Command{
		Use:   "attach MODEL LOSS -o FILE",
		Short: "Put a loss onto a trained model",
		Long: `Put a loss onto a trained model, so that whatever runs the model computes the
loss as well. The model's own inputs, outputs and nodes stay as they are. --bind
says which tensor an input of the loss is; the prediction is found by itself
where there is only one way, and every other input becomes an input of the
model. The opset is the model's own.`,
		Example: `  onnxloss attach classifier.onnx softmax-cross-entropy -o with_loss.onnx
  onnxloss attach detector.onnx sigmoid-focal -o scored.onnx \
      --bind logits=class_logits --reduction none`,
		Args:              arguments("MODEL", "LOSS"),
		ValidArgsFunction: completeLoss(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			loss, err := findLoss(args[1])
			if err != nil {
				return err
			}
			p, o, err := flags.options(cmd, loss)
			if err != nil {
				return err
			}
			options := export.AttachOptions{Options: o, Output: name}
			if options.Bind, err = pairs("--bind", "input=tensor", bind); err != nil {
				return err
			}
			return attachLoss(cmd, args[0], loss, p, options, flags.output)
		},
	}
	flags.register(cmd, "that of the prediction, float32 for half types")
	cmd.Flags().StringArrayVar(&bind, "bind", nil, "which tensor of the model an input of the loss is, `input=tensor`; may be repeated")
	cmd.Flags().StringVar(&name, "name", "", "`name` of the loss's output in the model (default loss, or the next free name)")
	completeSettings(cmd, 1)
	return cmd
}

func attachLoss(cmd *cobra.Command, from string, loss *losses.Loss, p losses.Params, o export.AttachOptions, path string) error {
	if sameFile(from, path) {
		return fmt.Errorf("attach: -o names the model itself, %s; name another file", path)
	}
	host, err := models.Open(from)
	if err != nil {
		return err
	}
	attached, err := export.Attach(host, loss, p, o)
	if err != nil {
		return err
	}
	return saveModel(cmd, attached, path)
}

// saveModel proves what was made, writes it and says what it is.
func saveModel(cmd *cobra.Command, made *models.Model, path string) error {
	if path == "-" { // there are no files beside the standard output
		if err := made.LoadExternal(); err != nil {
			return err
		}
	}
	data, err := made.Bytes()
	if err != nil {
		return err
	}
	if err := export.Check(data); err != nil {
		return err
	}
	if path == "-" {
		if _, err := cmd.OutOrStdout().Write(data); err != nil {
			return fmt.Errorf("write to the %s: %w", standardOutput, err)
		}
		return reportMade(cmd, made, standardOutput)
	}
	if err := made.Save(path); err != nil {
		return err
	}
	return reportMade(cmd, made, path)
}

// sameFile says whether two paths are one file, through links as well.
func sameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}
