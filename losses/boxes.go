package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// boxesParam says how boxes are written.
func boxesParam() Param {
	return Param{Name: "boxes", Kind: String, Default: "xyxy", Values: []string{"xyxy", "cxcywh"}, Try: []any{"cxcywh"}, Doc: "xyxy: the corners x1, y1, x2, y2; cxcywh: the centre, the width and the height"}
}

// boxEpsilonParam is what public code adds to denominators.
func boxEpsilonParam(doc string) Param {
	return Param{Name: "epsilon", Kind: Float, Default: 0.0, Min: 0, Max: math.Inf(1), Try: []any{1e-3}, Doc: doc}
}

func pixelOffsetParam() Param {
	return Param{Name: "pixel_offset", Kind: Float, Default: 0.0, Min: 0, Max: math.Inf(1), Try: []any{1.0}, Doc: "added to every width and height; 1 for code in which x2 is the last pixel of the box"}
}

// boxInputs lists the inputs of a loss on pairs of boxes.
func boxInputs() []Input {
	return []Input{
		{Name: "prediction", Role: Prediction, Domain: Boxes, Shape: "...,4", Doc: "the predicted boxes"},
		{Name: "target", Role: Target, Domain: Boxes, Shape: "...,4", Doc: "the true box of each prediction"},
	}
}

// span is a box along one axis.
type span struct{ lo, hi float64 }

// side is what there is to know of a pair of boxes along one axis.
type side struct {
	p, g         span // the prediction and the truth, from any common origin
	sizeP, sizeG float64
	overlap      float64
	gap          float64 // overlap before it is cut off at 0, negated
	hull         float64 // extent of the smallest box around both
	offset       float64 // of the prediction's centre from the truth's
	moved        float64 // the distances of the edges, whose sum offset is made of
}

func newSide(p, g span, sizeP, sizeG, offset, pixel float64) side {
	s := side{p: p, g: g, sizeP: sizeP + pixel, sizeG: sizeG + pixel, offset: offset}
	s.gap = math.Max(p.lo, g.lo) - math.Min(p.hi, g.hi) - pixel
	s.overlap = math.Max(0, -s.gap)
	s.hull = math.Max(p.hi, g.hi) - math.Min(p.lo, g.lo) + pixel
	s.moved = math.Abs(p.lo-g.lo) + math.Abs(p.hi-g.hi)
	return s
}

// boxPair is a predicted and a true box, along x and along y.
type boxPair [2]side

// newBoxPair reads two boxes. One that ends before it starts is empty: it ends
// where it starts, or has no size around its centre.
func newBoxPair(p, g []float64, params Params) boxPair {
	var pair boxPair
	pixel := params.Float("pixel_offset")
	for k := range pair {
		if params.String("boxes") == "cxcywh" {
			// from the prediction's centre, so that large coordinates do not cancel
			offset := p[k] - g[k]
			w, v := math.Max(0, p[k+2]), math.Max(0, g[k+2])
			pair[k] = newSide(span{-w / 2, w / 2}, span{-offset - v/2, v/2 - offset}, w, v, offset, pixel)
			continue
		}
		p, g := span{p[k], math.Max(p[k], p[k+2])}, span{g[k], math.Max(g[k], g[k+2])}
		pair[k] = newSide(p, g, p.hi-p.lo, g.hi-g.lo, (p.lo-g.lo)/2+(p.hi-g.hi)/2, pixel)
	}
	return pair
}

// boxPairs reads all pairs of two inputs.
func boxPairs(predictions, targets Array, params Params) []boxPair {
	pairs := make([]boxPair, len(predictions.Data)/4)
	for i := range pairs {
		pairs[i] = newBoxPair(predictions.Data[4*i:4*i+4], targets.Data[4*i:4*i+4], params)
	}
	return pairs
}

// sideSlope is the derivative of a loss by the quantities of a side.
type sideSlope struct{ sizeP, sizeG, overlap, hull, offset float64 }

