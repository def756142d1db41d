package interp_test

import (
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
)

var internal = regexp.MustCompile("internal error")

func attributes(list ...*onnxpb.AttributeProto) []*onnxpb.AttributeProto { return list }

func grid(rows, columns int, list ...float32) engine.Tensor {
	return engine.Must([]int{rows, columns}, list)
}

func TestMeaningDependsOnTheOpset(t *testing.T) {
	cube := engine.Must([]int{1, 2, 2}, []float32{0, 0, 0, 0})
	for _, c := range []struct {
		name, op   string
		opset      int
		attributes []*onnxpb.AttributeProto
		inputs     []engine.Tensor
		want       engine.Tensor
	}{
		{"Softmax is of a matrix before 13", "Softmax", 12, nil, []engine.Tensor{cube}, engine.Must([]int{1, 2, 2}, []float32{.25, .25, .25, .25})},
		{"Softmax is along one axis from 13", "Softmax", 13, nil, []engine.Tensor{cube}, engine.Must([]int{1, 2, 2}, []float32{.5, .5, .5, .5})},
		{"Hardmax is of a matrix before 13", "Hardmax", 11, nil, []engine.Tensor{cube}, engine.Must([]int{1, 2, 2}, []float32{1, 0, 0, 0})},
		{"Unsqueeze has an attribute at 11", "Unsqueeze", 11, attributes(integers("axes", 0)), []engine.Tensor{vector(1, 2)}, grid(1, 2, 1, 2)},
		{"Unsqueeze has an input at 13", "Unsqueeze", 13, nil, []engine.Tensor{vector(1, 2), indices(-1)}, grid(2, 1, 1, 2)},
		{"ReduceSum has an attribute at 12", "ReduceSum", 12, attributes(integers("axes", 1), integer("keepdims", 0)), []engine.Tensor{grid(2, 2, 1, 2, 3, 4)}, vector(3, 7)},
		{"ReduceSum has an input at 13", "ReduceSum", 13, attributes(integer("keepdims", 0)), []engine.Tensor{grid(2, 2, 1, 2, 3, 4), indices(1)}, vector(3, 7)},
		{"ReduceMean has an attribute at 17", "ReduceMean", 17, attributes(integers("axes", 0), integer("keepdims", 0)), []engine.Tensor{grid(2, 2, 1, 2, 3, 4)}, vector(2, 3)},
		{"ReduceMean has an input at 18", "ReduceMean", 18, attributes(integer("keepdims", 0)), []engine.Tensor{grid(2, 2, 1, 2, 3, 4), indices(0)}, vector(2, 3)},
		{"no axes can mean none", "ReduceSumSquare", 18, attributes(integer("noop_with_empty_axes", 1)), []engine.Tensor{vector(2, 3)}, vector(4, 9)},
		{"Clip has attributes at 10", "Clip", 10, attributes(float("max", 1)), []engine.Tensor{vector(-5, 5)}, vector(-5, 1)},
		{"Clip has inputs at 11", "Clip", 11, nil, []engine.Tensor{vector(-5, 5), {}, engine.Scalar(float32(1))}, vector(-5, 1)},
		{"Slice has attributes at 9", "Slice", 9, attributes(integers("starts", 1), integers("ends", 9)), []engine.Tensor{vector(1, 2, 3)}, vector(2, 3)},
		{"Slice has inputs and steps at 10", "Slice", 10, nil, []engine.Tensor{vector(1, 2, 3), indices(-1), indices(math.MinInt64), indices(0), indices(-2)}, vector(3, 1)},
		{"Pad has attributes at 2", "Pad", 2, attributes(integers("pads", 1, 0), float("value", 7)), []engine.Tensor{vector(1)}, vector(7, 1)},
		{"Pad has inputs at 11", "Pad", 11, nil, []engine.Tensor{vector(1), indices(0, 1), engine.Scalar(float32(7))}, vector(1, 7)},
		{"Pad names axes at 18", "Pad", 18, nil, []engine.Tensor{grid(1, 1, 1), indices(0, 1), {}, indices(1)}, grid(1, 2, 1, 0)},
		{"Dropout has an attribute at 11", "Dropout", 11, attributes(float("ratio", 0.9)), []engine.Tensor{vector(1)}, vector(1)},
		{"Dropout has an input at 12", "Dropout", 12, nil, []engine.Tensor{vector(1), engine.Scalar(float32(0.9))}, vector(1)},
		{"TopK has an attribute at 9", "TopK", 9, attributes(integer("k", 1)), []engine.Tensor{vector(1, 3, 2)}, vector(3)},
		{"TopK has an input at 11", "TopK", 11, attributes(integer("largest", 0)), []engine.Tensor{vector(2, 1, 3), indices(1)}, vector(1)},
		{"Split has an attribute at 11", "Split", 11, attributes(integers("split", 1, 2)), []engine.Tensor{vector(1, 2, 3)}, vector(1)},
		{"Split has an input at 13", "Split", 13, nil, []engine.Tensor{vector(1, 2, 3), indices(2, 1)}, vector(1, 2)},
		{"Split has uneven parts at 18", "Split", 18, attributes(integer("num_outputs", 2)), []engine.Tensor{vector(1, 2, 3)}, vector(1, 2)},
		{"Upsample has an attribute at 8", "Upsample", 8, attributes(&onnxpb.AttributeProto{Name: ptr("scales"), Type: onnxpb.AttributeProto_FLOATS.Enum(), Floats: []float32{2}}), []engine.Tensor{vector(1, 2)}, vector(1, 1, 2, 2)},
		{"Resize repeats pixels at 10", "Resize", 10, nil, []engine.Tensor{vector(1, 2), vector(2)}, vector(1, 1, 2, 2)},
		{"Reshape copies at 0", "Reshape", 14, nil, []engine.Tensor{vector(1, 2), indices(0, 1)}, grid(2, 1, 1, 2)},
	} {
		t.Run(c.name, func(t *testing.T) { same(t, apply(t, c.op, c.opset, c.attributes, c.inputs...), c.want) })
	}
}

