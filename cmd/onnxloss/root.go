package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
)

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "onnxloss",
		Short: "Loss functions for ONNX models",
		Long: `onnxloss exports loss functions as ONNX, attaches them to trained models,
verifies the result on every engine at hand against a float64 reference, and
scores data with it.

Exit codes: 0 all is well; 1 something was compared and differs; 2 the command
line or an input is wrong; 3 an engine or a provider that was asked for is not
there.`,
		Example: `  onnxloss list
  onnxloss describe sigmoid-focal
  onnxloss export sigmoid-focal -o focal.onnx --set gamma=1.5
  onnxloss inspect classifier.onnx
  onnxloss attach classifier.onnx softmax-cross-entropy -o with_loss.onnx
  onnxloss verify focal.onnx`,
		Version:                    export.Version,
		Args:                       knownCommand,
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(cmd.ErrOrStderr())
			if err := cmd.Help(); err != nil {
				return err
			}
			return errors.New("name a command")
		},
	}
	root.SetVersionTemplate("onnxloss {{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", fmt.Sprintf(".FlagUsagesWrapped %d", columns)))
	root.AddCommand(
		newList(), newDescribe(), newEval(),
		newExport(), newAttach(), newDetach(), newPerceptual(), newInspect(), newVerify(), newScore(),
		newDoctor(), newVersion(),
	)
	return root
}

func knownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if close := root.SuggestionsFor(args[0]); len(close) > 0 {
		return fmt.Errorf("unknown command %q; did you mean %q?", args[0], close[0])
	}
	return fmt.Errorf("unknown command %q; onnxloss --help lists them", args[0])
}

func flagError(cmd *cobra.Command, err error) error {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return fmt.Errorf("%s: %w", cmd.Name(), err)
	}
	given := unknown.GetSpecifiedName()
	if close := closestFlag(cmd, given); close != "" && len(given) > 1 {
		return fmt.Errorf("%s: unknown flag --%s; did you mean --%s?", cmd.Name(), given, close)
	}
	dashes := "--"
	if len(given) == 1 {
		dashes = "-"
	}
	return fmt.Errorf("%s: unknown flag %s%s; onnxloss %s --help lists the flags", cmd.Name(), dashes, given, cmd.Name())
}

// closestFlag gives the flag that a name was meant to be, or "". It borrows the
// measure that cobra has for the names of commands.
func closestFlag(cmd *cobra.Command, name string) string {
	flags := &cobra.Command{SuggestionsMinimumDistance: 2}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		flags.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
	})
	if close := flags.SuggestionsFor(name); len(close) > 0 {
		return close[0]
	}
	return ""
}

// arguments asks for exactly the named arguments.
func arguments(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return fmt.Errorf("%s: %s is missing; the usage is: onnxloss %s", cmd.Name(), names[len(args)], cmd.Use)
		}
		if len(args) == len(names) {
			return nil
		}
		extra := args[len(names)]
		if strings.Contains(extra, "=") {
			return fmt.Errorf("%s: unexpected argument %q; a name=value goes behind its flag, each by itself", cmd.Name(), extra)
		}
		return fmt.Errorf("%s: unexpected argument %q; the usage is: onnxloss %s", cmd.Name(), extra, cmd.Use)
	}
}

func noArguments(cmd *cobra.Command, args []string) error {
	return arguments()(cmd, args)
}

// findLoss turns an argument into a loss.
func findLoss(name string) (*losses.Loss, error) {
	if _, ok := findComposite(name); ok {
		return nil, fmt.Errorf("%s needs a feature network and has a command of its own; see onnxloss %s --help", name, name)
	}
	loss, err := losses.Find(name)
	switch {
	case err == nil:
		return loss, nil
	case strings.ContainsAny(name, `./\`):
		return nil, fmt.Errorf("%q looks like a file, and a LOSS belongs there; onnxloss list shows all", name)
	}
	return nil, fmt.Errorf("%w (onnxloss list shows all)", err)
}
