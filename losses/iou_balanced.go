package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// iouSourceParam says where a loss has its IoU from.
func iouSourceParam() Param {
	return Param{Name: "boxes", Kind: String, Default: "none", Values: []string{"none", "xyxy", "cxcywh"}, Try: []any{"xyxy", "cxcywh"}, Doc: "none: the IoU is an input; else it is computed from predicted_boxes and target_boxes, which hold corners x1, y1, x2, y2 or centre, width and height"}
}

// iouInputs lists what a loss has its IoU from, of the shape of one number a sample.
func iouInputs(shape string) []Input {
	given := func(p Params) bool { return p.String("boxes") == "none" }
	computed := func(p Params) bool { return p.String("boxes") != "none" }
	return []Input{
		{Name: "iou", Role: Auxiliary, Domain: UnitInterval, Shape: shape, When: given, Doc: "the IoU of each sample's predicted box with its true one; that of negatives does not matter"},
		{Name: "predicted_boxes", Role: Auxiliary, Domain: Boxes, Shape: shape + ",4", When: computed, Doc: "the predicted box of each sample; no gradient goes there"},
		{Name: "target_boxes", Role: Auxiliary, Domain: Boxes, Shape: shape + ",4", When: computed, Doc: "the true box of each sample, anything for negatives"},
	}
}

func etaParam() Param {
	return Param{Name: "eta", Kind: Float, Default: 1.5, Min: 0, Max: math.Inf(1), Try: []any{0.0, 0.7}, Doc: "how strongly positives are weighed by their IoU; 0 leaves it out"}
}

func normalizerParams() []Param {
	return []Param{
		{Name: "epsilon", Kind: Float, Default: 0.0, Min: 0, Max: math.Inf(1), Try: []any{1e-3}, Doc: "added to the denominator of N, which then no longer keeps the positives' sum; 1e-6 in the authors' code"},
		{Name: "weighted_normalizer", Kind: Bool, Default: true, Try: []any{false}, Doc: "weight counts in N as well; false as in the authors' code, where samples of weight 0 still shift the others"},
	}
}

// balanceCouples says whether N is other than 1.
func balanceCouples(p Params) bool { return p.Float("eta") != 0 || p.Float("epsilon") != 0 }

func classAxisParam() Param {
	return Param{Name: "class_axis", Kind: String, Default: "1", Values: []string{"1", "last"}, Try: []any{"last"}, Doc: "where the classes are: 1 for [N, C, ...], last for [N, ..., C], as detectors have them"}
}

func classesFirst(p Params) bool { return p.String("class_axis") != "last" }

func classesLast(p Params) bool { return p.String("class_axis") == "last" }

// classAxis is that parameter as an axis.
func classAxis(p Params) int {
	if classesLast(p) {
		return -1
	}
	return 1
}

// classesAlong is how a tensor with its classes on that axis is walked.
func classesAlong(a Array, p Params) classes {
	if !classesLast(p) {
		return classesOf(a)
	}
	last := len(a.Shape) - 1
	c := classes{outer: 1, count: a.Shape[last], inner: 1}
	for _, d := range a.Shape[:last] {
		c.outer *= d
	}
	return c
}

// position of an element of the tensor, as index counts them.
func (c classes) position(i int) int { return i/(c.count*c.inner)*c.inner + i%c.inner }

// sampleIoU is the IoU of every sample.
func sampleIoU(in Values, p Params) []float64 {
	if p.String("boxes") == "none" {
		return in["iou"].Data
	}
	return iouOf(in["predicted_boxes"], in["target_boxes"], iouParams(p))
}

// iouParams is what is to be known of the boxes.
func iouParams(p Params) Params { return Params{"boxes": p["boxes"]} }

// sampleIoUError is how far a lowering's may be off.
func sampleIoUError(in Values, p Params, eps float64) []float64 {
	if p.String("boxes") == "none" {
		return Zeros(in["iou"].Shape).Data
	}
	var off []float64
	for _, pair := range boxPairs(in["predicted_boxes"], in["target_boxes"], iouParams(p)) {
		e, _ := pair.iouError(iouParams(p), eps)
		off = append(off, e)
	}
	return off
}

// vanishing is below what a sum counts as 0: what it would divide is no larger.
func vanishing(eps float64) float64 {
	if eps <= 0x1p-52 {
		return 0x1p-960
	}
	return 0x1p-100
}

// powers is the IoU to the power eta.
func powers(iou []float64, eta float64) []float64 {
	powered := make([]float64, len(iou))
	for i, x := range iou {
		powered[i] = math.Pow(x, eta)
	}
	return powered
}

// normalizer is the paper's N for the positives' losses, each with the power of its
// IoU and the weight with which it counts. plain says that their weights are all 1
// instead.
func normalizer(positives, power, weight []float64, p Params) (n float64, plain bool) {
	before, after := make([]float64, len(positives)), make([]float64, len(positives))
	for i, x := range positives {
		before[i] = weight[i] * x
		after[i] = before[i] * power[i]
	}
	divisor := sum(after) + p.Float("epsilon")
	if divisor < vanishing(0x1p-52) {
		return 1, true
	}
	return sum(before) / divisor, false
}

