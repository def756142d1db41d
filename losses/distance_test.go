package losses_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
)

func head(t *testing.T, l *losses.Loss, settings map[string]any, in losses.Values) losses.Array {
	t.Helper()
	return evaluate(t, variant{l.Command(), l, paramsOf(t, l, settings)}, in, losses.None)
}

// nearest is the distance transform by trying every pair, for one image.
func nearest(to float64, image losses.Array, spacing []float64) []float64 {
	result := make([]float64, len(image.Data))
	for i := range image.Data {
		closest := math.Inf(1)
		for j, m := range image.Data {
			if m == to {
				closest = min(closest, apart(i, j, image.Shape, spacing))
			}
		}
		if !math.IsInf(closest, 1) {
			result[i] = closest
		}
	}
	return result
}

func apart(i, j int, shape []int, spacing []float64) float64 {
	total := 0.0
	for axis := len(shape) - 1; axis >= 0; axis-- {
		d := float64(i%shape[axis]-j%shape[axis]) * spacing[axis]
		total += d * d
		i, j = i/shape[axis], j/shape[axis]
	}
	return math.Sqrt(total)
}

// drawMasks draws [2, 3, dims...]: sparse, balanced and dense ones.
func drawMasks(r *rand.Rand, dims []int) losses.Array {
	mask := losses.Zeros(append([]int{2, 3}, dims...))
	_, _, inner := split(mask.Shape)
	for i := range mask.Data {
		share := []float64{0.05, 0.5, 0.95}[i/inner%3]
		if r.Float64() < share {
			mask.Data[i] = 1
		}
	}
	return mask
}

var imageSizes = []struct {
	name    string
	dims    []int
	spacing []float64 // of the two samples
}{
	{"one axis", []int{40}, []float64{1, 0.3}},
	{"one row", []int{1, 23}, []float64{1, 1, 7, 0.1}},
	{"one column", []int{23, 1}, []float64{1, 2, 0.7, 0.1}},
	{"image", []int{17, 12}, []float64{1, 1, 1.5, 0.75}},
	{"very unequal spacing", []int{12, 17}, []float64{100, 0.01, 0.001, 3}},
	{"volume", []int{6, 5, 8}, []float64{2, 1, 0.5, 3, 0.9, 0.8}},
	{"four axes", []int{3, 4, 2, 5}, []float64{1, 1, 1, 1, 0.3, 2, 5, 1.1}},
}

func TestDistancesAreThoseOfEveryPair(t *testing.T) {
	for _, test := range imageSizes {
		t.Run(test.name, func(t *testing.T) {
			mask := drawMasks(rand.New(rand.NewPCG(1, 2)), test.dims)
			spacing := losses.Array{Shape: []int{2, len(test.dims)}, Data: test.spacing}
			in := losses.Values{"mask": mask, "spacing": spacing}
			inside, signed := losses.Zeros(mask.Shape), losses.Zeros(mask.Shape)
			_, count, inner := split(mask.Shape)
			for at := 0; at < len(mask.Data); at += inner {
				image := losses.Array{Shape: test.dims, Data: mask.Data[at : at+inner]}
				sample := at / inner / count
				s := test.spacing[sample*len(test.dims) : (sample+1)*len(test.dims)]
				copy(inside.Data[at:], nearest(0, image, s))
				for i, outer := range nearest(1, image, s) {
					signed.Data[at+i] = outer - inside.Data[at+i]
				}
			}
			near(t, "distance", head(t, losses.DistanceTransform, nil, in), inside, 1e-14, 0)
			near(t, "signed distance", head(t, losses.SignedDistanceMap, nil, in), signed, 1e-14, 0)
		})
	}
}

// The graph takes the smallest of all along each axis, the reference the lower
// envelope of parabolas: here on larger images than verification draws.
func TestTheGraphsDistancesAreTheReferences(t *testing.T) {
	for _, test := range imageSizes {
		t.Run(test.name, func(t *testing.T) {
			l := losses.SignedDistanceMap
			mask := drawMasks(rand.New(rand.NewPCG(3, 4)), test.dims)
			spacing := losses.Array{Shape: []int{2, len(test.dims)}, Data: test.spacing}
			in := losses.Values{"mask": mask, "spacing": spacing}
			bound, err := l.Bound(in, paramsOf(t, l, nil), 0x1p-52)
			if err != nil {
				t.Fatal(err)
			}
			shape := make(ops.Shape, len(mask.Shape))
			got := runGraph(t, l, export.Options{
				DType: ops.Float64, Reduction: losses.None, With: []string{"spacing"},
				Shapes: map[string]ops.Shape{"mask": shape},
			}, in)
			for i, want := range head(t, l, nil, in).Data {
				if d := math.Abs(got[i] - want); !(d <= bound.Data[i]) {
					t.Errorf("[%d] = %.17g, want %.17g (off by %g, allowed is %g)", i, got[i], want, d, bound.Data[i])
				}
			}
		})
	}
}

