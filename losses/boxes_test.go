package losses_test

import (
	"math"
	"testing"

	"github.com/onnxloss/onnxloss/losses"
)

// onBoxes evaluates a loss on one pair of boxes.
func onBoxes(t *testing.T, l *losses.Loss, settings map[string]any, prediction, target []float64) (value float64, gradient losses.Values) {
	t.Helper()
	p := paramsOf(t, l, settings)
	in := losses.Values{"prediction": {Shape: []int{1, 4}, Data: prediction}, "target": {Shape: []int{1, 4}, Data: target}}
	loss, err := l.Evaluate(in, p, losses.Sum)
	if err != nil {
		t.Fatal(err)
	}
	gradient, err = l.EvaluateGradient(in, p, losses.Sum, nil)
	if err != nil {
		t.Fatal(err)
	}
	return loss.Data[0], gradient
}

var iouFamily = []*losses.Loss{losses.IoU, losses.GIoU, losses.DIoU, losses.CIoU}

func TestBoxLossesOfPairsWorkedOutByHand(t *testing.T) {
	unit := []float64{0, 0, 1, 1}
	point := []float64{3, 3, 3, 3}
	v := 4 / (math.Pi * math.Pi)
	tests := []struct {
		name               string
		prediction, target []float64
		want               [4]float64 // iou, giou, diou, ciou
	}{
		{"equal", unit, unit, [4]float64{0, 0, 0, 0}},
		{"half overlapping sideways", []float64{0.5, 0, 1.5, 1}, unit, [4]float64{2. / 3, 2. / 3, 2./3 + 0.25/3.25, 2./3 + 0.25/3.25}},
		{"touching along an edge", []float64{1, 0, 2, 1}, unit, [4]float64{1, 1, 1.2, 1.2}},
		{"touching at a corner", []float64{1, 1, 2, 2}, unit, [4]float64{1, 1.5, 1.25, 1.25}},
		{"apart", []float64{2, 0, 3, 1}, unit, [4]float64{1, 1 + 1./3, 1.4, 1.4}},
		{"nested with one centre", []float64{0.25, 0.25, 0.75, 0.75}, unit, [4]float64{0.75, 0.75, 0.75, 0.75}},
		{"without a width, on a box's edge", []float64{0, 0, 0, 1}, unit, [4]float64{1, 1, 1.125, 1.125 + v*v*atan4/(1+v*atan2)}},
		{"a point in a box", []float64{0.5, 0.5, 0.5, 0.5}, unit, [4]float64{1, 1, 1, 1}},
		{"the same point", point, point, [4]float64{1, 1, 1, 1}},
		{"two points", point, []float64{4, 3, 4, 3}, [4]float64{1, 1, 2, 2}},
		{"ending before it starts, as a point where it starts", []float64{0.5, 0.5, 0.25, -3}, unit, [4]float64{1, 1, 1, 1}},
	}
	for _, test := range tests {
		for k, l := range iouFamily {
			got, gradient := onBoxes(t, l, nil, test.prediction, test.target)
			near(t, l.Command()+" of boxes "+test.name, scalar(got), scalar(test.want[k]), 1e-14, 1e-15)
			for name, g := range gradient {
				wantFinite(t, l.Command()+" of boxes "+test.name+": gradient by "+name, g)
			}
		}
	}
}

// of the square's aspect ratio, squared and to the fourth power
const (
	atan2 = math.Pi * math.Pi / 16
	atan4 = atan2 * atan2
)

