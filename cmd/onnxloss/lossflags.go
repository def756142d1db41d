package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
)

// writeFlags say which loss is written and how; export and attach share them.
type writeFlags struct {
	output      string
	form, dtype string
	index       string
	reduction   string
	set, shapes []string
	with        []string
}

func (f *writeFlags) register(cmd *cobra.Command, dtypeDefault string) {
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", "", "`FILE` to write")
	flags.StringVar(&f.form, "form", string(export.Graph), "`form` that it is written in: graph (standard operators) or function (one node, its body in the file)")
	flags.StringVar(&f.dtype, "dtype", "", "element `type` of the loss: "+names(ops.FloatTypes())+" (default "+dtypeDefault+")")
	flags.StringVar(&f.index, "index-type", "int64", "element `type` of class-index targets: int64 or int32")
	flags.StringVar(&f.reduction, "reduction", "", reductionHelp)
	flags.StringArrayVar(&f.set, "set", nil, "set a parameter, `name=value`; may be repeated")
	flags.StringSliceVar(&f.with, "with", nil, "optional `inputs` to have, such as weight; separated by commas")
	flags.StringArrayVar(&f.shapes, "shape", nil, "shape of an input, `input=N,C,8,8`, or N,C,8,8 for the prediction; names are sizes that vary, ... leaves the rank open; may be repeated")
	complete(cmd, "form", names(export.Forms()))
	complete(cmd, "dtype", names(ops.FloatTypes()))
	complete(cmd, "index-type", "int64, int32")
	complete(cmd, "reduction", names(losses.Reductions()))
}

const reductionHelp = "`how` the terms become one value: none, mean or sum (default mean; none for a head)"

// reductionOf reads the flag; nothing is the loss's default.
func reductionOf(loss *losses.Loss, flag string) (losses.Reduction, error) {
	if flag == "" {
		return loss.Reductions()[0], nil
	}
	return losses.ParseReduction(flag)
}

// names lists values as "a, b, c".
func names[T any](values []T) string {
	text := make([]string, len(values))
	for i, v := range values {
		text[i] = fmt.Sprint(v)
	}
	return strings.Join(text, ", ")
}

// options turns the flags into what package export takes.
func (f *writeFlags) options(cmd *cobra.Command, loss *losses.Loss) (losses.Params, export.Options, error) {
	var o export.Options
	if f.output == "" {
		return nil, o, fmt.Errorf("%s: -o FILE is missing; say where to write the model", cmd.Name())
	}
	p, err := params(loss, f.set)
	if err != nil {
		return nil, o, err
	}
	o.With = f.with
	if o.Form, err = export.ParseForm(f.form); err != nil {
		return nil, o, err
	}
	if f.dtype != "" {
		if o.DType, err = ops.ParseDType(f.dtype); err != nil {
			return nil, o, err
		}
	}
	if o.IndexType, err = ops.ParseDType(f.index); err != nil {
		return nil, o, err
	}
	if o.Reduction, err = reductionOf(loss, f.reduction); err != nil {
		return nil, o, err
	}
	o.Shapes, err = f.parseShapes(loss)
	return p, o, err
}

// parseShapes reads the --shape flags. One without a name is the prediction's.
func (f *writeFlags) parseShapes(loss *losses.Loss) (map[string]ops.Shape, error) {
	shapes := map[string]ops.Shape{}
	for _, text := range f.shapes {
		name, axes, named := strings.Cut(text, "=")
		if !named {
			at := slices.IndexFunc(loss.Inputs, func(in losses.Input) bool { return in.Role == losses.Prediction })
			name, axes = loss.Inputs[at].Name, text
		}
		if _, twice := shapes[name]; twice {
			return nil, fmt.Errorf("--shape gives the shape of %s twice", name)
		}
		shape, err := ops.ParseShape(axes)
		if err != nil {
			return nil, fmt.Errorf("--shape %s: %w", text, err)
		}
		shapes[name] = shape
	}
	return shapes, nil
}

// params reads --set flags for a loss.
func params(loss *losses.Loss, set []string) (losses.Params, error) {
	pairs, err := pairs("--set", "name=value", set)
	if err != nil {
		return nil, err
	}
	settings := map[string]any{}
	for name, value := range pairs {
		settings[name] = value
	}
	return loss.Params(settings)
}

// pairs splits the texts of a repeated flag at their first "=".
func pairs(flag, usage string, texts []string) (map[string]string, error) {
	split := map[string]string{}
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" || value == "" {
			return nil, fmt.Errorf("%s %q is not of the form %s", flag, text, usage)
		}
		if _, twice := split[name]; twice {
			return nil, fmt.Errorf("%s gives %s twice", flag, name)
		}
		split[name] = value
	}
	return split, nil
}
