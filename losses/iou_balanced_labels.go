package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// balancedLabelsMeaning is what the losses on independent labels have in common.
const balancedLabelsMeaning = `One term for each class of each sample. What positive labels cost is moved
among the positives of the batch towards those whose predicted box fits: its sum stays what it
was, so that positives and negatives keep their balance. N goes over the whole batch, so that a
sample's loss depends on the others. The weights are constants to the gradient, and none goes to
the boxes. Where positives do not overlap their boxes anywhere, their weights are 1. A soft label
y is y of a positive and 1 - y of a negative. With weight N counts weighted losses, and a mean
divides by the number of terms whose weight is above 0. Give the IoU, or the boxes it is
computed from.`

// focus is the factors of the sides of a cross-entropy: of the positive and the
// negative one, and the power of how wrong a prediction is.
type focus struct{ positive, negative, gamma float64 }

func balancedLabelInputs() []Input {
	first := []Input{
		{Name: "logits", Role: Prediction, Domain: Logit, Shape: "N,C,...", Doc: "one logit a class; positive leans to 1"},
		{Name: "target", Role: Target, Domain: Binary, Shape: "N,C,...", Doc: "the labels of each class, all 0 for a negative; numbers between 0 and 1 are soft labels"},
		{Name: "weight", Role: Weight, Domain: NonNegative, Shape: "N,C,...", Broadcast: true, Optional: true, Doc: "a factor for each term; broadcasts"},
	}
	var inputs []Input
	for _, in := range first[:2] {
		inputs = append(inputs, onClassAxis(in)...)
	}
	inputs = append(inputs, iouInputs("N,...")...)
	return append(inputs, onClassAxis(first[2])...)
}

// onClassAxis declares an input for either class axis.
func onClassAxis(in Input) []Input {
	last := in
	in.When, last.When, last.Shape = classesFirst, classesLast, "N,...,C"
	return []Input{in, last}
}

// positiveLabelOfIoU is a curve over the IoU of a positive of cross-entropy 1, beside
// one of the same that has the weight 0.
func positiveLabelOfIoU(label string, settings map[string]any) Curve {
	settings["weighted_normalizer"] = false
	return Curve{Label: label, Settings: settings, At: func(iou float64) Values {
		low := -math.Log(math.E - 1)
		return Values{
			"logits": {Shape: []int{2, 1}, Data: []float64{low, low}},
			"target": {Shape: []int{2, 1}, Data: []float64{1, 1}},
			"iou":    {Shape: []int{2}, Data: []float64{0.5, iou}},
			"weight": {Shape: []int{2, 1}, Data: []float64{0, 1}},
		}
	}}
}

// ofBalancedLabels makes a loss out of what weighs the sides of its cross-entropy.
func ofBalancedLabels(l Loss, focusOf func(Params) focus) *Loss {
	l.Inputs = balancedLabelInputs()
	l.Coupled = balanceCouples
	l.Frozen = func(in Values, p Params) func(Values) (Terms, error) {
		held := labelTermsOf(in, p, focusOf(p)).weights(in, p)
		return func(in Values) (Terms, error) { return labelTermsOf(in, p, focusOf(p)).loss(held), nil }
	}
	l.Value = func(in Values, p Params) (Terms, error) { return l.Frozen(in, p)(in) }
	l.Gradient = func(in Values, p Params, upstream Array) (Values, error) {
		t := labelTermsOf(in, p, focusOf(p))
		return t.gradient(t.weights(in, p), upstream), nil
	}
	l.Bound = func(in Values, p Params, eps float64) (Array, error) {
		return labelTermsOf(in, p, focusOf(p)).bound(in, p, eps), nil
	}
	l.Build = func(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
		return buildBalancedLabels(b, in, p, focusOf(p))
	}
	l.Accuracy = "4 + 3 gamma ULP relative for either side, as in sigmoid-focal, and for the positive one what N inherits of it and of the IoU, and the number of terms in eps for the sums; a positive side is never more than the sum of all"
	return &l
}

// labelTerms is the sides of the cross-entropy of every label.
type labelTerms struct {
	focus
	c          classes
	x, y       Array
	weight     Array
	optionally bool // weights are given
}

func labelTermsOf(in Values, p Params, f focus) labelTerms {
	_, given := in["weight"]
	x := in["logits"]
	return labelTerms{focus: f, c: classesAlong(x, p), x: x, y: in["target"], weight: optional(in, "weight", x.Shape), optionally: given}
}

// positiveCost is what a label costs if it is 1: α (1-p)^γ softplus(-x).
func (t labelTerms) positiveCost(i int) float64 {
	x := t.x.Data[i]
	return t.positive * power(sigmoid(-x), t.gamma) * softplus(-x)
}

// negativeCost is that if it is 0.
func (t labelTerms) negativeCost(i int) float64 {
	x := t.x.Data[i]
	return t.negative * power(sigmoid(x), t.gamma) * softplus(x)
}

