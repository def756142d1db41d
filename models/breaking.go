package models

import (
	"fmt"
	"slices"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
)

// breaking is a change of an operator after which a node that was written before
// means something else, or nothing.
type breaking struct {
	opset int
	what  string         // what is so since that opset
	spare func(use) bool // the nodes that it does not concern; nil for none
}

// breakings are the changes from opset 8 on that break nodes. All others add element
// types, further inputs and results, attributes whose default is what was before, or
// values that were not allowed.
var breakings = map[string][]breaking{
	"AveragePool": {roundedUp},
	"BatchNormalization": {
		{9, "there is no attribute spatial", without("spatial")},
		{14, "it has further results in training only", oneResult},
	},
	"Cast":               {{24, saturated, castsFinite}},
	"CastLike":           {{24, saturated, castsLikeFinite}},
	"Clip":               {{11, "min and max are inputs", without("min", "max")}},
	"ConvTranspose":      {{11, "odd padding that it chooses itself goes to the other side", saysPads}},
	"DFT":                {{20, "the axis is an input, and -2 where it is left out", secondOfThree}},
	"Dropout":            {{10, "the mask is of truth values", noMask}, {12, "the ratio is an input", plainDropout}},
	"Erf":                {{13, "it takes no whole numbers", func(u use) bool { return !u.input(0).dtype.IsInteger() }}},
	"GridSample":         {{20, "its modes have other names", samplesAlike}},
	"GroupNormalization": {{21, "scale and bias are for channels, not for groups", nil}},
	"Hardmax":            {oneAxis},
	"LogSoftmax":         {oneAxis},
	"MaxPool":            {roundedUp},
	"OneHot":             {{11, "negative indices count from the end", notNegative}},
	"Pad":                {{11, "pads and value are inputs", nil}},
	"QuantizeLinear":     {{19, "the scale is of the input's type", func(u use) bool { return u.input(0).dtype != ops.Int32 }}},
	"ReduceL1":           {axesInput(18)},
	"ReduceL2":           {axesInput(18)},
	"ReduceLogSum":       {axesInput(18)},
	"ReduceLogSumExp":    {axesInput(18)},
	"ReduceMax":          {axesInput(18)},
	"ReduceMean":         {axesInput(18)},
	"ReduceMin":          {axesInput(18)},
	"ReduceProd":         {axesInput(18)},
	"ReduceSum":          {axesInput(13)},
	"ReduceSumSquare":    {axesInput(18)},
	"Resize":             {{11, "scales are its third input, and pixels have other centres", nil}, {13, "it takes scales or sizes, and no tf_half_pixel_for_nn", scalesOrSizes}},
	"RoiAlign":           {{16, "coordinates are shifted by half a pixel", nil}},
	"Scan":               {{9, "there is no batch axis", nil}},
	"Scatter":            {{11, "it is replaced by ScatterElements", nil}},
	"Slice":              {{10, "starts, ends and axes are inputs", nil}},
	"Softmax":            {oneAxis},
	"Split":              {{13, "the sizes are an input", without("split")}, {18, "it must be told the sizes or the number of parts", func(u use) bool { return u.given(1) }}},
	"Squeeze":            {axesInput(13)},
	"TopK":               {{10, "k is an input", nil}},
	"Unsqueeze":          {axesInput(13)},
	"Upsample":           {{9, "scales are an input", nil}, {10, "it is replaced by Resize", nil}},
}

var (
	roundedUp = breaking{22, "windows that begin in the padding are left out", windowsBeginInside}
	oneAxis   = breaking{13, "it goes along one axis, the last where none is said, and flattens no others", flattensNothing}
)

const saturated = "infinities become the largest number of float8 types that have no infinity"

func axesInput(opset int) breaking { return breaking{opset, "axes are an input", without("axes")} }

// use is a node, and what is known of its inputs and of who reads its results.
type use struct {
	operation
	node *onnxpb.NodeProto
	idle map[string]bool // results that nothing reads or describes
}

// why tells what keeps a node from meaning in another opset what it means in its own,
// "" for nothing. Going back, any change counts.
func (u use) why(to int) string {
	first, last := min(u.opset, to), max(u.opset, to)
	came, known := histories[u.op]
	switch {
	case !known:
		return "it is not known here"
	case first < oldestHistory || last > newestHistory:
		return fmt.Sprintf("only opsets %d to %d are known here", oldestHistory, newestHistory)
	case came[0] > first:
		return fmt.Sprintf("it came with opset %d", came[0])
	case to < u.opset && versionAt(u.op, to) != versionAt(u.op, u.opset):
		return fmt.Sprintf("it changed in opset %d", versionAt(u.op, u.opset))
	}
	for _, b := range breakings[u.op] {
		if u.opset < b.opset && b.opset <= to && (b.spare == nil || !b.spare(u)) {
			return fmt.Sprintf("since opset %d %s", b.opset, b.what)
		}
	}
	return ""
}

