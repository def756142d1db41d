package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// activatedInputs is the prediction of a loss with the parameter activation.
func activatedInputs(shape string) []Input {
	return []Input{
		{Name: "prediction", Role: Prediction, Domain: Logit, Shape: shape, When: hasLogits, Doc: "one logit a class, classes on axis 1"},
		{Name: "prediction", Role: Prediction, Domain: UnitInterval, Shape: shape, When: hasProbabilities, Doc: "one probability a class, classes on axis 1"},
	}
}

func hasLogits(p Params) bool        { return !hasProbabilities(p) }
func hasProbabilities(p Params) bool { return p.String("activation") == "none" }

func activationParam() Param {
	return Param{Name: "activation", Kind: String, Default: "softmax", Values: []string{"softmax", "sigmoid", "none"}, Try: []any{"sigmoid", "none"}, Doc: "what makes probabilities of the prediction: softmax over the classes, sigmoid for classes that do not exclude each other, none where it holds them already"}
}

// probabilitiesAt applies the activation at a position; only softmax gives logP.
func probabilitiesAt(prediction Array, c classes, position int, p Params) distribution {
	activation := p.String("activation")
	if activation == "softmax" {
		return softmaxAt(prediction, c, position)
	}
	d := distribution{p: make([]float64, c.count), miss: make([]float64, c.count)}
	for k := range c.count {
		x := prediction.Data[c.index(position, k)]
		if activation == "sigmoid" {
			d.p[k], d.miss[k] = sigmoid(x), sigmoid(-x)
		} else {
			d.p[k], d.miss[k] = x, 1-x
		}
	}
	return d
}

// backward turns slopes by the probabilities into those by the prediction.
func (d distribution) backward(slope []float64, p Params) []float64 {
	by := make([]float64, len(slope))
	switch p.String("activation") {
	case "softmax":
		for k := range by {
			by[k] = d.p[k] * slope[k]
		}
		others := sumOfOthers(by)
		for k := range by {
			// p slope - p Σ p slope, with the class's own part taken out of both
			by[k] = by[k]*d.miss[k] - d.p[k]*others[k]
		}
	case "sigmoid":
		for k := range by {
			by[k] = slope[k] * d.p[k] * d.miss[k]
		}
	default:
		copy(by, slope)
	}
	return by
}

// rounding bounds the error of a probability: e^x has the error of its exponent.
func (d distribution) rounding(k int, eps float64, p Params) float64 {
	switch p.String("activation") {
	case "softmax":
		if d.p[k] == 0 {
			return 0
		}
		return eps * d.p[k] * (math.Abs(d.logP[k])/2 + float64(len(d.p))/2 + 4)
	case "sigmoid":
		return 4 * eps * d.p[k]
	}
	return 0
}

// activated gives the probabilities of a prediction [N, C, ...].
func activated(x Array, p Params) Array {
	result := Zeros(x.Shape)
	c := classesOf(x)
	for i := range c.positions() {
		for k, probability := range probabilitiesAt(x, c, i, p).p {
			result.Data[c.index(i, k)] = probability
		}
	}
	return result
}

// beforeActivation turns a gradient by the probabilities into one by the prediction.
func beforeActivation(x Array, p Params, slope Array) Array {
	result := Zeros(x.Shape)
	c := classesOf(x)
	byProbability := make([]float64, c.count)
	for i := range c.positions() {
		for k := range byProbability {
			byProbability[k] = slope.Data[c.index(i, k)]
		}
		for k, d := range probabilitiesAt(x, c, i, p).backward(byProbability, p) {
			result.Data[c.index(i, k)] = d
		}
	}
	return result
}

// activationError is how far a graph's probabilities may be from the true ones: they
// have a relative error, until they are below the smallest normal number.
func activationError(x Array, p Params, eps float64) Array {
	result := Zeros(x.Shape)
	c := classesOf(x)
	for i := range c.positions() {
		d := probabilitiesAt(x, c, i, p)
		for k := range d.p {
			result.Data[c.index(i, k)] = d.rounding(k, eps, p)
			if hasLogits(p) {
				result.Data[c.index(i, k)] += smallestNormal(eps)
			}
		}
	}
	return result
}

// activationAccuracy is what activationError allows, in words.
const activationAccuracy = "the error of a probability is, relative to it, eps · (|log p|/2 + C/2 + 4) with softmax and 4 eps with sigmoid"

func buildActivation(b *ops.Builder, x ops.Value, p Params) ops.Value {
	switch p.String("activation") {
	case "softmax":
		return b.Label(b.Softmax(x, 1), "probability")
	case "sigmoid":
		// Engines' own Sigmoid is 0 where it should be small, which tells an empty
		// region from one that is not.
		one := b.Scalar(x, 1)
		return b.Label(b.Div(one, b.Add(one, b.Exp(b.Neg(x)))), "probability")
	}
	return x
}
