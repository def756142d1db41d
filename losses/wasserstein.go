package losses

import "github.com/onnxloss/onnxloss/ops"

const (
	criticOutput = "the critic's raw output"
	criticAxis   = "output of the critic"
	arjovsky     = "Arjovsky, Chintala, Bottou: Wasserstein Generative Adversarial Networks, ICML 2017, arXiv:1701.07875"
)

// WassersteinCritic is WGAN's loss of the critic.
var WassersteinCritic = discriminator(Loss{
	Name:    "WassersteinCriticLoss",
	Summary: "WGAN: the critic's outputs for generated data less those for real data",
	Formula: `loss = fake - real`,
	Meaning: `The negative of its mean is what the critic makes of the Wasserstein distance between
generated and real data, in the critic's own unit: the more negative, the further apart. That
holds for a critic of bounded slope only: clip its weights, or add a gradient penalty
(wgan-gradient-penalty), without which the loss has no lower end. One value says nothing
without the critic's scale; its course over training follows the quality of the generator.`,
	Paper:  arjovsky,
	Inputs: discriminated(Real, criticOutput),
	Build: func(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
		return ops.Terms{Loss: b.Label(b.Sub(buildPartners(b, in["fake"], p), in["real"]), "wasserstein")}
	},
	Accuracy: "1 ULP: one subtraction of numbers that are given; unpaired, the mean over M outputs adds M/2 ULP of their mean size",
	Figure:   discriminatorFigure(criticAxis, -3, 3, 0, 0),
}, func(Values, Params) (real, fake oneSide) { return opposite, identity })

// WassersteinGenerator is WGAN's loss of the generator.
var WassersteinGenerator = generator(Loss{
	Name:    "WassersteinGeneratorLoss",
	Summary: "WGAN: the critic's outputs for generated data, with the other sign",
	Formula: `loss = -fake`,
	Meaning: `How bad generated data is in the critic's eyes, in the critic's own unit and from an
origin of its own: only differences mean something. The gradient is -1 everywhere.`,
	Paper:    arjovsky,
	Build:    buildOpposite,
	Accuracy: "exact: a change of sign",
	Figure:   &Figure{X: criticAxis, From: -3, To: 3, Curves: []Curve{onFake("", nil)}},
}, Real, criticOutput, alwaysSide(opposite))

func buildOpposite(b *ops.Builder, in map[string]ops.Value, _ Params) ops.Terms {
	return ops.Terms{Loss: b.Label(b.Neg(in["fake"]), "negative")}
}

func buildIdentity(_ *ops.Builder, in map[string]ops.Value, _ Params) ops.Terms {
	return ops.Terms{Loss: in["fake"]}
}
