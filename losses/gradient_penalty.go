package losses

import (
	"math"
	"slices"

	"github.com/onnxloss/onnxloss/ops"
)

// WGANGradientPenalty is WGAN-GP's penalty on the critic's slope.
var WGANGradientPenalty = normPenalty(Loss{
	Name:    "WGANGradientPenaltyLoss",
	Summary: "WGAN-GP: squared distance of the critic's gradient norm from 1, at points between real and generated data",
	Meaning: `What the critic pays for a slope other than target_norm: 0 where the gradient at every
point has that norm, coefficient · target_norm² where the critic is flat. Added to the critic's
loss it stands for the bounded slope that the Wasserstein distance asks for. The input is the
critic's gradient with respect to its own input, one row a sample, which the caller computes at
x = u real + (1 - u) fake with u uniform from 0 to 1, one for each sample. Where a gradient
is zero, so is the penalty's own gradient. The coefficient is included: for figures without it
set 1.`,
	Paper: "Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville: Improved Training of Wasserstein GANs, NIPS 2017, arXiv:1704.00028",
})

// DRAGANGradientPenalty is the same function at other points.
var DRAGANGradientPenalty = normPenalty(Loss{
	Name:    "DRAGANGradientPenaltyLoss",
	Summary: "DRAGAN: squared distance of the discriminator's gradient norm from 1, at points around real data",
	Meaning: `The same function as wgan-gradient-penalty; what differs is where the caller computes the
gradient: around real data only, at x = real + noise, which keeps the discriminator from sharp
slopes there. The paper's noise is Gaussian; implementations take a uniform one in proportion
to the standard deviation of the batch. 0 where the gradient at every point has the norm
target_norm. Where a gradient is zero, so is the penalty's own gradient. The coefficient is
included: for figures without it set 1.`,
	Paper: "Kodali, Abernethy, Hays, Kira: On Convergence and Stability of GANs, 2017, arXiv:1705.07215",
})

// R1GradientPenalty penalises any slope at real data.
var R1GradientPenalty = &Loss{
	Name:    "R1GradientPenaltyLoss",
	Summary: "R1: squared norm of the discriminator's gradient at real data",
	Formula: `loss_i = gamma/2 · Σ_j gradient_ij²`,
	Meaning: `What the discriminator pays for any slope at real data: 0 where it is flat there, as it
should be once generated data is where real data is. The input is the discriminator's gradient
with respect to its own input, at real data, one row a sample; at generated data instead it is
the R2 penalty. gamma is included: for figures without it set 1, which leaves the half.`,
	Paper:  "Mescheder, Geiger, Nowozin: Which Training Methods for GANs do actually Converge?, ICML 2018, arXiv:1801.04406",
	Inputs: gradientInput(),
	Declare: []Param{
		{Name: "gamma", Kind: Float, Default: 10.0, Min: 0, Max: math.Inf(1), Try: []any{1.0, 0.1}, Doc: "the factor γ; half of it multiplies the squared norm"},
	},
	Value:    r1Value,
	Gradient: r1Gradient,
	Build: func(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
		squares := buildSquaredNorms(b, in["gradient"])
		return ops.Terms{Loss: b.Label(b.Mul(squares, b.Scalar(squares, p.Float("gamma")/2)), "penalty")}
	},
	Bound: func(in Values, p Params, eps float64) (Array, error) {
		return relativeBound(r1Value, in, p, eps*(float64(sampleSize(in["gradient"]))/2+1))
	},
	Accuracy: "n/2 + 1 ULP relative for a gradient of n numbers: squares do not cancel, adding up rounds as often as there are numbers",
	Figure:   &Figure{X: normAxis, From: 0, To: 3, Curves: over(ofNorm, "gamma", 10, 1)},
}

func gradientInput() []Input {
	return []Input{{
		Name: "gradient", Role: Prediction, Domain: Real, Shape: "N,...",
		Doc: "the gradient of the discriminator's output for each sample with respect to that sample",
	}}
}

func r1Value(in Values, p Params) (Terms, error) {
	g := in["gradient"]
	loss := Zeros(g.Shape[:1])
	for i := range loss.Data {
		squares := 0.0
		for _, x := range sampleOf(g, i) {
			squares += x * x
		}
		loss.Data[i] = p.Float("gamma") / 2 * squares
	}
	return Terms{Loss: loss}, nil
}

func r1Gradient(in Values, p Params, upstream Array) (Values, error) {
	g := in["gradient"]
	slope := Zeros(g.Shape)
	for i, u := range upstream.Data {
		row := sampleOf(slope, i)
		for j, x := range sampleOf(g, i) {
			row[j] = u * p.Float("gamma") * x
		}
	}
	return Values{"gradient": slope}, nil
}

