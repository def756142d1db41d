package losses

// activatedInputs is the prediction of a loss of images with the parameter
// activation.
func activatedInputs() []Input {
	given := func(p Params) bool { return p.String("activation") == "none" }
	logits := func(p Params) bool { return !given(p) }
	return []Input{
		{Name: "prediction", Role: Prediction, Domain: Real, Shape: "N,C,D,...", When: logits, Doc: "a logit for each class, classes on axis 1"},
		{Name: "prediction", Role: Prediction, Domain: UnitInterval, Shape: "N,C,D,...", When: given, Doc: "a probability for each class, classes on axis 1"},
	}
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
			if p.String("activation") != "none" {
				result.Data[c.index(i, k)] += smallestNormal(eps)
			}
		}
	}
	return result
}

const activationAccuracy = "the error of a probability is, relative to it, eps · (|log p|/2 + C/2 + 4) with softmax and 4 eps with sigmoid"
