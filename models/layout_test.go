package models_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

const long = 3000 // numbers: enough to stay in the file

// numbered is a tensor whose numbers are written in one of a tensor's fields.
func numbered(kind string) *onnxpb.TensorProto {
	t := &onnxpb.TensorProto{Name: proto.String(kind), Dims: []int64{long}, DocString: proto.String("a doc string")}
	set := func(d ops.DType) { t.DataType = proto.Int32(int32(d)) }
	for i := range long {
		switch kind {
		case "float_data":
			set(ops.Float32)
			t.FloatData = append(t.FloatData, float32(i)/7)
		case "int32_data":
			set(ops.Float16)
			t.Int32Data = append(t.Int32Data, int32(i))
		case "int64_data":
			set(ops.Int64)
			t.Int64Data = append(t.Int64Data, int64(-i))
		case "double_data":
			set(ops.Float64)
			t.DoubleData = append(t.DoubleData, math.Sqrt(float64(i)))
		case "uint64_data":
			set(ops.Uint64)
			t.Uint64Data = append(t.Uint64Data, math.MaxUint64-uint64(i))
		case "raw_data":
			set(ops.Float32)
			t.RawData = append(t.RawData, 0, 0, byte(i), 0x40)
		case "string_data":
			set(ops.String)
			t.StringData = append(t.StringData, fmt.Append(nil, "word ", i))
		}
	}
	return t
}

var kinds = []string{"float_data", "int32_data", "int64_data", "double_data", "uint64_data", "raw_data", "string_data"}

// heavy is a model with long tensors of all kinds, wherever a model can have them.
func heavy() *onnxpb.ModelProto {
	p := small(weight())
	for _, kind := range kinds {
		p.Graph.Initializer = append(p.Graph.Initializer, numbered(kind))
		inner := numbered(kind)
		inner.Name = proto.String("inner " + kind)
		constant := &onnxpb.NodeProto{OpType: proto.String("Constant"), Output: []string{"constant " + kind}, Attribute: []*onnxpb.AttributeProto{
			{Name: proto.String("value"), Type: onnxpb.AttributeProto_TENSOR.Enum(), T: inner},
			{Name: proto.String("branch"), Type: onnxpb.AttributeProto_GRAPH.Enum(), G: &onnxpb.GraphProto{Initializer: []*onnxpb.TensorProto{numbered(kind)}}},
		}}
		p.Graph.Node = append(p.Graph.Node, constant)
		p.Functions = append(p.Functions, &onnxpb.FunctionProto{Name: proto.String(kind), Node: []*onnxpb.NodeProto{constant}})
	}
	p.Graph.SparseInitializer = []*onnxpb.SparseTensorProto{{Values: numbered("raw_data"), Indices: numbered("int64_data"), Dims: []int64{1 << 20}}}
	p.Graph.DocString = proto.String(strings.Repeat("doc ", 2000))
	p.ProtoReflect().SetUnknown([]byte{0xa2, 0x01, 0x02, 'h', 'i'})
	return p
}

func TestOpenLeavesLongNumbersInTheFile(t *testing.T) {
	want := heavy()
	data := encode(t, want)
	path := write(t, filepath.Join(t.TempDir(), "model.onnx"), data)
	model := open(t, path)
	if size := proto.Size(model.Proto); size > len(data)/2 {
		t.Errorf("%d of %d bytes are in memory", size, len(data))
	}
	for _, w := range want.Graph.Initializer {
		tensor, ok := model.Tensor(w.GetName())
		if !ok || tensor.DType != ops.DType(w.GetDataType()) || len(tensor.Shape) != 1 {
			t.Errorf("tensor %q is %v, want type and shape", w.GetName(), tensor)
		}
	}
	written, err := model.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(written, data) {
		t.Error("the bytes have changed")
	}
}

// A model that is made of one that was opened has the numbers again.
func TestNumbersComeBackWhereTheyAreNeeded(t *testing.T) {
	want := heavy()
	path := write(t, filepath.Join(t.TempDir(), "model.onnx"), encode(t, want))
	made := &models.Model{Proto: open(t, path).Proto, Path: path}
	data, err := made.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	got := new(onnxpb.ModelProto)
	if err := proto.Unmarshal(data, got); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(got, want) {
		t.Error("the model has changed")
	}
	if err := made.LoadExternal(); err != nil || !proto.Equal(made.Proto, want) {
		t.Errorf("loaded, the model has changed: %v", err)
	}
}

