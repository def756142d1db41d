package losses_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
)

// Verification changes one parameter at a time; these go together.
func TestTemperedLossesWithSeveralParametersAreAsTheirGraphs(t *testing.T) {
	settings := []map[string]any{
		{"t1": 1.0, "t2": 0.5},
		{"t1": 1.0, "t2": 0.0, "label_smoothing": 0.1},
		{"t1": 1.0, "t2": 1.0, "label_smoothing": 0.1},
		{"t1": 0.9, "t2": 0.4},
		{"t1": 0.3, "t2": 0.3, "label_smoothing": 0.25},
		{"t1": 0.0, "t2": 4.0},
		{"t1": 0.5, "t2": 0.8, "num_iters": 5},
		{"t1": 1.0, "t2": 0.2, "num_iters": 5},
		{"t1": 0.2, "t2": 0.95, "num_iters": 12},
		{"t1": 1.0, "t2": 1.5, "num_iters": 5},
		{"t1": 0.7, "t2": 1.01, "num_iters": 3, "label_smoothing": 0.1},
		{"t1": 1.1, "t2": 1.0},
		{"t1": 1.5, "t2": 1.0, "label_smoothing": 1e-4},
		{"t1": 1.5, "t2": 0.5},
		{"t1": 1.9, "t2": 0.8, "label_smoothing": 0.1},
		{"t1": 1.9, "t2": 1.0, "label_smoothing": 1.0},
		{"t1": 1.9, "t2": 4.0},
		{"t1": 1.999, "t2": 1.2, "label_smoothing": 0.1},
		{"t1": 1.3, "t2": 1.5, "num_iters": 5},
	}
	for _, setting := range settings {
		for _, soft := range []bool{false, true} {
			setting["soft_targets"] = soft
			checkGraph(t, losses.BiTemperedLogistic, setting)
		}
		delete(setting, "soft_targets")
		checkGraph(t, losses.BiTemperedBinary, setting)
	}
}

// checkGraph holds a graph against the reference on the inputs that it is drawn.
func checkGraph(t *testing.T, l *losses.Loss, setting map[string]any) {
	t.Helper()
	v := variant{fmt.Sprint(l.Command(), setting), l, paramsOf(t, l, setting)}
	eps := map[ops.DType]float64{ops.Float32: 0x1p-23, ops.Float64: 0x1p-52}
	beyond := map[ops.DType]float64{ops.Float32: math.MaxFloat32, ops.Float64: math.Inf(1)}
	for seed, s := range append(friendly, extreme...) {
		in := draw(t, v, s, usualSizes(), uint64(seed))
		for _, a := range in {
			for i, x := range a.Data {
				a.Data[i] = float64(float32(x))
			}
		}
		want := evaluate(t, v, in, losses.None)
		for dtype, eps := range eps {
			bound, err := l.Bound(in, v.params, eps)
			if err != nil {
				t.Fatal(err)
			}
			for i, got := range lowered(t, l, v.params, dtype, in) {
				if want.Data[i] > beyond[dtype] && math.IsInf(got, 1) {
					continue
				}
				if d := math.Abs(got - want.Data[i]); !(d <= bound.Data[i]+1e-37) && got != want.Data[i] {
					t.Errorf("%s/%s: %s: loss[%d] = %g, want %g: off by %g, allowed are %g", v.name, s.name, dtype, i, got, want.Data[i], d, bound.Data[i])
				}
			}
		}
	}
}

