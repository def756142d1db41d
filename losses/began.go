package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

const (
	errorOutput = "the auto-encoder's error L"
	errorAxis   = "error of the auto-encoder"
	berthelot   = "Berthelot, Schumm, Metz: BEGAN: Boundary Equilibrium Generative Adversarial Networks, 2017, arXiv:1703.10717"
)

// BEGANDiscriminator is BEGAN's loss of the discriminator.
var BEGANDiscriminator = discriminator(Loss{
	Name:    "BEGANDiscriminatorLoss",
	Summary: "BEGAN: auto-encoder error on real data less k times that on generated data",
	Formula: `loss = real - k fake`,
	Meaning: `The auto-encoder's error on real data, less a share k of that on generated data, in the
unit of the error; it may be negative. k is no parameter but an input, as it changes with every
step: began-balance computes the next one. The value alone says little about convergence:
began-convergence does.`,
	Paper: berthelot,
	Inputs: discriminated(NonNegative, errorOutput, Input{
		Name: "k", Role: Auxiliary, Domain: UnitInterval, Shape: "", Doc: "how much generated data counts; starts at 0, then comes from began-balance",
	}),
	Build: func(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
		share := b.Label(b.Mul(buildPartners(b, in["fake"], p), in["k"]), "k_fake")
		return ops.Terms{Loss: b.Label(b.Sub(in["real"], share), "began")}
	},
	Accuracy: "1 ULP relative and 1 ULP of k fake: one product and one difference, which may cancel; unpaired, the mean over M errors adds M/2 ULP of itself",
	Figure: &Figure{X: errorAxis, From: 0, To: 2, Curves: []Curve{
		{Label: "real", At: beganAt(1, 0, 0)},
		{Label: "fake, k = 1", At: beganAt(0, 1, 1)},
		{Label: "fake, k = 0.3", At: beganAt(0, 1, 0.3)},
	}},
}, func(in Values, _ Params) (real, fake oneSide) {
	k := in["k"].Data[0]
	value := func(x float64) float64 { return -k * x }
	return identity, oneSide{value: value, slope: func(float64) float64 { return -k }, rounding: relativeTo(value, 1)}
})

// beganAt draws x as the error on real data, on generated data, or both.
func beganAt(real, fake, k float64) func(float64) Values {
	return func(x float64) Values {
		return Values{"real": single(real * x), "fake": single(fake * x), "k": scalar(k)}
	}
}

// BEGANGenerator is BEGAN's loss of the generator.
var BEGANGenerator = generator(Loss{
	Name:    "BEGANGeneratorLoss",
	Summary: "BEGAN: the auto-encoder's error on generated data",
	Formula: `loss = fake`,
	Meaning: `The auto-encoder's error on generated data, unchanged. It is in the catalogue so that a
graph for the generator exists beside that for the discriminator.`,
	Paper:    berthelot,
	Build:    buildIdentity,
	Accuracy: "exact: a copy",
	Figure:   &Figure{X: errorAxis, From: 0, To: 2, Curves: []Curve{onFake("", nil)}},
}, NonNegative, errorOutput, alwaysSide(identity))

// BEGANBalance is the rule that keeps the game in balance.
var BEGANBalance = &Loss{
	Name:    "BEGANBalance",
	Head:    true,
	Coupled: always,
	Summary: "BEGAN: the k of the next step, which keeps generator and discriminator in balance",
	Formula: `k' = k + lambda_k (gamma mean(real) - mean(fake)), limited to 0..1`,
	Meaning: `A scalar from 0 to 1 to feed to began-discriminator in the next step. It grows while the
error on generated data is below gamma times that on real data, which is when the
discriminator has attention to spare. It rests where mean(fake) = gamma mean(real). Errors of
a whole batch go in, any number of each kind.`,
	Paper:    berthelot,
	Inputs:   balanceInputs(Input{Name: "k", Role: Auxiliary, Domain: UnitInterval, Shape: "", Doc: "the k of this step"}),
	Declare:  []Param{gammaParam(), {Name: "lambda_k", Kind: Float, Default: 0.001, Min: 0, Max: math.Inf(1), Try: []any{0.0, 0.25}, Doc: "how fast k moves: a learning rate"}},
	Value:    balanceValue,
	Gradient: balanceGradient,
	Build: func(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
		_, gap := buildGap(b, in, p.Float("gamma"))
		next := b.Add(in["k"], b.Mul(gap, b.Scalar(gap, p.Float("lambda_k"))))
		return ops.Terms{Loss: b.Label(b.Clip(next, 0, 1), "next_k")}
	},
	Bound: func(in Values, p Params, eps float64) (Array, error) {
		_, off := gapRounding(in, p, eps)
		_, gap := gap(in, p)
		step := p.Float("lambda_k") * math.Abs(gap)
		return scalar(p.Float("lambda_k")*off + eps*(2*step+1)), nil
	},
	Accuracy: "1 eps, and lambda_k times the rounding of the means and of their difference, which may cancel: n/2 + 2 eps of the mean over n errors",
}

