package export_test

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// beside moves a tensor's numbers to a file.
func beside(w *onnxpb.TensorProto, entries ...string) {
	w.DataLocation, w.RawData = onnxpb.TensorProto_EXTERNAL.Enum(), nil
	for i := 0; i < len(entries); i += 2 {
		w.ExternalData = append(w.ExternalData, &onnxpb.StringStringEntryProto{Key: &entries[i], Value: &entries[i+1]})
	}
}

func TestAttachLeavesExternalDataWhereTheyAre(t *testing.T) {
	model := plainModel(t)
	weights := model.Graph.Initializer[0].RawData
	data := append(make([]byte, 4096), weights...)
	sum := sha1.Sum(data)
	beside(model.Graph.Initializer[0], "location", "weights/w.bin", "offset", "4096", "length", "12", "checksum", hex.EncodeToString(sum[:]))
	constant := &onnxpb.AttributeProto{Name: proto.String("value"), Type: onnxpb.AttributeProto_TENSOR.Enum(), T: numbers("", 0, 0, 0)}
	beside(constant.T, "location", "weights/w.bin", "offset", "4096")
	model.Graph.Node = append(model.Graph.Node, nodeOf("Constant", "-> k", constant), nodeOf("Add", "y k -> z"))
	model.Graph.Output = append(model.Graph.Output, shaped(t, "z float32 N,3"))
	original, err := proto.Marshal(model)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeFiles(t, dir, map[string][]byte{"model.onnx": original, "weights/w.bin": data})

	opened, err := models.Open(filepath.Join(dir, "model.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	attached, err := export.Attach(opened, losses.MSE, nil, squaredError("z", export.Function))
	if err != nil {
		t.Fatal(err)
	}
	if err := attached.Save(filepath.Join(dir, "attached.onnx")); err != nil {
		t.Fatal(err)
	}
	saved, err := os.ReadFile(filepath.Join(dir, "attached.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	if err := keeps(saved, original, false); err != nil {
		t.Error(err)
	}
	if after, err := os.ReadFile(filepath.Join(dir, "weights", "w.bin")); err != nil || !bytes.Equal(after, data) {
		t.Errorf("the weights have changed, %v", err)
	}
	again, err := models.Open(filepath.Join(dir, "attached.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	if err := export.CheckModel(again); err != nil {
		t.Error(err)
	}
	detached, err := export.Detach(again)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytesOf(t, detached), original) {
		t.Error("detached, it is not the original byte for byte")
	}
	d, err := export.Describe(again)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*models.Model{opened, again} {
		if err := m.LoadExternal(); err != nil {
			t.Fatal(err)
		}
	}
	h := newHost("external", bytesOf(t, opened))
	h.inputs["x"] = engine.Must([]int{2, 3}, []float32{1, -2, 0.5, 0, 1e-3, -7})
	for _, e := range engines(t) {
		if _, err := h.runBoth(e, bytesOf(t, again), d); err != nil {
			t.Errorf("%s: %v", e.Name(), err)
		}
	}
}

func writeFiles(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	for name, data := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// halfModel is plainModel in a half type.
func halfModel(t *testing.T, dtype ops.DType) *host {
	t.Helper()
	m := plainModel(t)
	m.Graph.Input[0] = ops.ValueInfo("x", dtype, ops.Shape{ops.Symbolic("N"), ops.Fixed(3)})
	m.Graph.Output[0] = ops.ValueInfo("y", dtype, ops.Shape{ops.Symbolic("N"), ops.Fixed(3)})
	w, err := engine.FromFloat64s(dtype, []int{3}, []float64{0.1, -2, 3})
	if err != nil {
		t.Fatal(err)
	}
	m.Graph.Initializer[0] = engine.ToProto("w", w)
	file, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(dtype.String(), file)
	if h.inputs["x"], err = draw(3, dtype, []int{2, 3}); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestLossOfAHalfModelIsFloat32UnlessAskedOtherwise(t *testing.T) {
	for _, half := range []ops.DType{ops.Float16, ops.BFloat16} {
		for _, asked := range []ops.DType{ops.Undefined, ops.Float32, half} {
			for _, form := range export.Forms() {
				h := halfModel(t, half)
				o := squaredError("y", form)
				o.DType = asked
				attached, d, err := attachTo(h.file, o)
				if err != nil {
					t.Fatal(err)
				}
				want := asked
				if asked == ops.Undefined {
					want = ops.Float32
				}
				if d.DType != want {
					t.Errorf("%s, asked for %s: the loss is %s", half, asked, d.DType)
				}
				for _, e := range engines(t) {
					got, err := h.runBoth(e, attached, d)
					if half == ops.BFloat16 && e.Name() == "ort:cpu" {
						// ONNX Runtime has no kernels for it on the CPU.
						if err == nil || !strings.Contains(err.Error(), "Could not find an implementation for") {
							t.Errorf("bfloat16 on ONNX Runtime: %v", err)
						}
						continue
					}
					if err != nil {
						t.Errorf("%s, asked for %s, %s, %s: %v", half, asked, form, e.Name(), err)
					} else if got[d.Output].DType() != want {
						t.Errorf("%s gives a loss of %s", e.Name(), got[d.Output].DType())
					}
				}
			}
		}
	}
}

// Metadata under our keys that say nothing that can be read are somebody's error; to
// add to them would make a file that says two things.
func TestAttachRefusesBrokenMetadataOfOurs(t *testing.T) {
	m := plainModel(t)
	m.MetadataProps = []*onnxpb.StringStringEntryProto{{Key: proto.String("onnxloss.loss"), Value: proto.String("Nothing")}}
	_, err := export.Attach(&models.Model{Proto: m}, losses.MSE, nil, squaredError("y", export.Graph))
	if err == nil || !strings.Contains(err.Error(), "already has metadata of a loss, which cannot be read") || !strings.Contains(err.Error(), `unknown loss "Nothing"`) {
		t.Errorf("got %v", err)
	}
}
