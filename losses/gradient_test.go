package losses_test

import (
	"math"
	"slices"
	"testing"

	"github.com/onnxloss/onnxloss/losses"
)

func TestGradientIsTheDerivativeOfTheValue(t *testing.T) {
	sizes := usualSizes()
	sizes["N"], sizes["C"] = []int{2}, []int{3} // every element costs an evaluation of all
	for _, v := range variants(t) {
		for seed, s := range friendly {
			if testing.Short() && seed != 1 && seed != 2 {
				continue
			}
			t.Run(v.name+"/"+s.name, func(t *testing.T) {
				in := draw(t, v, s, sizes, uint64(seed))
				upstream := drawUpstream(t, v, in)
				got := gradient(t, v, in, losses.None, &upstream)
				for _, name := range sortedNames(got) {
					want := centralDifferences(t, v, in, name, upstream, 1.0/8192)
					settleKinks(t, v, in, name, upstream, got[name], want)
					leaveSteepEnds(v, name, got[name])
					leaveEdges(t, want, got[name], in[name])
					near(t, "gradient by "+name, got[name], want, 1e-8, 1e-9)
				}
			})
		}
	}
}

// settleKinks is for losses with an absolute value or the like, of which a kink may
// lie within the step: differences of half the step then say something else. Such an
// element is held to differences of a step so small that hardly any kink lies within,
// which have rounding errors of their own.
func settleKinks(t *testing.T, v variant, in losses.Values, name string, upstream, got, want losses.Array) {
	t.Helper()
	derivative := difference(t, v, in, name, upstream)
	apart := func(x, y, tolerance float64) bool { return !(math.Abs(x-y) <= tolerance*(0.1+math.Abs(y))) }
	for i, got := range got.Data {
		kink := apart(got, want.Data[i], 1e-8) && apart(derivative(i, 1.0/16384), want.Data[i], 1e-9)
		if kink && !apart(got, derivative(i, 0x1p-24), 1e-5) {
			want.Data[i] = got
		}
	}
}

// leaveEdges takes the gradient itself where the loss is defined on one side of a
// label only, as log y is at 0: it must be finite there.
func leaveEdges(t *testing.T, want, got, in losses.Array) {
	t.Helper()
	for i, x := range in.Data {
		if math.IsNaN(want.Data[i]) && (x == 0 || x == 1) {
			want.Data[i] = got.Data[i]
		}
	}
	wantFinite(t, "gradient", got)
}

// leaveSteepEnds takes 0 for the gradient by labels of 0 where the loss contains
// their entropy, whose slope is infinite there.
func leaveSteepEnds(v variant, name string, got losses.Array) {
	if t1, ok := v.params["t1"].(float64); !ok || t1 < 1 || name != "target" {
		return
	}
	for i, x := range got.Data {
		if math.IsInf(x, 0) {
			got.Data[i] = 0
		}
	}
}

// drawUpstream weighs every term differently, and some negatively.
func drawUpstream(t *testing.T, v variant, in losses.Values) losses.Array {
	t.Helper()
	upstream := losses.Zeros(evaluate(t, v, in, losses.None).Shape)
	for i := range upstream.Data {
		upstream.Data[i] = math.Cos(float64(3*i + 1))
	}
	return upstream
}

// centralDifferences differentiates Σ upstream · loss by one input.
func centralDifferences(t *testing.T, v variant, in losses.Values, name string, upstream losses.Array, h float64) losses.Array {
	t.Helper()
	derivative := losses.Zeros(in[name].Shape)
	at := difference(t, v, in, name, upstream)
	for i := range derivative.Data {
		derivative.Data[i] = at(i, h)
	}
	return derivative
}

// difference gives the central differences of Σ upstream · loss by each element of
// an input, to the fourth order of the step h.
func difference(t *testing.T, v variant, in losses.Values, name string, upstream losses.Array) func(i int, h float64) float64 {
	t.Helper()
	in = clone(in)
	data := in[name].Data
	value := v.loss.Value
	if v.loss.Frozen != nil {
		frozen := v.loss.Frozen(clone(in), v.params)
		value = func(in losses.Values, _ losses.Params) (losses.Terms, error) { return frozen(in) }
	}
	at := func(i int, x float64) float64 {
		kept := data[i]
		data[i] = x
		terms, err := value(in, v.params)
		if err != nil {
			t.Fatal(err)
		}
		total := 0.0
		for k, loss := range terms.Loss.Data {
			total += upstream.Data[k] * loss
		}
		data[i] = kept
		return total
	}
	return func(i int, h float64) float64 {
		x := data[i]
		return (8*(at(i, x+h)-at(i, x-h)) - (at(i, x+2*h) - at(i, x-2*h))) / (12 * h)
	}
}

