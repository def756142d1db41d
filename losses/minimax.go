package losses

import "github.com/onnxloss/onnxloss/ops"

const (
	logitOutput = "the discriminator's logit; positive leans to real"
	logitAxis   = "logit of the discriminator"
	goodfellow  = "Goodfellow et al.: Generative Adversarial Nets, NIPS 2014, arXiv:1406.2661; one-sided label smoothing: Salimans et al.: Improved Techniques for Training GANs, NIPS 2016, arXiv:1606.03498"
)

// MinimaxDiscriminator is the discriminator's loss of the first GAN.
var MinimaxDiscriminator = logisticDiscriminator(Loss{
	Name:    "MinimaxDiscriminatorLoss",
	Summary: "GAN: cross-entropy of telling real from generated data, on logits",
	Paper:   goodfellow,
})

// logisticDiscriminator completes the loss that the minimax and the non-saturating
// game have in common.
func logisticDiscriminator(l Loss) *Loss {
	l.Formula = `softplus(z) = log(1 + e^z), s = label_smoothing
loss = (1 - s) softplus(-real) + s softplus(real) + softplus(fake)
which is -log σ(real) - log(1 - σ(fake)) without smoothing`
	l.Meaning = `Cross-entropy in nats with label 1 - s for real and 0 for generated data, both added up:
near 0 for a discriminator that is sure and right, 2 log 2 = 1.386 for one that cannot tell
(all logits 0), which is where the generator has won; about |x| for one logit x that is sure
and wrong. The minimax and the non-saturating game have this loss in common and differ in the
generator's. Smoothing is one-sided: only the real label is moved, and the least loss is then
the entropy of s instead of 0. The numbers are logits, not probabilities.`
	l.Inputs = discriminated(Logit, logitOutput)
	l.Declare = []Param{
		{Name: "label_smoothing", Kind: Float, Default: 0.0, Min: 0, Max: 1, Try: []any{0.1}, Doc: "the label of real data is 1 less this"},
	}
	l.Build = buildLogisticDiscriminator
	l.Accuracy = "5 ULP relative: a sum of terms that are never negative, so nothing cancels; unpaired, the mean over M outputs adds M/2 ULP of itself"
	l.Figure = discriminatorFigure(logitAxis, -5, 5, 1e4, -1e4,
		Curve{Label: "real, smoothed", Settings: map[string]any{"label_smoothing": 0.1}, At: onReal(-1e4)})
	return discriminator(l, func(_ Values, p Params) (real, fake oneSide) {
		return smoothedSide(p.Float("label_smoothing")), softplusSide
	})
}

// MinimaxGenerator is the generator's loss of the first GAN, as the game has it.
var MinimaxGenerator = generator(Loss{
	Name:    "MinimaxGeneratorLoss",
	Summary: "GAN: the saturating loss of the generator, the discriminator's with the other sign",
	Formula: `loss = -softplus(fake) = log(1 - σ(fake))`,
	Meaning: `What the generator takes from the discriminator, so it is never positive: near 0 for
logits that call the data generated, -log 2 = -0.693 for a discriminator that cannot tell. It
saturates: data that the discriminator is sure about gets next to no gradient, which is why
the non-saturating loss is used in practice. The numbers are logits.`,
	Paper: "Goodfellow et al.: Generative Adversarial Nets, NIPS 2014, arXiv:1406.2661",
	Build: func(b *ops.Builder, in map[string]ops.Value, _ Params) ops.Terms {
		return ops.Terms{Loss: b.Label(b.Neg(buildSoftplus(b, in["fake"], b.Relu(in["fake"]))), "minimax")}
	},
	Accuracy: "4 ULP relative: both parts of softplus are never negative, so nothing cancels",
	Figure:   &Figure{X: logitAxis, From: -5, To: 5, Curves: []Curve{onFake("", nil)}},
}, Logit, logitOutput, alwaysSide(saturatingSide))

// softplusSide is the cross-entropy of the label 0.
var softplusSide = oneSide{value: softplus, slope: sigmoid, rounding: relativeTo(softplus, 4)}

var saturatingSide = oneSide{
	value:    func(x float64) float64 { return -softplus(x) },
	slope:    func(x float64) float64 { return -sigmoid(x) },
	rounding: relativeTo(softplus, 4),
}

// smoothedSide is the cross-entropy of the label 1 - smoothing.
func smoothedSide(smoothing float64) oneSide {
	value := func(x float64) float64 { return (1-smoothing)*softplus(-x) + smoothing*softplus(x) }
	return oneSide{
		value:    value,
		slope:    func(x float64) float64 { return smoothing*sigmoid(x) - (1-smoothing)*sigmoid(-x) },
		rounding: relativeTo(value, 4),
	}
}

// buildLogisticDiscriminator: without its log1p, smoothed cross-entropy is s x for
// positive x and (1 - s) |x| for negative ones, the larger of two products.
func buildLogisticDiscriminator(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	real, fake := in["real"], in["fake"]
	miss := b.Relu(b.Neg(real))
	if s := p.Float("label_smoothing"); s > 0 {
		miss = b.Max(b.Mul(real, b.Scalar(real, s)), b.Mul(real, b.Scalar(real, s-1)))
	}
	onReal := b.Label(buildSoftplus(b, real, miss), "loss_on_real")
	onFake := b.Label(buildSoftplus(b, fake, b.Relu(fake)), "loss_on_fake")
	return ops.Terms{Loss: b.Add(onReal, buildPartners(b, onFake, p))}
}

// buildSoftplus is log1p(e^-|x|) with its linear part; neither is negative.
func buildSoftplus(b *ops.Builder, x, linear ops.Value) ops.Value {
	return b.Add(b.Log1p(b.Exp(b.Neg(b.Abs(x)))), linear)
}