// versionAt is the opset that an operator is as in, 0 where there is none yet.
func versionAt(op string, opset int) int {
	version := 0
	for _, v := range histories[op] {
		if v <= opset {
			version = v
		}
	}
	return version
}

// given reports whether the node names an input. One that is left out has no name.
func (u use) given(i int) bool { return i < len(u.node.GetInput()) && u.node.GetInput()[i] != "" }

// text is an attribute that is a word.
func (u use) text(name, otherwise string) string {
	if a := u.attributes[name]; a != nil {
		return string(a.GetS())
	}
	return otherwise
}

func without(attributes ...string) func(use) bool {
	return func(u use) bool {
		return !slices.ContainsFunc(attributes, func(name string) bool { return u.attributes[name] != nil })
	}
}

func oneResult(u use) bool { return u.results == 1 }

func noMask(u use) bool { return u.results < 2 || u.idle[u.node.GetOutput()[1]] }

func plainDropout(u use) bool { return noMask(u) && without("ratio")(u) }

// flattensNothing: the axis is the same with both defaults, 1 and -1, and all after it
// are of size 1.
func flattensNothing(u use) bool {
	shape, last := u.input(0).shape, u.attributes["axis"] != nil && u.integer("axis", 1) == -1
	if last || !shape.Known() {
		return last
	}
	before, ok := position(u.integer("axis", 1), len(shape))
	now, _ := position(u.integer("axis", -1), len(shape))
	return ok && before == now && !slices.ContainsFunc(shape[before+1:], func(d ops.Dim) bool { return d != ops.Fixed(1) })
}

// windowsBeginInside: rounding the number of windows up never adds one that begins
// after the last element. At most stride-1 elements are missing for it, and so it
// begins inside where stride + padding at the end <= window.
func windowsBeginInside(u use) bool {
	w := u.window(u.integers("kernel_shape"))
	if !w.ceil {
		return true
	}
	if u.text("auto_pad", "NOTSET") != "NOTSET" || !w.consistent(len(w.kernel)) {
		return false
	}
	for axis := range w.kernel {
		before, total := w.padding(axis)
		if w.stride(axis)+total-before > w.extent(axis) {
			return false
		}
	}
	return true
}

func saysPads(u use) bool {
	return u.attributes["output_shape"] == nil && u.text("auto_pad", "NOTSET") == "NOTSET"
}

// castsFinite: the types without an infinity are the only ones concerned, and only
// where what is too large becomes the largest number.
func castsFinite(u use) bool {
	return u.integer("saturate", 1) == 0 || !noInfinity(ops.DType(u.integer("to", 0)))
}

func castsLikeFinite(u use) bool {
	to := u.input(1).dtype
	return u.integer("saturate", 1) == 0 || to != ops.Undefined && !noInfinity(to)
}

func noInfinity(d ops.DType) bool {
	switch onnxpb.TensorProto_DataType(d) {
	case onnxpb.TensorProto_FLOAT8E4M3FNUZ, onnxpb.TensorProto_FLOAT8E5M2FNUZ:
		return true
	}
	return false
}

// secondOfThree: the default was 1 and is -2.
func secondOfThree(u use) bool { return u.attributes["axis"] == nil && len(u.input(0).shape) == 3 }

// samplesAlike: bilinear is linear now, and bicubic cubic.
func samplesAlike(u use) bool { return u.attributes["mode"] == nil || u.text("mode", "") == "nearest" }

func notNegative(u use) bool {
	indices := u.input(0)
	switch indices.dtype {
	case ops.Uint8, ops.Uint16, ops.Uint32, ops.Uint64:
		return true
	}
	negative := func(d ops.Dim) bool {
		n, known := d.Size()
		return !known || n < 0
	}
	return indices.ints != nil && !slices.ContainsFunc(indices.ints, negative)
}

// scalesOrSizes: an empty tensor of scales counts as none.
func scalesOrSizes(u use) bool {
	scales := u.given(2)
	if count, _, known := elements(u.input(2).shape); known && count == 0 {
		scales = false
	}
	return scales != u.given(3) && u.text("coordinate_transformation_mode", "") != "tf_half_pixel_for_nn"
}
