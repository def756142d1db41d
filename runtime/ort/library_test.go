//go:build cgo

package ort_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/internal/testneeds"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/ort"
)

// A process loads one library for good, so tests of loading start this program
// again with the libraries to load, one after the other.
const librariesToLoad = "ONNXLOSS_TEST_LIBRARIES"

func TestMain(m *testing.M) {
	libraries := os.Getenv(librariesToLoad)
	if libraries == "" {
		os.Exit(m.Run())
	}
	for _, library := range filepath.SplitList(libraries) {
		_, err := ort.New(ort.Options{Library: library})
		if err == nil {
			_, err = ort.MaxOpset() // ends with a model that is refused
		}
		fmt.Printf("%v unavailable=%t\n", err, errors.Is(err, engine.ErrUnavailable))
	}
}

// loadInOrder gives what New said of each library, in a process of its own that
// writes nothing to the standard error stream.
func loadInOrder(t *testing.T, libraries ...string) []string {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), librariesToLoad+"="+strings.Join(libraries, string(os.PathListSeparator)))
	var output, noise bytes.Buffer
	command.Stdout, command.Stderr = &output, &noise
	if err := command.Run(); err != nil {
		t.Fatalf("%v: %s", err, noise.String())
	}
	if noise.Len() > 0 {
		t.Errorf("standard error: %s", noise.String())
	}
	lines := strings.Split(strings.TrimSpace(output.String()), "\n")
	if len(lines) != len(libraries) {
		t.Fatalf("got %q for %q", lines, libraries)
	}
	return lines
}

// compile makes a shared library of C source text.
func compile(t *testing.T, source string) string {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil || runtime.GOOS == "windows" {
		testneeds.Lacking(t, testneeds.ORT, "there is no C compiler called cc")
	}
	folder := t.TempDir()
	file, library := filepath.Join(folder, "x.c"), filepath.Join(folder, fileName)
	if err := os.WriteFile(file, []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	if output, err := exec.Command(cc, "-shared", "-fPIC", "-o", library, file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	return library
}

const oldLibrary = `
#include <stdio.h>
static const void *get_api(unsigned version) { fprintf(stderr, "no such version\n"); return 0; }
static const char *version(void) { return "1.20.1"; }
static struct { const void *(*get_api)(unsigned); const char *(*version)(void); } base = {get_api, version};
void *OrtGetApiBase(void) { return &base; }
`

func TestFilesThatAreNotTheLibrary(t *testing.T) {
	tests := []struct {
		name, library string
		words         []string
	}{
		{"a text file", libraryIn(t, t.TempDir()), []string{"cannot be loaded as ONNX Runtime"}},
		{"another library", compile(t, "int answer = 42;"), []string{"cannot be loaded as ONNX Runtime", "has no function OrtGetApiBase"}},
		{"an old version", compile(t, oldLibrary), []string{"is ONNX Runtime 1.20.1, but 1.29 or newer is needed"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			said := loadInOrder(t, test.library)[0]
			mustSay(t, errors.New(said), append(test.words, test.library, "unavailable=true")...)
		})
	}
}

func TestLibraryLoadsAfterAFailure(t *testing.T) {
	library := needLibrary(t).Path
	said := loadInOrder(t, libraryIn(t, t.TempDir()), library, library)
	mustSay(t, errors.New(said[0]), "cannot be loaded")
	if said[1] != "<nil> unavailable=false" || said[2] != said[1] {
		t.Errorf("got %q, want no error", said[1:])
	}
}

func TestSecondLibraryIsRefused(t *testing.T) {
	newEngine(t, ort.Options{})
	_, err := ort.New(ort.Options{Library: libraryIn(t, t.TempDir())})
	mustSay(t, err, "is loaded already", "one ONNX Runtime only")
	library := needLibrary(t)
	link := filepath.Join(t.TempDir(), fileName)
	if err := os.Symlink(library.Path, link); err != nil {
		t.Skip(err)
	}
	if _, err := ort.New(ort.Options{Library: link}); err != nil {
		t.Errorf("a link to the loaded library: %v", err)
	}
}

func TestLibraryThatIsNotThere(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.so")
	_, err := ort.New(ort.Options{Library: missing})
	mustSay(t, err, missing, "does not exist")
	if !errors.Is(err, engine.ErrUnavailable) {
		t.Errorf("want ErrUnavailable, got %v", err)
	}
}

func TestProvidersThatAreNotThere(t *testing.T) {
	needLibrary(t)
	_, err := ort.New(ort.Options{Provider: "abacus"})
	mustSay(t, err, `ort: unknown provider "abacus"; use one of cpu, cuda, tensorrt`)
	if errors.Is(err, engine.ErrUnavailable) {
		t.Errorf("a wrong name is not an absent engine: %v", err)
	}
	built, err := ort.Providers()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cuda", "tensorrt", "coreml", "directml", "openvino", "qnn", "vitisai", "xnnpack"} {
		e, err := ort.New(ort.Options{Provider: name})
		if err == nil {
			t.Logf("%s works here", e.Name())
			continue
		}
		if !errors.Is(err, engine.ErrUnavailable) {
			t.Errorf("%s: want ErrUnavailable, got %v", name, err)
		}
		if slices.Contains(built, name) {
			mustSay(t, err, "ort: provider "+name+" does not start here (")
		} else {
			mustSay(t, err, "ort: provider "+name+" is not in the ONNX Runtime at ", "which has "+strings.Join(built, ", "), "ONNXLOSS_ORT")
		}
	}
}

func TestWhatTheLibrarySaysOfItself(t *testing.T) {
	needLibrary(t)
	version, err := ort.Version()
	if err != nil {
		t.Fatal(err)
	}
	providers, err := ort.Providers()
	if err != nil || !slices.Contains(providers, "cpu") {
		t.Errorf("providers: got %q, %v, want cpu among them", providers, err)
	}
	newest, err := ort.MaxOpset()
	if err != nil {
		t.Fatal(err)
	}
	if version == "1.30.0" && newest != 26 {
		t.Errorf("ONNX Runtime %s: got newest opset %d, want 26", version, newest)
	}
	for opset, works := range map[int]bool{newest: true, newest + 1: false} {
		session, err := newEngine(t, ort.Options{}).Load(model(t, opset,
			[]*onnxpb.ValueInfoProto{value("x", ops.Float32)}, []*onnxpb.ValueInfoProto{value("y", ops.Float32)},
			node("Identity", []string{"x"}, []string{"y"})))
		if (err == nil) != works {
			t.Errorf("opset %d: got %v", opset, err)
		}
		if err == nil {
			err = session.Close()
		}
		if err != nil && !errors.Is(err, engine.ErrUnsupported) {
			t.Errorf("opset %d: %v", opset, err)
		}
	}
}
