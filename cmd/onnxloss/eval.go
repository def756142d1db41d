package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/runtime/verify"
)

func newEval() *cobra.Command {
	var e evaluation
	cmd := &cobra.Command{
		Use:   "eval LOSS --input name=FILE ...",
		Short: "Compute a loss on .npy files with the float64 reference",
		Long: `Compute a loss, and with --grad its gradient, on .npy files with the native
float64 reference. The inputs are those that onnxloss describe LOSS shows;
arrays of any number type are read. With -o the loss is written as float64 to
FILE, and each gradient beside it: -o out.npy --grad writes out.npy and
out.grad.INPUT.npy.`,
		Example: `  onnxloss eval softmax-cross-entropy \
      --input logits=logits.npy --input target=labels.npy
  onnxloss eval sigmoid-focal --input logits=x.npy --input target=y.npy \
      --set gamma=1.5 --reduction none --grad -o focal.npy`,
		Args:              arguments("LOSS"),
		ValidArgsFunction: completeLoss(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.run(cmd, args[0])
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&e.inputs, "input", nil, "array to read, `name=FILE`; repeated for each input")
	flags.StringArrayVar(&e.set, "set", nil, "set a parameter, `name=value`; may be repeated")
	flags.StringVar(&e.reduction, "reduction", "", reductionHelp)
	flags.BoolVar(&e.grad, "grad", false, "compute the gradient too")
	flags.StringVarP(&e.output, "output", "o", "", "`FILE` to write the loss to, as .npy")
	jsonFlag(cmd, &e.json)
	complete(cmd, "reduction", names(losses.Reductions()))
	completeSettings(cmd, 0)
	return cmd
}

// evaluation is one call of eval.
type evaluation struct {
	inputs, set       []string
	reduction, output string
	grad, json        bool
}

func (e *evaluation) run(cmd *cobra.Command, name string) error {
	loss, err := findLoss(name)
	if err != nil {
		return err
	}
	p, err := params(loss, e.set)
	if err != nil {
		return err
	}
	reduction, err := reductionOf(loss, e.reduction)
	if err != nil {
		return err
	}
	if e.output == "-" {
		return errors.New("eval: -o needs a file; --json prints all numbers")
	}
	tensors, err := readInputs(e.inputs)
	if err != nil {
		return err
	}
	values, err := toValues(tensors)
	if err != nil {
		return err
	}
	value, err := loss.Evaluate(values, p, reduction)
	if err != nil {
		return err
	}
	gradient := losses.Values{}
	if e.grad {
		if gradient, err = loss.EvaluateGradient(values, p, reduction, nil); err != nil {
			return err
		}
	}
	if err := e.save(value, gradient); err != nil {
		return err
	}
	if e.json {
		return writeJSON(cmd.OutOrStdout(), evaluationJSON(loss, p, reduction, value, gradient))
	}
	return e.print(cmd, loss.Output(), value, gradient)
}

func (e *evaluation) print(cmd *cobra.Command, output string, value losses.Array, gradient losses.Values) error {
	rows := [][]string{{output, arrayText(value)}}
	for _, name := range slices.Sorted(maps.Keys(gradient)) {
		rows = append(rows, []string{"d " + output + " / d " + name, arrayText(gradient[name])})
	}
	return writeTable(cmd.OutOrStdout(), 0, rows)
}

// save writes the loss, and each gradient to a file beside it.
func (e *evaluation) save(value losses.Array, gradient losses.Values) error {
	if e.output == "" {
		return nil
	}
	if err := writeArray(e.output, value); err != nil {
		return err
	}
	for name, array := range gradient {
		path := fmt.Sprintf("%s.grad.%s.npy", strings.TrimSuffix(e.output, ".npy"), name)
		if err := writeArray(path, array); err != nil {
			return err
		}
	}
	return nil
}

type arrayJSON struct {
	Shape []int           `json:"shape"`
	Data  []verify.Number `json:"data"`
}

func toJSON(a losses.Array) arrayJSON {
	data := make([]verify.Number, len(a.Data))
	for i, x := range a.Data {
		data[i] = verify.Number(x)
	}
	return arrayJSON{a.Shape, data}
}

type evaluatedJSON struct {
	Loss      string               `json:"loss"`
	Params    losses.Params        `json:"parameters"`
	Reduction losses.Reduction     `json:"reduction"`
	Value     arrayJSON            `json:"value"`
	Gradient  map[string]arrayJSON `json:"gradient,omitempty"`
}

func evaluationJSON(loss *losses.Loss, p losses.Params, r losses.Reduction, value losses.Array, gradient losses.Values) evaluatedJSON {
	evaluated := evaluatedJSON{loss.Command(), p, r, toJSON(value), map[string]arrayJSON{}}
	for name, array := range gradient {
		evaluated.Gradient[name] = toJSON(array)
	}
	return evaluated
}
