// Package specs has spec files for onnxloss attach --spec, and the proof that they work.
package specs

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/examples/kit"
	"github.com/onnxloss/onnxloss/examples/kit/kittest"
	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/score"
)

// detector is the trained detector with the losses of its spec.
func detector(t *testing.T) *models.Model {
	t.Helper()
	text, err := os.ReadFile("detector.yaml")
	if err != nil {
		t.Fatal(err)
	}
	spec, err := export.ParseSpec(text)
	if err != nil {
		t.Fatal(err)
	}
	model, err := kit.Open(kittest.Data, "detector.onnx")
	if err != nil {
		t.Fatal(err)
	}
	attached, err := export.AttachAll(model, spec.Terms, spec.AllOptions)
	if err != nil {
		t.Fatal(err)
	}
	return attached
}

// scene is the detector's images with their labels, as its losses take them.
func scene(t *testing.T) map[string]engine.Tensor {
	t.Helper()
	read := func(name string, dtype ops.DType, shape ...int) engine.Tensor {
		x, err := kit.Read(kittest.Data, name, dtype, shape...)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	const images, cells, classes = 64, 9, 10
	labels := engine.Data[int64](read("detector_classes.npy", ops.Int64, images, cells))
	target, weight := make([]float32, images*cells*classes), make([]float32, images*cells)
	for i, class := range labels {
		weight[i] = 0.25
		if class >= 0 {
			target[i*classes+int(class)], weight[i] = 1, 2
		}
	}
	return map[string]engine.Tensor{
		"image":        read("detector_images.npy", ops.Float32, images, 1, 24, 24),
		"labels":       engine.Must([]int{images, cells, classes}, target),
		"cell_weights": engine.Must([]int{images, cells, 1}, weight),
		"true_boxes":   read("detector_boxes.npy", ops.Float32, images, cells, 4),
		"box_weight":   engine.Must([]int{}, []float32{0.75}),
	}
}

func TestDetectorLossesAreThoseOfTheReference(t *testing.T) {
	model, inputs := detector(t), scene(t)
	all, err := export.DescribeAll(model)
	if err != nil {
		t.Fatal(err)
	}
	kittest.OnEngines(t, func(t *testing.T, eng engine.Engine) {
		outputs, err := kit.Run(eng, model, inputs)
		if err != nil {
			t.Fatal(err)
		}
		values := map[string]float64{}
		for _, d := range all.Terms {
			in := losses.Values{}
			for name, tensor := range d.Inputs {
				x, fed := inputs[tensor]
				if !fed {
					x = outputs[tensor]
				}
				in[name] = kit.Array(x)
			}
			want, err := d.Loss.Evaluate(in, d.Params, d.Reduction)
			if err != nil {
				t.Fatal(err)
			}
			closeTo(t, d.Output, outputs[d.Output].Float64s(), want.Data)
			values[d.Output] = want.Data[0]
		}
		if len(values) != 4 {
			t.Errorf("there are %d losses, want 4", len(values))
		}
		total := values["classification"] + 0.5*values["quality"] + 0.75*values["localization"]
		closeTo(t, "total", outputs["total"].Float64s(), []float64{total})
	})
}

func closeTo(t *testing.T, name string, got, want []float64) {
	t.Helper()
	if len(got) != len(want) || len(got) == 0 {
		t.Fatalf("%s has %d numbers, want %d", name, len(got), len(want))
	}
	for i := range got {
		if !(math.Abs(got[i]-want[i]) <= 1e-5*max(1, math.Abs(want[i]))) {
			t.Errorf("%s[%d] is %g, want %g", name, i, got[i], want[i])
		}
	}
}

func TestDetectorLossesAndTotalAreVerified(t *testing.T) {
	model := detector(t)
	kittest.OnEngines(t, func(t *testing.T, eng engine.Engine) {
		if cases, err := kit.Verify(eng, model); err != nil || cases < 4*10 {
			t.Errorf("%d cases: %v", cases, err)
		}
	})
}

func TestDetectorIsScoredByItsUnreducedLoss(t *testing.T) {
	model, all := detector(t), scene(t)
	inputs := map[string]engine.Tensor{"image": all["image"], "true_boxes": all["true_boxes"]}
	kittest.OnEngines(t, func(t *testing.T, eng engine.Engine) {
		result, err := score.Run(t.Context(), eng, model, inputs, score.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(result.Raw.Shape()) != "[64 9]" || !(result.Mean > 0 && result.Mean <= 1) {
			t.Errorf("got %s, mean %g", result.Raw, result.Mean)
		}
	})
}

func TestSpecsHereAndInTheDocumentationAreRead(t *testing.T) {
	specs := map[string]string{}
	files, err := filepath.Glob("*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "../../docs/attach.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if specs[file] = string(text); strings.HasSuffix(file, ".md") {
			delete(specs, file)
			for i, block := range strings.Split(string(text), "```yaml\n")[1:] {
				specs[fmt.Sprintf("%s, block %d", file, i+1)], _, _ = strings.Cut(block, "```")
			}
		}
	}
	if len(specs) < 2 {
		t.Errorf("there are %d specs", len(specs))
	}
	for where, text := range specs {
		if _, err := export.ParseSpec([]byte(text)); err != nil {
			t.Errorf("%s: %v", where, err)
		}
	}
}
