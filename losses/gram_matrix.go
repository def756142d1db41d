package losses

import "github.com/onnxloss/onnxloss/ops"

// GramMatrix is which channels of a feature map go together.
var GramMatrix = &Loss{
	Name:    "GramMatrix",
	Summary: "which channels of a feature map are active together: the style of an image",
	Formula: `F = features of one sample, as C rows of H·W numbers
G = F Fᵀ / (C H W)`,
	Meaning: `The uncentred covariance of the channels over all positions, divided by C: entry
i, j is how much channels i and j are active at the same places. Where they are active is lost,
so that images of different sizes have comparable matrices. It is symmetric, and quadratic in
the features: twice the features have four times the matrix, and features beyond 1e19 overflow
in float32.`,
	Paper: johnson,
	Head:  true,
	Inputs: []Input{
		{Name: "features", Role: Prediction, Domain: Real, Shape: "N,C,...", Doc: "feature maps of a layer, any number of spatial axes"},
	},
	Value: func(in Values, _ Params) (Terms, error) {
		return Terms{Loss: gramMatrices(in["features"])}, nil
	},
	Gradient: func(in Values, _ Params, upstream Array) (Values, error) {
		return Values{"features": gramGradient(in["features"], upstream)}, nil
	},
	Build: func(b *ops.Builder, in map[string]ops.Value, _ Params) ops.Terms {
		return ops.Terms{Loss: buildGram(b, in["features"])}
	},
	Bound: func(in Values, _ Params, eps float64) (Array, error) {
		return gramBound(in["features"], eps), nil
	},
	Accuracy: "(H W + 6)/2 ULP relative to the sum of the products' magnitudes: a dot product over the positions, whose terms cancel where channels exclude each other",
}
