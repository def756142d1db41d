// Package onnxpb holds the protobuf types of the ONNX file format.
//
// onnx.pb.go is generated from onnx.proto, next to it; "make generate" writes it
// anew and "make check" fails where the two have drifted apart.
package onnxpb
