package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// IoUBalancedSoftmax is softmax cross-entropy with positives weighed by their IoU.
var IoUBalancedSoftmax = &Loss{
	Name:    "IoUBalancedSoftmaxLoss",
	Summary: "softmax cross-entropy of a detector in which well localised positives count for more",
	Formula: `CE_i = -log softmax(logits_i)_target; positives have a target other than background
N = Σ_positives CE_i / (Σ_positives IoU_i^η CE_i + epsilon)
w_i = IoU_i^η N for positives, 1 for negatives, not differentiated
loss_i = weight_i w_i CE_i`,
	Meaning: `Cross-entropy in nats, moved among the positives of the batch towards those whose
predicted box fits: their sum stays what it was, so that positives and negatives keep their
balance, and η = 0 is plain cross-entropy. N goes over the whole batch, so that a sample's loss
depends on the others. The weights are constants to the gradient, and none goes to the boxes.
Where the positives' IoU, or the CE of all that overlap, is 0 everywhere, their weights are 1.
With weight N counts weighted losses. A mean divides by the number of samples whose weight is
above 0 and that are not ignored. Give the IoU, or the boxes it is computed from.`,
	Paper:  "Wu, Yang, Wang, Li: IoU-balanced Loss Functions for Single-stage Object Detection, 2019, arXiv:1908.05641",
	Inputs: balancedSoftmaxInputs(),
	Declare: append([]Param{
		etaParam(),
		iouSourceParam(),
		{Name: "background", Kind: Int, Default: int64(0), Try: []any{int64(-1)}, Doc: "the label of negatives; a number that is no class, such as -1, where there is no class for background"},
		ignoreIndexParam(),
		classAxisParam(),
	}, normalizerParams()...),
	Coupled:  balanceCouples,
	Value:    balancedSoftmaxValue,
	Gradient: balancedSoftmaxGradient,
	Frozen:   frozenBalancedSoftmax,
	Build:    buildBalancedSoftmax,
	Bound:    balancedSoftmaxBound,
	Accuracy: "that of cross-entropy, eps · (3 · spread of the logits + 2 log C + 8), times the weight, and for positives what N inherits of it and of the IoU; N is badly conditioned where positives that overlap are predicted right to within rounding, but a term is never more than the sum of the positives",
	Figure: &Figure{
		X: "IoU; weight of a positive beside one of the same cross-entropy and IoU 0.5", From: 0, To: 1,
		Curves: over(positiveOfIoU, "eta", 0.0, 0.5, 1.0, 1.5),
	},
}

// positiveOfIoU is a curve over the IoU of a positive of cross-entropy 1, beside one
// of the same that has the weight 0.
func positiveOfIoU(label string, settings map[string]any) Curve {
	settings["weighted_normalizer"] = false
	return Curve{Label: label, Settings: settings, At: func(iou float64) Values {
		high := math.Log(math.E - 1)
		return Values{
			"logits": {Shape: []int{2, 2}, Data: []float64{high, 0, high, 0}},
			"target": {Shape: []int{2}, Data: []float64{1, 1}},
			"iou":    {Shape: []int{2}, Data: []float64{0.5, iou}},
			"weight": {Shape: []int{2}, Data: []float64{0, 1}},
		}
	}}
}

func balancedSoftmaxInputs() []Input {
	inputs := []Input{
		{Name: "logits", Role: Prediction, Domain: Logit, Shape: "N,C,...", When: classesFirst, Doc: "one logit a class, classes on axis 1"},
		{Name: "logits", Role: Prediction, Domain: Logit, Shape: "N,...,C", When: classesLast, Doc: "one logit a class, classes on the last axis"},
		{Name: "target", Role: Target, Domain: ClassIndex, Shape: "N,...", Doc: "the index of the right class of each sample, background for negatives"},
	}
	return append(append(inputs, iouInputs("N,...")...), Input{
		Name: "weight", Role: Weight, Domain: NonNegative, Shape: "N,...", Optional: true, Doc: "a factor for each sample",
	})
}

// labelled is the samples of a batch, one for each position.
type labelled struct {
	c        classes
	label    []int // -1 where ignored
	positive []bool
	at       []distribution
	weight   Array // 0 where ignored
}

