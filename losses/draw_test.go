package losses_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/onnxloss/onnxloss/losses"
)

// variant is a loss with parameters: the defaults, or one further value.
type variant struct {
	name   string
	loss   *losses.Loss
	params losses.Params
}

// variants lists every loss with its defaults, and with each value that it
// declares to be tried, one at a time.
func variants(t *testing.T) []variant {
	t.Helper()
	var all []variant
	for _, l := range losses.All() {
		all = append(all, variant{l.Command(), l, paramsOf(t, l, nil)})
		for _, d := range l.Declare {
			for _, value := range d.Try {
				name := fmt.Sprintf("%s/%s=%v", l.Command(), d.Name, value)
				all = append(all, variant{name, l, paramsOf(t, l, d.Trial(value))})
			}
		}
	}
	return all
}

// reduced leaves out heads, which have no mean and no sum.
func reduced(all []variant) []variant {
	return slices.DeleteFunc(all, func(v variant) bool { return v.loss.Head })
}

func paramsOf(t *testing.T, l *losses.Loss, settings map[string]any) losses.Params {
	t.Helper()
	p, err := l.Params(settings)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// style says which inputs are drawn.
type style struct {
	name    string
	logit   func(*rand.Rand) float64
	hard    bool // labels 0 and 1, one-hot distributions
	weights bool // the optional inputs are there
}

func normal(r *rand.Rand) float64 { return 1.5 * r.NormFloat64() }

func saturated(r *rand.Rand) float64 {
	ends := []float64{-1e4, -800, -40, 0, 40, 800, 1e4}
	return ends[r.IntN(len(ends))]
}

var friendly = []style{
	{"soft", normal, false, false},
	{"soft weighted", normal, false, true},
	{"hard", normal, true, false},
	{"hard weighted", normal, true, true},
	{"zero logits", func(*rand.Rand) float64 { return 0 }, false, true},
}

var extreme = []style{
	{"saturated soft", saturated, false, true},
	{"saturated hard", saturated, true, false},
	{"all high", func(*rand.Rand) float64 { return 1e4 }, true, true},
	{"all low", func(*rand.Rand) float64 { return -1e4 }, true, true},
}

// sizes of the names in a declared shape.
type sizes map[string][]int

func usualSizes() sizes {
	return sizes{"N": {3}, "C": {4}, "H": {5}, "W": {4}, "M": {2}, "D": {2}, "S": {1}, "P": {3}, "Q": {6}, losses.SpatialAxes: {3}, "...": {2, 2}}
}

// draw makes inputs as the loss declares them.
func draw(t *testing.T, v variant, s style, sizes sizes, seed uint64) losses.Values {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 7))
	in := losses.Values{}
	for _, want := range v.loss.InputsFor(v.params) {
		if want.Optional && !s.weights {
			continue
		}
		var shape []int
		for _, name := range want.Axes() {
			dims, ok := sizes[name]
			if n, err := strconv.Atoi(name); err == nil {
				dims, ok = []int{n}, true
			}
			if !ok {
				t.Fatalf("the drawing of inputs knows no size for %q in [%s]", name, want.Shape)
			}
			shape = append(shape, dims...)
		}
		if want.Broadcast {
			shape = shape[len(shape)-1:]
		}
		in[want.Name] = fill(t, r, want.Domain, s, shape, sizes["C"][0])
	}
	return in
}

func fill(t *testing.T, r *rand.Rand, d losses.Domain, s style, shape []int, count int) losses.Array {
	t.Helper()
	a := losses.Zeros(shape)
	for i := range a.Data {
		switch d {
		case losses.Real, losses.Logit:
			a.Data[i] = s.logit(r)
		case losses.Mask:
			a.Data[i] = float64(r.IntN(2))
		case losses.UnitInterval:
			a.Data[i] = r.Float64()
		case losses.LogDistribution, losses.Boxes:
			a.Data[i] = s.logit(r)
		case losses.Binary, losses.Distribution:
			a.Data[i] = r.Float64()
			if d == losses.Distribution { // log y bends too much near 0 for central differences
				a.Data[i] = 0.05 + 0.95*a.Data[i]
			}
			if s.hard {
				a.Data[i] = math.Round(a.Data[i])
			}
		case losses.NonNegative, losses.Positive:
			a.Data[i] = 0.25 + 2*r.Float64()
		case losses.ClassIndex:
			a.Data[i] = float64(r.IntN(count))
		default:
			t.Fatalf("the drawing of inputs does not know the domain %q", d)
		}
	}
	switch d {
	case losses.Distribution:
		normalize(r, a, s.hard)
	case losses.LogDistribution:
		normalizeLogs(a)
	case losses.Boxes:
		makeBoxes(r, a)
	}
	return a
}