// weights is w for every label, those of a sample alike.
func (t labelTerms) weights(in Values, p Params) []float64 {
	sample := powers(sampleIoU(in, p), p.Float("eta"))
	positives, power := make([]float64, len(t.x.Data)), make([]float64, len(t.x.Data))
	for i := range positives {
		positives[i] = t.y.Data[i] * t.positiveCost(i)
		power[i] = sample[t.c.position(i)]
	}
	return iouWeights(positives, power, normalizerWeights(t.weight.Data, p), p)
}

func (t labelTerms) loss(weights []float64) Terms {
	loss := Zeros(t.x.Shape)
	for i, y := range t.y.Data {
		loss.Data[i] = t.weight.Data[i] * (weights[i]*y*t.positiveCost(i) + (1-y)*t.negativeCost(i))
	}
	if !t.optionally {
		return Terms{Loss: loss}
	}
	return Terms{Loss: loss, Weight: whereAbove0(t.weight)}
}

func (t labelTerms) gradient(weights []float64, upstream Array) Values {
	dx, dy := Zeros(t.x.Shape), Zeros(t.x.Shape)
	for i, x := range t.x.Data {
		y, p, q := t.y.Data[i], sigmoid(x), sigmoid(-x)
		scale := upstream.Data[i] * t.weight.Data[i]
		positive := -t.positive * power(q, t.gamma) * (t.gamma*p*softplus(-x) + q)
		negative := t.negative * power(p, t.gamma) * (t.gamma*q*softplus(x) + p)
		dx.Data[i] = scale * (weights[i]*y*positive + (1-y)*negative)
		dy.Data[i] = scale * (weights[i]*t.positiveCost(i) - t.negativeCost(i))
	}
	return Values{"logits": dx, "target": dy}
}

func (t labelTerms) bound(in Values, p Params, eps float64) Array {
	iou, iouError, eta := sampleIoU(in, p), sampleIoUError(in, p, eps), p.Float("eta")
	bound := Zeros(t.x.Shape)
	positives := make([]weighted, len(t.x.Data))
	for i, y := range t.y.Data {
		relative := eps * (4 + 3*t.gamma)
		if float64(float32(t.gamma)) != t.gamma {
			relative += eps * t.gamma * (math.Abs(t.x.Data[i]) + 1) / 2
		}
		at := t.c.position(i)
		loss := y * t.positiveCost(i)
		positives[i] = weighted{
			loss: loss, lossError: relative*loss + 2*smallestNormal(eps), weight: t.weight.Data[i],
			power: math.Pow(iou[at], eta), powerError: powerError(iou[at], iouError[at], eta, eps),
		}
		bound.Data[i] = t.weight.Data[i] * (relative + eps) * (1 - y) * t.negativeCost(i)
	}
	for i, off := range balancedErrors(positives, p, eps) {
		bound.Data[i] += off
	}
	return bound
}

func buildBalancedLabels(b *ops.Builder, in map[string]ops.Value, p Params, f focus) ops.Terms {
	x, y, weight := in["logits"], in["target"], in["weight"]
	positives, negatives := buildSides(b, x, y, f)
	power := b.Unsqueeze(buildSampleIoU(b, in, p, "eta"), classAxis(p))
	balance := b.Detach(buildIoUWeights(b, positives, power, weight, p), "iou_weight")
	loss := b.Add(scale(b, positives, balance), negatives)
	if !weight.Present() {
		return ops.Terms{Loss: loss}
	}
	return ops.Terms{Loss: scale(b, loss, weight), Weight: buildCounts(b, loss, weight)}
}

// buildSides is the positive and the negative side of the cross-entropy.
func buildSides(b *ops.Builder, x, y ops.Value, f focus) (positives, negatives ops.Value) {
	m := buildMargin(b, x, y)
	one := b.Scalar(x, 1)
	positives, negatives = b.Mul(y, m.softplusNegative(b)), b.Mul(b.Sub(one, y), m.softplus(b))
	if f.gamma != 0 {
		p, q := m.probabilities(b)
		positives = b.Mul(b.PowConst(q, f.gamma), positives)
		negatives = b.Mul(b.PowConst(p, f.gamma), negatives)
	}
	if f.positive != 1 || f.negative != 1 {
		positives = b.Mul(positives, b.Scalar(x, f.positive))
		negatives = b.Mul(negatives, b.Scalar(x, f.negative))
	}
	return b.Label(positives, "positive_side"), b.Label(negatives, "negative_side")
}

// buildCounts is 1 for each term of a loss whose weight is above 0, else 0.
func buildCounts(b *ops.Builder, loss, weight ops.Value) ops.Value {
	counts := b.Cast(b.Greater(weight, b.Scalar(weight, 0)), loss.DType())
	return scale(b, onesLike(b, loss), counts)
}
