package losses_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
)

// hardRows are logits for which an iteration for the normalization is slow: ties,
// few likely classes before many unlikely ones whose probabilities add up to about
// 1, and clusters that a temperature below 1 cuts off one after the other.
func hardRows(r *rand.Rand, count int, t float64) [][]float64 {
	var rows [][]float64
	for _, spread := range []float64{0, 1e-3, 0.1, 1, 10, 100, 1e4} {
		rows = append(rows,
			row(count, func(int) float64 { return spread * r.NormFloat64() }),
			row(count, func(i int) float64 { return -spread * math.Min(1, float64(i)) }),
			row(count, func(i int) float64 { return -spread * float64(i) / float64(count) }),
		)
	}
	distance := math.Max(math.Abs(1-t), 1e-3)
	for _, share := range []float64{0.5, 0.9, 1, 1.1, 2} {
		gap := math.Pow(share*float64(count), distance) / distance
		rows = append(rows, row(count, func(i int) float64 { return -gap * math.Min(1, float64(i)) }))
	}
	for _, ratio := range []float64{1.5, 2, 4, 10} {
		rows = append(rows, row(count, func(i int) float64 {
			level := math.Floor(math.Log(float64(i+1)) / math.Log(ratio))
			return (math.Pow(ratio, -level) - 1) / distance
		}))
	}
	return rows
}

func row(count int, at func(int) float64) []float64 {
	x := make([]float64, count)
	for i := range x {
		x[i] = at(i)
	}
	return x
}

// The number of Newton steps in a graph is fixed: it has to do for every temperature,
// number of classes and spread.
func TestTemperedProbabilitiesSumToOneInBothTypes(t *testing.T) {
	for _, temperature := range []float64{0, 0.1, 0.5, 0.8, 0.999999, 1, 1.000001, 1.1, 1.26, 2, 4, 10} {
		for _, count := range []int{1, 2, 3, 10, 100, 1000} {
			if testing.Short() && count > 100 {
				continue
			}
			t.Run(fmt.Sprintf("t=%g/%d", temperature, count), func(t *testing.T) {
				t.Parallel()
				r := rand.New(rand.NewPCG(uint64(count), 3))
				rows := hardRows(r, count, temperature)
				logits := losses.Zeros([]int{len(rows), count})
				for n, row := range rows {
					copy(logits.Data[n*count:], row)
				}
				checkSums(t, temperature, logits)
			})
		}
	}
}

func checkSums(t *testing.T, temperature float64, logits losses.Array) {
	t.Helper()
	l := losses.TemperedSoftmax
	p := paramsOf(t, l, map[string]any{"t": temperature})
	for i, x := range logits.Data {
		logits.Data[i] = float64(float32(x))
	}
	in := losses.Values{"logits": logits}
	want := evaluate(t, variant{"", l, p}, in, losses.None)
	for dtype, eps := range map[ops.DType]float64{ops.Float32: 0x1p-23, ops.Float64: 0x1p-52} {
		got := lowered(t, l, p, dtype, in)
		bound, err := l.Bound(in, p, eps)
		if err != nil {
			t.Fatal(err)
		}
		count := logits.Shape[1]
		for n := range logits.Shape[0] {
			total, truth, worst := 0.0, 0.0, 0.0
			for k := n * count; k < (n+1)*count; k++ {
				total, truth = total+got[k], truth+want.Data[k]
				worst = max(worst, math.Abs(got[k]-want.Data[k])/(bound.Data[k]+1e-37))
			}
			if !(worst <= 1) {
				t.Errorf("%s: row %d is off by %g of the bound", dtype, n, worst)
			}
			if !(math.Abs(truth-1) <= 1e-12) {
				t.Errorf("row %d: the reference's probabilities sum to 1%+g", n, truth-1)
			}
			// a power up to 8 of what is rounded, and the sum of many numbers one after the other
			if !(math.Abs(total-1) <= (24+float64(count)/2)*eps) {
				t.Errorf("%s: row %d sums to 1%+.3g, %g spacings off", dtype, n, total-1, (total-1)/eps)
			}
		}
	}
}
