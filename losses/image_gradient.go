package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// ImageGradient compares the gradients of two images, each direction by itself.
var ImageGradient = &Loss{
	Name:    "ImageGradientLoss",
	Summary: "difference of the gradients of two images, for mattes and fine detail",
	Formula: `∇ = gradient along x and y by the operator (see spatial-gradient)
l1: loss = weight · |∇prediction - ∇target|
l2: loss = weight · (∇prediction - ∇target)²
terms [N,C,2,H,W]: along x, along y`,
	Meaning: `How far edges differ in strength, place and direction. A constant added to the
prediction costs nothing (with padding replicate), so that the loss goes with one on the values
themselves, such as l1. Blurred hair costs more than in an l1 of values, because the sharp edges
of the target are missing. A mean with weights divides by their sum; over weights that are all 0
it is NaN.`,
	Paper:    "Tang, Aksoy, Öztireli, Gross, Aydin: Learning-Based Sampling for Natural Image Matting, CVPR 2019; squared as in Eigen and Fergus: Predicting Depth, Surface Normals and Semantic Labels with a Common Multi-Scale Convolutional Architecture, ICCV 2015, arXiv:1411.4734",
	Inputs:   imageInputs(pixelWeight()),
	Declare:  filterParams(normParam()),
	Value:    imageGradientValue,
	Gradient: imageGradientGradient,
	Build:    buildImageGradient,
	Bound:    imageGradientBound,
	Accuracy: "2 ULP (8 for gaussian) of the sum of the absolute weighted differences prediction - target that a gradient adds up, times the slope of the norm",
	Figure:   blurFigure(over(blurredEdge(1), "norm", "l1", "l2")),
}

// imageGradients is the gradient of the difference, which is the difference of the
// gradients, with the weights of its terms.
func imageGradients(in Values, p Params) (gradients [2]Array, weight Array) {
	d := difference(in["prediction"], in["target"])
	return filterOf(p).apply(d), optional(in, "weight", d.Shape)
}

func imageGradientValue(in Values, p Params) (Terms, error) {
	gradients, weight := imageGradients(in, p)
	for _, g := range gradients {
		for i, x := range g.Data {
			g.Data[i] = weight.Data[i] * normOf(x, p)
		}
	}
	terms := Terms{Loss: interleave(gradients)}
	if _, weighted := in["weight"]; weighted {
		both := interleave([2]Array{weight, weight})
		terms.Weight = &both
	}
	return terms, nil
}

// normOf is |d| or d².
func normOf(d float64, p Params) float64 {
	if p.String("norm") == "l2" {
		return d * d
	}
	return math.Abs(d)
}

func normSlope(d float64, p Params) float64 {
	if p.String("norm") == "l2" {
		return 2 * d
	}
	return sign(d)
}

// normError is how far the norm of d is off where d is off by up to off.
func normError(d, off, eps float64, p Params) float64 {
	if p.String("norm") == "l2" {
		return (2*math.Abs(d)+off)*off + eps*d*d
	}
	return off
}

func imageGradientGradient(in Values, p Params, upstream Array) (Values, error) {
	gradients, weight := imageGradients(in, p)
	up := separate(upstream)
	for direction, g := range gradients {
		for i, x := range g.Data {
			up[direction].Data[i] *= weight.Data[i] * normSlope(x, p)
		}
	}
	byPrediction := filterOf(p).transpose(up)
	return Values{"prediction": byPrediction, "target": negative(byPrediction)}, nil
}

func imageGradientBound(in Values, p Params, eps float64) (Array, error) {
	gradients, weight := imageGradients(in, p)
	off := filterOf(p).inexact(difference(in["prediction"], in["target"]), eps)
	for direction, g := range gradients {
		for i, x := range g.Data {
			off[direction].Data[i] = weight.Data[i] * (normError(x, off[direction].Data[i], eps, p) + eps*normOf(x, p))
		}
	}
	return interleave(off), nil
}

func buildImageGradient(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	d := b.Label(b.Sub(in["prediction"], in["target"]), "difference")
	x, y := separableOf(p).gradient(b, d)
	w := in["weight"]
	if !w.Present() {
		return ops.Terms{Loss: b.Label(buildNorm(b, buildPair(b, x, y), p), "gradient_difference")}
	}
	loss := buildPair(b, scale(b, buildNorm(b, x, p), w), scale(b, buildNorm(b, y, p), w))
	full := scale(b, onesLike(b, d), w)
	return ops.Terms{Loss: b.Label(loss, "gradient_difference"), Weight: b.Label(buildPair(b, full, full), "weights")}
}

func buildNorm(b *ops.Builder, d ops.Value, p Params) ops.Value {
	if p.String("norm") == "l2" {
		return b.Mul(d, d)
	}
	return b.Abs(d)
}

// blurFigure plots a loss against how blurred a predicted edge is.
func blurFigure(curves []Curve) *Figure {
	return &Figure{X: "width of the predicted edge in pixels, where the true one is sharp", From: 0.1, To: 6, Curves: curves}
}

// blurredEdge is a curve over the width of the predicted edge, a logistic ramp; the
// target is a step from 0 to 1 in the middle of 32 columns.
func blurredEdge(rows int) func(label string, settings map[string]any) Curve {
	const columns = 32
	at := func(width float64) Values {
		prediction, target := Zeros([]int{1, 1, rows, columns}), Zeros([]int{1, 1, rows, columns})
		for i := range target.Data {
			x := float64(i%columns) - (columns-1)/2.0
			prediction.Data[i] = sigmoid(4 * x / width) // of slope 1/width in the middle
			if x > 0 {
				target.Data[i] = 1
			}
		}
		return Values{"prediction": prediction, "target": target}
	}
	return func(label string, settings map[string]any) Curve {
		return Curve{Label: label, Settings: settings, At: at}
	}
}
