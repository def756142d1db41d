package losses

import "github.com/onnxloss/onnxloss/ops"

// GIoU is the generalized IoU loss.
var GIoU = ofBoxes(Loss{
	Name:    "GIoULoss",
	Summary: "IoU loss that also counts the empty part of the box around both, so that boxes apart have a gradient",
	Formula: `I, U = areas of the intersection and the union, C = area of the smallest box around both
IoU = I/(U + epsilon), GIoU = IoU - (C - U)/(C + epsilon)
loss = 1 - GIoU`,
	Meaning: `0 for equal boxes, 1 for boxes that touch along a whole edge, up to 2 for boxes far
apart; it does not depend on the boxes' scale. Where one box lies in the other it equals the
IoU loss. Two boxes without an area have IoU 0, and a box around them without an area adds
nothing. A box whose x2 is below its x1 (or that has a negative width) is empty.`,
	Paper:    "Rezatofighi, Tsoi, Gwak, Sadeghian, Reid, Savarese: Generalized Intersection over Union, CVPR 2019, arXiv:1902.09630",
	Declare:  []Param{boxesParam(), boxEpsilonParam("added to both denominators, as in public code, where it is 1e-7")},
	Build:    buildGIoU,
	Accuracy: "that of the IoU, some 20 eps, and of the union's share of the hull, as much again; see IoULoss",
	Figure:   heightsFigure(),
}, 0, giouValue, giouSlope, giouBound)

func giouValue(pair boxPair, p Params) float64 {
	epsilon := p.Float("epsilon")
	hull := pair[0].hull * pair[1].hull
	return 1 - pair.iou(epsilon) + quotient(hull-pair.areas().union, hull+epsilon)
}

func giouSlope(pair boxPair, p Params) pairSlope {
	epsilon := p.Float("epsilon")
	slope := pairSlope{}.plusScaled(pair.iouSlope(epsilon), -1)
	hull := pair[0].hull * pair[1].hull
	whole := hull + epsilon
	if whole == 0 {
		return slope
	}
	// (hull - union)/whole, where the union is the areas less the intersection
	slope = slope.plusScaled(pair.areaSlope(-1, 1), 1/whole)
	byHull := (1 - (hull-pair.areas().union)/whole) / whole
	for k := range slope {
		slope[k].hull += byHull * pair[1-k].hull
	}
	return slope
}

func giouBound(pair boxPair, p Params, eps float64) float64 {
	iou, union := pair.iouError(p, eps)
	return iou + union + 4*eps
}

func buildGIoU(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	boxes := buildBoxes(b, in["prediction"], in["target"], p)
	iou, union, epsilon := boxes.buildIoU(b, p)
	one := b.Scalar(iou, 1)
	// a hull without an area has no part that is empty
	empty := b.Mul(b.Sub(one, union), buildSign(b, boxes.hull))
	if epsilon.Present() {
		empty = b.Div(empty, b.Add(epsilon, one))
	}
	empty = b.Label(empty, "empty_part_of_hull")
	return ops.Terms{Loss: b.Add(b.Sub(one, iou), empty)}
}

// buildSign is 1 where both extents of a hull are above 0, else 0.
func buildSign(b *ops.Builder, hull ops.Value) ops.Value {
	return b.Sign(b.Min(xOf(b, hull), yOf(b, hull)))
}
