package verify_test

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/externaldata/externaldatatest"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
	"github.com/onnxloss/onnxloss/runtime/ort"
	"github.com/onnxloss/onnxloss/runtime/score"
	"github.com/onnxloss/onnxloss/runtime/verify"
)

// The large model is nine matrices of 8192 x 8192, 2.4 GB in one file.
const (
	largeLayers = 9
	largeSize   = 8192
	largeMatrix = 4 * largeSize * largeSize
)

// large makes the model y = x W0 W1 ... with a loss of its elements. Every matrix
// moves the elements by another number of places and halves or doubles them, so that
// y is known. Nearly all of the file are holes, which take no room on the disk.
func large(t *testing.T) *models.Model {
	t.Helper()
	folder := t.TempDir()
	file, err := os.Create(filepath.Join(folder, "weights"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Truncate(largeLayers * largeMatrix); err != nil {
		t.Fatal(err)
	}
	graph := &onnxpb.GraphProto{
		Name:   proto.String("large"),
		Input:  []*onnxpb.ValueInfoProto{ops.ValueInfo("h0", ops.Float32, shape(t, "1,8192"))},
		Output: []*onnxpb.ValueInfoProto{ops.ValueInfo("h"+strconv.Itoa(largeLayers), ops.Float32, shape(t, "1,8192"))},
	}
	for layer := range largeLayers {
		name, next := "h"+strconv.Itoa(layer), "h"+strconv.Itoa(layer+1)
		w := &onnxpb.TensorProto{Name: proto.String("w" + strconv.Itoa(layer)), DataType: proto.Int32(int32(ops.Float32)), Dims: []int64{largeSize, largeSize}}
		externaldatatest.Refer(w, "weights", strconv.Itoa(layer*largeMatrix), strconv.Itoa(largeMatrix))
		graph.Initializer = append(graph.Initializer, w)
		graph.Node = append(graph.Node, &onnxpb.NodeProto{OpType: proto.String("MatMul"), Input: []string{name, w.GetName()}, Output: []string{next}})
		number := binary.LittleEndian.AppendUint32(nil, math.Float32bits(factor(layer)))
		for row := range largeSize {
			column := (row + layer + 1) % largeSize
			if _, err := file.WriteAt(number, int64(layer*largeMatrix+4*(row*largeSize+column))); err != nil {
				t.Fatal(err)
			}
		}
	}
	host := &models.Model{Path: filepath.Join(folder, "model.onnx"), Proto: &onnxpb.ModelProto{
		IrVersion: proto.Int64(8), Graph: graph,
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(17)}},
	}}
	model, err := export.Attach(host, losses.MSE, defaults(t, losses.MSE), export.AttachOptions{Options: export.Options{Reduction: losses.None}})
	if err != nil {
		t.Fatal(err)
	}
	return model
}

func factor(layer int) float32 { return []float32{2, 0.5, 0.5}[layer%3] }

// TestLargeModelsAreScoredAndVerified takes minutes. ONNXLOSS_LARGE=1 turns it on.
func TestLargeModelsAreScoredAndVerified(t *testing.T) {
	if os.Getenv("ONNXLOSS_LARGE") == "" {
		t.Skip("set ONNXLOSS_LARGE=1 to run a model of 2.4 GB")
	}
	model := large(t)
	engines := []engine.Engine{interp.New()}
	if native, err := ort.New(ort.Options{}); err == nil {
		engines = append(engines, native)
	} else {
		t.Log(err)
	}
	const samples = 2
	numbers := make([]float32, samples*largeSize)
	for i := range numbers {
		numbers[i] = float32(i % 61)
	}
	x := engine.Must([]int{samples, largeSize}, numbers)
	target, err := engine.Zeros(ops.Float32, x.Shape())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range engines {
		t.Run(e.Name(), func(t *testing.T) {
			started := measure(t)
			result, err := score.Run(t.Context(), e, model, map[string]engine.Tensor{"h0": x, "target": target}, score.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Log("score:", started())
			if err := engine.Diff(result.Raw, squares(numbers), engine.Tolerance{}); err != nil {
				t.Error(err)
			}
			started = measure(t)
			report, err := verify.Model(t.Context(), model, []engine.Engine{e}, 1)
			if err != nil {
				t.Fatal(err)
			}
			t.Log("verify:", started())
			if !report.Passed() || report.Cases() < 10 {
				t.Error(table(t, report))
			}
		})
	}
}

// squares is what the large model's loss is where the target is 0.
func squares(x []float32) engine.Tensor {
	moved, scale := 0, float32(1)
	for layer := range largeLayers {
		moved += layer + 1
		scale *= factor(layer)
	}
	y := make([]float32, len(x))
	for i := range y {
		row, column := i/largeSize, i%largeSize
		number := scale * x[row*largeSize+(column-moved+largeSize)%largeSize]
		y[i] = number * number
	}
	return engine.Must([]int{len(x) / largeSize, largeSize}, y)
}

// measure gives what tells time and, on Linux, the peak of memory since.
func measure(t *testing.T) func() string {
	t.Helper()
	debug.FreeOSMemory()
	const resetPeak = "5"
	if err := os.WriteFile("/proc/self/clear_refs", []byte(resetPeak), 0); err != nil {
		t.Log("the peak of memory is that of the whole test: ", err)
	}
	start := time.Now()
	return func() string {
		words := time.Since(start).Round(10 * time.Millisecond).String()
		status, _ := os.ReadFile("/proc/self/status")
		for line := range strings.Lines(string(status)) {
			if peak, ok := strings.CutPrefix(line, "VmHWM:"); ok {
				words += ", peak " + strings.Join(strings.Fields(peak), " ")
			}
		}
		return words
	}
}
