package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

const (
	energyOutput = "the discriminator's energy, such as an auto-encoder's error; low means real"
	energyAxis   = "energy"
	zhao         = "Zhao, Mathieu, LeCun: Energy-based Generative Adversarial Network, ICLR 2017, arXiv:1609.03126"
)

// EBGANDiscriminator is EBGAN's loss of the discriminator.
var EBGANDiscriminator = discriminator(Loss{
	Name:    "EBGANDiscriminatorLoss",
	Summary: "EBGAN: energy of real data, and what generated data lacks to a margin of energy",
	Formula: `loss = real + max(0, margin - fake)`,
	Meaning: `In the unit of the energies: 0 where real data has no energy and generated data the
margin or more; the margin for a discriminator that gives all data the same energy below it.
Generated data at or above the margin has no gradient. Here a small output means real, the
other way round than in the other games.`,
	Paper:  zhao,
	Inputs: discriminated(NonNegative, energyOutput),
	Declare: []Param{
		{Name: "margin", Kind: Float, Default: 1.0, Min: 0, Max: math.Inf(1), Try: []any{0.3, 10.0}, Doc: "the energy from which on generated data costs nothing; choose it on the scale of the energies"},
	},
	Build: func(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
		fake := in["fake"]
		lacking := b.Label(b.Relu(b.Sub(b.Scalar(fake, p.Float("margin")), fake)), "lacking")
		return ops.Terms{Loss: b.Label(b.Add(in["real"], buildPartners(b, lacking, p)), "ebgan")}
	},
	Accuracy: "2 ULP relative, and the rounding of a margin that is not a float32 number; unpaired, the mean over M outputs adds M/2 ULP of itself",
	Figure:   discriminatorFigure(energyAxis, 0, 2, 0, 1),
}, func(_ Values, p Params) (real, fake oneSide) { return identity, hingeSide(p.Float("margin"), -1) })

// EBGANGenerator is EBGAN's loss of the generator.
var EBGANGenerator = generator(Loss{
	Name:    "EBGANGeneratorLoss",
	Summary: "EBGAN: the energy of generated data",
	Formula: `loss = fake`,
	Meaning: `The energy that the discriminator gives generated data, unchanged: 0 is as good as real.
It is in the catalogue so that a graph for the generator exists beside that for the
discriminator. The paper's pulling-away term, which keeps generated data apart, is not in it.`,
	Paper:    zhao,
	Build:    buildIdentity,
	Accuracy: "exact: a copy",
	Figure:   &Figure{X: energyAxis, From: 0, To: 2, Curves: []Curve{onFake("", nil)}},
}, NonNegative, energyOutput, alwaysSide(identity))
