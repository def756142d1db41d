package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// SigmoidFocalStar is FL*, the focal loss's variant with a scaled and shifted logit.
var SigmoidFocalStar = &Loss{
	Name:    "SigmoidFocalStarLoss",
	Summary: "FL*: cross-entropy of a scaled and shifted logit, the focal loss's simpler relative",
	Formula: `x_t = x (2y - 1), α_t = α y + (1 - α)(1 - y)
loss = weight · α_t · softplus(-(γ x_t + β)) / γ
which is -α_t log σ(γ x_t + β) / γ`,
	Meaning: `Like the focal loss it turns well classified labels down, here by moving the
logistic curve: larger γ makes it steeper, larger β moves it so that a label counts as
learnt earlier. The slope for a wrong label is 1 as that of cross-entropy.`,
	Paper:  "Lin, Goyal, Girshick, He, Dollár: Focal Loss for Dense Object Detection, ICCV 2017, arXiv:1708.02002, appendix A",
	Inputs: elementwise(elementWeight()),
	Declare: []Param{
		alphaParam(-1.0, []any{0.25, 1.0}, "weight of positive labels, negative ones get 1 - alpha; -1 leaves it out"),
		{Name: "gamma", Kind: Float, Default: 2.0, Min: 0, Max: math.Inf(1), OpenMin: true, Try: []any{0.5, 4.0}, Doc: "steepness"},
		{Name: "beta", Kind: Float, Default: 1.0, Try: []any{0.0, -0.5}, Doc: "shift of the scaled logit; public code mostly has 0"},
	},
	Figure: &Figure{
		X: "logit of a positive label", From: -5, To: 5,
		Curves: []Curve{
			positive("gamma = 1, beta = 0", map[string]any{"gamma": 1.0, "beta": 0.0, "alpha": -1.0}),
			positive("gamma = 2, beta = 1", map[string]any{"gamma": 2.0, "beta": 1.0, "alpha": -1.0}),
			positive("gamma = 4, beta = 0", map[string]any{"gamma": 4.0, "beta": 0.0, "alpha": -1.0}),
		},
	},
	Value:    sigmoidFocalStarValue,
	Gradient: sigmoidFocalStarGradient,
	Build:    buildSigmoidFocalStar,
	Bound:    sigmoidFocalStarBound,
	Accuracy: "4 ULP relative, and 1 ULP of γ x_t + β and of its parts times the slope of softplus: the shifted logit is rounded before e^z is taken",
}

func starMargin(x, y float64, params Params) float64 {
	return params.Float("gamma")*x*(2*y-1) + params.Float("beta")
}

func sigmoidFocalStarValue(in Values, params Params) (Terms, error) {
	x, y := in["logits"], in["target"]
	w := optional(in, "weight", x.Shape)
	alphaPos, alphaNeg := alphas(params)
	loss := Zeros(x.Shape)
	for i := range x.Data {
		alpha := alphaPos*y.Data[i] + alphaNeg*(1-y.Data[i])
		z := starMargin(x.Data[i], y.Data[i], params)
		loss.Data[i] = w.Data[i] * alpha * softplus(-z) / params.Float("gamma")
	}
	return Terms{Loss: loss}, nil
}

func sigmoidFocalStarGradient(in Values, params Params, upstream Array) (Values, error) {
	x, y := in["logits"], in["target"]
	w := optional(in, "weight", x.Shape)
	alphaPos, alphaNeg := alphas(params)
	dx, dy := Zeros(x.Shape), Zeros(x.Shape)
	for i, x := range x.Data {
		y, scale := y.Data[i], upstream.Data[i]*w.Data[i]
		alpha := alphaPos*y + alphaNeg*(1-y)
		z := starMargin(x, y, params)
		dx.Data[i] = scale * alpha * -sigmoid(-z) * (2*y - 1)
		dy.Data[i] = scale * ((alphaPos-alphaNeg)*softplus(-z)/params.Float("gamma") - alpha*sigmoid(-z)*2*x)
	}
	return Values{"logits": dx, "target": dy}, nil
}

func sigmoidFocalStarBound(in Values, params Params, eps float64) (Array, error) {
	x, y := in["logits"], in["target"]
	w := optional(in, "weight", x.Shape)
	alphaPos, alphaNeg := alphas(params)
	gamma, beta := params.Float("gamma"), params.Float("beta")
	bound := Zeros(x.Shape)
	for i, x := range x.Data {
		y := y.Data[i]
		alpha := alphaPos*y + alphaNeg*(1-y)
		z := starMargin(x, y, params)
		rounded := math.Abs(z) + math.Abs(gamma*x*(2*y-1)) + math.Abs(beta)
		bound.Data[i] = eps * math.Abs(w.Data[i]) * alpha / gamma * (4*softplus(-z) + sigmoid(-z)*rounded)
	}
	return bound, nil
}

func buildSigmoidFocalStar(b *ops.Builder, in map[string]ops.Value, params Params) ops.Terms {
	x, y := in["logits"], in["target"]
	gamma, beta := params.Float("gamma"), params.Float("beta")
	// With h = -(γ x_t + β)/2γ the loss is max(2h, 0) + log1p(e^-2γ|h|)/γ, and
	// max(2h, 0) is h + |h|.
	h := b.Mul(x, b.Sub(b.Scalar(y, 0.5), y))
	if beta != 0 {
		h = b.Sub(h, b.Scalar(x, beta/(2*gamma)))
	}
	size := b.Abs(b.Label(h, "half_wrongness"))
	e := b.Exp(b.Mul(size, b.Scalar(x, -2*gamma)))
	loss := b.Add(b.Add(h, size), b.ScaledLog1p(1/gamma, e))
	if params.Float("alpha") >= 0 {
		loss = b.Mul(loss, buildAlpha(b, y, params))
	}
	if w := in["weight"]; w.Present() {
		loss = scale(b, loss, w)
	}
	return ops.Terms{Loss: b.Label(loss, "focal_star")}
}
