package models

import (
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"path/filepath"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
)

// LoadExternal puts the data that the model keeps in other files into the model,
// which then needs only itself. A model without such data is left as it is. The
// files must lie in the model's folder or below; a location that leads out of it,
// through a symbolic link too, is refused. After an error the model is unchanged.
func (m *Model) LoadExternal() error {
	if err := m.loadExternal(); err != nil {
		return fmt.Errorf("models: external data: %w", err)
	}
	return nil
}

func (m *Model) loadExternal() error {
	tensors := external(m.Proto)
	if len(tensors) == 0 {
		return nil
	}
	if m.Path == "" {
		return fmt.Errorf("tensor %q has its data in another file, and the model was not read from a folder; use Open", tensors[0].GetName())
	}
	root, err := os.OpenRoot(filepath.Dir(m.Path))
	if err != nil {
		return err
	}
	defer root.Close()
	loaded := make([][]byte, len(tensors))
	room := int64(maxBytes - proto.Size(m.Proto))
	for i, t := range tensors {
		if loaded[i], err = load(root, t, room); err != nil {
			return fmt.Errorf("tensor %q: %w", t.GetName(), err)
		}
		room -= int64(len(loaded[i]))
	}
	for i, t := range tensors {
		t.RawData, t.ExternalData, t.DataLocation = loaded[i], nil, nil
	}
	return nil
}

// place says where a tensor's data lie.
type place struct {
	location       string
	offset, length int64
	hasLength      bool
}

// load reads one tensor's data, at most room bytes.
func load(root *os.Root, t *onnxpb.TensorProto, room int64) ([]byte, error) {
	p, err := placeOf(t)
	if err != nil {
		return nil, err
	}
	data, err := p.read(root, t, room)
	if err != nil {
		return nil, fmt.Errorf("file %q: %w", p.location, err)
	}
	return data, nil
}

func placeOf(t *onnxpb.TensorProto) (p place, err error) {
	for _, entry := range t.GetExternalData() {
		switch entry.GetKey() {
		case "location":
			p.location = entry.GetValue()
		case "offset":
			p.offset, err = count("offset", entry.GetValue())
		case "length":
			p.length, err = count("length", entry.GetValue())
			p.hasLength = true
		}
		if err != nil {
			return p, err
		}
	}
	if p.location == "" {
		return p, errors.New("the model does not say in which file its data are")
	}
	return p, nil
}

func count(key, text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("its %s is %q, not a number of bytes", key, text)
	}
	return n, nil
}

func (p place) read(root *os.Root, t *onnxpb.TensorProto, room int64) ([]byte, error) {
	name := filepath.FromSlash(p.location)
	if !filepath.IsLocal(name) {
		return nil, errors.New("it is outside of the model's folder, which is not allowed")
	}
	// Opening a pipe would wait for a writer, so what it is comes first.
	info, err := root.Stat(name)
	switch {
	case err != nil:
		return nil, reason(err)
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not an ordinary file")
	case p.offset > info.Size():
		return nil, fmt.Errorf("its data start at byte %d, the file has %d", p.offset, info.Size())
	}
	length, err := p.bytes(t, info.Size()-p.offset)
	switch {
	case err != nil:
		return nil, err
	case length > info.Size()-p.offset:
		return nil, fmt.Errorf("its data are %d bytes from byte %d on, the file has %d in all; is it cut off?", length, p.offset, info.Size())
	case length > room:
		return nil, fmt.Errorf("with its data the model would be longer than %d bytes, the most that an ONNX file can have", maxBytes)
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, reason(err)
	}
	defer file.Close()
	data := make([]byte, length)
	if _, err := io.ReadFull(io.NewSectionReader(file, p.offset, length), data); err != nil {
		return nil, reason(err)
	}
	return data, nil
}

