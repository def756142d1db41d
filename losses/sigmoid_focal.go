package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// SigmoidFocal is the focal loss on independent binary labels.
var SigmoidFocal = &Loss{
	Name:    "SigmoidFocalLoss",
	Summary: "focal loss on independent binary labels: cross-entropy with easy examples turned down",
	Formula: `p = σ(x), p_t = p y + (1 - p)(1 - y), α_t = α y + (1 - α)(1 - y)
s = y (1 - label_smoothing) + label_smoothing/2
CE = pos_weight · s · softplus(-x) + (1 - s) · softplus(x)
modulator joint: loss = weight · α_t (1 - p_t)^γ CE / normalizer
modulator split: loss = weight · [α (1-p)^γ pos_weight s softplus(-x)
                                  + (1-α) p^γ (1-s) softplus(x)] / normalizer`,
	Meaning: `Cross-entropy in nats, times (1 - p_t)^γ, which is near 0 for labels that are
already predicted well, so that many easy negatives do not drown the rare positives. For
hard labels both modulators are the same; they differ for soft ones. In detection the sum is
usually divided by the number of matched boxes: set normalizer, or take reduction sum and
divide. The gradient is finite for every γ >= 0, also where a prediction is saturated.`,
	Paper:  "Lin, Goyal, Girshick, He, Dollár: Focal Loss for Dense Object Detection, ICCV 2017, arXiv:1708.02002",
	Inputs: elementwise(elementWeight(), positiveWeight()),
	Declare: []Param{
		alphaParam(0.25, []any{-1.0, 1.0}, "weight of positive labels, negative ones get 1 - alpha; -1 leaves it out"),
		{Name: "gamma", Kind: Float, Default: 2.0, Min: 0, Max: math.Inf(1), Try: []any{0.0, 0.5, 1.5, 5.0}, Doc: "how strongly easy labels are turned down; 0 is cross-entropy"},
		{Name: "label_smoothing", Kind: Float, Default: 0.0, Min: 0, Max: 1, Try: []any{0.1}, Doc: "moves the labels of the cross-entropy factor towards 1/2; alpha and the modulator see the labels as given"},
		{Name: "normalizer", Kind: Float, Default: 1.0, Min: 0, Max: math.Inf(1), OpenMin: true, Try: []any{3.0}, Doc: "every term is divided by it"},
		{Name: "modulator", Kind: String, Default: "joint", Values: []string{"joint", "split"}, Try: []any{"split"}, Doc: "joint: (1 - p_t)^gamma with soft labels mixed into p_t, as torchvision; split: each side of the cross-entropy has its own, as kornia"},
	},
	Figure: &Figure{
		X: "logit of a positive label", From: -5, To: 5,
		Curves: over(func(label string, settings map[string]any) Curve {
			settings["alpha"] = -1.0
			return positive(label, settings)
		}, "gamma", 0.0, 0.5, 1.0, 2.0, 5.0),
	},
	Value:    sigmoidFocalValue,
	Gradient: sigmoidFocalGradient,
	Build:    buildSigmoidFocal,
	Bound:    sigmoidFocalBound,
	Accuracy: "4 + 3 gamma ULP relative: nothing cancels, and a power multiplies the relative error of its base by gamma; gamma (|x| + 1)/2 more where gamma is not a float32 number, as e^(-gamma |x|) has the error of its exponent",
}

// focalTerm is one element: its label, smoothed label and logit, and what follows
// from the logit.
type focalTerm struct {
	x, y, smooth float64
	p, q         float64 // σ(x), σ(-x)
	softplus     float64 // softplus(x)
	softplusNeg  float64 // softplus(-x)
	posWeight    float64
}

func newFocalTerm(x, y, posWeight float64, params Params) focalTerm {
	ls := params.Float("label_smoothing")
	return focalTerm{
		x: x, y: y, smooth: y*(1-ls) + ls/2,
		p: sigmoid(x), q: sigmoid(-x),
		softplus: softplus(x), softplusNeg: softplus(-x),
		posWeight: posWeight,
	}
}