func labelledOf(in Values, p Params) labelled {
	logits, target := in["logits"], in["target"]
	s := labelled{c: classesAlong(logits, p), weight: Zeros(target.Shape)}
	weight := optional(in, "weight", target.Shape)
	for i, label := range target.Data {
		s.at = append(s.at, softmaxAt(logits, s.c, i))
		if label == float64(p.Int("ignore_index")) {
			s.label, s.positive = append(s.label, -1), append(s.positive, false)
			continue
		}
		s.label = append(s.label, int(label))
		s.positive = append(s.positive, label != float64(p.Int("background")))
		s.weight.Data[i] = weight.Data[i]
	}
	return s
}

// crossEntropy of a sample, 0 where it is ignored.
func (s labelled) crossEntropy(i int) float64 {
	if s.label[i] < 0 {
		return 0
	}
	return -s.at[i].logP[s.label[i]]
}

// weights is w_i.
func (s labelled) weights(in Values, p Params) []float64 {
	positives := make([]float64, len(s.label))
	for i, positive := range s.positive {
		if positive {
			positives[i] = s.crossEntropy(i)
		}
	}
	power := powers(sampleIoU(in, p), p.Float("eta"))
	weights := iouWeights(positives, power, normalizerWeights(s.weight.Data, p), p)
	for i, positive := range s.positive {
		if !positive {
			weights[i] = 1
		}
	}
	return weights
}

func balancedSoftmaxValue(in Values, p Params) (Terms, error) {
	return frozenBalancedSoftmax(in, p)(in)
}

func frozenBalancedSoftmax(in Values, p Params) func(Values) (Terms, error) {
	held := labelledOf(in, p).weights(in, p)
	return func(in Values) (Terms, error) {
		s := labelledOf(in, p)
		loss := Zeros(in["target"].Shape)
		for i := range loss.Data {
			loss.Data[i] = s.weight.Data[i] * held[i] * s.crossEntropy(i)
		}
		return Terms{Loss: loss, Weight: whereAbove0(s.weight)}, nil
	}
}

func balancedSoftmaxGradient(in Values, p Params, upstream Array) (Values, error) {
	s := labelledOf(in, p)
	weights := s.weights(in, p)
	dx := Zeros(in["logits"].Shape)
	for i, label := range s.label {
		scale := upstream.Data[i] * s.weight.Data[i] * weights[i]
		for k, prob := range s.at[i].p {
			slope := prob
			if k == label {
				slope = -s.at[i].miss[k]
			}
			dx.Data[s.c.index(i, k)] = scale * slope
		}
	}
	return Values{"logits": dx}, nil
}

func balancedSoftmaxBound(in Values, p Params, eps float64) (Array, error) {
	s := labelledOf(in, p)
	iou, iouError, eta := sampleIoU(in, p), sampleIoUError(in, p, eps), p.Float("eta")
	bound := Zeros(in["target"].Shape)
	var positives []weighted
	var places []int
	for i := range bound.Data {
		off := eps * (3*logitSpread(in["logits"], s.c, i) + 2*math.Log(float64(s.c.count)) + 8)
		bound.Data[i] = s.weight.Data[i] * off
		if s.positive[i] {
			places = append(places, i)
			positives = append(positives, weighted{
				loss: s.crossEntropy(i), lossError: off, weight: s.weight.Data[i],
				power: math.Pow(iou[i], eta), powerError: powerError(iou[i], iouError[i], eta, eps),
			})
		}
	}
	for k, off := range balancedErrors(positives, p, eps) {
		bound.Data[places[k]] = off
	}
	return bound, nil
}

func buildBalancedSoftmax(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	logits, target, weight := in["logits"], in["target"], in["weight"]
	axis := classAxis(p)
	t := buildIndexTargetAlong(b, logits, target, p, axis)
	logP := b.Label(b.LogSoftmax(logits, axis), "log_p")
	nll := b.Label(b.Neg(b.Mul(t.take(b, logP), t.keep)), "nll")

	negative := b.Equal(target, b.Scalar(target, float64(p.Int("background"))))
	positives := b.Where(negative, b.Scalar(nll, 0), nll)
	power := buildSampleIoU(b, in, p, "eta")
	balance := b.Where(negative, b.Scalar(nll, 1), buildIoUWeights(b, positives, power, weight, p))
	loss := b.Mul(b.Detach(balance, "iou_weight"), nll)
	counts := t.keep
	if weight.Present() {
		loss = b.Mul(loss, weight)
		counts = b.Mul(counts, b.Cast(b.Greater(weight, b.Scalar(weight, 0)), counts.DType()))
	}
	return ops.Terms{Loss: loss, Weight: counts}
}
