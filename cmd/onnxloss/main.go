// Command onnxloss exports loss functions as ONNX, attaches them to trained models,
// verifies the result against a float64 reference, and scores data with it.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run carries out one command line and gives the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(stderr, "onnxloss: internal error: %v; please report it with the command line and the files\n", p)
			code = exitUsage
		}
	}()
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") { // of several files
			fmt.Fprintf(stderr, "onnxloss: %s\n", printable(line))
		}
	}
	return exitCode(err)
}
