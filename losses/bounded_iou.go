package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// BoundedIoU is the bounded IoU loss of Fitness NMS.
var BoundedIoU = &Loss{
	Name:    "BoundedIoULoss",
	Summary: "for centre, width and height each, the best IoU that this one number allows, under a smooth L1",
	Formula: `for a centre off by d, of a target of size s:  B = max(0, (s - 2|d|)/(s + 2|d| + epsilon))
for a size p of a target of size s:           B = min(s/(p + epsilon), p/(s + epsilon))
z = 1 - B; term = z²/(2 β) where z < β, else z - β/2`,
	Meaning: `Four terms a box, in the order x, y, width, height: each is what the IoU loss would
at least be if all else were right, made smooth near 0. They are from 0 to 1 - β/2, do not
depend on the boxes' scale, and have a gradient for sizes also where boxes do not overlap; that
of the centre ends at |d| = s/2. A mean divides by the number of terms, four a box. What would
be 0/0, for boxes without a size, is B = 0. A box whose x2 is below its x1 (or that has a
negative width) is empty.`,
	Paper:  "Tychsen-Smith, Petersson: Improving Object Localization with Fitness NMS and Bounded IoU Loss, CVPR 2018, arXiv:1711.00164; β as in mmdetection",
	Inputs: boxInputs(),
	Declare: []Param{
		boxesParam(),
		{Name: "beta", Kind: Float, Default: 0.2, Min: 0, Max: math.Inf(1), OpenMin: true, Try: []any{1.0}, Doc: "the z up to which a term is quadratic"},
		boxEpsilonParam("added to the denominators; 1e-3 in public code"),
		pixelOffsetParam(),
	},
	Value:    boundedIoUValue,
	Gradient: boundedIoUGradient,
	Build:    buildBoundedIoU,
	Bound:    boundedIoUBound,
	Accuracy: "8 eps and the relative errors of the sizes for z, times min(1, z/β): sizes are differences of exact numbers; the offset of the centres has an error of eps times those of the edges, relative to the target's size",
	Figure:   heightsFigure(),
}

// centreBound is B for a centre.
func (s side) centreBound(epsilon float64) float64 {
	far := 2 * math.Abs(s.offset)
	return math.Max(0, quotient(s.sizeG-far, s.sizeG+far+epsilon))
}

// sizeBound is B for a size.
func (s side) sizeBound(epsilon float64) float64 {
	return math.Min(quotient(s.sizeG, s.sizeP+epsilon), quotient(s.sizeP, s.sizeG+epsilon))
}

// centreSlope is the derivative of centreBound.
func (s side) centreSlope(epsilon float64) sideSlope {
	far := 2 * math.Abs(s.offset)
	whole := s.sizeG + far + epsilon
	touching := above(s.sizeG, far) // the slope of max(0, ·)
	if touching == 0 || whole == 0 {
		return sideSlope{}
	}
	ratio := (s.sizeG - far) / whole
	return sideSlope{
		sizeG:  touching * (1 - ratio) / whole,
		offset: -touching * 2 * sign(s.offset) * (1 + ratio) / whole,
	}
}

// sizeSlope is that of sizeBound.
func (s side) sizeSlope(epsilon float64) sideSlope {
	p, g := s.sizeP+epsilon, s.sizeG+epsilon
	if p == 0 || g == 0 {
		return sideSlope{}
	}
	larger, smaller := s.sizeG/p, s.sizeP/g
	ofLarger, ofSmaller := above(smaller, larger), above(larger, smaller)
	return sideSlope{
		sizeP: ofSmaller/g - ofLarger*larger/p,
		sizeG: ofLarger/p - ofSmaller*smaller/g,
	}
}

// smoothBound is the smooth L1 of 1 - B.
func smoothBound(bound, beta float64) float64 { return huber(1-bound, beta) / beta }

// smoothBoundSlope is its derivative by B.
func smoothBoundSlope(bound, beta float64) float64 { return -math.Min(1, (1-bound)/beta) }

