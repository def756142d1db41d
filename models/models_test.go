package models_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
)

// small is x * weight + bias -> y, with the weight as the test says.
func small(weight *onnxpb.TensorProto) *onnxpb.ModelProto {
	shape := ops.Shape{ops.Symbolic("N"), ops.Fixed(2)}
	return &onnxpb.ModelProto{
		IrVersion: proto.Int64(3),
		OpsetImport: []*onnxpb.OperatorSetIdProto{
			{Domain: proto.String("com.example"), Version: proto.Int64(2)},
			{Version: proto.Int64(9)},
		},
		Graph: &onnxpb.GraphProto{
			Node: []*onnxpb.NodeProto{
				{OpType: proto.String("Mul"), Input: []string{"x", "weight"}, Output: []string{"1"}},
				{OpType: proto.String("Add"), Input: []string{"1", "bias"}, Output: []string{"y", ""}},
			},
			Initializer: []*onnxpb.TensorProto{weight},
			Input: []*onnxpb.ValueInfoProto{
				ops.ValueInfo("x", ops.Float32, shape),
				ops.ValueInfo("weight", ops.Float32, ops.Shape{ops.Fixed(2)}),
				ops.ValueInfo("bias", ops.Float32, ops.Shape{ops.Fixed(-1), {}}),
			},
			Output: []*onnxpb.ValueInfoProto{ops.ValueInfo("y", ops.Float32, nil)},
		},
	}
}

func weight() *onnxpb.TensorProto {
	return &onnxpb.TensorProto{
		Name: proto.String("weight"), DataType: proto.Int32(int32(ops.Float32)), Dims: []int64{2},
		RawData: []byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0x40},
	}
}

func encode(t *testing.T, model *onnxpb.ModelProto) []byte {
	t.Helper()
	data, err := proto.Marshal(model)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// wantError fails unless err says all of says.
func wantError(t *testing.T, err error, says ...string) {
	t.Helper()
	for _, part := range says {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error is %v, want one that says %q", err, part)
		}
	}
}

func TestInspectDescribesTheTensors(t *testing.T) {
	model, err := models.Parse(encode(t, small(weight())))
	if err != nil {
		t.Fatal(err)
	}
	x := models.Tensor{Name: "x", DType: ops.Float32, Shape: ops.Shape{ops.Symbolic("N"), ops.Fixed(2)}}
	bias := models.Tensor{Name: "bias", DType: ops.Float32, Shape: ops.Shape{{}, {}}}
	y := models.Tensor{Name: "y", DType: ops.Float32}
	if got, want := model.Inputs(), []models.Tensor{x, bias}; !reflect.DeepEqual(got, want) {
		t.Errorf("inputs are %v, want %v", got, want)
	}
	if got, want := model.Outputs(), []models.Tensor{y}; !reflect.DeepEqual(got, want) {
		t.Errorf("outputs are %v, want %v", got, want)
	}
	if got := model.Opset(); got != 9 {
		t.Errorf("opset is %d, want 9", got)
	}
	for _, want := range []models.Tensor{x, bias, y, {Name: "1"}, {Name: "weight", DType: ops.Float32, Shape: ops.Shape{ops.Fixed(2)}}} {
		if got, ok := model.Tensor(want.Name); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("tensor %q is %v, %v; want %v", want.Name, got, ok, want)
		}
	}
	for _, name := range []string{"", "z"} {
		if got, ok := model.Tensor(name); ok {
			t.Errorf("tensor %q is %v, want none", name, got)
		}
	}
}

