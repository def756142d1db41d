package interp_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/externaldata/externaldatatest"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
)

// constant is a Constant node whose value is in the file "data".
func constant(output, offset string, dtype ops.DType) *onnxpb.NodeProto {
	value := &onnxpb.TensorProto{DataType: proto.Int32(int32(dtype)), Dims: []int64{2}}
	externaldatatest.Refer(value, "data", offset, "")
	name, kind := "value", onnxpb.AttributeProto_TENSOR
	return node("Constant", nil, names(output), &onnxpb.AttributeProto{Name: &name, Type: &kind, T: value})
}

func folderWithData(t *testing.T, data []byte) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "data"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	return folder
}

// A function that is called twice has its constant's data both times.
func TestLoadInReadsAttributesOfFunctions(t *testing.T) {
	m := newModel(17, call("Shift", names("x"), names("r")), call("Shift", names("r"), names("y")))
	m.Functions = []*onnxpb.FunctionProto{{
		Name: proto.String("Shift"), Domain: proto.String("test"), Input: names("a"), Output: names("b"),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: proto.Int64(17)}},
		Node:        []*onnxpb.NodeProto{constant("c", "4", ops.Float32), node("Add", names("a", "c"), names("b"))},
	}}
	folder := folderWithData(t, append([]byte("skip"), vector(1, 20).Bytes()...))
	s, err := interp.New().LoadIn(marshal(t, m), folder)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(folder); err != nil { // all has been read
		t.Fatal(err)
	}
	out, err := s.Run(map[string]engine.Tensor{"x": vector(100, 200)})
	if err != nil {
		t.Fatal(err)
	}
	same(t, out["y"], vector(102, 240))
}

// Ranges of a file that overlap would else be a way to any amount of memory.
func TestLoadInBoundsHowOftenAFileIsRead(t *testing.T) {
	folder := folderWithData(t, make([]byte, 12))
	load := func(offsets ...string) error {
		m := newModel(17, node("Identity", names("x"), names("y")))
		for i, offset := range offsets {
			w := &onnxpb.TensorProto{Name: proto.String(fmt.Sprint("w", i)), DataType: proto.Int32(int32(ops.Float32)), Dims: []int64{2}}
			externaldatatest.Refer(w, strings.Repeat("./", i)+"data", offset, "")
			m.Graph.Initializer = append(m.Graph.Initializer, w)
		}
		_, err := interp.New().LoadIn(marshal(t, m), folder)
		return err
	}
	if err := load("0", "1", "2"); err != nil {
		t.Errorf("24 bytes out of 12: %v", err)
	}
	if err := load("0", "1", "2", "3"); err == nil || !strings.Contains(err.Error(), `tensor "w3": file "./././data": the model's tensors overlap`) {
		t.Errorf("32 bytes out of 12: error is %v", err)
	}
}

func TestLoadInSaysWhatIsWrongWithAnAttribute(t *testing.T) {
	for name, test := range map[string]struct {
		node *onnxpb.NodeProto
		says []string
		is   error
	}{
		"cut off":         {constant("y", "8", ops.Float32), []string{`node 0 (Constant): attribute "value": tensor "": file "data"`, "cut off"}, nil},
		"a type not had":  {constant("y", "0", ops.DType(onnxpb.TensorProto_INT4)), []string{`file "data"`, "int4"}, engine.ErrUnsupported},
		"no whole number": {constant("y", "one", ops.Float32), []string{`its offset is "one"`}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := interp.New().LoadIn(marshal(t, newModel(17, test.node)), folderWithData(t, make([]byte, 12)))
			if err == nil {
				t.Fatal("want an error")
			}
			for _, says := range test.says {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("error is %q, want one that says %q", err, says)
				}
			}
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("error is %v, want %v", err, test.is)
			}
		})
	}
}
