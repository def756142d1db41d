package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
	"github.com/onnxloss/onnxloss/runtime/ort"
	"github.com/onnxloss/onnxloss/runtime/verify"
)

// engineFlags choose engines.
type engineFlags struct {
	engines, providers []string
	library            string
}

func (f *engineFlags) register(cmd *cobra.Command, usage string) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.engines, "engine", nil, "`engines`: interp (pure Go), ort (ONNX Runtime)"+usage)
	flags.StringSliceVar(&f.providers, "provider", nil, "execution `providers` of ONNX Runtime, such as cpu, cuda; chooses engine ort (default cpu)")
	flags.StringVar(&f.library, "ort", "", "`PATH` of ONNX Runtime's library or its folder; onnxloss doctor shows where it is looked for otherwise")
	complete(cmd, "engine", "interp, ort")
	complete(cmd, "provider", "cpu, cuda, tensorrt, coreml, directml, openvino, webgpu, xnnpack")
}

// asked reports whether the user chose, so that what is missing is an error.
func (f *engineFlags) asked() bool {
	return len(f.engines)+len(f.providers) > 0 || f.library != ""
}

// check refuses engines that do not exist, and providers without ort. It reads
// "ort:cuda", as reports name engines, as engine ort with provider cuda.
func (f *engineFlags) check() error {
	for i, name := range f.engines {
		if provider, ok := strings.CutPrefix(name, "ort:"); ok {
			f.engines[i] = "ort"
			f.providers = append(f.providers, provider)
		}
	}
	for _, name := range f.engines {
		if name != "interp" && name != "ort" {
			return fmt.Errorf("unknown engine %q; use interp or ort", name)
		}
	}
	if len(f.engines) > 0 && !slices.Contains(f.engines, "ort") && (len(f.providers) > 0 || f.library != "") {
		return errors.New("--provider and --ort are for ONNX Runtime; add ort to --engine")
	}
	return nil
}

// chosen gives the engines that the flags name, or both where they name none. One
// that is not there is in the list as verify.Unavailable.
func (f *engineFlags) chosen(threads int) ([]engine.Engine, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	var found []engine.Engine
	if slices.Contains(f.engines, "interp") || len(f.engines) == 0 && len(f.providers) == 0 {
		found = append(found, interp.New())
	}
	if len(f.engines) > 0 && !slices.Contains(f.engines, "ort") {
		return found, nil
	}
	providers := f.providers
	if len(providers) == 0 {
		providers = []string{"cpu"}
	}
	for _, provider := range providers {
		e, err := ort.New(ort.Options{Library: f.library, Provider: provider, Threads: threads})
		switch {
		case errors.Is(err, engine.ErrUnavailable):
			e = verify.Unavailable("ort:"+provider, err)
		case err != nil:
			return nil, err
		}
		found = append(found, e)
	}
	return found, nil
}

// one gives the single engine that the flags name: by default ONNX Runtime, or
// interp where that is not there.
func (f *engineFlags) one() (engine.Engine, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	if len(f.engines) > 1 || len(f.providers) > 1 {
		return nil, errors.New("choose one engine and one provider")
	}
	if slices.Contains(f.engines, "interp") {
		return interp.New(), nil
	}
	options := ort.Options{Library: f.library}
	if len(f.providers) == 1 {
		options.Provider = f.providers[0]
	}
	e, err := ort.New(options)
	if errors.Is(err, engine.ErrUnavailable) && !f.asked() {
		return interp.New(), nil
	}
	return e, err
}
