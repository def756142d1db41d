package losses_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// segmentation is two images of three classes: logits, labels, the labels as masks,
// and the maps of these.
func segmentation(t *testing.T, seed uint64) (logits, labels, masks, phi losses.Array) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 5))
	logits, labels = losses.Zeros([]int{2, 3, 6, 7}), losses.Zeros([]int{2, 6, 7})
	for i := range logits.Data {
		logits.Data[i] = 2 * r.NormFloat64()
	}
	for i := range labels.Data {
		x, y := i%7, i/7%6
		labels.Data[i] = float64((x + 2*y) / 7)
		if r.IntN(8) == 0 {
			labels.Data[i] = float64(r.IntN(3))
		}
		labels.Data[i] = min(labels.Data[i], 2)
	}
	masks = oneHot(labels, 3)
	return logits, labels, masks, head(t, losses.SignedDistanceMap, nil, losses.Values{"mask": masks})
}

func oneHot(labels losses.Array, count int) losses.Array {
	shape := append([]int{labels.Shape[0], count}, labels.Shape[1:]...)
	mask := losses.Zeros(shape)
	_, _, inner := split(shape)
	for i, label := range labels.Data {
		mask.Data[(i/inner*count+int(label))*inner+i%inner] = 1
	}
	return mask
}

func set(t *testing.T, l *losses.Loss, settings map[string]any) variant {
	t.Helper()
	return variant{l.Command(), l, paramsOf(t, l, settings)}
}

func TestBoundaryLossesAgreeHoweverTheTargetIsGiven(t *testing.T) {
	logits, labels, masks, phi := segmentation(t, 1)
	alpha := scalar(0.3)
	tests := []struct {
		loss     *losses.Loss
		settings map[string]any
		in       losses.Values
	}{
		{losses.Boundary, nil, losses.Values{"target": labels}},
		{losses.Boundary, map[string]any{"masks": true}, losses.Values{"target": masks}},
		{losses.Boundary, map[string]any{"distance": "given"}, losses.Values{"distance": phi}},
		{losses.BoundaryDice, nil, losses.Values{"target": labels, "alpha": alpha}},
		{losses.BoundaryDice, map[string]any{"masks": true}, losses.Values{"target": masks, "alpha": alpha}},
		{losses.BoundaryDice, map[string]any{"distance": "given"}, losses.Values{"target": labels, "alpha": alpha, "distance": phi}},
		{losses.BoundaryDice, map[string]any{"distance": "given", "masks": true}, losses.Values{"target": masks, "alpha": alpha, "distance": phi}},
		{losses.Hausdorff, nil, losses.Values{"target": labels}},
		{losses.Hausdorff, map[string]any{"masks": true}, losses.Values{"target": masks}},
	}
	first := map[*losses.Loss]losses.Array{}
	slope := map[*losses.Loss]losses.Array{}
	for _, test := range tests {
		test.in["prediction"] = logits
		v := set(t, test.loss, test.settings)
		value, gradient := evaluate(t, v, test.in, losses.Mean), gradient(t, v, test.in, losses.Mean, nil)["prediction"]
		if _, ok := first[test.loss]; !ok {
			first[test.loss], slope[test.loss] = value, gradient
		}
		near(t, v.name, value, first[test.loss], 1e-14, 0)
		near(t, v.name+": gradient", gradient, slope[test.loss], 1e-13, 1e-16)
	}
}

// What makes it a boundary loss: what the boundary loss of a hard prediction has more than
// that of the truth is the distance of each element that is wrong.
func TestBoundaryLossIsTheDistanceOfWhatIsWrong(t *testing.T) {
	_, labels, truth, phi := segmentation(t, 2)
	_, _, prediction, _ := segmentation(t, 3)
	v := set(t, losses.Boundary, map[string]any{"activation": "none"})
	sumOf := func(p losses.Array) float64 {
		return evaluate(t, v, losses.Values{"prediction": p, "target": labels}, losses.Sum).Data[0]
	}
	want := 0.0
	for i, d := range phi.Data {
		if truth.Data[i] != prediction.Data[i] {
			want += math.Abs(d)
		}
	}
	if want == 0 {
		t.Fatal("the prediction is the truth")
	}
	near(t, "difference", scalar(sumOf(prediction)-sumOf(truth)), scalar(want), 1e-13, 0)
}

