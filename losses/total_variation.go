package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// TotalVariation is how unsmooth an image is.
var TotalVariation = &Loss{
	Name:    "TotalVariationLoss",
	Summary: "total variation: how much neighbouring pixels of an image differ",
	Formula: `vertical   = Σ over 0 <= i < H-1, 0 <= j < W   of h(x[i+1, j] - x[i, j])
horizontal = Σ over 0 <= i < H,   0 <= j < W-1 of h(x[i, j+1] - x[i, j])
norm l1: h(d) = |d|; norm l2: h(d) = d²
loss = vertical + horizontal
average: loss = vertical / ((H-1) W) + horizontal / (H (W-1))`,
	Meaning: `A regularizer: 0 for an image of one colour, large for noise; one number for
each channel of each sample. l1 lets edges stand, l2 blurs them.
Papers and code mean different things by the name: they sum or average, take absolute
differences or squares; compare the parameters before a weight is carried over. The sums grow
with the size of the image, the averages do not. A single row or column has no neighbours across
and adds 0 for them. Where neighbours are equal the gradient of l1 is taken as 0.`,
	Paper: "Rudin, Osher, Fatemi: Nonlinear total variation based noise removal algorithms, Physica D 60, 1992 (anisotropic form); as a regularizer in " + johnson,
	Inputs: []Input{
		{Name: "image", Role: Prediction, Domain: Real, Shape: "N,C,H,W", Doc: "images, or any maps that should be smooth"},
	},
	Declare: []Param{
		averageParam(false, "divide each direction's sum by its number of differences"),
		normParam(),
	},
	Value:    totalVariationValue,
	Gradient: totalVariationGradient,
	Build:    buildTotalVariation,
	Bound: func(in Values, p Params, eps float64) (Array, error) {
		shape := in["image"].Shape
		return relativeBound(totalVariationValue, in, p, roundings(shape[2]*shape[3], eps))
	},
	Accuracy: "(H W + 6)/2 ULP relative: a rounding for each of the differences of a direction that are summed; nothing cancels, as the pixels are given exactly",
}

// direction is the neighbours along one axis: each pixel that has one, and the
// distance to it in memory.
type direction struct {
	pixels []int
	step   int
}

func directionsOf(height, width int) []direction {
	vertical, horizontal := direction{step: width}, direction{step: 1}
	for i := range height {
		for j := range width {
			if i < height-1 {
				vertical.pixels = append(vertical.pixels, i*width+j)
			}
			if j < width-1 {
				horizontal.pixels = append(horizontal.pixels, i*width+j)
			}
		}
	}
	return []direction{vertical, horizontal}
}

// divisor is what the direction's sum is divided by; a sum over nothing is 0.
func (d direction) divisor(p Params) float64 {
	if p.Bool("average") {
		return float64(max(1, len(d.pixels)))
	}
	return 1
}

func totalVariationValue(in Values, p Params) (Terms, error) {
	shape, x := in["image"].Shape, in["image"].Data
	size := shape[2] * shape[3]
	loss := Zeros(shape[:2])
	for _, d := range directionsOf(shape[2], shape[3]) {
		distances := make([]float64, len(d.pixels))
		for n := range loss.Data {
			for k, pixel := range d.pixels {
				at := n*size + pixel
				distances[k] = math.Abs(x[at+d.step] - x[at])
				if p.String("norm") == "l2" {
					distances[k] *= distances[k]
				}
			}
			loss.Data[n] += sum(distances) / d.divisor(p)
		}
	}
	return Terms{Loss: loss}, nil
}

func totalVariationGradient(in Values, p Params, upstream Array) (Values, error) {
	shape, x := in["image"].Shape, in["image"].Data
	size := shape[2] * shape[3]
	gradient := Zeros(shape)
	for _, d := range directionsOf(shape[2], shape[3]) {
		for n, up := range upstream.Data {
			for _, pixel := range d.pixels {
				at := n*size + pixel
				slope := sign(x[at+d.step] - x[at])
				if p.String("norm") == "l2" {
					slope = 2 * (x[at+d.step] - x[at])
				}
				slope *= up / d.divisor(p)
				gradient.Data[at+d.step] += slope
				gradient.Data[at] -= slope
			}
		}
	}
	return Values{"image": gradient}, nil
}

func buildTotalVariation(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	vertical := b.Label(buildVariation(b, in["image"], 2, p), "vertical")
	horizontal := b.Label(buildVariation(b, in["image"], 3, p), "horizontal")
	return ops.Terms{Loss: b.Label(b.Add(vertical, horizontal), "total_variation")}
}

// buildVariation is the differences along one axis, summed over the image.
func buildVariation(b *ops.Builder, image ops.Value, axis int, p Params) ops.Value {
	d := b.Sub(b.Slice(image, axis, 1, math.MaxInt64), b.Slice(image, axis, 0, -1))
	distances := b.Abs(d)
	if p.String("norm") == "l2" {
		distances = b.Mul(d, d)
	}
	total := b.ReduceSum(distances, false, 2, 3)
	if !p.Bool("average") {
		return total
	}
	shape := b.Cast(b.ShapeOf(d), d.DType())
	count := b.Label(b.Mul(b.Slice(shape, 0, 2, 3), b.Slice(shape, 0, 3, 4)), "count")
	return b.Div(total, b.Max(count, b.Scalar(count, 1)))
}
