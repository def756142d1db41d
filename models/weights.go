package models

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/nlpodyssey/safetensors"

	"github.com/onnxloss/onnxloss/internal/npy"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// Weights are the named tensors of a file that holds a trained network's weights
// without the network. A tensor is read when it is asked for.
type Weights struct {
	file    *os.File
	tensors map[string]func() (engine.Tensor, error)
}

// OpenWeights opens a .safetensors or .npz file; the content decides which of them
// it is. Close it after use.
func OpenWeights(path string) (*Weights, error) {
	w, err := openWeights(path)
	if err != nil {
		return nil, fmt.Errorf("models: weights %q: %w", path, err)
	}
	return w, nil
}

func openWeights(path string) (*Weights, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, reason(err)
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not an ordinary file")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, reason(err)
	}
	tensors, err := index(file, info.Size())
	if err != nil {
		file.Close()
		return nil, err
	}
	return &Weights{file, tensors}, nil
}

// Close closes the file. Tensors that were read stay.
func (w *Weights) Close() error { return w.file.Close() }

// Names lists the tensors in alphabetical order.
func (w *Weights) Names() []string { return slices.Sorted(maps.Keys(w.tensors)) }

// Tensor reads a tensor. It is an error where there is none of that name, where the
// file is damaged, and where the element type is none of ONNX's common ones.
func (w *Weights) Tensor(name string) (engine.Tensor, error) {
	read, ok := w.tensors[name]
	if !ok {
		return engine.Tensor{}, fmt.Errorf("models: weights: there is no tensor %q", name)
	}
	t, err := read()
	if err != nil {
		return engine.Tensor{}, fmt.Errorf("models: weights: tensor %q: %w", name, err)
	}
	return t, nil
}

// index finds the tensors of a file.
func index(file io.ReaderAt, size int64) (map[string]func() (engine.Tensor, error), error) {
	start := make([]byte, min(16, size))
	if _, err := file.ReadAt(start, 0); err != nil && err != io.EOF {
		return nil, reason(err)
	}
	switch look := looksLike(start); {
	case size == 0:
		return nil, errors.New("it is empty")
	case bytes.HasPrefix(start, []byte("PK\x03\x04")), bytes.HasPrefix(start, []byte("PK\x05\x06")):
		return indexZip(file, size)
	case size > 8 && start[8] == '{':
		return indexSafetensors(file, size)
	case look != "":
		return nil, fmt.Errorf("it is neither .safetensors nor .npz but looks like %s", look)
	}
	return nil, errors.New("it is neither .safetensors nor .npz; write it with safetensors' save_file or with numpy.savez")
}

// indexSafetensors reads the header: its length, and JSON.
func indexSafetensors(file io.ReaderAt, size int64) (map[string]func() (engine.Tensor, error), error) {
	const before = 8
	prefix := make([]byte, before)
	if _, err := file.ReadAt(prefix, 0); err != nil {
		return nil, reason(err)
	}
	length := binary.LittleEndian.Uint64(prefix)
	if length > uint64(size-before) {
		return nil, fmt.Errorf("its header is %d bytes long, the file %d; is it cut off?", length, size)
	}
	raw := make([]byte, length)
	if _, err := file.ReadAt(raw, before); err != nil {
		return nil, reason(err)
	}
	var header safetensors.Metadata
	if err := json.Unmarshal(raw, &header); err != nil {
		return nil, fmt.Errorf("its header: %w", err)
	}
	data := io.NewSectionReader(file, before+int64(length), size-before-int64(length))
	tensors := map[string]func() (engine.Tensor, error){}
	for name, info := range header.Tensors() {
		tensors[name] = func() (engine.Tensor, error) { return readSafetensor(data, info) }
	}
	return tensors, nil
}

// safetensorTypes are the element types that are read.
var safetensorTypes = map[safetensors.DType]ops.DType{
	safetensors.F64: ops.Float64, safetensors.F32: ops.Float32, safetensors.F16: ops.Float16, safetensors.BF16: ops.BFloat16,
	safetensors.I64: ops.Int64, safetensors.I32: ops.Int32, safetensors.I16: ops.Int16, safetensors.I8: ops.Int8,
	safetensors.U64: ops.Uint64, safetensors.U32: ops.Uint32, safetensors.U16: ops.Uint16, safetensors.U8: ops.Uint8,
	safetensors.BOOL: ops.Bool,
}

func readSafetensor(data *io.SectionReader, info *safetensors.TensorInfo) (engine.Tensor, error) {
	dtype := safetensorTypes[info.DType]
	shape := make([]int, len(info.Shape))
	for i, n := range info.Shape {
		if n > math.MaxInt {
			return engine.Tensor{}, fmt.Errorf("its shape %v is not one that a tensor can have", info.Shape)
		}
		shape[i] = int(n)
	}
	count, err := engine.Count(shape)
	if err != nil {
		return engine.Tensor{}, err
	}
	begin, end := info.DataOffsets[0], info.DataOffsets[1]
	if begin > end || end > uint64(data.Size()) {
		return engine.Tensor{}, fmt.Errorf("its data are bytes %d to %d of %d; is the file cut off?", begin, end, data.Size())
	}
	if need := uint64(count) * uint64(dtype.Size()); end-begin != need {
		return engine.Tensor{}, fmt.Errorf("%s%v needs %d bytes, the file has %d", dtype, shape, need, end-begin)
	}
	raw := make([]byte, end-begin)
	if _, err := data.ReadAt(raw, int64(begin)); err != nil && err != io.EOF {
		return engine.Tensor{}, reason(err)
	}
	return engine.FromBytes(dtype, shape, raw)
}

// indexZip lists the arrays of a .npz file, which is a zip archive of .npy files.
func indexZip(file io.ReaderAt, size int64) (map[string]func() (engine.Tensor, error), error) {
	archive, err := zip.NewReader(file, size)
	if err != nil {
		return nil, err
	}
	tensors := map[string]func() (engine.Tensor, error){}
	for _, entry := range archive.File {
		if strings.HasSuffix(entry.Name, "data.pkl") {
			return nil, errors.New("it is a PyTorch checkpoint; save its state_dict with safetensors.torch.save_file")
		}
		if name, ok := strings.CutSuffix(entry.Name, ".npy"); ok {
			tensors[name] = func() (engine.Tensor, error) { return readEntry(entry) }
		}
	}
	if len(tensors) == 0 {
		return nil, errors.New("it is a zip archive without any .npy file; write the weights with numpy.savez")
	}
	return tensors, nil
}

func readEntry(entry *zip.File) (engine.Tensor, error) {
	r, err := entry.Open()
	if err != nil {
		return engine.Tensor{}, err
	}
	defer r.Close()
	return npy.Decode(r)
}