func TestGradientCoversPredictionsAndSoftTargets(t *testing.T) {
	for _, v := range variants(t) {
		in := draw(t, v, friendly[0], usualSizes(), 1)
		got := gradient(t, v, in, losses.None, nil)
		for _, input := range v.loss.InputsFor(v.params) {
			if input.Role == losses.Weight || input.Role == losses.Auxiliary || input.Domain == losses.ClassIndex || input.Domain == losses.Mask {
				continue
			}
			g, ok := got[input.Name]
			if !ok || !slices.Equal(g.Shape, in[input.Name].Shape) {
				t.Errorf("%s: gradient by %s has shape %v (there: %v), want %v", v.name, input.Name, g.Shape, ok, in[input.Name].Shape)
			}
		}
	}
}

func TestGradientsOfReductionsAgree(t *testing.T) {
	for _, v := range reduced(variants(t)) {
		in := draw(t, v, friendly[1], usualSizes(), 5)
		none, sum := evaluate(t, v, in, losses.None), evaluate(t, v, in, losses.Sum)
		mean := evaluate(t, v, in, losses.Mean)
		ones := losses.Filled(none.Shape, 1)
		byOnes := gradient(t, v, in, losses.None, &ones)
		byNil := gradient(t, v, in, losses.None, nil)
		bySum := gradient(t, v, in, losses.Sum, nil)
		byMean := gradient(t, v, in, losses.Mean, nil)
		for _, name := range sortedNames(bySum) {
			near(t, v.name+": upstream of ones by "+name, byOnes[name], bySum[name], 0, 0)
			near(t, v.name+": no upstream by "+name, byNil[name], bySum[name], 0, 0)
			share := 1.0 // of the sum in the mean; where both are 0 the gradients must be
			if sum.Data[0] != 0 {
				share = mean.Data[0] / sum.Data[0]
			}
			near(t, v.name+": mean by "+name, byMean[name], scaled(bySum[name], share), 1e-13, 1e-15)
		}
	}
}

func TestValueAndGradientAreFiniteAtExtremes(t *testing.T) {
	for _, v := range append(variants(t), sharpVariants(t)...) {
		for _, s := range extreme {
			for seed := range uint64(5) {
				in := draw(t, v, s, usualSizes(), seed)
				for _, r := range v.loss.Reductions() {
					wantFinite(t, v.name+"/"+s.name+": "+string(r), evaluate(t, v, in, r))
				}
				for name, g := range gradient(t, v, in, losses.None, nil) {
					leaveSteepEnds(v, name, g)
					wantFinite(t, v.name+"/"+s.name+": gradient by "+name, g)
				}
			}
		}
	}
}

// sharpVariants has powers between 0 and 1, whose slope at 0 is infinite, together
// with the other parameters of the focal losses.
func sharpVariants(t *testing.T) []variant {
	t.Helper()
	var sharp []variant
	for _, gamma := range []float64{0.01, 0.5, 0.99} {
		for _, modulator := range []string{"joint", "split"} {
			settings := map[string]any{"gamma": gamma, "modulator": modulator, "alpha": -1}
			sharp = append(sharp, variant{"sharp " + modulator, losses.SigmoidFocal, paramsOf(t, losses.SigmoidFocal, settings)})
		}
		for _, soft := range []bool{false, true} {
			for _, perClass := range []bool{false, true} {
				settings := map[string]any{"gamma": gamma, "soft_targets": soft, "per_class": perClass, "alpha": 0.5}
				sharp = append(sharp, variant{"sharp softmax", losses.SoftmaxFocal, paramsOf(t, losses.SoftmaxFocal, settings)})
			}
		}
	}
	return sharp
}

func TestGradientOfASaturatedRightPredictionIsZero(t *testing.T) {
	v := variant{"", losses.SigmoidFocal, paramsOf(t, losses.SigmoidFocal, map[string]any{"gamma": 0.5})}
	in := losses.Values{
		"logits": {Shape: []int{4}, Data: []float64{1e4, -1e4, -1e4, 1e4}},
		"target": {Shape: []int{4}, Data: []float64{1, 0, 1, 0}},
	}
	want := losses.Array{Shape: []int{4}, Data: []float64{0, 0, -0.25, 0.75}}
	near(t, "gradient", gradient(t, v, in, losses.Sum, nil)["logits"], want, 0, 0)
}
