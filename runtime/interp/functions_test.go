package interp_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
)

func newFunction(name string, opset int64, inputs, outputs []string, nodes ...*onnxpb.NodeProto) *onnxpb.FunctionProto {
	return &onnxpb.FunctionProto{
		Name: &name, Domain: proto.String("test"), Input: inputs, Output: outputs, Node: nodes,
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: &opset}, {Domain: proto.String("test"), Version: proto.Int64(1)}},
	}
}

// leaky is LeakyRelu whose slope is the attribute "slope" of the function.
func leaky(defaults ...*onnxpb.AttributeProto) *onnxpb.FunctionProto {
	f := newFunction("Leaky", 17, names("a"), names("b"),
		node("LeakyRelu", names("a"), names("b"), reference("alpha", "slope", onnxpb.AttributeProto_FLOAT)))
	if f.AttributeProto = defaults; defaults == nil {
		f.Attribute = names("slope")
	}
	return f
}

func TestFunctions(t *testing.T) {
	overloaded := func(overload, op string) *onnxpb.FunctionProto {
		f := newFunction("F", 17, names("a"), names("b"), node(op, names("a"), names("b")))
		f.Overload = &overload
		return f
	}
	callOverload := func(overload string) *onnxpb.NodeProto {
		n := call("F", names("x"), names("y"))
		n.Overload = &overload
		return n
	}
	twice := newFunction("Twice", 17, names("a"), names("b"),
		call("Once", names("a"), names("m")), call("Once", names("m"), names("b")))
	once := newFunction("Once", 17, names("a"), names("m"), node("Add", names("a", "a"), names("m")))
	optional := newFunction("Bounded", 17, names("a", "low", "high"), names("b"),
		node("Clip", names("a", "low", "high"), names("b")))
	// From opset 13 on Softmax is along an axis, before it is of a matrix.
	old := newFunction("Old", 11, names("a"), names("b"), node("Softmax", names("a"), names("b"), integer("axis", 0)))
	nested := newFunction("Outer", 17, names("a"), names("b"),
		call("Leaky", names("a"), names("b"), reference("slope", "factor", onnxpb.AttributeProto_FLOAT)))
	nested.Attribute = names("factor")
	through := newFunction("Through", 17, names("a"), names("a"))

	for _, c := range []struct {
		name      string
		functions []*onnxpb.FunctionProto
		nodes     []*onnxpb.NodeProto
		want      []float32 // for x = -1, 2
	}{
		{
			"an attribute reference takes the caller's value",
			[]*onnxpb.FunctionProto{leaky()},
			[]*onnxpb.NodeProto{call("Leaky", names("x"), names("y"), float("slope", 0.5))},
			[]float32{-0.5, 2},
		},
		{
			"an attribute that nobody gives has the operator's default",
			[]*onnxpb.FunctionProto{leaky()},
			[]*onnxpb.NodeProto{call("Leaky", names("x"), names("y"))},
			[]float32{-0.01, 2},
		},
		{
			"a function's default is used",
			[]*onnxpb.FunctionProto{leaky(float("slope", 0.25))},
			[]*onnxpb.NodeProto{call("Leaky", names("x"), names("y"))},
			[]float32{-0.25, 2},
		},
		{
			"a function's default gives way to the caller's value",
			[]*onnxpb.FunctionProto{leaky(float("slope", 0.25))},
			[]*onnxpb.NodeProto{call("Leaky", names("x"), names("y"), float("slope", 0.75))},
			[]float32{-0.75, 2},
		},
		{
			"a reference passes through nested functions",
			[]*onnxpb.FunctionProto{nested, leaky()},
			[]*onnxpb.NodeProto{call("Outer", names("x"), names("y"), float("factor", 0.5))},
			[]float32{-0.5, 2},
		},
		{
			"overloads are told apart: first",
			[]*onnxpb.FunctionProto{overloaded("neg", "Neg"), overloaded("abs", "Abs")},
			[]*onnxpb.NodeProto{callOverload("neg")},
			[]float32{1, -2},
		},
		{
			"overloads are told apart: second",
			[]*onnxpb.FunctionProto{overloaded("neg", "Neg"), overloaded("abs", "Abs")},
			[]*onnxpb.NodeProto{callOverload("abs")},
			[]float32{1, 2},
		},
		{
			"functions nest, and names of bodies do not meet",
			[]*onnxpb.FunctionProto{twice, once},
			[]*onnxpb.NodeProto{call("Twice", names("x"), names("b")), call("Once", names("b"), names("y"))},
			[]float32{-8, 16},
		},
		{
			"a missing optional input stays missing inside",
			[]*onnxpb.FunctionProto{optional},
			[]*onnxpb.NodeProto{
				node("Constant", nil, names("zero"), float("value_float", 0)),
				call("Bounded", names("x", "", "zero"), names("y")),
			},
			[]float32{-1, 0},
		},
		{
			"inputs left out at the end are missing inside",
			[]*onnxpb.FunctionProto{optional},
			[]*onnxpb.NodeProto{call("Bounded", names("x"), names("y"))},
			[]float32{-1, 2},
		},
		{
			"an output may be an input",
			[]*onnxpb.FunctionProto{through},
			[]*onnxpb.NodeProto{call("Through", names("x"), names("y"))},
			[]float32{-1, 2},
		},
		{
			"a body has the opset of its function",
			[]*onnxpb.FunctionProto{old},
			[]*onnxpb.NodeProto{call("Old", names("x"), names("y"))},
			[]float32{0.047425874, 0.95257413},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newModel(17, c.nodes...)
			m.Functions = c.functions
			got := run(t, load(t, m), map[string]engine.Tensor{"x": vector(-1, 2)})["y"]
			same(t, got, vector(c.want...))
		})
	}
}

