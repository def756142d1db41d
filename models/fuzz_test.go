package models_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/onnxloss/onnxloss/internal/modelfuzz"
	"github.com/onnxloss/onnxloss/models"
)

// longestError is what an error may have in bytes, whatever names the file has.
const longestError = 4096

func wantShort(t *testing.T, err error) {
	t.Helper()
	if err != nil && len(err.Error()) > longestError {
		t.Errorf("the error has %d bytes: %.200s", len(err.Error()), err)
	}
}

// Whatever graph a file has, looking at it ends in bounded time and memory, and it is
// written as it was read.
func FuzzMutatedOpen(f *testing.F) {
	modelfuzz.Add(f)
	path := filepath.Join(f.TempDir(), "model.onnx")
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "weights.bin"), make([]byte, 16), 0o600); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, decisions []byte) {
		data := modelfuzz.Model(decisions)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var model *models.Model
		modelfuzz.Watch(t, 1, len(data), func() {
			var err error
			model, err = models.Open(path)
			wantShort(t, err)
		})
		if model == nil {
			return
		}
		modelfuzz.Watch(t, 3, len(data), func() { look(t, model) })
		written, err := model.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if usual(data) && !bytes.Equal(written, data) {
			t.Error("the bytes have changed")
		}
		modelfuzz.Watch(t, 1, len(data), func() { wantShort(t, model.LoadExternal()) })
	})
}

func look(t *testing.T, m *models.Model) {
	for _, tensor := range append(m.Inputs(), m.Outputs()...)[:min(8, len(m.Inputs())+len(m.Outputs()))] {
		if _, ok := m.Tensor(tensor.Name); !ok && tensor.Name != "" {
			t.Errorf("tensor %q is listed and not found", tensor.Name)
		}
	}
	_, err := m.Layers()
	wantShort(t, err)
	_, err = m.ExternalFiles()
	wantShort(t, err)
	wantShort(t, m.CheckOpset(21))
}

// usual says that a model has one graph, in the encoding that everyone writes.
func usual(data []byte) bool {
	graphs := 0
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeField(data)
		if n < 0 {
			return false
		}
		if number == 7 && kind == protowire.BytesType {
			graphs++
			length, _ := protowire.ConsumeVarint(data[1:])
			if data[0] != 7<<3|2 || n != 1+protowire.SizeBytes(int(length)) {
				return false
			}
		}
		data = data[n:]
	}
	return graphs == 1
}

// Taking networks apart and putting them together ends too.
func FuzzMutatedSurgery(f *testing.F) {
	modelfuzz.Add(f)
	f.Fuzz(func(t *testing.T, decisions []byte) {
		data := modelfuzz.Model(decisions)
		model, err := models.Parse(data)
		if err != nil {
			return
		}
		layers, err := model.Layers()
		if err != nil {
			return
		}
		modelfuzz.Watch(t, 8, len(data), func() { operate(t, model, layers) })
	})
}

// operate copies a model several times over.
func operate(t *testing.T, model *models.Model, layers []models.Layer) {
	last := layers[len(layers)-1].Name
	part, err := model.Cut(last)
	wantShort(t, err)
	if err != nil {
		return
	}
	both, err := models.Twin(part, "a", "b")
	wantShort(t, err)
	if err != nil {
		return
	}
	joint, _, err := models.Join(model, both, map[string]string{both.Inputs()[0].Name: last})
	wantShort(t, err)
	if err != nil {
		return
	}
	if _, err := joint.Bytes(); err != nil {
		t.Fatal(err)
	}
}

// Files that are made so that work grows faster than they do are no exception.
func TestLargeModelsTakeNoMoreThanTheirSize(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	for name, data := range modelfuzz.Large() {
		t.Run(name, func(t *testing.T) {
			modelfuzz.Watch(t, 4, len(data), func() {
				model, err := models.Parse(data)
				wantShort(t, err)
				if err == nil {
					look(t, model)
				}
			})
			model, err := models.Parse(data)
			if err != nil {
				return
			}
			layers, err := model.Layers()
			if err != nil {
				return
			}
			modelfuzz.Watch(t, 8, len(data), func() { operate(t, model, layers) })
		})
	}
}
