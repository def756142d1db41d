package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// DIoU is the distance-IoU loss.
var DIoU = ofBoxes(Loss{
	Name:    "DIoULoss",
	Summary: "IoU loss that also counts the distance of the boxes' centres",
	Formula: `ρ = distance of the centres, c = diagonal of the smallest box around both
IoU = area of the intersection / (area of the union + epsilon)
loss = 1 - IoU + ρ²/(c² + epsilon)`,
	Meaning: `0 for equal boxes, up to 2 for boxes far apart; it does not depend on the boxes'
scale. Boxes that do not overlap, and boxes of which one lies in the other, are drawn together
by their centres. Two boxes without an area have IoU 0, and equal points are no distance apart.
A box whose x2 is below its x1 (or that has a negative width) is empty.`,
	Paper:    "Zheng, Wang, Liu, Li, Ye, Ren: Distance-IoU Loss, AAAI 2020, arXiv:1911.08287",
	Declare:  []Param{boxesParam(), boxEpsilonParam("added to both denominators, as in public code, where it is 1e-7")},
	Build:    buildDIoU,
	Accuracy: "that of the IoU, some 20 eps, see iou; the offset of the centres is a sum of the two edges' differences and has an error of eps times these, so that large coordinates do not count",
	Figure:   heightsFigure(),
}, 0, diouValue, diouSlope, diouBound)

// distance is the squared distance of the centres over the hull's squared diagonal.
func (b boxPair) distance(epsilon float64) float64 {
	diagonal := math.Hypot(b[0].hull, b[1].hull)
	ratio := quotient(math.Hypot(b[0].offset, b[1].offset), diagonal)
	if epsilon == 0 {
		return ratio * ratio
	}
	return ratio * ratio / (1 + epsilon/(diagonal*diagonal))
}

func (b boxPair) distanceSlope(epsilon float64) pairSlope {
	square := b[0].hull*b[0].hull + b[1].hull*b[1].hull + epsilon
	if square == 0 {
		return pairSlope{}
	}
	var slope pairSlope
	for k, s := range b {
		slope[k].offset = 2 * s.offset / square
		slope[k].hull = -2 * s.hull * b.distance(epsilon) / square
	}
	return slope
}

func (b boxPair) distanceError(p Params, eps float64) float64 {
	diagonal := math.Hypot(b[0].hull, b[1].hull)
	if diagonal == 0 {
		return 0
	}
	if diagonal < smallestNormal(eps) {
		return 1
	}
	off := 8 * eps * b.distance(0)
	for _, s := range b {
		e := s.errors(p, eps)
		ratio, lost := s.offset/diagonal, e.offset/diagonal
		off += 2*math.Abs(ratio)*lost + lost*lost + 2*b.distance(0)*e.hull/diagonal
	}
	return min(1, off)
}

func diouValue(pair boxPair, p Params) float64 {
	epsilon := p.Float("epsilon")
	return 1 - pair.iou(epsilon) + pair.distance(epsilon)
}

func diouSlope(pair boxPair, p Params) pairSlope {
	epsilon := p.Float("epsilon")
	return pair.distanceSlope(epsilon).plusScaled(pair.iouSlope(epsilon), -1)
}

func diouBound(pair boxPair, p Params, eps float64) float64 {
	iou, _ := pair.iouError(p, eps)
	return iou + pair.distanceError(p, eps) + 2*eps
}

func buildDIoU(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	boxes := buildBoxes(b, in["prediction"], in["target"], p)
	iou, _, _ := boxes.buildIoU(b, p)
	apart := b.Label(b.Sub(b.Scalar(iou, 1), iou), "iou_loss")
	return ops.Terms{Loss: b.Add(apart, boxes.buildDistance(b, p))}
}

// buildDistance is ρ²/(c² + epsilon), with all lengths divided by the hull's longer
// side first, so that no square overflows or vanishes.
func (v boxValues) buildDistance(b *ops.Builder, p Params) ops.Value {
	longest := atLeastTiny(b, longer(b, v.hull))
	offset, hull := b.Div(v.offset, longest), b.Div(v.hull, longest)
	square := squared(b, hull)
	if e := p.Float("epsilon"); e > 0 {
		part := b.Div(b.Div(b.Scalar(longest, e), longest), longest)
		square = b.Add(square, b.Squeeze(part, -1))
	}
	return b.Label(b.Div(squared(b, offset), atLeastTiny(b, square)), "distance")
}