// BEGANConvergence is BEGAN's measure of convergence.
var BEGANConvergence = &Loss{
	Name:    "BEGANConvergence",
	Head:    true,
	Coupled: always,
	Summary: "BEGAN: the measure of convergence",
	Formula: `M = mean(real) + |gamma mean(real) - mean(fake)|`,
	Meaning: `One number, in the unit of the auto-encoder's error, that falls as training succeeds,
which the losses of two adversaries do not: the error on real data plus the distance from
balance. It shows when a run has converged or collapsed. Errors of a whole batch go in, any
number of each kind.`,
	Paper:    berthelot,
	Inputs:   balanceInputs(),
	Declare:  []Param{gammaParam()},
	Value:    convergenceValue,
	Gradient: convergenceGradient,
	Build: func(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
		real, gap := buildGap(b, in, p.Float("gamma"))
		return ops.Terms{Loss: b.Label(b.Add(real, b.Abs(gap)), "convergence")}
	},
	Bound: func(in Values, p Params, eps float64) (Array, error) {
		real, off := gapRounding(in, p, eps)
		value, err := convergenceValue(in, p)
		return scalar(real + off + eps*math.Abs(value.Loss.Data[0])), err
	},
	Accuracy: "n/2 + 2 ULP of the mean over n errors: adding up rounds as often as there are numbers",
}

func balanceInputs(further ...Input) []Input {
	return append([]Input{
		{Name: "real", Role: Prediction, Domain: NonNegative, Shape: "N,...", Doc: "on real data: " + errorOutput},
		{Name: "fake", Role: Prediction, Domain: NonNegative, Shape: "M,...", Doc: "on generated data: " + errorOutput},
	}, further...)
}

func gammaParam() Param {
	return Param{Name: "gamma", Kind: Float, Default: 0.5, Min: 0, Max: math.Inf(1), Try: []any{0.75, 0.0}, Doc: "the diversity ratio mean(fake)/mean(real) to aim at; low values trade variety for quality"}
}

// gap is the mean error on real data, and how much gamma times it is above that on
// generated data.
func gap(in Values, p Params) (real, gap float64) {
	real = mean(in["real"].Data)
	return real, p.Float("gamma")*real - mean(in["fake"].Data)
}

func mean(numbers []float64) float64 { return sum(numbers) / float64(len(numbers)) }

// gapRounding is how far a lowering's mean over real data and its gap may be off.
func gapRounding(in Values, p Params, eps float64) (real, gap float64) {
	off := func(numbers []float64) float64 {
		size := 0.0
		for _, x := range numbers {
			size += math.Abs(x)
		}
		n := float64(len(numbers))
		return eps * (n/2 + 2) * size / n
	}
	real = off(in["real"].Data)
	return real, p.Float("gamma")*real + off(in["fake"].Data)
}

func buildGap(b *ops.Builder, in map[string]ops.Value, gamma float64) (real, gap ops.Value) {
	real = b.Label(buildMean(b, in["real"]), "mean_of_real")
	fake := b.Label(buildMean(b, in["fake"]), "mean_of_fake")
	return real, b.Label(b.Sub(b.Mul(real, b.Scalar(real, gamma)), fake), "gap")
}

func balanceValue(in Values, p Params) (Terms, error) {
	_, gap := gap(in, p)
	next := in["k"].Data[0] + p.Float("lambda_k")*gap
	return Terms{Loss: scalar(max(0, min(next, 1)))}, nil
}

func balanceGradient(in Values, p Params, upstream Array) (Values, error) {
	_, gap := gap(in, p)
	next := in["k"].Data[0] + p.Float("lambda_k")*gap
	slope := 0.0
	if next > 0 && next < 1 {
		slope = upstream.Data[0] * p.Float("lambda_k")
	}
	return byMeans(in, slope*p.Float("gamma"), -slope), nil
}

func convergenceValue(in Values, p Params) (Terms, error) {
	real, gap := gap(in, p)
	return Terms{Loss: scalar(real + math.Abs(gap))}, nil
}

func convergenceGradient(in Values, p Params, upstream Array) (Values, error) {
	_, gap := gap(in, p)
	u := upstream.Data[0]
	return byMeans(in, u*(1+p.Float("gamma")*sign(gap)), -u*sign(gap)), nil
}

// byMeans spreads slopes by the two means over what they are means of.
func byMeans(in Values, real, fake float64) Values {
	r, f := in["real"], in["fake"]
	return Values{
		"real": Filled(r.Shape, real/float64(len(r.Data))),
		"fake": Filled(f.Shape, fake/float64(len(f.Data))),
	}
}
