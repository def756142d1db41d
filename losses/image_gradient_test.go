package losses_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/onnxloss/onnxloss/losses"
)

// gridImage makes [n,c,h,w] of a function of row and column.
func gridImage(n, c, h, w int, f func(row, column int) float64) losses.Array {
	a := losses.Zeros([]int{n, c, h, w})
	for i := range a.Data {
		a.Data[i] = f(i/w%h, i%w)
	}
	return a
}

// noise draws pixels from 0 to contrast.
func noise(seed uint64, contrast float64, shape ...int) losses.Array {
	r := rand.New(rand.NewPCG(seed, 3))
	a := losses.Zeros(shape)
	for i := range a.Data {
		a.Data[i] = contrast * r.Float64()
	}
	return a
}

func with(t *testing.T, loss *losses.Loss, settings map[string]any) variant {
	t.Helper()
	return variant{loss.Command(), loss, paramsOf(t, loss, settings)}
}

var operators = []string{"sobel", "central", "gaussian"}

func TestTheGradientOfARampIsItsSlope(t *testing.T) {
	const dx, dy = 0.25, -2.0
	ramp := gridImage(2, 3, 11, 12, func(row, column int) float64 { return 5 + dx*float64(column) + dy*float64(row) })
	bare := map[string]float64{"sobel": 8, "central": 2}
	for _, operator := range operators {
		got := evaluate(t, with(t, losses.SpatialGradient, map[string]any{"operator": operator}), losses.Values{"image": ramp}, losses.None)
		inner := func(at func(n, direction, row, column int) float64) {
			for row := 4; row < 7; row++ {
				for column := 4; column < 8; column++ {
					near(t, operator+" x", scalar(at(1, 0, row, column)), scalar(dx), 1e-13, 0)
					near(t, operator+" y", scalar(at(1, 1, row, column)), scalar(dy), 1e-13, 0)
				}
			}
		}
		inner(func(n, direction, row, column int) float64 {
			return got.Data[((n*3+2)*2+direction)*11*12+row*12+column]
		})
		if factor, ok := bare[operator]; ok {
			got := evaluate(t, with(t, losses.SpatialGradient, map[string]any{"operator": operator, "normalized": false}), losses.Values{"image": ramp}, losses.None)
			near(t, operator+" bare", scalar(got.Data[5*12+5]), scalar(factor*dx), 1e-13, 0)
		}
	}
}

func TestTheBareGaussianHasNorm1(t *testing.T) {
	dot := gridImage(1, 1, 15, 15, func(row, column int) float64 {
		if row == 7 && column == 7 {
			return 1
		}
		return 0
	})
	got := evaluate(t, with(t, losses.SpatialGradient, map[string]any{"operator": "gaussian", "normalized": false}), losses.Values{"image": dot}, losses.None)
	square := 0.0
	for _, x := range got.Data {
		square += x * x
	}
	near(t, "both kernels' squares", scalar(square), scalar(2), 1e-13, 0)
}

func TestAThinImageHasNoGradientAcross(t *testing.T) {
	row := losses.Array{Shape: []int{1, 1, 1, 4}, Data: []float64{0, 2, 4, 6}}
	tests := []struct {
		operator, padding string
		want              []float64 // along x, then y
	}{
		{"central", "replicate", []float64{1, 2, 2, 1, 0, 0, 0, 0}},
		{"sobel", "replicate", []float64{1, 2, 2, 1, 0, 0, 0, 0}},
		{"central", "zero", []float64{1, 2, 2, -2, 0, 0, 0, 0}},
		{"sobel", "zero", []float64{0.5, 1, 1, -1, 0, 0, 0, 0}},
	}
	for _, test := range tests {
		got := evaluate(t, with(t, losses.SpatialGradient, map[string]any{"operator": test.operator, "padding": test.padding}), losses.Values{"image": row}, losses.None)
		near(t, test.operator+" "+test.padding, got, losses.Array{Shape: []int{1, 1, 2, 1, 4}, Data: test.want}, 0, 0)
	}
}