func TestBiTemperedAtOneIsCrossEntropy(t *testing.T) {
	pairs := []struct {
		tempered, plain *losses.Loss
	}{
		{losses.BiTemperedLogistic, losses.SoftmaxCrossEntropy},
		{losses.BiTemperedBinary, losses.SigmoidCrossEntropy},
	}
	for _, pair := range pairs {
		plain := variant{"", pair.plain, paramsOf(t, pair.plain, nil)}
		tempered := variant{"", pair.tempered, paramsOf(t, pair.tempered, map[string]any{"t1": 1, "t2": 1})}
		for seed, s := range append(friendly, extreme...) {
			if !s.hard {
				continue
			}
			s.weights = false
			in := draw(t, plain, s, usualSizes(), uint64(seed))
			what := pair.tempered.Command() + "/" + s.name
			near(t, what, evaluate(t, tempered, in, losses.None), evaluate(t, plain, in, losses.None), 1e-13, 1e-14)
			want := gradient(t, plain, in, losses.Sum, nil)["logits"]
			near(t, what+" gradient", gradient(t, tempered, in, losses.Sum, nil)["logits"], want, 1e-12, 1e-14)
		}
	}
}

func TestBinaryBiTemperedIsTheOneOfTwoClasses(t *testing.T) {
	for _, setting := range []map[string]any{nil, {"t1": 0.3, "t2": 0.7, "label_smoothing": 0.1}, {"t2": 4, "num_iters": 5}} {
		binary := variant{"", losses.BiTemperedBinary, paramsOf(t, losses.BiTemperedBinary, setting)}
		in := draw(t, binary, friendly[0], usualSizes(), 4)
		n := len(in["logits"].Data)
		logits, labels := losses.Zeros([]int{n, 2}), losses.Zeros([]int{n, 2})
		for i, y := range in["target"].Data {
			logits.Data[2*i+1] = in["logits"].Data[i]
			labels.Data[2*i], labels.Data[2*i+1] = 1-y, y
		}
		both := map[string]any{"soft_targets": true}
		for name, value := range setting {
			both[name] = value
		}
		pair := variant{"", losses.BiTemperedLogistic, paramsOf(t, losses.BiTemperedLogistic, both)}
		got := evaluate(t, pair, losses.Values{"logits": logits, "target": labels}, losses.None)
		got.Shape = in["logits"].Shape
		near(t, fmt.Sprint(setting), got, evaluate(t, binary, in, losses.None), 1e-13, 1e-15)
	}
}

func TestTemperedSoftmaxOfKnownLogits(t *testing.T) {
	tests := []struct {
		name   string
		t      float64
		logits []float64
		want   []float64
	}{
		{"t = 0 is sparsemax", 0, []float64{1, 0.5, -1}, []float64{0.75, 0.25, 0}},
		{"t = 1 is softmax", 1, []float64{0, math.Ln2, -math.Inf(1)}, []float64{1. / 3, 2. / 3, 0}},
		// with t = 2 p is 1/(s + gap), and 1/s + 1/(s + 1.5) = 1 at s = 1.5
		{"t = 2 by hand", 2, []float64{0, -1.5}, []float64{2. / 3, 1. / 3}},
		{"a class 1/(1-t) below the others has no probability", 0.5, []float64{2, 0, -7}, []float64{1, 0, 0}},
		{"ties at 1e30", 1.3, []float64{1e30, 1e30, -1e30}, []float64{0.5, 0.5, 0}},
		{"a single class", 0.3, []float64{-5}, []float64{1}},
	}
	for _, test := range tests {
		v := variant{"", losses.TemperedSoftmax, paramsOf(t, losses.TemperedSoftmax, map[string]any{"t": test.t})}
		in := losses.Values{"logits": {Shape: []int{1, len(test.logits)}, Data: test.logits}}
		want := losses.Array{Shape: in["logits"].Shape, Data: test.want}
		near(t, test.name, evaluate(t, v, in, losses.None), want, 1e-14, 1e-90)
	}
}

func TestPublishedIterationsEndAtTheExactProbabilities(t *testing.T) {
	for _, temperature := range []float64{0.3, 0.8, 0.999, 1.001, 1.2, 4} {
		exact := variant{"", losses.TemperedSoftmax, paramsOf(t, losses.TemperedSoftmax, map[string]any{"t": temperature})}
		published := variant{"", losses.TemperedSoftmax, paramsOf(t, losses.TemperedSoftmax, map[string]any{"t": temperature, "num_iters": 150})}
		in := draw(t, exact, friendly[0], usualSizes(), 8)
		near(t, fmt.Sprint(temperature), evaluate(t, published, in, losses.None), evaluate(t, exact, in, losses.None), 1e-11, 1e-12)
	}
}

