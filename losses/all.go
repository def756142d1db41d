package losses

// All lists the catalogue, in the order in which it is shown.
func All() []*Loss {
	return []*Loss{
		SoftmaxCrossEntropy,
		SigmoidCrossEntropy,
		SigmoidFocal,
		SigmoidFocalStar,
		SoftmaxFocal,
		MSE,
		L1,
		SmoothL1,
		Huber,
	}
}
