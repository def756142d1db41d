package losses_test

import (
	"math"
	"testing"

	"github.com/onnxloss/onnxloss/losses"
)

// logSoftmax turns logits [N,C,...] into log-probabilities.
func logSoftmax(logits losses.Array) losses.Array {
	p, logP := softmaxOf(logits), losses.Zeros(logits.Shape)
	for i, x := range p.Data {
		logP.Data[i] = math.Log(x)
	}
	return logP
}

func TestNLLOfALogSoftmaxIsCrossEntropy(t *testing.T) {
	for _, settings := range []map[string]any{nil, {"soft_targets": true}, {"ignore_index": 0}} {
		ce := variant{"", losses.SoftmaxCrossEntropy, paramsOf(t, losses.SoftmaxCrossEntropy, settings)}
		nll := variant{"", losses.NLL, paramsOf(t, losses.NLL, settings)}
		in := draw(t, ce, friendly[1], usualSizes(), 4)
		want := evaluate(t, ce, in, losses.Mean)
		in["prediction"] = logSoftmax(in["logits"])
		delete(in, "logits")
		near(t, "mean", evaluate(t, nll, in, losses.Mean), want, 1e-13, 0)
	}
}

func TestDivergenceIsCrossEntropyWithoutTheEntropy(t *testing.T) {
	soft := map[string]any{"soft_targets": true}
	ce := variant{"", losses.SoftmaxCrossEntropy, paramsOf(t, losses.SoftmaxCrossEntropy, soft)}
	kl := variant{"", losses.KLDivergence, paramsOf(t, losses.KLDivergence, nil)}
	logKL := variant{"", losses.KLDivergence, paramsOf(t, losses.KLDivergence, map[string]any{"log_target": true})}
	in := draw(t, ce, friendly[0], usualSizes(), 4)
	want := evaluate(t, ce, in, losses.None)
	outer, count, inner := split(in["target"].Shape)
	for i := range outer * inner {
		for k := range count {
			y := in["target"].Data[(i/inner*count+k)*inner+i%inner]
			want.Data[i] += y * math.Log(y)
		}
	}
	in["prediction"] = logSoftmax(in["logits"])
	delete(in, "logits")
	near(t, "divergence", evaluate(t, kl, in, losses.None), want, 1e-12, 1e-15)
	logs := losses.Values{"prediction": in["prediction"], "target": losses.Zeros(in["target"].Shape)}
	for i, y := range in["target"].Data {
		logs["target"].Data[i] = math.Log(y)
	}
	near(t, "of a log target", evaluate(t, logKL, logs, losses.None), want, 1e-12, 1e-15)
	logs["target"] = logs["prediction"]
	near(t, "of itself", evaluate(t, logKL, logs, losses.Sum), scalar(0), 0, 0)
}

func TestDivergenceWhereSomethingIsImpossible(t *testing.T) {
	inf := math.Inf(1)
	tests := []struct {
		name               string
		log                bool
		prediction, target []float64
		want               float64
		byTarget           []float64
	}{
		{"in both", false, []float64{-inf, 0}, []float64{0, 1}, 0, []float64{0, 1}},
		{"in the target", false, []float64{math.Log(0.5), math.Log(0.5)}, []float64{0, 1}, math.Log(2), []float64{0, 1 + math.Log(2)}},
		{"in the prediction", false, []float64{-inf, 0}, []float64{0.5, 0.5}, inf, []float64{inf, 1 + math.Log(0.5)}},
		{"in a log target", true, []float64{-1, -1}, []float64{-inf, 0}, 1, []float64{0, 2}},
		{"in both, log target", true, []float64{-inf, 0}, []float64{-inf, 0}, 0, []float64{0, 1}},
	}
	for _, test := range tests {
		v := variant{"", losses.KLDivergence, paramsOf(t, losses.KLDivergence, map[string]any{"log_target": test.log})}
		in := losses.Values{"prediction": shaped([]int{1, 2}, test.prediction...), "target": shaped([]int{1, 2}, test.target...)}
		if got := evaluate(t, v, in, losses.Sum).Data[0]; got != test.want && !(math.Abs(got-test.want) < 1e-15) {
			t.Errorf("%s: %g, want %g", test.name, got, test.want)
		}
		by := gradient(t, v, in, losses.Sum, nil)
		for i, want := range test.byTarget {
			if got := by["target"].Data[i]; got != want && !(math.Abs(got-want) < 1e-15) {
				t.Errorf("%s: gradient by target[%d] = %g, want %g", test.name, i, got, want)
			}
		}
		wantFinite(t, test.name+": gradient by prediction", by["prediction"])
	}
}