func ptr[T any](x T) *T { return &x }

func TestExtremesStayExact(t *testing.T) {
	inf := float32(math.Inf(1))
	nan := float32(math.NaN())
	log2 := float32(math.Ln2)
	for _, c := range []struct {
		name, op   string
		attributes []*onnxpb.AttributeProto
		inputs     []engine.Tensor
		want       engine.Tensor
	}{
		{
			"Softplus at both ends", "Softplus", nil,
			[]engine.Tensor{vector(-1e4, -100, -20, 0, 20, 100, 1e4, inf, -inf)},
			vector(0, 3.7835059e-44, 2.0611537e-9, log2, 20, 100, 1e4, inf, 0),
		},
		{"Sigmoid at both ends", "Sigmoid", nil, []engine.Tensor{vector(-1e4, -80, 0, 80, 1e4)}, vector(0, 1.8048513e-35, .5, 1, 1)},
		{"Softmax of huge scores", "Softmax", nil, []engine.Tensor{vector(1e4, -1e4, 1e4)}, vector(.5, 0, .5)},
		{"Softmax of equal scores", "Softmax", nil, []engine.Tensor{vector(3e38, 3e38)}, vector(.5, .5)},
		{"LogSoftmax of huge scores", "LogSoftmax", nil, []engine.Tensor{vector(1e4, -1e4)}, vector(0, -2e4)},
		{"LogSoftmax of equal huge scores keeps its digits", "LogSoftmax", nil, []engine.Tensor{vector(3e38, 3e38)}, vector(-log2, -log2)},
		{"Hardmax with NaN", "Hardmax", nil, []engine.Tensor{vector(nan, 1)}, vector(1, 0)},
		{"LogSoftmax of -Inf", "LogSoftmax", nil, []engine.Tensor{vector(0, -inf)}, vector(0, -inf)},
		{"ReduceLogSumExp of huge scores", "ReduceLogSumExp", nil, []engine.Tensor{vector(1e4, 1e4)}, vector(1e4 + log2)},
		{"ReduceSum of many small numbers", "ReduceSum", nil, []engine.Tensor{vector(1e8, 1, 1, 1, 1, 1, 1, 1, 1)}, vector(1e8 + 8)},
		{"Max keeps NaN", "Max", nil, []engine.Tensor{vector(1, nan), vector(nan, 1)}, vector(nan, nan)},
		{"Relu keeps NaN", "Relu", nil, []engine.Tensor{vector(nan, -1)}, vector(nan, 0)},
		{"ReduceL1 of the smallest integer", "ReduceL1", nil, []engine.Tensor{engine.Must([]int{2}, []int16{-128, -100})}, engine.Must([]int{1}, []int16{228})},
		{"ReduceL1 of unsigned integers", "ReduceL1", nil, []engine.Tensor{engine.Must([]int{2}, []uint8{5, 6})}, engine.Must([]int{1}, []uint8{11})},
		{"int64 arithmetic is exact", "Add", nil, []engine.Tensor{indices(math.MaxInt64 - 1), indices(1)}, indices(math.MaxInt64)},
		{"int64 sums are exact", "ReduceSum", nil, []engine.Tensor{indices(1<<53, 1)}, indices(1<<53 + 1)},
		{"int64 powers are exact", "Pow", nil, []engine.Tensor{indices(3), indices(39)}, indices(4052555153018976267)},
		{"integers divide towards zero", "Div", nil, []engine.Tensor{indices(-7), indices(2)}, indices(-3)},
		{"Mod has the sign of the divisor", "Mod", nil, []engine.Tensor{indices(-7, 7), indices(3, -3)}, indices(2, -2)},
		{
			"half types round once", "Add", nil,
			[]engine.Tensor{
				engine.Must([]int{1}, []engine.Float16{engine.Float16(ops.Float16Bits(2048))}),
				engine.Must([]int{1}, []engine.Float16{engine.Float16(ops.Float16Bits(1))}),
			},
			engine.Must([]int{1}, []engine.Float16{engine.Float16(ops.Float16Bits(2048))}),
		},
		{"the sum of nothing", "ReduceSum", nil, []engine.Tensor{vector()}, vector(0)},
		{"the maximum of nothing", "ReduceMax", nil, []engine.Tensor{vector()}, vector(-inf)},
		{"Gather counts from the end", "Gather", nil, []engine.Tensor{vector(1, 2, 3), indices(-1)}, vector(3)},
		{"Einsum keeps the element type of nothing", "Einsum", attributes(text("equation", "i->i")), []engine.Tensor{indices()}, indices()},
		{"MatMul over no elements", "MatMul", nil, []engine.Tensor{grid(2, 0), grid(0, 1)}, grid(2, 1, 0, 0)},
	} {
		t.Run(c.name, func(t *testing.T) { same(t, apply(t, c.op, 17, c.attributes, c.inputs...), c.want) })
	}
}

