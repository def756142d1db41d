package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// NonSaturatingDiscriminator is the same loss as MinimaxDiscriminator, for whoever
// looks for it beside NonSaturatingGenerator.
var NonSaturatingDiscriminator = logisticDiscriminator(Loss{
	Name:    "NonSaturatingDiscriminatorLoss",
	Summary: "non-saturating GAN: cross-entropy of telling real from generated data; the same loss as minimax-discriminator",
	Paper:   goodfellow,
})

// NonSaturatingGenerator is the generator's loss that is used in practice.
var NonSaturatingGenerator = generator(Loss{
	Name:    "NonSaturatingGeneratorLoss",
	Summary: "non-saturating GAN: cross-entropy of generated data passing for real, on logits",
	Formula: `loss = softplus(-fake) = -log σ(fake)
with epsilon: loss = -log(σ(fake) + epsilon)`,
	Meaning: `How far generated data is from being taken for real, in nats: near 0 where the
discriminator is fooled, 0.693 where it cannot tell, about |x| for a logit x that is sure that
the data is generated, where the gradient is -1: the generator learns most from what is worst.
Some implementations add an epsilon inside the logarithm: it caps the loss at -log epsilon
(18.42 for 1e-8) and takes the gradient away there; it is for comparing with them only. The
numbers are logits.`,
	Paper: "Goodfellow et al.: Generative Adversarial Nets, NIPS 2014, arXiv:1406.2661, section 3",
	Declare: []Param{
		{Name: "epsilon", Kind: Float, Default: 0.0, Min: 1e-30, Max: 1, Also: []float64{0}, Try: []any{1e-8, 1e-3}, Doc: "added to the probability, as mimicry does with 1e-8; 0 is the paper's loss"},
	},
	Build:    buildNonSaturating,
	Accuracy: "4 ULP relative, as nothing cancels; with an epsilon 4 eps absolute and 1 ULP relative, as the logarithm of a probability near 1 has that probability's rounding",
	Figure:   &Figure{X: logitAxis, From: -25, To: 5, Curves: over(onFake, "epsilon", 0, 1e-8)},
}, Logit, logitOutput, func(p Params) oneSide { return nonSaturatingSide(p.Float("epsilon")) })

func nonSaturatingSide(epsilon float64) oneSide {
	value := func(x float64) float64 { return softplus(-x) }
	if epsilon == 0 {
		return oneSide{value: value, slope: func(x float64) float64 { return -sigmoid(-x) }, rounding: relativeTo(value, 4)}
	}
	value = func(x float64) float64 {
		if x > 0 {
			return -math.Log1p(epsilon - sigmoid(-x))
		}
		return -math.Log(sigmoid(x) + epsilon)
	}
	return oneSide{
		value:    value,
		slope:    func(x float64) float64 { return -sigmoid(x) * sigmoid(-x) / (sigmoid(x) + epsilon) },
		rounding: func(x, eps float64) float64 { return eps * (4 + math.Abs(value(x))) },
	}
}

func buildNonSaturating(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	x := in["fake"]
	epsilon := p.Float("epsilon")
	if epsilon == 0 {
		return ops.Terms{Loss: b.Label(buildSoftplus(b, x, b.Relu(b.Neg(x))), "non_saturating")}
	}
	// σ(x) is 1/(1+e) where x > 0 and e/(1+e) elsewhere.
	e, one := b.Exp(b.Neg(b.Abs(x))), b.Scalar(x, 1)
	numerator := b.Where(b.Greater(x, b.Scalar(x, 0)), one, e)
	probability := b.Label(b.Div(numerator, b.Add(e, one)), "probability")
	return ops.Terms{Loss: b.Label(b.Neg(b.Log(b.Add(probability, b.Scalar(x, epsilon)))), "non_saturating")}
}
