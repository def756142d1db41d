package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// oneSide is what an adversarial loss makes of one output of the discriminator, for
// real or for generated data: its value, its slope, and how far a lowering's value
// may be off; nil is an exact one.
type oneSide struct {
	value, slope func(x float64) float64
	rounding     func(x, eps float64) float64
}

// identity is an output as it is.
var identity = oneSide{
	value: func(x float64) float64 { return x },
	slope: func(float64) float64 { return 1 },
}

// opposite is an output with the other sign.
var opposite = oneSide{
	value: func(x float64) float64 { return -x },
	slope: func(float64) float64 { return -1 },
}

// off is the rounding of a side.
func (s oneSide) off(x, eps float64) float64 {
	if s.rounding == nil {
		return 0
	}
	return s.rounding(x, eps)
}

// relativeTo allows a relative error of so many eps.
func relativeTo(value func(float64) float64, times float64) func(x, eps float64) float64 {
	return func(x, eps float64) float64 { return times * eps * math.Abs(value(x)) }
}

// roundingOf is what a constant loses in a graph that computes in float32.
func roundingOf(constant, eps float64) float64 {
	if float64(float32(constant)) == constant {
		return 0
	}
	return math.Abs(constant) * eps / 2
}

// discriminated lists what a discriminator's loss reads: any number of outputs for
// generated data where they are not paired with those for real data.
func discriminated(d Domain, output string, further ...Input) []Input {
	real := Input{Name: "real", Role: Prediction, Domain: d, Shape: "N,...", Doc: "for real data: " + output}
	fake := Input{Name: "fake", Role: Prediction, Domain: d, Shape: "N,...", When: paired, Doc: "for generated data: " + output}
	many := fake
	many.Shape, many.When = "M,...", unpaired
	return append([]Input{real, fake, many}, further...)
}

func paired(p Params) bool   { return p.Bool("paired") }
func unpaired(p Params) bool { return !p.Bool("paired") }

// pairedParam says how outputs for real and for generated data come together.
func pairedParam() Param {
	return Param{
		Name: "paired", Kind: Bool, Default: true, Try: []any{false},
		Doc: "true: the i-th term adds up the i-th real and the i-th generated output; false: each real one has the mean over all generated ones, of which there may be another number, at least one; the mean of the loss is the same",
	}
}

// discriminator makes Value, Gradient and Bound of a loss that adds up a side for
// real and one for generated data.
func discriminator(l Loss, sides func(Values, Params) (real, fake oneSide)) *Loss {
	l.Declare = append(l.Declare, pairedParam())
	l.Coupled = unpaired
	l.Value = func(in Values, p Params) (Terms, error) {
		real, fake := sides(in, p)
		fakes := partners(in, p, fake.value)
		loss := Zeros(in["real"].Shape)
		for i, x := range in["real"].Data {
			loss.Data[i] = real.value(x) + fakes[i]
		}
		return Terms{Loss: loss}, nil
	}
	l.Gradient = func(in Values, p Params, upstream Array) (Values, error) {
		real, fake := sides(in, p)
		r, f := in["real"], in["fake"]
		dr, df := Zeros(r.Shape), Zeros(f.Shape)
		for i, x := range r.Data {
			dr.Data[i] = upstream.Data[i] * real.slope(x)
		}
		share := sum(upstream.Data) / float64(len(f.Data))
		for i, x := range f.Data {
			if paired(p) {
				share = upstream.Data[i]
			}
			df.Data[i] = share * fake.slope(x)
		}
		return Values{"real": dr, "fake": df}, nil
	}
	l.Bound = func(in Values, p Params, eps float64) (Array, error) {
		terms, err := l.Value(in, p)
		if err != nil {
			return Array{}, err
		}
		real, fake := sides(in, p)
		fakes := partners(in, p, func(x float64) float64 {
			off := fake.off(x, eps)
			if unpaired(p) { // adding up rounds as often as there are numbers
				off += float64(len(in["fake"].Data)) * eps / 2 * math.Abs(fake.value(x))
			}
			return off
		})
		bound := Zeros(terms.Loss.Shape)
		for i, x := range in["real"].Data {
			bound.Data[i] = real.off(x, eps) + fakes[i] + eps*math.Abs(terms.Loss.Data[i])
		}
		return bound, nil
	}
	return &l
}

// partners gives each real output a number made of the generated ones: that of its
// partner, or the mean.
func partners(in Values, p Params, f func(float64) float64) []float64 {
	numbers := make([]float64, len(in["fake"].Data))
	for i, x := range in["fake"].Data {
		numbers[i] = f(x)
	}
	if paired(p) {
		return numbers
	}
	return Filled(in["real"].Shape, sum(numbers)/float64(len(numbers))).Data
}

// buildPartners is what partners is, in a lowering.
func buildPartners(b *ops.Builder, fakes ops.Value, p Params) ops.Value {
	if paired(p) {
		return fakes
	}
	return b.Label(buildMean(b, fakes), "mean_of_fake")
}

// generator makes Inputs, Value, Gradient and Bound of a loss on the
// discriminator's output for generated data.
func generator(l Loss, d Domain, output string, sideOf func(Params) oneSide) *Loss {
	l.Inputs = []Input{{Name: "fake", Role: Prediction, Domain: d, Shape: "...", Doc: "for generated data: " + output}}
	l.Value = func(in Values, p Params) (Terms, error) {
		s := sideOf(p)
		loss := Zeros(in["fake"].Shape)
		for i, x := range in["fake"].Data {
			loss.Data[i] = s.value(x)
		}
		return Terms{Loss: loss}, nil
	}
	l.Gradient = func(in Values, p Params, upstream Array) (Values, error) {
		s := sideOf(p)
		df := Zeros(in["fake"].Shape)
		for i, x := range in["fake"].Data {
			df.Data[i] = upstream.Data[i] * s.slope(x)
		}
		return Values{"fake": df}, nil
	}
	l.Bound = func(in Values, p Params, eps float64) (Array, error) {
		s := sideOf(p)
		bound := Zeros(in["fake"].Shape)
		for i, x := range in["fake"].Data {
			bound.Data[i] = s.off(x, eps)
		}
		return bound, nil
	}
	return &l
}

// alwaysSide is the side of a loss without parameters.
func alwaysSide(s oneSide) func(Params) oneSide { return func(Params) oneSide { return s } }

// discriminatorFigure draws both sides, each while the other one is at an output
// where it costs nothing.
func discriminatorFigure(x string, from, to, freeReal, freeFake float64, further ...Curve) *Figure {
	return &Figure{X: x, From: from, To: to, Curves: append([]Curve{
		{Label: "real", At: onReal(freeFake)},
		{Label: "fake", At: func(x float64) Values { return Values{"real": single(freeReal), "fake": single(x)} }},
	}, further...)}
}

func onReal(freeFake float64) func(float64) Values {
	return func(x float64) Values { return Values{"real": single(x), "fake": single(freeFake)} }
}

// single is a batch of one output.
func single(x float64) Array { return Array{Shape: []int{1}, Data: []float64{x}} }

// onFake is a curve over the output for generated data.
func onFake(label string, settings map[string]any) Curve {
	return against(label, settings, "fake", nil)
}