// Where public code has NaN: a probability of 0 to a negative power, and 0 log 0.
func TestBiTemperedAtProbabilitiesOfZero(t *testing.T) {
	tests := []struct {
		t1, t2       float64
		label        float64
		loss         float64
		differential float64 // by the logit of the class with the probability 0
	}{
		{0.8, 0.5, 1, 5, 0}, // the bound 1/(1-t1)
		{0.8, 0.5, 0, 0, 0},
		{0.5, 0.5, 1, 2, 0},
		{1, 0.5, 0, 0, 0},
		{1, 0.5, 1, math.Inf(1), 0},
		{1.5, 0.5, 0, 0, 0},
		{1.5, 0.5, 1, math.Inf(1), 0},
		{0, 0, 1, 1, 0},
	}
	for _, test := range tests {
		l := losses.BiTemperedLogistic
		v := variant{fmt.Sprintf("t1 = %g, t2 = %g, label %g", test.t1, test.t2, test.label), l, paramsOf(t, l, map[string]any{"t1": test.t1, "t2": test.t2})}
		in := losses.Values{
			"logits": {Shape: []int{1, 2}, Data: []float64{10, -10}},
			"target": {Shape: []int{1}, Data: []float64{test.label}},
		}
		got := evaluate(t, v, in, losses.Sum).Data[0]
		if !(math.Abs(got-test.loss) <= 1e-15*test.loss) && got != test.loss {
			t.Errorf("%s: loss %g, want %g", v.name, got, test.loss)
		}
		near(t, v.name+": gradient", gradient(t, v, in, losses.Sum, nil)["logits"], losses.Zeros([]int{1, 2}), 0, 0)
	}
}

// The numbers are the formula's in 60 digits; what no float64 holds is infinite.
func TestBiTemperedWithT1Above1(t *testing.T) {
	inf := math.Inf(1)
	tests := []struct {
		t1, t2        float64
		logits, label []float64
		loss          float64
		gradient      []float64
	}{
		{1.5, 1.2, []float64{2, -1, 0.5}, []float64{0.7, 0.2, 0.1}, 0.29243859358476129, []float64{0.075147583005005933, -0.26096219635733833, 0.18581461335233239}},
		{1.9, 0.8, []float64{2, -1, 0.5}, []float64{0, 1, 0}, 110.61490211164359, []float64{188.11140517797248, -231.91049445221432, 43.79908927424184}},
		{1.1, 4, []float64{2, -1, 0.5}, []float64{0, 0, 1}, 1.2946969600804551, []float64{0.016735862794767643, 0.010867995490720809, -0.027603858285488452}},
		{1.5, 1.2, []float64{10000, -10000, 0}, []float64{0, 1, 0}, 2025122848.7525447, []float64{253077.08707230006, -253077.08707230006, 2.7941415426087474e-12}},
		{1.5, 1, []float64{600, -600, -500}, []float64{0, 1, 0}, 7.5460406018598796e+260, []float64{3.7730203009299398e+260, -3.7730203009299398e+260, 7.1245764067412855e-218}},
		{1.9, 1, []float64{800, 0, -100}, []float64{1, 0, 0}, 1.8049333279715252e-34, []float64{-1.8049333279715268e-35, 1.8048513878452869e-35, 8.1940126239898604e-40}},
		{1.5, 1, []float64{700, -100, -900}, []float64{0, 0.5, 0.5}, inf, []float64{inf, -2.610734844882072e+173, -inf}},
	}
	for _, test := range tests {
		l := losses.BiTemperedLogistic
		settings := map[string]any{"t1": test.t1, "t2": test.t2, "soft_targets": true}
		v := variant{fmt.Sprintf("t1 = %g, t2 = %g of %g", test.t1, test.t2, test.logits), l, paramsOf(t, l, settings)}
		shape := []int{1, 3}
		in := losses.Values{"logits": {Shape: shape, Data: test.logits}, "target": {Shape: shape, Data: test.label}}
		got := append(gradient(t, v, in, losses.Sum, nil)["logits"].Data, evaluate(t, v, in, losses.Sum).Data[0])
		for i, want := range append(test.gradient, test.loss) {
			if !(math.Abs(got[i]-want) <= 1e-12*math.Abs(want)) && got[i] != want {
				t.Errorf("%s: %.17g, want %.17g", v.name, got[i], want)
			}
		}
	}
}

