package modelfuzz

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
)

// many is a number whose square is more than anybody waits for.
const many = 50_000

// Large gives models, by what they are, on which work that grows faster than the file
// would not end.
func Large() map[string][]byte {
	models := map[string]*onnxpb.ModelProto{
		"an input of many axes":                   axes(),
		"a name with many types of many axes":     repeated(),
		"many results of Split":                   splitting(),
		"functions that end in empty ones":        doubling(),
		"functions that end in constants":         doubling(constant(), list("Identity a -> b")[0]),
		"a chain of functions":                    chain(),
		"a function that calls itself":            chained("test.F0 a -> b"),
		"a function of many inputs, called often": wide(),
		"a graph that refers to itself":           loop(),
		"many outputs":                            outputs(),
		"long names":                              renamed(model("N,2", list("Relu x -> a\ntest.Sub x z -> y")...), strings.Repeat("long", 1<<17)),
		"many losses":                             losses(),
		"a loss of many nodes":                    manyNodes(),
		"the names that a loss would take":        taken(),
		"subgraphs in subgraphs":                  nested(60, many/10),
		"very deep subgraphs":                     nested(150, 1),
	}
	encoded := map[string][]byte{
		"a graph in many parts":   parts(),
		"many empty nodes":        append(encode(convolution()), part([]byte(strings.Repeat("\x0a\x00", many)), 0, 2*many)...),
		"many empty types":        append(encode(convolution()), part([]byte(strings.Repeat("\x6a\x00", many)), 0, 2*many)...),
		"many empty functions":    append(encode(convolution()), strings.Repeat("\xca\x01\x00", many)...),
		"many versions of IR":     append(encode(convolution()), strings.Repeat("\x08\x08", many)...),
		"many bytes of nothing":   append(encode(convolution()), strings.Repeat("\x98\x06\x00", many)...),
		"a sequence of sequences": encode(sequence(many / 10)),
	}
	for name, p := range models {
		encoded[name] = encode(p)
	}
	return encoded
}

func encode(m proto.Message) []byte {
	data, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return data
}

// sequence has an output whose type is nested.
func sequence(depth int) *onnxpb.ModelProto {
	m := sequences()
	for range depth {
		t := m.Graph.Output[1].Type
		m.Graph.Output[1].Type = &onnxpb.TypeProto{Value: &onnxpb.TypeProto_SequenceType{SequenceType: &onnxpb.TypeProto_Sequence{ElemType: t}}}
	}
	return m
}

// parts has its graph in many parts, after many other fields.
func parts() []byte {
	m := convolution()
	for range many {
		m.MetadataProps = append(m.MetadataProps, new(onnxpb.StringStringEntryProto))
	}
	graph := m.Graph
	m.Graph = nil
	data := append(encode(m), strings.Repeat("\x3a\x00", many)...)
	return protowire.AppendBytes(protowire.AppendTag(data, 7, protowire.BytesType), encode(graph))
}

func counting(n int) []int64 {
	numbers := make([]int64, n)
	for i := range numbers {
		numbers[i] = int64(i)
	}
	return numbers
}

func axes() *onnxpb.ModelProto {
	m := model("N", list("Transpose x -> t\nUnsqueeze x -> u\nReduceSum x -> r\nAdd x u -> a\nConcat t x -> c\nReshape x x -> s\nSqueeze x -> q\nExpand x x -> y")...)
	m.OpsetImport[0].Version = proto.Int64(11)
	m.Graph.Input[0] = ops.ValueInfo("x", ops.Float32, make(ops.Shape, many))
	m.Graph.Node[0].Attribute = []*onnxpb.AttributeProto{ops.IntsAttribute("perm", counting(many))}
	for _, i := range []int{1, 2, 6} {
		m.Graph.Node[i].Attribute = []*onnxpb.AttributeProto{ops.IntsAttribute("axes", counting(many))}
	}
	m.Graph.Node[4].Attribute = []*onnxpb.AttributeProto{ops.IntAttribute("axis", 0)}
	for i := range many / 10 {
		m.Graph.Node = append(m.Graph.Node, list(fmt.Sprintf("Add x u -> more%d", i))...)
	}
	return m
}

