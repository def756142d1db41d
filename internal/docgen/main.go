// Command docgen writes docs/losses.md and the plots in it from the catalogue.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/onnxloss/onnxloss/losses"
)

func main() {
	out := flag.String("out", "../../docs", "folder to write to")
	flag.Parse()
	if err := write(*out); err != nil {
		fmt.Fprintln(os.Stderr, "docgen:", err)
		os.Exit(1)
	}
}

// write replaces the page and all plots.
func write(folder string) error {
	plots := filepath.Join(folder, "plots")
	if err := os.RemoveAll(plots); err != nil {
		return err
	}
	if err := os.MkdirAll(plots, 0o755); err != nil {
		return err
	}
	for _, loss := range losses.All() {
		if loss.Figure == nil {
			continue
		}
		if err := draw(loss, filepath.Join(plots, loss.Command()+".svg")); err != nil {
			return fmt.Errorf("%s: %w", loss.Command(), err)
		}
	}
	return os.WriteFile(filepath.Join(folder, "losses.md"), page(), 0o644)
}