// 0 times infinity is NaN: an ignored position counts for nothing where its loss is
// infinite, too.
func TestIgnoredPositionsOfAnInfiniteLossCountForNothing(t *testing.T) {
	l := losses.BiTemperedLogistic
	in := losses.Values{
		"logits": {Shape: []int{2, 2}, Data: []float64{10, -10, 10, -10}},
		"target": {Shape: []int{2}, Data: []float64{0, -100}},
	}
	for _, t1 := range []float64{1, 1.5} {
		p := paramsOf(t, l, map[string]any{"t1": t1, "t2": 0.5, "label_smoothing": 0.1})
		want := evaluate(t, variant{"", l, p}, in, losses.None).Data
		got := lowered(t, l, p, ops.Float32, in)
		if !math.IsInf(got[0], 1) || got[0] != want[0] || got[1] != 0 || want[1] != 0 {
			t.Errorf("t1 = %g: %g, the reference has %g; want +Inf and 0", t1, got, want)
		}
	}
}

func TestTemperedFunctionsAreInverseAndAccurateNearOne(t *testing.T) {
	for _, temperature := range []float64{0, 0.5, 1 - 1e-5, 1 - 1e-12, 1, 1 + 1e-12, 1 + 1e-5, 1.5, 3} {
		for _, u := range []float64{1e-6, 0.3, 1, 1 + 1e-9, 2, 50} {
			x := losses.LogT(u, temperature)
			if got := losses.ExpT(x, temperature); !(math.Abs(got-u) <= 1e-12*u+0x1p-52) {
				t.Errorf("exp_%g(log_%g(%g)) = %.17g", temperature, temperature, u, got)
			}
			// log_t u is log u (1 + (1-t) log u / 2 + ...)
			d := (1 - temperature) * math.Log(u)
			if want := math.Log(u) * (1 + d/2 + d*d/6); math.Abs(d) < 1e-3 && !(math.Abs(x-want) <= 1e-10*math.Abs(want)) {
				t.Errorf("log_%g(%g) = %.17g, want %.17g", temperature, u, x, want)
			}
		}
	}
}

func TestTemperedParametersAreRefused(t *testing.T) {
	tests := []struct {
		loss    *losses.Loss
		setting map[string]any
		want    string
	}{
		{losses.TemperedSoftmax, map[string]any{"num_iters": -1}, "losses: tempered-softmax: num_iters must be 0 to 200, got -1"},
		{losses.TemperedSigmoid, map[string]any{"t": 1, "num_iters": 5}, "losses: tempered-sigmoid: num_iters goes with a t other than 1, where nothing is iterated; leave it out"},
		{losses.BiTemperedBinary, map[string]any{"t1": 2}, "losses: bi-tempered-binary: t1 must be >= 0 and < 2, got 2"},
		{losses.BiTemperedLogistic, map[string]any{"soft_targets": true, "ignore_index": 3}, "losses: bi-tempered-logistic: ignore_index goes with class-index targets; leave it out with soft_targets"},
	}
	for _, test := range tests {
		if _, err := test.loss.Params(test.setting); err == nil || err.Error() != test.want {
			t.Errorf("%v: error %v, want %s", test.setting, err, test.want)
		}
	}
}
