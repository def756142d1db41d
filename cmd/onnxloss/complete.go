package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/onnxloss/onnxloss/losses"
)

// completeLoss completes the argument at a position with the names of losses.
func completeLoss(position int) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) != position {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return lossNames(), cobra.ShellCompDirectiveNoFileComp
	}
}

func lossNames() []cobra.Completion {
	var found []cobra.Completion
	for _, loss := range losses.All() {
		found = append(found, cobra.CompletionWithDesc(loss.Command(), loss.Summary))
	}
	return found
}

// complete completes a flag with the values in a list such as "a, b".
func complete(cmd *cobra.Command, flag, list string) {
	values := strings.Split(list, ", ")
	register(cmd, flag, func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return values, cobra.ShellCompDirectiveNoFileComp
	})
}

// completeSettings completes --set, and --with, for the loss at a position among the
// arguments.
func completeSettings(cmd *cobra.Command, position int) {
	register(cmd, "set", func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		var found []cobra.Completion
		if loss := lossAt(args, position); loss != nil {
			for _, p := range loss.Declare {
				found = append(found, cobra.CompletionWithDesc(p.Name+"=", p.Doc))
			}
		}
		return found, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	})
	if cmd.Flags().Lookup("with") == nil {
		return
	}
	register(cmd, "with", func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		var found []cobra.Completion
		if loss := lossAt(args, position); loss != nil {
			for _, in := range loss.Inputs {
				if in.Optional {
					found = append(found, cobra.CompletionWithDesc(in.Name, in.Doc))
				}
			}
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	})
}

func lossAt(args []string, position int) *losses.Loss {
	if len(args) <= position {
		return nil
	}
	loss, err := losses.Find(args[position])
	if err != nil {
		return nil
	}
	return loss
}

// register sets the completion of a flag that the command has.
func register(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err)
	}
}
