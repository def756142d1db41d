package losses_test

import (
	"math"
	"testing"

	"github.com/onnxloss/onnxloss/losses"
)

// balanced lists the classification losses with what they are for eta = 0.
func balanced(t *testing.T) []struct{ loss, plain variant } {
	t.Helper()
	make := func(l *losses.Loss, settings map[string]any) variant {
		return variant{l.Command(), l, paramsOf(t, l, settings)}
	}
	return []struct{ loss, plain variant }{
		{make(losses.IoUBalancedSoftmax, nil), make(losses.SoftmaxCrossEntropy, nil)},
		{make(losses.IoUBalancedSigmoid, nil), make(losses.SigmoidCrossEntropy, nil)},
		{make(losses.IoUBalancedFocal, nil), make(losses.SigmoidFocal, map[string]any{"modulator": "split"})},
	}
}

func resettled(t *testing.T, v variant, settings map[string]any) variant {
	t.Helper()
	return variant{v.name, v.loss, paramsOf(t, v.loss, settings)}
}

func withoutIoU(in losses.Values) losses.Values {
	plain := clone(in)
	for _, name := range []string{"iou", "predicted_boxes", "target_boxes"} {
		delete(plain, name)
	}
	return plain
}

func TestIoUBalancedWithoutEtaIsThePlainLoss(t *testing.T) {
	for _, pair := range balanced(t) {
		for seed, s := range append(friendly, extreme...) {
			s.weights = false
			in := draw(t, pair.loss, s, usualSizes(), uint64(seed))
			off := resettled(t, pair.loss, map[string]any{"eta": 0})
			for _, r := range losses.Reductions() {
				want := evaluate(t, pair.plain, withoutIoU(in), r)
				near(t, pair.loss.name+"/"+s.name+" "+string(r), evaluate(t, off, in, r), want, 1e-13, 1e-300)
			}
			want := gradient(t, pair.plain, withoutIoU(in), losses.Sum, nil)
			for name, g := range gradient(t, off, in, losses.Sum, nil) {
				near(t, pair.loss.name+"/"+s.name+" gradient by "+name, g, want[name], 1e-12, 1e-14)
			}
		}
	}
}

func TestIoUBalancedKeepsTheSum(t *testing.T) {
	for _, pair := range balanced(t) {
		for seed := range uint64(5) {
			for _, s := range friendly[:4] {
				in := draw(t, pair.loss, s, usualSizes(), seed)
				off := resettled(t, pair.loss, map[string]any{"eta": 0})
				near(t, pair.loss.name+"/"+s.name, evaluate(t, pair.loss, in, losses.Sum), evaluate(t, off, in, losses.Sum), 1e-12, 0)
			}
		}
	}
}

func TestIoUBalancedWithoutAnyOverlapIsThePlainLoss(t *testing.T) {
	for _, pair := range balanced(t) {
		in := draw(t, pair.loss, friendly[2], usualSizes(), 4)
		clear(in["iou"].Data)
		near(t, pair.loss.name, evaluate(t, pair.loss, in, losses.None), evaluate(t, pair.plain, withoutIoU(in), losses.None), 1e-13, 1e-300)
		released := resettled(t, pair.loss, map[string]any{"epsilon": 1e-6})
		if sum := evaluate(t, released, in, losses.Sum).Data[0]; !(sum < 0.9*evaluate(t, pair.loss, in, losses.Sum).Data[0]) {
			t.Errorf("%s: with an epsilon positives without overlap should vanish, but the sum is %g", pair.loss.name, sum)
		}
	}
}

func TestIoUBalancedComputesTheIoU(t *testing.T) {
	for _, l := range []*losses.Loss{losses.IoUBalancedSoftmax, losses.IoUBalancedSigmoid, losses.IoUBalancedFocal, losses.IoUBalancedSmoothL1} {
		for _, form := range []string{"xyxy", "cxcywh"} {
			computed := variant{l.Command(), l, paramsOf(t, l, map[string]any{"boxes": form})}
			given := variant{l.Command(), l, paramsOf(t, l, nil)}
			in := draw(t, computed, friendly[3], usualSizes(), 6)
			p := paramsOf(t, losses.IoU, map[string]any{"boxes": form})
			apart, err := losses.IoU.Evaluate(losses.Values{"prediction": in["predicted_boxes"], "target": in["target_boxes"]}, p, losses.None)
			if err != nil {
				t.Fatal(err)
			}
			iou := losses.Filled(apart.Shape, 1)
			for i, x := range apart.Data {
				iou.Data[i] -= x
			}
			same := withoutIoU(in)
			same["iou"] = iou
			near(t, l.Command()+" "+form, evaluate(t, computed, in, losses.None), evaluate(t, given, same, losses.None), 1e-12, 1e-15)
		}
	}
}