func TestAWeightOfZeroLeavesAClassOut(t *testing.T) {
	logits, labels, masks, _ := segmentation(t, 4)
	for _, loss := range []*losses.Loss{losses.Boundary, losses.Hausdorff} {
		all := losses.Values{"prediction": logits, "target": labels, "weight": {Shape: []int{3}, Data: []float64{0, 1, 1}}}
		got := evaluate(t, set(t, loss, map[string]any{"activation": "sigmoid"}), all, losses.Mean)
		rest := losses.Values{"prediction": dropChannel0(logits), "target": dropChannel0(masks)}
		want := evaluate(t, set(t, loss, map[string]any{"activation": "sigmoid", "masks": true}), rest, losses.Mean)
		near(t, loss.Name, got, want, 1e-14, 0)
	}
}

func TestIgnoredPositionsCountForNothing(t *testing.T) {
	logits, labels, _, _ := segmentation(t, 5)
	for i := range labels.Data {
		if i%5 == 0 {
			labels.Data[i] = 255
		}
	}
	changed := clone(losses.Values{"": logits})[""]
	_, count, inner := split(logits.Shape)
	for i := range changed.Data {
		if labels.Data[i/(count*inner)*inner+i%inner] == 255 {
			changed.Data[i] *= 0.5 // the class that is highest stays
		}
	}
	for _, loss := range []*losses.Loss{losses.Boundary, losses.BoundaryDice, losses.Hausdorff} {
		v := set(t, loss, map[string]any{"ignore_index": 255})
		in := losses.Values{"prediction": logits, "target": labels}
		if loss == losses.BoundaryDice {
			in["alpha"] = scalar(0.5)
		}
		before := evaluate(t, v, in, losses.Mean)
		slope := gradient(t, v, in, losses.Mean, nil)["prediction"]
		in["prediction"] = changed
		near(t, loss.Name, evaluate(t, v, in, losses.Mean), before, 1e-14, 0)
		for i, d := range slope.Data {
			if ignored := labels.Data[i/(count*inner)*inner+i%inner] == 255; ignored && d != 0 {
				t.Errorf("%s: gradient[%d] = %g at an ignored position", loss.Name, i, d)
			}
		}
	}
}

func TestBoundaryDiceSchedules(t *testing.T) {
	logits, labels, _, _ := segmentation(t, 6)
	value := func(schedule string, alpha float64) losses.Array {
		in := losses.Values{"prediction": logits, "target": labels, "alpha": scalar(alpha)}
		return evaluate(t, set(t, losses.BoundaryDice, map[string]any{"schedule": schedule}), in, losses.None)
	}
	dice, increased := value("increase", 0), value("increase", 1)
	boundary := evaluate(t, set(t, losses.Boundary, nil), losses.Values{"prediction": logits, "target": labels}, losses.None)
	_, count, inner := split(boundary.Shape)
	for n := range dice.Data {
		mean := 0.0
		for _, x := range boundary.Data[n*count*inner : (n+1)*count*inner] {
			mean += x / float64(count*inner)
		}
		near(t, "increase", scalar(increased.Data[n]), scalar(dice.Data[n]+mean), 1e-13, 0)
		near(t, "rebalance", scalar(value("rebalance", 0.25).Data[n]), scalar(0.75*dice.Data[n]+0.25*mean), 1e-13, 0)
	}
}

func TestGeneralizedDiceOfBoundaryDice(t *testing.T) {
	tests := []struct {
		name               string
		prediction, target []float64 // two classes of four positions
		want               float64
	}{
		{"perfect", []float64{1, 0, 0, 0, 0, 1, 1, 1}, []float64{1, 0, 0, 0, 0, 1, 1, 1}, 0},
		{"all wrong", []float64{0, 1, 1, 1, 1, 0, 0, 0}, []float64{1, 0, 0, 0, 0, 1, 1, 1}, 1},
		// weights 1 and 1/9: overlaps 1 and 2, sums 3 and 5
		{"half", []float64{1, 1, 0, 0, 0, 0, 1, 1}, []float64{1, 0, 0, 0, 0, 1, 1, 1}, 1 - 2*(1+2.0/9)/(3+5.0/9)},
		{"a class that is not there has no say", []float64{1, 1, 1, 1, 0, 0.5, 0, 0}, []float64{1, 1, 1, 1, 0, 0, 0, 0}, 0},
		{"no class at all", []float64{1, 0.5, 0, 0, 0, 0, 1, 1}, make([]float64, 8), 0},
	}
	v := set(t, losses.BoundaryDice, map[string]any{"activation": "none", "masks": true})
	for _, test := range tests {
		shape := []int{1, 2, 4}
		in := losses.Values{
			"prediction": {Shape: shape, Data: test.prediction},
			"target":     {Shape: shape, Data: test.target},
			"alpha":      scalar(0),
		}
		near(t, test.name, evaluate(t, v, in, losses.Sum), scalar(test.want), 1e-15, 0)
	}
}

