package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/onnxloss/onnxloss/internal/modelfuzz"
)

// Whatever names a file has, what the command prints of it is text: nothing that a
// terminal would act on.
func FuzzMutatedInspect(f *testing.F) {
	modelfuzz.Add(f)
	path := filepath.Join(f.TempDir(), "model.onnx")
	f.Fuzz(func(t *testing.T, decisions []byte) {
		data := modelfuzz.Model(decisions)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{
			{"inspect", path, "--layers"},
			{"attach", path, "mse", "-o", filepath.Join(filepath.Dir(path), "attached.onnx")},
			{"detach", path, "-o", filepath.Join(filepath.Dir(path), "detached.onnx")},
		} {
			var stdout, stderr bytes.Buffer
			modelfuzz.Watch(t, 4, len(data), func() { run(t.Context(), args, &stdout, &stderr) })
			for _, text := range []string{stdout.String(), stderr.String()} {
				wantText(t, text)
			}
			if strings.Contains(stderr.String(), "internal error") {
				t.Error(stderr.String())
			}
		}
	})
}

func wantText(t *testing.T, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("it is not UTF-8: %q", text)
	}
	if at := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) && r != '\n' }); at >= 0 {
		t.Errorf("it has a control character: %q", text[max(0, at-50):min(len(text), at+50)])
	}
}

func TestNamesFromFilesArePrintedAsText(t *testing.T) {
	for name, want := range map[string]string{
		"layer/relu \u00fc": "layer/relu \u00fc",
		`a "quoted" one`:    `a "quoted" one`,
		"\x1b[31mred":       `\x1b[31mred`,
		"two\nlines":        `two\nlines`,
		"\xff\u009b":        `\xff\u009b`,
		"left\u202eright":   `left\u202eright`,
	} {
		if got := printable(name); got != want {
			t.Errorf("%q is printed as %q, want %q", name, got, want)
		}
	}
	if got := printable(strings.Repeat("x", 1<<20)); len(got) > 2100 {
		t.Errorf("a long name is printed in %d bytes", len(got))
	}
}
