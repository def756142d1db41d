//go:build cgo

package ort

import (
	"fmt"
	"slices"
	"strings"

	binding "github.com/yalue/onnxruntime_go"
)

// provider is an execution provider: its short name, ONNX Runtime's name for it,
// and how a session is told to use it.
type provider struct {
	name, ortName string
	add           func(*binding.SessionOptions) error
}

var providers = []provider{
	{"cpu", "CPUExecutionProvider", nil}, // in every session
	{"cuda", "CUDAExecutionProvider", addCUDA},
	{"tensorrt", "TensorrtExecutionProvider", addTensorRT},
	{"coreml", "CoreMLExecutionProvider", func(o *binding.SessionOptions) error { return o.AppendExecutionProviderCoreMLV2(nil) }},
	{"directml", "DmlExecutionProvider", addDirectML},
	{"openvino", "OpenVINOExecutionProvider", func(o *binding.SessionOptions) error { return o.AppendExecutionProviderOpenVINO(nil) }},
	{"qnn", "QNNExecutionProvider", addNamed("QNN")},
	{"vitisai", "VitisAIExecutionProvider", addNamed("VitisAI")},
	{"webgpu", "WebGpuExecutionProvider", addNamed("WebGPU")},
	{"xnnpack", "XnnpackExecutionProvider", addNamed("XNNPACK")},
}

func addNamed(name string) func(*binding.SessionOptions) error {
	return func(o *binding.SessionOptions) error { return o.AppendExecutionProvider(name, nil) }
}

func addCUDA(o *binding.SessionOptions) error {
	cuda, err := binding.NewCUDAProviderOptions()
	if err != nil {
		return err
	}
	defer cuda.Destroy()
	return o.AppendExecutionProviderCUDA(cuda)
}

func addTensorRT(o *binding.SessionOptions) error {
	tensorRT, err := binding.NewTensorRTProviderOptions()
	if err != nil {
		return err
	}
	defer tensorRT.Destroy()
	return o.AppendExecutionProviderTensorRT(tensorRT)
}

func addDirectML(o *binding.SessionOptions) error {
	// DirectML does not plan memory ahead and refuses sessions that ask for it.
	if err := o.SetMemPattern(false); err != nil {
		return err
	}
	return o.AppendExecutionProviderDirectML(0)
}

// findProvider gives the provider of a short name if the library was built with it.
func findProvider(name string, lib *library) (provider, error) {
	i := slices.IndexFunc(providers, func(p provider) bool { return p.name == name })
	if i < 0 {
		return provider{}, fmt.Errorf("ort: unknown provider %q; use one of %s", name, strings.Join(providerNames(), ", "))
	}
	built, err := builtProviders()
	if err != nil {
		return provider{}, err
	}
	if !slices.Contains(built, providers[i].ortName) {
		for i, name := range built {
			built[i] = shortName(name)
		}
		return provider{}, unavailable("provider %s is not in the ONNX Runtime at %s, which has %s; name a build that has it with ONNXLOSS_ORT", name, lib.path, strings.Join(built, ", "))
	}
	return providers[i], nil
}

func providerNames() []string {
	names := make([]string, len(providers))
	for i, p := range providers {
		names[i] = p.name
	}
	return names
}

// shortName turns ONNX Runtime's name of a provider into that of package ort; a
// provider that it does not offer keeps its name.
func shortName(ortName string) string {
	for _, p := range providers {
		if p.ortName == ortName {
			return p.name
		}
	}
	return ortName
}
