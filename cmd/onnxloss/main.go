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
	"syscall"
)

func main() { os.Exit(interruptible()) }

// interruptible runs the command of the process until a signal asks it to end, which
// it then does in order; the next signal ends it at once.
func interruptible() (code int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return run(ctx, os.Args[1:], os.Stdout, os.Stderr)
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
			fmt.Fprintf(stderr, "onnxloss: %s\n", line)
		}
	}
	return exitCode(err)
}
