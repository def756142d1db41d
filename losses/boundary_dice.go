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
	Accuracy: "that of generalized Dice for GD; for B the mean of the boundary loss's errors, and eps · (terms + 4) times the mean of |weight p φ| for adding up. In these " + activationAccuracy + ". The error of φ is none if given, else " + distanceAccuracy,
}

func scheduleParam() Param {
	return Param{
		Name: "schedule", Kind: String, Default: "increase", Values: []string{"increase", "rebalance"}, Try: []any{"rebalance"},
		Doc: "increase: GD + α B; rebalance: (1 - α) GD + α B",
	}
}

func boundaryDiceInputs() []Input {
	inputs := append(activatedInputs("N,C,D,..."), labelInputs(always)...)
	inputs = append(inputs, Input{Name: "alpha", Role: Auxiliary, Domain: NonNegative, Shape: "", Doc: "how much the boundary loss counts: one number, from the training schedule"})
	return append(inputs, mapInputs()...)
}

// dicePart is what generalized Dice reads.
func dicePart(in Values, p Params) (Values, Params, error) {
	params, err := GeneralizedDice.Params(map[string]any{
		"activation": p["activation"], "soft_targets": p["masks"], "ignore_index": p["ignore_index"],
	})
	return Values{"prediction": in["prediction"], "target": in["target"]}, params, err
}

// factors gives the factors of GD and of B.
func factors(in Values, p Params) (dice, alpha float64) {
	alpha = in["alpha"].Data[0]
	if p.String("schedule") == "rebalance" {
		return 1 - alpha, alpha
	}
	return 1, alpha
}

// bySample adds up, for each sample, what there is of its terms.
func bySample(terms Array) []float64 {
	sums := make([]float64, terms.Shape[0])
	for n := range sums {
		sums[n] = sum(sampleOf(terms, n))
	}
	return sums
}

func boundaryDiceValue(in Values, p Params) (Terms, error) {
	regional, params, err := dicePart(in, p)
	if err != nil {
		return Terms{}, err
	}
	terms, err := generalizedDiceValue(regional, params)
	if err != nil {
		return Terms{}, err
	}
	dice, alpha := factors(in, p)
	t := boundaryTermOf(in, p)
	products, counts := bySample(t.loss(in, p)), bySample(t.counts)
	for n := range products {
		terms.Loss.Data[n] = dice*terms.Loss.Data[n] + alpha*quotient(products[n], counts[n])
	}
	return Terms{Loss: terms.Loss}, nil
}

func boundaryDiceGradient(in Values, p Params, upstream Array) (Values, error) {
	regional, params, err := dicePart(in, p)
	if err != nil {
		return nil, err
	}
	dice, alpha := factors(in, p)
	byDice, byTerm := Zeros(upstream.Shape), Zeros(in["prediction"].Shape)
	t := boundaryTermOf(in, p)
	counts := bySample(t.counts)
	for n, up := range upstream.Data {
		byDice.Data[n] = dice * up
	}
	for i := range byTerm.Data {
		n := i * len(counts) / len(byTerm.Data)
		byTerm.Data[i] = upstream.Data[n] * quotient(alpha, counts[n])
	}
	result, err := generalizedDiceGradient(regional, params, byDice)
	if err != nil {
		return nil, err
	}
	slope := result["prediction"]
	for i, d := range t.gradient(in, p, byTerm).Data {
		slope.Data[i] += d
	}
	return Values{"prediction": slope}, nil
}

func boundaryDiceBound(in Values, p Params, eps float64) (Array, error) {
	regional, params, err := dicePart(in, p)
	if err != nil {
		return Array{}, err
	}
	terms, err := generalizedDiceValue(regional, params)
	if err != nil {
		return Array{}, err
	}
	bound, err := generalizedDiceBound(regional, params, eps)
	if err != nil {
		return Array{}, err
	}
	dice, alpha := factors(in, p)
	t := boundaryTermOf(in, p)
	loss := t.loss(in, p)
	for i, x := range loss.Data {
		loss.Data[i] = math.Abs(x)
	}
	sizes, errors, counts := bySample(loss), bySample(t.bounds(in, p, eps)), bySample(t.counts)
	for n := range bound.Data {
		adding := eps * float64(len(loss.Data)/len(counts)+4)
		boundary := quotient(errors[n]+adding*sizes[n], counts[n])
		bound.Data[n] = math.Abs(dice)*(bound.Data[n]+2*eps*terms.Loss.Data[n]) + alpha*boundary
	}
	return bound, nil
}

func buildBoundaryDice(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	x, mask, keep := in["prediction"], in["target"], ops.Value{}
	if !x.Shape().Known() {
		b.Fail("BoundaryDiceLoss needs to know how many axes its prediction has; give it a shape, as in N,C,H,W")
		return ops.Terms{}
	}
	if !p.Bool("masks") {
		mask, keep = buildMasks(b, x, in["target"], p)
	}
	phi := in["distance"]
	if computesDistance(p) {
		phi = buildSignedDistances(b, "BoundaryDiceLoss", mask, in["spacing"], p)
	}
	probability := buildActivation(b, x, p)
	counts := buildTermCounts(b, x, in["weight"], keep)
	products := b.ReduceSum(b.Mul(b.Mul(probability, phi), counts), false, axesFrom(1, x)...)
	boundary := buildQuotient(b, products, b.ReduceSum(counts, false, axesFrom(1, x)...))
	if keep.Present() {
		probability = b.Mul(probability, keep)
	}
	dice := buildDicePart(b, probability, mask)
	alpha := in["alpha"]
	if p.String("schedule") == "rebalance" {
		dice = b.Mul(dice, b.Sub(b.Scalar(alpha, 1), alpha))
	}
	return ops.Terms{Loss: b.Add(dice, b.Mul(boundary, alpha))}
}

// axesFrom lists the axes of x from one on.
func axesFrom(first int, x ops.Value) []int {
	var axes []int
	for axis := first; axis < len(x.Shape()); axis++ {
		axes = append(axes, axis)
	}
	return axes
}

// buildDicePart is GD for each sample, of probabilities and masks that are there
// already.
func buildDicePart(b *ops.Builder, probability, mask ops.Value) ops.Value {
	params, err := GeneralizedDice.Params(map[string]any{"activation": "none", "soft_targets": true})
	if err != nil {
		b.Fail("generalized Dice: %v", err)
		return ops.Value{}
	}
	dice := buildGeneralizedDice(b, map[string]ops.Value{"prediction": probability, "target": mask}, params)
	return b.Label(dice.Loss, "generalized_dice")
}

func withAlpha(label, schedule string, alpha float64) Curve {
	return alongRow(label, map[string]any{"schedule": schedule}, Values{"alpha": scalar(alpha)})
}
