package models_test

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
)

// stocked has something of all that a summary counts: an If whose branches have a
// quantized node and a function's call, weights of several types, and a file beside it.
func stocked() *onnxpb.ModelProto {
	branch := func(op, domain string) *onnxpb.GraphProto {
		n := node(op + " x -> b")
		n.Domain = proto.String(domain)
		return &onnxpb.GraphProto{Node: []*onnxpb.NodeProto{n}, Initializer: []*onnxpb.TensorProto{initializer("inner", []int{3}, int64(1), 2, 3)}}
	}
	choice := node("If c -> y", graphAttribute("then_branch", branch("QuantizeLinear", "")), graphAttribute("else_branch", branch("Mine", "mine")))
	choice.Name = proto.String("choice")
	p := network(node("Relu x -> r"), node("Relu r -> c"), choice)
	p.ProducerName, p.ProducerVersion = proto.String("pytorch"), proto.String("2.5")
	p.OpsetImport = append(p.OpsetImport, &onnxpb.OperatorSetIdProto{Domain: proto.String("mine"), Version: proto.Int64(3)})
	p.Functions = []*onnxpb.FunctionProto{{
		Domain: proto.String("mine"), Name: proto.String("Mine"), Input: []string{"a"}, Output: []string{"b"},
		Node: []*onnxpb.NodeProto{node("Relu a -> t"), node("Relu t -> b")},
	}}
	nibbles := &onnxpb.TensorProto{Name: proto.String("nibbles"), DataType: proto.Int32(int32(onnxpb.TensorProto_INT4)), Dims: []int64{3, 3}, RawData: make([]byte, 5)}
	words := &onnxpb.TensorProto{Name: proto.String("words"), DataType: proto.Int32(int32(ops.String)), Dims: []int64{2}, StringData: [][]byte{[]byte("one"), []byte("four")}}
	p.Graph.Initializer = []*onnxpb.TensorProto{weight(), apart("side.bin", "0", "8"), nibbles, words}
	p.Graph.Initializer[1].Name = proto.String("beside")
	p.Graph.Input = append(p.Graph.Input, ops.ValueInfo("weight", ops.Float32, shape2()))
	p.Graph.SparseInitializer = []*onnxpb.SparseTensorProto{{Values: initializer("sparse", []int{1}, float32(1)), Indices: initializer("", []int{1}, int64(4)), Dims: []int64{9}}}
	return p
}

func shape2() ops.Shape { return ops.Shape{ops.Fixed(2)} }

func TestSummaryCountsWhatAModelConsistsOf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.onnx")
	data := encode(t, stocked())
	write(t, path, data)
	write(t, filepath.Join(filepath.Dir(path), "side.bin"), make([]byte, 8))
	got := open(t, path).Summary()
	quantize := models.OperatorCount{Operator: "QuantizeLinear", Nodes: 1}
	want := models.Summary{
		Bytes: int64(len(data)), IR: 8, Producer: "pytorch", ProducerVersion: "2.5",
		Opsets: []models.OpsetImport{{Version: 17}, {Domain: "mine", Version: 3}},
		Nodes:  3,
		Operators: []models.OperatorCount{
			{Operator: "Relu", Nodes: 4},
			{Operator: "If", Nodes: 1},
			quantize,
			{Domain: "mine", Operator: "Mine", Nodes: 1},
		},
		Quantization: []models.OperatorCount{quantize},
		Subgraphs: []models.Subgraph{
			{Node: "choice", Operator: "If", Attribute: "then_branch", Nodes: 1},
			{Node: "choice", Operator: "If", Attribute: "else_branch", Nodes: 1},
		},
		Functions: []models.Function{{Domain: "mine", Name: "Mine", Nodes: 2, Calls: 1}},
		Defaults:  []string{"weight"},
		Types: []models.TypeCount{
			{ops.Int64, models.TensorCount{Tensors: 3, Elements: 7, Bytes: 56}},
			{ops.Float32, models.TensorCount{Tensors: 3, Elements: 5, Bytes: 20}},
			{ops.String, models.TensorCount{Tensors: 1, Elements: 2, Bytes: 7}},
			{ops.DType(onnxpb.TensorProto_INT4), models.TensorCount{Tensors: 1, Elements: 9, Bytes: 5}},
		},
		Files: []models.FileCount{
			{TensorCount: models.TensorCount{Tensors: 7, Elements: 21, Bytes: 80}},
			{Location: "side.bin", TensorCount: models.TensorCount{Tensors: 1, Elements: 2, Bytes: 8}},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

func TestSummaryCountsWeightsThatStayInTheFile(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "heavy.onnx"), encode(t, heavy()))
	fromFile, inMemory := open(t, path).Summary(), (&models.Model{Proto: heavy()}).Summary()
	if len(fromFile.Files) != 1 || fromFile.Files[0].Problem != nil || fromFile.Files[0].Elements < 10*long {
		t.Errorf("the files are %+v", fromFile.Files)
	}
	fromFile.Bytes = 0
	if !reflect.DeepEqual(fromFile, inMemory) {
		t.Errorf("got\n%+v\nwant\n%+v", fromFile, inMemory)
	}
}

