//go:build cgo

package ort

import (
	"errors"
	"fmt"

	binding "github.com/yalue/onnxruntime_go"

	"github.com/onnxloss/onnxloss/internal/externaldata"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// New gives the engine "ort:cpu", "ort:cuda" and so on. The error wraps
// engine.ErrUnavailable where the library or the provider is not on this machine.
func New(options Options) (engine.Engine, error) {
	if options.Provider == "" {
		options.Provider = "cpu"
	}
	if options.Threads < 0 {
		return nil, fmt.Errorf("ort: threads must be >= 0, got %d", options.Threads)
	}
	lib, err := load(options.Library)
	if err != nil {
		return nil, err
	}
	p, err := findProvider(options.Provider, lib)
	if err != nil {
		return nil, err
	}
	e := &runner{p, options}
	// A provider may be in the build and yet lack its device or its own libraries.
	native, err := e.sessionOptions()
	if err != nil {
		return nil, err
	}
	if err := native.Destroy(); err != nil {
		return nil, fmt.Errorf("ort: %w", err)
	}
	return e, nil
}

// runner is ONNX Runtime with one provider.
type runner struct {
	provider provider
	options  Options
}

func (r *runner) Name() string { return "ort:" + r.provider.name }

func (r *runner) Load(model []byte) (engine.Session, error) { return r.LoadIn(model, "") }

func (r *runner) LoadIn(model []byte, folder string) (engine.Session, error) {
	if len(model) == 0 {
		return nil, errors.New("ort: load: the model is empty")
	}
	options, err := r.sessionOptions()
	if err != nil {
		return nil, err
	}
	defer options.Destroy()
	if err := useFolder(options, model, folder); err != nil {
		return nil, fmt.Errorf("ort: load: %w", err)
	}
	native, err := binding.NewDynamicAdvancedSessionWithONNXData(model, nil, nil, options)
	if err != nil && fellBack.MatchString(err.Error()) {
		return nil, fmt.Errorf("ort: load: provider %s leaves a part of the model to the CPU; run it on provider cpu: %w", r.provider.name, engine.ErrUnsupported)
	}
	if err != nil {
		return nil, fmt.Errorf("ort: load: %w", refusal(err))
	}
	s, err := newSession(native)
	if err != nil {
		return nil, fmt.Errorf("ort: load: %w", err)
	}
	return s, nil
}

// useFolder tells ONNX Runtime where the model's external data are, which it reads
// itself. It would look in the working directory for those of a model without a
// folder, so that all are checked here.
func useFolder(options *binding.SessionOptions, model []byte, folder string) error {
	tensors, err := externaldata.Scan(model)
	if err != nil {
		return fmt.Errorf("the model is not a valid ONNX file: %w", err)
	}
	if len(tensors) == 0 {
		return nil
	}
	opened, err := externaldata.Open(folder, tensors)
	if err != nil {
		return err
	}
	if err := errors.Join(externaldata.Check(opened, tensors), opened.Close()); err != nil {
		return err
	}
	return options.AddSessionConfigEntry("session.model_external_initializers_file_folder_path", folder)
}

func (r *runner) sessionOptions() (*binding.SessionOptions, error) {
	native, err := binding.NewSessionOptions()
	if err != nil {
		return nil, fmt.Errorf("ort: session options: %w", err)
	}
	if err := r.configure(native); err != nil {
		return nil, errors.Join(err, native.Destroy())
	}
	return native, nil
}

func (r *runner) configure(native *binding.SessionOptions) error {
	level := binding.GraphOptimizationLevel(binding.GraphOptimizationLevelEnableAll)
	if r.options.DisableOptimization {
		level = binding.GraphOptimizationLevelDisableAll
	}
	err := errors.Join(
		native.SetLogSeverityLevel(binding.LoggingLevelFatal),
		native.SetGraphOptimizationLevel(level),
		native.SetIntraOpNumThreads(r.options.Threads),
	)
	if err != nil {
		return fmt.Errorf("ort: session options: %w", err)
	}
	if r.provider.name == "cpu" {
		return nil
	}
	if err := r.provider.add(native); err != nil {
		return unavailable("provider %s does not start here (%s); it needs its device, the driver, and its own library beside that of ONNX Runtime", r.provider.name, sentence(err.Error()))
	}
	// ONNX Runtime would run on the CPU what the provider does not take, silently.
	// With this entry it refuses a model with such a node in its main graph, even
	// one that only computes a shape.
	if err := native.AddSessionConfigEntry("session.disable_cpu_ep_fallback", "1"); err != nil {
		return fmt.Errorf("ort: session options: %w", err)
	}
	return nil
}
