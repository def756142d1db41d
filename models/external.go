package models

import (
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/brief"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
)

// LoadExternal puts the data that the model keeps in other files into the model,
// which then needs only itself. A model without such data is left as it is. The
// files must lie in the model's folder or below; a location that leads out of it,
// through a symbolic link too, is refused. After an error the model is unchanged.
func (m *Model) LoadExternal() error {
	tensors := external(m.Proto)
	if m.layout != nil {
		tensors = slices.DeleteFunc(tensors, inOwnFile)
	}
	if len(tensors) == 0 {
		return nil
	}
	whole, err := m.load(func(*onnxpb.TensorProto) bool { return true })
	if err != nil {
		return fmt.Errorf("models: external data: %w", brief.Error(err))
	}
	m.Proto, m.layout = whole, nil
	return nil
}

// withNumbers is the message with the numbers that stayed in the file it was read
// from.
func (m *Model) withNumbers() (*onnxpb.ModelProto, error) {
	if !slices.ContainsFunc(external(m.Proto), inOwnFile) {
		return m.Proto, nil
	}
	return m.load(inOwnFile)
}

// load is the message with the data of the chosen tensors in it.
func (m *Model) load(chosen func(*onnxpb.TensorProto) bool) (*onnxpb.ModelProto, error) {
	whole := copyOf(m.Proto)
	tensors := slices.DeleteFunc(external(whole), func(t *onnxpb.TensorProto) bool { return !chosen(t) })
	if m.Path == "" {
		return nil, fmt.Errorf("tensor %q has its data in another file, and the model was not read from a folder; use Open", tensors[0].GetName())
	}
	root, err := os.OpenRoot(filepath.Dir(m.Path))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	room := int64(maxBytes - proto.Size(whole))
	for _, t := range tensors {
		data, err := load(root, t, room)
		if err == nil {
			err = put(t, data)
		}
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.GetName(), err)
		}
		room -= int64(len(data))
	}
	return whole, nil
}

// put gives a tensor its data.
func put(t *onnxpb.TensorProto, data []byte) error {
	number, own := ownField(t)
	t.ExternalData, t.DataLocation = nil, nil
	if !own || number == fieldRawData {
		t.RawData = data
		return nil
	}
	field := protowire.AppendTag(nil, number, protowire.BytesType)
	return proto.UnmarshalOptions{Merge: true}.Unmarshal(protowire.AppendBytes(field, data), t)
}

// ownField tells which field a tensor's numbers are that stayed in the file it was
// read from.
func ownField(t *onnxpb.TensorProto) (number protowire.Number, own bool) {
	for _, entry := range t.GetExternalData() {
		if entry.GetKey() == keyField {
			n, err := strconv.Atoi(entry.GetValue())
			number = protowire.Number(n)
			return number, err == nil && numberFields[number]
		}
	}
	return 0, false
}

func inOwnFile(t *onnxpb.TensorProto) bool {
	_, own := ownField(t)
	return own
}

// place says where a tensor's data lie.
type place struct {
	location       string
	offset, length int64
	hasLength      bool
}

// load reads one tensor's data, at most room bytes.
func load(root *os.Root, t *onnxpb.TensorProto, room int64) ([]byte, error) {
	p, length, err := find(root, t)
	if err != nil {
		return nil, err
	}
	if length > room {
		return nil, fmt.Errorf("file %q: with its data the model would be longer than %d bytes, the most that an ONNX file can have", p.location, maxBytes)
	}
	data, err := p.read(root, length)
	if err != nil {
		return nil, fmt.Errorf("file %q: %w", p.location, reason(err))
	}
	return data, nil
}

// find proves that a tensor's data are where it says, and tells their length.
func find(root *os.Root, t *onnxpb.TensorProto) (p place, length int64, err error) {
	if p, err = placeOf(t); err != nil {
		return p, 0, err
	}
	if length, err = p.check(root, t); err != nil {
		return p, 0, fmt.Errorf("file %q: %w", p.location, err)
	}
	return p, length, nil
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

// check proves that a tensor's data are there, and tells their length.
func (p place) check(root *os.Root, t *onnxpb.TensorProto) (int64, error) {
	name := filepath.FromSlash(p.location)
	if !filepath.IsLocal(name) {
		return 0, errors.New("it is outside of the model's folder, which is not allowed")
	}
	// Opening a pipe would wait for a writer, so what it is comes first.
	info, err := root.Stat(name)
	switch {
	case err != nil:
		return 0, reason(err)
	case !info.Mode().IsRegular():
		return 0, errors.New("it is not an ordinary file")
	case p.offset > info.Size():
		return 0, fmt.Errorf("its data start at byte %d, the file has %d", p.offset, info.Size())
	}
	length, err := p.bytes(t, info.Size()-p.offset)
	if err == nil && length > info.Size()-p.offset {
		err = fmt.Errorf("its data are %d bytes from byte %d on, the file has %d in all; is it cut off?", length, p.offset, info.Size())
	}
	return length, err
}

func (p place) read(root *os.Root, length int64) ([]byte, error) {
	file, err := root.Open(filepath.FromSlash(p.location))
	if err != nil {
		return nil, err
	}
	data := make([]byte, length)
	_, err = io.ReadFull(io.NewSectionReader(file, p.offset, length), data)
	return data, errors.Join(err, file.Close())
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
	if inOwnFile(t) { // whatever there is belongs to it
		return 0, false, nil
	}
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