func TestBoxLossesDoNotDependOnHowBoxesAreWritten(t *testing.T) {
	prediction, target := []float64{1, 2, 4, 9}, []float64{2, 1, 7, 5}
	centred := func(b []float64) []float64 {
		return []float64{(b[0] + b[2]) / 2, (b[1] + b[3]) / 2, b[2] - b[0], b[3] - b[1]}
	}
	for _, l := range append(iouFamily, losses.BoundedIoU) {
		corners, byCorners := onBoxes(t, l, nil, prediction, target)
		centres, byCentres := onBoxes(t, l, map[string]any{"boxes": "cxcywh"}, centred(prediction), centred(target))
		near(t, l.Command(), scalar(centres), scalar(corners), 1e-14, 0)
		for name, g := range byCorners {
			want := []float64{g.Data[0] + g.Data[2], g.Data[1] + g.Data[3], (g.Data[2] - g.Data[0]) / 2, (g.Data[3] - g.Data[1]) / 2}
			near(t, l.Command()+" gradient by "+name, byCentres[name], losses.Array{Shape: []int{1, 4}, Data: want}, 1e-13, 1e-15)
		}
	}
}

func TestBoxLossesAreInvariant(t *testing.T) {
	prediction, target := []float64{1, 2, 4, 9}, []float64{2, 1, 7, 5}
	moved := func(b []float64, scale, shift float64) []float64 {
		return []float64{scale*b[0] + shift, scale*b[1] - shift, scale*b[2] + shift, scale*b[3] - shift}
	}
	for _, l := range append(iouFamily, losses.BoundedIoU) {
		want, _ := onBoxes(t, l, nil, prediction, target)
		for _, scale := range []float64{1e-100, 1e-9, 4, 1e30, 1e70} {
			got, _ := onBoxes(t, l, nil, moved(prediction, scale, 0), moved(target, scale, 0))
			near(t, l.Command()+" of scaled boxes", scalar(got), scalar(want), 1e-14, 0)
		}
		got, _ := onBoxes(t, l, nil, moved(prediction, 1, 1<<40), moved(target, 1, 1<<40))
		near(t, l.Command()+" of moved boxes", scalar(got), scalar(want), 1e-14, 0)
	}
}

func TestBoxesApartArePulledTogetherByAllButIoU(t *testing.T) {
	for k, l := range iouFamily {
		_, gradient := onBoxes(t, l, nil, []float64{5, 0, 6, 1}, []float64{0, 0, 1, 1})
		if g := gradient["prediction"].Data; (g[0]+g[2] > 0) != (k > 0) {
			t.Errorf("%s: gradient of a box to the right of its target %v", l.Command(), g)
		}
	}
}

func TestLogIoUIsLimited(t *testing.T) {
	log := map[string]any{"form": "log"}
	got, gradient := onBoxes(t, losses.IoU, log, []float64{5, 0, 6, 1}, []float64{0, 0, 1, 1})
	near(t, "loss of boxes apart", scalar(got), scalar(-math.Log(1e-12)), 1e-15, 0)
	near(t, "its gradient", gradient["prediction"], losses.Zeros([]int{1, 4}), 0, 0)
	got, _ = onBoxes(t, losses.IoU, log, []float64{0, 0, 1, 0.25}, []float64{0, 0, 1, 1})
	near(t, "loss of a quarter", scalar(got), scalar(math.Log(4)), 1e-15, 0)
}

func TestEpsilonStandsInAllDenominators(t *testing.T) {
	prediction, target := []float64{1, 0, 3, 1}, []float64{0, 0, 2, 1} // I = 1, U = 3, C = 3, ρ² = 1, c² = 10
	set := map[string]any{"epsilon": 0.5}
	want := []float64{1 - 1/3.5, 1 - 1/3.5, 1 - 1/3.5 + 1/10.5, 1 - 1/3.5 + 1/10.5}
	for k, l := range iouFamily {
		got, _ := onBoxes(t, l, set, prediction, target)
		near(t, l.Command(), scalar(got), scalar(want[k]), 1e-15, 0)
	}
}

