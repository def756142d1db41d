package losses

import "github.com/onnxloss/onnxloss/ops"

const lim = "Lim, Ye: Geometric GAN, 2017, arXiv:1705.02894; Miyato, Kataoka, Koyama, Yoshida: Spectral Normalization for Generative Adversarial Networks, ICLR 2018, arXiv:1802.05957"

// HingeDiscriminator is the hinge loss of a discriminator.
var HingeDiscriminator = discriminator(Loss{
	Name:    "HingeDiscriminatorLoss",
	Summary: "hinge GAN: how far outputs fall short of 1 for real and of -1 for generated data",
	Formula: `loss = max(0, 1 - real) + max(0, 1 + fake)`,
	Meaning: `What is missing to a margin of 1 on the right side, both sides added up: 0 where all
outputs keep it, 2 for outputs of 0. Outputs beyond their margin have no gradient; at the
margin itself it is 0 as well.`,
	Paper:  lim,
	Inputs: discriminated(Real, rawOutput),
	Build: func(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
		real, fake := in["real"], in["fake"]
		onReal := b.Label(b.Relu(b.Sub(b.Scalar(real, 1), real)), "loss_on_real")
		onFake := b.Label(b.Relu(b.Add(fake, b.Scalar(fake, 1))), "loss_on_fake")
		return ops.Terms{Loss: b.Label(b.Add(onReal, buildPartners(b, onFake, p)), "hinge")}
	},
	Accuracy: "2 ULP relative: each distance is rounded once, and the terms are never negative; unpaired, the mean over M outputs adds M/2 ULP of itself",
	Figure:   discriminatorFigure(rawAxis, -3, 3, 1, -1),
}, func(Values, Params) (real, fake oneSide) { return hingeSide(1, -1), hingeSide(1, 1) })

// HingeGenerator is the loss of the generator that plays against it.
var HingeGenerator = generator(Loss{
	Name:    "HingeGeneratorLoss",
	Summary: "hinge GAN: the discriminator's outputs for generated data, with the other sign",
	Formula: `loss = -fake`,
	Meaning: `How bad generated data is in the discriminator's eyes, on the scale on which real data
gets 1 or more and generated data -1 or less. There is no hinge in it: the gradient is -1
everywhere. The same function as wasserstein-generator.`,
	Paper:    lim,
	Build:    buildOpposite,
	Accuracy: "exact: a change of sign",
	Figure:   &Figure{X: rawAxis, From: -3, To: 3, Curves: []Curve{onFake("", nil)}},
}, Real, rawOutput, alwaysSide(opposite))

// hingeSide is max(0, margin + direction x), with the slope 0 at the corner.
func hingeSide(margin, direction float64) oneSide {
	value := func(x float64) float64 { return max(0, margin+direction*x) }
	return oneSide{
		value: value,
		slope: func(x float64) float64 {
			if margin+direction*x > 0 {
				return direction
			}
			return 0
		},
		rounding: func(x, eps float64) float64 { return roundingOf(margin, eps) + eps*value(x) },
	}
}
