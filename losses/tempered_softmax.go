package losses

import (
	"github.com/onnxloss/onnxloss/ops"
)

// TemperedSoftmax is the link of the bi-tempered logistic loss.
var TemperedSoftmax = &Loss{
	Name:    "TemperedSoftmax",
	Summary: "probabilities of a model trained with the bi-tempered logistic loss",
	Formula: `p_c = exp_t(x_c - λ), with λ such that Σ_c p_c = 1
exp_t(u) = max(0, 1 + (1 - t) u)^(1/(1-t)), e^u for t = 1`,
	Meaning: `Softmax with another tail. For t > 1 the probabilities of unlikely classes fall
off as a power of the logit instead of exponentially; for t < 1 classes that are 1/(1-t) or
more below the highest have the probability 0; t = 0 is sparsemax and t = 1 is softmax. Give it
the t2 that the model was trained with: an ordinary softmax on its logits is too sure for t2 > 1 and
not sure enough for t2 < 1, though the ranking is the same. λ is found by Newton's method, in a
graph by a fixed number of steps that suffices for up to 10^5 classes, as long as C^(t-1) is below
10^38.`,
	Paper: bitemperedPaper,
	Head:  true,
	Inputs: []Input{
		{Name: "logits", Role: Prediction, Domain: Logit, Shape: "N,C,...", Doc: "one logit a class, classes on axis 1"},
	},
	Declare:  []Param{temperatureParam("t", "how heavy the tail is: above 1 heavier than softmax's, below 1 cut off"), numItersParam()},
	Check:    checkIters("t"),
	Value:    temperedSoftmaxValue,
	Gradient: temperedSoftmaxGradient,
	Frozen:   temperedSoftmaxFrozen,
	Build:    buildTemperedSoftmax,
	Bound:    temperedSoftmaxBound,
	Accuracy: temperedAccuracy,
}

const bitemperedPaper = "Amid, Warmuth, Anil, Koren: Robust Bi-Tempered Logistic Loss Based on Bregman Divergences, NeurIPS 2019, arXiv:1906.03361"

// logitsAt copies the logits of a position.
func logitsAt(logits Array, c classes, position int) []float64 {
	x := make([]float64, c.count)
	for k := range x {
		x[k] = logits.Data[c.index(position, k)]
	}
	return x
}

func temperedSoftmaxValue(in Values, p Params) (Terms, error) {
	logits := in["logits"]
	c := classesOf(logits)
	probability := Zeros(logits.Shape)
	for i := range c.positions() {
		d := temperedOf(logitsAt(logits, c, i), p.Float("t"), p.Int("num_iters"))
		for k, p := range d.p {
			probability.Data[c.index(i, k)] = p
		}
	}
	return Terms{Loss: probability}, nil
}

func temperedSoftmaxGradient(in Values, p Params, upstream Array) (Values, error) {
	logits := in["logits"]
	c := classesOf(logits)
	dx := Zeros(logits.Shape)
	slope := make([]float64, c.count)
	for i := range c.positions() {
		d := temperedOf(logitsAt(logits, c, i), p.Float("t"), p.Int("num_iters"))
		for k := range slope {
			slope[k] = upstream.Data[c.index(i, k)] * d.slope(k)
		}
		for k, by := range throughNormalization(slope, d.escort()) {
			dx.Data[c.index(i, k)] = by
		}
	}
	return Values{"logits": dx}, nil
}

func temperedSoftmaxFrozen(in Values, p Params) func(Values) (Terms, error) {
	if p.Int("num_iters") == 0 {
		return func(at Values) (Terms, error) { return temperedSoftmaxValue(at, p) }
	}
	c := classesOf(in["logits"])
	around := make([]func([]float64) tempered, c.positions())
	for i := range around {
		x := logitsAt(in["logits"], c, i)
		around[i] = temperedOf(x, p.Float("t"), p.Int("num_iters")).around(x)
	}
	return func(at Values) (Terms, error) {
		probability := Zeros(at["logits"].Shape)
		for i, linear := range around {
			for k, p := range linear(logitsAt(at["logits"], c, i)).p {
				probability.Data[c.index(i, k)] = p
			}
		}
		return Terms{Loss: probability}, nil
	}
}

func buildTemperedSoftmax(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	logits, t := in["logits"], p.Float("t")
	if t == 1 {
		return ops.Terms{Loss: b.Label(b.Softmax(logits, 1), "probability")}
	}
	return ops.Terms{Loss: b.Label(b.Exp(temperedLogits(b, logits, t, p.Int("num_iters"))), "probability")}
}
