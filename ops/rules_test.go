package ops_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

func shapeOf(t *testing.T, text string) ops.Shape {
	t.Helper()
	shape, err := ops.ParseShape(text)
	if err != nil {
		t.Fatal(err)
	}
	return shape
}

func TestBuilderRefusesWhatAnOpsetOrAShapeDoesNotAllow(t *testing.T) {
	tests := []struct {
		opset   int
		build   func(b *builder, x, i value)
		message string
	}{
		{8, func(*builder, value, value) {}, "ops: opset 8 is not supported; use 9 to 26"},
		{27, func(*builder, value, value) {}, "ops: opset 27 is not supported; use 9 to 26"},
		{11, func(b *builder, _, i value) { b.Max(i, i) }, "ops: Max of int64 needs opset 12, got 11"},
		{10, func(b *builder, x, i value) { b.Pick(x, b.Cast(b.ReduceSum(x, false, 0), ops.Int64), 0) }, "ops: GatherElements needs opset 11, got 10"},
		{10, func(b *builder, _, _ value) { b.ReduceSum(b.Input("y", ops.Float32, nil), false, -1) }, "ops: ReduceSum: axis -1 of a tensor of unknown rank needs opset 11, got 10"},
		{10, func(b *builder, _, _ value) { b.Unsqueeze(b.Input("y", ops.Float32, nil), -1) }, "ops: Unsqueeze: axis -1 of a tensor of unknown rank needs opset 11, got 10"},
		{12, func(b *builder, x, _ value) { b.Cast(x, ops.BFloat16) }, "ops: Cast of float32 to bfloat16 needs opset 13, got 12"},
		{17, func(b *builder, x, i value) { b.Add(x, i) }, "ops: Add: the operands are float32 and int64; cast one"},
		{17, func(b *builder, x, _ value) { b.Where(x, x, x) }, "ops: Where: the condition is float32, not bool"},
		{17, func(b *builder, x, _ value) { b.Add(x, b.Input("w", ops.Float32, fixed([]int{4}))) }, "ops: Add: shapes [N,3] and [4] do not fit together"},
		{17, func(b *builder, x, _ value) { b.Where(b.Input("c", ops.Bool, fixed([]int{4})), x, x) }, "ops: Where: the condition's shape [4] does not fit [N,3]"},
		{17, func(b *builder, x, _ value) { b.ReduceSum(x, true, 2) }, "ops: ReduceSum: axes [2] do not fit shape [N,3]"},
		{17, func(b *builder, x, _ value) { b.Unsqueeze(x, 4) }, "ops: Unsqueeze: axis 4 does not fit shape [N,3]"},
		{17, func(b *builder, x, _ value) { b.Squeeze(x, -3) }, "ops: Squeeze: axis -3 does not fit shape [N,3]"},
		{17, func(b *builder, x, _ value) { b.Squeeze(x, 1) }, "ops: Squeeze: axis 1 of shape [N,3] is not of size 1"},
		{17, func(b *builder, x, _ value) { b.Slice(x, 2, 0, 1) }, "ops: Slice: axis 2 does not fit shape [N,3]"},
		{17, func(b *builder, x, _ value) { b.Slice(x, -3, 0, 1) }, "ops: Slice: axis -3 does not fit shape [N,3]"},
		{10, func(b *builder, _, _ value) { b.Slice(b.Input("y", ops.Float32, nil), -1, 0, 1) }, "ops: Slice: axis -1 of a tensor of unknown rank needs opset 11, got 10"},
		{17, func(b *builder, x, i value) { b.Gather(x, i, -3) }, "ops: Gather: axis -3 does not fit shape [N,3]"},
		{17, func(b *builder, x, i value) { b.Gather(x, i, 2) }, "ops: Gather: axis 2 does not fit shape [N,3]"},
		{17, func(b *builder, x, _ value) { b.AlongAxis1(x, b.ReduceSum(x, false, 0)) }, "ops: a vector along axis 1 needs a tensor of rank 2 or more, got shape [3]"},
		{17, func(b *builder, _, _ value) { b.Concat(0) }, "ops: Concat: nothing to join"},
		{17, func(b *builder, _, _ value) { b.Exp(value{}) }, "ops: Exp: its input 0 is not there"},
		{17, func(b *builder, x, _ value) { b.Gather(x, value{}, 0) }, "ops: Gather: its input 1 is not there"},
		{17, func(b *builder, _, _ value) { b.Constant(ops.Float32, []int{2}, []float64{1}) }, "ops: constant: shape [2] needs 2 numbers, got 1"},
		{17, func(b *builder, _, _ value) { b.Constant(ops.String, nil, []float64{1}) }, "ops: constant: element type string is not supported"},
		{17, func(b *builder, _, i value) { b.Filled(i, ops.Uint8, 1, nil) }, "ops: ConstantOfShape: element type uint8 is not supported"},
		{17, func(b *builder, x, _ value) { b.Output(x, "x") }, `ops: the output name "x" is taken`},
	}
	for _, test := range tests {
		t.Run(test.message, func(t *testing.T) {
			b := ops.NewBuilder(test.opset, "", nil)
			x := b.Input("x", ops.Float32, shapeOf(t, "N,3"))
			i := b.Input("i", ops.Int64, shapeOf(t, "1"))
			test.build(b, x, i)
			if err := b.Err(); err == nil || err.Error() != test.message {
				t.Fatalf("got  %v\nwant %s", err, test.message)
			}
			later := b.Output(b.Add(b.Scalar(x, 1), i), "y") // more errors
			if _, err := b.Finish(later); err == nil || err.Error() != test.message {
				t.Errorf("Finish: got  %v\nwant %s", err, test.message)
			}
		})
	}
}

