package ops_test

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
)

// opsets are those at which some operator changes its form.
var opsets = []int{9, 10, 11, 12, 13, 17, 18, 26}

// modelOf wraps the fragment that computes output as a whole model.
func modelOf(t testing.TB, b *ops.Builder, inputs []ops.Value, output ops.Value) *onnxpb.ModelProto {
	t.Helper()
	fragment, err := b.Finish(output)
	if err != nil {
		t.Fatal(err)
	}
	graph := &onnxpb.GraphProto{
		Name: proto.String("g"), Node: fragment.Nodes, ValueInfo: fragment.ValueInfo,
		Output: []*onnxpb.ValueInfoProto{ops.ValueInfo(output.Name(), output.DType(), output.Shape())},
	}
	for _, in := range inputs {
		graph.Input = append(graph.Input, ops.ValueInfo(in.Name(), in.DType(), in.Shape()))
	}
	return &onnxpb.ModelProto{
		IrVersion:   proto.Int64(10),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: proto.Int64(int64(b.Opset()))}},
		Graph:       graph,
	}
}

func run(t testing.TB, m *onnxpb.ModelProto, inputs map[string]engine.Tensor) engine.Tensor {
	t.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	session, err := interp.New().Load(raw)
	if err != nil {
		t.Fatal(err)
	}
	outputs, err := session.Run(inputs)
	if err != nil {
		t.Fatal(err)
	}
	return outputs[m.Graph.Output[0].GetName()]
}

// fixed is the shape of a tensor, each size known.
func fixed(shape []int) ops.Shape {
	s := ops.Shape{}
	for _, n := range shape {
		s = append(s, ops.Fixed(n))
	}
	return s
}

// symbolic gives equal sizes the same name.
func symbolic(shape []int) ops.Shape {
	s := ops.Shape{}
	for _, n := range shape {
		s = append(s, ops.Symbolic(fmt.Sprint("size", n)))
	}
	return s
}

func open([]int) ops.Shape { return nil }

type (
	builder = ops.Builder
	value   = ops.Value
)

func vector(numbers ...float32) engine.Tensor { return engine.Must([]int{len(numbers)}, numbers) }

func flags(numbers ...bool) engine.Tensor { return engine.Must([]int{len(numbers)}, numbers) }

func whole(numbers ...int64) engine.Tensor { return engine.Must([]int{len(numbers)}, numbers) }

func table(rows, columns int, numbers ...float32) engine.Tensor {
	return engine.Must([]int{rows, columns}, numbers)
}

var (
	nan      = float32(math.NaN())
	inf      = float32(math.Inf(1))
	sample   = table(2, 3, 1, 2, 3, 4, 6, 5)
	operands = []engine.Tensor{vector(-2, 0.5, 3), vector(1, 0.5, nan)}
)

// operatorCase is one method of the builder with inputs and what it must give.
type operatorCase struct {
	method string
	since  int // the oldest opset that has it
	inputs []engine.Tensor
	build  func(b *builder, in []value) value
	want   engine.Tensor
}

func unary(method string, f func(b *builder, x value) value, x, want engine.Tensor) operatorCase {
	return operatorCase{method, 9, []engine.Tensor{x}, func(b *builder, in []value) value { return f(b, in[0]) }, want}
}

func binary(method string, f func(b *builder, x, y value) value, want engine.Tensor) operatorCase {
	return operatorCase{method, 9, operands, func(b *builder, in []value) value { return f(b, in[0], in[1]) }, want}
}

func (c operatorCase) from(opset int) operatorCase {
	c.since = opset
	return c
}

func softmaxOf(numbers ...float64) []float64 {
	total := 0.0
	for _, x := range numbers {
		total += math.Exp(x)
	}
	row := make([]float64, len(numbers))
	for i, x := range numbers {
		row[i] = math.Exp(x) / total
	}
	return row
}

// padded puts one element before and after the numbers 1 to 3.
func padded(mode ops.PadMode, want ...float32) operatorCase {
	return unary("Pad", func(b *builder, x value) value {
		x = b.Assume(x, ops.Shape{ops.Symbolic("n")})
		return b.Pad(x, mode, []int{1}, []int{1})
	}, vector(1, 2, 3), vector(want...))
}

