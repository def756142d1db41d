package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// CIoU is the complete IoU loss.
var CIoU = completeIoU()

func completeIoU() *Loss {
	l := ofBoxes(Loss{
		Name:    "CIoULoss",
		Summary: "IoU loss that also counts the distance of the centres and the difference of the aspect ratios",
		Formula: `ρ = distance of the centres, c = diagonal of the smallest box around both
IoU = area of the intersection / (area of the union + epsilon)
v = 4/π² (atan(w_target/h_target) - atan(w/h))², a = v/(1 - IoU + v + epsilon), not differentiated
loss = 1 - IoU + ρ²/(c² + epsilon) + a v`,
		Meaning: `0 for equal boxes, below 3 always; it does not depend on the boxes' scale. The
aspect ratio counts the less, the worse the overlap is. The gradient takes the trade-off a as a
constant, as public code does, so that it is not the derivative of the value; it grows with the
inverse of the predicted box's size. Two boxes without an area have IoU 0; a
height of 0 is an infinite aspect ratio, whose arc tangent is π/2; a point has no aspect ratio,
and v is 0 for it. A box whose x2 is below its x1 (or that has a negative width) is empty.`,
		Paper:    "Zheng, Wang, Liu, Li, Ye, Ren: Distance-IoU Loss, AAAI 2020, arXiv:1911.08287",
		Declare:  []Param{boxesParam(), boxEpsilonParam("added to the three denominators; 1e-7 in public code")},
		Build:    buildCIoU,
		Accuracy: "that of diou, and as much again: a v = v²/(1 - IoU + v) changes by no more than its parts 1 - IoU and v do; v is formed from the angle between the boxes' diagonals, whose error is some eps, however small the boxes",
		Figure:   heightsFigure(),
	}, 0, func(pair boxPair, p Params) float64 {
		return ciouValue(pair, p, pair.tradeOff(p.Float("epsilon")))
	}, ciouSlope, ciouBound)
	l.Frozen = frozenCIoU
	return l
}

// angle is that of the truth's diagonal less that of the prediction's, against the
// vertical: atan(w_target/h_target) - atan(w/h).
func (b boxPair) angle() float64 {
	if b[0].sizeP == 0 && b[1].sizeP == 0 || b[0].sizeG == 0 && b[1].sizeG == 0 {
		return 0
	}
	return math.Atan2(b[0].sizeG, b[1].sizeG) - math.Atan2(b[0].sizeP, b[1].sizeP)
}

// aspect is the paper's v.
func (b boxPair) aspect() float64 {
	part := b.angle() * 2 / math.Pi
	return part * part
}

// tradeOff is the paper's α.
func (b boxPair) tradeOff(epsilon float64) float64 {
	v := b.aspect()
	return quotient(v, 1-b.iou(epsilon)+v+epsilon)
}

func ciouValue(pair boxPair, p Params, tradeOff float64) float64 {
	return diouValue(pair, p) + tradeOff*pair.aspect()
}

func ciouSlope(pair boxPair, p Params) pairSlope {
	slope := diouSlope(pair, p)
	byAngle := pair.tradeOff(p.Float("epsilon")) * 8 / (math.Pi * math.Pi) * pair.angle()
	if byAngle == 0 {
		return slope
	}
	byWidth, byHeight := diagonalSlope(pair[0].sizeG, pair[1].sizeG)
	slope[0].sizeG += byAngle * byWidth
	slope[1].sizeG += byAngle * byHeight
	byWidth, byHeight = diagonalSlope(pair[0].sizeP, pair[1].sizeP)
	slope[0].sizeP -= byAngle * byWidth
	slope[1].sizeP -= byAngle * byHeight
	return slope
}

// diagonalSlope is the derivative of atan(w/h), for a box that is no point.
func diagonalSlope(w, h float64) (byWidth, byHeight float64) {
	diagonal := math.Hypot(w, h)
	return h / diagonal / diagonal, -w / diagonal / diagonal
}

// frozenCIoU holds the trade-offs.
func frozenCIoU(in Values, p Params) func(Values) (Terms, error) {
	var held []float64
	for _, pair := range boxPairs(in["prediction"], in["target"], p) {
		held = append(held, pair.tradeOff(p.Float("epsilon")))
	}
	return func(in Values) (Terms, error) {
		loss := Zeros(withoutLast(in["prediction"].Shape))
		for i, pair := range boxPairs(in["prediction"], in["target"], p) {
			loss.Data[i] = ciouValue(pair, p, held[i])
		}
		return Terms{Loss: loss}, nil
	}
}

func ciouBound(pair boxPair, p Params, eps float64) float64 {
	iou, _ := pair.iouError(p, eps)
	return diouBound(pair, p, eps) + iou + pair.aspectError(p, eps) + 4*eps
}

// aspectError is how far a lowering's v may be off. An angle is off by what its sizes
// are relative to the longer one, and by a few ULP.
func (b boxPair) aspectError(p Params, eps float64) float64 {
	longestP, longestG := math.Max(b[0].sizeP, b[1].sizeP), math.Max(b[0].sizeG, b[1].sizeG)
	if longestP == 0 || longestG == 0 {
		return 0
	}
	if math.Min(longestP, longestG) < smallestNormal(eps) {
		return 1
	}
	x, y := b[0].errors(p, eps), b[1].errors(p, eps)
	off := 8*eps + (x.sizeP+y.sizeP)/longestP + (x.sizeG+y.sizeG)/longestG
	part := 2 / math.Pi * math.Abs(b.angle())
	lost := 2 / math.Pi * off
	return min(1, 2*part*lost+lost*lost+4*eps*part*part)
}

func buildCIoU(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	boxes := buildBoxes(b, in["prediction"], in["target"], p)
	iou, _, _ := boxes.buildIoU(b, p)
	apart := b.Label(b.Sub(b.Scalar(iou, 1), iou), "iou_loss")
	aspect := boxes.buildAspect(b)
	divisor := b.Add(apart, aspect)
	if e := p.Float("epsilon"); e > 0 {
		divisor = b.Add(divisor, b.Scalar(divisor, e))
	}
	tradeOff := b.Detach(b.Div(aspect, atLeastTiny(b, divisor)), "trade_off")
	loss := b.Add(apart, boxes.buildDistance(b, p))
	return ops.Terms{Loss: b.Add(loss, b.Mul(tradeOff, aspect))}
}

// buildAspect is the paper's v. The difference of two arc tangents is the angle
// between the diagonals, by their cross and dot product: nothing is divided by a
// height.
func (v boxValues) buildAspect(b *ops.Builder) ops.Value {
	shape := func(size ops.Value) ops.Value {
		return b.Div(size, atLeastTiny(b, longer(b, size)))
	}
	p, g := shape(v.sizeP), shape(v.sizeG)
	wide, high := xOf(b, p), yOf(b, p)
	wideG, highG := xOf(b, g), yOf(b, g)
	cross := b.Sub(b.Mul(wideG, high), b.Mul(wide, highG))
	dot := b.Add(b.Mul(highG, high), b.Mul(wideG, wide))
	angle := b.Label(b.Angle(cross, dot), "angle")
	part := b.Mul(angle, b.Scalar(angle, 2/math.Pi))
	return b.Label(b.Mul(part, part), "aspect")
}
