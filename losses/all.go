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
		}},
		{"Focal", []*Loss{
			SigmoidFocal,
			SigmoidFocalStar,
			SoftmaxFocal,
		}},
		{"Segmentation", []*Loss{
			Boundary,
			BoundaryDice,
			Hausdorff,
			SignedDistanceMap,
			DistanceTransform,
		}},
		{"Regression", []*Loss{
			MSE,
			L1,
			SmoothL1,
			Huber,
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
	}
}
