package losses

import "math"

// IoUBalancedFocal is the sigmoid focal loss with positives weighed by their IoU.
var IoUBalancedFocal = ofBalancedLabels(Loss{
	Name:    "IoUBalancedFocalLoss",
	Summary: "sigmoid focal loss of a detector in which well localised positives count for more",
	Formula: `P = α (1-p)^γ y softplus(-x), Q = (1-α) p^γ (1-y) softplus(x): the focal loss's sides for each class
N = Σ P / (Σ IoU^η P + epsilon), over all samples and classes
w = IoU^η N, one for each sample, not differentiated
loss = weight (w P + Q)`,
	Meaning: balancedLabelsMeaning + ` Detectors usually divide the sum by the number of positives:
take reduction sum and divide. η = 0 is the sigmoid focal loss, whose modulator split it has for
soft labels, and γ = 0 with α = -1 the IoU-balanced sigmoid loss.`,
	Paper: "Wu, Yang, Wang, Li: IoU-balanced Loss Functions for Single-stage Object Detection, 2019, arXiv:1908.05641; Lin et al. 2017, arXiv:1708.02002",
	Declare: append([]Param{
		etaParam(),
		alphaParam(0.25, []any{-1.0}, "weight of positive labels, negative ones get 1 - alpha; -1 leaves it out"),
		{Name: "gamma", Kind: Float, Default: 2.0, Min: 0, Max: math.Inf(1), Try: []any{0.0, 0.5}, Doc: "how strongly easy labels are turned down; 0 is cross-entropy"},
		iouSourceParam(),
		classAxisParam(),
	}, normalizerParams()...),
}, func(p Params) focus {
	positive, negative := alphas(p)
	return focus{positive, negative, p.Float("gamma")}
})
