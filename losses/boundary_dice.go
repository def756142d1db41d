package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// BoundaryDice is generalized Dice and the boundary loss, as they are trained with.
var BoundaryDice = &Loss{
	Name:    "BoundaryDiceLoss",
	Summary: "generalized Dice plus α times the boundary loss, for each sample",
	Formula: `p = softmax(prediction) over the classes, sigmoid(prediction), or prediction itself
t = 1 where the target is of the class, else 0;  w_c = 1/(Σ t_c)², 0 without any t_c
GD = 1 - 2 Σ_c w_c Σ p t / Σ_c w_c (Σ p + Σ t)
B = Σ_c weight_c Σ p φ / Σ_c weight_c Σ 1,  φ as in the boundary loss
loss = GD + α B, or with schedule=rebalance (1 - α) GD + α B`,
	Meaning: `The loss of the boundary loss's paper, one term for each sample. GD is 0 for a perfect
prediction and 1 for one that misses everything; every class of the target has the same say,
however small, and a class that the target does not have has none: without any class GD is 0.
B is the mean boundary loss over classes and positions, negative for a good prediction, in the
unit of the distances. α is an input, since it changes from epoch to epoch: with increase it
starts near 0 and grows (0.01 more an epoch), with rebalance it goes from 0 to 1. weight
chooses among the classes of B alone. φ and α are constants to the gradient; see boundary and
signed-distance-map for φ and the memory that it takes. Ignored positions count for nothing in
both parts; where nothing is left to average, B is 0.`,
	Paper:    boundaryPaper,
	Inputs:   boundaryDiceInputs(),
	Declare:  append(boundaryParams(), scheduleParam()),
	Check:    checkMap,
	Value:    boundaryDiceValue,
	Gradient: boundaryDiceGradient,
	Figure: &Figure{X: alongRowX, From: 0, To: rowLength, Curves: []Curve{
		withAlpha("α = 0", "increase", 0),
		withAlpha("increase, α = 0.2", "increase", 0.2),
		withAlpha("rebalance, α = 0.2", "rebalance", 0.2),
	}},
	Build:    buildBoundaryDice,
	Bound:    boundaryDiceBound,
	Accuracy: "the errors of the summands: for GD those of p, added up as in the quotient, and eps · (positions/2 + C/2 + 5) relative for its sums; for B the mean of the boundary loss's, and eps · (terms + 2) times the mean of |p φ| for its sums. " + activationAccuracy + ". The error of φ is none if given, else " + distanceAccuracy,
}

func scheduleParam() Param {
	return Param{
		Name: "schedule", Kind: String, Default: "increase", Values: []string{"increase", "rebalance"}, Try: []any{"rebalance"},
		Doc: "increase: GD + α B; rebalance: (1 - α) GD + α B",
	}
}

func boundaryDiceInputs() []Input {
	always := func(Params) bool { return true }
	inputs := append(activatedInputs("N,C,D,..."), labelInputs(always)...)
	inputs = append(inputs, Input{Name: "alpha", Role: Auxiliary, Domain: NonNegative, Shape: "", Doc: "how much the boundary loss counts: one number, from the training schedule"})
	return append(inputs, mapInputs()...)
}

// boundaryDice is the loss of one sample, taken apart.
type boundaryDice struct {
	first, end int       // its elements
	class      int       // elements of a class
	dice       []float64 // w, by class
	wrong      float64   // Σ w Σ |p - t|
	total      float64   // Σ w (Σ p + Σ t)
	product    float64   // Σ weight p φ
	counts     float64   // Σ weight
}

// regional is GD. Where t is 0 or 1, p + t - 2 p t is |p - t|, and nothing cancels.
func (s boundaryDice) regional() float64 { return fraction(s.wrong, s.total) }

// boundary is B.
func (s boundaryDice) boundary() float64 { return fraction(s.product, s.counts) }

// fraction is x/y, and 0 where there is nothing to divide by.
func fraction(x, y float64) float64 {
	if y == 0 {
		return 0
	}
	return x / y
}

// at gives the Dice weight of the class of an element.
func (s boundaryDice) at(i int) float64 { return s.dice[(i-s.first)/s.class] }

// boundaryDiceParts is what value, gradient and bound need.
type boundaryDiceParts struct {
	probability   Array
	mask, keep    Array
	term          boundaryTerm
	samples       []boundaryDice
	alpha, factor float64 // of B and of GD
}

func boundaryDicePartsOf(in Values, p Params) boundaryDiceParts {
	parts := boundaryDiceParts{probability: activated(in["prediction"], p), term: boundaryTermOf(in, p), factor: 1}
	parts.mask, parts.keep = regionsOf(in, p)
	parts.alpha = in["alpha"].Data[0]
	if p.String("schedule") == "rebalance" {
		parts.factor = 1 - parts.alpha
	}
	c := classesOf(parts.mask)
	for n := range c.outer {
		parts.samples = append(parts.samples, parts.sample(n, c))
	}
	return parts
}

