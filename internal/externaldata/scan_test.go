package externaldata_test

import (
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/externaldata"
	"github.com/onnxloss/onnxloss/internal/externaldata/externaldatatest"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
)

func encode(t *testing.T, m proto.Message) []byte {
	t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func tensor(name string) *onnxpb.TensorProto {
	return &onnxpb.TensorProto{Name: &name, DataType: proto.Int32(1), Dims: []int64{2}, FloatData: []float32{1, 2}}
}

func outside(name string) *onnxpb.TensorProto {
	t := tensor(name)
	t.FloatData = nil
	externaldatatest.Refer(t, "../"+name, "4", "8")
	return t
}

func graph(tensors ...*onnxpb.TensorProto) *onnxpb.GraphProto {
	return &onnxpb.GraphProto{Initializer: tensors}
}

func TestScanFindsWhatTensorsFinds(t *testing.T) {
	branch := graph(tensor("inner"), outside("branch"))
	branch.Node = []*onnxpb.NodeProto{{Attribute: []*onnxpb.AttributeProto{{T: outside("constant")}, {G: graph(outside("deep"))}}}}
	model := &onnxpb.ModelProto{
		Graph: graph(tensor("here"), outside("there")),
		Functions: []*onnxpb.FunctionProto{{
			Node:           []*onnxpb.NodeProto{{Attribute: []*onnxpb.AttributeProto{{Tensors: []*onnxpb.TensorProto{outside("body")}}}}},
			AttributeProto: []*onnxpb.AttributeProto{{T: outside("default")}},
		}},
	}
	model.Graph.SparseInitializer = []*onnxpb.SparseTensorProto{{Values: outside("values"), Indices: outside("indices")}}
	model.Graph.Node = []*onnxpb.NodeProto{{Attribute: []*onnxpb.AttributeProto{{Graphs: []*onnxpb.GraphProto{branch}}}}}
	got, err := externaldata.Scan(encode(t, model))
	if err != nil {
		t.Fatal(err)
	}
	want := externaldata.Tensors(model)
	if len(want) != 8 || len(got) != len(want) {
		t.Fatalf("found %d and %d tensors, want 8", len(got), len(want))
	}
	for i := range want {
		if !proto.Equal(got[i], want[i]) {
			t.Errorf("found %v, want %v", got[i], want[i])
		}
	}
}

// field is a message as a field of another.
func field(number protowire.Number, message []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), message)
}

// Parts of a message stand for one, so that a location in a second part counts.
func TestScanPutsPartsOfATensorTogether(t *testing.T) {
	one := tensor("split")
	one.DataLocation = onnxpb.TensorProto_EXTERNAL.Enum()
	other := &onnxpb.TensorProto{ExternalData: outside("split").ExternalData}
	const ofModel, ofGraph, ofNode, ofAttribute = 7, 1, 5, 5
	attribute := append(field(ofAttribute, encode(t, one)), field(ofAttribute, encode(t, other))...)
	model := field(ofModel, field(ofGraph, field(ofNode, attribute)))
	tensors, err := externaldata.Scan(model)
	if err != nil || len(tensors) != 1 {
		t.Fatalf("found %v, %v, want one tensor", tensors, err)
	}
	if file, err := externaldata.File(tensors[0]); file != "../split" || err != nil {
		t.Errorf("it is in %q, %v, want ../split", file, err)
	}
	folder, err := externaldata.OpenFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	if err := externaldata.Check(folder, tensors); err == nil {
		t.Error("a location outside of the folder is taken")
	}
}

func TestScanRefusesWhatIsNoModel(t *testing.T) {
	deep := encode(t, outside("deep"))
	for range 100 {
		const ofGraph, ofNode, ofAttribute = 1, 5, 6
		deep = field(ofGraph, field(ofNode, field(ofAttribute, deep)))
	}
	for name, data := range map[string][]byte{
		"text":     []byte("no model"),
		"cut off":  field(7, make([]byte, 10))[:8],
		"too deep": field(7, deep),
	} {
		if tensors, err := externaldata.Scan(data); err == nil {
			t.Errorf("%s: found %v, want an error", name, tensors)
		}
	}
}

// FuzzScan holds Scan, which does not decode numbers, against decoding all.
func FuzzScan(f *testing.F) {
	model := &onnxpb.ModelProto{Graph: graph(tensor("here"), outside("there"))}
	data, err := proto.Marshal(model)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := externaldata.Scan(data)
		var model onnxpb.ModelProto
		if err != nil || proto.Unmarshal(data, &model) != nil {
			return
		}
		want := externaldata.Tensors(&model)
		if len(got) != len(want) {
			t.Fatalf("found %d tensors, want %d", len(got), len(want))
		}
		for i := range want {
			a, _ := externaldata.File(got[i])
			if b, _ := externaldata.File(want[i]); a != b {
				t.Errorf("tensor %d is in %q, want %q", i, a, b)
			}
		}
	})
}