func TestShapesFollowFromTheInputs(t *testing.T) {
	tests := []struct {
		name, x, w string
		build      func(b *builder, x, w value) value
		want       string
	}{
		{"equal symbols", "N,C", "N,C", (*builder).Add, "[N,C]"},
		{"lower rank", "N,C,H", "C,1", (*builder).Add, "[N,C,H]"},
		{"lower rank first", "H", "N,C,H", (*builder).Add, "[N,C,H]"},
		{"ones", "N,1", "1,4", (*builder).Add, "[N,4]"},
		{"a size beats a symbol", "N", "4", (*builder).Add, "[4]"},
		{"two symbols", "N", "M", (*builder).Add, "[?]"},
		{"symbol and one", "1", "M", (*builder).Add, "[M]"},
		{"open rank", "...", "4", (*builder).Add, "[...]"},
		{"scalar", "", "4,N", (*builder).Add, "[4,N]"},
		{"comparison", "N,C", "C", (*builder).Less, "[N,C]"},
		{"reduce all", "...", "", func(b *builder, x, _ value) value { return b.ReduceSum(x, false) }, "[]"},
		{"reduce open rank", "...", "", func(b *builder, x, _ value) value { return b.ReduceSum(x, false, 1) }, "[...]"},
		{"keep", "N,C,H", "", func(b *builder, x, _ value) value { return b.ReduceMean(x, true, -2) }, "[N,1,H]"},
		{"drop", "N,C,H", "", func(b *builder, x, _ value) value { return b.ReduceMin(x, false, 0, -1) }, "[C]"},
		{"position of the largest", "N,C,H", "", func(b *builder, x, _ value) value { return b.ArgMax(x, -2) }, "[N,H]"},
		{"unsqueeze from the end", "N,C", "", func(b *builder, x, _ value) value { return b.Unsqueeze(x, -1) }, "[N,C,1]"},
		{"squeeze a symbol", "N,C", "", func(b *builder, x, _ value) value { return b.Squeeze(x, -1) }, "[N]"},
		{"slice", "N,7", "", func(b *builder, x, _ value) value { return b.Slice(x, 1, 1, -1) }, "[N,5]"},
		{"empty slice", "N,7", "", func(b *builder, x, _ value) value { return b.Slice(x, 1, 5, 2) }, "[N,0]"},
		{"slice of a symbol", "N,C", "", func(b *builder, x, _ value) value { return b.Slice(x, 0, 0, 1) }, "[?,C]"},
		{"concat", "N,2", "N,3", func(b *builder, x, w value) value { return b.Concat(1, x, w) }, "[N,5]"},
		{"concat of a symbol", "N,2", "M,2", func(b *builder, x, w value) value { return b.Concat(0, x, w) }, "[?,2]"},
		{"concat of an open rank", "...", "N,2", func(b *builder, x, w value) value { return b.Concat(0, x, w) }, "[...]"},
		{"shape of an open rank", "...", "", func(b *builder, x, _ value) value { return b.ShapeOf(x) }, "[?]"},
		{"along axis 1", "C", "N,C,H", (*builder).AlongAxis1, "[1,C,1]"},
		{"along axis 1 of an open rank", "C", "...", (*builder).AlongAxis1, "[...]"},
		{"assumed", "...", "", func(b *builder, x, _ value) value { return b.Assume(b.Exp(x), fixed([]int{2})) }, "[2]"},
		{"assuming nothing", "N", "", func(b *builder, x, _ value) value { return b.Assume(b.Exp(x), nil) }, "[N]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := ops.NewBuilder(17, "", nil)
			x, w := b.Input("x", ops.Float32, shapeOf(t, test.x)), b.Input("w", ops.Float32, shapeOf(t, test.w))
			y := test.build(b, x, w)
			if b.Err() != nil || y.Shape().String() != test.want {
				t.Errorf("got %s, %v, want %s", y.Shape(), b.Err(), test.want)
			}
		})
	}
}