func (parts boundaryDiceParts) sample(n int, c classes) boundaryDice {
	s := boundaryDice{first: n * c.count * c.inner, end: (n + 1) * c.count * c.inner, class: c.inner}
	for k := range c.count {
		volume, wrong, total := 0.0, 0.0, 0.0
		for i := s.first + k*c.inner; i < s.first+(k+1)*c.inner; i++ {
			p, t := parts.probability.Data[i], parts.mask.Data[i]
			volume += t
			wrong += parts.keep.Data[i] * math.Abs(p-t)
			total += parts.keep.Data[i] * (p + t)
			s.product += parts.term.counts.Data[i] * p * parts.term.phi.Data[i]
			s.counts += parts.term.counts.Data[i]
		}
		w := 0.0
		if volume > 0 {
			w = 1 / (volume * volume)
		}
		s.dice = append(s.dice, w)
		s.wrong += w * wrong
		s.total += w * total
	}
	return s
}

func boundaryDiceValue(in Values, p Params) (Terms, error) {
	parts := boundaryDicePartsOf(in, p)
	loss := Zeros([]int{len(parts.samples)})
	for n, s := range parts.samples {
		loss.Data[n] = parts.factor*s.regional() + parts.alpha*s.boundary()
	}
	return Terms{Loss: loss}, nil
}

func boundaryDiceGradient(in Values, p Params, upstream Array) (Values, error) {
	parts := boundaryDicePartsOf(in, p)
	slope := Zeros(parts.mask.Shape)
	for n, s := range parts.samples {
		for i := s.first; i < s.end; i++ {
			// by p: |p - t| has the slope 1 - 2t, and p + t has 1
			regional := parts.keep.Data[i] * s.at(i) * fraction(1-2*parts.mask.Data[i]-s.regional(), s.total)
			boundary := fraction(parts.term.counts.Data[i]*parts.term.phi.Data[i], s.counts)
			slope.Data[i] = upstream.Data[n] * (parts.factor*regional + parts.alpha*boundary)
		}
	}
	return Values{"prediction": beforeActivation(in["prediction"], p, slope)}, nil
}

func boundaryDiceBound(in Values, p Params, eps float64) (Array, error) {
	parts := boundaryDicePartsOf(in, p)
	off, terms := activationError(in["prediction"], p, eps), parts.term.bounds(in, p, eps)
	bound := Zeros([]int{len(parts.samples)})
	for n, s := range parts.samples {
		wrong, product, size := 0.0, 0.0, 0.0
		for i := s.first; i < s.end; i++ {
			probability := parts.probability.Data[i]
			wrong += parts.keep.Data[i] * s.at(i) * off.Data[i]
			product += terms.Data[i]
			size += parts.term.counts.Data[i] * probability * math.Abs(parts.term.phi.Data[i])
		}
		sums := eps * (float64(s.class+len(s.dice))/2 + 5)
		regional := fraction(wrong, s.total)*(1+s.regional()) + 2*sums*s.regional()
		boundary := fraction(product+eps*float64(s.end-s.first+2)*size, s.counts)
		bound.Data[n] = math.Abs(parts.factor)*(regional+2*eps*s.regional()) + parts.alpha*(boundary+2*eps*math.Abs(s.boundary()))
	}
	return bound, nil
}

func buildBoundaryDice(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	x, mask, keep := in["prediction"], in["target"], ops.Value{}
	if !p.Bool("masks") {
		mask, keep = buildMasks(b, x, in["target"], p)
	}
	phi := in["distance"]
	if computesDistance(p) {
		phi = buildSignedDistances(b, "BoundaryDiceLoss", mask, in["spacing"], p)
	}
	if !x.Shape().Known() {
		b.Fail("BoundaryDiceLoss needs to know how many axes its prediction has; give it a shape, as in N,C,H,W")
		return ops.Terms{}
	}
	probability := buildActivated(b, x, p)
	counts := buildTermCounts(b, x, in["weight"], keep)
	boundary := buildQuotient(b, b.ReduceSum(b.Mul(b.Mul(probability, phi), counts), false, axesFrom(1, x)...), b.ReduceSum(counts, false, axesFrom(1, x)...))
	if keep.Present() {
		probability = b.Mul(probability, keep)
	}
	regional := buildDicePart(b, probability, mask)
	alpha := in["alpha"]
	if p.String("schedule") == "rebalance" {
		regional = b.Mul(regional, b.Sub(b.Scalar(alpha, 1), alpha))
	}
	return ops.Terms{Loss: b.Add(regional, b.Mul(boundary, alpha))}
}

// axesFrom lists the axes of x from one on.
func axesFrom(first int, x ops.Value) []int {
	var axes []int
	for axis := first; axis < len(x.Shape()); axis++ {
		axes = append(axes, axis)
	}
	return axes
}

// buildDicePart is GD for each sample.
func buildDicePart(b *ops.Builder, probability, mask ops.Value) ops.Value {
	inner := axesFrom(2, probability)
	volume := b.Label(b.ReduceSum(mask, false, inner...), "volume")
	wrong := b.ReduceSum(b.Abs(b.Sub(probability, mask)), false, inner...)
	total := b.Add(b.ReduceSum(probability, false, inner...), volume)
	present := b.Cast(b.Greater(volume, b.Scalar(volume, 0)), volume.DType())
	size := b.Max(volume, b.Scalar(volume, 1))
	w := b.Label(b.Div(present, b.Mul(size, size)), "dice_weight")
	return b.Label(buildQuotient(b, b.ReduceSum(b.Mul(w, wrong), false, 1), b.ReduceSum(b.Mul(w, total), false, 1)), "generalized_dice")
}

func withAlpha(label, schedule string, alpha float64) Curve {
	return alongRow(label, map[string]any{"schedule": schedule}, Values{"alpha": scalar(alpha)})
}
