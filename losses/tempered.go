package losses

import (
	"fmt"
	"math"
	"slices"
)

// LogT is the tempered logarithm (u^(1-t) - 1)/(1-t) of u >= 0, log u at t = 1: the
// inverse of ExpT. It is accurate for t near 1 and for u near 1.
func LogT(u, t float64) float64 { return logTOfLog(math.Log(u), t) }

// logTOfLog is LogT(e^x, t).
func logTOfLog(x, t float64) float64 {
	if t == 1 {
		return x
	}
	return math.Expm1((1-t)*x) / (1 - t)
}

// ExpT is the tempered exponential max(0, 1 + (1-t) u)^(1/(1-t)), e^u at t = 1. For
// t < 1 it is 0 up to -1/(1-t); for t > 1 it falls off as a power, and is infinite
// from 1/(t-1) on.
func ExpT(u, t float64) float64 { return math.Exp(logExpT(u, t)) }

// logExpT is log ExpT(u, t), -Inf where that is 0.
func logExpT(u, t float64) float64 {
	if t == 1 {
		return u
	}
	return math.Log1p(math.Max(-1, (1-t)*u)) / (1 - t)
}

// tempered is a tempered softmax at one position.
type tempered struct {
	t     float64
	exact bool // Σ p is 1, as it is not after a published iteration
	logP  []float64
	p     []float64
	// lambda is by how much the normalization is above the highest logit.
	lambda float64
}

// temperedOf normalizes logits: exactly or, with steps above 0, by that many steps
// of the published iteration.
func temperedOf(logits []float64, t float64, steps int64) tempered {
	gaps := gapsOf(logits)
	d := tempered{t: t, exact: steps == 0, logP: make([]float64, len(logits)), p: make([]float64, len(logits))}
	if steps > 0 && t < 1 {
		d.lambda = bisected(gaps, t, steps)
		d.fill(func(i int) float64 { return logExpT(-gaps[i]-d.lambda, t) })
		return d
	}
	top := 0.0
	if steps > 0 {
		top = iteratedTop(gaps, t, steps)
	} else {
		top = exactTop(gaps, t)
	}
	d.lambda = -logTOfLog(top, t)
	shrink := gapScale(top, t)
	d.fill(func(i int) float64 { return top + logExpT(-gaps[i]*shrink, t) })
	return d
}

func (d tempered) fill(logP func(i int) float64) {
	for i := range d.logP {
		d.logP[i] = logP(i)
		d.p[i] = math.Exp(d.logP[i])
	}
}

// gapScale is what the gap between the highest logit, with the log-probability top,
// and another is multiplied by for the ratio of their probabilities: exp_t(x - λ)
// over exp_t(-λ) is exp_t(x exp_t(-λ)^(t-1)).
func gapScale(top, t float64) float64 { return math.Exp((t - 1) * top) }

// exactTop is the log-probability of the highest logit, which lies between 1/n and
// 1, by Newton's method in a bracket that is halved where a step leaves it.
func exactTop(gaps []float64, t float64) float64 {
	low, high := -math.Log(float64(len(gaps)))-1e-14, 0.0
	top := high
	for range 100 {
		others, slope := ratiosOfOthers(gaps, gapScale(top, t), t)
		// Newton's method for log Σ p as a function of the log-probability
		excess := top + math.Log1p(others)
		step := excess * (1 + others) / (1 + slope)
		if math.Abs(step) <= 1e-14*math.Abs(top) {
			return top - step
		}
		if excess >= 0 {
			high = top
		} else {
			low = top
		}
		top -= step
		if !(top > low && top < high) {
			top = low + (high-low)/2
		}
	}
	return top
}

// ratiosOfOthers sums the probabilities of all classes but the highest over its own,
// and their p^t over its own.
func ratiosOfOthers(gaps []float64, shrink, t float64) (ratios, slopes float64) {
	highest := slices.Index(gaps, 0)
	for i, gap := range gaps {
		base := 1 + (t-1)*gap*shrink
		if i == highest || base <= 0 {
			continue
		}
		ratio := ExpT(-gap*shrink, t)
		ratios += ratio
		slopes += ratio / base
	}
	return ratios, slopes
}

