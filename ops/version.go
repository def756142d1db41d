package ops

// MinIR is the oldest IR version of a model with this operator set, as the ONNX
// versioning document lists them.
func MinIR(opset int) int64 {
	first := []int{9, 10, 11, 12, 15, 19, 21, 23, 24, 25} // opsets of IR versions 4, 5, ...
	ir := int64(3)
	for _, version := range first {
		if opset >= version {
			ir++
		}
	}
	return ir
}
