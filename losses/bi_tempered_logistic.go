package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// BiTemperedLogistic is the bi-tempered logistic loss over mutually exclusive
// classes.
var BiTemperedLogistic = &Loss{
	Name:    "BiTemperedLogisticLoss",
	Summary: "softmax cross-entropy with two temperatures, robust against wrong labels",
	Formula: `p = tempered softmax of the logits with t2, y = one-hot(target) or soft target
log_t(u) = (u^(1-t) - 1)/(1-t), log u for t = 1
y ← (1 - C/(C-1) label_smoothing) y + label_smoothing/(C-1)
loss = Σ_c [y_c (log_t1 y_c - log_t1 p_c) - (y_c^(2-t1) - p_c^(2-t1))/(2-t1)]`,
	Meaning: bitemperedMeaning + `

With class-index targets a mean divides by the number of positions that are not ignored.`,
	Paper:  bitemperedPaper,
	Inputs: classInputs()[:3],
	Declare: append(bitemperedParams(),
		softTargetsParam(), ignoreIndexParam()),
	Check:    checkBiTempered,
	Value:    biTemperedValue,
	Gradient: biTemperedGradient,
	Frozen:   biTemperedFrozen,
	Build:    buildBiTempered,
	Bound:    biTemperedBound,
	Accuracy: bitemperedAccuracy,
}

const bitemperedMeaning = `How far the predicted distribution is from the labels: the Bregman divergence of the
tempered entropy, 0 where both are equal. t1 < 1 bounds the loss of an example by 1/(1-t1), so that
an outlier with a wrong label cannot dominate. t2 > 1 gives the probabilities a heavy tail, so that
wrong labels near the decision boundary cost less. At t1 = t2 = 1 it is cross-entropy minus the
entropy of the labels, which is 0 for hard ones; some public code leaves the entropy in. For
inference take tempered-softmax or tempered-sigmoid with the same t2.

For t2 < 1 probabilities may be exactly 0: their logits have gradient 0, and with t1 = 1 the loss is
infinite where such a class has a label. For t2 < t1 the gradient grows without bound just before
that. By soft targets it is infinite for t1 = 1 at a label of 0. With num_iters above 0 it is the
published one, which takes the normalization for converged.`

func bitemperedParams() []Param {
	return []Param{
		{Name: "t1", Kind: Float, Default: 0.8, Min: 0, Max: 1, Try: []any{0.5, 0.0, 0.9999, 1.0}, Doc: "how bounded the loss is: 1 is a logarithm, below 1 it stays finite"},
		temperatureParam("t2", "how heavy the tail of the probabilities is: 1 is softmax, above 1 heavier, below 1 cut off"),
		{Name: "label_smoothing", Kind: Float, Default: 0.0, Min: 0, Max: 1, Try: []any{0.1}, Doc: "the share of the target that goes to the other classes, evenly"},
		numItersParam(),
	}
}

func checkBiTempered(p Params) error {
	if err := checkIters("t2")(p); err != nil {
		return err
	}
	return checkIgnoreIndex(p)
}

// smoothed spreads label_smoothing over the classes; a single class has no others.
func smoothed(y []float64, smoothing float64) []float64 {
	count := float64(len(y))
	others := math.Max(1, count-1)
	s := make([]float64, len(y))
	for i, y := range y {
		s[i] = y
		if smoothing > 0 {
			s[i] = (1-count/others*smoothing)*y + smoothing/others
		}
	}
	return s
}

// divergence is the loss of one distribution.
func divergence(y []float64, d tempered, t1 float64) float64 {
	total := 0.0
	for i, y := range y {
		total += divergenceTerm(y, d.logP[i], t1)
	}
	return total
}

// divergenceTerm is y (log_t y - log_t p) - (y^(2-t) - p^(2-t))/(2-t), which is never
// negative but for rounding.
func divergenceTerm(y, logP, t float64) float64 {
	power := math.Exp((2 - t) * logP)
	if y == 0 {
		return power / (2 - t)
	}
	return math.Max(0, y*(LogT(y, t)-logTOfLog(logP, t))-(math.Pow(y, 2-t)-power)/(2-t))
}

// slopes gives the derivative of the divergence by x - λ and by the labels. Where a
// probability is 0 nothing moves with the logit.
func (d tempered) slopes(y []float64, t1 float64) (byLogit, byLabel []float64) {
	byLogit, byLabel = make([]float64, len(y)), make([]float64, len(y))
	misses := sumOfOthers(d.p)
	for i, y := range y {
		byLabel[i] = LogT(y, t1) - logTOfLog(d.logP[i], t1)
		if d.clipped(i) {
			continue
		}
		excess := d.p[i] - y
		if y == 1 && d.exact { // without cancellation
			excess = -misses[i]
		}
		byLogit[i] = excess * math.Exp((d.t-t1)*d.logP[i])
	}
	return byLogit, byLabel
}

// eachBiTempered calls f for every position that counts, with its smoothed labels.
func eachBiTempered(in Values, p Params, f func(i int, logits, y []float64)) {
	logits := in["logits"]
	c := classesOf(logits)
	target := labelsOf(in, p, c)
	share := make([]float64, c.count)
	for i := range c.positions() {
		if _, counts := target.at(i, share); counts {
			f(i, logitsAt(logits, c, i), smoothed(share, p.Float("label_smoothing")))
		}
	}
}

