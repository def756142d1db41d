//go:build !cgo

package ort

import "github.com/onnxloss/onnxloss/runtime/engine"

func withoutCgo() error {
	return unavailable("built without cgo, which ONNX Runtime needs; build with CGO_ENABLED=1 and a C compiler")
}

// New answers engine.ErrUnavailable in a build without cgo.
func New(Options) (engine.Engine, error) { return nil, withoutCgo() }

// Version answers engine.ErrUnavailable in a build without cgo.
func Version() (string, error) { return "", withoutCgo() }

// Providers answers engine.ErrUnavailable in a build without cgo.
func Providers() ([]string, error) { return nil, withoutCgo() }

// MaxOpset answers engine.ErrUnavailable in a build without cgo.
func MaxOpset() (int, error) { return 0, withoutCgo() }
