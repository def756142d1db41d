package main

import (
	"fmt"
	"io"
	"math"

	"github.com/onnxloss/onnxloss/runtime/engine"
)

// report is what the example finds out.
type report struct {
	candidates []candidate
	losses     []row
	// attached is the perceptual loss of the network's images, from the file that is
	// network and loss in one.
	attached float64
	read     []int // images of each candidate that are read as the true ones are
	cases    int   // verified
}

// row is a loss of every candidate.
type row struct {
	name              string
	engine, reference []float64
}

func (r *row) add(loss engine.Tensor, reference float64) {
	r.engine = append(r.engine, loss.Float64s()[0])
	r.reference = append(r.reference, reference)
}

// closest is the candidate, other than the truth itself, whose loss is the closest to
// the truth's.
func (r report) closest(x row) string {
	best := 1
	for i := 2; i < len(x.engine); i++ {
		if math.Abs(x.engine[i]-x.engine[0]) < math.Abs(x.engine[best]-x.engine[0]) {
			best = i
		}
	}
	return r.candidates[best].name
}

func (r report) write(to io.Writer) {
	fmt.Fprintln(to, "\nLarge images out of small ones, each compared with the true large image.")
	fmt.Fprintf(to, "\n  %-20s", "loss")
	for _, c := range r.candidates {
		fmt.Fprintf(to, "%11s", c.name)
	}
	fmt.Fprintf(to, "   %s\n", "closest")
	for _, x := range r.losses {
		fmt.Fprintf(to, "  %-20s", x.name)
		for _, value := range x.engine {
			fmt.Fprintf(to, "%11.6f", value)
		}
		fmt.Fprintf(to, "   %s\n", r.closest(x))
	}
	fmt.Fprintf(to, "  %-20s", "read as the truth")
	for _, count := range r.read {
		fmt.Fprintf(to, "%11d", count)
	}
	fmt.Fprint(to, `

The network was trained on errors of pixels. It wins where pixels and edges are
compared, but not in the classifier's last layer: repeated pixels are closer to
the truth there, and the classifier reads more of them as it reads the truth.
Blur costs in every loss but total variation, which knows no truth.
`)
	fmt.Fprintf(to, "\nThe loss from the file that is network and loss in one: %.6f\n", r.attached)
	fmt.Fprintf(to, "%d cases verified against the float64 reference.\n", r.cases)
}
