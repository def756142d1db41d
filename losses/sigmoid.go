package losses

import "math"

// softplus is log(1 + e^x), without overflow and with a small relative error at
// both ends.
func softplus(x float64) float64 {
	return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x)))
}

// sigmoid is 1/(1 + e^-x), with a small relative error at both ends.
func sigmoid(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + math.Exp(-x))
	}
	e := math.Exp(x)
	return e / (1 + e)
}

// power is x^gamma for x from 0 to 1. math.Pow multiplies log x by the fraction of
// gamma, whose rounding is an error of |log x| ULP; small x are therefore taken
// apart into a significand and a power of two.
func power(x, gamma float64) float64 {
	if !(x > 0 && x < 0x1p-8) || gamma == math.Trunc(gamma) {
		return math.Pow(x, gamma)
	}
	significand, exponent := math.Frexp(x)
	product := float64(exponent) * gamma
	rounded := math.FMA(float64(exponent), gamma, -product)
	whole, fraction := math.Modf(product)
	return math.Ldexp(math.Pow(significand, gamma)*math.Exp2(fraction+rounded), int(max(whole, -1<<20)))
}

// alphaParam balances positive against negative terms; -1 leaves that out.
func alphaParam(def float64, try []any, doc string) Param {
	return Param{Name: "alpha", Kind: Float, Default: def, Min: 0, Max: 1, Also: []float64{-1}, Try: try, Doc: doc}
}

// alphas gives the factors of positive and of negative terms.
func alphas(p Params) (positive, negative float64) {
	if a := p.Float("alpha"); a >= 0 {
		return a, 1 - a
	}
	return 1, 1
}

// elementwise lists the inputs of a loss on logits of independent binary labels.
func elementwise(weights ...Input) []Input {
	return append([]Input{
		{Name: "logits", Role: Prediction, Domain: Logit, Shape: "...", Doc: "one logit a label; positive leans to 1"},
		binaryTarget(),
	}, weights...)
}

// binaryTarget is the labels of a loss on independent ones.
func binaryTarget() Input {
	return Input{Name: "target", Role: Target, Domain: Binary, Shape: "...", Doc: "the labels; numbers between 0 and 1 are soft labels"}
}

func elementWeight() Input {
	return Input{
		Name: "weight", Role: Weight, Domain: NonNegative, Shape: "...", Broadcast: true, Optional: true,
		Doc: "a factor for each term; broadcasts; a mean does not divide by it",
	}
}

func positiveWeight() Input {
	return Input{
		Name: "pos_weight", Role: Weight, Domain: NonNegative, Shape: "...", Broadcast: true, Optional: true,
		Doc: "a factor for the positive side's cross-entropy; broadcasts",
	}
}

// optional gives an input filled up to shape, or ones where it is not there.
func optional(in Values, name string, shape []int) Array {
	a, ok := in[name]
	if !ok {
		return Filled(shape, 1)
	}
	full, err := a.broadcast(shape)
	if err != nil { // CheckInputs has refused this
		return Filled(shape, math.NaN())
	}
	return full
}
