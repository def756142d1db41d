package losses_test

import (
	"math"
	"slices"
	"testing"

	"github.com/onnxloss/onnxloss/losses"
)

func TestReductionsAreConsistent(t *testing.T) {
	for _, v := range reduced(variants(t)) {
		for seed, s := range friendly {
			in := draw(t, v, s, usualSizes(), uint64(seed))
			terms, err := v.loss.Terms(in, v.params)
			if err != nil {
				t.Fatal(err)
			}
			total, weight := 0.0, float64(len(terms.Loss.Data))
			for _, x := range terms.Loss.Data {
				total += x
			}
			if terms.Weight != nil {
				weight = 0
				for _, w := range terms.Weight.Data {
					weight += w
				}
			}
			what := v.name + "/" + s.name
			near(t, what+": none", evaluate(t, v, in, losses.None), terms.Loss, 0, 0)
			near(t, what+": sum", evaluate(t, v, in, losses.Sum), scalar(total), 1e-13, 1e-14)
			near(t, what+": mean", evaluate(t, v, in, losses.Mean), scalar(total/weight), 1e-13, 1e-14)
		}
	}
}

func scalar(x float64) losses.Array { return losses.Array{Shape: []int{}, Data: []float64{x}} }

func TestSoftmaxLossesIgnoreAShiftOfTheLogits(t *testing.T) {
	for _, v := range variants(t) {
		in := draw(t, v, friendly[1], usualSizes(), 3)
		inputs := v.loss.InputsFor(v.params)
		independent := slices.ContainsFunc(inputs, func(in losses.Input) bool { return in.Domain == losses.Binary })
		if inputs[0].Shape != "N,C,..." || independent {
			continue
		}
		shifted := clone(in)
		_, count, inner := split(in["logits"].Shape)
		for i := range shifted["logits"].Data {
			position := i/(count*inner)*inner + i%inner
			shifted["logits"].Data[i] += float64(100 * (position - 3))
		}
		near(t, v.name, evaluate(t, v, shifted, losses.None), evaluate(t, v, in, losses.None), 1e-11, 1e-12)
	}
}

func TestSigmoidLossesAreSymmetric(t *testing.T) {
	balanced := []variant{
		{"cross-entropy", losses.SigmoidCrossEntropy, paramsOf(t, losses.SigmoidCrossEntropy, nil)},
		{"focal", losses.SigmoidFocal, paramsOf(t, losses.SigmoidFocal, map[string]any{"alpha": 0.5})},
		{"split focal", losses.SigmoidFocal, paramsOf(t, losses.SigmoidFocal, map[string]any{"alpha": -1, "modulator": "split"})},
		{"focal star", losses.SigmoidFocalStar, paramsOf(t, losses.SigmoidFocalStar, nil)},
	}
	for _, v := range balanced {
		in := draw(t, v, friendly[0], usualSizes(), 9)
		mirrored := clone(in)
		for i := range mirrored["logits"].Data {
			mirrored["logits"].Data[i] *= -1
			mirrored["target"].Data[i] = 1 - mirrored["target"].Data[i]
		}
		near(t, v.name, evaluate(t, v, mirrored, losses.None), evaluate(t, v, in, losses.None), 1e-13, 0)
	}
}