// pairSlope is that by both sides of a pair.
type pairSlope [2]sideSlope

// plusScaled adds a multiple of t.
func (s pairSlope) plusScaled(t pairSlope, factor float64) pairSlope {
	for k := range s {
		s[k].sizeP += factor * t[k].sizeP
		s[k].sizeG += factor * t[k].sizeG
		s[k].overlap += factor * t[k].overlap
		s[k].hull += factor * t[k].hull
		s[k].offset += factor * t[k].offset
	}
	return s
}

// above is the slope of max(a, b) by a: ties are shared.
func above(a, b float64) float64 {
	switch {
	case a > b:
		return 1
	case a == b:
		return 0.5
	}
	return 0
}

// edges turns slopes by a side's quantities into slopes by its four edges. touching
// is the slope of the overlap where the boxes just touch.
func (s side) edges(d sideSlope, touching float64) (p, g span) {
	overlap := d.overlap
	switch {
	case s.gap > 0:
		overlap = 0
	case s.gap == 0:
		overlap *= touching
	}
	p.lo = -d.sizeP - overlap*above(s.p.lo, s.g.lo) - d.hull*above(s.g.lo, s.p.lo) + d.offset/2
	g.lo = -d.sizeG - overlap*above(s.g.lo, s.p.lo) - d.hull*above(s.p.lo, s.g.lo) - d.offset/2
	p.hi = d.sizeP + overlap*above(s.g.hi, s.p.hi) + d.hull*above(s.p.hi, s.g.hi) + d.offset/2
	g.hi = d.sizeG + overlap*above(s.p.hi, s.g.hi) + d.hull*above(s.g.hi, s.p.hi) - d.offset/2
	return p, g
}

// addEdges adds the slopes by the edges along axis k to a box's gradient.
func addEdges(gradient, box []float64, k int, by span, scale float64, params Params) {
	if params.String("boxes") == "cxcywh" {
		gradient[k] += scale * (by.lo + by.hi)
		if box[k+2] >= 0 {
			gradient[k+2] += scale * (by.hi - by.lo) / 2
		}
		return
	}
	gradient[k] += scale * by.lo
	if box[k+2] >= box[k] {
		gradient[k+2] += scale * by.hi
	} else {
		gradient[k] += scale * by.hi
	}
}

// boxGradient collects the gradient of pairs of boxes.
type boxGradient struct {
	in       Values
	params   Params
	touching float64
	p, g     Array
}

func newBoxGradient(in Values, params Params, touching float64) boxGradient {
	return boxGradient{in, params, touching, Zeros(in["prediction"].Shape), Zeros(in["target"].Shape)}
}

// add adds scale times the slopes of the pair at a place.
func (b boxGradient) add(at int, pair boxPair, slope pairSlope, scale float64) {
	from, to := 4*at, 4*at+4
	for k := range pair {
		p, g := pair[k].edges(slope[k], b.touching)
		addEdges(b.p.Data[from:to], b.in["prediction"].Data[from:to], k, p, scale, b.params)
		addEdges(b.g.Data[from:to], b.in["target"].Data[from:to], k, g, scale, b.params)
	}
}

func (b boxGradient) values() Values { return Values{"prediction": b.p, "target": b.g} }

// movedX is what figures of losses on pairs of boxes are plotted against.
const movedX = "sideways offset of a box of width and height 1; they are apart beyond 1"

// movedBox is a curve over a box that is moved sideways from one of its size.
func movedBox(label string, settings map[string]any) Curve { return moved(label, settings, 1) }

func moved(label string, settings map[string]any, height float64) Curve {
	return Curve{Label: label, Settings: settings, At: func(x float64) Values {
		return Values{
			"prediction": {Shape: []int{1, 4}, Data: []float64{x, (1 - height) / 2, x + 1, (1 + height) / 2}},
			"target":     {Shape: []int{1, 4}, Data: []float64{0, 0, 1, 1}},
		}
	}}
}

