package losses_test

import (
	"math"
	"slices"
	"testing"

	"github.com/onnxloss/onnxloss/losses"
)

// givenMasks are settings for probabilities and a mask for each class.
func givenMasks(further map[string]any) map[string]any {
	settings := map[string]any{"activation": "none", "soft_targets": true}
	for name, value := range further {
		settings[name] = value
	}
	return settings
}

func withSettings(t *testing.T, l *losses.Loss, settings map[string]any) variant {
	t.Helper()
	return variant{l.Command(), l, paramsOf(t, l, settings)}
}

func shaped(shape []int, data ...float64) losses.Array {
	return losses.Array{Shape: shape, Data: data}
}

func TestOverlapLossesAreEachOther(t *testing.T) {
	dice, tversky, generalized := losses.Dice, losses.Tversky, losses.GeneralizedDice
	tests := []struct {
		name      string
		a         *losses.Loss
		aSettings map[string]any
		b         *losses.Loss
		bSettings map[string]any
		classes   int
	}{
		{"Tversky of 1/2 and 1/2 is Dice", tversky, map[string]any{"alpha": 0.5, "beta": 0.5}, dice, nil, 4},
		{"with half the smoothing", tversky, map[string]any{"alpha": 0.5, "beta": 0.5, "smooth_nr": 0.5}, dice, map[string]any{"smooth_nr": 1}, 4},
		{"Tversky of 1 and 1 is Jaccard", tversky, map[string]any{"alpha": 1, "beta": 1}, dice, map[string]any{"jaccard": true}, 4},
		{"soft targets too", tversky, map[string]any{"alpha": 1, "beta": 1, "soft_targets": true}, dice, map[string]any{"jaccard": true, "soft_targets": true}, 4},
		{"smooth_dr is smooth_nr where it is not given", dice, map[string]any{"smooth_nr": 0.25}, dice, map[string]any{"smooth_nr": 0.25, "smooth_dr": 0.25}, 4},
		{"generalized Dice of one class is Dice", generalized, map[string]any{"activation": "sigmoid"}, dice, map[string]any{"activation": "sigmoid"}, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a, b := withSettings(t, test.a, test.aSettings), withSettings(t, test.b, test.bSettings)
			sizes := usualSizes()
			sizes["C"] = []int{test.classes}
			in := draw(t, a, friendly[0], sizes, 3)
			near(t, "sum", evaluate(t, a, in, losses.Sum), evaluate(t, b, in, losses.Sum), 1e-14, 0)
			near(t, "mean", evaluate(t, a, in, losses.Mean), evaluate(t, b, in, losses.Mean), 1e-14, 0)
			want := gradient(t, b, in, losses.Mean, nil)
			for name, got := range gradient(t, a, in, losses.Mean, nil) {
				near(t, "gradient by "+name, got, want[name], 1e-12, 1e-16)
			}
		})
	}
}

func TestOverlapByHand(t *testing.T) {
	// Class 0: I = 0.8 + 0.5, Σp = 1.6, Σt = 2. Class 1: I = 0.3, Σp = 1.4, Σt = 1.
	prediction := shaped([]int{1, 2, 3}, 0.8, 0.5, 0.3, 0.2, 0.9, 0.3)
	target := shaped([]int{1, 2, 3}, 1, 1, 0, 0, 0, 1)
	tests := []struct {
		name     string
		loss     *losses.Loss
		settings map[string]any
		want     []float64
	}{
		{"Dice", losses.Dice, nil, []float64{1 - 2*1.3/3.6, 1 - 2*0.3/2.4}},
		{"squared", losses.Dice, map[string]any{"squared_pred": true}, []float64{1 - 2*1.3/(0.98+2), 1 - 2*0.3/(0.94+1)}},
		{"Jaccard", losses.Dice, map[string]any{"jaccard": true}, []float64{1 - 1.3/2.3, 1 - 0.3/2.1}},
		{"smooth", losses.Dice, map[string]any{"smooth_nr": 1, "smooth_dr": 2}, []float64{1 - 3.6/5.6, 1 - 1.6/4.4}},
		{"Tversky", losses.Tversky, map[string]any{"alpha": 0.2, "beta": 0.9}, []float64{1 - 1.3/(1.3+0.2*0.3+0.9*0.7), 1 - 0.3/(0.3+0.2*1.1+0.9*0.7)}},
		{"generalized, square", losses.GeneralizedDice, nil, []float64{1 - 2*(1.3/4+0.3)/(3.6/4+2.4)}},
		{"generalized, simple", losses.GeneralizedDice, map[string]any{"w_type": "simple"}, []float64{1 - 2*(1.3/2+0.3)/(3.6/2+2.4)}},
		{"generalized, uniform", losses.GeneralizedDice, map[string]any{"w_type": "uniform"}, []float64{1 - 2*1.6/6}},
		{"generalized, sizes moved", losses.GeneralizedDice, map[string]any{"epsilon": 1}, []float64{1 - 2*(1.3/9+0.3/4)/(3.6/9+2.4/4)}},
	}
	for _, test := range tests {
		v := withSettings(t, test.loss, givenMasks(test.settings))
		got := evaluate(t, v, losses.Values{"prediction": prediction, "target": target}, losses.None)
		near(t, test.name, losses.Array{Shape: []int{len(got.Data)}, Data: got.Data}, shaped([]int{len(test.want)}, test.want...), 1e-14, 0)
	}
}

