package losses_test

import (
	"math"
	"testing"

	"github.com/onnxloss/onnxloss/losses"
)

var discriminators = []*losses.Loss{
	losses.MinimaxDiscriminator, losses.NonSaturatingDiscriminator, losses.LeastSquaresDiscriminator, losses.WassersteinCritic,
	losses.HingeDiscriminator, losses.EBGANDiscriminator, losses.BEGANDiscriminator,
}

func outputs(x ...float64) losses.Array { return losses.Array{Shape: []int{len(x)}, Data: x} }

// adversarialInputs leaves out real data for a generator's loss.
func adversarialInputs(l *losses.Loss, real, fake losses.Array) losses.Values {
	in := losses.Values{"real": real, "fake": fake}
	if l.Inputs[0].Name == "fake" {
		delete(in, "real")
	}
	if l == losses.BEGANDiscriminator {
		in["k"] = scalar(0.3)
	}
	return in
}

func TestAdversarialLossesAtTheirCorners(t *testing.T) {
	log2 := math.Ln2
	sigmoid1 := 1 / (1 + math.Exp(-1))
	tests := []struct {
		name           string
		loss           *losses.Loss
		settings       map[string]any
		real, fake     float64
		want           float64
		byReal, byFake float64
	}{
		{name: "cannot tell: 2 log 2", loss: losses.MinimaxDiscriminator, want: 2 * log2, byReal: -0.5, byFake: 0.5},
		{name: "sure and right", loss: losses.MinimaxDiscriminator, real: 1e4, fake: -1e4},
		{name: "sure and wrong", loss: losses.MinimaxDiscriminator, real: -1e4, fake: 1e4, want: 2e4, byReal: -1, byFake: 1},
		{name: "beyond float32's squares", loss: losses.MinimaxDiscriminator, real: -1e30, fake: 1e30, want: 2e30, byReal: -1, byFake: 1},
		{name: "smoothed: best where σ is 0.9", loss: losses.NonSaturatingDiscriminator, settings: map[string]any{"label_smoothing": 0.1}, real: math.Log(9), fake: -1e4, want: -0.9*math.Log(0.9) - 0.1*math.Log(0.1)},
		{name: "smoothed and sure", loss: losses.NonSaturatingDiscriminator, settings: map[string]any{"label_smoothing": 0.25}, real: 1e4, fake: -1e4, want: 2500, byReal: 0.25},
		{name: "saturated", loss: losses.MinimaxGenerator, fake: -1e4},
		{name: "fooled", loss: losses.MinimaxGenerator, fake: 1e4, want: -1e4, byFake: -1},
		{name: "not saturated", loss: losses.NonSaturatingGenerator, fake: -1e4, want: 1e4, byFake: -1},
		{name: "fooled", loss: losses.NonSaturatingGenerator, fake: 1e30},
		{name: "epsilon caps", loss: losses.NonSaturatingGenerator, settings: map[string]any{"epsilon": 1e-8}, fake: -1e4, want: 8 * math.Ln10},
		{name: "epsilon below 0", loss: losses.NonSaturatingGenerator, settings: map[string]any{"epsilon": 1e-8}, fake: 1e4, want: -math.Log1p(1e-8)},
		{name: "at the codes", loss: losses.LeastSquaresDiscriminator, settings: map[string]any{"a": -1}, real: 1, fake: -1},
		{name: "between the codes", loss: losses.LeastSquaresDiscriminator, want: 0.5, byReal: -1},
		{name: "off the code", loss: losses.LeastSquaresGenerator, settings: map[string]any{"c": 0}, fake: -3, want: 4.5, byFake: -3},
		{name: "critic", loss: losses.WassersteinCritic, real: 3, fake: -1, want: -4, byReal: -1, byFake: 1},
		{name: "generator", loss: losses.WassersteinGenerator, fake: -1, want: 1, byFake: -1},
		{name: "at the margins", loss: losses.HingeDiscriminator, real: 1, fake: -1},
		{name: "within the margins", loss: losses.HingeDiscriminator, real: 0.5, fake: -0.5, want: 1, byReal: -1, byFake: 1},
		{name: "wrong", loss: losses.HingeDiscriminator, real: -1e4, fake: 1e4, want: 20002, byReal: -1, byFake: 1},
		{name: "no hinge", loss: losses.HingeGenerator, fake: 5, want: -5, byFake: -1},
		{name: "at the margin", loss: losses.EBGANDiscriminator, settings: map[string]any{"margin": 2}, real: 0.5, fake: 2, want: 0.5, byReal: 1},
		{name: "below the margin", loss: losses.EBGANDiscriminator, settings: map[string]any{"margin": 2}, real: 0.5, fake: 1.5, want: 1, byReal: 1, byFake: -1},
		{name: "energy", loss: losses.EBGANGenerator, fake: 7, want: 7, byFake: 1},
		{name: "k = 0.3", loss: losses.BEGANDiscriminator, real: 2, fake: 10, want: -1, byReal: 1, byFake: -0.3},
		{name: "error", loss: losses.BEGANGenerator, fake: 7, want: 7, byFake: 1},
		{name: "halfway", loss: losses.NonSaturatingGenerator, fake: 1, want: -math.Log(sigmoid1), byFake: sigmoid1 - 1},
	}
	for _, test := range tests {
		t.Run(test.loss.Command()+": "+test.name, func(t *testing.T) {
			v := variant{"", test.loss, paramsOf(t, test.loss, test.settings)}
			in := adversarialInputs(test.loss, outputs(test.real), outputs(test.fake))
			near(t, "loss", evaluate(t, v, in, losses.Sum), scalar(test.want), 1e-14, 0)
			slopes := gradient(t, v, in, losses.Sum, nil)
			near(t, "by fake", slopes["fake"], outputs(test.byFake), 1e-14, 1e-16)
			if _, ok := in["real"]; ok {
				near(t, "by real", slopes["real"], outputs(test.byReal), 1e-14, 1e-16)
			}
		})
	}
}