func repeated() *onnxpb.ModelProto {
	m := model("N", list("Relu x -> y")...)
	m.Graph.ValueInfo = []*onnxpb.ValueInfoProto{ops.ValueInfo("y", ops.Float32, make(ops.Shape, many))}
	m.Graph.Output = nil
	for range many {
		m.Graph.Node = append(m.Graph.Node, m.Graph.Node[0])
	}
	return m
}

func splitting() *onnxpb.ModelProto {
	m := model("N,2", list("Split x -> y")...)
	m.OpsetImport[0].Version = proto.Int64(11)
	for i := range many {
		m.Graph.Node[0].Output = append(m.Graph.Node[0].Output, fmt.Sprint("part", i))
	}
	m.Graph.Node[0].Attribute = []*onnxpb.AttributeProto{ops.IntsAttribute("split", counting(many)), ops.IntAttribute("axis", 1)}
	return m
}

// calling is a model that calls the function F0 of domain test.
func calling() *onnxpb.ModelProto {
	m := model("N,2", list("test.F0 x -> y")...)
	m.OpsetImport = append(m.OpsetImport, &onnxpb.OperatorSetIdProto{Domain: proto.String("test"), Version: proto.Int64(1)})
	return m
}

func addFunction(m *onnxpb.ModelProto, nodes ...*onnxpb.NodeProto) *onnxpb.FunctionProto {
	f := &onnxpb.FunctionProto{
		Name: proto.String(fmt.Sprint("F", len(m.Functions))), Domain: proto.String("test"), OpsetImport: m.OpsetImport,
		Input: []string{"a"}, Output: []string{"b"}, Node: nodes,
	}
	m.Functions = append(m.Functions, f)
	return f
}

// doubling calls functions that each call the next one twice; the last has the nodes.
func doubling(last ...*onnxpb.NodeProto) *onnxpb.ModelProto {
	m := calling()
	for i := range 40 {
		addFunction(m, list(fmt.Sprintf("test.F%d a -> c\ntest.F%d c -> b", i+1, i+1))...)
	}
	if f := addFunction(m, last...); len(last) == 0 {
		f.Output = f.Input
	}
	return m
}

func constant() *onnxpb.NodeProto {
	n := list("Constant -> c")[0]
	n.Attribute = []*onnxpb.AttributeProto{ops.FloatAttribute("value_float", 1)}
	return n
}

func chained(nodes ...string) *onnxpb.ModelProto {
	m := calling()
	for _, lines := range nodes {
		addFunction(m, list(lines)...)
	}
	return m
}

func chain() *onnxpb.ModelProto {
	var calls []string
	for i := range many / 5 {
		calls = append(calls, fmt.Sprintf("test.F%d a -> b", i+1))
	}
	return chained(append(calls, "Relu a -> b")...)
}

func wide() *onnxpb.ModelProto {
	m := calling()
	f := addFunction(m, list("Relu a -> b")...)
	for i := range many {
		f.Input, f.Attribute = append(f.Input, fmt.Sprint("in", i)), append(f.Attribute, fmt.Sprint("attribute", i))
	}
	for i := range many {
		m.Graph.Node = append(m.Graph.Node, list(fmt.Sprintf("test.F0 x -> more%d", i))...)
	}
	return m
}

// loop has a graph, the default of a function's attribute, with a node that stands for
// the same graph.
func loop() *onnxpb.ModelProto {
	m := calling()
	reference := func(name string) *onnxpb.AttributeProto {
		return &onnxpb.AttributeProto{Name: proto.String(name), Type: onnxpb.AttributeProto_GRAPH.Enum(), RefAttrName: proto.String("g")}
	}
	conditional := func() *onnxpb.NodeProto {
		n := list("If a -> b")[0]
		n.Attribute = []*onnxpb.AttributeProto{reference("then_branch"), reference("else_branch")}
		return n
	}
	f := addFunction(m, conditional())
	inner := &onnxpb.GraphProto{Name: proto.String("g"), Node: []*onnxpb.NodeProto{conditional()}, Output: []*onnxpb.ValueInfoProto{float("b", "")}}
	f.AttributeProto = []*onnxpb.AttributeProto{graphAttribute("g", inner)}
	m.IrVersion = proto.Int64(9)
	return m
}