// What MONAI makes NaN, and the boundary loss's authors -1.
func TestEmptyRegions(t *testing.T) {
	parity := map[string]any{"epsilon": 1e-10, "smooth_nr": 2e-10, "smooth_dr": 1e-10}
	absentInTarget := []float64{0.5, 0.5, 0.25, 0, 1, 1, 0, 0}
	tests := []struct {
		name       string
		loss       *losses.Loss
		settings   map[string]any
		prediction []float64 // two classes of two pixels, then the masks
		want       []float64
	}{
		{"Dice: in neither", losses.Dice, nil, []float64{1, 1, 0, 0, 1, 1, 0, 0}, []float64{0, 0}},
		{"Dice: in the prediction only", losses.Dice, nil, []float64{1, 1, 1e-30, 0, 1, 1, 0, 0}, []float64{0, 1}},
		{"Dice: smoothed", losses.Dice, map[string]any{"smooth_nr": 1}, []float64{1, 1, 0.5, 0.5, 1, 1, 0, 0}, []float64{0, 0.5}},
		{"Tversky: in neither", losses.Tversky, nil, []float64{1, 1, 0, 0, 1, 1, 0, 0}, []float64{0, 0}},
		{"Tversky: nothing weighs anything", losses.Tversky, map[string]any{"alpha": 0, "beta": 0}, []float64{0, 0, 1, 1, 1, 1, 0, 0}, []float64{0, 0}},
		{"generalized: all empty", losses.GeneralizedDice, nil, make([]float64, 8), []float64{0}},
		{"generalized: all empty, as the authors'", losses.GeneralizedDice, parity, make([]float64, 8), []float64{-1}},
		{"generalized: an absent class is left out", losses.GeneralizedDice, nil, absentInTarget, []float64{1 - 2.0/3}},
		{"generalized: or weighs as the heaviest", losses.GeneralizedDice, map[string]any{"absent": "largest"}, absentInTarget, []float64{1 - 2/3.25}},
		{"generalized: or drowns the others, as the authors'", losses.GeneralizedDice, parity, absentInTarget, []float64{1}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := withSettings(t, test.loss, givenMasks(test.settings))
			in := losses.Values{"prediction": shaped([]int{1, 2, 2}, test.prediction[:4]...), "target": shaped([]int{1, 2, 2}, test.prediction[4:]...)}
			got := evaluate(t, v, in, losses.None)
			near(t, "loss", losses.Array{Shape: []int{len(got.Data)}, Data: got.Data}, shaped([]int{len(test.want)}, test.want...), 1e-9, 0)
			for name, g := range gradient(t, v, in, losses.Mean, nil) {
				wantFinite(t, "gradient by "+name, g)
			}
		})
	}
}

func TestAWeightOfZeroLeavesAClassOutOfTheOverlap(t *testing.T) {
	for _, l := range []*losses.Loss{losses.Dice, losses.Tversky, losses.GeneralizedDice} {
		whole := withSettings(t, l, map[string]any{"activation": "sigmoid", "soft_targets": true})
		in := draw(t, whole, friendly[0], usualSizes(), 2)
		in["weight"] = shaped([]int{4}, 0, 1, 1, 1)
		foreground := losses.Values{"prediction": dropChannel0(in["prediction"]), "target": dropChannel0(in["target"])}
		near(t, l.Name, evaluate(t, whole, in, losses.Mean), evaluate(t, whole, foreground, losses.Mean), 1e-14, 0)
	}
}

