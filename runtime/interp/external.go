package interp

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/onnxloss/onnxloss/internal/externaldata"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// external reads the data that a model has in files, those that several tensors
// share once.
type external struct {
	root  *externaldata.Folder
	read  map[stored]engine.Tensor
	taken map[string]int64 // bytes, by file
}

// maxTimes is how often the bytes of a file may be read on average. Ranges that
// overlap could ask for any amount of memory.
const maxTimes = 2

func newExternal(root *externaldata.Folder) *external {
	return &external{root, map[stored]engine.Tensor{}, map[string]int64{}}
}

type stored struct {
	externaldata.Data
	dtype ops.DType
}

// tensor decodes a tensor. A nil external is for models without external data.
func (e *external) tensor(p *onnxpb.TensorProto) (engine.Tensor, error) {
	if e == nil || !externaldata.Is(p) {
		return engine.FromProto(p)
	}
	t, err := e.open(p)
	if err != nil {
		return t, fmt.Errorf("tensor %q: %w", p.GetName(), err)
	}
	return t, nil
}

func (e *external) open(p *onnxpb.TensorProto) (engine.Tensor, error) {
	at, err := externaldata.Find(e.root, p)
	if err != nil {
		return engine.Tensor{}, err
	}
	shape := make([]int, len(p.Dims))
	for i, d := range p.Dims {
		shape[i] = int(d)
	}
	key := stored{at, ops.DType(p.GetDataType())}
	if t, ok := e.read[key]; ok {
		return t.Reshape(shape)
	}
	if err := e.take(at); err != nil {
		return engine.Tensor{}, err
	}
	err = at.Read(e.root, func(from io.Reader) (err error) {
		e.read[key], err = engine.Read(from, key.dtype, shape)
		return err
	})
	return e.read[key], err
}

// take counts the bytes that are read.
func (e *external) take(at externaldata.Data) error {
	name := filepath.Clean(filepath.FromSlash(at.File))
	info, err := e.root.Stat(name)
	if err != nil {
		return fmt.Errorf("file %q: %w", at.File, err)
	}
	if e.taken[name] += at.Length; e.taken[name] > maxTimes*info.Size() {
		return fmt.Errorf("file %q: the model's tensors overlap in it so much that they are more than %d times its size", at.File, maxTimes)
	}
	return nil
}

// fill puts the data of attributes into them. They are small, or there once: what
// is large is an initializer.
func (e *external) fill(attributes []*onnxpb.AttributeProto) error {
	for _, a := range attributes {
		p := a.GetT()
		if e == nil || !externaldata.Is(p) {
			continue
		}
		t, err := e.tensor(p)
		if err != nil {
			return fmt.Errorf("attribute %q: %w", a.GetName(), err)
		}
		p.RawData, p.ExternalData, p.DataLocation = t.Bytes(), nil, nil
	}
	return nil
}
