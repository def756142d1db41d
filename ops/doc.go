// Package ops is the ONNX side of onnxloss: element types, shapes, and a Builder
// that makes graphs of standard operators for the operator set version asked for.
//
// A Builder keeps its first error, so that a formula reads as a formula:
//
//	b := ops.NewBuilder(17, "", nil)
//	x := b.Input("x", ops.Float32, ops.Shape{ops.Symbolic("N")})
//	y := b.Output(b.Log1p(b.Sigmoid(x)), "y")
//	fragment, err := b.Finish(y)
//
// models.New makes a model that the fragment can be put into; the example of Builder
// shows the whole. Losses are lowered with a Builder (losses.Loss.Build), which package
// export turns into models.
//
// DType, Shape and Dim describe tensors everywhere in this module.
package ops