// A detector gives [N, cells, classes] and [N, cells, 4]; cells without an object
// have the label -1.
func TestIoUBalancedSoftmaxOfADetector(t *testing.T) {
	last := map[string]any{"class_axis": "last", "boxes": "xyxy", "background": -1, "ignore_index": -1}
	v := variant{"", losses.IoUBalancedSoftmax, paramsOf(t, losses.IoUBalancedSoftmax, last)}
	in := losses.Values{
		"logits":          {Shape: []int{1, 3, 2}, Data: []float64{0, 0, 0, math.Log(3), 5, 5}},
		"target":          {Shape: []int{1, 3}, Data: []float64{0, 0, -1}},
		"predicted_boxes": {Shape: []int{1, 3, 4}, Data: []float64{0, 0, 2, 2, 0, 0, 2, 2, 7, 7, 7, 7}},
		"target_boxes":    {Shape: []int{1, 3, 4}, Data: []float64{0, 0, 2, 2, 0, 0, 2, 1, 0, 0, 0, 0}},
	}
	near2, far := math.Log(2), math.Log(4) // cross-entropies, with IoU 1 and 1/2
	n := (near2 + far) / (near2 + math.Pow(0.5, 1.5)*far)
	want := losses.Array{Shape: []int{1, 3}, Data: []float64{n * near2, n * math.Pow(0.5, 1.5) * far, 0}}
	near(t, "none", evaluate(t, v, in, losses.None), want, 1e-14, 0)
	near(t, "mean", evaluate(t, v, in, losses.Mean), scalar((near2+far)/2), 1e-14, 0)
}

func TestClassesOnTheLastAxisAreThoseOnAxis1(t *testing.T) {
	for _, pair := range balanced(t) {
		first := draw(t, pair.loss, friendly[3], usualSizes(), 8)
		last := clone(first)
		for _, name := range []string{"logits", "target"} {
			if len(first[name].Shape) == 4 {
				last[name] = classesToLast(first[name])
			}
		}
		delete(first, "weight")
		delete(last, "weight")
		want := evaluate(t, pair.loss, first, losses.None)
		if len(want.Shape) == 4 {
			want = classesToLast(want)
		}
		near(t, pair.loss.name, evaluate(t, resettled(t, pair.loss, map[string]any{"class_axis": "last"}), last, losses.None), want, 1e-13, 0)
	}
}

func classesToLast(a losses.Array) losses.Array {
	outer, count, inner := split(a.Shape)
	moved := losses.Zeros([]int{a.Shape[0], a.Shape[2], a.Shape[3], a.Shape[1]})
	for n := range outer {
		for k := range count {
			for i := range inner {
				moved.Data[(n*inner+i)*count+k] = a.Data[(n*count+k)*inner+i]
			}
		}
	}
	return moved
}

func TestIgnoredSamplesDoNotShiftTheOthers(t *testing.T) {
	l := losses.IoUBalancedSoftmax
	v := variant{"", l, paramsOf(t, l, nil)}
	in := losses.Values{
		"logits": {Shape: []int{3, 2}, Data: []float64{0, 1, 2, 0, 3, 0}},
		"target": {Shape: []int{3}, Data: []float64{1, 1, 1}},
		"iou":    {Shape: []int{3}, Data: []float64{0.9, 0.5, 0.1}},
		"weight": {Shape: []int{3}, Data: []float64{1, 1, 0}},
	}
	two := losses.Values{
		"logits": {Shape: []int{2, 2}, Data: in["logits"].Data[:4]},
		"target": {Shape: []int{2}, Data: in["target"].Data[:2]},
		"iou":    {Shape: []int{2}, Data: in["iou"].Data[:2]},
	}
	alone := evaluate(t, v, two, losses.None).Data
	near(t, "by weight", evaluate(t, v, in, losses.None), losses.Array{Shape: []int{3}, Data: []float64{alone[0], alone[1], 0}}, 1e-15, 0)
	near(t, "mean", evaluate(t, v, in, losses.Mean), evaluate(t, v, two, losses.Mean), 1e-15, 0)
	in["target"].Data[2] = -100
	delete(in, "weight")
	near(t, "by label", evaluate(t, v, in, losses.None), losses.Array{Shape: []int{3}, Data: []float64{alone[0], alone[1], 0}}, 1e-15, 0)
}

func TestIoUBalancedSmoothL1DividesByBoxes(t *testing.T) {
	l := losses.IoUBalancedSmoothL1
	v := variant{"", l, paramsOf(t, l, map[string]any{"delta": 2, "beta": 0})}
	in := losses.Values{
		"prediction": {Shape: []int{2, 4}, Data: []float64{1, 2, 3, 4, 5, 6, 7, 8}},
		"target":     losses.Zeros([]int{2, 4}),
		"iou":        {Shape: []int{2}, Data: []float64{0.5, 1}},
	}
	near(t, "mean", evaluate(t, v, in, losses.Mean), scalar((10*0.25+26)/2), 1e-15, 0)
	in["weight"] = losses.Array{Shape: []int{2, 1}, Data: []float64{3, 0}}
	near(t, "mean of one box", evaluate(t, v, in, losses.Mean), scalar(3*10*0.25), 1e-15, 0)
}
