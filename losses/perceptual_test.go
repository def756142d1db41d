package losses_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/losses"
)

func array(data []float64, shape ...int) losses.Array {
	return losses.Array{Shape: shape, Data: data}
}

// drawn is an array of numbers that differ.
func drawn(from float64, shape ...int) losses.Array {
	a := losses.Zeros(shape)
	for i := range a.Data {
		a.Data[i] = math.Sin(from + 1.3*float64(i))
	}
	return a
}

func TestGramMatrixByHand(t *testing.T) {
	gram := variant{"", losses.GramMatrix, paramsOf(t, losses.GramMatrix, nil)}
	in := losses.Values{"features": array([]float64{1, 2, 3, 4}, 1, 2, 1, 2)}
	near(t, "gram", evaluate(t, gram, in, losses.None), array([]float64{5. / 4, 11. / 4, 11. / 4, 25. / 4}, 1, 2, 2), 1e-15, 0)
	vector := losses.Values{"features": array([]float64{1, 2}, 1, 2)}
	near(t, "without positions", evaluate(t, gram, vector, losses.None), array([]float64{0.5, 1, 1, 2}, 1, 2, 2), 1e-15, 0)
}

// tiled repeats an image [N, C, H, W] twice down and three times across.
func tiled(a losses.Array) losses.Array {
	h, w := a.Shape[2], a.Shape[3]
	big := losses.Zeros([]int{a.Shape[0], a.Shape[1], 2 * h, 3 * w})
	for i := range big.Data {
		row, column := i/(3*w)%(2*h), i%(3*w)
		big.Data[i] = a.Data[(i/(6*h*w)*h+row%h)*w+column%w]
	}
	return big
}

func TestStyleIsThatOfThePatternWhateverItsSize(t *testing.T) {
	for _, norm := range []string{"l2", "smooth_l1"} {
		style := variant{"", losses.Style, paramsOf(t, losses.Style, map[string]any{"norm": norm})}
		pattern := drawn(1, 2, 3, 2, 2)
		in := losses.Values{"prediction": pattern, "style": tiled(pattern)}
		near(t, norm, evaluate(t, style, in, losses.None), losses.Zeros([]int{2}), 0, 1e-30)
		for name, g := range gradient(t, style, in, losses.Sum, nil) {
			near(t, norm+" by "+name, g, losses.Zeros(in[name].Shape), 0, 1e-15)
		}
	}
}

// The loss is put together here from the head and the losses on its entries.
func TestStyleIsADistanceOfGramMatrices(t *testing.T) {
	entries := map[string]variant{
		"l2":        {"", losses.MSE, paramsOf(t, losses.MSE, nil)},
		"smooth_l1": {"", losses.SmoothL1, paramsOf(t, losses.SmoothL1, nil)},
	}
	gram := variant{"", losses.GramMatrix, paramsOf(t, losses.GramMatrix, nil)}
	prediction, target := scaled(drawn(2, 1, 3, 2, 5), 4), scaled(drawn(5, 1, 3, 4, 2), 3)
	grams := losses.Values{
		"prediction": evaluate(t, gram, losses.Values{"features": prediction}, losses.None),
		"target":     evaluate(t, gram, losses.Values{"features": target}, losses.None),
	}
	for norm, entry := range entries {
		for average, reduction := range map[bool]losses.Reduction{false: losses.Sum, true: losses.Mean} {
			style := variant{"", losses.Style, paramsOf(t, losses.Style, map[string]any{"norm": norm, "average": average})}
			in := losses.Values{"prediction": prediction, "style": target}
			near(t, fmt.Sprint(norm, " ", average), evaluate(t, style, in, losses.Sum), evaluate(t, entry, grams, reduction), 1e-13, 0)
		}
	}
}

func TestOneStyleForAllIsThatStyleRepeated(t *testing.T) {
	style := variant{"", losses.Style, paramsOf(t, losses.Style, nil)}
	one := drawn(3, 1, 2, 3, 1)
	prediction := drawn(7, 3, 2, 2, 2)
	shared := losses.Values{"prediction": prediction, "style": one}
	repeated := losses.Values{"prediction": prediction, "style": array(slices.Repeat(one.Data, 3), 3, 2, 3, 1)}
	near(t, "loss", evaluate(t, style, shared, losses.None), evaluate(t, style, repeated, losses.None), 0, 0)

	byShared, byRepeated := gradient(t, style, shared, losses.Sum, nil), gradient(t, style, repeated, losses.Sum, nil)
	near(t, "by prediction", byShared["prediction"], byRepeated["prediction"], 0, 0)
	total := losses.Zeros(one.Shape)
	for i, g := range byRepeated["style"].Data {
		total.Data[i%len(total.Data)] += g
	}
	near(t, "by style", byShared["style"], total, 1e-13, 1e-15)
}

