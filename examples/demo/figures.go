package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// allowed is how far a loss may be from the figure it is compared with.
const allowed = 1e-5

// largestDifference between numbers that should be the same; NaN or infinite where
// one of them is.
func largestDifference(got, want []float64) (float64, error) {
	if len(got) != len(want) || len(got) == 0 {
		return 0, fmt.Errorf("there are %d losses to compare with %d figures", len(got), len(want))
	}
	largest := 0.0
	for i := range got {
		largest = math.Max(largest, math.Abs(got[i]-want[i]))
	}
	return largest, nil
}

// hardestFirst gives the samples' indices by falling loss.
func hardestFirst(losses []float64) []int {
	order := make([]int, len(losses))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(losses[b], losses[a]) })
	return order
}

// shareOfHardest is how much of the whole loss the hardest part of the samples
// carries, both between 0 and 1.
func shareOfHardest(losses []float64, part float64) float64 {
	count := int(math.Ceil(part * float64(len(losses))))
	hardest, whole := 0.0, 0.0
	for i, sample := range hardestFirst(losses) {
		if i < count {
			hardest += losses[sample]
		}
		whole += losses[sample]
	}
	return hardest / whole
}

// describeLosses sums up how the losses are distributed.
func (d *demo) describeLosses(losses []float64) {
	sorted := slices.Sorted(slices.Values(losses))
	n := len(sorted)
	median := (sorted[(n-1)/2] + sorted[n/2]) / 2
	d.labelled("figures", fmt.Sprintf("median %.3g, smallest %.3g, largest %.4g", median, sorted[0], sorted[n-1]))
	d.note(fmt.Sprintf("the hardest tenth carries %.0f %% of the whole loss", 100*shareOfHardest(losses, 0.1)))
}
