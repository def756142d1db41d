package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

const temperedAccuracy = `what follows for a probability exp_t(-x) from an error of x of eps · [4 x + 3/|1-t| · (1 + (t-1) x for t > 1)] and
that of the normalization, which is the average of those under p^t, and from the rounding of log p, eps · (4 |log p| + 2), and of sums, eps · C/2. For |1-t| < 1/8 the term with 1/|1-t| is
absent, as the rounding of 1 + (t-1) x is made good. Published iterations hand their rounding on from step to step, and a bisection may decide otherwise where a sum is 1 but for rounding`

// interval gives how far a lowering's log-probabilities may be off, down and up.
// They are exp_t(-x) with x the distance of a logit from the normalization.
func (d tempered) interval(gaps []float64, steps int64, eps float64) (low, high []float64) {
	count := float64(len(gaps))
	blur := func(x float64) float64 { // of x by its own rounding
		if math.Abs(1-d.t) < ops.NearlyOne {
			return 4 * eps * x
		}
		return eps * (4*x + 3*(1+math.Max(0, d.t-1)*x)/math.Abs(1-d.t))
	}
	// Σ p is off by its terms' rounding and its own, and then the normalization by
	// that over Σ p^t, which is how Σ p depends on it.
	shift, sum, slope := 0.0, eps*(8+count/2), 0.0
	for i, q := range d.escort() {
		if d.clipped(i) {
			continue
		}
		shift += q * blur(gaps[i]+d.lambda)
		sum += d.p[i] * eps * (2 - 4*d.logP[i])
		slope += d.slope(i)
	}
	shift += sum/slope + blur(d.lambda)
	switch {
	case steps > 0 && d.t > 1:
		// a step hands on 1 - slope/p^(t-1) of an error, with the top class's p
		kept := slope * math.Exp((d.t-1)*math.Log1p((d.t-1)*d.lambda)/(d.t-1))
		shift *= math.Min(float64(steps+1), 2/kept)
	case steps > 0:
		shift += undecided(gaps, d.t, steps, shift*slope)
	}
	low, high = make([]float64, len(gaps)), make([]float64, len(gaps))
	for i, gap := range gaps {
		x := gap + d.lambda
		off := blur(x) + shift
		low[i] = widened(logExpT(-x-off, d.t), -eps)
		high[i] = widened(logExpT(off-x, d.t), eps)
	}
	return low, high
}

// widened moves a log-probability by its rounding.
func widened(logP, eps float64) float64 {
	if math.IsInf(logP, 0) {
		return logP
	}
	return logP + eps*(2+4*math.Abs(logP))
}

// undecided is how far the end of the published bisection moves where a sum is so
// close to 1, or a class so close to having no probability, that rounding decides.
func undecided(gaps []float64, t float64, steps int64, tolerance float64) float64 {
	edge := 0.0
	for _, gap := range gaps {
		if math.Abs(gap*(1-t)-1) < tolerance {
			edge = 1 / (1 - t)
		}
	}
	bisection(gaps, t, steps, func(width, sum float64) {
		if math.Abs(sum-1) < tolerance {
			edge += width
		}
	})
	return edge
}

func gapsOf(logits []float64) []float64 {
	highest := math.Inf(-1)
	for _, x := range logits {
		highest = math.Max(highest, x)
	}
	gaps := make([]float64, len(logits))
	for i, x := range logits {
		gaps[i] = highest - x
	}
	return gaps
}

func temperedSoftmaxBound(in Values, p Params, eps float64) (Array, error) {
	logits := in["logits"]
	c := classesOf(logits)
	bound := Zeros(logits.Shape)
	for i := range c.positions() {
		x := logitsAt(logits, c, i)
		for k, off := range temperedOf(x, p.Float("t"), p.Int("num_iters")).probabilityErrors(gapsOf(x), p, eps) {
			bound.Data[c.index(i, k)] = off
		}
	}
	return bound, nil
}

// probabilityErrors is how far probabilities may be off.
func (d tempered) probabilityErrors(gaps []float64, p Params, eps float64) []float64 {
	low, high := d.interval(gaps, p.Int("num_iters"), eps)
	off := make([]float64, len(gaps))
	for i, p := range d.p {
		off[i] = math.Max(math.Exp(high[i])-p, p-math.Exp(low[i])) + 2*eps*p
	}
	return off
}
