// Command demo does the main job of onnxloss on real input, and doubles as a
// tutorial of its Go API. For two models that were trained in PyTorch it
//
//  1. attaches a loss to the model's ONNX file,
//  2. checks the file and verifies it on every engine that is on this machine,
//  3. scores held-out images with it, sample by sample,
//  4. compares the losses with figures that do not come from the file, and
//  5. shows the images that the model finds hardest.
//
// Run it from the repository's root:
//
//	go run ./examples/demo
//
// It exits with 0 where everything holds, with 1 where something differs, and
// with 2 where an input cannot be read or the results cannot be written.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/onnxloss/onnxloss/runtime/engine"
)

// Exit codes.
const (
	holds      = 0
	differs    = 1
	unreadable = 2
)

func main() {
	data := flag.String("data", "testdata/models", "folder with the models and their data")
	out := flag.String("out", "", "folder for the models with their losses (default a new temporary one)")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "demo: it takes no arguments, got %q\n", flag.Args())
		os.Exit(unreadable)
	}
	engines, missing := findEngines()
	d := &demo{to: os.Stdout, data: *data, out: *out, engines: engines, missing: missing, ink: plain}
	if term.IsTerminal(int(os.Stdout.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" {
		d.ink = colour
	}
	code, err := d.run(context.Background())
	if err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
	}
	os.Exit(code)
}

// demo is what both parts share.
type demo struct {
	to      io.Writer
	data    string // folder that is read
	out     string // folder that is written
	engines []engine.Engine
	missing error // why ONNX Runtime is not among the engines
	ink     ink
	failed  bool // something differs
}

// run gives the exit code, and the error that ended the run early.
func (d *demo) run(ctx context.Context) (int, error) {
	start := time.Now()
	if _, err := os.Stat(d.data); err != nil {
		return unreadable, fmt.Errorf("%w; run it from the repository's root, or name the folder with -data", err)
	}
	if err := d.makeOut(); err != nil {
		return unreadable, err
	}
	fmt.Fprintln(d.to, "onnxloss demo: losses on two models that PyTorch trained")
	d.listEngines()
	if err := d.digits(ctx); err != nil {
		return unreadable, err
	}
	if err := d.detector(ctx); err != nil {
		return unreadable, err
	}
	d.heading("Result")
	d.labelled("files", d.out)
	if d.failed {
		d.line("verdict", "something DIFFERS: see FAILED above", start)
		return differs, nil
	}
	d.line("verdict", "everything holds on "+d.engineNames(), start)
	return holds, nil
}

func (d *demo) makeOut() (err error) {
	if d.out == "" {
		d.out, err = os.MkdirTemp("", "onnxloss-demo-")
		return err
	}
	return os.MkdirAll(d.out, 0o755)
}
