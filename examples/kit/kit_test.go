package kit_test

import (
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/examples/kit"
	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
)

const data = "../../testdata/models"

func TestReadRefusesOtherData(t *testing.T) {
	for _, test := range []struct {
		name, file string
		dtype      ops.DType
		shape      []int
		message    string // none where it is read
	}{
		{"as it is", "gan_z.npy", ops.Float32, []int{64, 16}, ""},
		{"any size", "gan_z.npy", ops.Float32, []int{kit.AnySize, 16}, ""},
		{"another size", "gan_z.npy", ops.Float32, []int{kit.AnySize, 15}, "holds float32[64,16]"},
		{"another rank", "gan_z.npy", ops.Float32, []int{64}, "holds float32[64,16]"},
		{"another type", "gan_z.npy", ops.Int64, []int{64, 16}, "holds float32[64,16]"},
		{"no file", "nothing.npy", ops.Float32, []int{64, 16}, "nothing.npy"},
	} {
		t.Run(test.name, func(t *testing.T) {
			read, err := kit.Read(data, test.file, test.dtype, test.shape...)
			if test.message == "" {
				if err != nil || read.Len() != 64*16 {
					t.Errorf("got %s and %v", read, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.message) {
				t.Errorf("got %v, want an error with %q", err, test.message)
			}
		})
	}
}

func TestVerifyTellsALossFromAModel(t *testing.T) {
	model, err := export.Model(losses.MSE, nil, export.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if cases, err := kit.Verify(interp.New(), model); err != nil || cases == 0 {
		t.Errorf("a loss: got %d cases and %v", cases, err)
	}
	plain, err := kit.Open(data, "gan_generator.onnx")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kit.Verify(interp.New(), plain); err == nil || !strings.Contains(err.Error(), "no onnxloss metadata") {
		t.Errorf("a model without a loss: got %v", err)
	}
}

func TestVerifyFailsWhereALossIsWrong(t *testing.T) {
	model, err := export.Model(losses.MSE, nil, export.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range model.Proto.Graph.Node {
		if node.GetOpType() == "Sub" {
			*node.OpType = "Add"
		}
	}
	if _, err := kit.Verify(interp.New(), model); err == nil || !strings.Contains(err.Error(), "differs from the reference") {
		t.Errorf("got %v, want that the loss differs", err)
	}
}

func TestRunGivesOutputs(t *testing.T) {
	generator, err := kit.Open(data, "gan_generator.onnx")
	if err != nil {
		t.Fatal(err)
	}
	z, err := engine.Zeros(ops.Float32, []int{2, 16})
	if err != nil {
		t.Fatal(err)
	}
	outputs, err := kit.Run(kit.Engine(), generator, map[string]engine.Tensor{"z": z})
	if err != nil {
		t.Fatal(err)
	}
	if got := outputs["image"].String(); got != "float32[2,1,8,8]" {
		t.Errorf("got %s", got)
	}
	if _, err := kit.Run(kit.Engine(), generator, nil); err == nil {
		t.Error("no error without inputs")
	}
}