func TestTensorsInSeveralPartsAreReadWhole(t *testing.T) {
	want := numbered("float_data")
	encoded, err := proto.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	further := protowire.AppendTag(nil, 4, protowire.BytesType)
	further = protowire.AppendBytes(further, []byte{0, 0, 0x80, 0x3f})
	tensor := append(encoded, further...)
	graph := protowire.AppendTag(nil, 5, protowire.BytesType)
	graph = protowire.AppendBytes(graph, tensor)
	data := encode(t, small(weight()))
	data = protowire.AppendTag(data, 7, protowire.BytesType) // a second part of the graph
	data = protowire.AppendBytes(data, graph)
	model := open(t, write(t, filepath.Join(t.TempDir(), "model.onnx"), data))
	list := model.Proto.Graph.Initializer
	if len(list) != 2 || len(list[1].FloatData) != long+1 || list[1].FloatData[long] != 1 {
		t.Fatalf("the tensor is not whole: %d initializers", len(list))
	}
	written, err := model.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	whole, again := new(onnxpb.ModelProto), new(onnxpb.ModelProto)
	if err := proto.Unmarshal(data, whole); err != nil {
		t.Fatal(err)
	}
	if err := proto.Unmarshal(written, again); err != nil || !proto.Equal(whole, again) {
		t.Errorf("written, the model has changed: %v", err)
	}
}

func TestAFileThatHasChangedIsNotReadAgain(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "model.onnx"), encode(t, heavy()))
	model := open(t, path)
	write(t, path, encode(t, small(weight())))
	_, err := model.Bytes()
	wantError(t, err, "models: serialise: ", path, "has changed since it was read; open it again")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err = model.Bytes()
	wantError(t, err, path, "no such file")
}

// Whatever is edited, the bytes that are written say what the message in memory says.
func TestEditedModelsAreWrittenAsTheyAre(t *testing.T) {
	node := &onnxpb.NodeProto{OpType: proto.String("Neg"), Input: []string{"y"}, Output: []string{"z"}}
	info := ops.ValueInfo("z", ops.Float32, nil)
	for name, change := range map[string]func(*models.Edit){
		"nothing":         func(*models.Edit) {},
		"nodes":           func(e *models.Edit) { e.AddNodes(node, node) },
		"inputs, outputs": func(e *models.Edit) { e.AddInputs(info); e.AddOutputs(info); e.AddValueInfo(info) },
		"functions":       func(e *models.Edit) { e.AddFunctions(&onnxpb.FunctionProto{Name: proto.String("f")}) },
		"metadata":        func(e *models.Edit) { e.AddMetadata("key", "value") },
		"a new opset":     func(e *models.Edit) { e.SetOpset("new", 3) },
		"a raised opset":  func(e *models.Edit) { e.SetOpset("", 13) },
		"ir version":      func(e *models.Edit) { e.SetIR(9) },
		"no ir version":   func(e *models.Edit) { e.SetIR(0) },
		"ir back again":   func(e *models.Edit) { e.SetIR(0); e.SetIR(4) },
		"kept": func(e *models.Edit) {
			e.AddNodes(node)
			last := e.Len(models.Nodes) - 1
			e.Keep(models.Nodes, func(i int) bool { return i != 0 && i != last })
			e.Keep(models.Initializers, func(i int) bool { return i != 2 })
			e.Keep(models.Opsets, func(i int) bool { return i > 0 })
			e.Keep(models.Functions, func(int) bool { return true })
		},
		"hidden outputs": func(e *models.Edit) { e.HideOutputs(); e.AddOutputs(info) },
		"outputs shown elsewhere": func(e *models.Edit) {
			e.AddOutputs(info, info)
			e.HideOutputs()
			e.ShowOutputs(3, []int{5, 0})
		},
		"shown outputs": func(e *models.Edit) { e.ShowOutputs(1, e.HideOutputs()) },
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, filepath.Join(t.TempDir(), "model.onnx"), encode(t, heavy()))
			original := open(t, path)
			before := proto.CloneOf(original.Proto)
			edit := original.Edit()
			change(edit)
			edited, err := edit.Model()
			if err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(original.Proto, before) {
				t.Error("the original has changed")
			}
			saved := filepath.Join(t.TempDir(), "model.onnx")
			if err := edited.Save(saved); err != nil {
				t.Fatal(err)
			}
			if err := edited.LoadExternal(); err != nil {
				t.Fatal(err)
			}
			got, want := open(t, saved), &models.Model{Proto: edited.Proto, Path: path}
			for _, m := range []*models.Model{got, want} {
				whole := &models.Model{Proto: m.Proto, Path: m.Path}
				if err := whole.LoadExternal(); err != nil {
					t.Fatal(err)
				}
				m.Proto = whole.Proto
			}
			if !proto.Equal(got.Proto, want.Proto) {
				t.Errorf("the file has\n%.2000v\nwant\n%.2000v", got.Proto, want.Proto)
			}
		})
	}
}