func TestStyleRefusesAnotherNumberOfStyles(t *testing.T) {
	p := paramsOf(t, losses.Style, nil)
	for _, counts := range [][2]int{{3, 2}, {1, 2}, {2, 0}} {
		in := losses.Values{"prediction": drawn(0, counts[0], 2, 2, 2), "style": drawn(0, counts[1], 2, 2, 2)}
		want := fmt.Sprintf("style has %d images for %d predictions; give one for each, or one for all", counts[1], counts[0])
		if _, err := losses.Style.Evaluate(in, p, losses.Mean); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, want %q", counts, err, want)
		}
	}
}

func TestFeatureReconstructionIsTheMeanSquaredErrorOfASample(t *testing.T) {
	feature := variant{"", losses.FeatureReconstruction, paramsOf(t, losses.FeatureReconstruction, nil)}
	mse := variant{"", losses.MSE, paramsOf(t, losses.MSE, nil)}
	in := losses.Values{"prediction": drawn(1, 2, 3, 2, 2), "target": drawn(4, 2, 3, 2, 2)}
	near(t, "mean", evaluate(t, feature, in, losses.Mean), evaluate(t, mse, in, losses.Mean), 1e-14, 0)

	want := losses.Zeros([]int{2})
	for i, square := range evaluate(t, mse, in, losses.None).Data {
		want.Data[i/12] += square / 12
	}
	near(t, "none", evaluate(t, feature, in, losses.None), want, 1e-14, 0)
}

func TestTotalVariationByHand(t *testing.T) {
	corner := []float64{0, 0, 3, 1} // differences of 3 and 1 down, of 0 and -2 across
	tests := []struct {
		name          string
		height, width int
		pixels        []float64
		settings      map[string]any
		want          float64
		gradient      []float64
	}{
		{"l1", 2, 2, corner, nil, 6, []float64{-1, -1, 2, 0}},
		{"l2", 2, 2, corner, map[string]any{"norm": "l2"}, 14, []float64{-6, -2, 10, -2}},
		{"average", 2, 2, corner, map[string]any{"average": true}, 3, []float64{-0.5, -0.5, 1, 0}},
		{"one row", 1, 3, []float64{1, 4, 2}, map[string]any{"average": true}, 2.5, []float64{-0.5, 1, -0.5}},
		{"one column", 3, 1, []float64{1, 4, 2}, map[string]any{"average": true}, 2.5, []float64{-0.5, 1, -0.5}},
		{"one pixel", 1, 1, []float64{5}, map[string]any{"average": true}, 0, []float64{0}},
		{"one colour", 2, 2, []float64{7, 7, 7, 7}, nil, 0, []float64{0, 0, 0, 0}},
		{"nothing", 0, 3, nil, map[string]any{"average": true}, 0, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := variant{"", losses.TotalVariation, paramsOf(t, losses.TotalVariation, test.settings)}
			in := losses.Values{"image": array(test.pixels, 1, 1, test.height, test.width)}
			near(t, "loss", evaluate(t, v, in, losses.None), array([]float64{test.want}, 1, 1), 0, 0)
			near(t, "gradient", gradient(t, v, in, losses.Sum, nil)["image"], array(test.gradient, 1, 1, test.height, test.width), 0, 0)
		})
	}
}

func TestImagenetNormalizationOfKnownColours(t *testing.T) {
	for scale, white := range map[float64]float64{255: 255, 1: 1} {
		v := variant{"", losses.ImagenetNormalization, paramsOf(t, losses.ImagenetNormalization, map[string]any{"scale": scale})}
		mean := array([]float64{0.485 * white, 0.456 * white, 0.406 * white}, 1, 3, 1, 1)
		near(t, "mean colour", evaluate(t, v, losses.Values{"image": mean}, losses.None), losses.Zeros(mean.Shape), 0, 1e-15)
		full := losses.Filled([]int{1, 3, 1, 1}, white)
		want := array([]float64{0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225}, 1, 3, 1, 1)
		near(t, "white", evaluate(t, v, losses.Values{"image": full}, losses.None), want, 1e-14, 0)
	}
}

// In float64 there is room for what overflows in float32.
func TestPerceptualLossesAreFiniteForHugeFeatures(t *testing.T) {
	huge := func(from float64) losses.Array { return scaled(drawn(from, 2, 3, 2, 2), 1e20) }
	tests := []struct {
		loss *losses.Loss
		in   losses.Values
	}{
		{losses.FeatureReconstruction, losses.Values{"prediction": huge(1), "target": huge(2)}},
		{losses.GramMatrix, losses.Values{"features": huge(1)}},
		{losses.Style, losses.Values{"prediction": huge(1), "style": huge(2)}},
		{losses.TotalVariation, losses.Values{"image": huge(1)}},
		{losses.ImagenetNormalization, losses.Values{"image": huge(1)}},
	}
	for _, test := range tests {
		v := variant{"", test.loss, paramsOf(t, test.loss, nil)}
		wantFinite(t, test.loss.Name, evaluate(t, v, test.in, losses.None))
		for name, g := range gradient(t, v, test.in, losses.None, nil) {
			wantFinite(t, test.loss.Name+" by "+name, g)
		}
	}
}
