package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// SoftmaxCrossEntropy is cross-entropy over mutually exclusive classes.
var SoftmaxCrossEntropy = &Loss{
	Name:    "SoftmaxCrossEntropyLoss",
	Summary: "cross-entropy over mutually exclusive classes, on logits",
	Formula: `log p_c = x_c - log Σ_k e^(x_k), s = label_smoothing
class index t: loss = -(1 - s) weight_t log p_t - s/C Σ_c weight_c log p_c
soft target y: loss = -Σ_c weight_c [(1 - s) y_c + s/C] log p_c`,
	Meaning: `The negative log-likelihood of the right class in nats: 0 for a certain and
right prediction, log C for a uniform one. With class-index targets a mean divides by the sum
of the weights of the targets, ignored ones left out (NaN if all are); with soft targets by
the number of positions.`,
	Paper:   "PyTorch, CrossEntropyLoss (definition of weight, ignore_index, smoothing and mean); label smoothing: Szegedy et al. 2016, arXiv:1512.00567",
	Inputs:  classInputs(),
	Declare: []Param{softTargetsParam(), ignoreIndexParam(), {Name: "label_smoothing", Kind: Float, Default: 0.0, Min: 0, Max: 1, Try: []any{0.1}, Doc: "the share of the target that is spread evenly over the classes"}},
	Check:   checkIgnoreIndex,
	Figure: &Figure{
		X: "logit of the right class of two, the other's being 0", From: -5, To: 5,
		Curves: over(rightClass, "label_smoothing", 0.0, 0.1, 0.3),
	},
	Value:    softmaxCrossEntropyValue,
	Gradient: softmaxCrossEntropyGradient,
	Build:    buildSoftmaxCrossEntropy,
	Bound:    softmaxCrossEntropyBound,
	Accuracy: "eps · Σ weight · share · (3 · spread of the logits + 2 log C + 8): log p is a difference of numbers of that size, and it is multiplied by weight and share and added up",
}

// classShares fills coefficient with what -log p_c is multiplied by at a position.
func classShares(share, weight []float64, smoothing float64) {
	for k := range share {
		share[k] = weight[k] * ((1-smoothing)*share[k] + smoothing/float64(len(share)))
	}
}

func softmaxCrossEntropyValue(in Values, p Params) (Terms, error) {
	logits := in["logits"]
	c := classesOf(logits)
	target, weight := labelsOf(in, p, c), classWeights(in, c.count)
	loss := Zeros(withoutClasses(logits.Shape))
	divisor := Zeros(loss.Shape)
	share := make([]float64, c.count)
	for i := range c.positions() {
		label, counts := target.at(i, share)
		if !counts {
			continue
		}
		divisor.Data[i] = 1
		if !target.soft {
			divisor.Data[i] = weight[label]
		}
		classShares(share, weight, p.Float("label_smoothing"))
		loss.Data[i] = dotLogP(softmaxAt(logits, c, i), share)
	}
	return Terms{Loss: loss, Weight: &divisor}, nil
}

// dotLogP is -Σ share_c log p_c; a class without a share counts for nothing even
// where its logit is -Inf.
func dotLogP(d distribution, share []float64) float64 {
	total := 0.0
	for k, s := range share {
		if s != 0 {
			total -= s * d.logP[k]
		}
	}
	return total
}

func softmaxCrossEntropyGradient(in Values, p Params, upstream Array) (Values, error) {
	logits := in["logits"]
	c := classesOf(logits)
	target, weight := labelsOf(in, p, c), classWeights(in, c.count)
	smoothing := p.Float("label_smoothing")
	dx, dy := Zeros(logits.Shape), Zeros(logits.Shape)
	share := make([]float64, c.count)
	for i := range c.positions() {
		if _, counts := target.at(i, share); !counts {
			continue
		}
		classShares(share, weight, smoothing)
		others := sumOfOthers(share)
		d := softmaxAt(logits, c, i)
		for k := range share {
			// p Σ share - share, with the class's own share taken out of both
			dx.Data[c.index(i, k)] = upstream.Data[i] * (d.p[k]*others[k] - share[k]*d.miss[k])
			dy.Data[c.index(i, k)] = -upstream.Data[i] * (1 - smoothing) * weight[k] * d.logP[k]
		}
	}
	if target.soft {
		return Values{"logits": dx, "target": dy}, nil
	}
	return Values{"logits": dx}, nil
}

func softmaxCrossEntropyBound(in Values, p Params, eps float64) (Array, error) {
	logits := in["logits"]
	c := classesOf(logits)
	target, weight := labelsOf(in, p, c), classWeights(in, c.count)
	bound := Zeros(withoutClasses(logits.Shape))
	share := make([]float64, c.count)
	for i := range c.positions() {
		if _, counts := target.at(i, share); !counts {
			continue
		}
		classShares(share, weight, p.Float("label_smoothing"))
		size := 3*logitSpread(logits, c, i) + 2*math.Log(float64(c.count)) + 8
		for _, s := range share {
			bound.Data[i] += eps * math.Abs(s) * size
		}
	}
	return bound, nil
}

func buildSoftmaxCrossEntropy(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	logits, weight := in["logits"], in["weight"]
	logP := b.Label(b.LogSoftmax(logits, 1), "log_p")
	if softTargets(p) {
		return ops.Terms{Loss: buildSoftCrossEntropy(b, logP, in["target"], weight, p.Float("label_smoothing"))}
	}
	t := buildIndexTarget(b, logits, in["target"], p)
	counts := t.keep
	if weight.Present() {
		counts = b.Label(b.Mul(counts, b.Gather(weight, t.index, 0)), "weight_of_target")
	}
	loss := b.Label(b.Neg(b.Mul(t.take(b, logP), counts)), "nll")
	if s := p.Float("label_smoothing"); s > 0 {
		loss = b.Add(b.Mul(loss, b.Scalar(loss, 1-s)), b.Mul(buildSmoothing(b, logP, weight, s), t.keep))
	}
	return ops.Terms{Loss: loss, Weight: counts}
}

// buildSmoothing is -s/C Σ_c weight_c log p_c, the mean over the classes times -s.
func buildSmoothing(b *ops.Builder, logP, weight ops.Value, s float64) ops.Value {
	weighted := logP
	if weight.Present() {
		weighted = b.Mul(logP, b.AlongAxis1(weight, logP))
	}
	mean := b.ReduceMean(weighted, false, 1)
	return b.Label(b.Mul(mean, b.Scalar(mean, -s)), "smoothing")
}

func buildSoftCrossEntropy(b *ops.Builder, logP, target, weight ops.Value, s float64) ops.Value {
	if weight.Present() {
		target = b.Mul(target, b.AlongAxis1(weight, target))
	}
	loss := b.Neg(b.ReduceSum(b.Mul(target, logP), false, 1))
	if s > 0 {
		loss = b.Add(b.Mul(loss, b.Scalar(loss, 1-s)), buildSmoothing(b, logP, weight, s))
	}
	return loss
}
