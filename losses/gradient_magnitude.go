package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// GradientMagnitude compares how strong the edges of two images are.
var GradientMagnitude = &Loss{
	Name:    "GradientMagnitudeLoss",
	Summary: "difference of the edge strengths of two images",
	Formula: `∇ = gradient along x and y by the operator (see spatial-gradient)
m = sqrt(gx² + gy² + epsilon)
l1: loss = weight · |m(prediction) - m(target)|
l2: loss = weight · (m(prediction) - m(target))²
terms [N,C,H,W]`,
	Meaning: `How far edges differ in strength and place, but not in direction: an edge from black
to white costs nothing where the target's is from white to black. image-gradient sees that. Where
an image is flat the magnitude has a kink, and its gradient is taken as 0; epsilon rounds the kink
off. Operator gaussian, normalized=false, norm l2 and a weight of 1 in the unknown region is the
gradient error of the matting benchmark: take the sum, of images of 0 to 1. A mean with weights
divides by their sum; over weights that are all 0 it is NaN.`,
	Paper:  "Rhemann, Rother, Wang, Gelautz, Kohli, Rott: A Perceptually Motivated Online Benchmark for Image Matting, CVPR 2009; blur as in Cheng, Chung, Tai, Tang: CascadePSP, CVPR 2020, arXiv:2005.02551",
	Inputs: imageInputs(pixelWeight()),
	Declare: filterParams(normParam(),
		Param{Name: "epsilon", Kind: Float, Default: 0.0, Min: 0, Max: math.Inf(1), Try: []any{1e-6, 0.01}, Doc: "added under the root; public code has from 1e-8 to 1e-3"},
		Param{Name: "blur", Kind: Bool, Default: false, Try: []any{true}, Doc: "both images are averaged over 3x3 pixels first, with zeros beyond the border, as CascadePSP"}),
	Value:    gradientMagnitudeValue,
	Gradient: gradientMagnitudeGradient,
	Build:    buildGradientMagnitude,
	Bound:    gradientMagnitudeBound,
	Accuracy: "2 ULP of the magnitudes, and as many of the weighted differences of pixels that their gradients add up as for spatial-gradient; magnitudes below the root of the smallest normal number may be lost",
	Figure:   blurFigure(over(blurredEdge(1), "operator", "sobel", "gaussian")),
}

// edges is what the magnitude of an image's gradient is made of.
type edges struct {
	gradient  [2]Array
	magnitude Array
}

func edgesOf(image Array, p Params) edges {
	if p.Bool("blur") {
		image = boxBlur(image)
	}
	e := edges{gradient: filterOf(p).apply(image), magnitude: Zeros(image.Shape)}
	floor := math.Sqrt(p.Float("epsilon"))
	for i := range e.magnitude.Data {
		e.magnitude.Data[i] = math.Hypot(math.Hypot(e.gradient[0].Data[i], e.gradient[1].Data[i]), floor)
	}
	return e
}

// boxBlur averages 3x3 pixels, with zeros beyond the border. It is its own
// transpose.
func boxBlur(image Array) Array {
	g := gridOf(image)
	blurred := Zeros(image.Shape)
	g.each(func(plane, row, column, index int) {
		for dy := -1; dy <= 1; dy++ {
			for dx := -1; dx <= 1; dx++ {
				blurred.Data[index] += pixelAt(image, g.at(plane, row+dy, column+dx, true))
			}
		}
		blurred.Data[index] /= 9
	})
	return blurred
}

func gradientMagnitudeValue(in Values, p Params) (Terms, error) {
	predicted, wanted := edgesOf(in["prediction"], p), edgesOf(in["target"], p)
	weight := optional(in, "weight", predicted.magnitude.Shape)
	loss := difference(predicted.magnitude, wanted.magnitude)
	for i, d := range loss.Data {
		loss.Data[i] = weight.Data[i] * normOf(d, p)
	}
	terms := Terms{Loss: loss}
	if _, weighted := in["weight"]; weighted {
		terms.Weight = &weight
	}
	return terms, nil
}

