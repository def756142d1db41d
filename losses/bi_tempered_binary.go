package losses

import (
	"github.com/onnxloss/onnxloss/ops"
)

// BiTemperedBinary is the bi-tempered logistic loss on independent binary labels.
var BiTemperedBinary = &Loss{
	Name:    "BiTemperedBinaryLoss",
	Summary: "binary cross-entropy with two temperatures, robust against wrong labels",
	Formula: `(p_0, p_1) = tempered softmax of (0, x) with t2, (y_0, y_1) = (1 - y, y)
log_t(u) = (u^(1-t) - 1)/(1-t), log u for t = 1
y_c ← (1 - 2 label_smoothing) y_c + label_smoothing
loss = Σ_c [y_c (log_t1 y_c - log_t1 p_c) - (y_c^(2-t1) - p_c^(2-t1))/(2-t1)]`,
	Meaning:  bitemperedMeaning,
	Paper:    bitemperedPaper,
	Inputs:   elementwise(),
	Declare:  bitemperedParams(),
	Check:    checkIters("t2"),
	Value:    biTemperedBinaryValue,
	Gradient: biTemperedBinaryGradient,
	Frozen:   biTemperedBinaryFrozen,
	Build:    buildBiTemperedBinary,
	Bound:    biTemperedBinaryBound,
	Accuracy: bitemperedAccuracy,
	Figure: &Figure{
		X: "logit of a label 1", From: -8, To: 8,
		Curves: []Curve{
			{Label: "t1 = 1, t2 = 1, cross-entropy", Settings: map[string]any{"t1": 1.0, "t2": 1.0}, At: positiveAt},
			{Label: "t1 = 1.1, t2 = 1", Settings: map[string]any{"t1": 1.1, "t2": 1.0}, At: positiveAt},
			{Label: "t1 = 0.5, t2 = 1", Settings: map[string]any{"t1": 0.5, "t2": 1.0}, At: positiveAt},
			{Label: "t1 = 1, t2 = 4", Settings: map[string]any{"t1": 1.0, "t2": 4.0}, At: positiveAt},
			{Label: "t1 = 0.2, t2 = 4", Settings: map[string]any{"t1": 0.2, "t2": 4.0}, At: positiveAt},
		},
	},
}

func positiveAt(x float64) Values { return Values{"logits": scalar(x), "target": scalar(1)} }

// pairLabels are the smoothed labels of the classes 0 and 1.
func pairLabels(y float64, p Params) []float64 {
	return smoothed([]float64{1 - y, y}, p.Float("label_smoothing"))
}

func biTemperedBinaryValue(in Values, p Params) (Terms, error) {
	x, y := in["logits"], in["target"]
	loss := Zeros(x.Shape)
	for i, x := range x.Data {
		d := pairOf(x, p.Float("t2"), p.Int("num_iters"))
		loss.Data[i] = divergence(pairLabels(y.Data[i], p), d, p.Float("t1"))
	}
	return Terms{Loss: loss}, nil
}

func biTemperedBinaryGradient(in Values, p Params, upstream Array) (Values, error) {
	x, y := in["logits"], in["target"]
	dx, dy := Zeros(x.Shape), Zeros(x.Shape)
	for i, x := range x.Data {
		d := pairOf(x, p.Float("t2"), p.Int("num_iters"))
		byLogit, byLabel := d.gradient(pairLabels(y.Data[i], p), p.Float("t1"))
		dx.Data[i] = timesUnlessZero(upstream.Data[i], byLogit[1])
		dy.Data[i] = timesUnlessZero(upstream.Data[i]*(1-2*p.Float("label_smoothing")), byLabel[1]-byLabel[0])
	}
	return Values{"logits": dx, "target": dy}, nil
}

func biTemperedBinaryFrozen(in Values, p Params) func(Values) (Terms, error) {
	if p.Int("num_iters") == 0 {
		return func(at Values) (Terms, error) { return biTemperedBinaryValue(at, p) }
	}
	around := pairsAround(in["logits"], p.Float("t2"), p.Int("num_iters"))
	return func(at Values) (Terms, error) {
		loss := Zeros(at["logits"].Shape)
		for i, x := range at["logits"].Data {
			loss.Data[i] = divergence(pairLabels(at["target"].Data[i], p), around[i]([]float64{0, x}), p.Float("t1"))
		}
		return Terms{Loss: loss}, nil
	}
}

func biTemperedBinaryBound(in Values, p Params, eps float64) (Array, error) {
	x, y := in["logits"], in["target"]
	bound := Zeros(x.Shape)
	for i, x := range x.Data {
		d := pairOf(x, p.Float("t2"), p.Int("num_iters"))
		bound.Data[i] = d.divergenceError(gapsOf([]float64{0, x}), pairLabels(y.Data[i], p), p, eps)
	}
	return bound, nil
}

func buildBiTemperedBinary(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	x, y, smoothing := in["logits"], in["target"], p.Float("label_smoothing")
	top, other := temperedPair(b, b.Abs(x), p.Float("t2"), p.Int("num_iters"))
	// the likelier class is 1 where the logit is positive
	positive := b.Label(b.Cast(b.Greater(x, b.Scalar(x, 0)), x.DType()), "positive")
	off := b.Label(b.Abs(b.Sub(positive, y)), "off")
	on := b.Label(b.Sub(b.Scalar(off, 1), off), "on")
	if smoothing > 0 {
		kept, share := b.Scalar(y, 1-smoothing), b.Scalar(y, smoothing)
		on, off = buildMixed(b, on, off, kept, share), buildMixed(b, off, on, kept, share)
	}
	m := newBregman(b, p)
	loss := b.Add(m.terms(on, top), m.terms(off, other))
	return ops.Terms{Loss: b.Label(loss, "divergence")}
}