func boundedIoUValue(in Values, p Params) (Terms, error) {
	epsilon, beta := p.Float("epsilon"), p.Float("beta")
	loss := Zeros(in["prediction"].Shape)
	for i, pair := range boxPairs(in["prediction"], in["target"], p) {
		for k, s := range pair {
			loss.Data[4*i+k] = smoothBound(s.centreBound(epsilon), beta)
			loss.Data[4*i+2+k] = smoothBound(s.sizeBound(epsilon), beta)
		}
	}
	return Terms{Loss: loss}, nil
}

func boundedIoUGradient(in Values, p Params, upstream Array) (Values, error) {
	epsilon, beta := p.Float("epsilon"), p.Float("beta")
	gradient := newBoxGradient(in, p, 0)
	for i, pair := range boxPairs(in["prediction"], in["target"], p) {
		var slope pairSlope
		for k, s := range pair {
			byCentre := upstream.Data[4*i+k] * smoothBoundSlope(s.centreBound(epsilon), beta)
			bySize := upstream.Data[4*i+2+k] * smoothBoundSlope(s.sizeBound(epsilon), beta)
			centre, size := s.centreSlope(epsilon), s.sizeSlope(epsilon)
			slope[k] = sideSlope{
				sizeP:  bySize * size.sizeP,
				sizeG:  byCentre*centre.sizeG + bySize*size.sizeG,
				offset: byCentre * centre.offset,
			}
		}
		gradient.add(i, pair, slope, 1)
	}
	return gradient.values(), nil
}

func boundedIoUBound(in Values, p Params, eps float64) (Array, error) {
	epsilon, beta := p.Float("epsilon"), p.Float("beta")
	bound := Zeros(in["prediction"].Shape)
	for i, pair := range boxPairs(in["prediction"], in["target"], p) {
		for k, s := range pair {
			centre, size := s.boundErrors(p, eps)
			bound.Data[4*i+k] = smoothBoundError(s.centreBound(epsilon), centre, beta, eps)
			bound.Data[4*i+2+k] = smoothBoundError(s.sizeBound(epsilon), size, beta, eps)
		}
	}
	return bound, nil
}

// boundErrors is how far a lowering's B may be off, for the centre and the size.
func (s side) boundErrors(p Params, eps float64) (centre, size float64) {
	e, epsilon := s.errors(p, eps), p.Float("epsilon")
	if whole := s.sizeG + 2*math.Abs(s.offset) + epsilon; whole > 0 {
		centre = min(1, 4*eps+2*(e.sizeG+2*e.offset)/whole)
	}
	if s.sizeG > 0 && s.sizeP > 0 {
		size = min(1, 4*eps+e.sizeP/s.sizeP+e.sizeG/s.sizeG)
	}
	return centre, size
}

// smoothBoundError is that of the smooth L1, for B off by at most off.
func smoothBoundError(bound, off, beta, eps float64) float64 {
	z := 1 - bound
	off += eps
	return off*math.Min(1, (z+off)/beta) + 4*eps*huber(z, beta)/beta
}

func buildBoundedIoU(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	boxes := buildBoxes(b, in["prediction"], in["target"], p)
	far := b.Mul(b.Abs(boxes.offset), b.Scalar(boxes.offset, 2))
	ratio := func(x, y ops.Value) ops.Value {
		if e := p.Float("epsilon"); e > 0 {
			y = b.Add(y, b.Scalar(y, e))
		}
		return b.Div(x, atLeastTiny(b, y))
	}
	centre := b.Relu(ratio(b.Sub(boxes.sizeG, far), b.Add(boxes.sizeG, far)))
	size := b.Min(ratio(boxes.sizeG, boxes.sizeP), ratio(boxes.sizeP, boxes.sizeG))
	bounds := b.Label(b.Concat(-1, centre, size), "bounds")
	miss := b.Label(b.Sub(b.Scalar(bounds, 1), bounds), "miss")

	beta := p.Float("beta")
	m := b.Min(miss, b.Scalar(miss, beta))
	loss := b.Mul(m, b.Sub(miss, b.Mul(m, b.Scalar(m, 0.5))))
	return ops.Terms{Loss: b.Assume(b.Div(loss, b.Scalar(loss, beta)), in["prediction"].Shape())}
}
