package losses

import "github.com/onnxloss/onnxloss/ops"

// FeatureReconstruction is the distance of two images as a network sees them.
var FeatureReconstruction = &Loss{
	Name:    "FeatureReconstructionLoss",
	Summary: "content loss: mean squared difference of a network layer's features, per sample",
	Formula: `φ = features of one sample, C·H·W numbers
loss = ‖φ(prediction) - φ(target)‖² / (C H W)`,
	Meaning: `How differently a layer of a network sees two images, as the mean square over
its features: 0 where the layer cannot tell them apart. Early layers keep every pixel, later
ones content and arrangement without colour and texture. One number a sample; its mean is that
of mse, which has one number an element. The scale depends on the layer, so weights do not carry
over from one network to another.`,
	Paper: johnson,
	Inputs: []Input{
		{Name: "prediction", Role: Prediction, Domain: Real, Shape: "N,C,...", Doc: "features of the image that is judged"},
		{Name: "target", Role: Target, Domain: Real, Shape: "N,C,...", Doc: "features of the image that it should look like"},
	},
	Value:    featureReconstructionValue,
	Gradient: featureReconstructionGradient,
	Build:    buildFeatureReconstruction,
	Bound: func(in Values, p Params, eps float64) (Array, error) {
		x := classesOf(in["prediction"])
		return relativeBound(featureReconstructionValue, in, p, roundings(x.count*x.inner, eps))
	},
	Accuracy: "(C H W + 6)/2 ULP relative: a rounding for each number that is summed; nothing cancels, as the features are given exactly",
}

func featureReconstructionValue(in Values, _ Params) (Terms, error) {
	x, y := featureMapsOf(in["prediction"]), in["target"]
	size := x.count * x.inner
	loss := Zeros([]int{x.outer})
	squares := make([]float64, size)
	for n := range x.outer {
		for k := range squares {
			d := x.data[n*size+k] - y.Data[n*size+k]
			squares[k] = d * d
		}
		loss.Data[n] = sum(squares) / x.entries()
	}
	return Terms{Loss: loss}, nil
}

func featureReconstructionGradient(in Values, _ Params, upstream Array) (Values, error) {
	x, y := featureMapsOf(in["prediction"]), in["target"]
	size := x.count * x.inner
	dx, dy := Zeros(y.Shape), Zeros(y.Shape)
	for i := range dx.Data {
		dx.Data[i] = upstream.Data[i/size] * 2 * (x.data[i] - y.Data[i]) / x.entries()
		dy.Data[i] = -dx.Data[i]
	}
	return Values{"prediction": dx, "target": dy}, nil
}

func buildFeatureReconstruction(b *ops.Builder, in map[string]ops.Value, _ Params) ops.Terms {
	d := b.Label(b.Sub(in["prediction"], in["target"]), "difference")
	squares := b.Flatten(b.Mul(d, d))
	entries := b.Cast(entriesOf(b, squares), d.DType())
	return ops.Terms{Loss: b.Label(b.Div(b.ReduceSum(squares, false, 1), entries), "feature_reconstruction")}
}