func (t focalTerm) crossEntropy() float64 {
	return t.posWeight*t.smooth*t.softplusNeg + (1-t.smooth)*t.softplus
}

// miss is 1 - p_t without cancellation.
func (t focalTerm) miss() float64 { return t.p*(1-t.y) + t.q*t.y }

func sigmoidFocalValue(in Values, params Params) (Terms, error) {
	x, y := in["logits"], in["target"]
	w, pw := optional(in, "weight", x.Shape), optional(in, "pos_weight", x.Shape)
	gamma, normalizer := params.Float("gamma"), params.Float("normalizer")
	alphaPos, alphaNeg := alphas(params)
	loss := Zeros(x.Shape)
	for i := range x.Data {
		t := newFocalTerm(x.Data[i], y.Data[i], pw.Data[i], params)
		var term float64
		if params.String("modulator") == "split" {
			term = alphaPos*power(t.q, gamma)*t.posWeight*t.smooth*t.softplusNeg +
				alphaNeg*power(t.p, gamma)*(1-t.smooth)*t.softplus
		} else {
			term = (alphaPos*t.y + alphaNeg*(1-t.y)) * power(t.miss(), gamma) * t.crossEntropy()
		}
		loss.Data[i] = w.Data[i] * term / normalizer
	}
	return Terms{Loss: loss}, nil
}

func sigmoidFocalGradient(in Values, params Params, upstream Array) (Values, error) {
	x, y := in["logits"], in["target"]
	w, pw := optional(in, "weight", x.Shape), optional(in, "pos_weight", x.Shape)
	derivative := focalTerm.jointDerivative
	if params.String("modulator") == "split" {
		derivative = focalTerm.splitDerivative
	}
	dx, dy := Zeros(x.Shape), Zeros(x.Shape)
	for i := range x.Data {
		t := newFocalTerm(x.Data[i], y.Data[i], pw.Data[i], params)
		scale := upstream.Data[i] * w.Data[i] / params.Float("normalizer")
		byX, byY := derivative(t, params)
		dx.Data[i], dy.Data[i] = scale*byX, scale*byY
	}
	return Values{"logits": dx, "target": dy}, nil
}

// jointDerivative is that of α_t miss^γ CE. The slope of miss^γ is infinite at
// miss = 0 for γ < 1, its product with CE and the slope of miss is not: both are
// written as miss^γ times a quotient that stays finite.
func (t focalTerm) jointDerivative(params Params) (byX, byY float64) {
	gamma := params.Float("gamma")
	alphaPos, alphaNeg := alphas(params)
	alpha := alphaPos*t.y + alphaNeg*(1-t.y)
	miss, ce := t.miss(), t.crossEntropy()
	power := math.Pow(miss, gamma)

	ceByX := (1-t.smooth)*t.p - t.posWeight*t.smooth*t.q
	byX = alpha * power * (gamma*t.missSlope()*ce + ceByX)

	ceByY := (1 - params.Float("label_smoothing")) * ((t.posWeight-1)*t.softplusNeg - t.x)
	byY = (alphaPos-alphaNeg)*power*ce + alpha*power*ceByY
	if miss > 0 {
		byY += alpha * gamma * power * (t.q - t.p) * (ce / miss)
	}
	return byX, byY
}

// missSlope is (d miss/dx) / miss = p q (1 - 2y) / miss.
func (t focalTerm) missSlope() float64 {
	switch t.y {
	case 0:
		return t.q
	case 1:
		return -t.p
	}
	return t.p * t.q * (1 - 2*t.y) / t.miss()
}

func (t focalTerm) splitDerivative(params Params) (byX, byY float64) {
	gamma := params.Float("gamma")
	alphaPos, alphaNeg := alphas(params)
	positive := alphaPos * t.posWeight * math.Pow(t.q, gamma)
	negative := alphaNeg * math.Pow(t.p, gamma)
	byX = negative*(1-t.smooth)*(gamma*t.q*t.softplus+t.p) - positive*t.smooth*(gamma*t.p*t.softplusNeg+t.q)
	byY = (1 - params.Float("label_smoothing")) * (positive*t.softplusNeg - negative*t.softplus)
	return byX, byY
}