// each rounds f of every number.
func each(numbers []float64, f func(float64) float64) engine.Tensor {
	rounded := make([]float32, len(numbers))
	for i, x := range numbers {
		rounded[i] = float32(f(x))
	}
	return engine.Must([]int{2, 3}, rounded)
}

func operatorCases() []operatorCase {
	e := float32(math.E)
	rows := slices.Concat(softmaxOf(1, 2, 3), softmaxOf(4, 6, 5))
	columns := make([]float64, 6)
	for i, pair := range [][]float64{{1, 4}, {2, 6}, {3, 5}} {
		both := softmaxOf(pair...)
		columns[i], columns[i+3] = both[0], both[1]
	}
	same := func(x float64) float64 { return x }
	return []operatorCase{
		unary("Abs", (*builder).Abs, vector(-2, 0, 3), vector(2, 0, 3)),
		unary("Neg", (*builder).Neg, vector(-2, 0, 3), vector(2, 0, -3)),
		unary("Exp", (*builder).Exp, vector(0, 1, -inf), vector(1, e, 0)),
		unary("Log", (*builder).Log, vector(1, e, 0), vector(0, 1, -inf)),
		unary("Sqrt", (*builder).Sqrt, vector(4, 0, -1), vector(2, 0, nan)),
		unary("Reciprocal", (*builder).Reciprocal, vector(4, 0), vector(0.25, inf)),
		unary("Relu", (*builder).Relu, vector(-4, 3), vector(0, 3)),
		unary("Sigmoid", (*builder).Sigmoid, vector(0, inf, -inf), vector(0.5, 1, 0)),
		unary("Tanh", (*builder).Tanh, vector(0, inf, -inf), vector(0, 1, -1)),
		unary("Sign", (*builder).Sign, vector(-7, 0, 0.1), vector(-1, 0, 1)),
		unary("Floor", (*builder).Floor, vector(-1.5, 1.5), vector(-2, 1)),
		unary("Identity", (*builder).Identity, vector(1, 2), vector(1, 2)),
		unary("Not", (*builder).Not, flags(true, false), flags(false, true)),
		unary("IsNaN", (*builder).IsNaN, vector(1, nan), flags(false, true)),
		unary("Cast", func(b *builder, x value) value { return b.Cast(x, ops.Int64) }, vector(1, -3), whole(1, -3)),
		unary("Cast", func(b *builder, x value) value { return b.Cast(x, ops.BFloat16) }, vector(1),
			engine.Must([]int{1}, []engine.BFloat16{0x3f80})).from(13),
		binary("Add", (*builder).Add, vector(-1, 1, nan)),
		binary("Sub", (*builder).Sub, vector(-3, 0, nan)),
		binary("Mul", (*builder).Mul, vector(-2, 0.25, nan)),
		binary("Div", (*builder).Div, vector(-2, 1, nan)),
		binary("Less", (*builder).Less, flags(true, false, false)),
		binary("Greater", (*builder).Greater, flags(false, false, false)),
		binary("LessOrEqual", (*builder).LessOrEqual, flags(true, true, false)),
		binary("GreaterOrEqual", (*builder).GreaterOrEqual, flags(false, true, false)),
		binary("Equal", (*builder).Equal, flags(false, true, false)),
		{"Equal", 9, []engine.Tensor{whole(1, 2), whole(1, 3)}, func(b *builder, in []value) value { return b.Equal(in[0], in[1]) }, flags(true, false)},
		{"LessOrEqual", 9, []engine.Tensor{whole(1, 4), whole(1, 3)}, func(b *builder, in []value) value { return b.LessOrEqual(in[0], in[1]) }, flags(true, false)},
		{"Max", 9, []engine.Tensor{sample, vector(2, 9, 0)}, func(b *builder, in []value) value { return b.Max(in[0], in[1]) }, table(2, 3, 2, 9, 3, 4, 9, 5)},
		{"Min", 9, []engine.Tensor{sample, vector(2, 9, 0)}, func(b *builder, in []value) value { return b.Min(in[0], in[1]) }, table(2, 3, 1, 2, 0, 2, 6, 0)},
		{"Max", 12, []engine.Tensor{whole(1), whole(3)}, func(b *builder, in []value) value { return b.Max(in[0], in[1]) }, whole(3)},
		{"Pow", 9, []engine.Tensor{vector(2, 9), vector(3, 0.5)}, func(b *builder, in []value) value { return b.Pow(in[0], in[1]) }, vector(8, 3)},
		{"And", 9, []engine.Tensor{flags(true, true), flags(true, false)}, func(b *builder, in []value) value { return b.And(in[0], in[1]) }, flags(true, false)},
		{"Or", 9, []engine.Tensor{flags(true, false), flags(false, false)}, func(b *builder, in []value) value { return b.Or(in[0], in[1]) }, flags(true, false)},
		{"Where", 9, []engine.Tensor{flags(true, false, true), sample, vector(0, 0, 0)}, func(b *builder, in []value) value { return b.Where(in[0], in[1], in[2]) }, table(2, 3, 1, 0, 3, 4, 0, 5)},
		unary("Clip", func(b *builder, x value) value { return b.Clip(x, 2, 5) }, sample, table(2, 3, 2, 2, 3, 4, 5, 5)),
		unary("Clip", func(b *builder, x value) value { return b.Clip(x, 0, 1) }, engine.Must([]int{3}, []float64{-1, 0.1, 2}), engine.Must([]int{3}, []float64{0, 0.1, 1})),
		unary("ReduceSum", func(b *builder, x value) value { return b.ReduceSum(x, false) }, sample, engine.Scalar[float32](21)),
		unary("ReduceSum", func(b *builder, x value) value { return b.ReduceSum(x, true) }, sample, table(1, 1, 21)),
		unary("ReduceSum", func(b *builder, x value) value { return b.ReduceSum(x, false, -1) }, sample, vector(6, 15)).from(11),
		unary("ReduceSum", func(b *builder, x value) value { return b.ReduceSum(x, true, 0, 1) }, sample, table(1, 1, 21)),
		unary("ReduceMean", func(b *builder, x value) value { return b.ReduceMean(x, true, 1) }, sample, table(2, 1, 2, 5)),
		unary("ReduceMax", func(b *builder, x value) value { return b.ReduceMax(x, false, 0) }, sample, vector(4, 6, 5)),
		unary("ArgMax", func(b *builder, x value) value { return b.ArgMax(x, 1) }, table(2, 3, 1, 2, 2, 4, -6, 3), whole(1, 0)),
		unary("ReduceMin", func(b *builder, x value) value { return b.ReduceMin(x, false, 1) }, sample, vector(1, 4)),
		unary("Softmax", func(b *builder, x value) value { return b.Softmax(x, 1) }, sample, each(rows, same)),
		unary("Softmax", func(b *builder, x value) value { return b.Softmax(x, 0) }, sample, each(columns, same)),
		unary("LogSoftmax", func(b *builder, x value) value { return b.LogSoftmax(x, 1) }, sample, each(rows, math.Log)),
		unary("LogSoftmax", func(b *builder, x value) value { return b.LogSoftmax(x, 0) }, sample, each(columns, math.Log)),
		unary("LogSoftmax", func(b *builder, x value) value { return b.LogSoftmax(x, 1) }, table(1, 2, 1e30, 0), table(1, 2, 0, -1e30)),
		unary("ShapeOf", (*builder).ShapeOf, sample, whole(2, 3)),
		unary("SizeOf", (*builder).SizeOf, sample, engine.Scalar[int64](6)),
		unary("Unsqueeze", func(b *builder, x value) value { return b.Unsqueeze(x, 1) }, vector(1, 2), table(2, 1, 1, 2)),
		unary("Squeeze", func(b *builder, x value) value { return b.Squeeze(x, 0) }, table(1, 2, 3, 4), vector(3, 4)),
		unary("Flatten", (*builder).Flatten, engine.Must([]int{2, 1, 2, 1}, []float32{1, 2, 3, 4}), table(2, 2, 1, 2, 3, 4)),
		unary("Flatten", (*builder).Flatten, vector(1, 2), table(2, 1, 1, 2)),
		unary("Reshape", func(b *builder, x value) value { return b.Reshape(x, b.Int64s(3, -1), nil) }, sample, table(3, 2, 1, 2, 3, 4, 6, 5)),
		{"Concat", 9, []engine.Tensor{sample, table(2, 1, 7, 8)}, func(b *builder, in []value) value { return b.Concat(1, in...) }, table(2, 4, 1, 2, 3, 7, 4, 6, 5, 8)},
		unary("Slice", func(b *builder, x value) value { return b.Slice(x, 1, 1, 3) }, sample, table(2, 2, 2, 3, 6, 5)),
		unary("Slice", func(b *builder, x value) value { return b.Slice(x, 1, -1, math.MaxInt64) }, sample, table(2, 1, 3, 5)),
		unary("Every", func(b *builder, x value) value { return b.Every(x, 1, 0, math.MaxInt64, 2) }, sample, table(2, 2, 1, 3, 4, 5)),
		unary("Every", func(b *builder, x value) value { return b.Every(x, 0, 1, -1, 2) }, vector(1, 2, 3, 4, 5), vector(2, 4)),
		unary("Atan", (*builder).Atan, vector(0, 1, -1e9), vector(0, math.Pi/4, -math.Pi/2)),
		{"Angle", 9, []engine.Tensor{vector(0, 1, -1, 0), vector(1, 1, 0, 0)}, func(b *builder, in []value) value { return b.Angle(in[0], in[1]) }, vector(0, math.Pi/4, -math.Pi/2, 0)},
		unary("Gather", func(b *builder, x value) value { return b.Gather(x, b.Constant(ops.Int64, nil, []float64{2}), -1) }, sample, vector(3, 5)).from(11),
		unary("Slice", func(b *builder, x value) value { return b.Slice(x, -1, 1, 3) }, sample, table(2, 2, 2, 3, 6, 5)).from(11),
		{"Concat", 11, []engine.Tensor{sample, table(2, 1, 7, 8)}, func(b *builder, in []value) value { return b.Concat(-1, in...) }, table(2, 4, 1, 2, 3, 7, 4, 6, 5, 8)},
		unary("Transpose", func(b *builder, x value) value { return b.Transpose(x, 1, 0) }, sample, table(3, 2, 1, 4, 2, 6, 3, 5)),
		{"MatMul", 9, []engine.Tensor{sample, table(3, 1, 1, 10, 100)}, func(b *builder, in []value) value { return b.MatMul(in[0], in[1]) }, table(2, 1, 321, 564)},
		padded(ops.PadZero, 0, 1, 2, 3, 0),
		padded(ops.PadReflect, 2, 1, 2, 3, 2).from(11),
		padded(ops.PadEdge, 1, 1, 2, 3, 3).from(11),
		unary("Detach", func(b *builder, x value) value { return b.Detach(x, "held") }, vector(1, 2), vector(1, 2)),
		{"Gather", 9, []engine.Tensor{vector(5, 6, 7), whole(2, 0)}, func(b *builder, in []value) value { return b.Gather(in[0], in[1], 0) }, vector(7, 5)},
		{"Pick", 9, []engine.Tensor{sample, whole(2, 1)}, func(b *builder, in []value) value { return b.Pick(in[0], in[1], 1) }, vector(3, 6)},
		{"Pick", 9, []engine.Tensor{engine.Must([]int{1, 2, 2}, []float32{1, -inf, nan, 4}), engine.Must([]int{1, 2}, []int32{0, 1})}, func(b *builder, in []value) value { return b.Pick(in[0], in[1], 1) }, table(1, 2, 1, 4)},
		{"Pick", 11, []engine.Tensor{sample, whole(2, 1)}, func(b *builder, in []value) value { return b.Pick(in[0], in[1], -1) }, vector(3, 6)},
		unary("Filled", func(b *builder, x value) value { return b.Filled(b.ShapeOf(x), ops.Float32, 0.5, x.Shape()) }, vector(1, 2), vector(0.5, 0.5)),
		{"AlongAxis1", 9, []engine.Tensor{vector(10, 20, 30), sample}, func(b *builder, in []value) value { return b.Add(in[1], b.AlongAxis1(in[0], in[1])) }, table(2, 3, 11, 22, 33, 14, 26, 35)},
		{"Range", 9, []engine.Tensor{engine.Scalar[int64](3)}, func(b *builder, in []value) value { return b.Range(in[0]) }, whole(0, 1, 2)},
		unary("Scalar", func(b *builder, x value) value { return b.Add(x, b.Scalar(x, 0.1)) }, engine.Must([]int{1}, []float64{0}), engine.Must([]int{1}, []float64{0.1})),
		unary("Constant", func(b *builder, x value) value { return b.Mul(x, b.Constant(ops.Float32, []int{2}, []float64{2, 3})) }, vector(1, 2), vector(2, 6)),
		unary("Int64s", func(b *builder, x value) value { return b.Add(x, b.Int64s(math.MaxInt64, math.MinInt64)) }, whole(0, 0), whole(math.MaxInt64, math.MinInt64)),
		unary("Log1p", (*builder).Log1p, vector(0, 1), vector(0, math.Ln2)),
		unary("ScaledLog1p", func(b *builder, x value) value { return b.ScaledLog1p(-2, x) }, vector(0, 1), vector(0, -2*math.Ln2)),
		unary("Expm1", (*builder).Expm1, vector(0, 1e-6, 1, -inf), vector(0, 1.0000005e-6, e-1, -1)),
		unary("LogOnePlus", func(b *builder, x value) value { return b.LogOnePlus(x, 1e-9) }, vector(0, 1e-6, 3, -1), vector(0, 0.9999995e-6, 2*math.Ln2, -inf)),
		unary("LogT", func(b *builder, x value) value { return b.LogT(x, 0.5) }, vector(4, 1, 0), vector(2, 0, -2)),
		unary("LogT", func(b *builder, x value) value { return b.LogT(x, 2) }, vector(4, 1, 0), vector(0.75, 0, -inf)),
		unary("LogT", func(b *builder, x value) value { return b.LogT(x, 1) }, vector(e, 1, 0), vector(1, 0, -inf)),
		unary("LogT", func(b *builder, x value) value { return b.LogT(x, 0) }, vector(4, 1, 0), vector(3, 0, -1)),
		unary("LogTOfLog", func(b *builder, x value) value { return b.LogTOfLog(x, 2) }, vector(math.Ln2, 0, -inf), vector(0.5, 0, -inf)),
		unary("LogTOfLog", func(b *builder, x value) value { return b.LogTOfLog(x, 0) }, vector(math.Ln2, 0, -inf), vector(1, 0, -1)),
		unary("ExpT", func(b *builder, x value) value { return b.ExpT(x, 0.5) }, vector(2, 0, -1, -9), vector(4, 1, 0.25, 0)),
		unary("ExpT", func(b *builder, x value) value { return b.ExpT(x, 1.5) }, vector(1, 0, -2, 2, 9), vector(4, 1, 0.25, inf, inf)),
		unary("ExpT", func(b *builder, x value) value { return b.ExpT(x, 1) }, vector(1, 0), vector(e, 1)),
		unary("PowConst", func(b *builder, x value) value { return b.PowConst(x, 2.5) }, vector(4, 0), vector(32, 0)),
	}
}

