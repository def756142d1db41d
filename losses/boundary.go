package losses

import (
	"fmt"
	"maps"
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// Boundary is the boundary loss.
var Boundary = &Loss{
	Name:    "BoundaryLoss",
	Summary: "boundary loss: probabilities times the signed distance to the true region",
	Formula: `p = softmax(prediction) over the classes, sigmoid(prediction), or prediction itself
φ = signed distance to the region of the class in the target, negative inside (see
signed-distance-map), or the input distance
loss = weight_c · p · φ   for every class c and position`,
	Meaning: `How far what is predicted wrongly lies from the true outline: probability outside of
the region costs its distance, probability inside earns it. The best value is the sum of φ
inside, which is negative, and not 0; a hard prediction has more than that by the distances of
all its wrong positions, an integral over the area between the two outlines. The sum is the
paper's integral, for one image; the mean, over classes and positions, is public code's, where
a weight of 0 leaves a class out. The loss alone can get stuck at empty predictions, so that it
goes with a regional one (see boundary-dice). φ is a constant to the gradient. With
distance=given it is read, for example as signed-distance-map made it; else the graph computes
it from the target, which takes much memory (see signed-distance-map). Ignored positions belong
to no region and count for nothing.`,
	Paper:   boundaryPaper,
	Inputs:  boundaryInputs(),
	Declare: boundaryParams(),
	Check: func(p Params) error {
		given := p.String("distance") == "given"
		switch {
		case given && p.Bool("masks"):
			return fmt.Errorf("masks=true goes with distance=target; with distance=given there is no target")
		case given && p.Int("ignore_index") != defaultIgnoreIndex:
			return fmt.Errorf("ignore_index goes with distance=target; with distance=given there is no target, and a distance of 0 does it")
		}
		return checkMap(p)
	},
	Value:    boundaryValue,
	Gradient: boundaryGradient,
	Figure: &Figure{X: alongRowX, From: 0, To: rowLength, Curves: []Curve{
		alongRow("inside = paper", nil, nil),
		alongRow("inside = released", map[string]any{"inside": "released"}, nil),
	}},
	Build:    buildBoundary,
	Bound:    boundaryBound,
	Accuracy: "weight · [|φ| · (error of p) + p · (error of φ) + eps · p · |φ|], where " + activationAccuracy + ". The error of φ is none if given, else " + distanceAccuracy,
}

const boundaryPaper = "Kervadec, Bouchtiba, Desrosiers, Granger, Dolz, Ben Ayed: Boundary loss for highly unbalanced segmentation, MIDL 2019, arXiv:1812.07032"

func boundaryParams() []Param {
	return []Param{
		activationParam(),
		{Name: "distance", Kind: String, Default: "target", Values: []string{"target", "given"}, Try: []any{"given"}, Doc: "target: φ is computed from the target; given: it is an input"},
		masksParam(),
		insideParam(),
		ignoreIndexParam(),
	}
}

func masksParam() Param {
	return Param{Name: "masks", Kind: Bool, Default: false, Try: []any{true}, Doc: "the target is a mask for each class instead of a class index"}
}

func computesDistance(p Params) bool { return p.String("distance") == "target" }

// boundaryInputs: the target is there for the distance alone.
func boundaryInputs() []Input {
	inputs := append(activatedInputs("N,C,D,..."), labelInputs(computesDistance)...)
	return append(inputs, mapInputs()...)
}

// labelInputs is a target that says which positions are a class's.
func labelInputs(when func(Params) bool) []Input {
	return []Input{
		{
			Name: "target", Role: Target, Domain: ClassIndex, Shape: "N,D,...", Doc: "the index of the right class",
			When: func(p Params) bool { return when(p) && !p.Bool("masks") },
		},
		{
			Name: "target", Role: Target, Domain: Mask, Shape: "N,C,D,...", Doc: "a mask for each class: 1 where a position belongs to it, else 0",
			When: func(p Params) bool { return when(p) && p.Bool("masks") },
		},
	}
}

// mapInputs is what the boundary term needs beside prediction and target.
func mapInputs() []Input {
	return []Input{
		{
			Name: "distance", Role: Auxiliary, Domain: Real, Shape: "N,C,D,...", Doc: "φ for each class, as signed-distance-map makes it",
			When: func(p Params) bool { return !computesDistance(p) },
		},
		{Name: "weight", Role: Weight, Domain: NonNegative, Shape: "C", Optional: true, Doc: "a factor for each class in the boundary term; 0 leaves it out"},
		spacingInput(computesDistance),
	}
}

// checkMap refuses what would not be looked at.
func checkMap(p Params) error {
	if !computesDistance(p) && p.String("inside") != "paper" {
		return fmt.Errorf("inside goes with distance=target; with distance=given the map says it")
	}
	return checkMasks(p)
}

func checkMasks(p Params) error {
	if p.Bool("masks") && p.Int("ignore_index") != defaultIgnoreIndex {
		return fmt.Errorf("ignore_index goes with class-index targets; leave it out with masks")
	}
	return nil
}

// regionsOf gives the mask of each class and, in the same shape, 1 where a position
// counts.
func regionsOf(in Values, p Params) (mask, counts Array) {
	shape := in["prediction"].Shape
	target, ok := in["target"]
	if !ok || p.Bool("masks") {
		return target, Filled(shape, 1)
	}
	mask, counts = Zeros(shape), Zeros(shape)
	c := classesOf(mask)
	for i, label := range target.Data {
		if label == float64(p.Int("ignore_index")) {
			continue
		}
		mask.Data[c.index(i, int(label))] = 1
		for k := range c.count {
			counts.Data[c.index(i, k)] = 1
		}
	}
	return mask, counts
}

// boundaryTerm is what the loss is made of beside probabilities: φ, and what each
// term counts.
type boundaryTerm struct {
	phi    Array
	counts Array // the weight of the class, 0 where ignored
}

func boundaryTermOf(in Values, p Params) boundaryTerm {
	mask, counts := regionsOf(in, p)
	t := boundaryTerm{phi: in["distance"], counts: counts}
	if computesDistance(p) {
		t.phi = signedDistances(in, mask, p)
	}
	scaleByClass(t.counts, in)
	return t
}

// scaleByClass multiplies each class of a by its weight.
func scaleByClass(a Array, in Values) {
	c := classesOf(a)
	for k, w := range classWeights(in, c.count) {
		for i := range c.positions() {
			a.Data[c.index(i, k)] *= w
		}
	}
}

// bounds says how far each term may be off.
func (t boundaryTerm) bounds(in Values, p Params, eps float64) Array {
	x := in["prediction"]
	probability, off := activated(x, p), activationError(x, p, eps)
	phiError := Zeros(x.Shape)
	if computesDistance(p) {
		mask, _ := regionsOf(in, p)
		phiError = signedDistanceBound(in, mask, p, eps)
	}
	bounds := Zeros(x.Shape)
	for i, probability := range probability.Data {
		size := math.Abs(t.phi.Data[i])
		bounds.Data[i] = t.counts.Data[i] * (size*off.Data[i] + probability*phiError.Data[i] + eps*probability*size)
	}
	return bounds
}

// loss is the product of the three for each term.
func (t boundaryTerm) loss(in Values, p Params) Array {
	loss := activated(in["prediction"], p)
	for i := range loss.Data {
		loss.Data[i] *= t.counts.Data[i] * t.phi.Data[i]
	}
	return loss
}

// gradient is by the prediction.
func (t boundaryTerm) gradient(in Values, p Params, upstream Array) Array {
	slope := Zeros(upstream.Shape)
	for i := range slope.Data {
		slope.Data[i] = upstream.Data[i] * t.counts.Data[i] * t.phi.Data[i]
	}
	return beforeActivation(in["prediction"], p, slope)
}

func boundaryValue(in Values, p Params) (Terms, error) {
	t := boundaryTermOf(in, p)
	if _, weighted := in["weight"]; !weighted && !hasLabels(p) {
		return Terms{Loss: t.loss(in, p)}, nil
	}
	return Terms{Loss: t.loss(in, p), Weight: &t.counts}, nil
}

// hasLabels says that the target is a class index, of which some may be ignored.
func hasLabels(p Params) bool { return computesDistance(p) && !p.Bool("masks") }

func boundaryGradient(in Values, p Params, upstream Array) (Values, error) {
	return Values{"prediction": boundaryTermOf(in, p).gradient(in, p, upstream)}, nil
}

func boundaryBound(in Values, p Params, eps float64) (Array, error) {
	return boundaryTermOf(in, p).bounds(in, p, eps), nil
}

func buildBoundary(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	x, weight := in["prediction"], in["weight"]
	phi, keep := in["distance"], ops.Value{}
	if computesDistance(p) {
		mask := in["target"]
		if hasLabels(p) {
			mask, keep = buildMasks(b, x, in["target"], p)
		}
		phi = buildSignedDistances(b, "BoundaryLoss", mask, in["spacing"], p)
	}
	loss := b.Mul(buildActivation(b, x, p), phi)
	counts := ops.Value{}
	if weight.Present() || keep.Present() {
		counts = buildTermCounts(b, x, weight, keep)
		loss = b.Mul(loss, counts)
	}
	return ops.Terms{Loss: b.Assume(loss, x.Shape()), Weight: counts}
}

// buildMasks turns class indices into masks, and says which positions count, with
// an axis of 1 for the classes.
func buildMasks(b *ops.Builder, x, target ops.Value, p Params) (mask, keep ops.Value) {
	index := buildIndexTarget(b, x, target, p)
	return buildOneHot(b, index, x), b.Unsqueeze(index.keep, 1)
}

// buildTermCounts is, in the shape of x, the weight of the class where the position
// counts, else 0.
func buildTermCounts(b *ops.Builder, x, weight, keep ops.Value) ops.Value {
	counts := onesLike(b, x)
	if keep.Present() {
		counts = b.Mul(counts, keep)
	}
	if weight.Present() {
		counts = b.Mul(counts, b.AlongAxis1(weight, x))
	}
	return b.Label(b.Assume(counts, x.Shape()), "counts_of_terms")
}

// A row of elements, the first of which are the true region.
const (
	rowLength  = 20
	trueLength = 8
	alongRowX  = "length of the predicted region, where the true one is 8 of 20"
)

// alongRow is a curve over the length of a predicted region, whose last element may
// be predicted in part.
func alongRow(label string, settings map[string]any, others Values) Curve {
	all := map[string]any{"activation": "sigmoid", "masks": true}
	maps.Copy(all, settings)
	return Curve{Label: label, Settings: all, At: func(x float64) Values {
		in := Values{"prediction": Zeros([]int{1, 1, rowLength}), "target": Zeros([]int{1, 1, rowLength})}
		maps.Copy(in, others)
		for i := range rowLength {
			p := math.Min(math.Max(x-float64(i), 0), 1)
			in["prediction"].Data[i] = math.Min(math.Max(math.Log(p/(1-p)), -50), 50)
			if i < trueLength {
				in["target"].Data[i] = 1
			}
		}
		return in
	}}
}
