package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
)

// standardOutput names what the path "-" stands for.
const standardOutput = "standard output"

func newExport() *cobra.Command {
	var flags writeFlags
	var opset int
	cmd := &cobra.Command{
		Use:   "export LOSS -o FILE",
		Short: "Write a loss as an ONNX model",
		Long: `Write a loss as an ONNX model of its own. Its inputs are named as those that
onnxloss describe LOSS shows, its output is "loss", or named as the head that it
is. The file says what it is, so that onnxloss verify FILE needs no flags. The
FILE - is the standard output.`,
		Example: `  onnxloss export softmax-cross-entropy -o ce.onnx
  onnxloss export sigmoid-focal -o focal.onnx \
      --set gamma=1.5 --set alpha=-1 --reduction sum
  onnxloss export softmax-cross-entropy -o seg.onnx \
      --shape N,21,H,W --with weight
  onnxloss export sigmoid-focal -o focal16.onnx \
      --form function --dtype float16 --opset 18`,
		Args:              arguments("LOSS"),
		ValidArgsFunction: completeLoss(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			loss, err := findLoss(args[0])
			if err != nil {
				return err
			}
			p, o, err := flags.options(cmd, loss)
			if err != nil {
				return err
			}
			if o.Opset = opset; opset == 0 {
				return fmt.Errorf("export: opset 0 is not supported; use %d to %d", ops.MinOpset, ops.MaxOpset)
			}
			return writeLoss(cmd, loss, p, o, flags.output)
		},
	}
	flags.register(cmd, "float32")
	cmd.Flags().IntVar(&opset, "opset", export.DefaultOpset, fmt.Sprintf("`version` of the standard operators, %d to %d", ops.MinOpset, ops.MaxOpset))
	completeSettings(cmd, 0)
	return cmd
}

func writeLoss(cmd *cobra.Command, loss *losses.Loss, p losses.Params, o export.Options, path string) error {
	model, err := export.Model(loss, p, o)
	if err != nil {
		return err
	}
	return saveModel(cmd, model, path, "")
}

// reportMade prints a line for each loss in a file. It goes to the error output
// where the model itself went to the standard output.
func reportMade(cmd *cobra.Command, model *models.Model, where string) error {
	w := cmd.OutOrStdout()
	if where == standardOutput {
		w = cmd.ErrOrStderr()
	}
	made, err := export.DescribeAll(model)
	if errors.Is(err, export.ErrNoLoss) {
		_, err = fmt.Fprintf(w, "%s: the model without a loss, outputs %s\n", where, printable(outputList(model)))
		return err
	}
	if err != nil {
		return err
	}
	for _, d := range made.Terms {
		weight := factor(made, d)
		if weight != "" {
			weight = ", weight " + printable(weight)
		}
		_, err := fmt.Fprintf(w, "%s: %s, form %s, %s, opset %d, reduction %s%s: %s -> %s\n",
			where, d.Loss.Command(), d.Form, d.DType, d.Opset, d.Reduction, weight, printable(inputList(model, d)), printable(d.Output))
		if err != nil {
			return err
		}
	}
	if made.Total == "" {
		return nil
	}
	var summands []string
	for _, d := range made.Summands() {
		summands = append(summands, printable(d.Output))
	}
	_, err = fmt.Fprintf(w, "%s: the weighted sum of %s -> %s\n", where, strings.Join(summands, ", "), printable(made.Total))
	return err
}

// factor is a loss's weight in the total, a number or a tensor's name; it is empty
// where the loss has no part in one.
func factor(c export.Composition, d export.Description) string {
	switch {
	case c.Total == "" || d.Reduction == losses.None:
		return ""
	case d.WeightFrom != "":
		return d.WeightFrom
	}
	return fmt.Sprintf("%g", d.Weight)
}

// outputList names the model's outputs.
func outputList(model *models.Model) string {
	var list []string
	for _, out := range model.Outputs() {
		list = append(list, out.Name)
	}
	return strings.Join(list, ", ")
}

// inputList writes the tensors that the loss reads, as "logits float32[N,C]", and
// which input each is where the names differ.
func inputList(model *models.Model, d export.Description) string {
	var list []string
	for _, in := range d.Loss.InputsFor(d.Params) {
		name, ok := d.Inputs[in.Name]
		if !ok {
			continue
		}
		text := name
		if adapted := d.Bind[in.Name]; adapted != "" {
			text = in.Name + "=(" + adapted + ")"
		} else if name != in.Name {
			text = in.Name + "=" + name
		}
		if t, ok := model.Tensor(name); ok && t.DType != ops.Undefined {
			text += fmt.Sprintf(" %s%s", t.DType, t.Shape)
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}