func sigmoidFocalBound(in Values, p Params, eps float64) (Array, error) {
	gamma := p.Float("gamma")
	bound, err := relativeBound(sigmoidFocalValue, in, p, eps)
	if err != nil {
		return Array{}, err
	}
	for i, x := range in["logits"].Data {
		relative := 4 + 3*gamma
		if float64(float32(gamma)) != gamma {
			relative += gamma * (math.Abs(x) + 1) / 2
		}
		bound.Data[i] *= relative
	}
	return bound, nil
}

func buildSigmoidFocal(b *ops.Builder, in map[string]ops.Value, params Params) ops.Terms {
	x, y := in["logits"], in["target"]
	smooth := y
	if ls := params.Float("label_smoothing"); ls > 0 {
		smooth = b.Label(b.Add(b.Mul(y, b.Scalar(y, 1-ls)), b.Scalar(y, ls/2)), "smoothed_target")
	}
	var loss ops.Value
	if params.String("modulator") == "split" {
		loss = buildSplitFocal(b, x, smooth, in["pos_weight"], params)
	} else {
		loss = buildJointFocal(b, x, y, smooth, in["pos_weight"], params)
	}
	if n := params.Float("normalizer"); n != 1 {
		loss = b.Div(loss, b.Scalar(loss, n))
	}
	if w := in["weight"]; w.Present() {
		loss = scale(b, loss, w)
	}
	return ops.Terms{Loss: loss}
}

func buildJointFocal(b *ops.Builder, x, y, smooth, posWeight ops.Value, params Params) ops.Value {
	one := b.Scalar(x, 1)
	m := buildMargin(b, x, y)
	wrong := b.Abs(m.off)
	miss := b.Div(b.Add(wrong, b.Mul(m.e, b.Sub(one, wrong))), b.Add(m.e, one))
	modulator := b.Label(b.PowConst(b.Label(miss, "one_minus_p_t"), params.Float("gamma")), "modulator")

	var ce ops.Value
	switch {
	case posWeight.Present():
		ce = m.weightedCrossEntropy(b, smooth, posWeight)
	case params.Float("label_smoothing") > 0:
		m.off = b.Sub(m.positive, smooth)
		ce = m.crossEntropy(b)
	default:
		ce = m.crossEntropy(b)
	}
	loss := b.Mul(modulator, ce)
	if params.Float("alpha") >= 0 {
		loss = b.Mul(loss, buildAlpha(b, y, params))
	}
	return b.Label(loss, "focal")
}

// buildAlpha is α y + (1 - α)(1 - y), as the smaller factor plus a share of the
// difference, so that nothing cancels.
func buildAlpha(b *ops.Builder, y ops.Value, params Params) ops.Value {
	positive, negative := alphas(params)
	if positive == negative {
		return b.Scalar(y, positive)
	}
	share, least, most := y, negative, positive
	if positive < negative {
		share, least, most = b.Sub(b.Scalar(y, 1), y), positive, negative
	}
	return b.Label(b.Add(b.Mul(share, b.Scalar(y, most-least)), b.Scalar(y, least)), "alpha_t")
}

func buildSplitFocal(b *ops.Builder, x, smooth, posWeight ops.Value, params Params) ops.Value {
	m := buildMargin(b, x, smooth)
	gamma := params.Float("gamma")
	alphaPos, alphaNeg := alphas(params)

	p, q := m.probabilities(b)
	positives := b.Mul(b.Mul(b.PowConst(q, gamma), smooth), m.softplusNegative(b))
	if posWeight.Present() {
		positives = scale(b, positives, posWeight)
	}
	negatives := b.Mul(b.Mul(b.PowConst(p, gamma), b.Sub(b.Scalar(x, 1), smooth)), m.softplus(b))
	return b.Label(b.Add(
		b.Mul(positives, b.Scalar(x, alphaPos)),
		b.Mul(negatives, b.Scalar(x, alphaNeg)),
	), "focal")
}