func TestCIoUHoldsItsTradeOff(t *testing.T) {
	prediction, target := []float64{0, 0, 2, 1}, []float64{0, 0, 1, 2}
	angle := math.Atan(0.5) - math.Atan(2)
	v := 4 / (math.Pi * math.Pi) * angle * angle
	a := v / (1 - 1./3 + v)
	diou, byDIoU := onBoxes(t, losses.DIoU, nil, prediction, target)
	ciou, byCIoU := onBoxes(t, losses.CIoU, nil, prediction, target)
	near(t, "ciou - diou", scalar(ciou-diou), scalar(a*v), 1e-13, 0)
	byWidth := a * 8 / (math.Pi * math.Pi) * angle * -1. / 5 // d atan(w/h)/dw = h/(w² + h²)
	near(t, "its gradient by x2", scalar(byCIoU["prediction"].Data[2]-byDIoU["prediction"].Data[2]), scalar(byWidth), 1e-13, 0)
}

func TestBoundedIoUIsTheIoUOfBoxesThatDifferInOneNumber(t *testing.T) {
	linear := map[string]any{"beta": 1e-9}
	for k, prediction := range [][]float64{{0.25, 0, 1.25, 1}, {0, 0.25, 1, 1.25}, {-0.25, 0, 1.25, 1}, {0, 0.125, 1, 0.875}} {
		p := paramsOf(t, losses.BoundedIoU, linear)
		in := losses.Values{"prediction": {Shape: []int{1, 4}, Data: prediction}, "target": {Shape: []int{1, 4}, Data: []float64{0, 0, 1, 1}}}
		bounded, err := losses.BoundedIoU.Evaluate(in, p, losses.None)
		if err != nil {
			t.Fatal(err)
		}
		iou, _ := onBoxes(t, losses.IoU, nil, prediction, []float64{0, 0, 1, 1})
		if k < 2 { // the bound is the IoU of the true box with one that is moved by 2|d|
			iou = 1 - (1-0.5)/(1+0.5)
		}
		near(t, "bounded", scalar(bounded.Data[k]), scalar(iou), 1e-8, 0)
		for other, x := range bounded.Data {
			if other != k && x != 0 {
				t.Errorf("term %d of a box that is off in number %d is %g", other, k, x)
			}
		}
	}
}

func TestBalancedL1(t *testing.T) {
	at := func(d float64, settings map[string]any) (value, slope float64) {
		p := paramsOf(t, losses.BalancedL1, settings)
		in := losses.Values{"prediction": scalar(d), "target": scalar(0)}
		loss, err := losses.BalancedL1.Evaluate(in, p, losses.Sum)
		if err != nil {
			t.Fatal(err)
		}
		gradient, err := losses.BalancedL1.EvaluateGradient(in, p, losses.Sum, nil)
		if err != nil {
			t.Fatal(err)
		}
		return loss.Data[0], gradient["prediction"].Data[0]
	}
	b := math.Exp(3) - 1
	value, slope := at(0.5, nil) // the paper's figures: α = 0.5, γ = 1.5
	near(t, "value", scalar(value), scalar(0.5/b*(b/2+1)*math.Log(b/2+1)-0.25), 1e-14, 0)
	near(t, "slope", scalar(slope), scalar(0.5*math.Log(b/2+1)), 1e-14, 0)
	_, slope = at(-7, nil)
	near(t, "slope beyond", scalar(slope), scalar(-1.5), 0, 0)

	scaledValue, _ := at(0.125, map[string]any{"beta": 0.25})
	near(t, "beta scales", scalar(scaledValue), scalar(value/4), 1e-14, 0)

	tiny, _ := at(1e-9, nil)
	near(t, "close to 0 it is α b d²/2", scalar(tiny), scalar(0.25*b*1e-18), 1e-7, 0)
	below, _ := at(math.Nextafter(1, 0), nil)
	above, _ := at(1, nil)
	near(t, "it is continuous", scalar(below), scalar(above), 1e-14, 0)

	if _, err := losses.BalancedL1.Params(map[string]any{"alpha": 0.01}); err == nil || err.Error() != "losses: balanced-l1: gamma/alpha must be at most 80, got 150; e^(gamma/alpha) would overflow" {
		t.Errorf("a small alpha: error %v", err)
	}
}
