package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// ImagenetNormalization is what feature networks expect of an image.
var ImagenetNormalization = &Loss{
	Name:    "ImagenetNormalization",
	Summary: "colours as networks trained on ImageNet expect them: mean 0 and deviation 1 over that data set",
	Formula: `mean = 0.485, 0.456, 0.406; std = 0.229, 0.224, 0.225 (red, green, blue)
result = (image / scale - mean) / std, channel by channel`,
	Meaning: `The image in standard deviations of ImageNet's colours, about -2.1 to 2.6. It goes
before a feature network (VGG and others of torchvision) that perceptual losses tap. The
channels are red, green, blue, in that order; networks converted from Caffe want another
normalization.`,
	Paper: johnson + " (the features are of a VGG network trained on ImageNet); mean and std as in torchvision",
	Head:  true,
	Inputs: []Input{
		{Name: "image", Role: Prediction, Domain: Real, Shape: "N,3,H,W", Doc: "images, red, green, blue, from 0 to scale"},
	},
	Declare: []Param{
		{Name: "scale", Kind: Float, Default: 255.0, Min: 0, Max: math.Inf(1), OpenMin: true, Try: []any{1.0}, Doc: "the number that stands for full brightness: 255 or 1"},
	},
	Value:    imagenetNormalizationValue,
	Gradient: imagenetNormalizationGradient,
	Build:    buildImagenetNormalization,
	Bound:    imagenetNormalizationBound,
	Accuracy: "3 ULP relative to |image| / (scale std) + mean / std: near the mean colour the two cancel",
}

var (
	imagenetMean = []float64{0.485, 0.456, 0.406}
	imagenetStd  = []float64{0.229, 0.224, 0.225}
)

// perColour applies f to every element and its channel.
func perColour(a Array, f func(x float64, channel int) float64) Array {
	result := Zeros(a.Shape)
	size := a.Shape[2] * a.Shape[3]
	for i, x := range a.Data {
		result.Data[i] = f(x, i/size%3)
	}
	return result
}

func imagenetNormalizationValue(in Values, p Params) (Terms, error) {
	return Terms{Loss: perColour(in["image"], func(x float64, c int) float64 {
		return (x/p.Float("scale") - imagenetMean[c]) / imagenetStd[c]
	})}, nil
}

func imagenetNormalizationGradient(_ Values, p Params, upstream Array) (Values, error) {
	return Values{"image": perColour(upstream, func(u float64, c int) float64 {
		return u / (p.Float("scale") * imagenetStd[c])
	})}, nil
}

func imagenetNormalizationBound(in Values, p Params, eps float64) (Array, error) {
	return perColour(in["image"], func(x float64, c int) float64 {
		return 3 * eps * (math.Abs(x)/p.Float("scale") + imagenetMean[c]) / imagenetStd[c]
	}), nil
}

// buildImagenetNormalization is one multiplication and one addition with constants.
func buildImagenetNormalization(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	factors, offsets := make([]float64, 3), make([]float64, 3)
	for c := range 3 {
		factors[c] = 1 / (p.Float("scale") * imagenetStd[c])
		offsets[c] = -imagenetMean[c] / imagenetStd[c]
	}
	x := in["image"]
	shape := []int{3, 1, 1}
	scaled := b.Mul(x, b.Constant(x.DType(), shape, factors))
	return ops.Terms{Loss: b.Label(b.Add(scaled, b.Constant(x.DType(), shape, offsets)), "normalized_image")}
}
