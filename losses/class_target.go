package losses

import (
	"fmt"
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

func softTargetsParam() Param {
	return Param{Name: "soft_targets", Kind: Bool, Default: false, Try: []any{true}, Doc: "the target is a distribution over the classes instead of a class index"}
}

func softTargets(p Params) bool { return p.Bool("soft_targets") }
func hardTargets(p Params) bool { return !softTargets(p) }

func ignoreIndexParam() Param {
	return Param{Name: "ignore_index", Kind: Int, Default: int64(defaultIgnoreIndex), Try: []any{int64(0)}, Doc: "positions with this label count for nothing, also not in a mean; for class-index targets"}
}

// defaultIgnoreIndex is the label that is ignored where nothing else is asked for.
const defaultIgnoreIndex = -100

func checkIgnoreIndex(p Params) error {
	if softTargets(p) && p.Int("ignore_index") != defaultIgnoreIndex {
		return fmt.Errorf("ignore_index goes with class-index targets; leave it out with soft_targets")
	}
	return nil
}

// classInputs lists the inputs of a loss over mutually exclusive classes.
func classInputs() []Input {
	return []Input{
		{Name: "logits", Role: Prediction, Domain: Logit, Shape: "N,C,...", Doc: "one logit a class, classes on axis 1"},
		{Name: "target", Role: Target, Domain: ClassIndex, Shape: "N,...", When: hardTargets, Doc: "the index of the right class"},
		{Name: "target", Role: Target, Domain: Distribution, Shape: "N,C,...", When: softTargets, Doc: "the share of each class"},
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
	return labels{soft: softTargets(p), target: in["target"], ignored: float64(p.Int("ignore_index")), c: c}
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
	return b.Pick(perClass, t.index, t.axis)
}

// buildOneHot is 1 at the right class of every position that counts, else 0. A label
// that is no class would be 0 everywhere; it is looked up among the classes first,
// which every engine refuses then.
func buildOneHot(b *ops.Builder, t indexTarget, logits ops.Value) ops.Value {
	numbers := b.Cast(buildClassNumbers(b, logits), t.index.DType())
	right := b.Unsqueeze(b.Gather(numbers, t.index, 0), 1)
	hit := b.Cast(b.Equal(right, b.AlongAxis1(numbers, logits)), logits.DType())
	return b.Label(b.Mul(hit, b.Unsqueeze(t.keep, 1)), "one_hot")
}
