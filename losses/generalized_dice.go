package losses

import (
	"fmt"
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// GeneralizedDice is the Dice loss of all classes together, rare ones weighing more.
var GeneralizedDice = &Loss{
	Name:    "GeneralizedDiceLoss",
	Summary: "one overlap for all classes of a sample, in which every class weighs by the inverse of its size",
	Formula: `p = softmax(prediction), t = one-hot(target) or soft target; for each sample
I_c = Σ p t or, with intersection=minimum, Σ min(p, t) over the positions
w_c = 1 / (Σ t + epsilon)² (square), 1 / (Σ t + epsilon) (simple) or 1 (uniform)
loss = 1 - (2 Σ_c weight_c w_c I_c + smooth_nr)
         / (Σ_c weight_c w_c Σ (p + t) + smooth_dr)`,
	Meaning: `0 for a perfect prediction, 1 where nothing overlaps, for each sample as a whole: a
class of few pixels counts as much as a large one. A class that the target does not have would
weigh infinitely; it is left out (absent=omit), or weighs as much as the heaviest that is there
(absent=largest, as MONAI), so that predicting it costs something. A sample without any class
that counts costs 0. A weight of 0 leaves a class, such as the background, out. w
is not differentiated. epsilon = 1e-10
with smooth_nr = 2e-10 and smooth_dr = 1e-10 is the form of the boundary loss's authors, with its
faults: an absent class makes the loss 1 whatever the others do, and nothing at all gives -1.`,
	Paper:  "Sudre, Li, Vercauteren, Ourselin, Cardoso: Generalised Dice overlap as a deep learning loss function for highly unbalanced segmentations, DLMIA 2017, arXiv:1707.03237",
	Inputs: regionInputs("a further factor for each class; 0 leaves it out"),
	Declare: regionParams(
		Param{Name: "w_type", Kind: String, Default: "square", Values: []string{"square", "simple", "uniform"}, Try: []any{"simple", "uniform"}, Doc: "how a class weighs: by the inverse of its squared size, of its size, or all alike"},
		Param{Name: "absent", Kind: String, Default: "omit", Values: []string{"omit", "largest"}, Try: []any{"largest"}, Doc: "what a class that the target does not have weighs: nothing, or as much as the heaviest that is there"},
		Param{Name: "epsilon", Kind: Float, Default: 0.0, Min: 1e-12, Max: math.Inf(1), Also: []float64{0}, Try: []any{1e-10, 1.0}, Doc: "added to the size of every class, so that none is absent"},
	),
	Coupled:  batchTogether,
	Check:    checkGeneralizedDice,
	Value:    generalizedDiceValue,
	Gradient: generalizedDiceGradient,
	Frozen:   generalizedDiceFrozen,
	Build:    buildGeneralizedDice,
	Bound:    generalizedDiceBound,
	Accuracy: regionsAccuracy,
	Figure: &Figure{X: "probability of the right class at the one pixel in ten that is of class 1", From: 0, To: 1, Curves: []Curve{
		rareClass("square", nil),
		rareClass("simple", map[string]any{"w_type": "simple"}),
		rareClass("uniform", map[string]any{"w_type": "uniform"}),
	}},
}

func checkGeneralizedDice(p Params) error {
	if p.String("absent") == "largest" && (p.String("w_type") == "uniform" || p.Float("epsilon") > 0) {
		return fmt.Errorf("absent=largest goes with w_type square or simple and no epsilon, where an absent class would weigh infinitely; leave one of them out")
	}
	if p.String("w_type") == "uniform" && p.Float("epsilon") > 0 {
		return fmt.Errorf("epsilon goes with w_type square or simple; with uniform the size of a class does not matter")
	}
	return checkRegions(p)
}

// generalized is the overlap of all classes of a row.
type generalized struct {
	*overlap
	factor []float64 // weight · w of each region
}

func generalizedOf(in Values, p Params) generalized {
	o := overlapOf(in, p, dicePixel)
	g := generalized{overlap: o}
	for row := range o.rows {
		g.factor = append(g.factor, classFactors(o.size[row*o.c.count:(row+1)*o.c.count], classWeights(in, o.c.count), p)...)
	}
	return g
}

// classFactors is weight · w for classes of these sizes.
func classFactors(size, weight []float64, p Params) []float64 {
	w, largest := make([]float64, len(size)), 0.0
	for k, s := range size {
		s += p.Float("epsilon")
		switch {
		case p.String("w_type") == "uniform":
			w[k] = 1
		case s > 0 && p.String("w_type") == "simple":
			w[k] = 1 / s
		case s > 0:
			w[k] = 1 / (s * s)
		}
		if weight[k] > 0 {
			largest = max(largest, w[k])
		}
	}
	for k := range w {
		if w[k] == 0 && p.String("absent") == "largest" {
			w[k] = largest
		}
		w[k] *= weight[k]
	}
	return w
}

// row gives hit and miss of all classes of a row.
func (g generalized) row(row int) (hit, miss float64) {
	for at := row * g.c.count; at < (row+1)*g.c.count; at++ {
		hit += g.factor[at] * g.hit[at]
		miss += g.factor[at] * g.miss[at]
	}
	return hit, miss
}

// shape is that of a number for each row.
func (g generalized) shape() []int {
	if g.params.Bool("batch") {
		return []int{}
	}
	return []int{g.rows}
}

func (g generalized) terms() Terms {
	loss, counted := Zeros(g.shape()), Array{Shape: g.shape(), Data: g.counted}
	for row, counts := range g.counted {
		hit, miss := g.row(row)
		loss.Data[row] = counts * overlapRatio(hit, miss, g.params).loss
	}
	return Terms{Loss: loss, Weight: &counted}
}

func generalizedDiceValue(in Values, p Params) (Terms, error) {
	return generalizedOf(in, p).terms(), nil
}

func generalizedDiceFrozen(in Values, p Params) func(Values) (Terms, error) {
	held := generalizedOf(in, p).factor
	return func(in Values) (Terms, error) {
		g := generalizedOf(in, p)
		g.factor = held
		return g.terms(), nil
	}
}

func generalizedDiceGradient(in Values, p Params, upstream Array) (Values, error) {
	g := generalizedOf(in, p)
	byHit, byMiss := make([]float64, len(g.hit)), make([]float64, len(g.hit))
	for at, factor := range g.factor {
		row := at / g.c.count
		hit, miss := g.row(row)
		r, scale := overlapRatio(hit, miss, p), upstream.Data[row]*g.counted[row]*factor
		byHit[at], byMiss[at] = scale*r.byHit, scale*r.byMiss
	}
	return g.gradient(byHit, byMiss), nil
}

func generalizedDiceBound(in Values, p Params, eps float64) (Array, error) {
	g := generalizedOf(in, p)
	hitErrors, missErrors := g.errors(eps)
	ofFactor := eps * float64(g.c.count+6) // of a class's factor, and of adding up the classes
	if g.labels.soft {
		ofFactor += eps * float64(g.c.positions()/max(1, g.rows)) // sizes are no whole numbers
	}
	bound := Zeros(g.shape())
	for row, counts := range g.counted {
		hitError, missError := 0.0, 0.0
		for at := row * g.c.count; at < (row+1)*g.c.count; at++ {
			hitError += g.factor[at] * (hitErrors[at] + ofFactor*g.hit[at])
			missError += g.factor[at] * (missErrors[at] + ofFactor*g.miss[at])
		}
		hit, miss := g.row(row)
		bound.Data[row] = counts * ratioBound(hit, miss, hitError, missError, p, eps)
	}
	return bound, nil
}

func buildGeneralizedDice(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	r := buildRegions(b, in, p)
	both := r.both(b, p)
	hit, miss := r.intersection(b, both), b.Label(r.sum(b, r.mismatch(b, both, p)), "miss")
	if factor := r.classFactors(b, in["weight"], p); factor.Present() {
		hit, miss = b.Mul(hit, factor), b.Mul(miss, factor)
	}
	loss := buildRatio(b, b.ReduceSum(hit, false, r.classAxis()), b.ReduceSum(miss, false, r.classAxis()), p)
	if r.counted.Present() {
		loss = scale(b, loss, r.counted)
	}
	return ops.Terms{Loss: loss, Weight: r.counted}
}

// classAxis is the axis of the classes among the regions. Counted from the end,
// engines get it wrong for an empty batch.
func (r regions) classAxis() int {
	if r.batch {
		return 0
	}
	return 1
}

// classFactors is weight · w for each region, or absent where that is 1.
func (r regions) classFactors(b *ops.Builder, weight ops.Value, p Params) ops.Value {
	if p.String("w_type") == "uniform" {
		return weight
	}
	size := b.Label(r.sum(b, r.share), "size")
	w := r.inverse(b, size, weight, p)
	if weight.Present() {
		w = b.Mul(w, weight)
	}
	return b.Detach(w, "class_factor")
}

// inverse is w for each region.
func (r regions) inverse(b *ops.Builder, size, weight ops.Value, p Params) ops.Value {
	one, zero := b.Scalar(size, 1), b.Scalar(size, 0)
	absent := b.Equal(size, zero)
	divisor := b.Where(absent, one, size)
	if epsilon := p.Float("epsilon"); epsilon > 0 {
		divisor = b.Add(size, b.Scalar(size, epsilon))
	}
	if p.String("w_type") == "square" {
		divisor = b.Mul(divisor, divisor)
	}
	w := b.Div(one, divisor)
	if p.Float("epsilon") > 0 {
		return w
	}
	w = b.Where(absent, zero, w)
	if p.String("absent") == "omit" {
		return w
	}
	chosen := w
	if weight.Present() {
		chosen = b.Mul(w, b.Cast(b.Greater(weight, b.Scalar(weight, 0)), weight.DType()))
	}
	return b.Where(absent, b.ReduceMax(chosen, true, r.classAxis()), w)
}

// rareClass is a curve over the probability of class 1 at one pixel of ten, the others
// being right.
func rareClass(label string, settings map[string]any) Curve {
	all := map[string]any{"activation": "none"}
	for name, value := range settings {
		all[name] = value
	}
	return Curve{Label: label, Settings: all, At: func(x float64) Values {
		prediction, target := Filled([]int{1, 2, 10}, 0), Zeros([]int{1, 10})
		target.Data[0] = 1
		prediction.Data[0], prediction.Data[10] = 1-x, x
		for i := 1; i < 10; i++ {
			prediction.Data[i] = 1
		}
		return Values{"prediction": prediction, "target": target}
	}}
}
