package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
	"github.com/onnxloss/onnxloss/runtime/ort"
)

func newDoctor() *cobra.Command {
	var fetch, quiet, asJSON bool
	var library string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Show the engines found here, and what to do about missing ones",
		Long: `Show the engines and execution providers found on this machine, where ONNX
Runtime was looked for, and what to do about what is missing. --fetch gets ONNX
Runtime with npm first and keeps it in the cache folder.`,
		Example: `  onnxloss doctor
  onnxloss doctor --fetch
  onnxloss doctor --ort /opt/onnxruntime/lib --json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if fetch {
				if err := fetchRuntime(cmd); err != nil {
					return err
				}
			}
			if quiet {
				_, err := ort.New(ort.Options{Library: library})
				return err
			}
			found := examine(library)
			show := found.print
			if asJSON {
				show = func(cmd *cobra.Command) error { return writeJSON(cmd.OutOrStdout(), found) }
			}
			err := show(cmd)
			if err == nil && library != "" {
				_, err = ort.New(ort.Options{Library: library})
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&fetch, "fetch", false, "get ONNX Runtime into the cache folder")
	cmd.Flags().BoolVar(&quiet, "quiet", false, "print nothing; the exit code says whether ONNX Runtime works")
	cmd.Flags().StringVar(&library, "ort", "", "`PATH` of ONNX Runtime's library or its folder")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func fetchRuntime(cmd *cobra.Command) error {
	_, err := ort.Fetch(cmd.Context(), func(message string) {
		fmt.Fprintln(cmd.ErrOrStderr(), message)
	})
	if err != nil {
		return engine.Unavailable(err)
	}
	return nil
}

// diagnosis is what doctor finds.
type diagnosis struct {
	Version     string         `json:"version"`
	Interpreter string         `json:"interpreter"`
	Runtime     runtimeFound   `json:"onnxruntime"`
	Looked      []string       `json:"looked"`
	Providers   []providerJSON `json:"providers"`
	Advice      []string       `json:"advice"`
}

type runtimeFound struct {
	Path    string `json:"path,omitempty"`
	How     string `json:"found_in,omitempty"`
	Version string `json:"version,omitempty"`
	Opset   int    `json:"max_opset,omitempty"`
	Problem string `json:"problem,omitempty"`
}

type providerJSON struct {
	Name    string `json:"name"`
	Works   bool   `json:"works"`
	Problem string `json:"problem,omitempty"`
}

func examine(library string) diagnosis {
	d := diagnosis{
		Version:     versionLine(),
		Interpreter: fmt.Sprintf("%d standard operators, always there", countOperators()),
		Looked:      []string{}, Providers: []providerJSON{}, Advice: []string{},
	}
	for _, place := range ort.Places(library) {
		d.Looked = append(d.Looked, place.String())
	}
	d.Runtime = examineRuntime(library)
	if d.Runtime.Path == "" {
		d.Advice = append(d.Advice, "onnxloss doctor --fetch gets ONNX Runtime; or set ONNXLOSS_ORT to the path of a library that you have")
	}
	if d.Runtime.Problem != "" {
		return d
	}
	providers, err := ort.Providers()
	if err != nil {
		d.Runtime.Problem = err.Error()
		return d
	}
	accelerated := false
	for _, name := range providers {
		p := providerJSON{Name: name, Works: true}
		if _, err := ort.New(ort.Options{Library: library, Provider: name}); err != nil {
			p.Works, p.Problem = false, err.Error()
		}
		accelerated = accelerated || p.Works && name != "cpu"
		d.Providers = append(d.Providers, p)
	}
	if !accelerated {
		d.Advice = append(d.Advice, "for another provider, such as cuda, set ONNXLOSS_ORT to a build of ONNX Runtime that has it")
	}
	return d
}

func examineRuntime(library string) runtimeFound {
	location, err := ort.Find(library)
	if err != nil {
		return runtimeFound{Problem: err.Error()}
	}
	found := runtimeFound{Path: location.Path, How: location.How}
	if _, err = ort.New(ort.Options{Library: library}); err == nil {
		found.Version, err = ort.Version()
	}
	if err == nil {
		found.Opset, err = ort.MaxOpset()
	}
	if err != nil {
		found.Problem = err.Error()
	}
	return found
}

func countOperators() int {
	names := map[string]bool{}
	for _, s := range interp.Operators() {
		names[s.Operator] = true
	}
	return len(names)
}

func (d diagnosis) print(cmd *cobra.Command) error {
	rows := [][]string{{"onnxloss", strings.TrimPrefix(d.Version, "onnxloss ")}, {"interp", d.Interpreter}}
	if r := d.Runtime; r.Problem != "" {
		rows = append(rows, []string{"ort", "not there: " + r.Problem})
	} else {
		rows = append(rows, []string{"ort", fmt.Sprintf("ONNX Runtime %s, opsets up to %d, %s (%s)", r.Version, r.Opset, r.Path, r.How)})
	}
	for _, p := range d.Providers {
		state := "works"
		if !p.Works {
			state = "does not work: " + p.Problem
		}
		rows = append(rows, []string{"ort:" + p.Name, state})
	}
	for _, place := range d.Looked {
		rows = append(rows, []string{"looked", place})
	}
	for _, advice := range d.Advice {
		rows = append(rows, []string{"to do", advice})
	}
	return writeTable(cmd.OutOrStdout(), 0, rows)
}