func TestClassLosses(t *testing.T) {
	logits := grid(3, 2, 0, 0, 1e4, -1e4, 0, 0)
	log2 := float32(math.Ln2)
	nan := float32(math.NaN())
	for _, c := range []struct {
		name       string
		attributes []*onnxpb.AttributeProto
		labels     engine.Tensor
		weights    engine.Tensor
		want       engine.Tensor
	}{
		{"none", attributes(text("reduction", "none")), indices(0, 1, 1), engine.Tensor{}, vector(log2, 2e4, log2)},
		{"sum", attributes(text("reduction", "sum")), indices(0, 0, 1), engine.Tensor{}, engine.Scalar(2 * log2)},
		{"a weighted mean divides by the weights", nil, indices(0, 0, 1), vector(1, 3), engine.Scalar(4 * log2 / 5)},
		{"ignored labels do not count", attributes(integer("ignore_index", -1)), indices(0, -1, -1), engine.Tensor{}, engine.Scalar(log2)},
		{"the mean of nothing", attributes(integer("ignore_index", -1)), indices(-1, -1, -1), engine.Tensor{}, engine.Scalar(nan)},
	} {
		t.Run(c.name, func(t *testing.T) {
			same(t, apply(t, "SoftmaxCrossEntropyLoss", 17, c.attributes, logits, c.labels, c.weights), c.want)
		})
	}
}

