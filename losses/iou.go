package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// IoU is one minus the intersection over union of two boxes, or its logarithm.
var IoU = ofBoxes(Loss{
	Name:    "IoULoss",
	Summary: "how far two boxes are from covering the same area",
	Formula: `IoU = area of the intersection / area of the union
form linear: loss = 1 - IoU
form log:    loss = -log max(IoU, 1e-12)`,
	Meaning: `0 for equal boxes and, in form linear, 1 for boxes that do not overlap; it does not
depend on the boxes' scale. Boxes that do not overlap have no gradient: GIoU, DIoU and CIoU
have one. Two boxes without an area have IoU 0. A box whose x2 is below its x1 (or that has a
negative width) is empty. In form log, which the
paper has for pixels inside the true box, boxes that do not overlap would have an infinite loss:
it is limited to -log 1e-12 = 27.6, and has no gradient there.`,
	Paper: "Yu, Jiang, Wang, Cao, Huang: UnitBox: An Advanced Object Detection Network, ACM MM 2016, arXiv:1608.01471 (form log); 1 - IoU as in Rezatofighi et al. 2019, arXiv:1902.09630",
	Declare: []Param{
		boxesParam(),
		{Name: "form", Kind: String, Default: "linear", Values: []string{"linear", "log"}, Try: []any{"log"}, Doc: "1 - IoU, or -log IoU"},
		boxEpsilonParam("added to the union, as some code does against division by 0"),
		pixelOffsetParam(),
	},
	Build:    buildIoULoss,
	Accuracy: "lengths are differences of exact numbers, so that areas have relative errors of some ULP however large the coordinates are; 1 - IoU cancels, so that the bound is about 20 eps · IoU + eps, for -log IoU 20 eps; with cxcywh the overlap is a difference of the sizes, and its error is relative to them",
	Figure:   &Figure{X: movedX, From: -2, To: 2, Curves: over(movedBox, "form", "linear", "log")},
}, 1, iouLossValue, iouLossSlope, iouLossBound)

// leastIoU is what a smaller IoU counts as in form log.
const leastIoU = 1e-12

func iouLossValue(pair boxPair, p Params) float64 {
	iou := pair.iou(p.Float("epsilon"))
	if p.String("form") == "log" {
		return -math.Log(math.Max(iou, leastIoU))
	}
	return 1 - iou
}

func iouLossSlope(pair boxPair, p Params) pairSlope {
	epsilon, factor := p.Float("epsilon"), -1.0
	if p.String("form") == "log" {
		iou := pair.iou(epsilon)
		if iou <= leastIoU {
			return pairSlope{}
		}
		factor = -1 / iou
	}
	return pairSlope{}.plusScaled(pair.iouSlope(epsilon), factor)
}

func iouLossBound(pair boxPair, p Params, eps float64) float64 {
	off, _ := pair.iouError(p, eps)
	iou := pair.iou(p.Float("epsilon"))
	if p.String("form") == "linear" {
		return off + eps
	}
	iou = math.Max(iou, leastIoU)
	return math.Log(iou/math.Max(iou-off, leastIoU)) + 2*eps*(1+math.Abs(math.Log(iou)))
}

func buildIoULoss(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	iou, _, _ := buildBoxes(b, in["prediction"], in["target"], p).buildIoU(b, p)
	if p.String("form") == "linear" {
		return ops.Terms{Loss: b.Sub(b.Scalar(iou, 1), iou)}
	}
	return ops.Terms{Loss: b.Neg(b.Log(b.Max(iou, b.Scalar(iou, leastIoU))))}
}
