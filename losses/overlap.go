package losses

import (
	"fmt"
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// Losses of the overlap of two regions, a predicted and a true one, are all
//
//	1 - (hit + smooth_nr) / (hit + miss + smooth_dr)
//
// where hit and miss are sums over a class's positions of something never negative.
// Written as (miss + smooth_dr - smooth_nr) / (hit + miss + smooth_dr) it does not
// cancel where the overlap is nearly perfect.

// pixel is what one position adds to hit and miss of its class, and how that changes
// with the probability and with the share.
type pixel struct {
	hit, miss       float64
	hitByP, missByP float64
	hitByT, missByT float64
}

// measure compares a class's probability p, 1 - p being q, with its share t.
type measure func(p, q, t float64, params Params) pixel

// dicePixel makes hit + miss the sizes of both regions together: 2 p t, and what is
// in one of them only.
func dicePixel(p, q, t float64, params Params) pixel {
	s := sharedOf(p, q, t, params)
	return pixel{
		hit: 2 * s.both, hitByP: 2 * s.bothByP, hitByT: 2 * s.bothByT,
		miss: s.surplus + s.lack, missByP: 1 - 2*s.bothByP, missByT: 1 - 2*s.bothByT,
	}
}

// shared is what a probability and a share have in common, what the probability has
// beyond that, and what the share has.
type shared struct {
	both, surplus, lack float64
	bothByP, bothByT    float64
}

func sharedOf(p, q, t float64, params Params) shared {
	if params.String("intersection") == "product" {
		return shared{both: p * t, surplus: p * (1 - t), lack: q * t, bothByP: t, bothByT: p}
	}
	difference := p*(1-t) - q*t
	s := shared{both: min(p, t), surplus: max(difference, 0), lack: max(-difference, 0), bothByP: 0.5, bothByT: 0.5}
	switch {
	case difference < 0:
		s.bothByP, s.bothByT = 1, 0
	case difference > 0:
		s.bothByP, s.bothByT = 0, 1
	}
	return s
}

// ratio is the loss as a function of hit and miss, with its derivatives. Where there
// is neither, prediction and target agree that the class is not there: 0.
type ratio struct{ loss, byHit, byMiss float64 }

func overlapRatio(hit, miss float64, p Params) ratio {
	nr, dr := smoothing(p)
	total := hit + miss + dr
	if total == 0 {
		return ratio{}
	}
	loss := (miss + (dr - nr)) / total
	return ratio{loss: loss, byHit: -finiteRatio(loss, total), byMiss: finiteRatio((hit+nr)/total, total)}
}

// finiteRatio is x/y where that is finite, else the largest number: a slope that is
// multiplied by a probability that is next to nothing as well.
func finiteRatio(x, y float64) float64 {
	return max(-math.MaxFloat64, min(math.MaxFloat64, x/y))
}

// smoothing gives what is added to numerator and denominator.
func smoothing(p Params) (nr, dr float64) {
	nr, dr = p.Float("smooth_nr"), p.Float("smooth_dr")
	if dr < 0 {
		dr = nr
	}
	return nr, dr
}

// checkRegions refuses parameters that do not go together.
func checkRegions(p Params) error {
	if p.String("intersection") == "minimum" && hardTargets(p) {
		return fmt.Errorf("intersection=minimum differs from product for soft targets only; set soft_targets or leave it out")
	}
	if p.Float("smooth_nr") > 0 && p.Float("smooth_dr") == 0 {
		return fmt.Errorf("smooth_nr = %g needs a smooth_dr above 0, or the loss of an empty class is infinite; leave smooth_dr out for the same number", p.Float("smooth_nr"))
	}
	return checkIgnoreIndex(p)
}

// ratioBound is how far the loss moves when hit and miss are off by so much.
func ratioBound(hit, miss, hitError, missError float64, p Params, eps float64) float64 {
	r := overlapRatio(hit, miss, p)
	nr, dr := smoothing(p)
	total, off := hit+miss+dr, hitError+missError
	if total == 0 && off == 0 {
		return 0
	}
	if !(off < total/2) {
		// So little is there that it may be lost: any value between no hit and no
		// miss is possible.
		lowest := 0.0
		if dr > 0 {
			lowest = 1 - max(1, nr/dr)
		}
		return max(1-r.loss, r.loss-lowest)
	}
	byMiss := (hit + nr) / total
	return (math.Abs(r.loss)*hitError+byMiss*missError)/(total-off) + 4*eps*math.Abs(r.loss)
}

// overlap is the sums of a loss over its regions: one for each class of each sample
// or, with batch, for each class.
type overlap struct {
	measure    measure
	params     Params
	prediction Array
	labels     labels
	c          classes
	rows       int // samples, or 1 with batch

	hit, miss, size []float64 // [rows, C]; size is that of the true region
	counted         []float64 // 1 for a row of which some position counts, else 0
}

func overlapOf(in Values, p Params, m measure) *overlap {
	c := classesOf(in["prediction"])
	o := &overlap{measure: m, params: p, prediction: in["prediction"], labels: labelsOf(in, p, c), c: c, rows: c.outer}
	if p.Bool("batch") {
		o.rows = 1
	}
	regions := o.rows * c.count
	hit, miss, size := make([][]float64, regions), make([][]float64, regions), make([][]float64, regions)
	o.counted = make([]float64, o.rows)
	o.each(func(row, _ int, d distribution, share []float64) {
		o.counted[row] = 1
		for k, t := range share {
			x, at := m(d.p[k], d.miss[k], t, p), row*c.count+k
			hit[at], miss[at], size[at] = append(hit[at], x.hit), append(miss[at], x.miss), append(size[at], t)
		}
	})
	if o.labels.soft {
		o.counted = Filled([]int{o.rows}, 1).Data
	}
	for at := range regions {
		o.hit, o.miss, o.size = append(o.hit, sum(hit[at])), append(o.miss, sum(miss[at])), append(o.size, sum(size[at]))
	}
	return o
}

// each goes through the positions that count.
func (o *overlap) each(f func(row, position int, d distribution, share []float64)) {
	share := make([]float64, o.c.count)
	for i := range o.c.positions() {
		if _, counts := o.labels.at(i, share); counts {
			f(min(i/o.c.inner, o.rows-1), i, probabilitiesAt(o.prediction, o.c, i, o.params), share)
		}
	}
}

// gradient turns the slopes by hit and miss of every region into the gradients by the
// inputs.
func (o *overlap) gradient(byHit, byMiss []float64) Values {
	dx, dt := Zeros(o.prediction.Shape), Zeros(o.prediction.Shape)
	slope := make([]float64, o.c.count)
	o.each(func(row, position int, d distribution, share []float64) {
		for k, t := range share {
			x, at := o.measure(d.p[k], d.miss[k], t, o.params), row*o.c.count+k
			slope[k] = byHit[at]*x.hitByP + byMiss[at]*x.missByP
			dt.Data[o.c.index(position, k)] = byHit[at]*x.hitByT + byMiss[at]*x.missByT
		}
		for k, byX := range d.backward(slope, o.params) {
			dx.Data[o.c.index(position, k)] = byX
		}
	})
	if o.labels.soft {
		return Values{"prediction": dx, "target": dt}
	}
	return Values{"prediction": dx}
}

// errors bounds what rounding makes of hit and miss: of the probabilities, of what
// is computed from them at a position, and of adding up.
func (o *overlap) errors(eps float64) (hit, miss []float64) {
	hit, miss = make([]float64, len(o.hit)), make([]float64, len(o.miss))
	least := smallestNormal(eps)
	o.each(func(row, _ int, d distribution, share []float64) {
		for k, t := range share {
			at := row*o.c.count + k
			off := d.rounding(k, eps, o.params) + 2*least
			byHit, byMiss := 0.0, 0.0 // the steepest slopes nearby
			for _, by := range []float64{-off, 0, off} {
				x := o.measure(d.p[k]+by, d.miss[k]-by, t, o.params)
				byHit, byMiss = max(byHit, math.Abs(x.hitByP)), max(byMiss, math.Abs(x.missByP))
			}
			x := o.measure(d.p[k], d.miss[k], t, o.params)
			hit[at] += byHit*off + least
			miss[at] += byMiss*off + least + eps*x.hit
		}
	})
	terms := float64(o.c.positions()/max(1, o.rows) + 6)
	for at := range hit {
		hit[at] += terms * eps / 2 * o.hit[at]
		miss[at] += terms * eps / 2 * o.miss[at]
	}
	return hit, miss
}

// shape is that of a number for each region.
func (o *overlap) shape() []int {
	if o.params.Bool("batch") {
		return []int{o.c.count}
	}
	return []int{o.rows, o.c.count}
}

// weights is the weight of each region's term: its class's, and 0 where no position
// counts.
func (o *overlap) weights(in Values) Array {
	weights, perClass := Zeros(o.shape()), classWeights(in, o.c.count)
	for at := range weights.Data {
		weights.Data[at] = o.counted[at/o.c.count] * perClass[at%o.c.count]
	}
	return weights
}

// ofRegions makes Value, Gradient and Bound of a loss with a term for each region.
func ofRegions(l Loss, m measure) *Loss {
	l.Coupled = batchTogether
	l.Value = func(in Values, p Params) (Terms, error) {
		o := overlapOf(in, p, m)
		loss, weights := Zeros(o.shape()), o.weights(in)
		for at, w := range weights.Data {
			loss.Data[at] = w * overlapRatio(o.hit[at], o.miss[at], p).loss
		}
		return Terms{Loss: loss, Weight: &weights}, nil
	}
	l.Gradient = func(in Values, p Params, upstream Array) (Values, error) {
		o := overlapOf(in, p, m)
		byHit, byMiss := make([]float64, len(o.hit)), make([]float64, len(o.hit))
		for at, w := range o.weights(in).Data {
			r := overlapRatio(o.hit[at], o.miss[at], p)
			byHit[at], byMiss[at] = upstream.Data[at]*w*r.byHit, upstream.Data[at]*w*r.byMiss
		}
		return o.gradient(byHit, byMiss), nil
	}
	l.Bound = func(in Values, p Params, eps float64) (Array, error) {
		o := overlapOf(in, p, m)
		hit, miss := o.errors(eps)
		bound := Zeros(o.shape())
		for at, w := range o.weights(in).Data {
			bound.Data[at] = w * ratioBound(o.hit[at], o.miss[at], hit[at], miss[at], p, eps)
		}
		return bound, nil
	}
	return &l
}

// batchTogether says that the samples of a batch make one region.
func batchTogether(p Params) bool { return p.Bool("batch") }

// regionInputs lists the inputs of a loss on the overlap of regions.
func regionInputs(weight string) []Input {
	return append(activatedInputs("N,C,..."), []Input{
		{Name: "target", Role: Target, Domain: ClassIndex, Shape: "N,...", When: hardTargets, Doc: "the index of the right class"},
		{Name: "target", Role: Target, Domain: Binary, Shape: "N,C,...", When: softTargets, Doc: "a mask for each class; numbers between 0 and 1 are shares"},
		{Name: "weight", Role: Weight, Domain: NonNegative, Shape: "C", Optional: true, Doc: weight},
	}...)
}

// regionParams lists the parameters that losses on the overlap of regions share.
func regionParams(further ...Param) []Param {
	return append([]Param{
		activationParam(),
		{Name: "soft_targets", Kind: Bool, Default: false, Try: []any{true}, Doc: "the target is a mask for each class, possibly a soft one, instead of a class index"},
		ignoreIndexParam(),
		{Name: "batch", Kind: Bool, Default: false, Try: []any{true}, Doc: "take the samples of the batch together as one region a class"},
		{Name: "smooth_nr", Kind: Float, Default: 0.0, Min: 0, Max: math.Inf(1), Try: []any{1e-5, 1.0}, Doc: "added to the numerator of the overlap; MONAI: 1e-5"},
		{Name: "smooth_dr", Kind: Float, Default: -1.0, Min: 0, Max: math.Inf(1), Also: []float64{-1}, Try: []any{1e-5, 1.0}, Doc: "added to its denominator; -1 is as much as smooth_nr; kornia: 1e-8 with smooth_nr 0"},
		{Name: "intersection", Kind: String, Default: "product", Values: []string{"product", "minimum"}, Try: []any{"minimum"}, With: map[string]any{"soft_targets": true}, Doc: "what p and a soft t share: p t, or the smaller of both, by which the loss is 0 where p = t (MONAI: soft_label)"},
	}, further...)
}

// regionsAccuracy is what the bounds of these losses have in common.
const regionsAccuracy = "the errors of the sums, carried through the quotient: half an eps a position for adding up, and those of the probabilities, of each eps · (|log p|/2 + C/2 + 4) with softmax and 4 eps with sigmoid. Where all that there is of a class could be lost below the smallest normal number, the loss may be anything: it jumps from 1 to 0 when the last probability of an absent class is"

// regions is what the lowerings of these losses start from.
type regions struct {
	probability ops.Value // [N,C,...], 0 where ignored
	share       ops.Value // [N,C,...], the target's
	counted     ops.Value // [N], or a scalar with batch: 1 where a position counts; absent with soft targets
	batch       bool
}

func buildRegions(b *ops.Builder, in map[string]ops.Value, p Params) regions {
	prediction := in["prediction"]
	r := regions{probability: buildActivation(b, prediction, p), share: in["target"], batch: p.Bool("batch")}
	if softTargets(p) {
		return r
	}
	t := buildIndexTarget(b, prediction, in["target"], p)
	r.share = buildOneHot(b, t, prediction)
	r.probability = b.Label(b.Mul(r.probability, b.Unsqueeze(t.keep, 1)), "counted_probability")
	positions := sumFrom(b, t.keep, 1, r.batch)
	r.counted = b.Label(b.Cast(b.Greater(positions, b.Scalar(positions, 0)), positions.DType()), "counted")
	return r
}

// both is what probability and share have in common at each position.
func (r regions) both(b *ops.Builder, p Params) ops.Value {
	if p.String("intersection") == "minimum" {
		return b.Label(b.Min(r.probability, r.share), "both")
	}
	return b.Label(b.Mul(r.probability, r.share), "both")
}

// intersection is twice what both have in common, for each region.
func (r regions) intersection(b *ops.Builder, both ops.Value) ops.Value {
	total := r.sum(b, both)
	return b.Label(b.Mul(total, b.Scalar(total, 2)), "hit")
}

// mismatch is what only one of them has at each position; for masks |p - t|.
func (r regions) mismatch(b *ops.Builder, both ops.Value, p Params) ops.Value {
	if hardTargets(p) || p.String("intersection") == "minimum" {
		return b.Abs(b.Sub(r.probability, r.share))
	}
	return b.Add(b.Sub(r.probability, both), b.Sub(r.share, both))
}

// sum adds up over the positions of each region.
func (r regions) sum(b *ops.Builder, x ops.Value) ops.Value { return sumFrom(b, x, 2, r.batch) }

// sumFrom adds up over the axes from first on, and over the batch if asked to. Where
// the rank is open these axes are made one.
func sumFrom(b *ops.Builder, x ops.Value, first int, batch bool) ops.Value {
	rank := len(x.Shape())
	if !x.Shape().Known() {
		shape := make([]int, first+1)
		shape[first] = -1
		rank, x = first+1, b.Reshape(x, b.Int64s(shape...), nil)
	}
	var axes []int
	if batch {
		axes = append(axes, 0)
	}
	for axis := first; axis < rank; axis++ {
		axes = append(axes, axis)
	}
	if len(axes) == 0 {
		return x
	}
	return b.ReduceSum(x, false, axes...)
}

// buildRatio is (miss + dr - nr) / (hit + miss + dr), and 0 where the divisor is.
func buildRatio(b *ops.Builder, hit, miss ops.Value, p Params) ops.Value {
	nr, dr := smoothing(p)
	total := b.Add(hit, miss)
	if dr != nr {
		miss = b.Add(miss, b.Scalar(miss, dr-nr))
	}
	if dr > 0 {
		return b.Label(b.Div(miss, b.Add(total, b.Scalar(total, dr))), "one_minus_overlap")
	}
	return b.Label(buildQuotient(b, miss, total), "one_minus_overlap")
}

// terms weighs the loss of each region by its class, and by 0 where no position
// counts.
func (r regions) terms(b *ops.Builder, loss, classWeight ops.Value) ops.Terms {
	factor := r.counted
	if factor.Present() && !r.batch {
		factor = b.Unsqueeze(factor, 1)
	}
	switch {
	case !factor.Present() && !classWeight.Present():
		return ops.Terms{Loss: loss}
	case !factor.Present():
		factor = classWeight
	case classWeight.Present():
		factor = b.Mul(factor, classWeight)
	}
	ones := onesLike(b, loss)
	return ops.Terms{Loss: scale(b, loss, factor), Weight: b.Label(scale(b, ones, factor), "weight_of_region")}
}

// growing is a curve over the size of a predicted region: it grows inside the true
// one, of size 1, until it fills that, and outside from then on.
func growing(label string, settings map[string]any) Curve {
	all := map[string]any{"activation": "none", "soft_targets": true}
	for name, value := range settings {
		all[name] = value
	}
	return Curve{Label: label, Settings: all, At: func(x float64) Values {
		return Values{
			"prediction": {Shape: []int{1, 1, 2}, Data: []float64{min(x, 1), max(x-1, 0)}},
			"target":     {Shape: []int{1, 1, 2}, Data: []float64{1, 0}},
		}
	}}
}

const growingX = "size of the prediction; up to 1 it fills the target, beyond it is outside"