// heightsFigure moves a box of the same size, and one of half the height.
func heightsFigure() *Figure {
	return &Figure{X: movedX, From: -2, To: 2, Curves: []Curve{
		moved("equal boxes", nil, 1),
		moved("half the height", nil, 0.5),
	}}
}

// withoutLast is the shape of one number for each box.
func withoutLast(shape []int) []int { return shape[:len(shape)-1] }

// ofBoxes makes inputs, Value, Gradient and Bound of a loss of one number a pair of
// boxes. touching is the slope of the overlap where boxes just touch.
func ofBoxes(l Loss, touching float64, value func(boxPair, Params) float64, slope func(boxPair, Params) pairSlope, bound func(boxPair, Params, float64) float64) *Loss {
	l.Inputs = boxInputs()
	each := func(in Values, p Params, f func(boxPair) float64) Array {
		a := Zeros(withoutLast(in["prediction"].Shape))
		for i, pair := range boxPairs(in["prediction"], in["target"], p) {
			a.Data[i] = f(pair)
		}
		return a
	}
	l.Value = func(in Values, p Params) (Terms, error) {
		return Terms{Loss: each(in, p, func(pair boxPair) float64 { return value(pair, p) })}, nil
	}
	l.Gradient = func(in Values, p Params, upstream Array) (Values, error) {
		gradient := newBoxGradient(in, p, touching)
		for i, pair := range boxPairs(in["prediction"], in["target"], p) {
			gradient.add(i, pair, slope(pair, p), upstream.Data[i])
		}
		return gradient.values(), nil
	}
	l.Bound = func(in Values, p Params, eps float64) (Array, error) {
		return each(in, p, func(pair boxPair) float64 { return bound(pair, p, eps) }), nil
	}
	return &l
}

// areas of a pair: of the boxes, their intersection and their union.
type areas struct{ p, g, intersection, union float64 }

func (b boxPair) areas() areas {
	a := areas{
		p:            b[0].sizeP * b[1].sizeP,
		g:            b[0].sizeG * b[1].sizeG,
		intersection: b[0].overlap * b[1].overlap,
	}
	a.union = a.p + a.g - a.intersection
	return a
}

// iou is the intersection over the union plus epsilon.
func (b boxPair) iou(epsilon float64) float64 {
	a := b.areas()
	return quotient(a.intersection, a.union+epsilon)
}

// iouSlope is the derivative of iou.
func (b boxPair) iouSlope(epsilon float64) pairSlope {
	a := b.areas()
	union := a.union + epsilon
	if union == 0 {
		return pairSlope{}
	}
	iou := a.intersection / union
	return b.areaSlope(-iou/union, (1+iou)/union)
}

// areaSlope is that of a function of the areas: by each box's, and by their
// intersection.
func (b boxPair) areaSlope(byArea, byIntersection float64) pairSlope {
	var slope pairSlope
	for k := range slope {
		other := b[1-k]
		slope[k] = sideSlope{
			sizeP:   byArea * other.sizeP,
			sizeG:   byArea * other.sizeG,
			overlap: byIntersection * other.overlap,
		}
	}
	return slope
}

// iouOf computes the IoU of every pair; params says how the boxes are written.
func iouOf(predictions, targets Array, params Params) []float64 {
	iou := make([]float64, len(predictions.Data)/4)
	for i, pair := range boxPairs(predictions, targets, params) {
		iou[i] = pair.iou(0)
	}
	return iou
}

// sideError is how far a lowering's quantities of a side may be off.
type sideError struct{ sizeP, sizeG, overlap, hull, offset float64 }

