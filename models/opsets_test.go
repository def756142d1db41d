package models_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/nodetests"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/internal/testneeds"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
)

// bare is a model of one node. What it gives are outputs, but for "idle". Inputs are declared as in "x float32 N,2; n int64 3".
func bare(t testing.TB, n *onnxpb.NodeProto, inputs string) *onnxpb.ModelProto {
	t.Helper()
	p := network(n)
	p.Graph.Output = nil
	for _, name := range n.GetOutput() {
		if name != "idle" {
			p.Graph.Output = append(p.Graph.Output, ops.ValueInfo(name, ops.Undefined, nil))
		}
	}
	if inputs == "" {
		return p
	}
	p.Graph.Input = nil
	for declared := range strings.SplitSeq(inputs, ";") {
		words := strings.Fields(declared)
		p.Graph.Input = append(p.Graph.Input, ops.ValueInfo(words[0], element(t, words[1]), shape(t, words[2])))
	}
	return p
}

// element reads the name of a type, those of the standard that have none here too.
func element(t testing.TB, name string) ops.DType {
	t.Helper()
	if number, ok := onnxpb.TensorProto_DataType_value[name]; ok {
		return ops.DType(number)
	}
	d, err := ops.ParseDType(name)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// change is a node and the opset that changes its operator: after it, a node that is
// kept means the same, another one something else.
type change struct {
	opset  int
	node   *onnxpb.NodeProto
	inputs string
	kept   bool
}

func changes() []change {
	integer, text := ops.IntAttribute, ops.StringAttribute
	ints := func(name string, list ...int64) *onnxpb.AttributeProto { return ops.IntsAttribute(name, list) }
	rows := []change{
		{9, node("BatchNormalization x s b m v -> y", integer("spatial", 0)), "", false},
		{9, node("BatchNormalization x s b m v -> y", integer("spatial", 1)), "", false}, // newer operators do not take the attribute
		{9, node("BatchNormalization x s b m v -> y"), "", true},
		{14, node("BatchNormalization x s b m v -> y mean var"), "", false},
		{14, node("BatchNormalization x s b m v -> y"), "", true},
		{24, node("Cast x -> y", integer("to", 18)), "", false},
		{24, node("Cast x -> y", integer("to", 20)), "", false},
		{24, node("Cast x -> y", integer("to", 18), integer("saturate", 0)), "", true},
		{24, node("Cast x -> y", integer("to", 17)), "", true},
		{24, node("Cast x -> y", integer("to", int64(ops.Int64))), "", true},
		{24, node("CastLike x like -> y"), "x float32 N,2; like FLOAT8E4M3FNUZ 1", false},
		{24, node("CastLike x like -> y"), "x float32 N,2", false},
		{24, node("CastLike x like -> y", integer("saturate", 0)), "x float32 N,2; like FLOAT8E5M2FNUZ 1", true},
		{24, node("CastLike x like -> y"), "x float32 N,2; like float16 1", true},
		{11, node("Clip x -> y", ops.FloatAttribute("min", 0)), "", false},
		{11, node("Clip x -> y", ops.FloatAttribute("max", 6)), "", false},
		{11, node("Clip x -> y"), "", true},
		{11, node("ConvTranspose x w -> y", ints("output_shape", 7, 7)), "", false},
		{11, node("ConvTranspose x w -> y", text("auto_pad", "SAME_LOWER")), "", false},
		{11, node("ConvTranspose x w -> y", text("auto_pad", "NOTSET"), ints("pads", 0, 1, 0, 1)), "", true},
		{20, node("DFT x -> y"), "x float32 1,8,8,1", false},
		{20, node("DFT x -> y"), "x float32 ...", false},
		{20, node("DFT x -> y", integer("axis", 1)), "x float32 1,8,1", false},
		{20, node("DFT x -> y"), "x float32 1,8,1", true},
		{10, node("Dropout x -> y"), "", true},
		{10, node("Dropout x -> y idle"), "", true},
		{10, node("Dropout x -> y mask"), "", false},
		{12, node("Dropout x -> y", ops.FloatAttribute("ratio", 0.5)), "", false},
		{12, node("Dropout x -> y"), "", true},
		{13, node("Erf x -> y"), "x int32 N,2", false},
		{13, node("Erf x -> y"), "x float16 N,2", true},
		{20, node("GridSample x grid -> y", text("mode", "bilinear")), "", false},
		{20, node("GridSample x grid -> y", text("mode", "bicubic")), "", false},
		{20, node("GridSample x grid -> y", text("mode", "nearest")), "", true},
		{20, node("GridSample x grid -> y"), "", true},
		{21, node("GroupNormalization x s b -> y", integer("num_groups", 2)), "", false},
		{11, node("OneHot i d v -> y"), "i int64 N", false},
		{11, node("OneHot i d v -> y"), "i uint8 N", true},
		{11, node("Pad x -> y", ints("pads", 0, 1, 0, 1)), "", false},
		{19, node("QuantizeLinear x s -> y"), "x int32 N,2; s float32 1", false},
		{19, node("QuantizeLinear x s -> y"), "x float32 N,2; s float32 1", true},
		{11, node("Resize x s -> y"), "x float32 1,1,H,W; s float32 4", false},
		{13, node("Resize x _ s -> y", text("coordinate_transformation_mode", "tf_half_pixel_for_nn")), "x float32 1,1,H,W; s float32 4", false},
		{13, node("Resize x _ s n -> y"), "x float32 1,1,H,W; s float32 4; n int64 4", false},
		{13, node("Resize x _ s n -> y"), "x float32 1,1,H,W; s float32 0; n int64 4", true},
		{13, node("Resize x _ s -> y"), "x float32 1,1,H,W; s float32 4", true},
		{16, node("RoiAlign x r b -> y"), "", false},
		{9, node("Scan _ x -> y"), "", false},
		{11, node("Scatter x i u -> y"), "", false},
		{10, node("Slice x -> y", ints("starts", 0), ints("ends", 1)), "", false},
		{13, node("Split x -> y z", ints("split", 1, 1)), "", false},
		{13, node("Split x -> y z"), "", true},
		{18, node("Split x -> y z"), "", false},
		{18, node("Split x n -> y z"), "x float32 N,2; n int64 2", true},
		{10, node("TopK x -> y i", integer("k", 2)), "", false},
		{9, node("Upsample x -> y", ops.FloatAttribute("scales", 2)), "", false},
		{10, node("Upsample x s -> y"), "", false},
	}
	for _, op := range []string{"Softmax", "LogSoftmax", "Hardmax"} {
		rows = append(
			rows,
			change{13, node(op + " x -> y"), "x float32 N,2,1", false},
			change{13, node(op + " x -> y"), "x float32 ...", false},
			change{13, node(op+" x -> y", integer("axis", 1)), "x float32 N,2,S", false},
			change{13, node(op+" x -> y", integer("axis", -2)), "x float32 N,2,S", false},
			change{13, node(op+" x -> y", integer("axis", 1)), "x float32 ...", false},
			change{13, node(op+" x -> y", integer("axis", 9)), "x float32 N,2", false},
			change{13, node(op + " x -> y"), "x float32 N,2", true},
			change{13, node(op+" x -> y", integer("axis", 2)), "x float32 N,2,S", true},
			change{13, node(op+" x -> y", integer("axis", -1)), "x float32 ...", true},
			change{13, node(op+" x -> y", integer("axis", 1)), "x float32 N,2,1,1", true},
		)
	}
	for _, op := range []string{"MaxPool", "AveragePool"} {
		kernel, up := ints("kernel_shape", 2, 3), integer("ceil_mode", 1)
		rows = append(
			rows,
			change{22, node(op+" x -> y", kernel, up, ints("strides", 3, 3)), "", false},
			change{22, node(op+" x -> y", kernel, up, ints("strides", 1, 3), ints("pads", 0, 0, 0, 1)), "", false},
			change{22, node(op+" x -> y", kernel, up, text("auto_pad", "SAME_UPPER")), "", false},
			change{22, node(op+" x -> y", kernel, up, ints("strides", 2, 2, 2)), "", false},
			change{22, node(op+" x -> y", kernel, up, ints("strides", 2, 3), ints("pads", 1, 1, 0, 0)), "", true},
			change{22, node(op+" x -> y", kernel, up, ints("strides", 3, 3), ints("dilations", 2, 1)), "", true},
			change{22, node(op+" x -> y", kernel, ints("strides", 9, 9)), "", true},
		)
	}
	for _, op := range strings.Fields("ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Squeeze Unsqueeze") {
		opset := 18
		if slices.Contains([]string{"ReduceSum", "Squeeze", "Unsqueeze"}, op) {
			opset = 13
		}
		rows = append(rows, change{opset, node(op+" x -> y", ints("axes", 1)), "", false}, change{opset, node(op + " x -> y"), "", true})
	}
	return rows
}

func TestCheckOpsetTellsWhichNodesBreak(t *testing.T) {
	tried := map[string]bool{}
	for _, test := range changes() {
		t.Run(fmt.Sprintf("%s %d %s", test.node.GetOpType(), test.opset, test.inputs), func(t *testing.T) {
			op := test.node.GetOpType()
			tried[fmt.Sprint(op, test.opset, test.kept)] = true
			m := opset(bare(t, test.node, test.inputs), int64(test.opset-1))
			switch err := m.CheckOpset(test.opset); {
			case test.kept && err != nil:
				t.Error(err)
			case !test.kept:
				wantError(t, err, fmt.Sprintf("models: raise opset %d to %d: %s (output", test.opset-1, test.opset, op), fmt.Sprintf("export the model again with opset %d", test.opset))
			}
		})
	}
	for op := range models.Histories {
		for opset, spares := range models.Breakings(op) {
			if !slices.Contains(models.Histories[op], opset) {
				t.Errorf("%s did not change in opset %d", op, opset)
			}
			for kept := range map[bool]bool{false: true, spares: true} {
				if !tried[fmt.Sprint(op, opset, kept)] {
					t.Errorf("no test of %s in opset %d that is kept: %v", op, opset, kept)
				}
			}
		}
	}
}

// Every other change leaves any node alone, alone and all together.
func TestCheckOpsetPassesHarmlessChanges(t *testing.T) {
	for op, came := range models.Histories {
		from := max(came[0], 7) // or the last change that breaks nodes
		for version := from + 1; version <= 26; version++ {
			if _, breaks := models.Breakings(op)[version]; breaks {
				from = version
				continue
			}
			for _, since := range []int{version - 1, from} {
				if err := opset(network(node(op+" x w -> y")), int64(since)).CheckOpset(version); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

func TestCheckOpsetLooksIntoInnerGraphs(t *testing.T) {
	inner := &onnxpb.GraphProto{Node: []*onnxpb.NodeProto{node("Softmax h -> s")}, Output: []*onnxpb.ValueInfoProto{ops.ValueInfo("s", ops.Float32, nil)}}
	outer := &onnxpb.GraphProto{Node: []*onnxpb.NodeProto{node("If c -> s", graphAttribute("then_branch", inner))}, Output: inner.Output}
	m := opset(network(node("Relu x -> h"), node("If c -> y", graphAttribute("else_branch", outer))), 12)
	wantError(t, m.CheckOpset(13), `Softmax (output "s"): since opset 13 it goes along one axis`)

	inner.Node[0].Domain = proto.String("test") // of a domain of its own, whatever its name
	if err := m.CheckOpset(13); err != nil {
		t.Error(err)
	}
}

// Runtimes take the model's opset for the bodies of functions, whatever those import.
func TestCheckOpsetOfModelsWithFunctions(t *testing.T) {
	for name, test := range map[string]struct {
		body     string
		own, to  int64
		overtake bool // the function is called by the name of a standard operator
		says     string
	}{
		"the same operator":    {"Tanh a -> b", 13, 21, false, ""},
		"a harmless change":    {"Relu a -> b", 12, 13, false, "Relu (function test.F): it is not the same in opset 12, which the function imports; export the model again with opset 13"},
		"a breaking change":    {"Softmax a -> b", 12, 13, false, "Softmax (function test.F): it is not the same"},
		"of the newer opset":   {"Relu a -> b", 13, 13, false, ""},
		"an operator unknown":  {"Nonsense a -> b", 13, 13, false, "Nonsense (function test.F)"},
		"a standard name":      {"Tanh a -> b", 13, 13, true, ""},
		"a later one, by name": {"BitCast a -> b", 25, 26, false, "BitCast (function test.F)"},
	} {
		t.Run(name, func(t *testing.T) {
			p := network(node("F x -> y"))
			domain := "test"
			if test.overtake {
				domain = ""
			}
			p.Graph.Node[0].Domain = &domain
			p.Functions = []*onnxpb.FunctionProto{{
				Name: proto.String("F"), Domain: &domain, Input: []string{"a"}, Output: []string{"b"}, Node: []*onnxpb.NodeProto{node(test.body)},
				OpsetImport: []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: &test.own}},
			}}
			err := opset(p, 12).CheckOpset(int(test.to))
			if test.says != "" {
				wantError(t, err, "models: raise opset 12 to ", test.says)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCheckOpsetRefusesWithAReason(t *testing.T) {
	several := func() *onnxpb.ModelProto {
		p := network(node("Softmax x -> a"), node("Pad a -> b"), node("Softmax b -> c"), node("Nonsense c -> d"), node("Slice d -> e"), node("TopK e -> f g"), node("Scan f -> y"))
		p.Graph.Node[0].Name = proto.String("probabilities")
		p.Graph.Input[0] = ops.ValueInfo("x", ops.Float32, shape(t, "N,C,L"))
		return p
	}
	relu := func() *onnxpb.ModelProto { return network(node("Relu x -> y")) }
	mask := network(node("Dropout x -> h mask"), node("Cast mask -> y", ops.IntAttribute("to", 1)))
	described := network(node("Dropout x -> y mask"))
	described.Graph.ValueInfo = []*onnxpb.ValueInfoProto{ops.ValueInfo("mask", ops.Float32, nil)}
	for name, test := range map[string]struct {
		model *models.Model
		to    int
		says  string
	}{
		"down":            {opset(relu(), 17), 13, "models: raise opset 17 to 13: a model can only be raised"},
		"too new":         {opset(relu(), 17), 27, "only opsets up to 26 are known here"},
		"too old":         {opset(relu(), 6), 9, `Relu (output "y"): only opsets 7 to 26 are known here`},
		"not yet there":   {opset(network(node("Einsum x -> y")), 9), 13, `Einsum (output "y"): it came with opset 12`},
		"several":         {opset(several(), 8), 13, `models: raise opset 8 to 13: Softmax (node "probabilities" and 1 more): since opset 13 it goes along one axis, the last where none is said, and flattens no others; Pad (output "b"): since opset 11 pads and value are inputs; Nonsense (output "d"): it is not known here; Slice (output "e"): since opset 10 starts, ends and axes are inputs; and 2 more; export the model again with opset 13`},
		"a mask is read":  {opset(mask, 9), 10, "Dropout"},
		"a mask is typed": {opset(described, 9), 10, "Dropout"},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, test.model.CheckOpset(test.to), test.says) })
	}
	if err := opset(several(), 13).CheckOpset(13); err != nil {
		t.Errorf("the opset that it has: %v", err)
	}
	none := relu()
	none.Graph.Node[0].Domain, none.OpsetImport[0].Domain = proto.String("test"), proto.String("test")
	if err := (&models.Model{Proto: none}).CheckOpset(17); err != nil {
		t.Errorf("no standard operators: %v", err)
	}
}

// What a constant says counts, unless whoever runs the model may replace it.
func TestCheckOpsetReadsConstants(t *testing.T) {
	for name, test := range map[string]struct {
		index  int64
		input  bool
		passes bool
	}{
		"a class": {1, false, true}, "none of the classes": {-1, false, false}, "a default": {1, true, false},
	} {
		p := bare(t, node("OneHot i d v -> y"), "d int64 1; v float32 2")
		p.Graph.Initializer = []*onnxpb.TensorProto{initializer("i", []int{2}, 0, test.index)}
		if test.input {
			p.Graph.Input = append(p.Graph.Input, ops.ValueInfo("i", ops.Int64, shape(t, "2")))
		}
		if err := opset(p, 10).CheckOpset(11); (err == nil) != test.passes {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHistoriesKnowAllOperatorsOfTheNodeTests(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range nodetests.Cases(t) {
		for _, n := range c.Graph.GetNode() {
			op := n.GetOpType()
			seen[op] = true
			if _, known := models.Histories[op]; !known && n.GetDomain() == "" {
				t.Errorf("%s: %s is not known", c.Name, op)
			}
		}
	}
	if len(seen) < 180 {
		t.Errorf("the node tests use %d operators", len(seen))
	}
}

// The package onnx for Python tells when operators changed, and of some changes that
// they break nodes.
func TestHistoriesAreThoseOfONNX(t *testing.T) {
	script, err := os.ReadFile("testdata/histories.py")
	if err != nil {
		t.Fatal(err)
	}
	command := testneeds.PythonWith(t, "onnx")
	printed, err := exec.Command(command[0], append(command[1:], "-c", string(script))...).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(printed)), "\n")
	newest, err := strconv.Atoi(lines[0])
	if err != nil {
		t.Fatal(err)
	}
	theirs := map[string][]int{}
	for _, line := range lines[1:] {
		op, changes, _ := strings.Cut(line, " ")
		for change := range strings.FieldsSeq(changes) {
			text, breaks := strings.CutSuffix(change, "!")
			opset, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			theirs[op] = append(theirs[op], opset)
			if _, known := models.Breakings(op)[opset]; breaks && opset > 7 && !known {
				t.Errorf("%s breaks in opset %d", op, opset)
			}
		}
	}
	ours := map[string][]int{}
	for op, came := range models.Histories {
		came = slices.DeleteFunc(slices.Clone(came), func(opset int) bool { return opset > newest })
		if len(came) > 0 {
			ours[op] = came
		}
	}
	for op := range maps.Keys(ours) {
		if !slices.Equal(ours[op], theirs[op]) {
			t.Errorf("%s came and changed in opsets %v, want %v", op, ours[op], theirs[op])
		}
	}
	if len(theirs) != len(ours) {
		t.Errorf("%d operators of opset %d, want %d", len(ours), newest, len(theirs))
	}
}

// A node that lacks what its operator needs is the model's fault, and no reason to panic.
func TestCheckOpsetTakesNodesWithoutOperands(t *testing.T) {
	for op := range models.Histories {
		n := &onnxpb.NodeProto{OpType: &op}
		for _, kind := range []string{"ceil_mode", "axis", "to", "strides"} {
			n.Attribute = append(n.Attribute, ops.IntAttribute(kind, -1<<63))
			err := opset(network(n, &onnxpb.NodeProto{OpType: proto.String("Nonsense")}), 7).CheckOpset(26)
			wantError(t, err, "Nonsense (a node without a name): it is not known here")
		}
	}
	if err := (&models.Model{Proto: &onnxpb.ModelProto{}}).CheckOpset(26); err != nil {
		t.Error(err)
	}
}
