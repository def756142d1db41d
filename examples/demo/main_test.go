package main

import (
	"cmp"
	"context"
	"errors"
	"math"
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

func TestDemo(t *testing.T) {
	code, output, err := runDemo(t, dataFolder, interp.New())
	if err != nil || code != holds {
		t.Fatalf("got exit code %d and error %v, want %d and none\n%s", code, err, holds, output)
	}
	t.Run("gives the figures of PyTorch", func(t *testing.T) { checkFigures(t, output) })
	t.Run("shows the hardest image", func(t *testing.T) { checkPicture(t, output) })
	t.Run("fits 80 columns", func(t *testing.T) { checkWidth(t, output) })
	t.Run("says what is missing", func(t *testing.T) { checkMissing(t, output) })
}

func checkFigures(t *testing.T, output string) {
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

func checkPicture(t *testing.T, output string) {
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

func checkWidth(t *testing.T, output string) {
	for line := range strings.Lines(output) {
		isPath := strings.HasPrefix(line, "  files ")
		if width := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); width > 80 && !isPath {
			t.Errorf("%d columns: %s", width, line)
		}
	}
}

func checkMissing(t *testing.T, output string) {
	for _, want := range []string{"  ort      MISSING", "ort: left out of this test", "everything holds on interp; ONNX Runtime is MISSING"} {
		if !strings.Contains(output, want) {
			t.Errorf("%q is not in the output:\n%s", want, output)
		}
	}
}