func TestFunctionsThatAreRefused(t *testing.T) {
	loop := newFunction("Loop", 17, names("a"), names("b"), call("Loop", names("a"), names("b")))
	ping := newFunction("Ping", 17, names("a"), names("b"), call("Pong", names("a"), names("b")))
	pong := newFunction("Pong", 17, names("a"), names("b"), call("Ping", names("a"), names("b")))
	lost := newFunction("Lost", 17, names("a"), names("c"), node("Neg", names("a"), names("b")))
	for _, c := range []struct {
		name      string
		functions []*onnxpb.FunctionProto
		node      *onnxpb.NodeProto
		want      string
	}{
		{"recursion", []*onnxpb.FunctionProto{loop}, call("Loop", names("x"), names("y")), "test::Loop calls itself"},
		{"recursion by way of another", []*onnxpb.FunctionProto{ping, pong}, call("Ping", names("x"), names("y")), "test::Ping calls itself"},
		{"an unknown attribute", []*onnxpb.FunctionProto{leaky()}, call("Leaky", names("x"), names("y"), integer("slop", 1)), `no attribute "slop"`},
		{"too many inputs", []*onnxpb.FunctionProto{leaky()}, call("Leaky", names("x", "x"), names("y")), "2 inputs and 1 outputs"},
		{"two of one name", []*onnxpb.FunctionProto{leaky(), leaky()}, call("Leaky", names("x"), names("y")), "test::Leaky is defined twice"},
		{"an output that the body does not make", []*onnxpb.FunctionProto{lost}, call("Lost", names("x"), names("y")), `does not make its output "c"`},
		{"a reference outside of functions", nil, node("LeakyRelu", names("x"), names("y"), reference("alpha", "slope", onnxpb.AttributeProto_FLOAT)), "in no function"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newModel(17, c.node)
			m.Functions = c.functions
			_, err := interp.New().Load(marshal(t, m))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestFunctionsThatGrowWithoutLimitAreRefused(t *testing.T) {
	m := newModel(17, call("F40", names("x"), names("y")))
	m.Functions = append(m.Functions, newFunction("F0", 17, names("a"), names("b"), node("Neg", names("a"), names("b"))))
	for i := 1; i <= 40; i++ {
		inner := fmt.Sprintf("F%d", i-1)
		m.Functions = append(m.Functions, newFunction(fmt.Sprintf("F%d", i), 17, names("a"), names("b"),
			call(inner, names("a"), names("m")), call(inner, names("m"), names("b"))))
	}
	if _, err := interp.New().Load(marshal(t, m)); err == nil || !strings.Contains(err.Error(), "after its functions are expanded") {
		t.Errorf("got %v, want a refusal", err)
	}
}

// branch is a subgraph without inputs that gives one value.
func branch(name string, n *onnxpb.NodeProto) *onnxpb.AttributeProto {
	return subgraph(name, &onnxpb.GraphProto{
		Node: []*onnxpb.NodeProto{n}, Output: []*onnxpb.ValueInfoProto{value(n.Output[0], ops.Float32)},
	})
}

func TestSubgraphsSeeTheValuesAround(t *testing.T) {
	m := newModel(17,
		node("ReduceMax", names("x"), names("peak"), integer("keepdims", 0)),
		node("Constant", nil, names("zero"), float("value_float", 0)),
		node("Greater", names("peak", "zero"), names("positive")),
		node("Neg", names("x"), names("minus")),
		node("If", names("positive"), names("y"),
			branch("then_branch", node("Add", names("x", "minus"), names("a"))),
			branch("else_branch", node("Mul", names("x", "minus"), names("b")))),
	)
	s := load(t, m)
	same(t, run(t, s, map[string]engine.Tensor{"x": vector(-1, 2)})["y"], vector(0, 0))
	same(t, run(t, s, map[string]engine.Tensor{"x": vector(-1, -2)})["y"], vector(-1, -4))
}

func TestSubgraphsOfFunctionsSeeItsAttributes(t *testing.T) {
	inner := node("LeakyRelu", names("a"), names("c"), reference("alpha", "slope", onnxpb.AttributeProto_FLOAT))
	f := newFunction("F", 17, names("a", "which"), names("b"),
		node("If", names("which"), names("b"), branch("then_branch", inner), branch("else_branch", node("Neg", names("a"), names("d")))))
	f.Attribute = names("slope")
	m := newModel(17,
		node("Constant", nil, names("one"), integer("value_int", 1)),
		node("Cast", names("one"), names("true"), integer("to", int64(ops.Bool))),
		call("F", names("x", "true"), names("y"), float("slope", 0.5)))
	m.Functions = []*onnxpb.FunctionProto{f}
	same(t, run(t, load(t, m), map[string]engine.Tensor{"x": vector(-1, 2)})["y"], vector(-0.5, 2))
}

func TestUnsupportedThingsAreToldApart(t *testing.T) {
	sequence := newModel(17, node("Neg", names("x"), names("y")))
	sequence.Graph.Input[0].Type = &onnxpb.TypeProto{Value: &onnxpb.TypeProto_SequenceType{SequenceType: &onnxpb.TypeProto_Sequence{}}}
	int4 := newModel(17, node("Neg", names("x"), names("y")))
	int4.Graph.Input[0] = value("x", ops.DType(onnxpb.TensorProto_INT4), 1)
	newer := newModel(17, node("Neg", names("x"), names("y")))
	newer.IrVersion = proto.Int64(99)
	for _, c := range []struct {
		name, want string
		model      *onnxpb.ModelProto
	}{
		{"operator", `interp: node "n" (Nonesuch): there is no such operator here`, func() *onnxpb.ModelProto {
			n := node("Nonesuch", names("x"), names("y"))
			n.Name = proto.String("n")
			return newModel(17, n)
		}()},
		{"domain", `domain "test" has no such operator or function`, newModel(17, call("Nonesuch", names("x"), names("y")))},
		{"opset too new", "opset 99, this engine knows 1 to 26", newModel(99, node("Neg", names("x"), names("y")))},
		{"operator newer than the opset", "opset 11 has an older form of the operator than 20", newModel(11, node("Gelu", names("x"), names("y")))},
		{"operator withdrawn", "withdrawn at opset 10", newModel(11, node("Upsample", names("x"), names("y")))},
		{"attribute", `attribute "alpah" is not known at opset 17`, newModel(17, node("LeakyRelu", names("x"), names("y"), float("alpah", 1)))},
		{"sequence", `value "x" is not a tensor`, sequence},
		{"element type", `value "x" has element type int4`, int4},
		{"IR version", "IR version 99", newer},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := interp.New().Load(marshal(t, c.model))
			if !errors.Is(err, engine.ErrUnsupported) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want ErrUnsupported with %q", err, c.want)
			}
		})
	}
}
