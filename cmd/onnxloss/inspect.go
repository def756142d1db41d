package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/models"
)

func newInspect() *cobra.Command {
	var asJSON, layers bool
	cmd := &cobra.Command{
		Use:   "inspect MODEL",
		Short: "Show a model's inputs, outputs, layers and losses",
		Long: `Show what a model reads and gives, the losses that onnxloss put onto it and,
with --layers, every tensor that it computes on the way: what a loss can be
bound to, or the features that a perceptual loss can compare.`,
		Example: `  onnxloss inspect classifier.onnx
  onnxloss inspect vgg19.onnx --layers`,
		Args: arguments("MODEL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			model, err := models.Open(args[0])
			if err != nil {
				return err
			}
			about, err := inspect(model, layers)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), about)
			}
			return about.print(cmd.OutOrStdout(), args[0])
		},
	}
	cmd.Flags().BoolVar(&layers, "layers", false, "list the tensors that the model computes too")
	jsonFlag(cmd, &asJSON)
	return cmd
}

// inspection is what inspect shows.
type inspection struct {
	Opset   int           `json:"opset"`
	IR      int64         `json:"ir_version"`
	Nodes   int           `json:"nodes"`
	Inputs  []tensorJSON  `json:"inputs"`
	Outputs []tensorJSON  `json:"outputs"`
	Losses  []carriedJSON `json:"losses"`
	Total   string        `json:"total,omitempty"`
	Layers  []tensorJSON  `json:"layers,omitempty"`
}

type tensorJSON struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Shape    string `json:"shape"`
	Operator string `json:"operator,omitempty"`
}

type carriedJSON struct {
	Loss   string `json:"loss"`
	Output string `json:"output"`
	// Weight is the factor in the total, or WeightFrom the tensor that is; neither
	// where the loss has no part in one.
	Weight     *float64          `json:"weight,omitempty"`
	WeightFrom string            `json:"weight_from,omitempty"`
	Inputs     map[string]string `json:"inputs"`
	factor     string
}

func newCarriedJSON(c export.Composition, d export.Description) carriedJSON {
	carried := carriedJSON{Loss: d.Loss.Command(), Output: d.Output, WeightFrom: d.WeightFrom, Inputs: d.Inputs, factor: factor(c, d)}
	if carried.factor != "" && d.WeightFrom == "" {
		carried.Weight = &d.Weight
	}
	return carried
}

func inspect(model *models.Model, layers bool) (inspection, error) {
	about := inspection{
		Opset: model.Opset(), IR: model.Proto.GetIrVersion(), Nodes: len(model.Proto.GetGraph().GetNode()),
		Inputs: tensorsJSON(model.Inputs()), Outputs: tensorsJSON(model.Outputs()), Losses: []carriedJSON{},
	}
	carried, err := export.DescribeAll(model)
	if err != nil && !errors.Is(err, export.ErrNoLoss) {
		return about, err
	}
	about.Total = carried.Total
	for _, d := range carried.Terms {
		about.Losses = append(about.Losses, newCarriedJSON(carried, d))
	}
	if !layers {
		return about, nil
	}
	list, err := model.Layers()
	for _, l := range list {
		t := newTensorJSON(l.Tensor)
		t.Operator = l.Op
		about.Layers = append(about.Layers, t)
	}
	return about, err
}

func newTensorJSON(t models.Tensor) tensorJSON {
	return tensorJSON{Name: t.Name, Type: t.DType.String(), Shape: t.Shape.String()}
}

func tensorsJSON(tensors []models.Tensor) []tensorJSON {
	list := []tensorJSON{}
	for _, t := range tensors {
		list = append(list, newTensorJSON(t))
	}
	return list
}

func (about inspection) print(w io.Writer, path string) error {
	fmt.Fprintf(w, "%s: opset %d, IR version %d, %d nodes\n", path, about.Opset, about.IR, about.Nodes)
	for _, part := range []struct {
		title   string
		tensors []tensorJSON
	}{{"INPUTS", about.Inputs}, {"OUTPUTS", about.Outputs}, {"LAYERS", about.Layers}} {
		if len(part.tensors) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n%s\n", part.title)
		var rows [][]string
		for _, t := range part.tensors {
			rows = append(rows, []string{t.Name, t.Type + t.Shape, t.Operator})
		}
		if err := writeTable(w, 2, rows); err != nil {
			return err
		}
	}
	if len(about.Losses) == 0 {
		return nil
	}
	fmt.Fprint(w, "\nLOSSES\n")
	var rows [][]string
	for _, l := range about.Losses {
		rows = append(rows, []string{l.Output, l.factor, l.Loss})
	}
	if about.Total != "" {
		rows = append(rows, []string{about.Total, "", "their weighted sum"})
	}
	return writeTable(w, 2, rows)
}
