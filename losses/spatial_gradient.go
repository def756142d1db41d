package losses

import "github.com/onnxloss/onnxloss/ops"

// SpatialGradient is the gradient of an image, the head of the losses that compare
// edges.
var SpatialGradient = &Loss{
	Name:    "SpatialGradient",
	Summary: "the gradient of an image along x and y, by Sobel or other filters",
	Formula: `gx = correlation with K, gy = correlation with Kᵀ
sobel    K = [-1 0 1; -2 0 2; -1 0 1] (normalized: / 8)
central  K = [-1 0 1]                 (normalized: / 2)
gaussian K(i, j) ~ j exp(-(i² + j²)/(2 · 1.4²)), i and j from -4 to 4
result [N,C,2,H,W] = gx, gy`,
	Meaning: `How steeply the image rises from left to right (entry 0 of axis 2) and from top to
bottom (entry 1), in the image's unit a pixel where normalized. The image keeps its size: with
padding replicate the border sees a flat continuation, and an image of one row or one column has
gradient 0 across it; with padding zero it sees an edge.`,
	Paper: "Sobel and Feldman: An Isotropic 3x3 Image Gradient Operator, 1968; gaussian as in Rhemann et al.: A Perceptually Motivated Online Benchmark for Image Matting, CVPR 2009",
	Head:  true,
	Inputs: []Input{
		{Name: "image", Role: Prediction, Domain: Real, Shape: "N,C,H,W", Doc: "the image or matte; its channels are filtered one by one"},
	},
	Declare: filterParams(),
	Value: func(in Values, p Params) (Terms, error) {
		return Terms{Loss: interleave(filterOf(p).apply(in["image"]))}, nil
	},
	Gradient: func(_ Values, p Params, upstream Array) (Values, error) {
		return Values{"image": filterOf(p).transpose(separate(upstream))}, nil
	},
	Build: func(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
		x, y := separableOf(p).gradient(b, in["image"])
		return ops.Terms{Loss: b.Label(buildPair(b, x, y), "gradient")}
	},
	Bound: func(in Values, p Params, eps float64) (Array, error) {
		return interleave(filterOf(p).rounding(in["image"], eps)), nil
	},
	Accuracy: "2 ULP (8 for gaussian) of the sum of the absolute values that are added up: the weighted differences of pixels on both sides",
}