func TestAClassWithoutAShareMayBeImpossible(t *testing.T) {
	v := variant{"", losses.NLL, paramsOf(t, losses.NLL, map[string]any{"soft_targets": true})}
	in := losses.Values{"prediction": shaped([]int{1, 2}, math.Inf(-1), -0.5), "target": shaped([]int{1, 2}, 0, 1)}
	near(t, "soft", evaluate(t, v, in, losses.Sum), scalar(0.5), 0, 0)
	v = variant{"", losses.NLL, paramsOf(t, losses.NLL, nil)}
	in = losses.Values{"prediction": shaped([]int{2, 2}, math.Inf(-1), 0, -0.5, -1), "target": shaped([]int{2}, 0, 0), "weight": shaped([]int{2}, 0, 1)}
	near(t, "of weight 0", evaluate(t, v, in, losses.Sum), scalar(0), 0, 0)
}

func TestBinaryCrossEntropyIsThatOfTheLogit(t *testing.T) {
	bce := variant{"", losses.BinaryCrossEntropy, paramsOf(t, losses.BinaryCrossEntropy, nil)}
	sigmoid := variant{"", losses.SigmoidCrossEntropy, paramsOf(t, losses.SigmoidCrossEntropy, nil)}
	in := draw(t, bce, friendly[1], usualSizes(), 4)
	got := evaluate(t, bce, in, losses.None)
	in["logits"] = losses.Zeros(in["prediction"].Shape)
	for i, p := range in["prediction"].Data {
		in["logits"].Data[i] = math.Log(p / (1 - p))
	}
	delete(in, "prediction")
	near(t, "loss", got, evaluate(t, sigmoid, in, losses.None), 1e-12, 0)
}

func TestBinaryCrossEntropyOfSurePredictions(t *testing.T) {
	inf := math.Inf(1)
	tests := []struct {
		p, y          float64
		want, limited float64
		slope, cutOff float64 // the gradient by p, without and with a limit of 100
		weightless    bool
	}{
		{p: 0, y: 0, want: 0, limited: 0, slope: 1, cutOff: 1},
		{p: 1, y: 1, want: 0, limited: 0, slope: -1, cutOff: -1},
		{p: 0, y: 1, want: inf, limited: 100, slope: -inf, cutOff: 0},
		{p: 1, y: 0, want: inf, limited: 100, slope: inf, cutOff: 0},
		{p: 0.5, y: 1, want: math.Ln2, limited: math.Ln2, slope: -2, cutOff: -2},
		{p: 0, y: 1, weightless: true},
	}
	for _, test := range tests {
		in := losses.Values{"prediction": scalar(test.p), "target": scalar(test.y)}
		if test.weightless {
			in["weight"] = scalar(0)
		}
		for _, limit := range []float64{0, 100} {
			v := variant{"", losses.BinaryCrossEntropy, paramsOf(t, losses.BinaryCrossEntropy, map[string]any{"log_limit": limit})}
			want, slope := test.want, test.slope
			if limit > 0 {
				want, slope = test.limited, test.cutOff
			}
			if got := evaluate(t, v, in, losses.None).Data[0]; got != want {
				t.Errorf("p = %g, y = %g, limit %g: %g, want %g", test.p, test.y, limit, got, want)
			}
			if got := gradient(t, v, in, losses.None, nil)["prediction"].Data[0]; got != slope {
				t.Errorf("p = %g, y = %g, limit %g: gradient %g, want %g", test.p, test.y, limit, got, slope)
			}
		}
	}
}

func TestHinge(t *testing.T) {
	tests := []struct {
		name        string
		settings    map[string]any
		x, y        float64
		want, slope float64
	}{
		{"beyond the margin", nil, 1.5, 1, 0, 0},
		{"at the margin", nil, 1, 1, 0, 0},
		{"before it", nil, 0.25, 1, 0.75, -1},
		{"on the wrong side", nil, -2, 1, 3, -1},
		{"a negative label", nil, 2, 0, 3, 1},
		{"squared", map[string]any{"squared": true}, -2, 1, 9, -6},
		{"a wide margin", map[string]any{"margin": 4}, 1, 1, 3, -1},
		{"the perceptron", map[string]any{"margin": 0}, -2, 1, 2, -1},
		{"a label of 1/2 costs the margin", map[string]any{"margin": 3, "squared": true}, 7, 0.5, 9, 0},
		{"a huge score", map[string]any{"squared": true}, -1e4, 1, 10001 * 10001, -20002},
	}
	for _, test := range tests {
		v := variant{"", losses.Hinge, paramsOf(t, losses.Hinge, test.settings)}
		in := losses.Values{"prediction": scalar(test.x), "target": scalar(test.y)}
		near(t, test.name, evaluate(t, v, in, losses.None), scalar(test.want), 1e-15, 0)
		near(t, test.name+": gradient", gradient(t, v, in, losses.None, nil)["prediction"], scalar(test.slope), 1e-15, 0)
	}
}
