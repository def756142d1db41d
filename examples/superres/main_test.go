package main

import (
	"math"
	"slices"
	"testing"

	"github.com/onnxloss/onnxloss/examples/kit/kittest"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

func TestSuperResolution(t *testing.T) {
	kittest.OnEngines(t, func(t *testing.T, eng engine.Engine) {
		r, err := compare(eng, kittest.Data)
		if err != nil {
			t.Fatal(err)
		}
		kittest.FitsTerminal(t, r.write)
		rows := map[string]row{}
		for _, x := range r.losses {
			rows[x.name] = x
			for i, got := range x.engine {
				if want := x.reference[i]; !(math.Abs(got-want) <= 1e-6*math.Max(1, want)) {
					t.Errorf("%s of %s: the engine gives %g, the reference %g", x.name, r.candidates[i].name, got, want)
				}
			}
		}
		if len(rows) != 8 || r.cases == 0 {
			t.Fatalf("got %d losses and %d verified cases", len(rows), r.cases)
		}
		checkWhatTheReportSays(t, r, rows)
		if got, want := r.attached, rows["perceptual, both"].engine[1]; !(math.Abs(got-want) <= 1e-6) {
			t.Errorf("perceptual loss: on the network %g, by itself %g", got, want)
		}
	})
}

// The candidates by their place in a row.
const (
	truth = iota
	network
	pixels
	blur
)

func checkWhatTheReportSays(t *testing.T, r report, rows map[string]row) {
	for name, closest := range map[string]string{
		"mse": "network", "image-gradient": "network", "gradient-magnitude": "network", "total-variation": "network",
		"perceptual, first": "network", "laplacian-pyramid": "repeated", "perceptual, last": "repeated",
	} {
		if got := r.closest(rows[name]); got != closest {
			t.Errorf("%s: %s is the closest to the truth, want %s", name, got, closest)
		}
	}
	for name, x := range rows {
		if name == "total-variation" {
			descending := slices.Clone(x.engine)
			slices.SortFunc(descending, func(a, b float64) int { return int(math.Copysign(1, b-a)) })
			if !slices.Equal(descending, x.engine) {
				t.Errorf("total variation: got %v, want less the smoother images are", x.engine)
			}
			continue
		}
		if x.engine[truth] != 0 {
			t.Errorf("%s of the truth: got %g, want 0", name, x.engine[truth])
		}
		if !(x.engine[blur] > 1.1*math.Max(x.engine[network], x.engine[pixels])) {
			t.Errorf("%s: got %v, want clearly more for blurred images", name, x.engine)
		}
	}
	if !(r.read[truth] > r.read[pixels] && r.read[pixels] > r.read[network] && r.read[network] > r.read[blur]) {
		t.Errorf("images read as the truth: got %v, want what the perceptual loss says", r.read)
	}
}