// normalize makes the classes of each position sum to 1.
func normalize(r *rand.Rand, a losses.Array, hard bool) {
	outer, count, inner := split(a.Shape)
	for i := range outer * inner {
		at := func(k int) *float64 { return &a.Data[(i/inner*count+k)*inner+i%inner] }
		total, right := 0.0, r.IntN(count)
		for k := range count {
			if hard {
				*at(k) = 0
			}
			total += *at(k)
		}
		for k := range count {
			if hard && k == right {
				*at(k) = 1
			} else if !hard {
				*at(k) /= total
			}
		}
	}
}

// normalizeLogs makes the exponentials of each position sum to 1.
func normalizeLogs(a losses.Array) {
	outer, count, inner := split(a.Shape)
	for i := range outer * inner {
		at := func(k int) *float64 { return &a.Data[(i/inner*count+k)*inner+i%inner] }
		highest, total := math.Inf(-1), 0.0
		for k := range count {
			highest = max(highest, *at(k))
		}
		for k := range count {
			total += math.Exp(*at(k) - highest)
		}
		for k := range count {
			*at(k) -= highest + math.Log(total)
		}
	}
}

// makeBoxes turns numbers into x1, y1, x2, y2 with x1 <= x2 and y1 <= y2, which are
// also a centre with a width and a height. No two have an edge in common: losses have a
// kink there.
func makeBoxes(r *rand.Rand, a losses.Array) {
	for at := 0; at < len(a.Data); at += 4 {
		x, y := r.ExpFloat64()+math.Abs(a.Data[at]), r.ExpFloat64()+math.Abs(a.Data[at+1])
		w, h := 0.5+r.ExpFloat64()+math.Abs(a.Data[at+2]), 0.5+r.ExpFloat64()+math.Abs(a.Data[at+3])
		copy(a.Data[at:], []float64{x, y, x + w, y + h})
	}
}

func clone(in losses.Values) losses.Values {
	copied := losses.Values{}
	for name, a := range in {
		copied[name] = losses.Array{Shape: a.Shape, Data: slices.Clone(a.Data)}
	}
	return copied
}

func sortedNames(in losses.Values) []string { return slices.Sorted(maps.Keys(in)) }

func evaluate(t *testing.T, v variant, in losses.Values, r losses.Reduction) losses.Array {
	t.Helper()
	a, err := v.loss.Evaluate(in, v.params, r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func gradient(t *testing.T, v variant, in losses.Values, r losses.Reduction, upstream *losses.Array) losses.Values {
	t.Helper()
	g, err := v.loss.EvaluateGradient(in, v.params, r, upstream)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// near fails where got and want differ by more than relative of want and
// absolute, or where either is not a number.
func near(t *testing.T, what string, got, want losses.Array, relative, absolute float64) {
	t.Helper()
	if !slices.Equal(got.Shape, want.Shape) {
		t.Errorf("%s has shape %v, want %v", what, got.Shape, want.Shape)
		return
	}
	for i, want := range want.Data {
		if d := math.Abs(got.Data[i] - want); !(d <= relative*math.Abs(want)+absolute) {
			t.Errorf("%s[%d] = %.17g, want %.17g (off by %.3g)", what, i, got.Data[i], want, d)
		}
	}
}

func wantFinite(t *testing.T, what string, a losses.Array) {
	t.Helper()
	for i, x := range a.Data {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			t.Errorf("%s[%d] = %g, want a finite number", what, i, x)
		}
	}
}