func TestPairingDoesNotChangeTheMean(t *testing.T) {
	real, fake := outputs(0.25, 1.5, -2, 0.5), outputs(0.125, -0.75, 3, 1.25)
	for _, l := range discriminators {
		paired := variant{"", l, paramsOf(t, l, nil)}
		unpaired := variant{"", l, paramsOf(t, l, map[string]any{"paired": false})}
		in := adversarialInputs(l, real, fake)
		near(t, l.Command(), evaluate(t, unpaired, in, losses.Mean), evaluate(t, paired, in, losses.Mean), 1e-14, 0)
		want := gradient(t, paired, in, losses.Mean, nil)
		for name, slope := range gradient(t, unpaired, in, losses.Mean, nil) {
			near(t, l.Command()+" by "+name, slope, want[name], 1e-14, 1e-17)
		}
	}
}

// The mean over all pairs of a real and a generated output is what the mean over
// batches of different sizes has to be.
func TestUnpairedBatchesMayDiffer(t *testing.T) {
	real, fake := []float64{0.25, 1.5, -2}, []float64{0.125, -0.75, 3, 1.25, 0}
	for _, l := range discriminators {
		var allReal, allFake []float64
		for _, r := range real {
			for _, f := range fake {
				allReal, allFake = append(allReal, r), append(allFake, f)
			}
		}
		pairs := evaluate(t, variant{"", l, paramsOf(t, l, nil)}, adversarialInputs(l, outputs(allReal...), outputs(allFake...)), losses.Mean)
		v := variant{"", l, paramsOf(t, l, map[string]any{"paired": false})}
		near(t, l.Command(), evaluate(t, v, adversarialInputs(l, outputs(real...), outputs(fake...)), losses.Mean), pairs, 1e-14, 0)

		if mean := evaluate(t, v, adversarialInputs(l, outputs(real...), outputs()), losses.Mean); !math.IsNaN(mean.Data[0]) {
			t.Errorf("%s: the mean with no generated data is %g, want NaN", l.Command(), mean.Data[0])
		}
		if _, err := l.Evaluate(adversarialInputs(l, outputs(real...), outputs(fake...)), paramsOf(t, l, nil), losses.Mean); err == nil {
			t.Errorf("%s: paired batches of different sizes are taken", l.Command())
		}
		if l.Coupled(paramsOf(t, l, nil)) || !l.Coupled(v.params) {
			t.Errorf("%s: samples must be coupled if and only if they are not paired", l.Command())
		}
	}
}