// The heaviest class that an absent one weighs as much as must be one that counts.
func TestAnAbsentClassWeighsAsOneThatCounts(t *testing.T) {
	v := withSettings(t, losses.GeneralizedDice, givenMasks(map[string]any{"absent": "largest"}))
	in := losses.Values{
		"prediction": shaped([]int{1, 3, 4}, 0.5, 0.5, 0.5, 0.5, 0.5, 0, 0, 0, 0, 0.5, 0.5, 0.5),
		"target":     shaped([]int{1, 3, 4}, 1, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0),
		"weight":     shaped([]int{3}, 0, 1, 1),
	}
	near(t, "loss", evaluate(t, v, in, losses.None), shaped([]int{1}, 1), 1e-14, 0)
	in["prediction"].Data[5] = 1 // I = 1, Σp = 1.5, Σt = 3, and Σp = 1.5 of the absent class, all at 1/9
	near(t, "loss", evaluate(t, v, in, losses.None), shaped([]int{1}, 1-2/6.0), 1e-14, 0)
}

func TestIgnoredPositionsAddNothingToTheOverlap(t *testing.T) {
	for _, l := range []*losses.Loss{losses.Dice, losses.Tversky, losses.GeneralizedDice} {
		for _, batch := range []bool{false, true} {
			v := withSettings(t, l, map[string]any{"batch": batch, "smooth_nr": 0.5, "smooth_dr": 1.5})
			in := draw(t, v, friendly[1], usualSizes(), 8)
			in["target"].Data[1], in["target"].Data[6] = -100, -100
			other := clone(in)
			_, count, inner := split(in["prediction"].Shape)
			for k := range count {
				other["prediction"].Data[k*inner+1] = float64(10 * k)
			}
			near(t, l.Name, evaluate(t, v, other, losses.None), evaluate(t, v, in, losses.None), 0, 0)
			for k := range count {
				if g := gradient(t, v, in, losses.Mean, nil)["prediction"].Data[k*inner+1]; g != 0 {
					t.Errorf("%s: gradient %g at an ignored position", l.Name, g)
				}
			}
		}
	}
}

func TestASampleThatIsIgnoredIsNotInTheMean(t *testing.T) {
	for _, l := range []*losses.Loss{losses.Dice, losses.Tversky, losses.GeneralizedDice} {
		v := withSettings(t, l, map[string]any{"smooth_nr": 0.5, "smooth_dr": 1.5})
		in := draw(t, v, friendly[0], usualSizes(), 8)
		samples := in["prediction"].Shape[0]
		for i := range len(in["target"].Data) / samples {
			in["target"].Data[i] = -100
		}
		rest := losses.Values{}
		for name, a := range in {
			shape := slices.Clone(a.Shape)
			shape[0]--
			rest[name] = losses.Array{Shape: shape, Data: a.Data[len(a.Data)/samples:]}
		}
		near(t, l.Name, evaluate(t, v, in, losses.Mean), evaluate(t, v, rest, losses.Mean), 1e-15, 0)
	}
}

func TestABatchIsOneRegionAClass(t *testing.T) {
	for _, l := range []*losses.Loss{losses.Dice, losses.Tversky, losses.GeneralizedDice} {
		apart := withSettings(t, l, map[string]any{"batch": true})
		in := draw(t, apart, friendly[1], usualSizes(), 8)
		outer, count, inner := split(in["prediction"].Shape)
		joined := losses.Zeros([]int{1, count, outer * inner})
		for i, x := range in["prediction"].Data {
			joined.Data[i/inner%count*outer*inner+i/(inner*count)*inner+i%inner] = x
		}
		one := losses.Values{"prediction": joined, "target": shaped([]int{1, outer * inner}, in["target"].Data...), "weight": in["weight"]}
		near(t, l.Name, evaluate(t, apart, in, losses.Mean), evaluate(t, withSettings(t, l, nil), one, losses.Mean), 1e-14, 0)
	}
}

