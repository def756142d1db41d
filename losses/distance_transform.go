package losses

import "github.com/onnxloss/onnxloss/ops"

// DistanceTransform is the distance of every element of a mask to the nearest zero.
var DistanceTransform = &Loss{
	Name:    "DistanceTransform",
	Head:    true,
	Summary: "Euclidean distance of every element of a mask to the nearest zero",
	Formula: `d(i) = min over j with mask(j) = 0 of √(Σ_axes spacing² (i - j)²)
d = 0 at the zeros themselves, and in an image without a zero`,
	Meaning: `How deep each element lies inside the mask, in elements or, with spacing, in the
spacing's unit; exact, not a chamfer approximation. Each of the N·C images is transformed by
itself, over all axes after the first two. A mask without a zero has no outline, so that its
map is 0; other software answers with arbitrary numbers or infinity there. The map is a
constant to whatever is differentiated. In standard operators it takes, for each axis, a
tensor as many times as large as the image has elements along that axis: 256 MiB for four
classes of 256x256 in float32. Where the shape is known beforehand, export refuses more than
2^28 elements.`,
	Paper: "Felzenszwalb, Huttenlocher: Distance Transforms of Sampled Functions, Theory of Computing 8 (2012)",
	Inputs: []Input{
		maskInput("with one to several spatial axes, as in --shape mask=N,C,H,W"),
		spacingInput(nil),
	},
	Value: func(in Values, _ Params) (Terms, error) {
		mask := in["mask"]
		return Terms{Loss: distancesOf(in, mask.Shape).to(0, mask)}, nil
	},
	Gradient: noGradient,
	Bound: func(in Values, _ Params, eps float64) (Array, error) {
		mask := in["mask"]
		d := distancesOf(in, mask.Shape)
		bound := d.to(0, mask)
		for i := range bound.Data {
			bound.Data[i] *= distanceError(len(d.dims), eps)
		}
		return bound, nil
	},
	Accuracy: distanceAccuracy,
	Build: func(b *ops.Builder, in map[string]ops.Value, _ Params) ops.Terms {
		mask := in["mask"]
		spreads := buildSpreads(b, "DistanceTransform", mask, in["spacing"])
		return ops.Terms{Loss: b.Detach(buildDistance(b, mask, spreads), "distance")}
	},
}

// buildDistance is the distance of every element to the nearest zero of the mask, 0
// where there is none.
func buildDistance(b *ops.Builder, mask ops.Value, spreads []ops.Value) ops.Value {
	squared := buildSquaredDistances(b, b.Mul(mask, b.Scalar(mask, far)), spreads)
	return b.Sqrt(buildFound(b, squared, squared))
}