func TestFocalWithoutGammaAndAlphaIsCrossEntropy(t *testing.T) {
	off := map[string]any{"gamma": 0, "alpha": -1}
	pairs := []struct {
		name         string
		focal, plain *losses.Loss
		soft         bool
	}{
		{"sigmoid", losses.SigmoidFocal, losses.SigmoidCrossEntropy, false},
		{"softmax", losses.SoftmaxFocal, losses.SoftmaxCrossEntropy, false},
		{"softmax, soft targets", losses.SoftmaxFocal, losses.SoftmaxCrossEntropy, true},
	}
	for _, pair := range pairs {
		plainSettings, focalSettings := map[string]any{}, map[string]any{"gamma": off["gamma"], "alpha": off["alpha"]}
		if pair.soft {
			plainSettings["soft_targets"], focalSettings["soft_targets"] = true, true
		}
		plain := variant{"", pair.plain, paramsOf(t, pair.plain, plainSettings)}
		focal := variant{"", pair.focal, paramsOf(t, pair.focal, focalSettings)}
		for seed, s := range append(friendly, extreme...) {
			in := draw(t, plain, s, usualSizes(), uint64(seed))
			for _, r := range losses.Reductions() {
				near(t, pair.name+"/"+s.name+" "+string(r), evaluate(t, focal, in, r), evaluate(t, plain, in, r), 1e-13, 0)
			}
			want := gradient(t, plain, in, losses.Sum, nil)
			for name, g := range gradient(t, focal, in, losses.Sum, nil) {
				near(t, pair.name+"/"+s.name+" gradient by "+name, g, want[name], 1e-12, 1e-14)
			}
		}
	}
}

func TestNothingToLearnFromIsZeroAndItsMeanIsNaN(t *testing.T) {
	for _, v := range reduced(variants(t)) {
		empty := usualSizes()
		empty["N"], empty["M"], empty["..."] = []int{0}, []int{0}, []int{0}
		in := draw(t, v, friendly[0], empty, 1)
		wantNothing(t, v.name+": empty", v, in)
		if target, ok := in["target"]; ok && v.loss.Inputs[1].Domain == losses.ClassIndex && !v.params.Bool("soft_targets") && !v.params.Bool("per_class") {
			in = draw(t, v, friendly[1], usualSizes(), 1)
			target = in["target"]
			for i := range target.Data {
				target.Data[i] = float64(v.params.Int("ignore_index"))
			}
			wantNothing(t, v.name+": all ignored", v, in)
		}
	}
}

func wantNothing(t *testing.T, what string, v variant, in losses.Values) {
	t.Helper()
	near(t, what+": sum", evaluate(t, v, in, losses.Sum), scalar(0), 0, 0)
	if mean := evaluate(t, v, in, losses.Mean); len(mean.Shape) != 0 || !math.IsNaN(mean.Data[0]) {
		t.Errorf("%s: mean = %v, want NaN", what, mean)
	}
	for name, g := range gradient(t, v, in, losses.Sum, nil) {
		near(t, what+": gradient by "+name, g, losses.Zeros(in[name].Shape), 0, 0)
	}
}

// The public variants that the golden test leaves out for soft labels or for
// overflow do something else there; this is what ours gives.
func TestSigmoidFocalWhereReferencesDiffer(t *testing.T) {
	naive := func(x, y, alpha, gamma float64) float64 { // the paper's formula, word for word
		p := 1 / (1 + math.Exp(-x))
		pt := p*y + (1-p)*(1-y)
		return (alpha*y + (1-alpha)*(1-y)) * math.Pow(1-pt, gamma) * -(y*math.Log(p) + (1-y)*math.Log(1-p))
	}
	tests := []struct {
		name               string
		x, y, alpha, gamma float64
		want               float64
	}{
		{"soft labels, alpha and modulator in proportion", 2, 0.25, 0.25, 1.5, naive(2, 0.25, 0.25, 1.5)},
		{"soft label on the wrong side", -1.5, 0.75, 0.75, 2, naive(-1.5, 0.75, 0.75, 2)},
		{"a logit beyond e^709 on the wrong side costs alpha |x|", -1e4, 1, 0.25, 1.5, 2500},
		{"and on the right side nothing", 1e4, 1, 0.25, 1.5, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := variant{"", losses.SigmoidFocal, paramsOf(t, losses.SigmoidFocal, map[string]any{"alpha": test.alpha, "gamma": test.gamma})}
			in := losses.Values{"logits": scalar(test.x), "target": scalar(test.y)}
			near(t, "loss", evaluate(t, v, in, losses.None), scalar(test.want), 1e-14, 0)
		})
	}
}
