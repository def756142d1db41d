package export_test

import (
	"testing"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/testneeds"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
	"github.com/onnxloss/onnxloss/runtime/ort"
)

func TestGraphsRefuseLabelsOutOfRange(t *testing.T) {
	for _, test := range []struct {
		name     string
		settings map[string]any
	}{
		{"softmax-cross-entropy", nil},
		{"softmax-focal", nil},
		{"softmax-focal", map[string]any{"per_class": true}},
		{"nll", nil},
		{"dice", nil},
		{"generalized-dice", nil},
		{"tversky", map[string]any{"activation": "sigmoid"}},
	} {
		loss, params := find(t, test.name, test.settings)
		for _, indexType := range []ops.DType{ops.Int64, ops.Int32} {
			model, err := export.Model(loss, params, export.Options{Reduction: losses.None, IndexType: indexType})
			if err != nil {
				t.Fatal(err)
			}
			raw, err := model.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range engines(t) {
				session, err := e.Load(raw)
				if err != nil {
					t.Fatal(err)
				}
				for label, taken := range map[float64]bool{0: true, 2: true, -100: true, -1: false, -3: false, -99: false, 3: false, 1 << 30: false, -1 << 31: false} {
					target, err := engine.FromFloat64s(indexType, []int{1}, []float64{label})
					if err != nil {
						t.Fatal(err)
					}
					_, err = session.Run(map[string]engine.Tensor{
						loss.Inputs[0].Name: engine.Must([]int{1, 3}, []float32{1, 2, 3}), "target": target,
					})
					if (err == nil) != taken {
						t.Errorf("%s, %s, %s: label %v gives error %v", test.name, e.Name(), indexType, label, err)
					}
				}
				if err := session.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// engines gives the interpreter, and ONNX Runtime where it is there.
func engines(t *testing.T) []engine.Engine {
	t.Helper()
	all := []engine.Engine{interp.New()}
	o, err := ort.New(ort.Options{})
	switch {
	case err == nil:
		all = append(all, o)
	case testneeds.Required(testneeds.ORT):
		t.Fatal(err)
	default:
		t.Logf("without ONNX Runtime: %v", err)
	}
	return all
}
