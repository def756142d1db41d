package models

import (
	"bytes"
	"io"
)

// formats are what is handed in for an ONNX model by mistake, by the bytes at
// an offset.
var formats = []struct {
	offset int
	magic  string
	name   string
}{
	{0, "PK\x03\x04", "a zip archive, as torch.save and numpy.savez write; export the network with torch.onnx.export"},
	{0, "\x80\x02", "a Python pickle, as torch.save writes; export the network with torch.onnx.export"},
	{0, "\x80\x03", "a Python pickle; export the model as ONNX"},
	{0, "\x80\x04", "a Python pickle; export the model as ONNX"},
	{0, "\x80\x05", "a Python pickle; export the model as ONNX"},
	{0, "\x93NUMPY", "a NumPy array; it may be meant as an input"},
	{8, `{"`, "safetensors, which hold weights without a network; export the network as ONNX"},
	{0, "GGUF", "GGUF, which is another format"},
	{4, "ORTM", "ONNX Runtime's own format; use the .onnx file that it was made from"},
	{4, "TFL3", "TensorFlow Lite; convert it with tf2onnx"},
	{0, "\x89HDF", "HDF5, as Keras writes; convert it with tf2onnx"},
	{0, "\x1f\x8b", "a gzip archive; unpack it"},
	{0, "version https://git-lfs", "a Git LFS pointer; fetch the file itself with git lfs pull"},
	{0, "<!DOCTYPE", "a web page, perhaps a download that failed"},
	{0, "<html", "a web page, perhaps a download that failed"},
	{0, "{", "JSON"},
	{0, "ir_version:", "a model in protobuf's text format; convert it to the binary one"},
}

// looksLike names the format that data seem to be in, "" for none of those known.
func looksLike(data []byte) string {
	for _, f := range formats {
		if len(data) >= f.offset && bytes.HasPrefix(data[f.offset:], []byte(f.magic)) {
			return f.name
		}
	}
	return ""
}

// beginning gives the bytes that tell formats apart.
func beginning(from io.ReaderAt, size int64) []byte {
	data := make([]byte, min(size, 64))
	n, _ := from.ReadAt(data, 0) // what cannot be read looks like nothing
	return data[:n]
}
