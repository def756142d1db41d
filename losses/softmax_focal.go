package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// SoftmaxFocal is the focal loss over mutually exclusive classes.
var SoftmaxFocal = &Loss{
	Name:    "SoftmaxFocalLoss",
	Summary: "focal loss over mutually exclusive classes: cross-entropy with easy examples turned down",
	Formula: `p = softmax(x), α_0 = 1 - α and α_c = α for the other classes, y = one-hot(target) or soft target
loss_c = -weight_c α_c y_c (1 - p_c)^γ log p_c
loss = Σ_c loss_c, or with per_class the loss_c by themselves`,
	Meaning: `Cross-entropy in nats, times (1 - p)^γ of the right class, which is near 0 for
examples that are already predicted well. With γ = 0 and alpha left out it is softmax
cross-entropy. A mean divides by what it divides by there: with class-index targets the
weights of the targets, ignored ones left out; with soft targets the number of positions;
with per_class the number of all terms, as public code does. alpha treats class 0 as
background; weight is the general form.`,
	Paper:  "Lin, Goyal, Girshick, He, Dollár: Focal Loss for Dense Object Detection, ICCV 2017, arXiv:1708.02002, in the multi-class form",
	Inputs: classInputs(),
	Declare: []Param{
		alphaParam(-1.0, []any{0.25}, "weight of classes 1 and up, class 0 (background) gets 1 - alpha; -1 leaves it out"),
		{Name: "gamma", Kind: Float, Default: 2.0, Min: 0, Max: math.Inf(1), Try: []any{0.0, 0.5}, Doc: "how strongly easy examples are turned down; 0 is cross-entropy"},
		softTargetsParam(),
		ignoreIndexParam(),
		{Name: "per_class", Kind: Bool, Default: false, Try: []any{true}, Doc: "keep the class axis in the unreduced loss, as kornia and MONAI do"},
	},
	Check: checkIgnoreIndex,
	Figure: &Figure{
		X: "logit of the right class of two, the other's being 0", From: -5, To: 5,
		Curves: over(func(label string, settings map[string]any) Curve {
			settings["alpha"] = -1.0
			return rightClass(label, settings)
		}, "gamma", 0.0, 0.5, 1.0, 2.0, 5.0),
	},
	Value:    softmaxFocalValue,
	Gradient: softmaxFocalGradient,
	Build:    buildSoftmaxFocal,
	Bound:    softmaxFocalBound,
	Accuracy: "weight · α · share · [(1-p)^γ · (δ + 2 eps |log p|) + |log p| · ((1-p+δ)^γ - (1-p)^γ)] with δ = eps · (spread of the logits + 2 log C + 8): 1 - p and log p are differences, so that their errors are absolute, and the product of the factors is rounded as well",
}

// focalFactors is weight_c α_c for every class.
func focalFactors(in Values, p Params, count int) []float64 {
	factors := append([]float64(nil), classWeights(in, count)...)
	foreground, background := alphas(p)
	for k := range factors {
		if k == 0 {
			factors[k] *= background
		} else {
			factors[k] *= foreground
		}
	}
	return factors
}

// perClassTerms runs f over every class of every position that counts and puts
// its result where the loss has that term: by itself, or summed over the classes.
func perClassTerms(in Values, p Params, f func(d distribution, k int, position int) float64) Array {
	logits := in["logits"]
	c := classesOf(logits)
	target, factors := labelsOf(in, p, c), focalFactors(in, p, c.count)
	terms := Zeros(logits.Shape)
	share := make([]float64, c.count)
	for i := range c.positions() {
		if _, counts := target.at(i, share); !counts {
			continue
		}
		d := softmaxAt(logits, c, i)
		for k, s := range share {
			if s != 0 {
				terms.Data[c.index(i, k)] = factors[k] * s * f(d, k, i)
			}
		}
	}
	if p.Bool("per_class") {
		return terms
	}
	return sumClasses(terms, c)
}

func sumClasses(terms Array, c classes) Array {
	total := Zeros(withoutClasses(terms.Shape))
	for i := range c.positions() {
		for k := range c.count {
			total.Data[i] += terms.Data[c.index(i, k)]
		}
	}
	return total
}

func softmaxFocalValue(in Values, p Params) (Terms, error) {
	gamma := p.Float("gamma")
	loss := perClassTerms(in, p, func(d distribution, k, _ int) float64 {
		return -power(d.miss[k], gamma) * d.logP[k]
	})
	if p.Bool("per_class") || softTargets(p) {
		return Terms{Loss: loss}, nil
	}
	divisor := Zeros(loss.Shape)
	weight := classWeights(in, in["logits"].Shape[1])
	for i, label := range in["target"].Data {
		if label != float64(p.Int("ignore_index")) {
			divisor.Data[i] = weight[int(label)]
		}
	}
	return Terms{Loss: loss, Weight: &divisor}, nil
}

