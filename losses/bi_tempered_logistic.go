package losses

import (
	"math"
	"slices"

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
an outlier with a wrong label cannot dominate. t1 > 1 does the opposite: the loss is steeper than a
logarithm, grows as p^(1-t1), which an element type may not hold for a very unlikely class, and is
infinite at p = 0 with a label, as it is for t1 = 1. Every class without a label costs p^(2-t1)/(2-t1),
so that towards t1 = 2 the loss no longer depends on how unlikely those are; from there on it is
infinite at every label of 0. t2 > 1 gives the probabilities a heavy tail, so that
wrong labels near the decision boundary cost less. At t1 = t2 = 1 it is cross-entropy minus the
entropy of the labels, which is 0 for hard ones; some public code does not subtract it. For
inference take tempered-softmax or tempered-sigmoid with the same t2.

For t2 < 1 probabilities may be exactly 0: their logits have gradient 0, and with t1 >= 1 the loss
is infinite where such a class has a label. For t2 < t1 the gradient grows without bound just before
that. By soft targets it is infinite for t1 >= 1 at a label of 0. With num_iters above 0 it is the
published one, which takes the normalization for converged.`

func bitemperedParams() []Param {
	return []Param{
		{Name: "t1", Kind: Float, Default: 0.8, Min: 0, Max: 2, OpenMax: true, Try: []any{0.5, 0.0, 0.9999, 1.0, 1.0001, 1.5, 1.9}, Doc: "how bounded the loss is: 1 is a logarithm, below 1 it stays finite, above 1 it is steeper than a logarithm"},
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

// sharesOf is what a class keeps of its label, and what another gets of it.
func sharesOf(smoothing float64, count int) (kept, share float64) {
	others := float64(count - 1)
	return 1 - smoothing*math.Min(1, others), smoothing / math.Max(1, others)
}

// smoothed spreads label_smoothing over the classes; a single class has no others.
func smoothed(y []float64, smoothing float64) []float64 {
	kept, share := sharesOf(smoothing, len(y))
	s := make([]float64, len(y))
	for i, y := range y {
		s[i] = y
		if smoothing > 0 {
			s[i] = kept*y + share*(1-y)
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
// negative but for rounding. The powers are a difference of log_(t-1), which does not
// cancel for t near 2.
func divergenceTerm(y, logP, t float64) float64 {
	if y == 0 {
		return math.Exp((2-t)*logP) / (2 - t)
	}
	return math.Max(0, y*(LogT(y, t)-logTOfLog(logP, t))-(LogT(y, t-1)-logTOfLog(logP, t-1)))
}

// gradient gives the derivative of the divergence by the logits and by the labels.
func (d tempered) gradient(y []float64, t1 float64) (byLogit, byLabel []float64) {
	byLabel = make([]float64, len(y))
	logs := d.slopeLogs(y, t1)
	slope := make([]float64, len(y))
	for i, y := range y {
		byLabel[i] = slopeByLabel(y, d.logP[i], t1)
		slope[i] = math.Copysign(math.Exp(logs[i]), d.p[i]-y)
	}
	if largest := slices.Max(logs); largest > steep {
		return d.steepGradient(y, logs, largest), byLabel
	}
	return throughNormalization(slope, d.escort()), byLabel
}

// slopeLogs is the logarithm of |p - y| p^(t2-t1), the derivative of the divergence by
// x - λ. For t1 > t2 that power of an unlikely class may be beyond any number where
// the product is not. Where a probability is 0 nothing moves with the logit.
func (d tempered) slopeLogs(y []float64, t1 float64) []float64 {
	logs := make([]float64, len(y))
	misses := sumOfOthers(d.p)
	for i, y := range y {
		excess := math.Log(math.Abs(d.p[i] - y))
		switch {
		case d.clipped(i):
			logs[i] = math.Inf(-1)
			continue
		case y == 0: // p itself may be too small for a float64
			excess = d.logP[i]
		case y == 1 && d.exact: // without cancellation
			excess = math.Log(misses[i])
		}
		logs[i] = excess + (d.t-t1)*d.logP[i]
	}
	return logs
}

// steep is the logarithm of a slope from which on its product with a probability that
// is too small for a float64 counts.
const steep = 50

// steepGradient is throughNormalization for slopes that may be beyond any number,
// each class by the logarithms of its two terms.
func (d tempered) steepGradient(y, logs []float64, largest float64) []float64 {
	scaled := make([]float64, len(y))
	total := 0.0
	for i, y := range y {
		scaled[i] = math.Copysign(math.Exp(logs[i]-largest), d.p[i]-y)
		total += d.slope(i)
	}
	slopes, escorts := sumOfOthers(scaled), sumOfOthers(d.escort())
	by := make([]float64, len(y))
	for i, y := range y {
		if d.clipped(i) {
			continue
		}
		own := logs[i] + math.Log(escorts[i])
		rest := d.t*d.logP[i] - math.Log(total) + math.Log(math.Abs(slopes[i])) + largest
		top := math.Max(own, rest)
		share := math.Copysign(math.Exp(own-top), d.p[i]-y) - math.Copysign(math.Exp(rest-top), slopes[i])
		by[i] = timesUnlessZero(share*math.Exp(top/2), math.Exp(top/2))
	}
	return by
}

// slopeByLabel is log_t y - log_t p. Where both are infinite, that of y is for p > 0,
// and is not approached for p = 0, where a label makes the loss infinite.
func slopeByLabel(y, logP, t float64) float64 {
	label, own := LogT(y, t), logTOfLog(logP, t)
	if math.IsInf(label, -1) && math.IsInf(own, -1) {
		return math.Inf(1) * math.Copysign(1, -math.MaxFloat64-logP)
	}
	return label - own
}

// timesUnlessZero is the product in which 0 times infinity is 0.
func timesUnlessZero(x, factor float64) float64 {
	if x == 0 || factor == 0 {
		return 0
	}
	return x * factor
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
	kept, share := sharesOf(p.Float("label_smoothing"), c.count)
	eachBiTempered(in, p, func(i int, x, y []float64) {
		d := temperedOf(x, p.Float("t2"), p.Int("num_iters"))
		byLogit, byLabel := d.gradient(y, p.Float("t1"))
		for k, by := range byLogit {
			dx.Data[c.index(i, k)] = timesUnlessZero(upstream.Data[i], by)
			dy.Data[c.index(i, k)] = timesUnlessZero(upstream.Data[i]*(kept-share), byLabel[k])
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
eps · [c y (1/(2-t1) + |log_t1 y|/(2-t1) + |log_t1 p|) + 2 y p^(1-t1) |log p| + 2 y^(2-t1) |log y|/(2-t1) + (c/(2-t1) + 2 |log p|) p^(2-t1)] with c = 8 + 2 log C. Terms of different signs cancel where p is near y: that error is absolute`

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
		logP := math.Max(d.logP[i], -1e4) // 0 log 0 is 0
		off += eps * math.Exp((2-t1)*d.logP[i]) * (own/(2-t1) + 2*math.Abs(logP))
		if width := high[i] - low[i]; width < 1 { // around p = y the divergence has a minimum
			off += width * width * math.Exp((2-t1)*d.logP[i])
		}
		if y > 0 {
			off += eps * y * (own*math.Abs(logTOfLog(d.logP[i], t1)) + 2*math.Exp((1-t1)*d.logP[i])*math.Abs(logP))
			off += eps * y * (own*(1+math.Abs(LogT(y, t1))) + 2*math.Pow(y, 1-t1)*math.Abs(math.Log(y))) / (2 - t1)
		}
	}
	if !(off < math.MaxFloat64/4) { // it is no number where the loss is infinite
		return math.MaxFloat64 / 4
	}
	return off
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
		return m.kept(b.ReduceSum(m.terms(y, logP), false, 1), t)
	}
	loss := b.Neg(b.LogTOfLog(t.take(b, logP), m.t1))
	if !m.summed {
		// (1 - Σ p^(2-t1))/(2-t1); with t1 = 1 and exact probabilities that is 0
		powers := b.ReduceSum(m.power(logP), false, 1)
		loss = b.Add(loss, b.Sub(powers, b.Scalar(powers, 1/(2-m.t1))))
	}
	return m.kept(loss, t)
}
