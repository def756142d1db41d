// Package externaldata finds the data that tensors of a model have in files beside
// it. The files must lie in the model's folder or below.
package externaldata

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"path/filepath"
	"strconv"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
)

// Data is where a tensor's data are.
type Data struct {
	File           string // relative to the model's folder, with slashes
	Offset, Length int64
}

// Check proves that the data of all tensors are there.
func Check(folder *Folder, tensors []*onnxpb.TensorProto) error {
	for _, t := range tensors {
		if _, err := Find(folder, t); err != nil {
			return fmt.Errorf("tensor %q: %w", t.GetName(), err)
		}
	}
	return nil
}

// Open opens the folder that tensors, at least one, have their data in. None is "".
func Open(folder string, tensors []*onnxpb.TensorProto) (*Folder, error) {
	if folder == "" {
		return nil, fmt.Errorf("tensor %q has its data in another file, and there is no folder to look for it in; say which folder the model is from", tensors[0].GetName())
	}
	return OpenFolder(folder)
}

// Find proves that a tensor's data are where it says. A location that leads out of
// the folder, through a symbolic link too, is refused.
func Find(folder *Folder, t *onnxpb.TensorProto) (Data, error) {
	e, err := entriesOf(t)
	if err != nil {
		return Data{}, err
	}
	length, err := e.check(folder, t)
	if err != nil {
		return Data{}, fmt.Errorf("file %q: %w", e.location, err)
	}
	return Data{File: e.location, Offset: e.offset, Length: length}, nil
}

// File is which file a tensor's data are in.
func File(t *onnxpb.TensorProto) (string, error) {
	e, err := entriesOf(t)
	return e.location, err
}

// Read gives the data to use, which must not keep the reader.
func (d Data) Read(folder *Folder, use func(io.Reader) error) error {
	file, err := folder.Open(filepath.FromSlash(d.File))
	if err == nil {
		err = errors.Join(use(io.NewSectionReader(file, d.Offset, d.Length)), file.Close())
	}
	if err != nil {
		return fmt.Errorf("file %q: %w", d.File, reason(err))
	}
	return nil
}

// entries is what a tensor says about its data.
type entries struct {
	location       string
	offset, length int64
	hasLength      bool
}

func entriesOf(t *onnxpb.TensorProto) (e entries, err error) {
	for _, entry := range t.GetExternalData() {
		switch entry.GetKey() {
		case "location":
			e.location = entry.GetValue()
		case "offset":
			e.offset, err = count("offset", entry.GetValue())
		case "length":
			e.length, err = count("length", entry.GetValue())
			e.hasLength = true
		}
		if err != nil {
			return e, err
		}
	}
	if e.location == "" {
		return e, errors.New("the model does not say in which file its data are")
	}
	return e, nil
}

func count(key, text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("its %s is %q, not a number of bytes", key, text)
	}
	return n, nil
}

// check proves that a tensor's data are there, and tells their length.
func (e entries) check(folder *Folder, t *onnxpb.TensorProto) (int64, error) {
	name := filepath.FromSlash(e.location)
	if !filepath.IsLocal(name) {
		return 0, errors.New("it is outside of the model's folder, which is not allowed")
	}
	// Opening a pipe would wait for a writer, so what it is comes first.
	info, err := folder.Stat(name)
	switch {
	case err != nil:
		return 0, reason(err)
	case !info.Mode().IsRegular():
		return 0, errors.New("it is not an ordinary file")
	case e.offset > info.Size():
		return 0, fmt.Errorf("its data start at byte %d, the file has %d", e.offset, info.Size())
	}
	length, err := e.bytes(t, info.Size()-e.offset)
	if err == nil && length > info.Size()-e.offset {
		err = fmt.Errorf("its data are %d bytes from byte %d on, the file has %d in all; is it cut off?", length, e.offset, info.Size())
	}
	return length, err
}

// bytes is the length of the data, of the rest of the file where neither the
// model's length nor the shape says it.
func (e entries) bytes(t *onnxpb.TensorProto, rest int64) (int64, error) {
	need, known, err := size(t)
	switch {
	case err != nil:
		return 0, err
	case !known && e.hasLength:
		return e.length, nil
	case !known:
		return rest, nil
	case e.hasLength && e.length != need:
		return 0, fmt.Errorf("%s%v needs %d bytes, the model says that its data are %d", ops.DType(t.GetDataType()), t.GetDims(), need, e.length)
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

// reason drops the path from an error of the file system, where the message
// around it has named the file.
func reason(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}
