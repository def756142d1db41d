package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/atomicfile"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/verify"
)

func newVerify() *cobra.Command {
	var v verification
	cmd := &cobra.Command{
		Use:   "verify [FILE ...] [--loss LOSS | --all]",
		Short: "Compare models with the float64 reference on every engine",
		Long: `Run models on every engine at hand and compare the loss with the float64
reference, element by element, within the bounds that onnxloss describe states.

FILEs are models that export or attach made; they say themselves what they hold.
--loss and --all go through the catalogue instead: every form, element type,
opset and reduction, or those that flags choose.

Without --engine and --provider, interp and ONNX Runtime are used; ONNX Runtime
is listed as missing where it is not found. An engine or provider that was asked
for and is not there makes the exit code 3.`,
		Example: `  onnxloss verify focal.onnx
  onnxloss verify --loss sigmoid-focal --dtype float32 --opset 17
  onnxloss verify --all --junit report.xml --json report.json
  onnxloss verify focal.onnx --provider cuda`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return v.run(cmd, args)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&v.all, "all", false, "verify the whole catalogue")
	flags.StringSliceVar(&v.losses, "loss", nil, "`LOSS` of the catalogue to verify; may be repeated")
	flags.StringSliceVar(&v.forms, "form", nil, "`forms` to go through: "+names(export.Forms())+" (default all)")
	flags.StringSliceVar(&v.dtypes, "dtype", nil, "element `types` to go through: "+names(ops.FloatTypes())+" (default all)")
	flags.IntSliceVar(&v.opsets, "opset", nil, fmt.Sprintf("`opsets` to go through, of %d to %d (default all)", ops.MinOpset, ops.MaxOpset))
	flags.StringSliceVar(&v.reductions, "reduction", nil, "`reductions` to go through: "+names(losses.Reductions())+" (default all)")
	flags.Uint64Var(&v.seed, "seed", 1, "`number` that chooses the inputs")
	flags.StringVar(&v.junit, "junit", "", "`FILE` to write a JUnit report to")
	flags.StringVar(&v.json, "json", "", "print JSON, or write it to a `FILE` that ends in .json")
	flags.Lookup("json").NoOptDefVal = "-"
	v.engines.register(cmd, ", separated by commas (default both)")
	register(cmd, "loss", func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return lossNames(), cobra.ShellCompDirectiveNoFileComp
	})
	complete(cmd, "form", names(export.Forms()))
	complete(cmd, "dtype", names(ops.FloatTypes()))
	complete(cmd, "reduction", names(losses.Reductions()))
	return cmd
}

// verification is one call of verify.
type verification struct {
	all                bool
	losses, forms      []string
	dtypes, reductions []string
	opsets             []int
	seed               uint64
	junit, json        string
	engines            engineFlags
}

func (v *verification) run(cmd *cobra.Command, files []string) error {
	files = v.takeReportName(files)
	options, err := v.options()
	if err != nil {
		return err
	}
	catalogue := v.all || len(v.losses) > 0
	switch {
	case len(files) == 0 && !catalogue:
		return errors.New("verify: nothing to verify; name files, or use --loss LOSS or --all")
	case len(files) > 0 && catalogue:
		return errors.New("verify: files and --loss or --all do not go together; run them one after the other")
	}
	if options.Engines, err = v.engines.chosen(1); err != nil {
		return err
	}
	if catalogue {
		tell, end := newProgress(cmd.ErrOrStderr(), "verifying")
		options.Progress = tell
		// Many small tensors and little to keep: collecting garbage less often saves
		// a fifth of the time and costs some megabytes.
		before := debug.SetGCPercent(400)
		report, err := verify.Run(cmd.Context(), options)
		debug.SetGCPercent(before)
		end()
		if err != nil {
			return err
		}
		if err := v.show(cmd, report); err != nil {
			return err
		}
		return errors.Join(v.write(cmd, report), v.verdict(report))
	}
	return v.verifyFiles(cmd.Context(), cmd, files, options.Engines)
}

