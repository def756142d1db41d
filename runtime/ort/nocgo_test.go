//go:build !cgo

package ort_test

import (
	"errors"
	"testing"

	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/ort"
)

func TestWithoutCgoTheEngineIsUnavailable(t *testing.T) {
	calls := map[string]func() error{
		"New":       func() error { _, err := ort.New(ort.Options{}); return err },
		"Version":   func() error { _, err := ort.Version(); return err },
		"Providers": func() error { _, err := ort.Providers(); return err },
		"MaxOpset":  func() error { _, err := ort.MaxOpset(); return err },
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			err := call()
			mustSay(t, err, "ort: built without cgo")
			if !errors.Is(err, engine.ErrUnavailable) {
				t.Errorf("want ErrUnavailable, got %v", err)
			}
		})
	}
}