func TestGradientLossesFollowFromTheGradients(t *testing.T) {
	in := losses.Values{"prediction": noise(1, 1, 2, 2, 5, 6), "target": noise(2, 1, 2, 2, 5, 6)}
	for _, operator := range operators {
		settings := map[string]any{"operator": operator}
		gradientOf := func(name string) losses.Array {
			return evaluate(t, with(t, losses.SpatialGradient, settings), losses.Values{"image": in[name]}, losses.None)
		}
		p, q := gradientOf("prediction"), gradientOf("target")
		components := losses.Zeros(p.Shape)
		magnitudes := losses.Zeros(in["prediction"].Shape)
		const plane = 5 * 6
		for i := range p.Data {
			components.Data[i] = math.Abs(p.Data[i] - q.Data[i])
		}
		for i := range magnitudes.Data {
			x := i/plane*2*plane + i%plane
			magnitudes.Data[i] = math.Abs(math.Hypot(p.Data[x], p.Data[x+plane]) - math.Hypot(q.Data[x], q.Data[x+plane]))
		}
		near(t, operator+" components", evaluate(t, with(t, losses.ImageGradient, settings), in, losses.None), components, 0, 1e-14)
		near(t, operator+" magnitude", evaluate(t, with(t, losses.GradientMagnitude, settings), in, losses.None), magnitudes, 0, 1e-14)
	}
}

func TestAConstantIsFreeButForAFalseBorder(t *testing.T) {
	target := noise(3, 1, 1, 1, 16, 18)
	prediction := scaled(target, 1)
	for i := range prediction.Data {
		prediction.Data[i] += 0.5
	}
	in := losses.Values{"prediction": prediction, "target": target}
	tests := []struct {
		v    variant
		free bool
	}{
		{with(t, losses.ImageGradient, nil), true},
		{with(t, losses.GradientMagnitude, nil), true},
		{with(t, losses.LaplacianPyramid, map[string]any{"levels": 4}), true},
		{with(t, losses.ImageGradient, map[string]any{"padding": "zero"}), false},
		{with(t, losses.GradientMagnitude, map[string]any{"padding": "zero"}), false},
		{with(t, losses.GradientMagnitude, map[string]any{"blur": true}), false},
	}
	for _, test := range tests {
		if got := evaluate(t, test.v, in, losses.Mean).Data[0]; (got < 1e-14) != test.free || !(got >= 0) {
			t.Errorf("%s %v: %g, free: %v", test.v.name, test.v.params, got, test.free)
		}
	}
}

func TestAWeightedMeanDividesByTheWeights(t *testing.T) {
	in := losses.Values{"prediction": noise(4, 1, 1, 2, 4, 5), "target": noise(5, 1, 1, 2, 4, 5)}
	for _, loss := range []*losses.Loss{losses.ImageGradient, losses.GradientMagnitude} {
		v := with(t, loss, nil)
		plain := evaluate(t, v, in, losses.Mean)
		in["weight"] = scalar(3)
		near(t, v.name+": equal weights", evaluate(t, v, in, losses.Mean), plain, 1e-14, 0)

		in["weight"] = losses.Zeros([]int{4, 5})
		in["weight"].Data[7] = 2
		unreduced := evaluate(t, v, in, losses.None)
		want, terms := 0.0, len(unreduced.Data)/20
		for i := 7; i < len(unreduced.Data); i += 20 {
			want += unreduced.Data[i] / 2 / float64(terms)
		}
		near(t, v.name+": one pixel", evaluate(t, v, in, losses.Mean), scalar(want), 1e-14, 0)
		delete(in, "weight")
	}
}

