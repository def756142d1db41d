package losses

import (
	"fmt"
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// Style is the distance of two images' Gram matrices.
var Style = &Loss{
	Name:    "StyleLoss",
	Summary: "style reconstruction loss: how far the Gram matrices of two feature maps are apart",
	Formula: `F = features of one sample, as C rows of H·W numbers
G = F Fᵀ / (C H W)
D = G(prediction) - G(style)
norm l2:        loss = Σ_ij D_ij², the squared Frobenius norm
norm smooth_l1: loss = Σ_ij h(D_ij), h(d) = d²/2 where |d| < 1, else |d| - 1/2
average: divided by C²`,
	Meaning: `How differently colours, textures and strokes go together in two images, wherever
they are: 0 where the Gram matrices agree, which also images of different size and arrangement
can have. The paper sums the matrices' entries; public code, its own included, takes their mean:
set average to compare with it, and note that a style weight for one is C² times off for the
other. The features enter to the fourth power, so the loss is steep: in float32 it overflows for
features beyond 1e9, in float16 long before.`,
	Paper: johnson + "; smooth_l1 as in the authors' code",
	Inputs: []Input{
		{Name: "prediction", Role: Prediction, Domain: Real, Shape: "N,C,H,W", Doc: "features of the images that are judged"},
		{Name: "style", Role: Target, Domain: Real, Shape: "S,C,P,Q", Doc: "features of the style images: one for each prediction, or one for all (S = 1); they may be of another size"},
	},
	Declare: []Param{
		averageParam(false, "divide by the number C² of the Gram matrix's entries, as public code does"),
		{Name: "norm", Kind: String, Default: "l2", Values: []string{"l2", "smooth_l1"}, Try: []any{"smooth_l1"}, Doc: "l2: an entry's squared difference, as in the paper; smooth_l1: linear beyond 1, so that strong features do not drown the others"},
	},
	Value:    styleValue,
	Gradient: styleGradient,
	Build:    buildStyle,
	Bound:    styleBound,
	Accuracy: "that of the two Gram matrices, (H W + 6)/2 ULP of their sums' magnitudes, times the slope of the distance, and a rounding for each of the C² entries: where the matrices nearly agree their errors are what is left of the difference",
	Figure: &Figure{
		X: "feature of the only channel and position, where the style has 1", From: -2, To: 2,
		Curves: over(styleOfOne, "norm", "l2", "smooth_l1"),
	},
}

// styleOfOne is a curve over the only feature, where the style has 1.
func styleOfOne(label string, settings map[string]any) Curve {
	return Curve{Label: label, Settings: settings, At: func(x float64) Values {
		return Values{"prediction": Filled([]int{1, 1, 1, 1}, x), "style": Filled([]int{1, 1, 1, 1}, 1)}
	}}
}

// styleOf finds the style image of a prediction.
func styleOf(sample, styles int) int {
	if styles == 1 {
		return 0
	}
	return sample
}

// entryDistance is what one entry's difference adds, and entrySlope its derivative.
func entryDistance(d float64, p Params) float64 {
	if p.String("norm") == "smooth_l1" {
		return huber(d, 1)
	}
	return d * d
}

func entrySlope(d float64, p Params) float64 {
	if p.String("norm") == "smooth_l1" {
		return min(max(d, -1), 1)
	}
	return 2 * d
}

// styleDivisor is what the sum over the entries of a Gram matrix is divided by.
func styleDivisor(p Params, channels int) float64 {
	if p.Bool("average") {
		return float64(channels * channels)
	}
	return 1
}

// gramDifferences is [N, C, C].
func gramDifferences(in Values) (Array, error) {
	d, target := gramMatrices(in["prediction"]), gramMatrices(in["style"])
	samples, styles := d.Shape[0], target.Shape[0]
	if styles != 1 && styles != samples {
		return Array{}, fmt.Errorf("style has %d images for %d predictions; give one for each, or one for all", styles, samples)
	}
	size := d.Shape[1] * d.Shape[2]
	for i := range d.Data {
		d.Data[i] -= target.Data[styleOf(i/size, styles)*size+i%size]
	}
	return d, nil
}

func styleValue(in Values, p Params) (Terms, error) {
	d, err := gramDifferences(in)
	if err != nil {
		return Terms{}, err
	}
	size := d.Shape[1] * d.Shape[2]
	loss := Zeros(d.Shape[:1])
	distances := make([]float64, size)
	for n := range loss.Data {
		for k := range distances {
			distances[k] = entryDistance(d.Data[n*size+k], p)
		}
		loss.Data[n] = sum(distances) / styleDivisor(p, d.Shape[1])
	}
	return Terms{Loss: loss}, nil
}

func styleGradient(in Values, p Params, upstream Array) (Values, error) {
	d, err := gramDifferences(in)
	if err != nil {
		return nil, err
	}
	styles, channels := in["style"].Shape[0], d.Shape[1]
	size := channels * channels
	byGram, byStyle := Zeros(d.Shape), Zeros([]int{styles, channels, channels})
	for i, entry := range d.Data {
		slope := upstream.Data[i/size] * entrySlope(entry, p) / styleDivisor(p, channels)
		byGram.Data[i] = slope
		byStyle.Data[styleOf(i/size, styles)*size+i%size] -= slope
	}
	return Values{
		"prediction": gramGradient(in["prediction"], byGram),
		"style":      gramGradient(in["style"], byStyle),
	}, nil
}

func styleBound(in Values, p Params, eps float64) (Array, error) {
	d, err := gramDifferences(in)
	if err != nil {
		return Array{}, err
	}
	ours, theirs := gramBound(in["prediction"], eps), gramBound(in["style"], eps)
	styles, size := in["style"].Shape[0], d.Shape[1]*d.Shape[2]
	bound := Zeros(d.Shape[:1])
	for i, entry := range d.Data {
		off := ours.Data[i] + theirs.Data[styleOf(i/size, styles)*size+i%size]
		most := math.Abs(entry) + off
		bound.Data[i/size] += off*entrySlope(most, p) + entryDistance(most, p)*roundings(size, eps)
	}
	return scaledBy(bound, 1/styleDivisor(p, d.Shape[1])), nil
}

func buildStyle(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	ours, theirs := buildGram(b, in["prediction"]), buildGram(b, in["style"])
	var distances ops.Value
	if p.String("norm") == "smooth_l1" {
		distances = buildHuber(b, ours, theirs, 1)
	} else {
		d := b.Label(b.Sub(ours, theirs), "gram_difference")
		distances = b.Mul(d, d)
	}
	reduce := b.ReduceSum
	if p.Bool("average") {
		reduce = b.ReduceMean
	}
	return ops.Terms{Loss: b.Label(reduce(distances, false, 1, 2), "style")}
}
