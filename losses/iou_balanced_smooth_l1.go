package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// IoUBalancedSmoothL1 is smooth L1 with samples weighed by their IoU.
var IoUBalancedSmoothL1 = &Loss{
	Name:    "IoUBalancedSmoothL1Loss",
	Summary: "smooth L1 of a detector's boxes in which boxes that fit well already count for more",
	Formula: `d = prediction - target
smooth L1 = d²/(2 β) where |d| < β, else |d| - β/2
loss = weight · IoU^δ · smooth L1(d); the IoU is not differentiated`,
	Meaning: `Four terms a box, in the unit of the numbers that the boxes are regressed in: smooth
L1, times IoU^δ of the predicted box, so that outliers count for less. δ = 0 is smooth L1. A
mean divides by the number of boxes whose weight is above 0, not by that of terms. The paper
calls δ λ and has a factor outside. Give the IoU, or the boxes it is computed from: those are
the same tensors as prediction and target where boxes are regressed as such.`,
	Paper:  "Wu, Yang, Wang, Li: IoU-balanced Loss Functions for Single-stage Object Detection, 2019, arXiv:1908.05641",
	Inputs: balancedSmoothL1Inputs(),
	Declare: []Param{
		{Name: "delta", Kind: Float, Default: 1.5, Min: 0, Max: math.Inf(1), Try: []any{0.0, 0.7}, Doc: "how strongly boxes are weighed by their IoU; 0 leaves it out"},
		{Name: "beta", Kind: Float, Default: 1.0, Min: 0, Max: math.Inf(1), Try: []any{0.0, 0.11}, Doc: "the error up to which the loss is quadratic"},
		iouSourceParam(),
	},
	Value:    balancedSmoothL1Value,
	Gradient: balancedSmoothL1Gradient,
	Frozen:   frozenBalancedSmoothL1,
	Build:    buildBalancedSmoothL1,
	Bound:    balancedSmoothL1Bound,
	Accuracy: "6 eps relative and the error of IoU^δ: where the IoU is an input that is 3 eps (1 + δ |log IoU|) relative, else that of iou besides",
	Figure: &Figure{
		X: "IoU of a box whose smooth L1 is 1", From: 0, To: 1,
		Curves: over(boxOfIoU, "delta", 0.0, 0.5, 1.0, 1.5),
	},
}

// boxOfIoU is a curve over the IoU of a box with one number off by 1.5.
func boxOfIoU(label string, settings map[string]any) Curve {
	return Curve{Label: label, Settings: settings, At: func(iou float64) Values {
		return Values{
			"prediction": {Shape: []int{1, 4}, Data: []float64{0, 0, 0, 1.5}},
			"target":     Zeros([]int{1, 4}),
			"iou":        {Shape: []int{1}, Data: []float64{iou}},
		}
	}}
}

func balancedSmoothL1Inputs() []Input {
	inputs := []Input{
		{Name: "prediction", Role: Prediction, Domain: Real, Shape: "...,4", Doc: "the four numbers that the model gives for each box"},
		{Name: "target", Role: Target, Domain: Real, Shape: "...,4", Doc: "the true numbers"},
	}
	return append(append(inputs, iouInputs("...")...), Input{
		Name: "weight", Role: Weight, Domain: NonNegative, Shape: "...,4", Broadcast: true, Optional: true,
		Doc: "a factor for each number; broadcasts; 0 for boxes that match no object",
	})
}

func balancedSmoothL1Value(in Values, p Params) (Terms, error) {
	return frozenBalancedSmoothL1(in, p)(in)
}

func frozenBalancedSmoothL1(in Values, p Params) func(Values) (Terms, error) {
	held := powers(sampleIoU(in, p), p.Float("delta"))
	return func(in Values) (Terms, error) {
		x, y := in["prediction"], in["target"]
		weight := optional(in, "weight", x.Shape)
		loss, boxes := Zeros(x.Shape), whereAbove0(weight)
		for i := range loss.Data {
			loss.Data[i] = weight.Data[i] * held[i/4] * smoothL1Value(x.Data[i]-y.Data[i], p)
			boxes.Data[i] /= 4
		}
		return Terms{Loss: loss, Weight: boxes}, nil
	}
}

func balancedSmoothL1Gradient(in Values, p Params, upstream Array) (Values, error) {
	x, y := in["prediction"], in["target"]
	weight := optional(in, "weight", x.Shape)
	power := powers(sampleIoU(in, p), p.Float("delta"))
	dx, dy := Zeros(x.Shape), Zeros(x.Shape)
	for i := range dx.Data {
		dx.Data[i] = upstream.Data[i] * weight.Data[i] * power[i/4] * smoothL1Slope(x.Data[i]-y.Data[i], p)
		dy.Data[i] = -dx.Data[i]
	}
	return Values{"prediction": dx, "target": dy}, nil
}

func balancedSmoothL1Bound(in Values, p Params, eps float64) (Array, error) {
	x, y := in["prediction"], in["target"]
	weight := optional(in, "weight", x.Shape)
	iou, iouError, delta := sampleIoU(in, p), sampleIoUError(in, p, eps), p.Float("delta")
	bound := Zeros(x.Shape)
	for i := range bound.Data {
		k := i / 4
		smooth := weight.Data[i] * smoothL1Value(x.Data[i]-y.Data[i], p)
		bound.Data[i] = smooth * (6*eps*math.Pow(iou[k], delta) + powerError(iou[k], iouError[k], delta, eps))
	}
	return bound, nil
}

func buildBalancedSmoothL1(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	smooth := SmoothL1.Build(b, in, p).Loss
	power := b.Detach(b.Unsqueeze(buildSampleIoU(b, in, p, "delta"), -1), "iou_weight")
	loss := scale(b, smooth, power)
	boxes := b.Filled(b.ShapeOf(loss), loss.DType(), 0.25, loss.Shape())
	if weight := in["weight"]; weight.Present() {
		loss = scale(b, loss, weight)
		boxes = b.Mul(buildCounts(b, loss, weight), b.Scalar(loss, 0.25))
	}
	return ops.Terms{Loss: loss, Weight: boxes}
}
