package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/models"
)

// inSpec lists the flags of attach that a spec replaces, with its keys for them.
var inSpec = []struct{ flag, key string }{
	{"set", "set"},
	{"bind", "bind"},
	{"reduction", "reduction"},
	{"form", "form"},
	{"dtype", "dtype"},
	{"index-type", "index_type"},
	{"with", "with"},
	{"shape", "shape"},
	{"share", "share"},
	{"name", "name"},
	{"opset", "opset"},
	{"only-loss", "only_loss"},
}

func specFlag(cmd *cobra.Command, spec *string) {
	cmd.Flags().StringVar(spec, "spec", "", "YAML or JSON `FILE` that lists several losses, instead of LOSS and its flags")
	if err := cmd.MarkFlagFilename("spec", "yaml", "yml", "json"); err != nil {
		panic(err)
	}
}

// modelAndLoss asks for a model and either a loss or a spec.
func modelAndLoss(spec *string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if *spec == "" && !cmd.Flags().Changed("spec") {
			return arguments("MODEL", "LOSS")(cmd, args)
		}
		if len(args) == 2 {
			return fmt.Errorf("%s: %s and --spec %s both say which loss to attach; use one of them", cmd.Name(), args[1], *spec)
		}
		return arguments("MODEL")(cmd, args)
	}
}

// completeLossWithout completes a loss behind the model where there is no spec.
func completeLossWithout(spec *string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, start string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if *spec != "" && len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return completeLoss(1)(cmd, args, start)
	}
}

// readSpec reads the file that --spec names.
func readSpec(cmd *cobra.Command, path string) (export.Spec, error) {
	for _, replaced := range inSpec {
		if cmd.Flags().Changed(replaced.flag) {
			return export.Spec{}, fmt.Errorf("%s: --%s has no effect on the losses of --spec; write the key %s in %s instead", cmd.Name(), replaced.flag, replaced.key, path)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return export.Spec{}, fmt.Errorf("%s: --spec: %w", cmd.Name(), err)
	}
	spec, err := export.ParseSpec(data)
	if err != nil {
		return spec, fmt.Errorf("%s: --spec %s: %w", cmd.Name(), path, err)
	}
	return spec, nil
}

// attachSpec puts the losses that a spec lists onto a model.
func attachSpec(cmd *cobra.Command, onto ontoFlags, path, from, to string) error {
	if to == "" {
		return fmt.Errorf("%s: -o FILE is missing; say where to write the model", cmd.Name())
	}
	spec, err := readSpec(cmd, path)
	if err != nil {
		return err
	}
	return onto.write(cmd, from, to, func(model *models.Model) (*models.Model, error) {
		attached, err := export.AttachAll(model, spec.Terms, spec.AllOptions)
		if err != nil {
			return nil, fmt.Errorf("%s: --spec %s: %w", cmd.Name(), path, err)
		}
		return attached, nil
	})
}
