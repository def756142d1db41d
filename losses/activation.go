package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// activationChoice says what turns a segmentation loss's prediction into
// probabilities.
func activationChoice() Param {
	return Param{
		Name: "activation", Kind: String, Default: "softmax", Values: []string{"softmax", "sigmoid", "none"}, Try: []any{"sigmoid", "none"},
		Doc: "what makes probabilities of the prediction: softmax over the classes, sigmoid for each class by itself, or none where it holds probabilities already",
	}
}

// activatedInputs is the prediction of a loss with an activation.
func activatedInputs(shape string) []Input {
	given := func(p Params) bool { return p.String("activation") == "none" }
	logits := func(p Params) bool { return !given(p) }
	return []Input{
		{Name: "prediction", Role: Prediction, Domain: Real, Shape: shape, When: logits, Doc: "a logit for each class, classes on axis 1"},
		{Name: "prediction", Role: Prediction, Domain: UnitInterval, Shape: shape, When: given, Doc: "a probability for each class, classes on axis 1"},
	}
}

// activated gives the probabilities of a prediction [N, C, ...].
func activated(x Array, p Params) Array {
	result := Zeros(x.Shape)
	switch p.String("activation") {
	case "none":
		copy(result.Data, x.Data)
	case "sigmoid":
		for i, x := range x.Data {
			result.Data[i] = sigmoid(x)
		}
	default:
		c := classesOf(x)
		for i := range c.positions() {
			for k, probability := range softmaxAt(x, c, i).p {
				result.Data[c.index(i, k)] = probability
			}
		}
	}
	return result
}

// beforeActivation turns a gradient by the probabilities into one by the prediction.
func beforeActivation(x Array, p Params, slope Array) Array {
	result := Zeros(x.Shape)
	switch p.String("activation") {
	case "none":
		copy(result.Data, slope.Data)
	case "sigmoid":
		for i, x := range x.Data {
			result.Data[i] = slope.Data[i] * sigmoid(x) * sigmoid(-x)
		}
	default:
		c := classesOf(x)
		share := make([]float64, c.count)
		for i := range c.positions() {
			d := softmaxAt(x, c, i)
			for k := range share {
				share[k] = slope.Data[c.index(i, k)] * d.p[k]
			}
			for k, others := range sumOfOthers(share) {
				// p slope - p Σ p slope, with the class's own part taken out of both
				result.Data[c.index(i, k)] = share[k]*d.miss[k] - d.p[k]*others
			}
		}
	}
	return result
}

// activationError is how far a graph's probabilities may be from the true ones.
func activationError(x Array, p Params, eps float64) Array {
	result := Zeros(x.Shape)
	switch p.String("activation") {
	case "none":
	case "sigmoid": // engines keep a small absolute error
		for i := range result.Data {
			result.Data[i] = eps
		}
	default: // a relative one: of e^(x - highest), of the sum, and of the quotient
		c := classesOf(x)
		for i := range c.positions() {
			highest := math.Inf(-1)
			for k := range c.count {
				highest = math.Max(highest, x.Data[c.index(i, k)])
			}
			for k, probability := range softmaxAt(x, c, i).p {
				drop := highest - x.Data[c.index(i, k)]
				result.Data[c.index(i, k)] = eps/2*(drop+float64(c.count)+6)*probability + smallestNormal(eps)
			}
		}
	}
	return result
}

const activationAccuracy = "the error of a probability is eps for sigmoid and, relative to it, eps · (distance of the logit from the highest + C + 6)/2 for softmax"

// buildActivated gives the probabilities.
func buildActivated(b *ops.Builder, x ops.Value, p Params) ops.Value {
	switch p.String("activation") {
	case "none":
		return x
	case "sigmoid":
		return b.Label(b.Sigmoid(x), "probability")
	}
	return b.Label(b.Softmax(x, 1), "probability")
}