// Bad values that only show when running, and what is said about them.
func TestRunTimeErrors(t *testing.T) {
	for _, c := range []struct {
		name, op   string
		attributes []*onnxpb.AttributeProto
		inputs     []engine.Tensor
		want       string
	}{
		{"label", "NegativeLogLikelihoodLoss", nil, []engine.Tensor{grid(1, 2, 0, 0), indices(2)}, "labels[0]: class 2 is out of range [0, 1]"},
		{"label does not wrap", "SoftmaxCrossEntropyLoss", nil, []engine.Tensor{grid(1, 2, 0, 0), indices(-1)}, "labels[0]: class -1 is out of range [0, 1]"},
		{"index of Gather", "Gather", nil, []engine.Tensor{vector(1), indices(0, 1)}, "indices[1]: index 1 is out of range [-1, 0]"},
		{"index of GatherElements", "GatherElements", nil, []engine.Tensor{vector(1), indices(-2)}, "indices[0]: index -2 is out of range [-1, 0]"},
		{"index of GatherND", "GatherND", nil, []engine.Tensor{vector(1), engine.Must([]int{1, 1}, []int64{5})}, "indices, row 0: index 5 is out of range [-1, 0]"},
		{"index of ScatterND", "ScatterND", nil, []engine.Tensor{vector(1), engine.Must([]int{1, 1}, []int64{5}), vector(1)}, "index 5 is out of range"},
		{"shapes that do not broadcast", "Add", nil, []engine.Tensor{vector(1, 2), vector(1, 2, 3)}, "shapes [[2] [3]] do not broadcast: axis 1 from the end is 2 and 3"},
		{"integer division by zero", "Div", nil, []engine.Tensor{indices(1, 2), indices(1, 0)}, "division of integers by zero: element 1"},
		{"integer remainder by zero", "Mod", nil, []engine.Tensor{indices(1), indices(0)}, "division of integers by zero"},
		{"integer to a negative power", "Pow", nil, []engine.Tensor{indices(2), indices(-1)}, "negative power"},
		{"axis", "Softmax", attributes(integer("axis", 1)), []engine.Tensor{vector(1)}, "axis 1 is out of range [-1, 0]"},
		{"reshape", "Reshape", nil, []engine.Tensor{vector(1, 2, 3), indices(2, -1)}, "3 elements do not divide by 2"},
		{"giant Expand", "Expand", nil, []engine.Tensor{vector(1), indices(1<<40, 1)}, "more than the limit"},
		{"giant Expand within int64", "Expand", nil, []engine.Tensor{vector(1), indices(1<<30, 1)}, "more than the limit"},
		{"giant ConstantOfShape", "ConstantOfShape", nil, []engine.Tensor{indices(1 << 30)}, "more than the limit"},
		{"giant Tile", "Tile", nil, []engine.Tensor{vector(1, 2), indices(1 << 62)}, "too many elements"},
		{"giant Pad", "Pad", nil, []engine.Tensor{vector(1), indices(1<<62, 0)}, "beyond the limit"},
		{"giant Range", "Range", nil, []engine.Tensor{engine.Scalar(float32(0)), engine.Scalar(float32(1e30)), engine.Scalar(float32(1))}, "too many elements"},
		{"Range that does not move", "Range", nil, []engine.Tensor{engine.Scalar(float32(0)), engine.Scalar(float32(1)), engine.Scalar(float32(0))}, "the step is 0"},
		{"giant OneHot", "OneHot", nil, []engine.Tensor{indices(0, 1), indices(1 << 30), vector(0, 1)}, "more than the limit"},
		{"giant Resize", "Resize", nil, []engine.Tensor{vector(1), {}, vector(1e20)}, "more than the limit"},
		{
			"giant strides", "MaxPool", attributes(integers("kernel_shape", 1), integers("strides", 1<<62)),
			[]engine.Tensor{engine.Must([]int{1, 1, 1}, []float32{0})},
			"strides",
		},
		{
			"gigantic window", "MaxPool", attributes(integers("kernel_shape", 9)),
			[]engine.Tensor{engine.Must([]int{1, 1, 4}, make([]float32, 4))},
			"the window reaches over 9 elements, but axis 2 has 4",
		},
		{"training", "Dropout", nil, []engine.Tensor{vector(1), engine.Scalar(float32(.5)), engine.Scalar(true)}, "results would be random"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, err := interp.NewOperator(c.op, 17, 1, c.attributes)
			if err == nil {
				_, err = o.Apply(c.inputs)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || internal.MatchString(err.Error()) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

// A window may be mostly padding: what lies in the padding must cost nothing.
func TestHugePaddingIsNotWalkedOver(t *testing.T) {
	began := time.Now()
	apply(t, "MaxPool", 17, attributes(integers("kernel_shape", 1<<29), integers("pads", 1<<28, 1<<28)),
		engine.Must([]int{1, 1, 2}, []float32{1, 2}))
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %v", took)
	}
}

func benchmark(b *testing.B, op string, attributes []*onnxpb.AttributeProto, inputs ...engine.Tensor) {
	o, err := interp.NewOperator(op, 17, 1, attributes)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := o.Apply(inputs); err != nil {
			b.Fatal(err)
		}
	}
}

func ramp(shape ...int) engine.Tensor {
	x, err := engine.Zeros(ops.Float32, shape)
	if err != nil {
		panic(err)
	}
	for i := range engine.Data[float32](x) {
		engine.Data[float32](x)[i] = float32(i%1000)/500 - 1
	}
	return x
}

func BenchmarkAdd(b *testing.B)       { benchmark(b, "Add", nil, ramp(1<<20), ramp(1<<20)) }
func BenchmarkMulScalar(b *testing.B) { benchmark(b, "Mul", nil, ramp(1<<20), vector(3)) }
func BenchmarkExp(b *testing.B)       { benchmark(b, "Exp", nil, ramp(1<<20)) }
func BenchmarkReduceSum(b *testing.B) { benchmark(b, "ReduceSum", nil, ramp(1<<20)) }
func BenchmarkSoftmax(b *testing.B)   { benchmark(b, "Softmax", nil, ramp(1<<10, 1<<10)) }
func BenchmarkMatMul(b *testing.B)    { benchmark(b, "MatMul", nil, ramp(512, 512), ramp(512, 512)) }

func BenchmarkConv(b *testing.B) {
	benchmark(b, "Conv", attributes(integers("pads", 1, 1, 1, 1)), ramp(1, 64, 56, 56), ramp(64, 64, 3, 3))
}