func TestOperatorsComputeAtEveryOpset(t *testing.T) {
	forms := map[string]func([]int) ops.Shape{"fixed": fixed, "symbolic": symbolic, "open": open}
	for _, c := range operatorCases() {
		for _, opset := range opsets {
			for form, shape := range forms {
				if opset < c.since {
					continue
				}
				t.Run(fmt.Sprint(c.method, "/", opset, "/", form), func(t *testing.T) { c.run(t, opset, shape) })
			}
		}
	}
}

func (c operatorCase) run(t *testing.T, opset int, shape func([]int) ops.Shape) {
	b := ops.NewBuilder(opset, "p/", nil)
	var in []value
	given := map[string]engine.Tensor{}
	for i, tensor := range c.inputs {
		name := fmt.Sprint("in", i)
		in = append(in, b.Input(name, tensor.DType(), shape(tensor.Shape())))
		given[name] = tensor
	}
	out := c.build(b, in)
	got := run(t, modelOf(t, b, in, out), given)
	// the absolute part is for LogSoftmax, a difference
	if err := engine.Diff(got, c.want, engine.Tolerance{ULP: 4, Abs: 1e-7}); err != nil {
		t.Errorf("got %v: %v", got.Float64s(), err)
	}
	if out.DType() != got.DType() {
		t.Errorf("the value says %s, the result is %s", out.DType(), got.DType())
	}
	known := out.Shape()
	if known.Known() && len(known) != len(got.Shape()) {
		t.Fatalf("the value says shape %s, the result has %v", known, got.Shape())
	}
	for i, d := range known {
		if n, ok := d.Size(); ok && n != got.Shape()[i] {
			t.Errorf("the value says shape %s, the result has %v", known, got.Shape())
		}
	}
}