// verifyFiles goes through all files, so that one that cannot be read does not hide
// the others, and returns the errors of all.
func (v *verification) verifyFiles(ctx context.Context, cmd *cobra.Command, files []string, engines []engine.Engine) error {
	var failed error
	var reports []*verify.Report
	for _, file := range files {
		report, err := verify.File(ctx, file, engines, v.seed)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		reports = append(reports, report)
		if err := v.show(cmd, report); err != nil {
			return err
		}
		failed = errors.Join(failed, v.verdict(report))
	}
	if len(reports) == 0 {
		return failed
	}
	return errors.Join(failed, v.write(cmd, reports...))
}

// takeReportName lets --json be followed by a file's name without "=".
func (v *verification) takeReportName(files []string) []string {
	if v.json != "-" {
		return files
	}
	var rest []string
	for _, file := range files {
		if strings.HasSuffix(file, ".json") && v.json == "-" {
			v.json = file
			continue
		}
		rest = append(rest, file)
	}
	return rest
}

func (v *verification) options() (o verify.Options, err error) {
	o.Seed, o.Opsets = v.seed, v.opsets
	for _, opset := range v.opsets {
		if opset < ops.MinOpset || opset > ops.MaxOpset {
			return o, fmt.Errorf("verify: opset %d is not supported; use %d to %d", opset, ops.MinOpset, ops.MaxOpset)
		}
	}
	if o.Losses, err = parseAll(v.losses, findLoss); err != nil {
		return o, err
	}
	if o.Forms, err = parseAll(v.forms, export.ParseForm); err != nil {
		return o, err
	}
	if o.DTypes, err = parseAll(v.dtypes, ops.ParseDType); err != nil {
		return o, err
	}
	o.Reductions, err = parseAll(v.reductions, losses.ParseReduction)
	return o, err
}

func parseAll[T any](texts []string, parse func(string) (T, error)) ([]T, error) {
	var values []T
	for _, text := range texts {
		value, err := parse(text)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, nil
}

// show prints a report for people, unless JSON is printed.
func (v *verification) show(cmd *cobra.Command, report *verify.Report) error {
	if v.json == "-" {
		return nil
	}
	return report.WriteTable(cmd.OutOrStdout())
}

// write writes the reports that were asked for.
func (v *verification) write(cmd *cobra.Command, reports ...*verify.Report) error {
	asJSON := func(w io.Writer) error { return verify.WriteJSON(w, reports...) }
	asJUnit := func(w io.Writer) error { return verify.WriteJUnit(w, reports...) }
	var err error
	switch v.json {
	case "":
	case "-":
		err = asJSON(cmd.OutOrStdout())
	default:
		err = writeReport(v.json, asJSON)
	}
	if err != nil || v.junit == "" {
		return err
	}
	return writeReport(v.junit, asJUnit)
}

// verdict turns a report into an error. A missing engine that nobody asked for is
// no failure: the report lists it.
func (v *verification) verdict(report *verify.Report) error {
	switch code := report.ExitCode(); {
	case code == exitDiffers && report.Failed() > 0:
		return fmt.Errorf("%w%s: %d of %d cases do not hold", errDiffers, of(report), report.Failed(), report.Cases())
	case code == exitDiffers:
		return fmt.Errorf("%w%s: not everything was compared", errDiffers, of(report))
	case code == exitUnavailable && v.engines.asked():
		return fmt.Errorf("verify: engine %s: %w", report.Missing[0].Engine, engine.ErrUnavailable)
	}
	return nil
}

// of names the file that a report is of.
func of(report *verify.Report) string {
	if report.File == "" {
		return ""
	}
	return " for " + report.File
}

func writeReport(path string, write func(io.Writer) error) error {
	var text bytes.Buffer
	if err := write(&text); err != nil {
		return err
	}
	return atomicfile.Write(path, text.Bytes())
}
