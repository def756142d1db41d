package main

import (
	"cmp"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/onnxloss/onnxloss/internal/npy"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
)

const dataFolder = "../../testdata/models"

// runDemo runs the whole demo on the given engine and a data folder.
func runDemo(t *testing.T, data string, eng engine.Engine) (code int, output string, err error) {
	t.Helper()
	written := new(strings.Builder)
	d := &demo{
		to: written, data: data, out: filepath.Join(t.TempDir(), "new", "folder"), ink: plain,
		engines: []engine.Engine{eng}, missing: errors.New("ort: left out of this test"),
	}
	code, err = d.run(context.Background())
	return code, written.String(), err
}

func TestDemoGivesTheFiguresOfPyTorch(t *testing.T) {
	code, output, err := runDemo(t, dataFolder, interp.New())
	if err != nil || code != holds {
		t.Fatalf("got exit code %d and error %v, want %d and none\n%s", code, err, holds, output)
	}
	pytorch, err := npy.Read(filepath.Join(dataFolder, "digits_cnn_ce_none.npy"))
	if err != nil {
		t.Fatal(err)
	}
	want := pytorch.Float64s()
	sum := 0.0
	for _, x := range want {
		sum += x
	}
	slices.SortFunc(want, func(a, b float64) int { return cmp.Compare(b, a) })

	means := numbers(t, output, `mean loss ([0-9.]+)`)
	if len(means) != 2 || !(math.Abs(means[0]-sum/256) <= allowed) {
		t.Errorf("mean losses: got %v, want %.6f for the digits and one for the detector", means, sum/256)
	}
	digits, _, _ := strings.Cut(output, "2. Detector")
	hardest := numbers(t, digits, `  loss ([0-9.]+)`)
	if len(hardest) != 8 {
		t.Fatalf("got the losses %v, want 8", hardest)
	}
	for i, loss := range hardest {
		if !(math.Abs(loss-want[i]) <= 1e-4) {
			t.Errorf("image %d: got loss %.4f, PyTorch has %.4f", i, loss, want[i])
		}
	}
}

// numbers are what the group in a pattern matches, everywhere in a text.
func numbers(t *testing.T, text, pattern string) []float64 {
	t.Helper()
	var found []float64
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		x, err := strconv.ParseFloat(match[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, x)
	}
	return found
}

func TestDemoShowsTheHardestImage(t *testing.T) {
	_, output, err := runDemo(t, dataFolder, interp.New())
	if err != nil {
		t.Fatal(err)
	}
	_, shown, found := strings.Cut(output, "The 8 hardest images:\n\n")
	if !found {
		t.Fatalf("no images in\n%s", output)
	}
	want := []string{
		"      ▒▒████▒▒    ",
		"      ██▓▓▓▓██    ",
		"      ▓▓████▓▓    ",
		"      ░░████░░    ",
		"        ░░▓▓██    ",
		"      ▓▓  ▒▒██    ",
		"      ██▒▒▓▓▓▓    ",
		"      ▒▒████▓▓    ",
		"  is 9, read as 8 ",
		"  loss 5.0009     ",
	}
	lines := strings.SplitN(shown, "\n", len(want)+1)
	for i, line := range want {
		if got := string([]rune(lines[i])[:18]); got != line {
			t.Errorf("line %d: got %q, want %q", i, got, line)
		}
	}
}

func TestDemoFits80Columns(t *testing.T) {
	_, output, err := runDemo(t, dataFolder, interp.New())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(output) {
		isPath := strings.HasPrefix(line, "  files ")
		if width := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); width > 80 && !isPath {
			t.Errorf("%d columns: %s", width, line)
		}
	}
}

func TestDemoSaysWhatIsMissing(t *testing.T) {
	_, output, err := runDemo(t, dataFolder, interp.New())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"  ort      MISSING", "ort: left out of this test", "everything holds on interp; ONNX Runtime is MISSING"} {
		if !strings.Contains(output, want) {
			t.Errorf("%q is not in the output:\n%s", want, output)
		}
	}
}

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

func (refusing) Load([]byte) (engine.Session, error) { return nil, errors.New("it loads nothing") }

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
	err := os.Remove(path)
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
