package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/models"
)

func newAttach() *cobra.Command {
	var flags writeFlags
	var onto ontoFlags
	var bind []string
	var name, spec string
	var share bool
	cmd := &cobra.Command{
		Use:   "attach MODEL (LOSS | --spec FILE) -o FILE",
		Short: "Put a loss onto a trained model",
		Long: `Put a loss onto a trained model, so that whatever runs the model computes the
loss as well. The model's own inputs, outputs, nodes and weights stay as they
are, byte for byte; onnxloss detach takes the loss off again.

--bind says which tensor an input of the loss is: any of the model's main graph,
which onnxloss inspect --layers lists. The prediction is found by itself where
there is only one way, other inputs among the model's inputs by name, and what
is not found becomes an input of the model. "new NAME" in place of a tensor is
such an input under a name of its own. A tensor of another layout or type passes
through adapters:

` + adapterHelp() + `
A tensor inside the model is computed a second time for the loss: a reader can
keep a runtime from joining the nodes around it, which then round differently,
and so do the model's outputs. --share reads it where it is, which is faster. An
output, and what only a Softmax or Sigmoid reads, is never computed twice.

The loss is written for the model's own opset. Where it needs a newer one,
--opset raises the model's, if its operators mean the same there.

--spec puts several losses onto the model, each an output of its own, and, as
one more output, their weighted sum. It names a file such as

  total: loss                # the name of the weighted sum
  losses:
    - loss: sigmoid-focal
      name: classification   # of the output; the rest is as the flags
      weight: 2.5
      set: {gamma: 1.5}
      bind: {logits: class_logits}
    - loss: giou
      weight: new alpha      # a new input; or name a tensor that is one number
      bind: {prediction: boxes}

Losses of the reduction none are outputs only. docs/attach.md has all of it.`,
		Example: `  onnxloss attach classifier.onnx softmax-cross-entropy -o with_loss.onnx
  onnxloss attach detector.onnx sigmoid-focal -o scored.onnx \
      --bind logits=class_logits --reduction none
  onnxloss attach nhwc.onnx softmax-cross-entropy -o with_loss.onnx \
      --bind 'logits=scores | transpose 0 3 1 2'
  onnxloss attach tagger.onnx sigmoid-focal -o with_loss.onnx \
      --bind 'target=new labels | one-hot 9'
  onnxloss attach big/model.onnx mse -o elsewhere/model.onnx --external link
  onnxloss attach detector.onnx --spec losses.yaml -o with_losses.onnx`,
		Args:              modelAndLoss(&spec),
		ValidArgsFunction: completeLossWithout(&spec),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return attachSpec(cmd, onto, spec, args[0], flags.output)
			}
			loss, err := findLoss(args[1])
			if err != nil {
				return err
			}
			p, o, err := flags.options(cmd, loss)
			if err != nil {
				return err
			}
			o.Opset = onto.opset
			options := export.AttachOptions{Options: o, Output: name, OnlyLoss: onto.onlyLoss, Share: share}
			if options.Bind, err = pairs("--bind", "input=tensor", bind); err != nil {
				return err
			}
			return onto.write(cmd, args[0], flags.output, func(model *models.Model) (*models.Model, error) {
				return export.Attach(model, loss, p, options)
			})
		},
	}
	flags.register(cmd, "that of the prediction, float32 for half types")
	onto.register(cmd)
	cmd.Flags().StringArrayVar(&bind, "bind", nil, "which tensor of the model an input of the loss is, `input=tensor`, and what it passes through; may be repeated")
	cmd.Flags().StringVar(&name, "name", "", "`name` of the loss's output in the model (default loss, or the next free name)")
	cmd.Flags().BoolVar(&share, "share", false, "read tensors inside the model where they are, instead of computing them a second time")
	specFlag(cmd, &spec)
	completeSettings(cmd, 1)
	return cmd
}

// adapterHelp lists the adapters.
func adapterHelp() string {
	var rows [][]string
	for _, a := range export.Adapters() {
		rows = append(rows, []string{"| " + a.Usage, a.Doc})
	}
	var s strings.Builder
	if err := writeTable(&s, 2, rows); err != nil {
		panic(err) // a strings.Builder takes everything
	}
	return s.String()
}

// ontoFlags say what becomes of a model that something is put onto.
type ontoFlags struct {
	opset    int
	onlyLoss bool
	external string
}

func (f *ontoFlags) register(cmd *cobra.Command) {
	cmd.Flags().IntVar(&f.opset, "opset", 0, "raise the model to this `opset` (default its own)")
	cmd.Flags().BoolVar(&f.onlyLoss, "only-loss", false, "leave the loss as the only output")
	externalFlag(cmd, &f.external)
}

func externalFlag(cmd *cobra.Command, external *string) {
	cmd.Flags().StringVar(external, "external", "", "`what` becomes of files with the model's weights: keep (the model stays in its folder), copy or link (hard links); default keep, or copy where FILE is in another folder")
	complete(cmd, "external", names(models.Externals()))
}

// write opens a model, changes it and writes it to another file.
func (f *ontoFlags) write(cmd *cobra.Command, from, to string, change func(*models.Model) (*models.Model, error)) error {
	how, err := models.ParseExternal(f.external)
	if err != nil {
		return fmt.Errorf("%s: --external: %w", cmd.Name(), err)
	}
	if sameFile(from, to) {
		return fmt.Errorf("%s: -o names the model itself, %s; name another file", cmd.Name(), to)
	}
	model, err := models.Open(from)
	if err != nil {
		return err
	}
	changed, err := change(model)
	if err != nil {
		return err
	}
	return saveModel(cmd, changed, to, how)
}

// saveModel proves what was made, writes it and says what it is.
func saveModel(cmd *cobra.Command, made *models.Model, path string, how models.External) error {
	if path == "-" { // there are no files beside the standard output
		if err := made.LoadExternal(); err != nil {
			return err
		}
	}
	if err := export.CheckModel(made); err != nil {
		return err
	}
	if path != "-" {
		if err := made.SaveAs(cmd.Context(), path, how); err != nil {
			return err
		}
		return reportMade(cmd, made, path)
	}
	if err := made.Write(cmd.Context(), cmd.OutOrStdout()); err != nil {
		return fmt.Errorf("the %s: %w", standardOutput, err)
	}
	return reportMade(cmd, made, standardOutput)
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
