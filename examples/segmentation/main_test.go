package main

import (
	"math"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/examples/kit/kittest"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

func TestSegmentation(t *testing.T) {
	kittest.OnEngines(t, func(t *testing.T, eng engine.Engine) {
		r, err := judge(eng, kittest.Data)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.stages) != 2*len(alphas) || r.cases == 0 || r.parts.cases == 0 {
			t.Fatalf("got %d stages, %d and %d verified cases", len(r.stages), r.cases, r.parts.cases)
		}
		kittest.FitsTerminal(t, r.write)
		checkStages(t, r)
		checkHardest(t, r)
	})
}

// checkStages holds every stage against the two parts that were computed apart.
func checkStages(t *testing.T, r report) {
	p := r.parts
	if want := p.dice + p.alpha*p.boundary; !(math.Abs(p.total-want) <= 1e-5) {
		t.Errorf("total: got %g, want %g", p.total, want)
	}
	if !(p.dice > 0 && p.dice < 0.3 && p.boundary < 0) {
		t.Errorf("got GD %g and B %g, want those of a model that was trained", p.dice, p.boundary)
	}
	for _, s := range r.stages {
		if !(s.worst <= 1e-5) {
			t.Errorf("%s, α = %g: the engine is %g off the reference", s.schedule, s.alpha, s.worst)
		}
		want := p.dice + s.alpha*p.boundary
		if s.schedule == "rebalance" {
			want = (1-s.alpha)*p.dice + s.alpha*p.boundary
		}
		if !(math.Abs(s.mean-want) <= 1e-5) {
			t.Errorf("%s, α = %g: got %g, the parts give %g", s.schedule, s.alpha, s.mean, want)
		}
	}
}

func checkHardest(t *testing.T, r report) {
	all, images := 0, r.masks.Shape()[0]
	for image := range images {
		_, wrong := r.errors(image)
		all += wrong
	}
	order := hardest(r.stages[0].perImage)
	worst, most := r.errors(order[0])
	_, least := r.errors(order[images-1])
	if !(most*images > 2*all && least*images < all) {
		t.Errorf("wrong pixels: %d in the hardest image, %d in the easiest, %d in all %d", most, least, all, images)
	}
	if drawn := strings.Join(worst, ""); strings.Count(drawn, "+")+strings.Count(drawn, "-") != most || len(worst) != side {
		t.Errorf("%d wrong pixels are drawn as\n%s", most, strings.Join(worst, "\n"))
	}
}