func TestSignedDistancesOfDegenerateMasks(t *testing.T) {
	root2, root5 := math.Sqrt2, math.Sqrt(5)
	tests := []struct {
		name            string
		dims            []int
		mask            []float64
		paper, released []float64
	}{
		{"empty", []int{2, 2}, []float64{0, 0, 0, 0}, []float64{0, 0, 0, 0}, []float64{0, 0, 0, 0}},
		{"full", []int{2, 2}, []float64{1, 1, 1, 1}, []float64{0, 0, 0, 0}, []float64{0, 0, 0, 0}},
		{"a single pixel of one", []int{1}, []float64{1}, []float64{0}, []float64{0}},
		{"half of two", []int{2}, []float64{0, 1}, []float64{1, -1}, []float64{1, 0}},
		{
			"a corner",
			[]int{2, 3},
			[]float64{1, 0, 0, 0, 0, 0},
			[]float64{-1, 1, 2, 1, root2, root5},
			[]float64{0, 1, 2, 1, root2, root5},
		},
		{"a row", []int{1, 5}, []float64{0, 1, 1, 1, 0}, []float64{1, -1, -2, -1, 1}, []float64{1, 0, -1, 0, 1}},
		{"nothing", []int{0, 3}, nil, nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			shape := append([]int{1, 1}, test.dims...)
			in := losses.Values{"mask": {Shape: shape, Data: test.mask}}
			near(t, "paper", head(t, losses.SignedDistanceMap, nil, in), losses.Array{Shape: shape, Data: test.paper}, 1e-15, 0)
			released := head(t, losses.SignedDistanceMap, map[string]any{"inside": "released"}, in)
			near(t, "released", released, losses.Array{Shape: shape, Data: test.released}, 1e-15, 0)
		})
	}
}

func TestSpacingIsRefused(t *testing.T) {
	tests := []struct {
		name    string
		spacing losses.Array
		want    string
	}{
		{"zero", losses.Array{Shape: []int{2}, Data: []float64{1, 0}}, "spacing holds 0 at element 1; it must be above 0 and finite"},
		{"negative", losses.Array{Shape: []int{2}, Data: []float64{-1, 1}}, "spacing holds -1 at element 0; it must be above 0 and finite"},
		{"not a number", scalar(math.NaN()), "spacing holds NaN at element 0; it must be above 0 and finite"},
		{"infinite", scalar(math.Inf(1)), "spacing holds +Inf at element 0; it must be above 0 and finite"},
		{"one too many", losses.Filled([]int{3}, 1), "spacing has shape [3], which does not broadcast to [1 2]"},
	}
	for _, test := range tests {
		in := losses.Values{"mask": losses.Zeros([]int{1, 1, 3, 3}), "spacing": test.spacing}
		_, err := losses.DistanceTransform.Evaluate(in, losses.Params{}, losses.None)
		if err == nil || err.Error() != "losses: distance-transform: "+test.want {
			t.Errorf("%s: error %v\nwant %s", test.name, err, test.want)
		}
	}
}

func TestExportRefusesDistancesThatDoNotFitMemory(t *testing.T) {
	tests := []struct {
		shape, want string // "" is accepted
	}{
		{"N,C,H,W", ""},
		{"1,4,256,256", ""},
		{"1,4,512,512", "SignedDistanceMap of shape [1,4,512,512] would make a tensor 512 times as large, more than 2^28 elements"},
		{"N,C,100000,8", "100000 times as large"},
		{"1,1,1,100000000", "100000000 times as large"},
		{"...", "SignedDistanceMap needs to know how many axes its input has; give it a shape, as in N,C,H,W"},
	}
	for _, test := range tests {
		shape, err := ops.ParseShape(test.shape)
		if err != nil {
			t.Fatal(err)
		}
		_, err = export.Model(losses.SignedDistanceMap, paramsOf(t, losses.SignedDistanceMap, nil), export.Options{
			Reduction: losses.None, Shapes: map[string]ops.Shape{"mask": shape},
		})
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: error %v, want %q", test.shape, err, test.want)
		}
	}
}
