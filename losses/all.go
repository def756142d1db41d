package losses

import "slices"

// Family is a part of the catalogue.
type Family struct {
	Name   string
	Losses []*Loss
}

// All lists the catalogue, in the order in which it is shown.
func All() []*Loss {
	var all []*Loss
	for _, family := range Families() {
		all = slices.Concat(all, family.Losses)
	}
	return all
}

// Families lists the catalogue by what the losses are for.
func Families() []Family {
	return []Family{
		{"Classification", []*Loss{
			SoftmaxCrossEntropy,
			SigmoidCrossEntropy,
			BinaryCrossEntropy,
			NLL,
			KLDivergence,
			Hinge,
		}},
		{"Bi-tempered", []*Loss{
			BiTemperedLogistic,
			BiTemperedBinary,
			TemperedSoftmax,
			TemperedSigmoid,
		}},
		{"Focal", []*Loss{
			SigmoidFocal,
			SigmoidFocalStar,
			SoftmaxFocal,
		}},
		{"Regression", []*Loss{
			MSE,
			L1,
			SmoothL1,
			Huber,
		}},
		{"Segmentation", []*Loss{
			Dice,
			GeneralizedDice,
			Tversky,
			Boundary,
			BoundaryDice,
			Hausdorff,
			SignedDistanceMap,
			DistanceTransform,
		}},
		{"Perceptual", []*Loss{
			FeatureReconstruction,
			GramMatrix,
			Style,
			TotalVariation,
			ImagenetNormalization,
		}},
		{"Adversarial", []*Loss{
			MinimaxDiscriminator,
			MinimaxGenerator,
			NonSaturatingDiscriminator,
			NonSaturatingGenerator,
			LeastSquaresDiscriminator,
			LeastSquaresGenerator,
			WassersteinCritic,
			WassersteinGenerator,
			WGANGradientPenalty,
			DRAGANGradientPenalty,
			R1GradientPenalty,
			HingeDiscriminator,
			HingeGenerator,
			EBGANDiscriminator,
			EBGANGenerator,
			BEGANDiscriminator,
			BEGANGenerator,
			BEGANBalance,
			BEGANConvergence,
		}},
		{"Boxes", []*Loss{
			IoU,
			GIoU,
			DIoU,
			CIoU,
			BoundedIoU,
			BalancedL1,
			IoUBalancedSoftmax,
			IoUBalancedSigmoid,
			IoUBalancedFocal,
			IoUBalancedSmoothL1,
		}},
		{"Image gradient", []*Loss{
			SpatialGradient,
			ImageGradient,
			GradientMagnitude,
			LaplacianPyramid,
			MaskImageGradientConsistency,
		}},
	}
}