func outputs() *onnxpb.ModelProto {
	m := model("N,2", list("Relu x -> y")...)
	m.OpsetImport[0].Version = proto.Int64(9)
	for i := range many {
		name := fmt.Sprint("out", i)
		m.Graph.Node = append(m.Graph.Node, list("Identity x -> "+name)...)
		m.Graph.Output = append(m.Graph.Output, float(name, "N,2"))
	}
	return m
}

// renamed gives nodes and operators long names.
func renamed(m *onnxpb.ModelProto, long string) *onnxpb.ModelProto {
	for _, n := range m.Graph.Node {
		n.Name = proto.String(long)
	}
	m.Graph.Node[1].OpType, m.Graph.Node[1].Input[1] = proto.String(long), long
	return m
}

func losses() *onnxpb.ModelProto {
	m := attached()
	term := map[string]string{"weight": "1"}
	for _, e := range m.MetadataProps {
		term[strings.TrimPrefix(e.GetKey(), "onnxloss.")] = e.GetValue()
	}
	terms, err := json.Marshal(slices.Repeat([]map[string]string{term}, many/10))
	if err != nil {
		panic(err)
	}
	for key, value := range map[string]string{"terms": string(terms), "total": "loss"} {
		m.MetadataProps = append(m.MetadataProps, &onnxpb.StringStringEntryProto{Key: proto.String("onnxloss." + key), Value: proto.String(value)})
	}
	for i := range many {
		m.Graph.Initializer = append(m.Graph.Initializer, zeros(fmt.Sprint("w", i), ops.Float32))
	}
	return m
}

// manyNodes says that its loss has as many nodes as it has.
func manyNodes() *onnxpb.ModelProto {
	m := attached()
	m.Graph.Node[1].Input[0] = "x"
	for i := range many {
		m.Graph.Node = append(m.Graph.Node, list(fmt.Sprintf("Relu loss -> more%d", i))...)
	}
	added := fmt.Sprintf(`{"nodes":%d,"inputs":1,"outputs":1,"value_info":2,"metadata":11}`, many+3)
	m.MetadataProps[len(m.MetadataProps)-1].Value = proto.String(added)
	return m
}

func taken() *onnxpb.ModelProto {
	m := model("N,2", list("Relu x -> loss\nRelu x -> y")...)
	m.Graph.Output = []*onnxpb.ValueInfoProto{float("y", "N,2")}
	for i := range many {
		m.Graph.Node = append(m.Graph.Node, list(fmt.Sprintf("Relu x -> loss_%d\nRelu x -> target_%d", i+2, i+2))...)
	}
	return m
}

// nested has graphs in graphs, and in the last many nodes.
func nested(depth, nodes int) *onnxpb.ModelProto {
	g := &onnxpb.GraphProto{Name: proto.String("g"), Node: list("Relu x -> y"), Output: []*onnxpb.ValueInfoProto{float("y", "")}}
	for i := range nodes {
		g.Node = append(g.Node, list(fmt.Sprintf("Relu x -> n%d", i))...)
	}
	for range depth {
		n := list("If condition -> y")[0]
		n.Attribute = []*onnxpb.AttributeProto{graphAttribute("then_branch", g), graphAttribute("else_branch", &onnxpb.GraphProto{Node: list("Relu x -> y"), Output: g.Output})}
		g = &onnxpb.GraphProto{Name: proto.String("g"), Node: []*onnxpb.NodeProto{n}, Output: g.Output}
	}
	m := model("N,2", g.Node...)
	m.Graph.Input = append(m.Graph.Input, ops.ValueInfo("condition", ops.Bool, ops.Shape{}))
	return m
}
