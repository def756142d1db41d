package main

import (
	"fmt"
	"io"
)

// report is what the example finds out.
type report struct {
	real, fake  float64 // the discriminator's mean output
	games       []result
	autoEncoder []result
	steps       []step
	penalties   []result
}

func (r report) write(to io.Writer) {
	fmt.Fprintln(to, "\nOne discriminator, judged by the losses of five games, in one graph.")
	fmt.Fprintf(to, "Its mean output is %.3f for real and %.3f for generated images: ", r.real, r.fake)
	if r.fake < r.real {
		fmt.Fprintln(to, "it tells them apart.")
	} else {
		fmt.Fprintln(to, "it is fooled,\nand does worse than one that says 0 to every image.")
	}
	fmt.Fprintf(to, "\n  %-30s%12s%12s%10s%12s\n", "loss", "engine", "reference", "all 0", "verified")
	for _, x := range r.games {
		fmt.Fprintf(to, "  %-30s%12.6f%12.6f%10.4f%6d cases\n", x.loss.Command(), x.engine, x.reference, x.indifferent, x.cases)
	}
	writeAlone(to, "Errors of an auto-encoder instead of outputs (see autoencoder.go).", r.autoEncoder)
	fmt.Fprintln(to, "\nBEGAN: k follows the balance of the errors, step by step.")
	fmt.Fprintf(to, "\n  %-6s%10s%22s%20s%16s\n", "step", "k", "began-discriminator", "began-convergence", "began-balance")
	for i, s := range r.steps {
		fmt.Fprintf(to, "  %-6d%10.6f%22.6f%20.6f%16.6f\n", i+1, s.k, s.discriminator.engine, s.convergence.engine, s.balance.engine)
	}
	writeAlone(to, fmt.Sprintf("Gradient penalties at %d points, with their default coefficients.", penalized), r.penalties)
}

func writeAlone(to io.Writer, title string, results []result) {
	fmt.Fprintf(to, "\n%s\n\n  %-30s%12s%12s%12s\n", title, "loss", "engine", "reference", "verified")
	for _, x := range results {
		fmt.Fprintf(to, "  %-30s%12.6f%12.6f%6d cases\n", x.loss.Command(), x.engine, x.reference, x.cases)
	}
}
