// Package models handles trained models as ONNX files: open, look into, change, save.
//
//	model, err := models.Open("classifier.onnx")
//	model.Inputs(), model.Outputs() // names, types and shapes
//	model.Summary()                 // operators, weights, where they are from
//	err = model.Save("copy.onnx")
//
// Weights are not read: they stay in the file or, as large models have them, in files
// beside it, and are written as the bytes that they were. Edit changes a copy of a
// model and leaves everything else as it is, to the byte.
//
// It also makes a network that was trained for something else serve as the features
// of a loss: Layers lists its tensors, Cut ends it at some of them, Twin applies it
// to several images with one set of weights, and Join puts it behind another model.
// VGG builds the usual such network from its weights.
package models

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
)

// New makes a model of an opset, with the oldest IR version for that, which has no
// inputs, nodes and outputs yet: Edit puts them in, and export.CheckModel proves the
// result.
func New(opset int) *Model {
	return &Model{Proto: &onnxpb.ModelProto{
		IrVersion:    proto.Int64(ops.MinIR(opset)),
		ProducerName: proto.String("onnxloss"),
		OpsetImport:  []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(int64(opset))}},
		Graph:        &onnxpb.GraphProto{Name: proto.String("graph")},
	}}
}

// maxBytes is the most that one protobuf message can be.
const maxBytes = math.MaxInt32

// Model is an ONNX model and where it was read.
type Model struct {
	// Proto is the model without the long numbers of its tensors, which stay in the
	// file: there they look like external data of the file itself. It is there to be
	// read; what is changed in the Proto of a model that was opened or parsed is not
	// written. See Edit.
	//
	// Other modules cannot name its type but can read its fields, as in
	// model.Proto.GetGraph().GetNode(). Bytes and Parse are the way to and from any
	// other package for ONNX messages.
	Proto *onnxpb.ModelProto
	// Path is the file, "" where there is none. External data are looked for in
	// its folder.
	Path string

	layout *layout // nil for a model that was made here
}

// Tensor describes a tensor of a model. What the model does not say is
// ops.Undefined and an unknown shape.
type Tensor struct {
	Name  string
	DType ops.DType
	Shape ops.Shape
	// Other is the type of what is no tensor, such as "sequence of float32[N,3]"; ""
	// for a tensor.
	Other string
}

// Type writes what the tensor is, such as "float32[N,3]"; "?" is what the model does
// not say.
func (t Tensor) Type() string {
	if t.Other != "" {
		return t.Other
	}
	return tensorType(t.DType, t.Shape)
}

func tensorType(dtype ops.DType, shape ops.Shape) string {
	if dtype != ops.Undefined {
		return dtype.String() + shape.String()
	}
	if shape.Known() {
		return "?" + shape.String()
	}
	return "?"
}

// Open reads a model file but for the weights in it, which stay there, as external
// data do. The file must not change while the model is in use. A file that is no ONNX
// model is refused, with what it looks like where that shows.
func Open(path string) (*Model, error) {
	model, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("models: open %q: %w", path, err)
	}
	return model, nil
}

func open(path string) (*Model, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, reason(err)
	}
	model, err := openFile(file, path)
	return model, errors.Join(err, file.Close())
}

func openFile(file *os.File, path string) (*Model, error) {
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, reason(err)
	case info.IsDir():
		return nil, errors.New("it is a directory; name the .onnx file in it")
	case !info.Mode().IsRegular():
		data, err := io.ReadAll(io.LimitReader(file, maxBytes+1))
		if err != nil {
			return nil, reason(err)
		}
		if len(data) > maxBytes {
			return nil, tooLong(int64(len(data)))
		}
		return parse(bytes.NewReader(data), int64(len(data)), "", &source{data: data})
	case info.Size() > maxBytes:
		return nil, tooLong(info.Size())
	}
	model, err := parse(file, info.Size(), filepath.Base(path), &source{path: path, info: info})
	if err != nil {
		return nil, err
	}
	model.Path = path
	return model, nil
}