// normPenalty completes a penalty on the norm of a gradient.
func normPenalty(l Loss) *Loss {
	l.Formula = `|g_i| = sqrt(epsilon + Σ_j gradient_ij²), or with batch
|g_i| = sqrt(epsilon + Σ_ij gradient_ij²), the same for every i
loss_i = coefficient · (|g_i| - target_norm)²`
	l.Inputs = gradientInput()
	l.Declare = []Param{
		{Name: "coefficient", Kind: Float, Default: 10.0, Min: 0, Max: math.Inf(1), Try: []any{1.0}, Doc: "the factor λ"},
		{Name: "target_norm", Kind: Float, Default: 1.0, Min: 0, Max: math.Inf(1), Try: []any{0.0, 0.3}, Doc: "the norm that costs nothing"},
		{Name: "batch", Kind: Bool, Default: false, Try: []any{true}, Doc: "all samples have the norm of the whole batch, as torchgan; else each has its own, as in the paper"},
		{Name: "epsilon", Kind: Float, Default: 0.0, Min: 0, Max: math.Inf(1), Try: []any{1e-4}, Doc: "added under the root, as compare_gan does with 1e-4; 0 is the paper's norm"},
	}
	l.Coupled = batchTogether
	l.Value = normPenaltyValue
	l.Gradient = normPenaltyGradient
	l.Bound = normPenaltyBound
	l.Build = buildNormPenalty
	l.Accuracy = "for a norm over n numbers, n/4 + 1 ULP of the norm and 1 ULP of its distance from the target, times twice that distance, and 2 ULP relative; in float32 the squares overflow from norms of 1.8e19 on, about where the penalty itself does"
	l.Figure = &Figure{X: normAxis, From: 0, To: 2, Curves: slices.Concat(
		over(ofNorm, "target_norm", 1, 0.5), over(ofNorm, "coefficient", 1),
	)}
	return &l
}

const normAxis = "norm of the gradient"

// ofNorm is a curve over the norm of one sample's gradient.
func ofNorm(label string, settings map[string]any) Curve {
	return Curve{Label: label, Settings: settings, At: func(x float64) Values { return Values{"gradient": single(x)} }}
}

// euclidean is the norm of a vector, by its largest element, so that no square
// overflows or vanishes; epsilon is added under the root.
func euclidean(vector []float64, epsilon float64) float64 {
	largest, squares := 0.0, 0.0
	for _, x := range vector {
		largest = max(largest, math.Abs(x))
	}
	if largest == 0 || math.IsInf(largest, 1) {
		return math.Hypot(largest, math.Sqrt(epsilon))
	}
	for _, x := range vector {
		squares += x / largest * (x / largest)
	}
	return math.Hypot(largest*math.Sqrt(squares), math.Sqrt(epsilon))
}

// norms gives each sample the norm of its gradient, or of the batch's.
func norms(g Array, p Params) []float64 {
	epsilon := p.Float("epsilon")
	if batchTogether(p) {
		return Filled(g.Shape[:1], euclidean(g.Data, epsilon)).Data
	}
	all := Zeros(g.Shape[:1]).Data
	for i := range all {
		all[i] = euclidean(sampleOf(g, i), epsilon)
	}
	return all
}

func normPenaltyValue(in Values, p Params) (Terms, error) {
	g := in["gradient"]
	loss := Zeros(g.Shape[:1])
	for i, norm := range norms(g, p) {
		distance := norm - p.Float("target_norm")
		loss.Data[i] = p.Float("coefficient") * distance * distance
	}
	return Terms{Loss: loss}, nil
}

// normPenaltyGradient is 2 λ (|g| - k) g/|g|, and 0 where g is.
func normPenaltyGradient(in Values, p Params, upstream Array) (Values, error) {
	g := in["gradient"]
	slope := Zeros(g.Shape)
	total := sum(upstream.Data)
	for i, norm := range norms(g, p) {
		if norm == 0 {
			continue
		}
		u := upstream.Data[i]
		if batchTogether(p) {
			u = total
		}
		factor := u * 2 * p.Float("coefficient") * (norm - p.Float("target_norm"))
		row := sampleOf(slope, i)
		for j, x := range sampleOf(g, i) {
			row[j] = factor * (x / norm)
		}
	}
	return Values{"gradient": slope}, nil
}

func normPenaltyBound(in Values, p Params, eps float64) (Array, error) {
	g := in["gradient"]
	bound := Zeros(g.Shape[:1])
	coefficient, target := p.Float("coefficient"), p.Float("target_norm")
	for i, norm := range norms(g, p) {
		count := sampleSize(g)
		if batchTogether(p) {
			count = len(g.Data)
		}
		distance := math.Abs(norm - target)
		off := (float64(count)/4+1)*eps*norm + eps*distance + roundingOf(target, eps)
		bound.Data[i] = coefficient * (off*(2*distance+off) + 2*eps*distance*distance)
	}
	return bound, nil
}

// buildSquaredNorms adds up the squares of each sample, whatever its axes.
func buildSquaredNorms(b *ops.Builder, g ops.Value) ops.Value {
	rows := b.Flatten(g)
	return b.Label(b.ReduceSum(b.Mul(rows, rows), false, 1), "squared_norm")
}

func buildNormPenalty(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	squares := buildSquaredNorms(b, in["gradient"])
	samples := squares
	if batchTogether(p) {
		squares = b.Label(b.ReduceSum(squares, false), "squared_norm_of_batch")
	}
	if epsilon := p.Float("epsilon"); epsilon > 0 {
		squares = b.Add(squares, b.Scalar(squares, epsilon))
	}
	distance := b.Label(b.Sqrt(squares), "norm")
	if target := p.Float("target_norm"); target != 0 {
		distance = b.Label(b.Sub(distance, b.Scalar(distance, target)), "distance")
	}
	penalty := b.Mul(b.Mul(distance, distance), b.Scalar(distance, p.Float("coefficient")))
	if batchTogether(p) {
		zeros := b.Filled(b.ShapeOf(samples), samples.DType(), 0, samples.Shape())
		penalty = b.Add(zeros, penalty)
	}
	return ops.Terms{Loss: b.Label(penalty, "penalty")}
}