// bytes is the length of the data, of the rest of the file where neither the
// model's length nor the shape says it.
func (p place) bytes(t *onnxpb.TensorProto, rest int64) (int64, error) {
	need, known, err := size(t)
	switch {
	case err != nil:
		return 0, err
	case !known && p.hasLength:
		return p.length, nil
	case !known:
		return rest, nil
	case p.hasLength && p.length != need:
		return 0, fmt.Errorf("%s%v needs %d bytes, the model says that its data are %d", ops.DType(t.GetDataType()), t.GetDims(), need, p.length)
	}
	return need, nil
}

// size is the number of bytes that the shape asks for, where the element type
// has whole bytes.
func size(t *onnxpb.TensorProto) (n int64, known bool, err error) {
	dtype := ops.DType(t.GetDataType())
	if dtype == ops.String {
		return 0, false, errors.New("it holds strings, which cannot be in another file")
	}
	if dtype.Size() == 0 {
		return 0, false, nil
	}
	n = int64(dtype.Size())
	for _, d := range t.GetDims() {
		high, low := bits.Mul64(uint64(n), uint64(d))
		if d < 0 || high != 0 || int64(low) < 0 {
			return 0, false, fmt.Errorf("its shape %v is not one that a tensor can have", t.GetDims())
		}
		n = int64(low)
	}
	return n, true, nil
}

// forFolderOf gives the model as it can be written to path: itself where its
// references to external data hold there, else a copy that has the data.
func (m *Model) forFolderOf(path string) (*onnxpb.ModelProto, error) {
	tensors := external(m.Proto)
	if len(tensors) == 0 {
		return m.Proto, nil
	}
	if m.Path != "" && sameFile(filepath.Dir(m.Path), filepath.Dir(path)) {
		return m.Proto, m.keepsData(path, tensors)
	}
	whole := &Model{Proto: proto.CloneOf(m.Proto), Path: m.Path}
	if err := whole.loadExternal(); err != nil {
		return nil, fmt.Errorf("external data: %w", err)
	}
	return whole.Proto, nil
}

// keepsData refuses to write the model over its own weights.
func (m *Model) keepsData(path string, tensors []*onnxpb.TensorProto) error {
	for _, t := range tensors {
		p, err := placeOf(t)
		if err != nil {
			return fmt.Errorf("external data: tensor %q: %w", t.GetName(), err)
		}
		if sameFile(path, filepath.Join(filepath.Dir(m.Path), filepath.FromSlash(p.location))) {
			return fmt.Errorf("the file holds the data of tensor %q; choose another name", t.GetName())
		}
	}
	return nil
}

func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// external lists the tensors, wherever they are in the model, whose data are in
// other files.
func external(model *onnxpb.ModelProto) []*onnxpb.TensorProto {
	var found finder
	found.graph(model.GetGraph())
	for _, f := range model.GetFunctions() {
		found.nodes(f.GetNode())
		found.attributes(f.GetAttributeProto())
	}
	return found
}

// finder collects tensors with external data.
type finder []*onnxpb.TensorProto

func (f *finder) graph(g *onnxpb.GraphProto) {
	f.tensors(g.GetInitializer()...)
	f.sparse(g.GetSparseInitializer()...)
	f.nodes(g.GetNode())
}

func (f *finder) nodes(nodes []*onnxpb.NodeProto) {
	for _, node := range nodes {
		f.attributes(node.GetAttribute())
	}
}

func (f *finder) attributes(attributes []*onnxpb.AttributeProto) {
	for _, a := range attributes {
		f.tensors(a.GetT())
		f.tensors(a.GetTensors()...)
		f.sparse(a.GetSparseTensor())
		f.sparse(a.GetSparseTensors()...)
		f.graph(a.GetG())
		for _, g := range a.GetGraphs() {
			f.graph(g)
		}
	}
}

func (f *finder) sparse(tensors ...*onnxpb.SparseTensorProto) {
	for _, t := range tensors {
		f.tensors(t.GetValues(), t.GetIndices())
	}
}

func (f *finder) tensors(tensors ...*onnxpb.TensorProto) {
	for _, t := range tensors {
		if t.GetDataLocation() == onnxpb.TensorProto_EXTERNAL {
			*f = append(*f, t)
		}
	}
}