func TestNamesAreUniqueAndHaveThePrefix(t *testing.T) {
	taken := map[string]bool{"p/exp": true, "y": true}
	b := ops.NewBuilder(17, "p/", taken)
	x := b.Input("x", ops.Float32, ops.Shape{})
	first := b.Exp(x)
	second := b.Label(b.Exp(first), "total")
	third := b.Label(b.Exp(second), "total")
	labelled := b.Label(b.Neg(third), "loss")
	b.Label(x, "renamed")
	out := b.Output(b.Label(b.Exp(labelled), "cost"), "loss")
	copied := b.Output(x, "copy of x")
	fragment, err := b.Finish(out, copied)
	if err != nil {
		t.Fatal(err)
	}
	var tensors, nodes []string
	for i, n := range fragment.Nodes {
		tensors, nodes = append(tensors, n.Output[0]), append(nodes, n.GetName())
		if info := fragment.ValueInfo[i]; info.GetName() != n.Output[0] || info.GetType().GetTensorType().GetElemType() != 1 {
			t.Errorf("the value_info of %s is %v", n.Output[0], info)
		}
	}
	wantTensors := []string{"p/exp_2", "p/total", "p/total_2", "p/loss", "loss", "copy of x"}
	wantNodes := []string{"p/exp_2", "p/total", "p/total_2", "p/loss", "p/loss_2", "p/copy of x"}
	if !slices.Equal(tensors, wantTensors) || !slices.Equal(nodes, wantNodes) {
		t.Errorf("got tensors %v of nodes %v", tensors, nodes)
	}
	if fragment.Nodes[0].Input[0] != "x" || out.Name() != "loss" || first.Name() != "p/exp_2" {
		t.Errorf("got input %q, output %q, first %q", fragment.Nodes[0].Input[0], out.Name(), first.Name())
	}
	if len(taken) != 2 {
		t.Errorf("the caller's map has changed: %v", taken)
	}
}