func TestMagnitudesHaveNoGradientWhereTheImageIsFlat(t *testing.T) {
	in := losses.Values{"prediction": losses.Filled([]int{1, 1, 3, 3}, 0.5), "target": noise(6, 1, 1, 1, 3, 3)}
	v := with(t, losses.GradientMagnitude, nil)
	got := gradient(t, v, in, losses.Sum, nil)
	near(t, "by the flat image", got["prediction"], losses.Zeros([]int{1, 1, 3, 3}), 0, 0)
	if largest(got["target"].Data) == 0 {
		t.Error("the other image has no gradient either")
	}
}

func TestLaplacianPyramidByHand(t *testing.T) {
	zero := losses.Zeros([]int{1, 1, 3, 2})
	in := losses.Values{ // the last row is cropped
		"prediction": {Shape: []int{1, 1, 3, 2}, Data: []float64{1, 0, 0, 0, 100, 100}},
		"target":     zero,
	}
	// Mirrored again and again, [1 0] is 1 0 1 0 1 0, of which the blur is 1/2: the
	// coarser pixel is 1/4, and grown it is 1/4 everywhere.
	const sum = 3.0/4 + 3*1.0/4
	tests := []struct {
		levels  int
		average bool
		want    float64
	}{
		{1, false, sum},
		{1, true, sum / 4},
		{3, false, sum}, // there is but one level
		{3, true, sum / 4 / 3},
	}
	for _, test := range tests {
		v := with(t, losses.LaplacianPyramid, map[string]any{"levels": test.levels, "average": test.average})
		near(t, fmt.Sprint(test), evaluate(t, v, in, losses.None), losses.Array{Shape: []int{1}, Data: []float64{test.want}}, 1e-15, 0)
		got := gradient(t, v, in, losses.Sum, nil)["prediction"]
		near(t, fmt.Sprint(test, " cropped"), losses.Array{Shape: []int{2}, Data: got.Data[4:]}, losses.Zeros([]int{2}), 0, 0)
	}
}

func TestLaplacianPyramidOfLargerImages(t *testing.T) {
	in := losses.Values{"prediction": noise(7, 1, 2, 1, 19, 12), "target": noise(8, 1, 2, 1, 19, 12)}
	for _, average := range []bool{true, false} {
		v := with(t, losses.LaplacianPyramid, map[string]any{"levels": 4, "average": average})
		upstream := losses.Array{Shape: []int{2}, Data: []float64{1, -2}}
		got := gradient(t, v, in, losses.None, &upstream)
		for _, name := range sortedNames(got) {
			want := centralDifferences(t, v, in, name, upstream, 0x1p-16)
			near(t, fmt.Sprint("average ", average, " by ", name), got[name], want, 1e-8, 1e-8)
		}
	}
}

func TestLaplacianPyramidRefusesLevelsThatNoImageHas(t *testing.T) {
	for _, levels := range []int{0, -1, 13} {
		_, err := losses.LaplacianPyramid.Params(map[string]any{"levels": levels})
		if want := fmt.Sprintf("losses: laplacian-pyramid: levels must be 1 to 12, got %d", levels); err == nil || err.Error() != want {
			t.Errorf("%d levels: error %v, want %s", levels, err, want)
		}
	}
}

// turned is a mask that rises to the right and an image that rises at an angle to
// that.
func turned(degrees, contrast float64) losses.Values {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	return losses.Values{
		"prediction": gridImage(1, 1, 5, 6, func(_, column int) float64 { return 0.1 * float64(column) }),
		"image":      gridImage(1, 1, 5, 6, func(row, column int) float64 { return contrast * (cos*float64(column) + sin*float64(row)) }),
	}
}

func TestConsistencyIsTheSquaredSineOfTheAngle(t *testing.T) {
	v := with(t, losses.MaskImageGradientConsistency, map[string]any{"activation": "none"})
	for degrees, want := range map[float64]float64{0: 0, 30: 0.25, 45: 0.5, 90: 1, 180: 0, -30: 0.25} {
		for _, contrast := range []float64{1e-6, 1, 255} {
			got := evaluate(t, v, turned(degrees, contrast), losses.Mean)
			near(t, fmt.Sprint(degrees, " degrees at ", contrast), got, scalar(want), 1e-12, 1e-15)
		}
	}
}