func TestHausdorffCostsTheDistance(t *testing.T) {
	// a region of three in a row of seven, and one more far away predicted
	target := losses.Array{Shape: []int{1, 1, 7}, Data: []float64{1, 1, 1, 0, 0, 0, 0}}
	prediction := losses.Array{Shape: []int{1, 1, 7}, Data: []float64{1, 1, 1, 0, 0, 0, 1}}
	tests := []struct {
		name     string
		settings map[string]any
		spacing  float64
		want     float64 // from the truth 4, from the prediction's outline 1
	}{
		{"squared", nil, 1, 16 + 1},
		{"linear", map[string]any{"alpha": 1}, 1, 4 + 1},
		{"spacing", map[string]any{"alpha": 1}, 0.5, 2 + 0.5},
		{"inside", map[string]any{"sides": "inside"}, 1, 1},
	}
	for _, test := range tests {
		settings := map[string]any{"activation": "sigmoid", "masks": true}
		for name, value := range test.settings {
			settings[name] = value
		}
		v := set(t, losses.Hausdorff, settings)
		logits := losses.Zeros(prediction.Shape)
		for i, p := range prediction.Data {
			logits.Data[i] = 1e4 * (2*p - 1)
		}
		in := losses.Values{"prediction": logits, "target": target, "spacing": scalar(test.spacing)}
		near(t, test.name, evaluate(t, v, in, losses.Sum), scalar(test.want), 1e-14, 0)
	}
}

func TestBoundaryLossesRefuseWhatTheyWouldNotLookAt(t *testing.T) {
	tests := []struct {
		loss     *losses.Loss
		settings map[string]any
		want     string
	}{
		{losses.Boundary, map[string]any{"distance": "given", "masks": true}, "boundary: masks=true goes with distance=target; with distance=given there is no target"},
		{losses.Boundary, map[string]any{"distance": "given", "ignore_index": 0}, "boundary: ignore_index goes with distance=target; with distance=given there is no target, and a distance of 0 does it"},
		{losses.Boundary, map[string]any{"distance": "given", "inside": "released"}, "boundary: inside goes with distance=target; with distance=given the map says it"},
		{losses.BoundaryDice, map[string]any{"masks": true, "ignore_index": 0}, "boundary-dice: ignore_index goes with class-index targets; leave it out with masks"},
		{losses.Hausdorff, map[string]any{"masks": true, "ignore_index": 0}, "hausdorff: ignore_index goes with class-index targets; leave it out with masks"},
	}
	for _, test := range tests {
		if _, err := test.loss.Params(test.settings); err == nil || err.Error() != "losses: "+test.want {
			t.Errorf("%v: error %v\nwant losses: %s", test.settings, err, test.want)
		}
	}
}

func TestGraphsOfBoundaryLossesRefuseALabelThatIsNoClass(t *testing.T) {
	shape := ops.Shape{ops.Symbolic("N"), ops.Symbolic("C"), ops.Symbolic("W")}
	for _, loss := range []*losses.Loss{losses.Boundary, losses.BoundaryDice, losses.Hausdorff} {
		session := load(t, loss, paramsOf(t, loss, nil), export.Options{Reduction: losses.None, Shapes: map[string]ops.Shape{"prediction": shape}})
		for label, taken := range map[int64]bool{0: true, 2: true, -100: true, 3: false, -1: false} {
			in := map[string]engine.Tensor{
				"prediction": engine.Must([]int{1, 3, 2}, []float32{1, 2, 3, 4, 5, 6}),
				"target":     engine.Must([]int{1, 2}, []int64{1, label}),
			}
			if loss == losses.BoundaryDice {
				in["alpha"] = engine.Must([]int{}, []float32{1})
			}
			if _, err := session.Run(in); (err == nil) != taken {
				t.Errorf("%s: label %d gives error %v", loss.Name, label, err)
			}
		}
	}
}
