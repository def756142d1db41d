// Package testneeds decides what becomes of a test that lacks something: a library,
// or files that not every checkout has. It is skipped, except where the environment
// variable ONNXLOSS_REQUIRE, a list with commas, names what is lacking: then it fails.
package testneeds

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// What a test can need.
const (
	ORT    = "ort"    // ONNX Runtime
	Shared = "shared" // the folder "shared" beside the repository
	Python = "python" // Python with onnx and onnxruntime
)

// Lacking ends a test that does not have what it needs, because of reason.
func Lacking(t testing.TB, need string, reason any) {
	t.Helper()
	if Required(need) {
		t.Fatalf("ONNXLOSS_REQUIRE asks for %s: %v", need, reason)
	}
	t.Skip(reason)
}

// Required reports whether the environment says that something has to be there.
func Required(need string) bool {
	return slices.Contains(strings.Split(os.Getenv("ONNXLOSS_REQUIRE"), ","), need)
}