func biTemperedValue(in Values, p Params) (Terms, error) {
	loss := Zeros(withoutClasses(in["logits"].Shape))
	counts := Zeros(loss.Shape)
	eachBiTempered(in, p, func(i int, x, y []float64) {
		counts.Data[i] = 1
		loss.Data[i] = divergence(y, temperedOf(x, p.Float("t2"), p.Int("num_iters")), p.Float("t1"))
	})
	return Terms{Loss: loss, Weight: &counts}, nil
}

func biTemperedGradient(in Values, p Params, upstream Array) (Values, error) {
	logits := in["logits"]
	c := classesOf(logits)
	dx, dy := Zeros(logits.Shape), Zeros(logits.Shape)
	smoothing := p.Float("label_smoothing")
	kept := 1 - float64(c.count)/math.Max(1, float64(c.count-1))*smoothing
	eachBiTempered(in, p, func(i int, x, y []float64) {
		d := temperedOf(x, p.Float("t2"), p.Int("num_iters"))
		slope, byLabel := d.slopes(y, p.Float("t1"))
		for k, by := range throughNormalization(slope, d.escort()) {
			dx.Data[c.index(i, k)] = upstream.Data[i] * by
			dy.Data[c.index(i, k)] = upstream.Data[i] * kept * byLabel[k]
		}
	})
	if softTargets(p) {
		return Values{"logits": dx, "target": dy}, nil
	}
	return Values{"logits": dx}, nil
}

// biTemperedFrozen linearizes the normalization of a published iteration, as its
// gradient does.
func biTemperedFrozen(in Values, p Params) func(Values) (Terms, error) {
	if p.Int("num_iters") == 0 {
		return func(at Values) (Terms, error) { return biTemperedValue(at, p) }
	}
	around := map[int]func([]float64) tempered{}
	eachBiTempered(in, p, func(i int, x, _ []float64) {
		around[i] = temperedOf(x, p.Float("t2"), p.Int("num_iters")).around(x)
	})
	return func(at Values) (Terms, error) {
		loss := Zeros(withoutClasses(at["logits"].Shape))
		eachBiTempered(at, p, func(i int, x, y []float64) {
			loss.Data[i] = divergence(y, around[i](x), p.Float("t1"))
		})
		return Terms{Loss: loss}, nil
	}
}

const bitemperedAccuracy = `for each class what follows for the divergence from the error of log p, which is that of tempered-softmax; and from its own rounding,
eps · [c y (1 + |log_t1 y| + |log_t1 p|) + 2 y p^(1-t1) |log p| + (c + 2 |log p|) p] with c = 8 + 2 log C. Terms of different signs cancel where p is near y: that error is absolute`

func biTemperedBound(in Values, p Params, eps float64) (Array, error) {
	bound := Zeros(withoutClasses(in["logits"].Shape))
	eachBiTempered(in, p, func(i int, x, y []float64) {
		d := temperedOf(x, p.Float("t2"), p.Int("num_iters"))
		bound.Data[i] = d.divergenceError(gapsOf(x), y, p, eps)
	})
	return bound, nil
}

func (d tempered) divergenceError(gaps, y []float64, p Params, eps float64) float64 {
	t1 := p.Float("t1")
	low, high := d.interval(gaps, p.Int("num_iters"), eps)
	own := 8 + 2*math.Log(float64(len(y)))
	off := 0.0
	for i, y := range y {
		term := divergenceTerm(y, d.logP[i], t1)
		off += math.Max(math.Abs(divergenceTerm(y, low[i], t1)-term), math.Abs(divergenceTerm(y, high[i], t1)-term))
		off += eps * d.p[i] * (own + 2*math.Abs(math.Max(d.logP[i], -1e4)))
		if width := high[i] - low[i]; width < 1 { // around p = y the divergence has a minimum
			off += width * width * math.Exp((2-t1)*d.logP[i])
		}
		if y > 0 {
			off += eps * y * (own*(1+math.Abs(LogT(y, t1))+math.Abs(logTOfLog(d.logP[i], t1))) + 2*math.Exp((1-t1)*d.logP[i])*math.Abs(math.Max(d.logP[i], -1e4)))
		}
	}
	return math.Min(off, math.MaxFloat64/4)
}

func buildBiTempered(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	logits, smoothing := in["logits"], p.Float("label_smoothing")
	logP := temperedLogits(b, logits, p.Float("t2"), p.Int("num_iters"))
	m := newBregman(b, p)
	if softTargets(p) {
		y := buildSmoothed(b, in["target"], smoothing, logits)
		return ops.Terms{Loss: b.Label(b.ReduceSum(m.terms(y, logP), false, 1), "divergence")}
	}
	t := buildIndexTarget(b, logits, in["target"], p)
	if smoothing > 0 {
		y := buildSmoothed(b, buildOneHot(b, t, logits), smoothing, logits)
		loss := b.ReduceSum(m.terms(y, logP), false, 1)
		return ops.Terms{Loss: b.Label(b.Mul(loss, t.keep), "divergence"), Weight: t.keep}
	}
	loss := b.Neg(b.LogTOfLog(t.take(b, logP), m.t1))
	if !m.summed {
		// (1 - Σ p^(2-t1))/(2-t1); with t1 = 1 and exact probabilities that is 0
		powers := b.ReduceSum(m.power(logP), false, 1)
		loss = b.Add(loss, b.Sub(powers, b.Scalar(powers, 1/(2-m.t1))))
	}
	ignored := b.Equal(t.keep, b.Scalar(t.keep, 0))
	return ops.Terms{Loss: b.Label(b.Where(ignored, b.Scalar(loss, 0), loss), "divergence"), Weight: t.keep}
}