// errors of a side. Corners are given exactly and each difference is rounded once, so
// that sizes, overlap and hull have small relative errors, however large the
// coordinates; from centres, overlap and hull are differences of sizes and offset.
func (s side) errors(params Params, eps float64) sideError {
	tiny, pixel := smallestNormal(eps), params.Float("pixel_offset")
	e := sideError{
		sizeP: eps*s.sizeP + tiny, sizeG: eps*s.sizeG + tiny,
		overlap: eps*(s.overlap+pixel) + tiny, hull: eps*s.hull + tiny, offset: eps*s.moved + tiny,
	}
	if params.String("boxes") == "cxcywh" {
		e.overlap = eps*(s.sizeP+s.sizeG+math.Abs(s.offset)) + tiny
		e.hull, e.offset = e.overlap, eps*math.Abs(s.offset)+tiny
	}
	if s.gap > e.overlap {
		e.overlap = 0
	}
	return e
}

// extent is the hull's, but for what rounds to 0 in halves of the smallest numbers.
func (s side) extent() float64 { return math.Max(s.hull, math.Max(s.sizeP, s.sizeG)) }

// iouError is how far a lowering's IoU, and its union as a part of the hull, may be
// off; both are from 0 to 1.
func (b boxPair) iouError(params Params, eps float64) (iou, union float64) {
	a, epsilon := b.areas(), params.Float("epsilon")
	hull := b[0].hull * b[1].hull
	if b[0].extent() == 0 || b[1].extent() == 0 {
		return 0, 0
	}
	tiny := smallestNormal(eps)
	if hull < tiny/eps {
		return 1, 1
	}
	x, y := b[0].errors(params, eps), b[1].errors(params, eps)
	byIntersection := b[0].overlap*y.overlap + b[1].overlap*x.overlap + x.overlap*y.overlap + 2*eps*a.intersection + tiny*hull
	byUnion := 4*eps*(a.p+a.g+epsilon) + b[0].sizeP*y.sizeP + b[0].sizeG*y.sizeG + b[1].sizeP*x.sizeP + b[1].sizeG*x.sizeG + byIntersection + 2*tiny*hull
	ratio := b.iou(epsilon)
	if whole := a.union + epsilon; whole > 0 {
		iou = min(1, (byIntersection+ratio*byUnion)/whole+eps*ratio)
	}
	part := a.union / hull
	union = min(1, byUnion/hull+part*(x.hull/b[0].hull+y.hull/b[1].hull+2*eps))
	return iou, union
}

// boxValues is what the lowerings of losses on pairs of boxes have in common: for
// each quantity of a side a tensor [...,2], x and y.
type boxValues struct {
	sizeP, sizeG, overlap, hull, offset ops.Value
}

// buildBoxes reads two boxes.
func buildBoxes(b *ops.Builder, prediction, target ops.Value, params Params) boxValues {
	firstP, lastP := b.Slice(prediction, -1, 0, 2), b.Slice(prediction, -1, 2, 4)
	firstG, lastG := b.Slice(target, -1, 0, 2), b.Slice(target, -1, 2, 4)
	if params.String("boxes") == "cxcywh" {
		return buildCentred(b, firstP, b.Relu(lastP), firstG, b.Relu(lastG)).widened(b, params)
	}
	return buildCorners(b, firstP, b.Max(firstP, lastP), firstG, b.Max(firstG, lastG)).widened(b, params)
}

func buildCorners(b *ops.Builder, loP, hiP, loG, hiG ops.Value) boxValues {
	moved := b.Add(b.Sub(loP, loG), b.Sub(hiP, hiG))
	return boxValues{
		sizeP:   b.Sub(hiP, loP),
		sizeG:   b.Sub(hiG, loG),
		overlap: b.Sub(b.Min(hiP, hiG), b.Max(loP, loG)),
		hull:    b.Sub(b.Max(hiP, hiG), b.Min(loP, loG)),
		offset:  b.Mul(moved, b.Scalar(moved, 0.5)),
	}
}

