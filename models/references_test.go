package models_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/models"
)

// No file can pretend that a tensor's numbers are where this package leaves its own.
func TestReferencesToTheFileItselfAreNotForFiles(t *testing.T) {
	for _, size := range []int{0, 4096} { // both are read, short messages and long ones
		p := heavy()
		p.Graph.Initializer[0] = apart("data", "0", "8")
		w := p.Graph.Initializer[0]
		w.DocString = proto.String(string(bytes.Repeat([]byte("x"), size)))
		w.ExternalData = append(w.ExternalData, &onnxpb.StringStringEntryProto{Key: proto.String("onnxloss.field"), Value: proto.String("9")})
		data := encode(t, p)
		says := []string{`tensor "` + w.GetName() + `"`, `the key "onnxloss.field", which is not for files; take it out`}
		_, err := models.Open(write(t, filepath.Join(t.TempDir(), "model.onnx"), data))
		wantError(t, err, append(says, "models: open ")...)
		_, err = models.Parse(data)
		wantError(t, err, append(says, "models: parse: ")...)
	}
}

// A tensor that is written twice is one, with the numbers of both.
func TestTensorsThatMergeAreReadWhole(t *testing.T) {
	value := func(list ...*onnxpb.TensorProto) (parts []byte) {
		for _, tensor := range list {
			parts = protowire.AppendBytes(protowire.AppendTag(parts, 5, protowire.BytesType), encodeMessage(t, tensor))
		}
		return parts
	}
	short := &onnxpb.TensorProto{FloatData: []float32{1, 2, 3}}
	for name, attribute := range map[string][]byte{
		"long and long":  value(numbered("float_data"), numbered("float_data")),
		"long and short": value(numbered("float_data"), short),
		"short and long": value(short, numbered("float_data")),
	} {
		t.Run(name, func(t *testing.T) {
			constant := encodeMessage(t, node("Constant -> c"))
			constant = protowire.AppendBytes(protowire.AppendTag(constant, 5, protowire.BytesType), attribute)
			data := encode(t, small(weight()))
			graph := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), constant)
			data = protowire.AppendBytes(protowire.AppendTag(data, 7, protowire.BytesType), graph)
			want := new(onnxpb.ModelProto)
			if err := proto.Unmarshal(data, want); err != nil {
				t.Fatal(err)
			}
			path := write(t, filepath.Join(t.TempDir(), "model.onnx"), data)
			made := &models.Model{Proto: open(t, path).Proto, Path: path}
			written, err := made.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			got := new(onnxpb.ModelProto)
			if err := proto.Unmarshal(written, got); err != nil || !proto.Equal(got, want) {
				t.Errorf("the model has changed: %v", err)
			}
		})
	}
}

func encodeMessage(t *testing.T, m proto.Message) []byte {
	t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
