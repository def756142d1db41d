package main

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/internal/npy"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
)

func TestDemoFailsWhereAFigureDiffers(t *testing.T) {
	for _, test := range []struct {
		name  string
		wrong float32
	}{
		{"a little off", 1e-3},
		{"NaN", float32(math.NaN())},
		{"infinite", float32(math.Inf(1))},
	} {
		t.Run(test.name, func(t *testing.T) {
			data := copyOfData(t)
			path := filepath.Join(data, "digits_cnn_ce_none.npy")
			figures, err := npy.Read(path)
			if err != nil {
				t.Fatal(err)
			}
			engine.Data[float32](figures)[100] += test.wrong
			if err := npy.Write(path, figures); err != nil {
				t.Fatal(err)
			}
			code, output, err := runDemo(t, data, interp.New())
			if code != differs || err != nil {
				t.Errorf("got exit code %d and error %v, want %d and none\n%s", code, err, differs, output)
			}
			if !strings.Contains(output, "compare  FAILED") || !strings.Contains(output, "DIFFERS") {
				t.Errorf("the output does not say what failed:\n%s", output)
			}
		})
	}
}

// refusing is an engine that loads nothing.
type refusing struct{}

func (refusing) Name() string { return "refusing" }

func (r refusing) Load([]byte) (engine.Session, error) { return r.LoadIn(nil, "") }

func (refusing) LoadIn([]byte, string) (engine.Session, error) {
	return nil, errors.New("it loads nothing")
}

func TestDemoFailsWhereAnEngineDoes(t *testing.T) {
	code, output, err := runDemo(t, dataFolder, refusing{})
	if code != differs || err != nil || !strings.Contains(output, "score    FAILED") {
		t.Errorf("got exit code %d and error %v, want %d and none\n%s", code, err, differs, output)
	}
}

func TestDemoRefusesWhatItCannotRead(t *testing.T) {
	tests := []struct {
		name    string
		file    string
		content any // a tensor, bytes, or nil for no file
		message string
	}{
		{"no images", "digits_images.npy", nil, "digits_images.npy"},
		{"no folder", "", nil, "run it from the repository's root"},
		{"no model", "detector.onnx", nil, "detector.onnx"},
		{"not a model", "digits_cnn.onnx", []byte("hello"), "digits_cnn.onnx"},
		{"labels of fewer images", "digits_labels.npy", engine.Must([]int{3}, []int64{1, 2, 3}), "holds int64[3], want int64[256]"},
		{"labels of another type", "digits_labels.npy", engine.Must([]int{256}, make([]float32, 256)), "holds float32[256], want int64[256]"},
		{"no image at all", "digits_images.npy", engine.Must([]int{0, 1, 8, 8}, []float32{}), "holds float32[0,1,8,8]"},
		{"a class out of range", "detector_classes.npy", engine.Must([]int{64, 9}, slices.Repeat([]int64{10}, 64*9)), "class 10"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			data := copyOfData(t)
			replace(t, filepath.Join(data, test.file), test.content)
			code, _, err := runDemo(t, data, interp.New())
			if code != unreadable || err == nil || !strings.Contains(err.Error(), test.message) {
				t.Errorf("got exit code %d and error %v, want %d and %q", code, err, unreadable, test.message)
			}
		})
	}
}

func copyOfData(t *testing.T) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(folder, os.DirFS(dataFolder)); err != nil {
		t.Fatal(err)
	}
	return folder
}

// replace puts another content into a file.
func replace(t *testing.T, path string, content any) {
	t.Helper()
	err := os.RemoveAll(path)
	switch content := content.(type) {
	case engine.Tensor:
		err = npy.Write(path, content)
	case []byte:
		err = os.WriteFile(path, content, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
