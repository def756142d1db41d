package models_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
)

// apart is the weight with its data in another file. An empty text leaves the
// entry out.
func apart(location, offset, length string) *onnxpb.TensorProto {
	t := weight()
	t.RawData = nil
	t.DataLocation = onnxpb.TensorProto_EXTERNAL.Enum()
	for _, entry := range [][2]string{{"location", location}, {"offset", offset}, {"length", length}} {
		if entry[1] != "" {
			t.ExternalData = append(t.ExternalData, &onnxpb.StringStringEntryProto{Key: &entry[0], Value: &entry[1]})
		}
	}
	return t
}

// folder makes a folder with the model, and with the weight's bytes from byte 4
// on in data and, below it, sub/data.
func folder(t *testing.T, model *onnxpb.ModelProto) *models.Model {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	data := append([]byte("skip"), weight().RawData...)
	write(t, filepath.Join(dir, "data"), data)
	write(t, filepath.Join(dir, "sub", "data"), data)
	m, err := models.Open(write(t, filepath.Join(dir, "model.onnx"), encode(t, model)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestLoadExternalReadsWhereTheModelSays(t *testing.T) {
	for name, tensor := range map[string]*onnxpb.TensorProto{
		"offset and length": apart("data", "4", "8"),
		"no length":         apart("data", "4", ""),
		"in a subfolder":    apart("sub/data", "4", "8"),
		"a roundabout path": apart("./sub/../data", "4", "8"),
	} {
		t.Run(name, func(t *testing.T) {
			model := folder(t, small(tensor))
			if err := model.LoadExternal(); err != nil {
				t.Fatal(err)
			}
			if want := small(weight()); !proto.Equal(model.Proto, want) {
				t.Errorf("model is %v, want %v", model.Proto, want)
			}
		})
	}
}

func TestLoadExternalTakesTheRestOfTheFileForTypesOfNoWholeBytes(t *testing.T) {
	tensor := apart("data", "5", "")
	tensor.DataType = proto.Int32(int32(onnxpb.TensorProto_INT4))
	model := folder(t, small(tensor))
	if err := model.LoadExternal(); err != nil {
		t.Fatal(err)
	}
	if got, want := model.Proto.Graph.Initializer[0].RawData, weight().RawData[1:]; !bytes.Equal(got, want) {
		t.Errorf("data are % x, want % x", got, want)
	}
}

func TestLoadExternalFindsEveryTensor(t *testing.T) {
	tensor := func() *onnxpb.TensorProto { return apart("data", "4", "8") }
	sparse := func() *onnxpb.SparseTensorProto {
		return &onnxpb.SparseTensorProto{Values: tensor(), Indices: tensor()}
	}
	attributes := func() []*onnxpb.AttributeProto {
		return []*onnxpb.AttributeProto{
			{T: tensor()},
			{Tensors: []*onnxpb.TensorProto{tensor()}},
			{SparseTensor: sparse()},
			{SparseTensors: []*onnxpb.SparseTensorProto{sparse()}},
		}
	}
	p := small(tensor())
	p.Graph.SparseInitializer = []*onnxpb.SparseTensorProto{sparse()}
	branch := &onnxpb.GraphProto{Initializer: []*onnxpb.TensorProto{tensor()}, Node: []*onnxpb.NodeProto{{Attribute: attributes()}}}
	p.Graph.Node = append(p.Graph.Node, &onnxpb.NodeProto{Attribute: append(attributes(),
		&onnxpb.AttributeProto{G: branch}, &onnxpb.AttributeProto{Graphs: []*onnxpb.GraphProto{proto.CloneOf(branch)}})})
	p.Functions = []*onnxpb.FunctionProto{{Node: []*onnxpb.NodeProto{{Attribute: attributes()}}, AttributeProto: attributes()}}

	model := folder(t, p)
	if err := model.LoadExternal(); err != nil {
		t.Fatal(err)
	}
	encoded := encode(t, model.Proto)
	if bytes.Contains(encoded, []byte("location")) {
		t.Error("some tensors still have their data elsewhere")
	}
	// An initializer in the graph and in each of 2 branches, 2 of a sparse one,
	// and 6 tensors in each of 5 lists of attributes.
	if got := bytes.Count(encoded, weight().RawData); got != 3+2+5*6 {
		t.Errorf("%d tensors have their data, want %d", got, 3+2+5*6)
	}
}

func TestLoadExternalRefusesWithAReason(t *testing.T) {
	otherShape := apart("data", "4", "8")
	otherShape.Dims = []int64{3}
	overflow := apart("data", "4", "")
	overflow.Dims = []int64{1 << 40, 1 << 40}
	negative := apart("data", "4", "")
	negative.Dims = []int64{-1}
	strings := apart("data", "4", "8")
	strings.DataType = proto.Int32(int32(ops.String))
	large := apart("data", "4", "")
	large.Dims = []int64{1 << 40}
	for name, test := range map[string]struct {
		tensor *onnxpb.TensorProto
		says   []string
	}{
		"no such file":           {apart("none", "", ""), []string{`"none"`, "no such file"}},
		"no location":            {apart("", "4", "8"), []string{"does not say in which file"}},
		"outside":                {apart("../data", "4", "8"), []string{`"../data"`, "outside"}},
		"outside by a detour":    {apart("sub/../../data", "4", "8"), []string{"outside"}},
		"an absolute path":       {apart("/etc/passwd", "", ""), []string{`"/etc/passwd"`, "outside"}},
		"a folder":               {apart("sub", "", ""), []string{"not an ordinary file"}},
		"a link that leads out":  {apart("link", "", ""), []string{`"link"`, "escapes"}},
		"starts after the end":   {apart("data", "13", "8"), []string{"start at byte 13, the file has 12"}},
		"ends after the end":     {apart("data", "5", "8"), []string{"8 bytes from byte 5 on, the file has 12"}},
		"claims a lot":           {large, []string{"4398046511104 bytes", "cut off"}},
		"another shape":          {otherShape, []string{"float32[3] needs 12 bytes", "are 8"}},
		"a shape that overflows": {overflow, []string{"shape"}},
		"a negative size":        {negative, []string{"shape [-1]"}},
		"a negative offset":      {apart("data", "-4", "8"), []string{"offset", `"-4"`}},
		"a length in words":      {apart("data", "4", "eight"), []string{"length", `"eight"`}},
		"strings":                {strings, []string{"strings"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := small(apart("data", "4", "8"))
			p.Graph.Initializer[0].Name = proto.String("first")
			p.Graph.Initializer = append(p.Graph.Initializer, test.tensor)
			model := folder(t, p)
			dir := filepath.Dir(model.Path)
			secret := write(t, filepath.Join(t.TempDir(), "secret"), make([]byte, 8))
			if err := os.Symlink(secret, filepath.Join(dir, "link")); err != nil {
				t.Skip("no symbolic links here: ", err)
			}
			wantError(t, model.LoadExternal(), append(test.says, "models: external data", `tensor "weight"`)...)
			if !proto.Equal(model.Proto, p) {
				t.Error("the model has changed")
			}
			target := filepath.Join(t.TempDir(), "copy.onnx")
			wantError(t, model.Save(target), append(test.says, target, `tensor "weight"`)...)
			if _, err := os.Stat(target); err == nil {
				t.Error("a copy was saved without its data")
			}
		})
	}
}

func TestLoadExternalNeedsAFolder(t *testing.T) {
	model, err := models.Parse(encode(t, small(apart("data", "4", "8"))))
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, model.LoadExternal(), `tensor "weight"`, "use Open")
	wantError(t, model.Save(filepath.Join(t.TempDir(), "model.onnx")), `tensor "weight"`, "use Open")
}

func TestLoadExternalLeavesAModelThatNeedsNone(t *testing.T) {
	model := &models.Model{Proto: small(weight())}
	if err := model.LoadExternal(); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(model.Proto, small(weight())) {
		t.Errorf("model became %v", model.Proto)
	}
}

func TestLoadExternalRefusesAModelThatWouldBeTooLong(t *testing.T) {
	dir := t.TempDir()
	data, err := os.Create(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	if err := data.Truncate(1 << 32); err != nil {
		t.Skip("no sparse files here: ", err)
	}
	tensor := apart("data", "", "")
	tensor.Dims = []int64{1 << 30}
	model := &models.Model{Proto: small(tensor), Path: filepath.Join(dir, "model.onnx")}
	wantError(t, model.LoadExternal(), `tensor "weight"`, `"data"`, "2147483647 bytes")
}

func TestSaveKeepsReferencesInTheSameFolder(t *testing.T) {
	want := small(apart("data", "4", "8"))
	model := folder(t, want)
	path := filepath.Join(filepath.Dir(model.Path), "sub", "..", "copy.onnx")
	if err := model.Save(path); err != nil {
		t.Fatal(err)
	}
	saved, err := models.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(saved.Proto, want) {
		t.Errorf("saved %v, want %v", saved.Proto, want)
	}
	if err := saved.LoadExternal(); err != nil {
		t.Errorf("the references do not hold: %v", err)
	}
}

func TestSaveCopiesTheDataElsewhere(t *testing.T) {
	referring := small(apart("data", "4", "8"))
	model := folder(t, referring)
	path := filepath.Join(t.TempDir(), "copy.onnx")
	if err := model.Save(path); err != nil {
		t.Fatal(err)
	}
	saved, err := models.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(saved.Proto, referring) {
		t.Errorf("saved %v, want %v", saved.Proto, referring)
	}
	if err := saved.LoadExternal(); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(saved.Proto, small(weight())) {
		t.Errorf("the copy is %v, want %v", saved.Proto, small(weight()))
	}
	if !proto.Equal(model.Proto, referring) {
		t.Error("saving changed the model")
	}
}

func TestSaveRefusesToOverwriteTheModelsOwnData(t *testing.T) {
	model := folder(t, small(apart("data", "4", "8")))
	path := filepath.Join(filepath.Dir(model.Path), "data")
	wantError(t, model.Save(path), `tensor "weight"`, "choose another name")
	if got, err := os.ReadFile(path); err != nil || !bytes.HasPrefix(got, []byte("skip")) {
		t.Errorf("the data are %q, %v", got, err)
	}
}
