// Package ort runs models with ONNX Runtime, on the CPU or through one of its
// execution providers.
//
//	runtime, err := ort.New(ort.Options{Provider: "cuda"})
//	if errors.Is(err, engine.ErrUnavailable) { ... } // the library or the provider is not here
//	session, err := runtime.Load(data)
//	defer session.Close()
//	outputs, err := session.Run(map[string]engine.Tensor{"x": x})
//
// ONNX Runtime is a shared library that is loaded when first asked for: Find says
// where it is looked for, Fetch gets it. A process uses one library. The package
// needs cgo; in a build without it everything that would load the library answers
// engine.ErrUnavailable.
//
// The binding makes the environment, the session options and the sessions. Tensors
// go through a few functions of the C API instead, because the binding has no
// scalars and no empty tensors of the half types, and copies once more than needed.
package ort

import (
	"fmt"

	"github.com/onnxloss/onnxloss/runtime/engine"
)

// Options say which ONNX Runtime to use and how.
type Options struct {
	// Library is the shared library's path or its folder; Find describes where it
	// is looked for when this is empty.
	Library string
	// Provider is the execution provider by its short name, such as "cuda"; empty
	// means "cpu". A model that the provider does not run as a whole is an error:
	// nothing falls back to the CPU.
	Provider string
	// Threads is how many threads an operator may use; 0 leaves it to ONNX Runtime.
	Threads int
	// DisableOptimization runs the graph as it is written, without ONNX Runtime's
	// rewriting and fusing.
	DisableOptimization bool
}

// unavailable says that an engine is not there, and why.
func unavailable(format string, args ...any) error {
	return engine.Unavailable(fmt.Errorf("ort: "+format, args...))
}
