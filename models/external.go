package models

import (
	"fmt"
	"io"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/brief"
	"github.com/onnxloss/onnxloss/internal/externaldata"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
)

// LoadExternal puts the data that the model keeps in other files into the model,
// which then needs only itself. A model without such data is left as it is. The
// files must lie in the model's folder or below; a location that leads out of it,
// through a symbolic link too, is refused. After an error the model is unchanged.
func (m *Model) LoadExternal() error {
	tensors := externaldata.Tensors(m.Proto)
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
	if !slices.ContainsFunc(externaldata.Tensors(m.Proto), inOwnFile) {
		return m.Proto, nil
	}
	return m.load(inOwnFile)
}

// load is the message with the data of the chosen tensors in it.
func (m *Model) load(chosen func(*onnxpb.TensorProto) bool) (*onnxpb.ModelProto, error) {
	whole := copyOf(m.Proto)
	tensors := slices.DeleteFunc(externaldata.Tensors(whole), func(t *onnxpb.TensorProto) bool { return !chosen(t) })
	if m.Path == "" {
		return nil, fmt.Errorf("tensor %q has its data in another file, and the model was not read from a folder; use Open", tensors[0].GetName())
	}
	root, err := externaldata.OpenFolderOf(m.Path)
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

// load reads one tensor's data, at most room bytes.
func load(root *externaldata.Folder, t *onnxpb.TensorProto, room int64) ([]byte, error) {
	at, err := find(root, t)
	if err != nil {
		return nil, err
	}
	if at.Length > room {
		return nil, fmt.Errorf("file %q: with its data the model would be longer than %d bytes, the most that an ONNX file can have", at.File, maxBytes)
	}
	data := make([]byte, at.Length)
	return data, at.Read(root, func(from io.Reader) error {
		_, err := io.ReadFull(from, data)
		return err
	})
}

// find proves that a tensor's data are where it says.
func find(root *externaldata.Folder, t *onnxpb.TensorProto) (externaldata.Data, error) {
	if inOwnFile(t) { // its field may be longer or shorter than its shape asks for
		t = &onnxpb.TensorProto{ExternalData: t.ExternalData}
	}
	return externaldata.Find(root, t)
}