func TestMinimaxIsCrossEntropy(t *testing.T) {
	real, fake := outputs(-3, 0.5, 2), outputs(1, -4, 0.25)
	bce := variant{"", losses.SigmoidCrossEntropy, losses.Params{}}
	onReal := evaluate(t, bce, losses.Values{"logits": real, "target": losses.Filled([]int{3}, 0.8)}, losses.Sum)
	onFake := evaluate(t, bce, losses.Values{"logits": fake, "target": losses.Zeros([]int{3})}, losses.Sum)
	smoothed := map[string]any{"label_smoothing": 0.2}
	for _, l := range []*losses.Loss{losses.MinimaxDiscriminator, losses.NonSaturatingDiscriminator} {
		v := variant{"", l, paramsOf(t, l, smoothed)}
		in := losses.Values{"real": real, "fake": fake}
		near(t, l.Command(), evaluate(t, v, in, losses.Sum), scalar(onReal.Data[0]+onFake.Data[0]), 1e-14, 0)
	}
	g := variant{"", losses.MinimaxGenerator, losses.Params{}}
	near(t, "generator", evaluate(t, g, losses.Values{"fake": fake}, losses.Sum), scaled(onFake, -1), 1e-14, 0)
}

func penalty(t *testing.T, l *losses.Loss, settings map[string]any) variant {
	t.Helper()
	return variant{l.Command(), l, paramsOf(t, l, settings)}
}

func TestGradientPenalties(t *testing.T) {
	wgan, dragan, r1 := losses.WGANGradientPenalty, losses.DRAGANGradientPenalty, losses.R1GradientPenalty
	batch := map[string]any{"batch": true}
	tests := []struct {
		name     string
		loss     *losses.Loss
		settings map[string]any
		gradient losses.Array
		want     []float64
		slope    []float64
	}{
		{"norms 5 and 0", wgan, nil, losses.Array{Shape: []int{2, 2}, Data: []float64{3, 4, 0, 0}}, []float64{160, 10}, []float64{48, 64, 0, 0}},
		{"any axes", dragan, nil, losses.Array{Shape: []int{1, 2, 1, 2}, Data: []float64{1, -1, 1, 1}}, []float64{10}, []float64{10, -10, 10, 10}},
		{"one number a sample", wgan, map[string]any{"coefficient": 1}, outputs(-3, 1), []float64{4, 0}, []float64{-4, 0}},
		{"another target", dragan, map[string]any{"target_norm": 5}, losses.Array{Shape: []int{1, 2}, Data: []float64{3, 4}}, []float64{0}, []float64{0, 0}},
		{"norm of the batch", wgan, batch, losses.Array{Shape: []int{2, 1}, Data: []float64{3, 4}}, []float64{160, 160}, []float64{2 * 48, 2 * 64}},
		{"epsilon", wgan, map[string]any{"epsilon": 16}, outputs(3), []float64{160}, []float64{48}},
		{"epsilon alone", wgan, map[string]any{"epsilon": 4}, outputs(0), []float64{10}, []float64{0}},
		{"direction of a tiny gradient", wgan, nil, losses.Array{Shape: []int{1, 2}, Data: []float64{3e-200, -4e-200}}, []float64{10}, []float64{-12, 16}},
		{"slope of a huge gradient", wgan, map[string]any{"coefficient": 1e-200}, losses.Array{Shape: []int{1, 2}, Data: []float64{3e199, 4e199}}, []float64{25e198}, []float64{0.6, 0.8}},
		{"R1", r1, map[string]any{"gamma": 1}, losses.Array{Shape: []int{2, 2}, Data: []float64{3, 4, 0, 0}}, []float64{12.5, 0}, []float64{3, 4, 0, 0}},
		{"nothing per sample", wgan, nil, losses.Zeros([]int{2, 0}), []float64{10, 10}, nil},
	}
	for _, test := range tests {
		t.Run(test.loss.Command()+": "+test.name, func(t *testing.T) {
			v := penalty(t, test.loss, test.settings)
			in := losses.Values{"gradient": test.gradient}
			near(t, "penalty", evaluate(t, v, in, losses.None), outputs(test.want...), 1e-14, 0)
			slope := gradient(t, v, in, losses.Sum, nil)["gradient"]
			near(t, "slope", slope, losses.Array{Shape: test.gradient.Shape, Data: test.slope}, 1e-14, 1e-17)
		})
	}
}