func gradientMagnitudeGradient(in Values, p Params, upstream Array) (Values, error) {
	predicted, wanted := edgesOf(in["prediction"], p), edgesOf(in["target"], p)
	weight := optional(in, "weight", upstream.Shape)
	byPrediction := Zeros(upstream.Shape)
	for i, u := range upstream.Data {
		byPrediction.Data[i] = u * weight.Data[i] * normSlope(predicted.magnitude.Data[i]-wanted.magnitude.Data[i], p)
	}
	return Values{
		"prediction": predicted.transpose(byPrediction, p),
		"target":     wanted.transpose(negative(byPrediction), p),
	}, nil
}

// transpose computes the derivative by the image of Σ upstream · magnitude.
func (e edges) transpose(upstream Array, p Params) Array {
	up := zeroPair(upstream.Shape)
	for i, m := range e.magnitude.Data {
		if m == 0 { // the kink
			continue
		}
		up[0].Data[i] = upstream.Data[i] * (e.gradient[0].Data[i] / m)
		up[1].Data[i] = upstream.Data[i] * (e.gradient[1].Data[i] / m)
	}
	image := filterOf(p).transpose(up)
	if p.Bool("blur") {
		return boxBlur(image)
	}
	return image
}

func gradientMagnitudeBound(in Values, p Params, eps float64) (Array, error) {
	predicted, wanted := edgesOf(in["prediction"], p), edgesOf(in["target"], p)
	offPredicted, offWanted := predicted.rounding(in["prediction"], p, eps), wanted.rounding(in["target"], p, eps)
	weight := optional(in, "weight", offPredicted.Shape)
	bound := Zeros(offPredicted.Shape)
	for i := range bound.Data {
		d := predicted.magnitude.Data[i] - wanted.magnitude.Data[i]
		off := offPredicted.Data[i] + offWanted.Data[i]
		bound.Data[i] = weight.Data[i] * (normError(d, off, eps, p) + eps*normOf(d, p))
	}
	return bound, nil
}

// rounding bounds the error of the magnitudes. A magnitude is off by no more than
// its gradient is, as a vector; squaring and rooting add 2 eps of it, and squares
// that are no normal numbers may be lost.
func (e edges) rounding(image Array, p Params, eps float64) Array {
	f := filterOf(p)
	off := f.rounding(image, eps)
	if p.Bool("blur") {
		size := Zeros(image.Shape)
		for i, x := range image.Data {
			size.Data[i] = math.Abs(x)
		}
		off = f.inexact(boxBlur(size), 3*eps)
	}
	bound := Zeros(image.Shape)
	for i, m := range e.magnitude.Data {
		bound.Data[i] = math.Hypot(off[0].Data[i], off[1].Data[i]) + 2*eps*m + lostInRoot(m, eps)
	}
	return bound
}

// lostInRoot is what the root of a sum of squares may lack because squares below
// the smallest normal number are lost.
func lostInRoot(root, eps float64) float64 {
	lost := 4 * smallestNormal(eps)
	if root == 0 {
		return 0
	}
	return math.Min(math.Sqrt(lost), lost/root)
}

func buildGradientMagnitude(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	d := b.Sub(buildMagnitude(b, in["prediction"], p), buildMagnitude(b, in["target"], p))
	loss := b.Label(buildNorm(b, b.Label(d, "magnitude_difference"), p), "gradient_difference")
	w := in["weight"]
	if !w.Present() {
		return ops.Terms{Loss: loss}
	}
	return ops.Terms{Loss: scale(b, loss, w), Weight: b.Label(scale(b, onesLike(b, loss), w), "weights")}
}

func buildMagnitude(b *ops.Builder, image ops.Value, p Params) ops.Value {
	if p.Bool("blur") {
		image = buildBoxBlur(b, image)
	}
	x, y := separableOf(p).gradient(b, image)
	square := b.Add(b.Mul(x, x), b.Mul(y, y))
	if epsilon := p.Float("epsilon"); epsilon > 0 {
		square = b.Add(square, b.Scalar(square, epsilon))
	}
	return b.Label(b.Sqrt(square), "magnitude")
}

func buildBoxBlur(b *ops.Builder, image ops.Value) ops.Value {
	x := b.Pad(image, ops.PadZero, []int{0, 0, 1, 1}, []int{0, 0, 1, 1})
	for _, axis := range []int{2, 3} {
		x = b.Add(b.Add(shifted(b, x, axis, 1, -1), shifted(b, x, axis, 1, 0)), shifted(b, x, axis, 1, 1))
	}
	return b.Label(b.Assume(b.Mul(x, b.Scalar(x, 1.0/9)), image.Shape()), "blurred")
}
