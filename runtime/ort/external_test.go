//go:build cgo

package ort_test

import (
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/externaldata/externaldatatest"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/ort"
)

// ONNX Runtime marks data that it holds in memory by a location of this form, whose
// offset is an address. A model must not bring one along, also where there is a file
// of that name.
func TestLoadInRefusesAddressesOfMemory(t *testing.T) {
	const location = "*/_ORT_MEM_ADDR_/*"
	folder := t.TempDir()
	path := filepath.Join(folder, filepath.FromSlash(location))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Skip("no such names here: ", err)
	}
	if err := os.WriteFile(path, make([]byte, 1<<16), 0o644); err != nil {
		t.Skip("no such names here: ", err)
	}
	w := &onnxpb.TensorProto{Name: proto.String("w"), DataType: proto.Int32(int32(ops.Float32)), Dims: []int64{1024}}
	externaldatatest.Refer(w, location, "4096", "4096")
	m := new(onnxpb.ModelProto)
	plain := model(t, 17, []*onnxpb.ValueInfoProto{value("x", ops.Float32)}, []*onnxpb.ValueInfoProto{value("y", ops.Float32)}, node("Add", []string{"x", "w"}, []string{"y"}))
	if err := proto.Unmarshal(plain, m); err != nil {
		t.Fatal(err)
	}
	m.Graph.Initializer = []*onnxpb.TensorProto{w}
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	session, err := newEngine(t, ort.Options{}).LoadIn(data, folder)
	if err == nil {
		t.Fatal(session.Close(), "want an error")
	}
	mustSay(t, err, "ort: load: ", "'w'", "address")
}