func TestConstantsAreSharedByTypeAndValue(t *testing.T) {
	b := ops.NewBuilder(17, "", nil)
	x := b.Input("x", ops.Float32, ops.Shape{})
	d := b.Cast(x, ops.Float64)
	sum := b.Add(b.Add(x, b.Scalar(x, 0.1)), b.Scalar(x, 0.1))
	sum = b.Mul(sum, b.Scalar(x, math.Copysign(0, -1)))
	sum = b.Mul(sum, b.Scalar(x, 0))
	wide := b.Add(d, b.Scalar(d, 0.1))
	fragment, err := b.Finish(sum, wide)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range fragment.Nodes {
		if n.GetOpType() == "Constant" {
			tensor, err := engine.FromProto(n.Attribute[0].T)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, tensor.DType().String()+" "+n.Output[0])
			if x := math.Abs(tensor.Float64s()[0]); x != 0 && x != float64(float32(0.1)) && x != 0.1 {
				t.Errorf("%s holds %v", n.Output[0], x)
			}
		}
	}
	want := []string{"float32 constant_0.1", "float32 constant_-0", "float32 constant_0", "float64 constant_0.1_2"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNodesThatNoOutputNeedsAreLeftOut(t *testing.T) {
	b := ops.NewBuilder(17, "", nil)
	x := b.Input("x", ops.Float32, shapeOf(t, "N"))
	b.ReduceSum(b.Log(x), true, 0)
	y := b.Exp(x)
	fragment, err := b.Finish(y)
	if err != nil {
		t.Fatal(err)
	}
	if len(fragment.Nodes) != 1 || fragment.Nodes[0].GetOpType() != "Exp" || len(fragment.ValueInfo) != 1 {
		t.Errorf("got %v", fragment)
	}
}

func TestCastToTheSameTypeIsNothing(t *testing.T) {
	b := ops.NewBuilder(9, "", nil)
	x := b.Input("x", ops.Float32, nil)
	if b.Cast(x, ops.Float32) != x {
		t.Error("got another value")
	}
}

func TestTheZeroValueStandsForNothing(t *testing.T) {
	var v value
	if v.Present() || v.DType() != ops.Undefined || v.Shape().Known() || v.Name() != "" {
		t.Errorf("got %v, %s, %s, %q", v.Present(), v.DType(), v.Shape(), v.Name())
	}
}

// compute runs a function of one vector through the interpreter.
func compute(t *testing.T, x engine.Tensor, build func(b *builder, x value) value) []float64 {
	t.Helper()
	b := ops.NewBuilder(17, "", nil)
	in := b.Input("x", x.DType(), fixed(x.Shape()))
	out := b.Output(build(b, in), "y")
	return run(t, modelOf(t, b, []value{in}, out), map[string]engine.Tensor{"x": x}).Float64s()
}

func TestLog1pKeepsItsRelativeError(t *testing.T) {
	var numbers []float64
	for exponent := -30.0; exponent <= 0; exponent += 1.0 / 128 {
		numbers = append(numbers, math.Pow(10, exponent))
	}
	numbers = append(numbers, 0, 1, 0x1p-24, 0x1p-23, 0x1.8p-23, 0x1p-12, math.SmallestNonzeroFloat32)
	for _, dtype := range []ops.DType{ops.Float32, ops.Float64} {
		x, err := engine.FromFloat64s(dtype, []int{len(numbers)}, numbers)
		if err != nil {
			t.Fatal(err)
		}
		got := compute(t, x, (*builder).Log1p)
		for i, in := range x.Float64s() {
			if d := engine.ULPDistance(dtype, got[i], math.Log1p(in)); !(d <= 2) {
				t.Errorf("%s: log1p(%g) is %g, want %g: off by %g ULP", dtype, in, got[i], math.Log1p(in), d)
			}
		}
	}
}

func TestPowConstMultipliesWhereItCan(t *testing.T) {
	numbers := []float64{0, 0.25, 1, 1.5, 2, 7}
	tests := []struct {
		exponent float64
		nodes    string
	}{
		{0, ""},
		{0.5, "Sqrt1"},
		{1, ""},
		{1.5, "Sqrt1, Mul2"},
		{2, "Mul2"},
		{3, "Mul2, Mul2"},
		{4, "Mul2, Mul2"},
		{5, "Mul2, Mul2, Mul2"},
		{2.5, "Pow2"},
		{-1, "Pow2"},
		{6, "Pow2"},
	}
	for _, test := range tests {
		power := func(b *builder, x value) value { return b.PowConst(x, test.exponent) }
		if test.exponent != 1 {
			if got := written(t, 17, ops.Float64, power); got != test.nodes {
				t.Errorf("x^%g: got %s, want %s", test.exponent, got, test.nodes)
			}
		}
		got := compute(t, engine.Must([]int{len(numbers)}, numbers), power)
		for i, y := range got { // a scalar where the exponent is 0
			if d := engine.ULPDistance(ops.Float64, y, math.Pow(numbers[i], test.exponent)); !(d <= 3) {
				t.Errorf("%g^%g is %g", numbers[i], test.exponent, y)
			}
		}
	}
}

func TestAlongAxis1BroadcastsAtEveryRank(t *testing.T) {
	for _, shape := range [][]int{{2, 3}, {2, 3, 1}, {1, 3, 2, 2}} {
		for name, declared := range map[string]ops.Shape{"known": fixed(shape), "open": nil} {
			b := ops.NewBuilder(13, "", nil)
			vector := b.Input("v", ops.Float32, fixed([]int{3}))
			like := b.Input("x", ops.Float32, declared)
			out := b.Add(like, b.AlongAxis1(vector, like))
			count, err := engine.Count(shape)
			if err != nil {
				t.Fatal(err)
			}
			got := run(t, modelOf(t, b, []value{vector, like}, out), map[string]engine.Tensor{
				"v": engine.Must([]int{3}, []float32{10, 20, 30}), "x": engine.Must(shape, make([]float32, count)),
			})
			inner := count / shape[0] / 3
			for i, y := range got.Float64s() {
				if want := float64(10 * (i/inner%3 + 1)); y != want {
					t.Errorf("%s shape %v: element %d is %g, want %g", name, shape, i, y, want)
				}
			}
			if !slices.Equal(got.Shape(), shape) {
				t.Errorf("%s: got shape %v, want %v", name, got.Shape(), shape)
			}
		}
	}
}

func TestParseShape(t *testing.T) {
	good := []struct{ text, want string }{
		{"N,C,8,8", "[N,C,8,8]"},
		{"[N, 3]", "[N,3]"},
		{" [] ", "[]"},
		{"", "[]"},
		{"?,0", "[?,0]"},
		{"...", "[...]"},
		{"[...]", "[...]"},
		{"batch_size,T2", "[batch_size,T2]"},
	}
	for _, test := range good {
		shape, err := ops.ParseShape(test.text)
		if err != nil || shape.String() != test.want {
			t.Errorf("%q: got %s, %v, want %s", test.text, shape, err, test.want)
		}
		again, err := ops.ParseShape(shape.String())
		if err != nil || !slices.Equal(again, shape) || again.Known() != shape.Known() {
			t.Errorf("%q is not read back: %s, %v", test.text, again, err)
		}
	}
	for _, bad := range []string{"-1", "N,,C", "N;C", "2N", "N,...", "1.5", "[N", "N]", "[[N]]", "99999999999999999999"} {
		if shape, err := ops.ParseShape(bad); err == nil || !strings.HasPrefix(err.Error(), "ops: shape ") {
			t.Errorf("%q: got %s, %v", bad, shape, err)
		}
	}
}

func TestParseDType(t *testing.T) {
	for _, d := range []ops.DType{ops.Float32, ops.BFloat16, ops.Int8, ops.Uint64, ops.Bool, ops.String} {
		if got, err := ops.ParseDType(d.String()); err != nil || got != d {
			t.Errorf("%s: got %s, %v", d, got, err)
		}
	}
	if _, err := ops.ParseDType("float"); err == nil || !strings.Contains(err.Error(), "use one of float32, float64") {
		t.Errorf("got %v", err)
	}
	if got := ops.DType(17).String(); got != "float8e4m3fn" {
		t.Errorf("got %q", got)
	}
}

func TestValueInfoAndShapeOfAreInverse(t *testing.T) {
	for _, text := range []string{"...", "[]", "[N,?,3]"} {
		info := ops.ValueInfo("x", ops.Int32, shapeOf(t, text)).GetType().GetTensorType()
		if got := ops.ShapeOf(info); got.String() != text && "["+text+"]" != got.String() || info.GetElemType() != 6 {
			t.Errorf("%s: got %s", text, got)
		}
	}
}

// Opsets before 11 have no axes that count from the end.
func TestAxesCountFromTheStartBeforeOpset11(t *testing.T) {
	for name, build := range map[string]func(b *builder, x value) value{
		"ReduceMax": func(b *builder, x value) value { return b.ReduceMax(x, true, -1) },
		"Unsqueeze": func(b *builder, x value) value { return b.Unsqueeze(x, -2) },
		"Squeeze":   func(b *builder, x value) value { return b.Squeeze(x, -2) },
		"Concat":    func(b *builder, x value) value { return b.Concat(-2, x, x) },
		"Gather":    func(b *builder, x value) value { return b.Gather(x, b.Int64s(0), -1) },
		"ArgMax":    func(b *builder, x value) value { return b.ArgMax(x, -1) },
	} {
		for opset, counts := range map[int]bool{9: false, 10: false, 11: true} {
			b := ops.NewBuilder(opset, "", nil)
			fragment, err := b.Finish(build(b, b.Input("x", ops.Float32, ops.Shape{ops.Symbolic("N"), ops.Fixed(1), ops.Fixed(3)})))
			if err != nil {
				t.Fatal(err)
			}
			fromEnd := false
			for _, n := range fragment.Nodes {
				for _, a := range n.Attribute {
					isAxis := a.GetName() == "axis" || a.GetName() == "axes"
					fromEnd = fromEnd || isAxis && (a.GetI() < 0 || slices.ContainsFunc(a.Ints, func(i int64) bool { return i < 0 }))
				}
			}
			if fromEnd != counts {
				t.Errorf("%s at opset %d: an axis counts from the end: %t", name, opset, fromEnd)
			}
		}
	}
}
