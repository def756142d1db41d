package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
)

func newInspect() *cobra.Command {
	var asJSON, layers, all bool
	cmd := &cobra.Command{
		Use:   "inspect MODEL",
		Short: "Show what a model consists of, and the losses on it",
		Long: `Show what a model consists of: where it is from, what it reads and gives, its
operators, functions and subgraphs, how large its weights are and in which files
they lie. CANDIDATES are the tensors that a loss's prediction can be bound to;
LOSSES are those that onnxloss put onto the model, with what they are bound to.
--layers lists every floating-point tensor that the model computes on the way:
the features that a perceptual loss can compare.

Weights are not read, so that a large model takes no longer than a small one.
Long lists are shortened, except in JSON. A name is quoted where it has blanks
or characters that do not print.`,
		Example: `  onnxloss inspect classifier.onnx
  onnxloss inspect vgg19.onnx --layers
  onnxloss inspect classifier.onnx --json`,
		Args: arguments("MODEL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			model, err := models.Open(args[0])
			if err != nil {
				return err
			}
			about := inspect(model, args[0])
			if asJSON || layers || all {
				err = about.addLayers(model)
			}
			switch {
			case asJSON:
				return writeJSON(cmd.OutOrStdout(), about)
			case layers && err != nil:
				return err
			}
			return about.print(cmd.OutOrStdout(), all)
		},
	}
	cmd.Flags().BoolVar(&layers, "layers", false, "list the tensors that the model computes too")
	cmd.Flags().BoolVar(&all, "all", false, "shorten no list, and list the layers too")
	jsonFlag(cmd, &asJSON)
	return cmd
}

// inspection is what inspect shows.
type inspection struct {
	File       string           `json:"file"`
	Bytes      int64            `json:"bytes"`
	IR         int64            `json:"ir_version"`
	Producer   producerJSON     `json:"producer"`
	Opset      int              `json:"opset"`
	Opsets     []opsetJSON      `json:"opset_imports"`
	Inputs     []tensorJSON     `json:"inputs"`
	Outputs    []tensorJSON     `json:"outputs"`
	Defaults   []string         `json:"initializers_as_inputs"`
	Nodes      int              `json:"nodes"`
	Operators  []operatorJSON   `json:"operators"`
	Subgraphs  []subgraphJSON   `json:"subgraphs"`
	Functions  []functionJSON   `json:"functions"`
	Quantized  bool             `json:"quantized"`
	Quantizing []operatorJSON   `json:"quantization"`
	Weights    []typeCountJSON  `json:"weights"`
	Stored     []placeCountJSON `json:"stored"`
	Candidates []candidateJSON  `json:"candidates"`
	Losses     []carriedJSON    `json:"losses"`
	Total      string           `json:"total"`
	Layers     []tensorJSON     `json:"layers"`
	Problems   []string         `json:"problems"`
}

type producerJSON struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type opsetJSON struct {
	Domain  string `json:"domain"`
	Version int64  `json:"version"`
}

type operatorJSON struct {
	Domain   string `json:"domain"`
	Operator string `json:"operator"`
	Nodes    int    `json:"nodes"`
}

type subgraphJSON struct {
	Node      string `json:"node"`
	Operator  string `json:"operator"`
	Attribute string `json:"attribute"`
	Nodes     int    `json:"nodes"`
}

type functionJSON struct {
	Domain   string `json:"domain"`
	Name     string `json:"name"`
	Overload string `json:"overload"`
	Nodes    int    `json:"nodes"`
	Calls    int    `json:"calls"`
}

type countJSON struct {
	Tensors  int   `json:"tensors"`
	Elements int64 `json:"elements"`
	Bytes    int64 `json:"bytes"`
}

type typeCountJSON struct {
	Type string `json:"type"`
	countJSON
}

// placeCountJSON counts what is in one file; "" is the model's own.
type placeCountJSON struct {
	File string `json:"file"`
	countJSON
}

type tensorJSON struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Shape    string `json:"shape"`
	Operator string `json:"operator,omitempty"`
	text     string // the type and the shape as they are printed
}

