package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// SignedDistanceMap is the level-set function of a mask.
var SignedDistanceMap = &Loss{
	Name:    "SignedDistanceMap",
	Head:    true,
	Summary: "distance to a mask, negative inside it: the level-set function of the boundary loss",
	Formula: `φ(i) =  min over j inside of |i - j|    for i outside of the mask
φ(i) = -min over j outside of |i - j|   for i inside
|i - j| = √(Σ_axes spacing² (i - j)²); with inside=released the second line is -(min - 1)
φ = 0 for an empty mask and for a full one`,
	Meaning: `How far each element is from the region that the mask marks, in elements or, with
spacing, in the spacing's unit: positive outside, negative inside. Each of the N·C images is
mapped by itself, over all axes after the first two. An empty mask and one that fills the
image have no outline, so that their map is 0. The map is a constant to whatever is
differentiated, and is the input distance of the boundary loss. In standard operators it
takes, for each axis, a tensor as many times as large as the image has elements along that
axis: 256 MiB for four classes of 256x256 in float32. Where the shape is known beforehand,
export refuses more than 2^28 elements.`,
	Paper: "Kervadec, Bouchtiba, Desrosiers, Granger, Dolz, Ben Ayed: Boundary loss for highly unbalanced segmentation, MIDL 2019, arXiv:1812.07032",
	Inputs: []Input{
		maskInput("1 inside; with one to several spatial axes, as in --shape mask=N,C,H,W"),
		spacingInput(nil),
	},
	Declare: []Param{insideParam()},
	Value: func(in Values, p Params) (Terms, error) {
		return Terms{Loss: signedDistances(in, in["mask"], p)}, nil
	},
	Gradient: noGradient,
	Bound: func(in Values, p Params, eps float64) (Array, error) {
		return signedDistanceBound(in, in["mask"], p, eps), nil
	},
	Accuracy: distanceAccuracy + ". With inside=released, 1 is subtracted from that, which rounds once more",
	Build: func(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
		return ops.Terms{Loss: buildSignedDistances(b, "SignedDistanceMap", in["mask"], in["spacing"], p)}
	},
}

func insideParam() Param {
	return Param{
		Name: "inside", Kind: String, Default: "paper", Values: []string{"paper", "released"}, Try: []any{"released"},
		Doc: "paper: minus the distance; released: minus (the distance - 1) whatever the spacing, as the authors' code has it, where the innermost rim of a region is 0",
	}
}

// rimOf is what is subtracted from the distances inside.
func rimOf(p Params) float64 {
	if p.String("inside") == "released" {
		return 1
	}
	return 0
}

// signedDistances is φ for every image of a mask.
func signedDistances(in Values, mask Array, p Params) Array {
	d := distancesOf(in, mask.Shape)
	phi, inner := d.to(1, mask), d.to(0, mask)
	for i, m := range mask.Data {
		if m == 1 && inner.Data[i] > 0 { // 0 in a full mask
			phi.Data[i] = -(inner.Data[i] - rimOf(p))
		}
	}
	return phi
}

func signedDistanceBound(in Values, mask Array, p Params, eps float64) Array {
	phi, rim := signedDistances(in, mask, p), rimOf(p)
	relative := distanceError(len(mask.Shape)-2, eps)
	for i, m := range mask.Data {
		size := math.Abs(phi.Data[i])
		if m == 1 && rim != 0 {
			phi.Data[i] = relative*math.Abs(phi.Data[i]-rim) + eps/2*size
		} else {
			phi.Data[i] = relative * size
		}
	}
	return phi
}

// buildSignedDistances is φ, marked as not differentiated.
func buildSignedDistances(b *ops.Builder, operator string, mask, spacing ops.Value, p Params) ops.Value {
	spreads := buildSpreads(b, operator, mask, spacing)
	rest := b.Label(b.Sub(b.Scalar(mask, 1), mask), "outside")
	outer := buildDistance(b, rest, spreads)
	squared := buildSquaredDistances(b, b.Mul(mask, b.Scalar(mask, far)), spreads)
	depth := b.Sqrt(squared)
	if rim := rimOf(p); rim != 0 {
		depth = b.Sub(depth, mask)
	}
	inner := buildFound(b, squared, depth)
	return b.Detach(b.Sub(outer, inner), "signed_distance")
}
