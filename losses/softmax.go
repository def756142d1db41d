package losses

import "math"

// distribution is the softmax at one position, each part with a small relative
// error of its own.
type distribution struct {
	logP []float64
	p    []float64
	miss []float64 // 1 - p, as the sum of the other classes
}

// softmaxAt computes the distribution over the classes at a position.
func softmaxAt(logits Array, c classes, position int) distribution {
	d := distribution{make([]float64, c.count), make([]float64, c.count), make([]float64, c.count)}
	top := 0
	for k := range c.count {
		if logits.Data[c.index(position, k)] > logits.Data[c.index(position, top)] {
			top = k
		}
	}
	highest := logits.Data[c.index(position, top)]
	rest := 0.0 // Σ e^(x - highest) over all classes but the top one
	for k := range c.count {
		d.p[k] = math.Exp(logits.Data[c.index(position, k)] - highest)
		if k != top {
			rest += d.p[k]
		}
	}
	for k := range c.count {
		d.logP[k] = logits.Data[c.index(position, k)] - highest - math.Log1p(rest)
		d.p[k] /= 1 + rest
	}
	d.miss = sumOfOthers(d.p)
	return d
}

// sumOfOthers gives for each number the sum of all the others, without
// subtracting.
func sumOfOthers(numbers []float64) []float64 {
	others := make([]float64, len(numbers))
	before := 0.0
	for i, x := range numbers {
		others[i] = before
		before += x
	}
	after := 0.0
	for i := len(numbers) - 1; i >= 0; i-- {
		others[i] += after
		after += numbers[i]
	}
	return others
}

// logitSpread is the largest distance of a logit from the highest at a position:
// the magnitude that rounding log p is relative to.
func logitSpread(logits Array, c classes, position int) float64 {
	lowest, highest := math.Inf(1), math.Inf(-1)
	for k := range c.count {
		x := logits.Data[c.index(position, k)]
		lowest, highest = math.Min(lowest, x), math.Max(highest, x)
	}
	return highest - lowest
}
