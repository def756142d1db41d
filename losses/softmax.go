package losses

import (
	"fmt"
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

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

func softTargetsParam() Param {
	return Param{Name: "soft_targets", Kind: Bool, Default: false, Try: []any{true}, Doc: "the target is a distribution over the classes instead of a class index"}
}

func ignoreIndexParam() Param {
	return Param{Name: "ignore_index", Kind: Int, Default: int64(defaultIgnoreIndex), Try: []any{int64(0)}, Doc: "positions with this label count for nothing, also not in a mean; for class-index targets"}
}

// defaultIgnoreIndex is the label that is ignored where nothing else is asked for.
const defaultIgnoreIndex = -100

func checkIgnoreIndex(p Params) error {
	if p.Bool("soft_targets") && p.Int("ignore_index") != defaultIgnoreIndex {
		return fmt.Errorf("ignore_index goes with class-index targets; leave it out with soft_targets")
	}
	return nil
}

// classInputs lists the inputs of a loss over mutually exclusive classes.
func classInputs() []Input {
	soft := func(p Params) bool { return p.Bool("soft_targets") }
	hard := func(p Params) bool { return !p.Bool("soft_targets") }
	return []Input{
		{Name: "logits", Role: Prediction, Domain: Real, Shape: "N,C,...", Doc: "one logit a class, classes on axis 1"},
		{Name: "target", Role: Target, Domain: ClassIndex, Shape: "N,...", When: hard, Doc: "the index of the right class; without soft_targets"},
		{Name: "target", Role: Target, Domain: Distribution, Shape: "N,C,...", When: soft, Doc: "the share of each class; with soft_targets"},
		{Name: "weight", Role: Weight, Domain: NonNegative, Shape: "C", Optional: true, Doc: "a factor for each class"},
	}
}

// labels reads the targets of a class loss, of either kind, as shares of classes.
type labels struct {
	soft    bool
	target  Array
	ignored float64
	c       classes
}

func labelsOf(in Values, p Params, c classes) labels {
	return labels{soft: p.Bool("soft_targets"), target: in["target"], ignored: float64(p.Int("ignore_index")), c: c}
}

// at fills share with the class shares at a position. It returns the label, or -1
// for soft targets, and whether the position counts.
func (l labels) at(position int, share []float64) (label int, counts bool) {
	clear(share)
	if l.soft {
		for k := range share {
			share[k] = l.target.Data[l.c.index(position, k)]
		}
		return -1, true
	}
	if l.target.Data[position] == l.ignored {
		return 0, false
	}
	label = int(l.target.Data[position])
	share[label] = 1
	return label, true
}

// classWeights gives the factor of each class.
func classWeights(in Values, count int) []float64 {
	if w, ok := in["weight"]; ok {
		return w.Data
	}
	return Filled([]int{count}, 1).Data
}

// indexTarget is what the lowerings of class losses make of class-index targets.
type indexTarget struct {
	axis  int       // of the classes
	index ops.Value // [N,...], safe to gather with: 0 where ignored
	keep  ops.Value // 1 where the position counts, else 0, as the logits' type
}

// buildIndexTarget prepares labels. An engine gathers with a negative index by
// counting from the end; a negative label that is not ignored is therefore turned
// into one beyond the last class, which every engine refuses.
func buildIndexTarget(b *ops.Builder, logits, target ops.Value, p Params) indexTarget {
	return buildIndexTargetAlong(b, logits, target, p, 1)
}

// buildIndexTargetAlong does so for classes on axis 1 or, for -1, the last one.
func buildIndexTargetAlong(b *ops.Builder, logits, target ops.Value, p Params, axis int) indexTarget {
	ignored := b.Equal(target, b.Scalar(target, float64(p.Int("ignore_index"))))
	index := b.Where(ignored, b.Scalar(target, 0), target)
	end := axis + 1
	if axis < 0 {
		end = math.MaxInt
	}
	count := b.Cast(b.Slice(b.ShapeOf(logits), 0, axis, end), target.DType())
	index = b.Where(b.Less(index, b.Scalar(index, 0)), count, index)
	return indexTarget{
		axis:  axis,
		index: b.Label(index, "class"),
		keep:  b.Label(b.Cast(b.Not(ignored), logits.DType()), "counts"),
	}
}

// take picks, for each position, the entry of the right class.
func (t indexTarget) take(b *ops.Builder, perClass ops.Value) ops.Value {
	return b.Squeeze(b.GatherElements(perClass, b.Unsqueeze(t.index, t.axis), t.axis), t.axis)
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
