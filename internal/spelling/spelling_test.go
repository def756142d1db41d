package spelling_test

import (
	"testing"

	"github.com/onnxloss/onnxloss/internal/spelling"
)

func TestClosest(t *testing.T) {
	losses := []string{"sigmoid-focal", "softmax-focal", "giou", "l1"}
	for name, want := range map[string]string{
		"sigmoid-focl":  "sigmoid-focal", // a letter left out
		"Sigmoid-Focal": "sigmoid-focal",
		"softmx-fcal":   "softmax-focal", // two
		"giuo":          "giou",          // two letters exchanged
		"l2":            "l1",
		"k9":            "",              // too many for a short name
		"focal":         "sigmoid-focal", // a part of it
		"nothing":       "",
		"z":             "", // one edit, and nothing in common
		"":              "",
	} {
		if got := spelling.Closest(name, losses); got != want {
			t.Errorf("Closest(%q) = %q, want %q", name, got, want)
		}
	}
}