func tooLong(size int64) error {
	return fmt.Errorf("it is %d bytes long and an ONNX file has at most %d; larger models keep their weights in files beside it", size, maxBytes)
}

// reason drops the path from an error of the file system, where the message
// around it has named the file.
func reason(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

// Parse decodes a serialised model as Open does. The data must not change
// afterwards.
func Parse(data []byte) (*Model, error) {
	model, err := parse(bytes.NewReader(data), int64(len(data)), "", &source{data: data})
	if err != nil {
		return nil, fmt.Errorf("models: parse: %w", err)
	}
	return model, nil
}

// parse reads a model. The name is that of the file that long numbers stay in, ""
// for none.
func parse(from io.ReaderAt, size int64, name string, s *source) (*Model, error) {
	if size == 0 {
		return nil, errors.New("it is empty")
	}
	model, layout, err := scan(from, size, name)
	if err != nil || model.Graph == nil {
		if look := looksLike(beginning(from, size)); look != "" {
			return nil, fmt.Errorf("it is not an ONNX model but looks like %s", look)
		}
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("it is not an ONNX model, or is cut off: %w", err)
	case model.Graph == nil:
		return nil, errors.New("it is not an ONNX model: it has no graph")
	case len(model.OpsetImport) == 0:
		return nil, errors.New("the model has no opset import, or is cut off; export it again")
	}
	layout.source = s
	return &Model{Proto: model, layout: layout}, nil
}

// Inputs lists what the model must be given: the graph's inputs without those
// that an initializer gives a default.
func (m *Model) Inputs() []Tensor {
	defaults := map[string]bool{}
	for _, t := range m.Proto.GetGraph().GetInitializer() {
		defaults[t.GetName()] = true
	}
	for _, t := range m.Proto.GetGraph().GetSparseInitializer() {
		defaults[t.GetValues().GetName()] = true
	}
	var inputs []Tensor
	for _, info := range m.Proto.GetGraph().GetInput() {
		if !defaults[info.GetName()] {
			inputs = append(inputs, fromInfo(info))
		}
	}
	return inputs
}

// Outputs lists what the model computes.
func (m *Model) Outputs() []Tensor {
	var outputs []Tensor
	for _, info := range m.Proto.GetGraph().GetOutput() {
		outputs = append(outputs, fromInfo(info))
	}
	return outputs
}

// Tensor finds a tensor of the graph by name: an input, an output, an
// initializer, or what a node computes, whose type and shape a model need not
// say. Tensors inside of subgraphs and functions are not found.
func (m *Model) Tensor(name string) (Tensor, bool) {
	graph := m.Proto.GetGraph()
	if name == "" { // stands for an optional input or output that is left out
		return Tensor{}, false
	}
	for _, list := range [][]*onnxpb.ValueInfoProto{graph.GetInput(), graph.GetOutput(), graph.GetValueInfo()} {
		for _, info := range list {
			if info.GetName() == name {
				return fromInfo(info), true
			}
		}
	}
	for _, t := range graph.GetInitializer() {
		if t.GetName() == name {
			return Tensor{Name: name, DType: ops.DType(t.GetDataType()), Shape: fromDims(t.GetDims())}, true
		}
	}
	for _, t := range graph.GetSparseInitializer() {
		if t.GetValues().GetName() == name {
			return Tensor{Name: name, DType: ops.DType(t.GetValues().GetDataType()), Shape: fromDims(t.GetDims())}, true
		}
	}
	for _, node := range graph.GetNode() {
		for _, output := range node.GetOutput() {
			if output == name {
				return Tensor{Name: name}, true
			}
		}
	}
	return Tensor{}, false
}

func fromInfo(info *onnxpb.ValueInfoProto) Tensor {
	t := Tensor{Name: info.GetName()}
	switch kind := info.GetType(); kind.GetValue().(type) {
	case nil:
	case *onnxpb.TypeProto_TensorType:
		t.DType, t.Shape = ofTensor(kind.GetTensorType())
	default:
		t.Other = otherType(kind)
	}
	return t
}

func ofTensor(t *onnxpb.TypeProto_Tensor) (ops.DType, ops.Shape) {
	return ops.DType(t.GetElemType()), withoutNegative(ops.ShapeOf(t))
}

// otherType writes a type of any kind.
func otherType(t *onnxpb.TypeProto) string {
	switch t.GetValue().(type) {
	case *onnxpb.TypeProto_TensorType:
		return tensorType(ofTensor(t.GetTensorType()))
	case *onnxpb.TypeProto_SequenceType:
		return "sequence of " + otherType(t.GetSequenceType().GetElemType())
	case *onnxpb.TypeProto_OptionalType:
		return "optional " + otherType(t.GetOptionalType().GetElemType())
	case *onnxpb.TypeProto_MapType:
		return "map from " + ops.DType(t.GetMapType().GetKeyType()).String() + " to " + otherType(t.GetMapType().GetValueType())
	case *onnxpb.TypeProto_SparseTensorType:
		sparse := t.GetSparseTensorType()
		return "sparse " + tensorType(ofTensor(&onnxpb.TypeProto_Tensor{ElemType: sparse.ElemType, Shape: sparse.Shape}))
	}
	return "?"
}

func fromDims(dims []int64) ops.Shape {
	shape := make(ops.Shape, len(dims))
	for i, d := range dims {
		shape[i] = ops.Fixed(int(d))
	}
	return withoutNegative(shape)
}

// withoutNegative makes negative sizes unknown: some exporters write -1 for a
// size that varies.
func withoutNegative(shape ops.Shape) ops.Shape {
	for i, d := range shape {
		if n, _ := d.Size(); n < 0 {
			shape[i] = ops.Dim{}
		}
	}
	return shape
}

// Opset is the version of the standard operators that the model imports, or 0
// where it imports none of them.
func (m *Model) Opset() int {
	for _, opset := range m.Proto.GetOpsetImport() {
		if domain := opset.GetDomain(); domain == "" || domain == "ai.onnx" {
			return int(opset.GetVersion())
		}
	}
	return 0
}

// Bytes serialises the model. External data stay references.
func (m *Model) Bytes() ([]byte, error) {
	data, err := m.bytes()
	if err != nil {
		return nil, fmt.Errorf("models: serialise: %w", err)
	}
	return data, nil
}

func (m *Model) bytes() ([]byte, error) {
	if m.layout == nil {
		return m.marshal()
	}
	pieces, err := m.layout.writable()
	if err != nil {
		return nil, err
	}
	// ReadFrom wants a little more than what there is.
	data := bytes.NewBuffer(make([]byte, 0, sizeOf(pieces)+bytes.MinRead))
	if err := m.layout.writeTo(context.Background(), data, pieces); err != nil {
		return nil, err
	}
	return data.Bytes(), nil
}

// Write writes what Bytes gives, and of a model that was opened no more than a little
// at a time is in memory. A cancelled ctx ends it.
func (m *Model) Write(ctx context.Context, w io.Writer) error {
	if err := m.write(ctx, w); err != nil {
		return fmt.Errorf("models: write: %w", err)
	}
	return nil
}

func (m *Model) write(ctx context.Context, w io.Writer) error {
	if m.layout == nil {
		data, err := m.marshal()
		if err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	}
	pieces, err := m.layout.writable()
	if err != nil {
		return err
	}
	return m.layout.writeTo(ctx, w, pieces)
}

// marshal serialises a model that was made here, in a form that is the same each
// time.
func (m *Model) marshal() ([]byte, error) {
	whole, err := m.withNumbers()
	if err != nil {
		return nil, err
	}
	if size := proto.Size(whole); size > maxBytes {
		return nil, tooLong(int64(size))
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(whole)
}