func TestPenaltiesAgreeWhereTheyAreTheSame(t *testing.T) {
	in := losses.Values{"gradient": {Shape: []int{1, 3}, Data: []float64{0.5, -2, 1}}}
	wgan := penalty(t, losses.WGANGradientPenalty, map[string]any{"target_norm": 0, "coefficient": 3})
	same := []variant{
		penalty(t, losses.DRAGANGradientPenalty, map[string]any{"target_norm": 0, "coefficient": 3}),
		penalty(t, losses.R1GradientPenalty, map[string]any{"gamma": 6}),
		penalty(t, losses.WGANGradientPenalty, map[string]any{"target_norm": 0, "coefficient": 3, "batch": true}),
	}
	for _, v := range same {
		near(t, v.name, evaluate(t, v, in, losses.None), evaluate(t, wgan, in, losses.None), 1e-14, 0)
		near(t, v.name+" slope", gradient(t, v, in, losses.Sum, nil)["gradient"], gradient(t, wgan, in, losses.Sum, nil)["gradient"], 1e-14, 0)
	}
}

func TestBEGANHeads(t *testing.T) {
	real, fake := outputs(1, 3), outputs(2, 0, 1)
	tests := []struct {
		name           string
		loss           *losses.Loss
		settings       map[string]any
		k              float64
		want           float64
		byReal, byFake float64
	}{
		{"at rest in balance", losses.BEGANBalance, nil, 0.4, 0.4, 0.5 * 0.001 / 2, -0.001 / 3},
		{"grows", losses.BEGANBalance, map[string]any{"gamma": 1, "lambda_k": 0.5}, 0.25, 0.75, 0.25, -0.5 / 3},
		{"stops at 1", losses.BEGANBalance, map[string]any{"gamma": 1, "lambda_k": 1}, 0.5, 1, 0, 0},
		{"stops at 0", losses.BEGANBalance, map[string]any{"gamma": 0, "lambda_k": 1}, 0.5, 0, 0, 0},
		{"in balance", losses.BEGANConvergence, nil, 0, 2, 0.5, 0},
		{"generated data too bad", losses.BEGANConvergence, map[string]any{"gamma": 0.25}, 0, 2.5, 0.375, 1.0 / 3},
		{"generated data too good", losses.BEGANConvergence, map[string]any{"gamma": 1}, 0, 3, 1, -1.0 / 3},
	}
	for _, test := range tests {
		t.Run(test.loss.Command()+": "+test.name, func(t *testing.T) {
			v := variant{"", test.loss, paramsOf(t, test.loss, test.settings)}
			in := losses.Values{"real": real, "fake": fake}
			if test.loss == losses.BEGANBalance {
				in["k"] = scalar(test.k)
			}
			near(t, "value", evaluate(t, v, in, losses.None), scalar(test.want), 1e-15, 0)
			slopes := gradient(t, v, in, losses.None, nil)
			near(t, "by real", slopes["real"], losses.Filled([]int{2}, test.byReal), 1e-15, 0)
			near(t, "by fake", slopes["fake"], losses.Filled([]int{3}, test.byFake), 1e-15, 0)
		})
	}
}
