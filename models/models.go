// Package models handles trained models as files: open, inspect, save. Weights
// may be in the file or, as large models have them, in files beside it.
//
// It also makes a network that was trained for something else serve as the features
// of a loss: Layers lists its tensors, Cut ends it at some of them, Twin applies it
// to several images with one set of weights, and Join puts it behind another model.
// VGG builds the usual such network from its weights.
package models

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/atomicfile"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
)

// maxBytes is the most that one protobuf message can be.
const maxBytes = math.MaxInt32

// Model is an ONNX model and where it was read.
type Model struct {
	Proto *onnxpb.ModelProto
	// Path is the file, "" where there is none. External data are looked for in
	// its folder.
	Path string
}

// Tensor describes a tensor of a model. What the model does not say is
// ops.Undefined and an unknown shape.
type Tensor struct {
	Name  string
	DType ops.DType
	Shape ops.Shape
}

// Open reads a model file. External data stay where they are until LoadExternal.
// A file that is no ONNX model is refused, with what it looks like where that
// shows.
func Open(path string) (*Model, error) {
	proto, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("models: open %q: %w", path, err)
	}
	return &Model{Proto: proto, Path: path}, nil
}

func read(path string) (*onnxpb.ModelProto, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, reason(err)
	case info.IsDir():
		return nil, errors.New("it is a directory; name the .onnx file in it")
	case info.Size() > maxBytes:
		return nil, fmt.Errorf("it is %d bytes long and an ONNX file has at most %d; larger models keep their weights in files beside it", info.Size(), maxBytes)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, reason(err)
	}
	return parse(data)
}

// reason drops the path from an error of the file system, where the message
// around it has named the file.
func reason(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

// Parse decodes a serialised model as Open does.
func Parse(data []byte) (*Model, error) {
	proto, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("models: parse: %w", err)
	}
	return &Model{Proto: proto}, nil
}

func parse(data []byte) (*onnxpb.ModelProto, error) {
	if len(data) == 0 {
		return nil, errors.New("it is empty")
	}
	model := new(onnxpb.ModelProto)
	err := proto.Unmarshal(data, model)
	look := looksLike(data)
	switch {
	case (err != nil || model.Graph == nil) && look != "":
		return nil, fmt.Errorf("it is not an ONNX model but looks like %s", look)
	case err != nil:
		return nil, fmt.Errorf("it is not an ONNX model, or is cut off: %w", err)
	case model.Graph == nil:
		return nil, errors.New("it is not an ONNX model: it has no graph")
	case len(model.OpsetImport) == 0:
		return nil, errors.New("the model has no opset import, or is cut off; export it again")
	}
	return model, nil
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
	if tensor := info.GetType().GetTensorType(); tensor != nil {
		t.DType = ops.DType(tensor.GetElemType())
		t.Shape = withoutNegative(ops.ShapeOf(tensor))
	}
	return t
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

// Bytes serialises the model. External data stay references, which engines that
// load bytes cannot follow: call LoadExternal first.
func (m *Model) Bytes() ([]byte, error) {
	data, err := marshal(m.Proto)
	if err != nil {
		return nil, fmt.Errorf("models: serialise: %w", err)
	}
	return data, nil
}

func marshal(model *onnxpb.ModelProto) ([]byte, error) {
	if size := proto.Size(model); size > maxBytes {
		return nil, fmt.Errorf("the model is %d bytes long and an ONNX file has at most %d", size, maxBytes)
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(model)
}

// Save writes the model to a file, whole or not at all. In the folder it was
// read from, references to external data stay as they are; in any other, the
// data are put into the file, so that it never points to what is not there.
func (m *Model) Save(path string) error {
	if err := m.save(path); err != nil {
		return fmt.Errorf("models: save %q: %w", path, err)
	}
	return nil
}

func (m *Model) save(path string) error {
	model, err := m.forFolderOf(path)
	if err != nil {
		return err
	}
	data, err := marshal(model)
	if err != nil {
		return err
	}
	return atomicfile.Write(path, data)
}