func TestConsistencyOfFlatMasksAndImages(t *testing.T) {
	flat := losses.Filled([]int{1, 1, 5, 6}, 0.5)
	rising := turned(20, 1)
	tests := []struct {
		name        string
		mask, image losses.Array
		unit        bool
		want        float64
	}{
		{"no edge in the mask", flat, rising["image"], true, 0},
		{"no edge in the image", rising["prediction"], flat, true, 1},
		{"no edge at all", flat, flat, true, 0},
		{"no edge in the image, bare gradients", rising["prediction"], flat, false, 1},
		{"steep, bare gradients", rising["prediction"], turned(20, 100)["image"], false, 0},
	}
	for _, test := range tests {
		v := with(t, losses.MaskImageGradientConsistency, map[string]any{"activation": "none", "unit": test.unit})
		in := losses.Values{"prediction": test.mask, "image": test.image}
		near(t, test.name, evaluate(t, v, in, losses.Mean), scalar(test.want), 1e-15, 0)
		for name, g := range gradient(t, v, in, losses.Mean, nil) {
			wantFinite(t, test.name+": gradient by "+name, g)
			if test.want == 0 {
				near(t, test.name+": gradient by "+name, g, losses.Zeros(g.Shape), 0, 0)
			}
		}
	}
}

// Bare gradients of faint images, which do not end at 0.
func TestConsistencyGradientOfBareGradients(t *testing.T) {
	in := losses.Values{"prediction": noise(9, 2, 3, 1, 5, 4), "image": noise(10, 0.2, 3, 1, 5, 4)}
	for _, settings := range []map[string]any{
		{"unit": false},
		{"unit": false, "batch": true},
		{"unit": false, "padding": "replicate"},
		{"batch": true, "padding": "replicate"},
	} {
		v := with(t, losses.MaskImageGradientConsistency, settings)
		if value := evaluate(t, v, in, losses.Mean).Data[0]; !(value > 0.1 && value < 1) {
			t.Errorf("%v: %g is no test of the gradient", settings, value)
		}
		upstream := losses.Array{Shape: []int{3}, Data: []float64{1, -2, 0.5}}
		got := gradient(t, v, in, losses.None, &upstream)
		for _, name := range sortedNames(got) {
			want := centralDifferences(t, v, in, name, upstream, 0x1p-14)
			near(t, fmt.Sprint(settings, " by ", name), got[name], want, 1e-8, 1e-9)
		}
	}
}

func TestOneRatioForTheBatchWeighsSamplesByTheirEdges(t *testing.T) {
	settings := map[string]any{"activation": "none"}
	each := with(t, losses.MaskImageGradientConsistency, settings)
	settings["batch"] = true
	together := with(t, losses.MaskImageGradientConsistency, settings)
	in := losses.Values{"prediction": noise(11, 1, 2, 1, 4, 4), "image": noise(12, 1, 2, 1, 4, 4)}
	flat := clone(in)
	for i := range 16 { // the first sample has no edges
		flat["prediction"].Data[i] = 0.25
	}
	alone := evaluate(t, each, flat, losses.None)
	near(t, "a flat mask beside another", evaluate(t, together, flat, losses.None), losses.Filled([]int{2}, alone.Data[1]), 1e-14, 0)
	ratios, whole := evaluate(t, each, in, losses.None).Data, evaluate(t, together, in, losses.None).Data
	if low, high := min(ratios[0], ratios[1]), max(ratios[0], ratios[1]); !(low < whole[0] && whole[0] < high) || whole[0] != whole[1] {
		t.Errorf("the batch has %v, its samples %v", whole, ratios)
	}
}