func TestSoftTargetsWhereTheLossIsSmallest(t *testing.T) {
	shares := shaped([]int{1, 2, 3}, 0.9, 0.25, 0.5, 0.1, 0.75, 0.5)
	in := losses.Values{"prediction": shares, "target": shares}
	zero := []map[string]any{{"squared_pred": true}, {"intersection": "minimum"}, {"intersection": "minimum", "jaccard": true}}
	for _, settings := range zero {
		near(t, "Dice", evaluate(t, withSettings(t, losses.Dice, givenMasks(settings)), in, losses.Sum), scalar(0), 0, 0)
	}
	minimum := map[string]any{"intersection": "minimum"}
	near(t, "Tversky", evaluate(t, withSettings(t, losses.Tversky, givenMasks(minimum)), in, losses.Sum), scalar(0), 0, 0)
	near(t, "generalized Dice", evaluate(t, withSettings(t, losses.GeneralizedDice, givenMasks(minimum)), in, losses.Sum), scalar(0), 0, 0)
	if product := evaluate(t, withSettings(t, losses.Dice, givenMasks(nil)), in, losses.Sum).Data[0]; !(product > 0.1) {
		t.Errorf("the product form is %g at p = t; it should not be 0", product)
	}
}

func TestOverlapOfSaturatedLogits(t *testing.T) {
	right := shaped([]int{1, 2, 2}, 1e4, -1e4, -1e4, 1e4)
	for _, test := range []struct {
		name   string
		labels []float64
		want   float64
	}{{"right", []float64{0, 1}, 0}, {"wrong", []float64{1, 0}, 1}} {
		in := losses.Values{"prediction": right, "target": shaped([]int{1, 2}, test.labels...)}
		for _, l := range []*losses.Loss{losses.Dice, losses.Tversky, losses.GeneralizedDice} {
			v := withSettings(t, l, nil)
			near(t, l.Name+": "+test.name, evaluate(t, v, in, losses.Mean), scalar(test.want), 0, 0)
			near(t, l.Name+": gradient", gradient(t, v, in, losses.Mean, nil)["prediction"], losses.Zeros(right.Shape), 0, 0)
		}
	}
}

func TestOverlapParametersAreRefused(t *testing.T) {
	tests := []struct {
		loss     *losses.Loss
		settings map[string]any
		want     string
	}{
		{losses.Dice, map[string]any{"smooth_nr": 1, "smooth_dr": 0}, "losses: dice: smooth_nr = 1 needs a smooth_dr above 0, or the loss of an empty class is infinite; leave smooth_dr out for the same number"},
		{losses.Dice, map[string]any{"intersection": "minimum"}, "losses: dice: intersection=minimum differs from product for soft targets only; set soft_targets or leave it out"},
		{losses.Dice, map[string]any{"intersection": "minimum", "soft_targets": true, "squared_pred": true}, "losses: dice: squared_pred goes with intersection=product, where the loss is 0 for p = t already; leave one of them out"},
		{losses.Tversky, map[string]any{"soft_targets": true, "ignore_index": 0}, "losses: tversky: ignore_index goes with class-index targets; leave it out with soft_targets"},
		{losses.GeneralizedDice, map[string]any{"absent": "largest", "epsilon": 1}, "losses: generalized-dice: absent=largest goes with w_type square or simple and no epsilon, where an absent class would weigh infinitely; leave one of them out"},
		{losses.GeneralizedDice, map[string]any{"w_type": "uniform", "epsilon": 1}, "losses: generalized-dice: epsilon goes with w_type square or simple; with uniform the size of a class does not matter"},
		{losses.GeneralizedDice, map[string]any{"epsilon": 1e-30}, "losses: generalized-dice: epsilon must be >= 1e-12, or 0, got 1e-30"},
	}
	for _, test := range tests {
		if _, err := test.loss.Params(test.settings); err == nil || err.Error() != test.want {
			t.Errorf("%v: error %v\nwant %s", test.settings, err, test.want)
		}
	}
}

func TestBoundsOfRegionsThatMayBeLost(t *testing.T) {
	v := withSettings(t, losses.Dice, givenMasks(nil))
	in := losses.Values{"prediction": shaped([]int{1, 1, 2}, 1e-39, 0), "target": losses.Zeros([]int{1, 1, 2})}
	for _, test := range []struct {
		name string
		eps  float64
		want float64
	}{{"in float32 the prediction may be flushed", 0x1p-23, 1}, {"in float64 it is not", 0x1p-52, 0}} {
		bound, err := v.loss.Bound(in, v.params, test.eps)
		if err != nil {
			t.Fatal(err)
		}
		near(t, test.name, bound, shaped([]int{1, 1}, test.want), 0, 1e-14)
	}
	if loss := evaluate(t, v, in, losses.Sum).Data[0]; math.Abs(loss-1) > 0 {
		t.Errorf("loss = %g, want 1", loss)
	}
}