type carriedJSON struct {
	Loss   string `json:"loss"`
	Output string `json:"output"`
	// Weight is the factor in the total, or WeightFrom the tensor that is; neither
	// where the loss has no part in one.
	Weight     *float64          `json:"weight,omitempty"`
	WeightFrom string            `json:"weight_from,omitempty"`
	Inputs     map[string]string `json:"inputs"`
	Bind       map[string]string `json:"bind,omitempty"` // inputs that are adapted or copied
	Params     losses.Params     `json:"parameters"`
	Form       export.Form       `json:"form"`
	Opset      int               `json:"opset"`
	DType      string            `json:"dtype"`
	Reduction  losses.Reduction  `json:"reduction"`
	Attached   bool              `json:"attached"`
	factor     string            // as it is printed; "" for a loss that is in no total
	loss       *losses.Loss
}

func newCarriedJSON(c export.Composition, d export.Description) carriedJSON {
	carried := carriedJSON{
		Loss: d.Loss.Command(), Output: d.Output, Inputs: d.Inputs, Params: d.Params,
		Form: d.Form, Opset: d.Opset, DType: d.DType.String(), Reduction: d.Reduction, Attached: d.Attached, loss: d.Loss,
		WeightFrom: d.WeightFrom, Bind: d.Bind, factor: factor(c, d),
	}
	if carried.factor != "" && d.WeightFrom == "" {
		carried.Weight = &d.Weight
	}
	return carried
}

func inspect(model *models.Model, path string) inspection {
	summary := model.Summary()
	about := inspection{
		File: path, Bytes: summary.Bytes, IR: summary.IR, Producer: producerJSON{summary.Producer, summary.ProducerVersion},
		Opset: model.Opset(), Opsets: each(summary.Opsets, func(o models.OpsetImport) opsetJSON { return opsetJSON(o) }),
		Inputs: each(model.Inputs(), newTensorJSON), Outputs: each(model.Outputs(), newTensorJSON),
		Defaults: append([]string{}, summary.Defaults...),
		Nodes:    summary.Nodes, Operators: each(summary.Operators, newOperatorJSON),
		Subgraphs: each(summary.Subgraphs, func(s models.Subgraph) subgraphJSON { return subgraphJSON(s) }),
		Functions: each(summary.Functions, func(f models.Function) functionJSON { return functionJSON(f) }),
		Quantized: len(summary.Quantization) > 0, Quantizing: each(summary.Quantization, newOperatorJSON),
		Weights: each(summary.Types, func(t models.TypeCount) typeCountJSON {
			return typeCountJSON{t.DType.String(), countJSON(t.TensorCount)}
		}),
		Stored: each(summary.Files, func(f models.FileCount) placeCountJSON {
			return placeCountJSON{f.Location, countJSON(f.TensorCount)}
		}),
		Candidates: candidates(model), Losses: []carriedJSON{}, Layers: []tensorJSON{}, Problems: []string{},
	}
	for _, f := range summary.Files {
		if f.Problem != nil {
			about.Problems = append(about.Problems, f.Problem.Error())
		}
	}
	about.addLosses(model)
	return about
}

// addLayers lists the layers, of which a model need not have any.
func (about *inspection) addLayers(model *models.Model) error {
	layers, err := model.Layers()
	about.Layers = each(layers, func(l models.Layer) tensorJSON {
		t := newTensorJSON(l.Tensor)
		t.Operator = l.Op
		return t
	})
	return err
}

// addLosses reads the metadata. What is wrong with them is no reason to show
// nothing.
func (about *inspection) addLosses(model *models.Model) {
	carried, err := export.DescribeAll(model)
	if errors.Is(err, export.ErrNoLoss) {
		return
	}
	if err != nil {
		about.Problems = append(about.Problems, err.Error())
		return
	}
	about.Total = carried.Total
	about.Losses = each(carried.Terms, func(d export.Description) carriedJSON { return newCarriedJSON(carried, d) })
}

// each turns the elements of a list into others. The list is never nil, which JSON
// would show as null.
func each[A, B any](list []A, f func(A) B) []B {
	made := make([]B, len(list))
	for i, a := range list {
		made[i] = f(a)
	}
	return made
}

func newOperatorJSON(o models.OperatorCount) operatorJSON { return operatorJSON(o) }

func newTensorJSON(t models.Tensor) tensorJSON {
	made := tensorJSON{Name: t.Name, Type: t.DType.String(), Shape: t.Shape.String(), text: t.Type()}
	if t.Other != "" {
		made.Type, made.Shape = t.Other, ""
	}
	return made
}