func TestEveryMethodThatEmitsHasACase(t *testing.T) {
	others := []string{"Assume", "Err", "Fail", "Finish", "Input", "Label", "Opset", "Output"}
	covered := map[string]bool{}
	for _, c := range operatorCases() {
		covered[c.method] = true
	}
	methods := reflect.TypeFor[*ops.Builder]()
	for i := range methods.NumMethod() {
		if name := methods.Method(i).Name; !covered[name] && !slices.Contains(others, name) {
			t.Errorf("%s has no case in operatorCases", name)
		}
	}
}

func TestInterpreterHasEveryOperatorAtEveryOpset(t *testing.T) {
	support := map[string]interp.Support{}
	for _, s := range interp.Operators() {
		support[s.Operator] = s
	}
	for _, c := range operatorCases() {
		for opset := c.since; opset <= ops.MaxOpset; opset++ {
			b := ops.NewBuilder(opset, "", nil)
			var in []value
			for i, tensor := range c.inputs {
				in = append(in, b.Input(fmt.Sprint("in", i), tensor.DType(), nil))
			}
			for _, n := range modelOf(t, b, in, c.build(b, in)).Graph.Node {
				if s, ok := support[n.GetOpType()]; !ok || opset < s.First || opset > s.Last {
					t.Errorf("%s at opset %d emits %s, which the interpreter has from %d to %d", c.method, opset, n.GetOpType(), s.First, s.Last)
				}
			}
		}
	}
}

