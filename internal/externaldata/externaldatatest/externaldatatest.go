// Package externaldatatest gives tests models with external data.
package externaldatatest

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// MoveOut moves the data of a model's initializers into files of a folder, one
// after the other: to the first file, the second, and so on, then to the first again.
// Bytes of nothing are in front of each, so that offsets are odd.
func MoveOut(t testing.TB, model *onnxpb.ModelProto, folder string, files ...string) {
	t.Helper()
	for i, tensor := range model.GetGraph().GetInitializer() {
		decoded, err := engine.FromProto(tensor)
		if err != nil {
			t.Fatal(err)
		}
		data, file := decoded.Bytes(), files[i%len(files)]
		offset := add(t, filepath.Join(folder, filepath.FromSlash(file)), data)
		inner := engine.ToProto(tensor.GetName(), decoded)
		Refer(inner, file, strconv.FormatInt(offset, 10), strconv.Itoa(len(data)))
		model.Graph.Initializer[i] = inner
	}
}

// add appends data to a file and says where.
func add(t testing.TB, path string, data []byte) int64 {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	offset := info.Size() + 1 + info.Size()%2
	if _, err := file.WriteAt(data, offset); err != nil {
		t.Fatal(err)
	}
	return offset
}

// Refer makes a tensor's data external. What is empty is not said.
func Refer(tensor *onnxpb.TensorProto, file, offset, length string) {
	tensor.RawData, tensor.DataLocation = nil, onnxpb.TensorProto_EXTERNAL.Enum()
	tensor.ExternalData = nil
	for _, entry := range [][2]string{{"location", file}, {"offset", offset}, {"length", length}} {
		if entry[1] != "" {
			tensor.ExternalData = append(tensor.ExternalData, &onnxpb.StringStringEntryProto{Key: proto.String(entry[0]), Value: proto.String(entry[1])})
		}
	}
}
