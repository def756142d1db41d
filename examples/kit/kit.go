// Package kit is what the examples share and what none of them is about: they read
// a data folder, run models on an engine, and print a report.
package kit

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/onnxloss/onnxloss/internal/npy"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
	"github.com/onnxloss/onnxloss/runtime/ort"
	"github.com/onnxloss/onnxloss/runtime/verify"
)

// Main runs an example from the command line: on the engine that Engine gives, with
// the folder that -data names. An error ends the program with exit code 1.
func Main(run func(to io.Writer, eng engine.Engine, data string) error) {
	data := flag.String("data", "testdata/models", "folder with the models and their data")
	flag.Parse()
	if _, err := os.Stat(*data); err != nil {
		exit(fmt.Errorf("%w; run it from the repository's root, or name the folder with -data", err))
	}
	eng := Engine()
	fmt.Printf("engine: %s\n", eng.Name())
	if err := run(os.Stdout, eng, *data); err != nil {
		exit(err)
	}
}

func exit(err error) {
	fmt.Fprintf(os.Stderr, "%s: %v\n", filepath.Base(os.Args[0]), err)
	os.Exit(1)
}

// Engine is ONNX Runtime where it is found, else the pure Go engine.
func Engine() engine.Engine {
	if onnxRuntime, err := ort.New(ort.Options{}); err == nil {
		return onnxRuntime
	}
	return interp.New()
}

// AnySize stands for a size that may be anything but 0.
const AnySize = -1

// Read reads a .npy file of a folder, and refuses one of another type or shape than
// asked for.
func Read(folder, name string, dtype ops.DType, shape ...int) (engine.Tensor, error) {
	path := filepath.Join(folder, name)
	t, err := npy.Read(path)
	if err != nil {
		return t, err
	}
	same := func(got, want int) bool { return got == want || want == AnySize && got > 0 }
	if t.DType() != dtype || !slices.EqualFunc(t.Shape(), shape, same) {
		return t, fmt.Errorf("%s holds %s, want %s%v where %d is any size", path, t, dtype, shape, AnySize)
	}
	return t, nil
}

// Open reads a model of a folder.
func Open(folder, name string) (*models.Model, error) {
	return models.Open(filepath.Join(folder, name))
}

// Run loads a model and runs it once. Whoever runs a model more than once keeps the
// session instead.
func Run(eng engine.Engine, model *models.Model, inputs map[string]engine.Tensor) (outputs map[string]engine.Tensor, err error) {
	session, err := models.Load(eng, model)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	return session.Run(inputs)
}

// Array is a tensor as the float64 reference takes it.
func Array(t engine.Tensor) losses.Array {
	return losses.Array{Shape: t.Shape(), Data: t.Float64s()}
}

// Verify holds every loss in a model against the float64 reference, on inputs drawn
// for that, and says how many cases held.
func Verify(eng engine.Engine, model *models.Model) (cases int, err error) {
	report, err := verify.Model(context.Background(), model, []engine.Engine{eng}, 1)
	if err != nil {
		return 0, err
	}
	if !report.Passed() {
		table := new(strings.Builder)
		err = report.WriteTable(table)
		return 0, errors.Join(fmt.Errorf("a loss differs from the reference:\n%s", table), err)
	}
	return report.Cases(), nil
}