// written lists the operators of a graph, constants left out: name, number of
// inputs, attributes.
func written(t *testing.T, opset int, dtype ops.DType, build func(b *builder, x value) value) string {
	t.Helper()
	b := ops.NewBuilder(opset, "", nil)
	x := b.Input("x", dtype, ops.Shape{ops.Symbolic("N"), ops.Symbolic("C")})
	var nodes []string
	for _, n := range modelOf(t, b, []value{x}, build(b, x)).Graph.Node {
		if n.GetOpType() == "Constant" {
			continue
		}
		text := fmt.Sprint(n.GetOpType(), len(n.GetInput()))
		for _, a := range n.GetAttribute() {
			text += " " + a.GetName()
		}
		nodes = append(nodes, text)
	}
	return strings.Join(nodes, ", ")
}

func TestEachOpsetGetsItsForm(t *testing.T) {
	sum := func(b *builder, x value) value { return b.ReduceSum(x, true, 1) }
	largest := func(b *builder, x value) value { return b.ReduceMax(x, false, 1) }
	clip := func(b *builder, x value) value { return b.Clip(x, 0, 1) }
	slice := func(b *builder, x value) value { return b.Slice(x, 1, 0, 1) }
	every := func(b *builder, x value) value { return b.Every(x, 1, 0, -1, 2) }
	equal := func(b *builder, x value) value { return b.Equal(x, b.Scalar(x, 0)) }
	pick := func(b *builder, x value) value {
		return b.Pick(x, b.Cast(b.ReduceSum(x, false, 1), ops.Int64), 1)
	}
	unsqueeze := func(b *builder, x value) value { return b.Unsqueeze(x, 0) }
	squeeze := func(b *builder, x value) value { return b.Squeeze(x, 0) }
	logSoftmax := func(b *builder, x value) value { return b.LogSoftmax(x, 1) }
	softmax := func(b *builder, x value) value { return b.Softmax(x, 1) }
	inner := func(b *builder, x value) value { return b.Softmax(x, 0) }
	notLess := func(b *builder, x value) value { return b.GreaterOrEqual(x, b.Scalar(x, 0)) }
	notGreater := func(b *builder, x value) value { return b.LessOrEqual(x, b.Scalar(x, 0)) }
	const parts = "ReduceMax1 keepdims axes, Sub2, Exp1, ReduceSum1 keepdims axes"
	tests := []struct {
		method      string
		dtype       ops.DType
		build       func(b *builder, x value) value
		first, last int // opsets
		want        string
	}{
		{"ReduceSum", ops.Float32, sum, 9, 12, "ReduceSum1 keepdims axes"},
		{"ReduceSum", ops.Float32, sum, 13, 26, "ReduceSum2 keepdims"},
		{"ReduceMax", ops.Float32, largest, 9, 17, "ReduceMax1 keepdims axes"},
		{"ReduceMax", ops.Float32, largest, 18, 26, "ReduceMax2 keepdims"},
		{"Clip", ops.Float32, clip, 9, 10, "Clip1 min max"},
		{"Clip", ops.Float32, clip, 11, 26, "Clip3"},
		{"Clip", ops.Float64, clip, 9, 11, "Max2, Min2"},
		{"Clip", ops.Float64, clip, 12, 26, "Clip3"},
		{"Slice", ops.Float32, slice, 9, 9, "Slice1 starts ends axes"},
		{"Slice", ops.Float32, slice, 10, 10, "Shape1, Gather2 axis, Sub2, Add2, Slice4"},
		{"Slice", ops.Float32, slice, 11, 26, "Slice4"},
		{"Every", ops.Float32, every, 11, 26, "Slice5"},
		{"Equal", ops.Float32, equal, 9, 10, "Less2, Greater2, Or2, IsNaN1, IsNaN1, Or2, Or2, Not1"},
		{"Equal", ops.Float32, equal, 11, 26, "Equal2"},
		{"Pick", ops.Float32, pick, 11, 12, "ReduceSum1 keepdims axes, Cast1 to, Unsqueeze1 axes, GatherElements2 axis, Squeeze1 axes"},
		{"Unsqueeze", ops.Float32, unsqueeze, 9, 12, "Unsqueeze1 axes"},
		{"Unsqueeze", ops.Float32, unsqueeze, 13, 26, "Unsqueeze2"},
		{"Squeeze", ops.Float32, squeeze, 9, 12, "Squeeze1 axes"},
		{"Squeeze", ops.Float32, squeeze, 13, 26, "Squeeze2"},
		{"LogSoftmax", ops.Float32, logSoftmax, 9, 12, parts + ", Log1, Sub2"},
		{"LogSoftmax", ops.Float32, logSoftmax, 13, 26, "LogSoftmax1 axis"},
		{"Softmax", ops.Float32, softmax, 9, 12, parts + ", Div2"},
		{"Softmax", ops.Float32, softmax, 13, 26, "Softmax1 axis"},
		{"Softmax of an inner axis", ops.Float32, inner, 13, 17, "ReduceMax1 keepdims axes, Sub2, Exp1, ReduceSum2 keepdims, Div2"},
		{"GreaterOrEqual", ops.Float32, notLess, 11, 11, "Greater2, Equal2, Or2"},
		{"GreaterOrEqual", ops.Float32, notLess, 12, 26, "GreaterOrEqual2"},
		{"LessOrEqual", ops.Int64, notGreater, 9, 11, "Less2, Equal2, Or2"},
		{"LessOrEqual", ops.Int64, notGreater, 12, 26, "LessOrEqual2"},
	}
	for _, test := range tests {
		for opset := test.first; opset <= test.last; opset++ {
			if got := written(t, opset, test.dtype, test.build); got != test.want {
				t.Errorf("%s of %s at opset %d: got %s, want %s", test.method, test.dtype, opset, got, test.want)
			}
		}
	}
}