// iteratedTop is the published fixed point for t >= 1: the logits are scaled by the
// (1-t)-th power of the sum that they gave before.
func iteratedTop(gaps []float64, t float64, steps int64) float64 {
	top := 0.0
	for range steps + 1 {
		others, _ := ratiosOfOthers(gaps, gapScale(top, t), t)
		top = -math.Log1p(others)
	}
	return top
}

// bisected is where the published bisection for t < 1 ends.
func bisected(gaps []float64, t float64, steps int64) float64 {
	low, high := bisection(gaps, t, steps, func(_, _ float64) {})
	return (low + high) / 2
}

// bisection starts from the bracket for all classes that can have a probability at
// all. It hands each step the width of its bracket and the sum in the middle.
func bisection(gaps []float64, t float64, steps int64, at func(width, sum float64)) (low, high float64) {
	count := 0.0
	for _, gap := range gaps {
		if gap < 1/(1-t) {
			count++
		}
	}
	low, high = 0.0, -LogT(1/count, t)
	for range steps {
		middle := (low + high) / 2
		sum := 0.0
		for _, gap := range gaps {
			sum += ExpT(-gap-middle, t)
		}
		at(high-low, sum)
		if sum < 1 {
			high = middle
		} else {
			low = middle
		}
	}
	return low, high
}

// clipped says that a probability is 0 and stays so when its logit moves a little, as
// it may for t < 1; one that is merely too small for a float64 is not.
func (d tempered) clipped(i int) bool { return math.IsInf(d.logP[i], -1) }

// slope is p^t, the derivative of a probability by x - λ.
func (d tempered) slope(i int) float64 {
	if d.clipped(i) {
		return 0
	}
	return math.Exp(d.t * d.logP[i])
}

// escort is p^t over its sum: how the normalization moves with the logits.
func (d tempered) escort() []float64 {
	q := make([]float64, len(d.p))
	total := 0.0
	for i := range d.p {
		q[i] = d.slope(i)
		total += q[i]
	}
	for i := range q {
		q[i] /= total
	}
	return q
}

// throughNormalization turns derivatives by x - λ into derivatives by the logits.
func throughNormalization(slope, escort []float64) []float64 {
	slopes, escorts := sumOfOthers(slope), sumOfOthers(escort)
	by := make([]float64, len(slope))
	for i := range by {
		// slope - q Σ slope, with the class's own slope taken out of both
		by[i] = slope[i]*escorts[i] - escort[i]*slopes[i]
	}
	return by
}

// around linearizes the normalization at logits, which is all that the published
// gradient knows of it: the distribution as a function of other logits.
func (d tempered) around(logits []float64) func([]float64) tempered {
	highest := math.Inf(-1)
	for _, x := range logits {
		highest = math.Max(highest, x)
	}
	escort := d.escort()
	return func(at []float64) tempered {
		lambda := d.lambda
		for i := range at {
			lambda += escort[i] * (at[i] - logits[i])
		}
		moved := tempered{t: d.t, logP: make([]float64, len(at)), p: make([]float64, len(at)), lambda: lambda}
		moved.fill(func(i int) float64 { return logExpT(at[i]-highest-lambda, d.t) })
		return moved
	}
}

func temperatureParam(name, doc string) Param {
	return Param{
		Name: name, Kind: Float, Default: 1.2, Min: 0, Max: 10,
		Try: []any{2.0, 0.0, 0.5, 0.8, 0.99999, 1.0, 1.000001, 1.05, 4.0}, Doc: doc,
	}
}

func numItersParam() Param {
	return Param{
		Name: "num_iters", Kind: Int, Default: int64(0), Min: 0, Max: mostIters, Try: []any{int64(2)},
		Doc: "0 normalizes exactly; a number above 0 is that many steps of the published iteration, for results as those of public code (its default is 5)",
	}
}

// mostIters keeps an unrolled iteration to a graph of reasonable size.
const mostIters = 200

// checkIters refuses a number of steps where nothing is iterated.
func checkIters(temperature string) func(Params) error {
	return func(p Params) error {
		if p.Int("num_iters") > 0 && p.Float(temperature) == 1 {
			return fmt.Errorf("num_iters goes with a %s other than 1, where nothing is iterated; leave it out", temperature)
		}
		return nil
	}
}
