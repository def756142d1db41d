package verify_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
	"github.com/onnxloss/onnxloss/runtime/verify"
)

// A file says in its metadata which loss it holds, so that File needs no more.
func ExampleFile() {
	params, err := losses.SigmoidFocal.Params(map[string]any{"gamma": 1.5})
	if err != nil {
		log.Fatal(err)
	}
	model, err := export.Model(losses.SigmoidFocal, params, export.Options{})
	if err != nil {
		log.Fatal(err)
	}
	folder, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "focal.onnx")
	if err := model.Save(path); err != nil {
		log.Fatal(err)
	}

	report, err := verify.File(context.Background(), path, []engine.Engine{interp.New()}, 1)
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range report.Results {
		fmt.Println(r.Loss, r.Form, r.DType, r.Reduction, r.Engine, "failed:", r.Failed)
	}
	fmt.Println("passed:", report.Passed(), "exit code:", report.ExitCode())
	// Output:
	// sigmoid-focal graph float32 mean interp failed: 0
	// passed: true exit code: 0
}

// A part of the catalogue, on the engine that is always there.
func ExampleRun() {
	report, err := verify.Run(context.Background(), verify.Options{
		Losses: []*losses.Loss{losses.MSE}, Forms: []export.Form{export.Graph}, DTypes: []ops.DType{ops.Float32},
		Opsets: []int{17}, Engines: []engine.Engine{interp.New()},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range report.Results {
		fmt.Println(r.Loss, r.Reduction, "failed:", r.Failed)
	}
	// Output:
	// mse none failed: 0
	// mse mean failed: 0
	// mse sum failed: 0
}
