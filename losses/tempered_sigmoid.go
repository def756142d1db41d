package losses

import (
	"github.com/onnxloss/onnxloss/ops"
)

// TemperedSigmoid is the link of the binary bi-tempered loss.
var TemperedSigmoid = &Loss{
	Name:    "TemperedSigmoid",
	Summary: "probability of a model trained with the binary bi-tempered loss",
	Formula: `p = exp_t(x - λ), with λ such that exp_t(x - λ) + exp_t(-λ) = 1
exp_t(u) = max(0, 1 + (1 - t) u)^(1/(1-t)), e^u for t = 1`,
	Meaning: `The second class's probability in a tempered softmax of the logits 0 and x. For t > 1
it goes to 0 and 1 as a power of x instead of exponentially; for t < 1 it is exactly 0 or 1 where x is
1/(1-t) or more from 0; t = 1 is the sigmoid. Give it the t2 that the model was trained with.`,
	Paper: bitemperedPaper,
	Head:  true,
	Inputs: []Input{
		{Name: "logits", Role: Prediction, Domain: Logit, Shape: "...", Doc: "one logit a label; positive leans to 1"},
	},
	Declare:  []Param{temperatureParam("t", "how heavy the tail is: above 1 heavier than a sigmoid's, below 1 cut off"), numItersParam()},
	Check:    checkIters("t"),
	Value:    temperedSigmoidValue,
	Gradient: temperedSigmoidGradient,
	Frozen:   temperedSigmoidFrozen,
	Build:    buildTemperedSigmoid,
	Bound:    temperedSigmoidBound,
	Accuracy: temperedAccuracy,
	Figure: &Figure{
		X: "logit", From: -8, To: 8,
		Curves: []Curve{
			{Label: "t = 0.5", Settings: map[string]any{"t": 0.5}, At: temperedSigmoidAt},
			{Label: "t = 1, sigmoid", Settings: map[string]any{"t": 1.0}, At: temperedSigmoidAt},
			{Label: "t = 1.5", Settings: map[string]any{"t": 1.5}, At: temperedSigmoidAt},
			{Label: "t = 4", Settings: map[string]any{"t": 4.0}, At: temperedSigmoidAt},
		},
	},
}

func temperedSigmoidAt(x float64) Values { return Values{"logits": scalar(x)} }

// pairOf is the tempered softmax of the classes 0 and 1 of one logit.
func pairOf(x float64, t float64, steps int64) tempered {
	return temperedOf([]float64{0, x}, t, steps)
}

func temperedSigmoidValue(in Values, p Params) (Terms, error) {
	logits := in["logits"]
	probability := Zeros(logits.Shape)
	for i, x := range logits.Data {
		probability.Data[i] = pairOf(x, p.Float("t"), p.Int("num_iters")).p[1]
	}
	return Terms{Loss: probability}, nil
}

func temperedSigmoidGradient(in Values, p Params, upstream Array) (Values, error) {
	logits := in["logits"]
	dx := Zeros(logits.Shape)
	for i, x := range logits.Data {
		d := pairOf(x, p.Float("t"), p.Int("num_iters"))
		dx.Data[i] = upstream.Data[i] * d.slope(1) * d.escort()[0]
	}
	return Values{"logits": dx}, nil
}

func temperedSigmoidFrozen(in Values, p Params) func(Values) (Terms, error) {
	if p.Int("num_iters") == 0 {
		return func(at Values) (Terms, error) { return temperedSigmoidValue(at, p) }
	}
	around := pairsAround(in["logits"], p.Float("t"), p.Int("num_iters"))
	return func(at Values) (Terms, error) {
		probability := Zeros(at["logits"].Shape)
		for i, x := range at["logits"].Data {
			probability.Data[i] = around[i]([]float64{0, x}).p[1]
		}
		return Terms{Loss: probability}, nil
	}
}

// pairsAround linearizes the normalization of every logit.
func pairsAround(logits Array, t float64, steps int64) []func([]float64) tempered {
	around := make([]func([]float64) tempered, len(logits.Data))
	for i, x := range logits.Data {
		around[i] = pairOf(x, t, steps).around([]float64{0, x})
	}
	return around
}

func temperedSigmoidBound(in Values, p Params, eps float64) (Array, error) {
	logits := in["logits"]
	bound := Zeros(logits.Shape)
	for i, x := range logits.Data {
		d := pairOf(x, p.Float("t"), p.Int("num_iters"))
		bound.Data[i] = d.probabilityErrors(gapsOf([]float64{0, x}), p, eps)[1]
	}
	return bound, nil
}

func buildTemperedSigmoid(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	x := in["logits"]
	top, other := temperedPair(b, b.Abs(x), p.Float("t"), p.Int("num_iters"))
	logP := b.Where(b.Greater(x, b.Scalar(x, 0)), top, other)
	return ops.Terms{Loss: b.Label(b.Exp(logP), "probability")}
}
