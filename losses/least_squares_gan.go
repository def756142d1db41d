package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

const (
	rawOutput = "the discriminator's raw output"
	rawAxis   = "output of the discriminator"
	mao       = "Mao, Li, Xie, Lau, Wang, Smolley: Least Squares Generative Adversarial Networks, ICCV 2017, arXiv:1611.04076"
)

// LeastSquaresDiscriminator is LSGAN's loss of the discriminator.
var LeastSquaresDiscriminator = discriminator(Loss{
	Name:    "LeastSquaresDiscriminatorLoss",
	Summary: "LSGAN: squared distance of the discriminator's outputs from a code for real and one for generated data",
	Formula: `loss = (real - b)²/2 + (fake - a)²/2`,
	Meaning: `Half the squared distance from the codes, both sides added up: 0 for a discriminator
that gives real data b and generated data a; (b - a)²/4 for one that gives everything the
middle. The outputs are raw numbers: with the sigmoid that some implementations put before it,
the loss is bounded and saturates, which the paper set out to avoid. The codes go together
with the generator's c: (a, b, c) = (-1, 1, 0) minimises a Pearson χ² divergence,
(0, 1, 1) makes generated data look as real as possible.`,
	Paper:  mao,
	Inputs: discriminated(Real, rawOutput),
	Declare: []Param{
		{Name: "a", Kind: Float, Default: 0.0, Try: []any{-1.0}, Doc: "the code for generated data"},
		{Name: "b", Kind: Float, Default: 1.0, Try: []any{0.9}, Doc: "the code for real data"},
	},
	Build: func(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
		onReal := b.Label(buildSquaredDistance(b, in["real"], p.Float("b")), "squared_distance_of_real")
		onFake := b.Label(buildSquaredDistance(b, in["fake"], p.Float("a")), "squared_distance_of_fake")
		both := b.Add(onReal, buildPartners(b, onFake, p))
		return ops.Terms{Loss: b.Label(b.Mul(both, b.Scalar(both, 0.5)), "least_squares")}
	},
	Accuracy: "4 ULP relative, as squares do not cancel; a code that is not a float32 number adds its own rounding to the distance; unpaired, the mean over M outputs adds M/2 ULP of itself",
	Figure:   discriminatorFigure(rawAxis, -2, 3, 1, 0),
}, func(_ Values, p Params) (real, fake oneSide) {
	return leastSquaresSide(p.Float("b")), leastSquaresSide(p.Float("a"))
})

// LeastSquaresGenerator is LSGAN's loss of the generator.
var LeastSquaresGenerator = generator(Loss{
	Name:    "LeastSquaresGeneratorLoss",
	Summary: "LSGAN: squared distance of the discriminator's outputs for generated data from a code",
	Formula: `loss = (fake - c)²/2`,
	Meaning: `Half the squared distance of the outputs for generated data from what the generator
wants them to be. It does not saturate: data far on the wrong side pulls hardest. The outputs
are raw numbers, without a sigmoid. See least-squares-discriminator for how c goes together
with the discriminator's codes.`,
	Paper: mao,
	Declare: []Param{
		{Name: "c", Kind: Float, Default: 1.0, Try: []any{0.0, 0.9}, Doc: "the code that generated data should get"},
	},
	Build: func(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
		square := buildSquaredDistance(b, in["fake"], p.Float("c"))
		return ops.Terms{Loss: b.Label(b.Mul(square, b.Scalar(square, 0.5)), "least_squares")}
	},
	Accuracy: "4 ULP relative; a code that is not a float32 number adds its own rounding to the distance",
	Figure:   &Figure{X: rawAxis, From: -2, To: 3, Curves: over(onFake, "c", 1, 0)},
}, Real, rawOutput, func(p Params) oneSide { return leastSquaresSide(p.Float("c")) })

// leastSquaresSide is half the square of the distance from a code. An error of the
// distance is multiplied by it.
func leastSquaresSide(code float64) oneSide {
	return oneSide{
		value: func(x float64) float64 { return (x - code) * (x - code) / 2 },
		slope: func(x float64) float64 { return x - code },
		rounding: func(x, eps float64) float64 {
			distance := math.Abs(x - code)
			off := roundingOf(code, eps)
			return distance*(off+2*eps*distance) + off*off
		},
	}
}

func buildSquaredDistance(b *ops.Builder, x ops.Value, code float64) ops.Value {
	distance := x
	if code != 0 {
		distance = b.Label(b.Sub(x, b.Scalar(x, code)), "distance")
	}
	return b.Mul(distance, distance)
}