func TestInspectFindsInitializersThatAreNoInputs(t *testing.T) {
	p := small(weight())
	p.Graph.Input = p.Graph.Input[:1]
	p.Graph.SparseInitializer = []*onnxpb.SparseTensorProto{{
		Values: &onnxpb.TensorProto{Name: proto.String("bias"), DataType: proto.Int32(int32(ops.Float64)), Dims: []int64{1}},
		Dims:   []int64{4, 2},
	}}
	model := &models.Model{Proto: p}
	for name, want := range map[string]string{"weight": "float32 [2]", "bias": "float64 [4,2]"} {
		got, ok := model.Tensor(name)
		if text := got.DType.String() + " " + got.Shape.String(); !ok || text != want {
			t.Errorf("tensor %q is %s, %v; want %s", name, text, ok, want)
		}
	}
}

func TestInspectLeavesOpenWhatIsNoTensor(t *testing.T) {
	p := small(weight())
	p.Graph.Input = []*onnxpb.ValueInfoProto{{Name: proto.String("list"), Type: &onnxpb.TypeProto{
		Value: &onnxpb.TypeProto_SequenceType{SequenceType: &onnxpb.TypeProto_Sequence{}},
	}}}
	p.OpsetImport = p.OpsetImport[:1]
	model := &models.Model{Proto: p}
	if got, want := model.Inputs(), []models.Tensor{{Name: "list", Other: "sequence of ?"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("inputs are %v, want %v", got, want)
	}
	if got := model.Opset(); got != 0 {
		t.Errorf("opset is %d, want 0", got)
	}
}

func TestOpenRefusesWithAReason(t *testing.T) {
	whole := encode(t, small(weight()))
	noGraph, noOpset := small(weight()), small(weight())
	noGraph.Graph, noOpset.OpsetImport = nil, nil
	for name, test := range map[string]struct {
		data []byte
		says string
	}{
		"empty":            {nil, "it is empty"},
		"cut off":          {whole[:len(whole)/2], "cut off"},
		"no graph":         {encode(t, noGraph), "no graph"},
		"no opset import":  {encode(t, noOpset), "no opset import"},
		"text":             {[]byte("hello, world\n"), "not an ONNX model"},
		"a torch.save":     {[]byte("PK\x03\x04\x00\x00\x08\x08data.pkl"), "torch.onnx.export"},
		"an old torch":     {[]byte("\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."), "a Python pickle"},
		"a pickle":         {[]byte("\x80\x04\x95\x10\x00\x00\x00"), "a Python pickle"},
		"a NumPy array":    {[]byte("\x93NUMPY\x01\x00v\x00{'descr'"), "a NumPy array"},
		"safetensors":      {[]byte("\x08\x00\x00\x00\x00\x00\x00\x00{\"a\":{}}"), "safetensors"},
		"a Git LFS file":   {[]byte("version https://git-lfs.github.com/spec/v1\noid"), "git lfs pull"},
		"a web page":       {[]byte("<!DOCTYPE html><html>"), "a web page"},
		"JSON":             {[]byte(`{"graph": {}}`), "JSON"},
		"a gzip archive":   {[]byte("\x1f\x8b\x08\x00"), "gzip"},
		"HDF5":             {[]byte("\x89HDF\r\n\x1a\n"), "HDF5"},
		"TensorFlow Lite":  {[]byte("\x1c\x00\x00\x00TFL3\x14\x00"), "TensorFlow Lite"},
		"the ORT format":   {[]byte("\x1c\x00\x00\x00ORTM\x14\x00"), "ONNX Runtime's own format"},
		"GGUF":             {[]byte("GGUF\x03\x00\x00\x00"), "GGUF"},
		"protobuf as text": {[]byte("ir_version: 8\n"), "text format"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := models.Parse(test.data)
			wantError(t, err, "models: ", test.says)
			path := write(t, filepath.Join(t.TempDir(), "file"), test.data)
			_, err = models.Open(path)
			wantError(t, err, "models: ", test.says, path)
		})
	}
}

