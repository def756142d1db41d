package models_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

func TestRecomputeCopiesWhatFollowsFromTheInputs(t *testing.T) {
	shape := ops.IntsAttribute("shape", []int64{2})
	for _, test := range []struct {
		name    string
		nodes   []*onnxpb.NodeProto
		outputs string
		want    string // the nodes that are appended
	}{
		{"one node", []*onnxpb.NodeProto{node("Neg x -> h"), node("Abs h -> y")}, "y", "Max x; Neg"},
		{"what is in the way", []*onnxpb.NodeProto{node("Neg x -> a"), node("Abs x -> b"), node("Exp b -> side"), node("Add a b -> h"), node("Abs h -> y")}, "y", "Max x; Neg; Abs; Add"},
		{"weights are shared, and what follows from them", []*onnxpb.NodeProto{node("Neg w -> v"), node("Add x v -> h"), node("Abs h -> y")}, "y", "Max x; Add"},
		{"from an output on", []*onnxpb.NodeProto{node("Neg x -> o"), node("Exp o -> h"), node("Abs h -> y")}, "o y", "Max o; Exp"},
		{"from chance on", []*onnxpb.NodeProto{node("RandomNormal -> r", shape), node("Add x r -> h"), node("Abs h -> y")}, "y", "Max x; Max r; Add"},
		{"chance itself", []*onnxpb.NodeProto{node("RandomNormal -> h", shape), node("Add x h -> y")}, "y", "Max h"},
		{"from whole numbers on", []*onnxpb.NodeProto{node("Shape x -> s"), node("ConstantOfShape s -> h"), node("Add x h -> y")}, "s y", "Max s; ConstantOfShape"},
		{"from true and false on", []*onnxpb.NodeProto{node("Less x w -> s"), node("Where s x w -> h"), node("Abs h -> y")}, "s y", "Concat s; Max x; Where"},
		{"nothing changes", []*onnxpb.NodeProto{node("Neg w -> h"), node("Add x h -> y")}, "y", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := network(test.nodes...)
			m.Graph.Initializer = []*onnxpb.TensorProto{initializer[float32]("w", []int{2}, 1, 2)}
			m.Graph.Output = nil
			m.Graph.ValueInfo = []*onnxpb.ValueInfoProto{ops.ValueInfo("r", ops.Float32, nil), ops.ValueInfo("h", ops.Float32, nil)}
			for _, name := range strings.Fields(test.outputs) {
				m.Graph.Output = append(m.Graph.Output, &onnxpb.ValueInfoProto{Name: &name})
			}
			model, tensor := recomputed(t, &models.Model{Proto: m}, "h")
			var got []string
			for _, n := range model.Proto.Graph.Node[len(test.nodes):] {
				text := n.GetOpType()
				if text == "Max" || text == "Concat" {
					text += " " + n.Input[0]
				}
				got = append(got, text)
			}
			if text := strings.Join(got, "; "); text != test.want {
				t.Errorf("appended %s, want %s", text, test.want)
			}
			if want := len(test.want) > 0; (tensor != "h") != want {
				t.Errorf("the copy is called %q", tensor)
			}
		})
	}
}

// recomputed gives a model with the copy of a tensor.
func recomputed(t *testing.T, m *models.Model, tensor string) (*models.Model, string) {
	t.Helper()
	edit := m.Edit()
	copied, err := edit.Recompute(tensor, func(name string) string { return "again/" + name })
	if err != nil {
		t.Fatal(err)
	}
	model, err := edit.Model()
	if err != nil {
		t.Fatal(err)
	}
	return model, copied
}

// The subgraph reads x, h and a long constant of its own, whose numbers stay in the file
// when the model is opened.
func TestRecomputeCopiesSubgraphsWithWhatTheyCapture(t *testing.T) {
	long := node("Constant -> long", &onnxpb.AttributeProto{
		Name: proto.String("value"), Type: onnxpb.AttributeProto_TENSOR.Enum(), T: initializer("", []int{1000, 2}, slices.Repeat([]float32{0.25}, 2000)...),
	})
	branch := func(name string, nodes ...*onnxpb.NodeProto) *onnxpb.AttributeProto {
		result := nodes[len(nodes)-1].Output[0]
		return graphAttribute(name, &onnxpb.GraphProto{Name: &name, Node: nodes, Output: []*onnxpb.ValueInfoProto{ops.ValueInfo(result, ops.Float32, nil)}})
	}
	m := network(
		node("Neg x -> h"),
		node("ReduceSum h -> total"), node("Less total limit -> c", ops.IntAttribute("to", 1)),
		node("If c -> k", branch("then_branch", long, node("Add long h -> s"), node("ReduceMax s -> most"), node("Add most x -> p")), branch("else_branch", node("Mul h x -> q"))),
		node("Abs k -> y"),
	)
	m.Graph.Node[1].Attribute = append(m.Graph.Node[1].Attribute, ops.IntAttribute("keepdims", 0))
	m.Graph.Node[2].Attribute = nil
	m.Graph.Initializer = []*onnxpb.TensorProto{engine.ToProto("limit", engine.Scalar(float32(0)))}
	opened := open(t, write(t, t.TempDir()+"/model.onnx", encode(t, m)))
	model, tensor := recomputed(t, opened, "k")
	edit := model.Edit()
	edit.AddOutputs(ops.ValueInfo(tensor, ops.Float32, nil), ops.ValueInfo("k", ops.Float32, nil))
	model, err := edit.Model()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range [][]float32{{1, 2}, {-1, -2}} {
		got := run(t, model, map[string]engine.Tensor{"x": engine.Must([]int{1, 2}, x)})
		if err := engine.Diff(got[tensor], got["k"], engine.Tolerance{}); err != nil || got["k"].Len() != 2 {
			t.Errorf("at %v: %v", x, err)
		}
	}
}

func TestRecomputeRefusesWhatNoNodeMakes(t *testing.T) {
	edit := (&models.Model{Proto: network(node("Neg x -> y"))}).Edit()
	if _, err := edit.Recompute("x", func(name string) string { return name }); err == nil || !strings.Contains(err.Error(), `no node of the main graph makes a tensor "x"`) {
		t.Errorf("got %v", err)
	}
}
