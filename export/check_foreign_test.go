package export_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/nodetests"
)

func TestCheckAcceptsTheStandardsNodeTests(t *testing.T) {
	cases := nodetests.Cases(t)
	if len(cases) == 0 {
		t.Fatal("there are no node tests")
	}
	for _, c := range cases {
		if err := export.Check(c.Model); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

func TestCheckAcceptsTrainedModels(t *testing.T) {
	var files []string
	for _, pattern := range []string{"*.onnx", "light/*.onnx"} {
		found, err := filepath.Glob(filepath.Join(nodetests.Shared(t, "models"), pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		t.Fatal("there are no models")
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := export.Check(raw); err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
		}
	}
}