func softmaxFocalGradient(in Values, p Params, upstream Array) (Values, error) {
	logits := in["logits"]
	c := classesOf(logits)
	target, factors := labelsOf(in, p, c), focalFactors(in, p, c.count)
	gamma := p.Float("gamma")
	dx, dy := Zeros(logits.Shape), Zeros(logits.Shape)
	share, slope := make([]float64, c.count), make([]float64, c.count)
	for i := range c.positions() {
		if _, counts := target.at(i, share); !counts {
			continue
		}
		d := softmaxAt(logits, c, i)
		for k := range share {
			up := upstream.Data[i]
			if p.Bool("per_class") {
				up = upstream.Data[c.index(i, k)]
			}
			slope[k] = up * factors[k] * share[k] * focalSlope(d, k, gamma)
			dy.Data[c.index(i, k)] = -up * factors[k] * math.Pow(d.miss[k], gamma) * d.logP[k]
		}
		others := sumOfOthers(slope)
		for k := range share {
			// slope - p Σ slope, with the class's own slope taken out of both
			dx.Data[c.index(i, k)] = slope[k]*d.miss[k] - d.p[k]*others[k]
		}
	}
	if target.soft {
		return Values{"logits": dx, "target": dy}, nil
	}
	return Values{"logits": dx}, nil
}

// focalSlope is p times the derivative of -(1-p)^γ log p by p. For γ < 1 the
// power's slope is infinite at p = 1, but its product with log p, which goes to
// -(1-p) there, is not.
func focalSlope(d distribution, k int, gamma float64) float64 {
	power := math.Pow(d.miss[k], gamma)
	ratio := -1.0 // log p / (1 - p) at p = 1
	if d.miss[k] > 0 {
		ratio = d.logP[k] / d.miss[k]
	}
	return power * (gamma*d.p[k]*ratio - 1)
}

func softmaxFocalBound(in Values, p Params, eps float64) (Array, error) {
	logits := in["logits"]
	c := classesOf(logits)
	gamma := p.Float("gamma")
	return perClassTerms(in, p, func(d distribution, k, i int) float64 {
		delta := eps * (logitSpread(logits, c, i) + 2*math.Log(float64(c.count)) + 8)
		power := math.Pow(d.miss[k], gamma)
		return power*(delta-2*eps*d.logP[k]) + (delta-d.logP[k])*(math.Pow(d.miss[k]+delta, gamma)-power)
	}), nil
}

func buildSoftmaxFocal(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	logits, weight := in["logits"], in["weight"]
	logP := b.Label(b.LogSoftmax(logits, 1), "log_p")
	if softTargets(p) {
		loss := buildFocalTerms(b, logP, in["target"], p)
		loss = scaleClasses(b, loss, logits, weight, p)
		if !p.Bool("per_class") {
			loss = b.ReduceSum(loss, false, 1)
		}
		return ops.Terms{Loss: loss}
	}
	t := buildIndexTarget(b, logits, in["target"], p)
	if p.Bool("per_class") {
		loss := buildFocalTerms(b, logP, buildOneHot(b, t, logits), p)
		return ops.Terms{Loss: scaleClasses(b, loss, logits, weight, p)}
	}
	counts := t.keep
	if weight.Present() {
		counts = b.Label(b.Mul(counts, b.Gather(weight, t.index, 0)), "weight_of_target")
	}
	loss := buildFocalTerms(b, t.take(b, logP), counts, p)
	if p.Float("alpha") >= 0 {
		foreground, background := alphas(p)
		isBackground := b.Equal(t.index, b.Scalar(t.index, 0))
		loss = b.Mul(loss, b.Where(isBackground, b.Scalar(loss, background), b.Scalar(loss, foreground)))
	}
	return ops.Terms{Loss: loss, Weight: counts}
}

// buildFocalTerms is -share (1 - p)^γ log p.
func buildFocalTerms(b *ops.Builder, logP, share ops.Value, p Params) ops.Value {
	// e^(log p) may round to above 1, where a root would not be a number
	miss := b.Label(b.Relu(b.Sub(b.Scalar(logP, 1), b.Exp(logP))), "one_minus_p")
	modulator := b.Label(b.PowConst(miss, p.Float("gamma")), "modulator")
	return b.Label(b.Neg(b.Mul(b.Mul(share, modulator), logP)), "focal")
}

// scaleClasses multiplies by weight_c α_c along axis 1.
func scaleClasses(b *ops.Builder, loss, logits, weight ops.Value, p Params) ops.Value {
	if weight.Present() {
		loss = b.Mul(loss, b.AlongAxis1(weight, logits))
	}
	if p.Float("alpha") < 0 {
		return loss
	}
	foreground, background := alphas(p)
	class := b.AlongAxis1(buildClassNumbers(b, logits), logits)
	isBackground := b.Equal(class, b.Scalar(class, 0))
	return b.Mul(loss, b.Where(isBackground, b.Scalar(loss, background), b.Scalar(loss, foreground)))
}

// buildClassNumbers is the vector of 0 to C-1.
func buildClassNumbers(b *ops.Builder, logits ops.Value) ops.Value {
	count := b.Squeeze(b.Slice(b.ShapeOf(logits), 0, 1, 2), 0)
	return b.Label(b.Range(count), "class_number")
}
