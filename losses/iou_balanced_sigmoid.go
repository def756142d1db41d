package losses

// IoUBalancedSigmoid is binary cross-entropy with positives weighed by their IoU.
var IoUBalancedSigmoid = ofBalancedLabels(Loss{
	Name:    "IoUBalancedSigmoidLoss",
	Summary: "binary cross-entropy of a detector in which well localised positives count for more",
	Formula: `P = y softplus(-x), Q = (1 - y) softplus(x): the cross-entropy's sides for each class
N = Σ P / (Σ IoU^η P + epsilon), over all samples and classes
w = IoU^η N, one for each sample, not differentiated
loss = weight (w P + Q)`,
	Meaning: balancedLabelsMeaning + ` η = 0 is plain cross-entropy.`,
	Paper:   "Wu, Yang, Wang, Li: IoU-balanced Loss Functions for Single-stage Object Detection, 2019, arXiv:1908.05641",
	Declare: append([]Param{etaParam(), iouSourceParam(), classAxisParam()}, normalizerParams()...),
	Figure: &Figure{
		X: "IoU; weight of a positive beside one of the same cross-entropy and IoU 0.5", From: 0, To: 1,
		Curves: over(positiveLabelOfIoU, "eta", 0.0, 0.5, 1.0, 1.5),
	},
}, func(Params) focus { return focus{positive: 1, negative: 1} })
