package main

import (
	"math"
	"testing"

	"github.com/onnxloss/onnxloss/examples/kit/kittest"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

func TestDetector(t *testing.T) {
	kittest.OnEngines(t, func(t *testing.T, eng engine.Engine) {
		r, err := detect(eng, kittest.Data)
		if err != nil {
			t.Fatal(err)
		}
		kittest.FitsTerminal(t, r.write)
		if !(r.worst <= 1e-5) || r.cases == 0 {
			t.Errorf("the terms differ from the reference by %g; %d cases verified", r.worst, r.cases)
		}
		objects := r.objects()
		if len(objects) != 128 {
			t.Fatalf("got %d objects, want 128", len(objects))
		}
		checkObjects(t, objects)
		checkGroups(t, objects)
	})
}

func checkObjects(t *testing.T, objects []object) {
	// one factor N for the whole batch: weight = N IoU^1.5
	n := objects[0].balancedScored / objects[0].scored / math.Pow(objects[0].iou, 1.5)
	for i, o := range objects {
		if want := n * math.Pow(o.iou, 1.5) * o.scored; !(math.Abs(o.balancedScored-want) <= 1e-4*want) {
			t.Errorf("object %d: balanced classification %g, want %g", i, o.balancedScored, want)
		}
		if want := math.Pow(o.iou, 1.5) * o.localized; !(math.Abs(o.balancedLocalized-want) <= 1e-5) {
			t.Errorf("object %d: balanced localization %g, want %g", i, o.balancedLocalized, want)
		}
		if !(o.giou >= 1-o.iou-1e-6 && o.giou <= 2) {
			t.Errorf("object %d: GIoU's loss is %g where IoU's is %g", i, o.giou, 1-o.iou)
		}
	}
}

func checkGroups(t *testing.T, objects []object) {
	parts, all := groups(objects, 4)
	if !(math.Abs(all.balancedScored-all.scored) <= 1e-5*all.scored) {
		t.Errorf("classification: the sum went from %g to %g, want it kept", all.scored, all.balancedScored)
	}
	weight := func(g group) float64 { return g.balancedScored / g.scored }
	for i := range parts[1:] {
		if !(weight(parts[i+1]) > weight(parts[i])) {
			t.Errorf("weights of parts %d and %d: got %g and %g, want more for better boxes", i, i+1, weight(parts[i]), weight(parts[i+1]))
		}
		if !(parts[i+1].giou < parts[i].giou) {
			t.Errorf("GIoU's loss of parts %d and %d: got %g and %g, want less for better boxes", i, i+1, parts[i].giou, parts[i+1].giou)
		}
	}
	if !(weight(parts[0]) < 1 && weight(parts[3]) > 1) {
		t.Errorf("weights: got %g for the worst and %g for the best boxes", weight(parts[0]), weight(parts[3]))
	}
}