func TestWithInitializersReplacesNumbers(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "model.onnx"), encode(t, heavy()))
	other := ramp([]int{long}, 1, 0.5)
	changed, err := open(t, path).WithInitializers(map[string]engine.Tensor{"float_data": other})
	if err != nil {
		t.Fatal(err)
	}
	data, err := changed.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	got := new(onnxpb.ModelProto)
	if err := proto.Unmarshal(data, got); err != nil {
		t.Fatal(err)
	}
	for i, w := range heavy().Graph.Initializer {
		now := got.Graph.Initializer[i]
		if w.GetName() == "float_data" {
			w = engine.ToProto("float_data", other)
			w.DocString = proto.String("a doc string")
		}
		if !proto.Equal(now, w) {
			t.Errorf("initializer %q has changed", w.GetName())
		}
	}
	for says, tensors := range map[string]map[string]engine.Tensor{
		`models: initializer "none": there is none of this name`: {"none": other},
		"float32[3000], and what is to replace it float32[2]":    {"float_data": ramp([]int{2}, 0, 1)},
	} {
		_, err := open(t, path).WithInitializers(tensors)
		wantError(t, err, says)
	}
}

// Whatever a file's bytes are, reading it without its numbers agrees with reading
// all of it.
func FuzzOpen(f *testing.F) {
	for _, p := range []*onnxpb.ModelProto{small(weight()), heavy(), choice(), withFunctions()} {
		data, err := proto.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	path := filepath.Join(f.TempDir(), "model.onnx")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		model, err := models.Open(path)
		whole, wholeErr := models.Parse(data)
		if err != nil && wholeErr == nil {
			t.Fatalf("opened: %v", err)
		}
		if wholeErr != nil { // numbers that are broken are not looked at
			return
		}
		written, err := model.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		again, err := whole.Bytes()
		if err != nil || !bytes.Equal(written, again) {
			t.Fatalf("opened and parsed, the bytes differ: %v", err)
		}
		if !reflect.DeepEqual(model.Inputs(), whole.Inputs()) || !reflect.DeepEqual(model.Outputs(), whole.Outputs()) {
			t.Fatal("opened and parsed, inputs or outputs differ")
		}
		parsed, message := new(onnxpb.ModelProto), new(onnxpb.ModelProto)
		if err := proto.Unmarshal(data, message); err != nil {
			t.Fatal(err)
		}
		if err := proto.Unmarshal(written, parsed); err != nil || !proto.Equal(parsed, message) {
			t.Fatalf("written, the model has changed: %v", err)
		}
	})
}

func TestEditRefusesToShowWhatIsNotHidden(t *testing.T) {
	model, err := models.Parse(encode(t, small(weight())))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{-1, 1000} {
		edit := model.Edit()
		edit.ShowOutputs(n, nil)
		if _, err := edit.Model(); err == nil || !strings.Contains(err.Error(), "among") {
			t.Errorf("%d outputs: %v", n, err)
		}
	}
}
