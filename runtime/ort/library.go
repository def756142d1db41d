//go:build cgo

package ort

// #include "capi.h"
import "C"

import (
	"fmt"
	"os"
	"sync"
	"unsafe"

	binding "github.com/yalue/onnxruntime_go"
	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
)

// apiVersion is the version of the C API that the binding asks for. Version 29 came
// with ONNX Runtime 1.29; later releases have it too.
const apiVersion = 29

// library is the loaded ONNX Runtime. It is never unloaded: sessions point into it.
type library struct {
	path, version string
	maxOpset      func() (int, error)
}

var loaded struct {
	sync.Mutex
	library *library
}

// load gives the process's ONNX Runtime and loads it if that was not done yet.
func load(explicit string) (*library, error) {
	loaded.Lock()
	defer loaded.Unlock()
	if loaded.library != nil && explicit == "" {
		return loaded.library, nil
	}
	location, err := Find(explicit)
	if err != nil {
		return nil, err
	}
	if loaded.library == nil {
		loaded.library, err = open(location.Path)
		return loaded.library, err
	}
	if !sameFile(loaded.library.path, location.Path) {
		return nil, fmt.Errorf("ort: %s is loaded already and a process can use one ONNX Runtime only; run %s in a process of its own", loaded.library.path, location.Path)
	}
	return loaded.library, nil
}

func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

func open(path string) (*library, error) {
	getAPIBase, err := openLibrary(path, "OrtGetApiBase")
	if err != nil {
		return nil, unavailable("%s cannot be loaded as ONNX Runtime (%v)", path, err)
	}
	version := C.GoString(C.capi_version(getAPIBase))
	// Asking an older library for the API makes it write to the standard error
	// stream, so its version is looked at first.
	if !hasAPI(version) || C.capi_open(getAPIBase, apiVersion) == 0 {
		return nil, unavailable("%s is ONNX Runtime %s, but 1.%d or newer is needed", path, version, apiVersion)
	}
	if err := check(C.capi_prepare()); err != nil {
		return nil, fmt.Errorf("ort: prepare %s: %w", path, err)
	}
	if !binding.IsInitialized() {
		binding.SetSharedLibraryPath(path)
		// Errors come back as Go errors; logging them as well would be noise.
		if err := binding.InitializeEnvironment(binding.WithLogLevelFatal()); err != nil {
			return nil, unavailable("%s cannot be initialised (%v)", path, err)
		}
	}
	if err := binding.DisableTelemetry(); err != nil {
		return nil, fmt.Errorf("ort: switch the telemetry of %s off: %w", path, err)
	}
	return &library{path, version, sync.OnceValues(findMaxOpset)}, nil
}

func hasAPI(version string) bool {
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		return false
	}
	return major > 1 || major == 1 && minor >= apiVersion
}

// Version is the version of the loaded ONNX Runtime, such as "1.30.0". If none is
// loaded yet, the one that Find("") gives is.
func Version() (string, error) {
	lib, err := load("")
	if err != nil {
		return "", err
	}
	return lib.version, nil
}

// Providers lists the execution providers that the loaded ONNX Runtime was built
// with, by their short names where package ort has one. Being in the build does
// not mean that the provider works here: that is what New finds out. If no library
// is loaded yet, the one that Find("") gives is.
func Providers() ([]string, error) {
	if _, err := load(""); err != nil {
		return nil, err
	}
	built, err := builtProviders()
	if err != nil {
		return nil, err
	}
	for i, name := range built {
		built[i] = shortName(name)
	}
	return built, nil
}

// builtProviders gives the names that ONNX Runtime has for its providers.
func builtProviders() ([]string, error) {
	var names **C.char
	var count C.int
	if err := check(C.capi_providers(&names, &count)); err != nil {
		return nil, fmt.Errorf("ort: list the execution providers: %w", err)
	}
	built := make([]string, count)
	for i, name := range unsafe.Slice(names, count) {
		built[i] = C.GoString(name)
	}
	if err := check(C.capi_release_providers(names, count)); err != nil {
		return nil, fmt.Errorf("ort: list the execution providers: %w", err)
	}
	return built, nil
}

// MaxOpset is the newest version of the standard operators that the loaded ONNX
// Runtime takes, found out by trying. If none is loaded yet, the one that Find("")
// gives is.
func MaxOpset() (int, error) {
	lib, err := load("")
	if err != nil {
		return 0, err
	}
	return lib.maxOpset()
}

func findMaxOpset() (int, error) {
	// Identity is there since version 1; the loop ends at the first refusal.
	for opset := 1; ; opset++ {
		model, err := identityModel(opset)
		if err != nil {
			return 0, fmt.Errorf("ort: find the newest opset: %w", err)
		}
		session, err := binding.NewDynamicAdvancedSessionWithONNXData(model, nil, nil, nil)
		if err != nil && opset == 1 {
			return 0, fmt.Errorf("ort: find the newest opset: %w", refusal(err))
		}
		if err != nil {
			return opset - 1, nil
		}
		if err := session.Destroy(); err != nil {
			return 0, fmt.Errorf("ort: find the newest opset: %w", err)
		}
	}
}

func identityModel(opset int) ([]byte, error) {
	float32Scalar := func(name string) []*onnxpb.ValueInfoProto {
		return []*onnxpb.ValueInfoProto{{
			Name: &name,
			Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{TensorType: &onnxpb.TypeProto_Tensor{
				ElemType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)),
				Shape:    &onnxpb.TensorShapeProto{},
			}}},
		}}
	}
	return proto.Marshal(&onnxpb.ModelProto{
		IrVersion:   proto.Int64(3),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: proto.Int64(int64(opset))}},
		Graph: &onnxpb.GraphProto{
			Name:   proto.String("identity"),
			Input:  float32Scalar("x"),
			Output: float32Scalar("y"),
			Node:   []*onnxpb.NodeProto{{OpType: proto.String("Identity"), Input: []string{"x"}, Output: []string{"y"}}},
		},
	})
}