// buildCentred needs no corners, so that nothing cancels but sizes and offsets: boxes
// overlap by half their sizes less their offset, or by all of the smaller one.
func buildCentred(b *ops.Builder, centreP, sizeP, centreG, sizeG ops.Value) boxValues {
	offset := b.Sub(centreP, centreG)
	distance := b.Abs(offset)
	total := b.Add(sizeP, sizeG)
	reach := b.Mul(total, b.Scalar(total, 0.5))
	return boxValues{
		sizeP:   sizeP,
		sizeG:   sizeG,
		overlap: b.Min(b.Min(sizeP, sizeG), b.Sub(reach, distance)),
		hull:    b.Max(b.Max(sizeP, sizeG), b.Add(reach, distance)),
		offset:  offset,
	}
}

// widened adds the pixel offset to the extents, cuts the overlap off at 0 and names
// all.
func (v boxValues) widened(b *ops.Builder, params Params) boxValues {
	if pixel := params.Float("pixel_offset"); pixel != 0 {
		for _, extent := range []*ops.Value{&v.sizeP, &v.sizeG, &v.overlap, &v.hull} {
			*extent = b.Add(*extent, b.Scalar(*extent, pixel))
		}
	}
	return boxValues{
		sizeP:   b.Label(v.sizeP, "size"),
		sizeG:   b.Label(v.sizeG, "target_size"),
		overlap: b.Label(b.Relu(v.overlap), "overlap"),
		hull:    b.Label(v.hull, "hull"),
		offset:  b.Label(v.offset, "centre_offset"),
	}
}

// atLeastTiny makes a divisor that is 0 only where what it divides is 0 as well one
// that can be divided by.
func atLeastTiny(b *ops.Builder, v ops.Value) ops.Value {
	eps := 0x1p-23
	if v.DType() == ops.Float64 {
		eps = 0x1p-52
	}
	return b.Max(v, b.Scalar(v, smallestNormal(eps)))
}

// xTimesY multiplies the two numbers on the last axis.
func xTimesY(b *ops.Builder, v ops.Value) ops.Value { return b.Mul(xOf(b, v), yOf(b, v)) }

// squared is the sum of the squares of the two numbers on the last axis. A reduction
// would have the wrong shape on common engines where there are no boxes.
func squared(b *ops.Builder, v ops.Value) ops.Value {
	square := b.Mul(v, v)
	return b.Add(xOf(b, square), yOf(b, square))
}

// longer is the larger of the two numbers on the last axis, which stays.
func longer(b *ops.Builder, v ops.Value) ops.Value {
	return b.Max(b.Slice(v, -1, 0, 1), b.Slice(v, -1, 1, 2))
}

func xOf(b *ops.Builder, v ops.Value) ops.Value {
	return b.Gather(v, b.Constant(ops.Int64, nil, []float64{0}), -1)
}

func yOf(b *ops.Builder, v ops.Value) ops.Value {
	return b.Gather(v, b.Constant(ops.Int64, nil, []float64{1}), -1)
}

// buildIoU gives the IoU, and the union and epsilon as parts of the hull's area. All
// lengths are divided by the hull's first, so that no area overflows or vanishes.
// epsilon is absent where it is 0.
func (v boxValues) buildIoU(b *ops.Builder, params Params) (iou, union, epsilon ops.Value) {
	hull := atLeastTiny(b, v.hull)
	part := func(length ops.Value) ops.Value { return xTimesY(b, b.Div(length, hull)) }
	intersection := b.Label(part(v.overlap), "intersection")
	union = b.Label(b.Sub(b.Add(part(v.sizeP), part(v.sizeG)), intersection), "union")
	divisor := union
	if e := params.Float("epsilon"); e > 0 {
		epsilon = b.Div(b.Scalar(hull, e), atLeastTiny(b, xTimesY(b, hull)))
		divisor = b.Add(union, epsilon)
	}
	return b.Label(b.Div(intersection, atLeastTiny(b, divisor)), "iou"), union, epsilon
}