func TestSummarySaysWhyNumbersCannotBeHad(t *testing.T) {
	huge := weight()
	huge.Dims = []int64{1 << 40, 1 << 40}
	negative := weight()
	negative.Dims = []int64{-2}
	for name, test := range map[string]struct {
		tensor        *onnxpb.TensorProto
		location, why string
	}{
		"a missing file":        {apart("none.bin", "0", "8"), "none.bin", "no such file"},
		"a file that is short":  {apart("side.bin", "4", "8"), "side.bin", "cut off"},
		"a file elsewhere":      {apart("../side.bin", "0", "8"), "../side.bin", "outside of the model's folder"},
		"no file's name":        {apart("", "0", "8"), "", "does not say in which file"},
		"an impossible shape":   {huge, "", "not one that a tensor can have"},
		"a negative size":       {negative, "", "not one that a tensor can have"},
		"an offset of no sense": {apart("side.bin", "x", "8"), "side.bin", "not a number of bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "side.bin"), make([]byte, 8))
			files := open(t, write(t, filepath.Join(dir, "model.onnx"), encode(t, small(test.tensor)))).Summary().Files
			if len(files) != 1 || files[0].Location != test.location || files[0].Tensors != 1 {
				t.Fatalf("the files are %+v", files)
			}
			wantError(t, files[0].Problem, `tensor "weight"`, test.why)
		})
	}
}

func TestSummaryDoesNotReadExternalData(t *testing.T) {
	dir := t.TempDir()
	side, err := os.Create(filepath.Join(dir, "side.bin"))
	if err != nil {
		t.Fatal(err)
	}
	const size = 1 << 40 // of holes
	if err := side.Truncate(size); err != nil {
		t.Skip("no sparse files here: ", err)
	}
	defer side.Close()
	tensor := apart("side.bin", "0", "1099511627776")
	tensor.Dims = []int64{1 << 38}
	files := open(t, write(t, filepath.Join(dir, "model.onnx"), encode(t, small(tensor)))).Summary().Files
	if len(files) != 1 || files[0].Bytes != size || files[0].Problem != nil {
		t.Errorf("the files are %+v", files)
	}
}

func TestTensorsThatAreNoneSayWhatTheyAre(t *testing.T) {
	tensor := func(d ops.DType) *onnxpb.TypeProto { return ops.ValueInfo("", d, shape2()).Type }
	sequence := func(of *onnxpb.TypeProto) *onnxpb.TypeProto {
		return &onnxpb.TypeProto{Value: &onnxpb.TypeProto_SequenceType{SequenceType: &onnxpb.TypeProto_Sequence{ElemType: of}}}
	}
	dictionary := &onnxpb.TypeProto{Value: &onnxpb.TypeProto_MapType{MapType: &onnxpb.TypeProto_Map{
		KeyType: proto.Int32(int32(ops.Int64)), ValueType: tensor(ops.Float32),
	}}}
	perhaps := &onnxpb.TypeProto{Value: &onnxpb.TypeProto_OptionalType{OptionalType: &onnxpb.TypeProto_Optional{ElemType: tensor(ops.Float64)}}}
	sparse := &onnxpb.TypeProto{Value: &onnxpb.TypeProto_SparseTensorType{SparseTensorType: &onnxpb.TypeProto_SparseTensor{ElemType: proto.Int32(1)}}}
	p := network(node("Relu x -> y"))
	p.Graph.Output = nil
	wants := []struct {
		kind *onnxpb.TypeProto
		text string
	}{
		{tensor(ops.Float32), "float32[2]"},
		{sequence(tensor(ops.Int64)), "sequence of int64[2]"},
		{sequence(dictionary), "sequence of map from int64 to float32[2]"},
		{perhaps, "optional float64[2]"},
		{sparse, "sparse float32[...]"},
		{sequence(nil), "sequence of ?"},
		{nil, "?"},
	}
	for _, want := range wants {
		p.Graph.Output = append(p.Graph.Output, &onnxpb.ValueInfoProto{Name: proto.String(want.text), Type: want.kind})
	}
	got := (&models.Model{Proto: p}).Outputs()
	if len(got) != len(wants) {
		t.Fatalf("got %v", got)
	}
	for i, out := range got {
		if out.Type() != wants[i].text {
			t.Errorf("got %q, %+v; want %q", out.Type(), out, wants[i].text)
		}
	}
}
