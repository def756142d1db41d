package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/onnxloss/onnxloss/runtime/engine"
)

// report is what the example finds out.
type report struct {
	masks, logits engine.Tensor
	stages        []stage
	parts         parts
	cases         int // verified
}

// hardest lists images by their loss, the highest first.
func hardest(perImage []float64) []int {
	order := make([]int, len(perImage))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(perImage[b], perImage[a]) })
	return order
}

const side = 16

// errors draws a mask: # right, + labelled too much, - missed.
func (r report) errors(image int) (lines []string, wrong int) {
	mask, logits := r.masks.Float64s()[image*side*side:], r.logits.Float64s()[image*2*side*side:]
	line := ""
	for i := range side * side {
		inside, labelled := mask[i] == 1, logits[side*side+i] > logits[i]
		switch {
		case inside && labelled:
			line += "# "
		case inside:
			line += "- "
			wrong++
		case labelled:
			line += "+ "
			wrong++
		default:
			line += ". "
		}
		if i%side == side-1 {
			lines = append(lines, strings.TrimSuffix(line, " "))
			line = ""
		}
	}
	return lines, wrong
}

func (r report) write(to io.Writer) {
	fmt.Fprintln(to, "\nGeneralized Dice (GD) and boundary loss (B) on the masks of a U-Net.")
	fmt.Fprintf(to, "\n  %-12s%8s%12s%14s   %s\n", "schedule", "α", "mean", "difference", "hardest images")
	for _, s := range r.stages {
		fmt.Fprintf(to, "  %-12s%8.2f%12.6f%14.1e   %v\n", s.schedule, s.alpha, s.mean, s.worst, hardest(s.perImage)[:min(5, len(s.perImage))])
	}
	fmt.Fprint(to, `
increase is GD + α B, rebalance (1 - α) GD + α B. B is below 0 for a good mask.
The difference is the largest from the float64 reference, of all images.
`)
	p := r.parts
	fmt.Fprintf(to, "\nThe parts, attached as two losses and their sum:\n")
	fmt.Fprintf(to, "  GD %.6f + %.2f · B %.6f = %.6f\n", p.dice, p.alpha, p.boundary, p.total)

	regional, boundary := hardest(r.stages[0].perImage)[0], hardest(r.stages[len(r.stages)-1].perImage)[0]
	left, wrongLeft := r.errors(regional)
	right, wrongRight := r.errors(boundary)
	fmt.Fprintln(to, "\nThe hardest image for GD, and for B alone, whose best value is the")
	fmt.Fprintln(to, "lower the thicker a digit is: it compares models rather than images.")
	fmt.Fprint(to, "# right, + labelled too much, - missed\n\n")
	fmt.Fprintf(to, "  %-36s%s\n", fmt.Sprintf("image %d, %d pixels wrong", regional, wrongLeft), fmt.Sprintf("image %d, %d pixels wrong", boundary, wrongRight))
	for i := range left {
		fmt.Fprintf(to, "  %-36s%s\n", left[i], right[i])
	}
	fmt.Fprintf(to, "\n%d cases verified against the float64 reference.\n", r.cases+p.cases)
}