func TestOpenSaysWhatThePathIs(t *testing.T) {
	dir := t.TempDir()
	_, err := models.Open(dir)
	wantError(t, err, dir, "it is a directory")
	_, err = models.Open(filepath.Join(dir, "none.onnx"))
	wantError(t, err, "none.onnx", "no such file")
	huge, err := os.Create(filepath.Join(dir, "huge.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(huge.Truncate(1<<31), huge.Close()); err != nil {
		t.Skip("no sparse files here: ", err)
	}
	_, err = models.Open(huge.Name())
	wantError(t, err, "huge.onnx", "2147483648 bytes")
}

func TestSaveThenOpenGivesTheSameModel(t *testing.T) {
	p := small(weight())
	p.ProtoReflect().SetUnknown([]byte{0xa2, 0x01, 0x02, 'h', 'i'}) // field 20, training_info, which is not declared
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := (&models.Model{Proto: p}).Save(path); err != nil {
		t.Fatal(err)
	}
	model, err := models.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if model.Path != path || !proto.Equal(model.Proto, p) {
		t.Errorf("opened %q:\n%v\nwant\n%v", model.Path, model.Proto, p)
	}
}

func TestSaveNamesAPathItCannotWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "model.onnx")
	err := (&models.Model{Proto: small(weight())}).Save(path)
	wantError(t, err, "models: save", path, "no such file")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v does not wrap fs.ErrNotExist", err)
	}
}

func TestBytesAreTheSameEachTime(t *testing.T) {
	model := &models.Model{Proto: small(weight())}
	first, err := model.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	second, err := model.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) || len(first) == 0 {
		t.Errorf("got %d bytes, then %d others", len(first), len(second))
	}
}

func FuzzParse(f *testing.F) {
	for _, p := range []*onnxpb.ModelProto{small(weight()), small(apart("data", "0", "8"))} {
		data, err := proto.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)-5])
	}
	f.Add([]byte("PK\x03\x04"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		model, err := models.Parse(data)
		if err != nil {
			return
		}
		for _, tensor := range append(model.Inputs(), model.Outputs()...) {
			if _, ok := model.Tensor(tensor.Name); !ok && tensor.Name != "" {
				t.Fatalf("tensor %q is listed and not found", tensor.Name)
			}
		}
		encoded, err := model.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if got := model.Summary().Bytes; got != int64(len(encoded)) {
			t.Fatalf("%d bytes are counted as %d", len(encoded), got)
		}
		again, err := models.Parse(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(again.Inputs(), model.Inputs()) || again.Opset() != model.Opset() {
			t.Fatalf("inputs became %v, were %v", again.Inputs(), model.Inputs())
		}
		// The folder is empty, so what is there to load cannot be loaded.
		model.Path = filepath.Join(dir, "model.onnx")
		if model.LoadExternal() != nil {
			return
		}
		loaded, err := model.Bytes()
		if err != nil || !bytes.Equal(loaded, encoded) {
			t.Fatalf("loading nothing changed the model: %v", err)
		}
	})
}

// Whatever a file says, taking networks apart and putting them together ends, without
// a panic, in an error or a model that can be saved.
func FuzzSurgery(f *testing.F) {
	sparse := small(weight())
	sparse.Graph.SparseInitializer = []*onnxpb.SparseTensorProto{{}, {Values: weight()}}
	for _, p := range []*onnxpb.ModelProto{small(weight()), small(apart("data", "0", "8")), choice(), withFunctions(), sparse} {
		data, err := proto.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		model, err := models.Parse(data)
		if err != nil {
			return
		}
		before := proto.CloneOf(model.Proto)
		layers, err := model.Layers()
		if err != nil {
			return
		}
		for _, l := range layers {
			part, err := model.Cut(l.Name)
			if err != nil {
				continue
			}
			both, err := models.Twin(part, "a", "b")
			if err != nil {
				continue
			}
			input := both.Inputs()[0].Name
			if joint, _, err := models.Join(model, both, map[string]string{input: l.Name}); err == nil {
				if _, err := joint.Bytes(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !proto.Equal(model.Proto, before) {
			t.Fatal("the model has changed")
		}
	})
}