// iouWeights is IoU^eta N for every term.
func iouWeights(positives, power, weight []float64, p Params) []float64 {
	n, plain := normalizer(positives, power, weight, p)
	w := make([]float64, len(power))
	for i := range w {
		w[i] = 1
		if !plain {
			w[i] = power[i] * n
		}
	}
	return w
}

// normalizerWeights is the weight with which each term counts in N.
func normalizerWeights(weight []float64, p Params) []float64 {
	if p.Bool("weighted_normalizer") {
		return weight
	}
	return Filled([]int{len(weight)}, 1).Data
}

// whereAbove0 is 1 where a weight is above 0, else 0.
func whereAbove0(weight Array) *Array {
	counts := Zeros(weight.Shape)
	for i, w := range weight.Data {
		if w > 0 {
			counts.Data[i] = 1
		}
	}
	return &counts
}

// weighted is a positive term on its way through a bound: its loss before the
// weights, the power of its IoU, and how far both may be off.
type weighted struct{ loss, lossError, power, powerError, weight float64 }

// powerError is how far IoU^eta may be off, where the IoU is off by at most off.
func powerError(iou, off, eta, eps float64) float64 {
	power := math.Pow(iou, eta)
	up := math.Pow(iou+off, eta) - power
	down := power - math.Pow(math.Max(0, iou-off), eta)
	rounding := 3 * power * eps
	if iou > 0 && eta != 0 {
		rounding *= 1 + eta*math.Abs(math.Log(iou))
	}
	return math.Max(up, down) + rounding + smallestNormal(eps)
}

// balancedErrors bounds the errors of positives' terms, which are parts of a sum:
// N IoU^eta loss. However badly N is conditioned, none of them is more than that sum.
func balancedErrors(terms []weighted, p Params, eps float64) []float64 {
	total, totalError, divisor, divisorError := 0.0, 0.0, 0.0, 0.0
	n := float64(len(terms))
	for _, t := range terms {
		counted := 1.0
		if p.Bool("weighted_normalizer") {
			counted = t.weight
		}
		total += counted * t.loss
		totalError += counted * t.lossError
		divisor += counted * t.power * t.loss
		divisorError += counted * ((t.power+t.powerError)*(t.loss+t.lossError) - t.power*t.loss)
	}
	totalError += n * eps * total
	divisorError += n*eps*divisor + 2*n*smallestNormal(eps)
	divisor += p.Float("epsilon")
	divisorError += eps * divisor

	bounds := make([]float64, len(terms))
	for i, t := range terms {
		most := total + totalError
		if !p.Bool("weighted_normalizer") {
			most *= t.weight
		}
		bounds[i] = most
		if least := divisor - divisorError; least > vanishing(eps) {
			factor := total / divisor
			top := (total + totalError) / least * (1 + 2*eps)
			off := t.weight * (top*(t.power+t.powerError)*(t.loss+t.lossError) - factor*t.power*t.loss)
			bounds[i] = math.Min(most, off+4*eps*t.weight*factor*t.power*t.loss)
		}
	}
	return bounds
}

// buildSampleIoU gives IoU^eta of every sample.
func buildSampleIoU(b *ops.Builder, in map[string]ops.Value, p Params, exponent string) ops.Value {
	iou := in["iou"]
	if p.String("boxes") != "none" {
		iou, _, _ = buildBoxes(b, in["predicted_boxes"], in["target_boxes"], iouParams(p)).buildIoU(b, iouParams(p))
	}
	if p.Float(exponent) == 0 { // in the shape of the IoU, unlike the power 0
		return onesLike(b, iou)
	}
	return b.PowConst(iou, p.Float(exponent))
}

// buildIoUWeights is IoU^eta N for positives' losses and, where the sum that N
// divides by vanishes, 1.
func buildIoUWeights(b *ops.Builder, positives, power, weight ops.Value, p Params) ops.Value {
	counted := positives
	if weight.Present() && p.Bool("weighted_normalizer") {
		counted = scale(b, positives, weight)
	}
	before := b.Label(b.ReduceSum(counted, false), "positives")
	after := b.Label(b.ReduceSum(b.Mul(counted, power), false), "positives_by_iou")
	if e := p.Float("epsilon"); e > 0 {
		return b.Mul(power, b.Label(b.Div(before, b.Add(after, b.Scalar(after, e))), "normalizer"))
	}
	eps := 0x1p-23
	if power.DType() == ops.Float64 {
		eps = 0x1p-52
	}
	least := b.Scalar(after, vanishing(eps))
	n := b.Label(b.Div(before, b.Max(after, least)), "normalizer")
	return b.Where(b.Less(after, least), b.Scalar(power, 1), b.Mul(power, n))
}
