// Package kittest runs the tests of examples on the engines of this machine.
package kittest

import (
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/onnxloss/onnxloss/internal/testneeds"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
	"github.com/onnxloss/onnxloss/runtime/ort"
)

// Data is the data folder as seen from an example's own folder.
const Data = "../../testdata/models"

// OnEngines runs a test on the pure Go engine and on ONNX Runtime, where that is
// there.
func OnEngines(t *testing.T, test func(*testing.T, engine.Engine)) {
	t.Run("interp", func(t *testing.T) { test(t, interp.New()) })
	t.Run("ort", func(t *testing.T) {
		eng, err := ort.New(ort.Options{})
		if err != nil {
			testneeds.Lacking(t, testneeds.ORT, err)
		}
		test(t, eng)
	})
}

// FitsTerminal checks that a report is there and no wider than 80 columns.
func FitsTerminal(t *testing.T, write func(io.Writer)) {
	t.Helper()
	report := new(strings.Builder)
	write(report)
	if report.Len() == 0 {
		t.Error("nothing is reported")
	}
	for line := range strings.Lines(report.String()) {
		if width := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); width > 80 {
			t.Errorf("%d columns: %s", width, line)
		}
	}
}
