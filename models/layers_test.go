package models_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/nodetests"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
)

// describe writes layers as "Op tensor type shape", one a line.
func describe(layers []models.Layer) string {
	var lines []string
	for _, l := range layers {
		lines = append(lines, fmt.Sprintf("%s %s %s %s", l.Op, l.Name, l.DType, l.Shape))
	}
	return strings.Join(lines, "\n")
}

func TestLayersAreWhatTheNetworkComputes(t *testing.T) {
	for file, want := range map[string]string{
		"digits_cnn": `
Conv /c1/Conv_output_0 float32 [N,16,8,8]
Relu /Relu_output_0 float32 [N,16,8,8]
Conv /c2/Conv_output_0 float32 [N,32,8,8]
Relu /Relu_1_output_0 float32 [N,32,8,8]
MaxPool /MaxPool_output_0 float32 [N,32,4,4]
Flatten /Flatten_output_0 float32 [N,512]
Gemm /f1/Gemm_output_0 float32 [N,64]
Relu /Relu_2_output_0 float32 [N,64]
Gemm logits float32 [N,10]`,
		"superres": `
Conv /a/Conv_output_0 float32 [N,16,4,4]
Relu /Relu_output_0 float32 [N,16,4,4]
Conv /b/Conv_output_0 float32 [N,4,4,4]
DepthToSpace /p/DepthToSpace_output_0 float32 [N,1,8,8]
Sigmoid upscaled float32 [N,1,8,8]`,
		"gan_generator": `
Gemm /f/Gemm_output_0 float32 [N,128]
Relu /Relu_output_0 float32 [N,128]
Reshape /Reshape_output_0 float32 [N,32,2,2]
ConvTranspose /u/ConvTranspose_output_0 float32 [N,16,4,4]
Relu /Relu_1_output_0 float32 [N,16,4,4]
ConvTranspose /v/ConvTranspose_output_0 float32 [N,1,8,8]
Sigmoid image float32 [N,1,8,8]`,
	} {
		t.Run(file, func(t *testing.T) {
			m := open(t, "../testdata/models/"+file+".onnx")
			for _, stored := range []bool{true, false} {
				if !stored {
					m.Proto.Graph.ValueInfo = nil
				}
				layers, err := m.Layers()
				if err != nil {
					t.Fatal(err)
				}
				if got := "\n" + describe(layers); got != want {
					t.Errorf("with stored shapes %v, layers are:%s\nwant:%s", stored, got, want)
				}
			}
		})
	}
}

func TestLayersHaveTheNodesNames(t *testing.T) {
	layers, err := open(t, "../testdata/models/digits_cnn.onnx").Layers()
	if err != nil {
		t.Fatal(err)
	}
	if got := layers[1].Node; got != "/Relu" {
		t.Errorf("the node is %q", got)
	}
}

// The weights of these are made by nodes, which are no layers.
func TestLayersOfNetworksWithoutInitializers(t *testing.T) {
	for file, test := range map[string]struct {
		count int
		some  map[string]string // by what follows the tensor's name
	}{
		"vgg19":      {46, map[string]string{"r1": "Relu [1,64,224,224]", "r36": "MaxPool [1,512,7,7]", "r37": "Reshape [1,25088]", "prob_1": "Softmax [1,1000]"}},
		"resnet50":   {176, map[string]string{"r171": "Relu [1,2048,7,7]", "r173": "Reshape [1,2048]"}},
		"shufflenet": {203, map[string]string{"r198": "Relu [1,544,7,7]"}},
		"squeezenet": {66, map[string]string{"r60": "Concat [1,512,13,13]", "r65": "GlobalAveragePool [1,1000,1,1]"}},
	} {
		t.Run(file, func(t *testing.T) {
			layers, err := open(t, nodetests.Shared(t, "models/light/light_"+file+".onnx")).Layers()
			if err != nil {
				t.Fatal(err)
			}
			if len(layers) != test.count {
				t.Errorf("%d layers, want %d", len(layers), test.count)
			}
			found := map[string]string{}
			for _, l := range layers {
				found[l.Name] = l.Op + " " + l.Shape.String()
				if l.Op == "ConstantOfShape" || l.Op == "Constant" || l.DType != ops.Float32 || !l.Shape.Known() {
					t.Errorf("%s is %s %s %s", l.Name, l.Op, l.DType, l.Shape)
				}
			}
			for name, want := range test.some {
				if found[name] != want {
					t.Errorf("%s is %q, want %q", name, found[name], want)
				}
			}
		})
	}
}

func TestLayersLeaveOutWhatCannotBeAFeature(t *testing.T) {
	m := &models.Model{Proto: network(
		node("Constant -> c", &onnxpb.AttributeProto{Name: proto.String("value_float"), Type: onnxpb.AttributeProto_FLOAT.Enum(), F: proto.Float32(2)}),
		node("Relu w -> rectified"), // depends on no input
		node("Mul x c -> scaled"),
		node("Shape x -> shape"),
		node("Cast scaled -> whole", ops.IntAttribute("to", int64(ops.Int64))),
		node("ReduceMean scaled -> total", ops.IntAttribute("keepdims", 0)),
		node("Greater scaled c -> mask"),
		node("Elsewhere scaled -> y"),
	)}
	m.Proto.Graph.Initializer = []*onnxpb.TensorProto{initializer("w", []int{2, 2}, 1, 2, 3, float32(4))}
	layers, err := m.Layers()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := describe(layers), "Mul scaled float32 [N,2]\nElsewhere y float32 [...]"; got != want {
		t.Errorf("layers are:\n%s\nwant:\n%s", got, want)
	}
	m.Proto.Graph.Input = nil
	_, err = m.Layers()
	wantError(t, err, "models: layers: no node computes")
}

func TestLayersFollowOperators(t *testing.T) {
	ints := func(name string, list ...int64) *onnxpb.AttributeProto { return ops.IntsAttribute(name, list) }
	text := ops.StringAttribute
	for _, test := range []struct {
		node   *onnxpb.NodeProto
		inputs string // shapes of x, and of w where there is one
		want   string
	}{
		{node("Conv x w -> y"), "N,3,H,W 8,3,1,1", "[N,8,H,W]"},
		{node("Conv x w -> y"), "N,3,H,W 8,3,3,3", "[N,8,?,?]"},
		{node("Conv x w -> y", ints("pads", 1, 1, 1, 1)), "N,3,H,10 8,3,3,3", "[N,8,H,10]"},
		{node("Conv x w -> y", ints("pads", 2, 2, 2, 2), ints("dilations", 2, 2)), "N,3,H,W 8,3,3,3", "[N,8,H,W]"},
		{node("Conv x w -> y", ints("strides", 2, 2)), "1,3,224,225 8,3,7,7", "[1,8,109,110]"},
		{node("Conv x w -> y", text("auto_pad", "SAME_UPPER"), ints("strides", 2, 1)), "1,3,7,W 8,3,3,3", "[1,8,4,W]"},
		{node("Conv x w -> y", text("auto_pad", "VALID"), ints("pads", 9, 9, 9, 9)), "1,3,7,7 8,3,3,3", "[1,8,5,5]"},
		{node("Conv x w -> y"), "... 8,3,3,3", "[?,8,?,?]"},
		{node("Conv x w -> y"), "1,3,2,2 8,3,3,3", "[1,8,?,?]"},
		{node("Conv x w -> y", ints("strides", 0, 1)), "1,3,9,9 8,3,3,3", "[1,8,?,?]"},
		{node("Conv x w -> y"), "1,3,9 8,3,3", "[1,8,7]"},
		{node("ConvTranspose x w -> y", ints("strides", 2, 2), ints("output_padding", 1, 0)), "N,3,4,4 3,5,2,2", "[N,5,9,8]"},
		{node("ConvTranspose x w -> y", text("auto_pad", "SAME_UPPER")), "N,3,4,4 3,5,2,2", "[N,5,?,?]"},
		{node("MaxPool x -> y", ints("kernel_shape", 2, 2), ints("strides", 2, 2)), "N,3,7,W", "[N,3,3,?]"},
		{node("MaxPool x -> y", ints("kernel_shape", 2, 2), ints("strides", 2, 2), ops.IntAttribute("ceil_mode", 1)), "N,3,7,8", "[N,3,4,4]"},
		{node("AveragePool x -> y", ints("kernel_shape", 2), ints("strides", 3), ints("pads", 1, 1), ops.IntAttribute("ceil_mode", 1)), "1,1,5", "[1,1,?]"},
		{node("MaxPool x -> y", ints("kernel_shape", 3, 3), ints("pads", 1, 1, 1, 1)), "N,C,H,W", "[N,C,H,W]"},
		{node("MaxPool x -> y", ints("kernel_shape", 3)), "N,3,7,7", "[N,3,?,?]"},
		{node("GlobalAveragePool x -> y"), "N,3,H,W", "[N,3,1,1]"},
		{node("Relu x -> y"), "N,3,H,W", "[N,3,H,W]"},
		{node("BatchNormalization x w w w w -> y"), "N,3,H,W 3", "[N,3,H,W]"},
		{node("Add x w -> y"), "N,3,H,W 3,1,1", "[N,3,H,W]"},
		{node("Add x w -> y"), "N,3 M,3", "[?,3]"},
		{node("Add x w -> y"), "N,1 2,3", "[2,3]"},
		{node("Add x w -> y"), "4,3 2,3", "[...]"},
		{node("Mul x x -> y"), "N,3", "[N,3]"},
		{node("Concat x x -> y", ops.IntAttribute("axis", 1)), "N,3,H", "[N,6,H]"},
		{node("Concat x w -> y", ops.IntAttribute("axis", -1)), "N,?,H 2,5,1", "[2,5,?]"},
		{node("Flatten x -> y"), "N,3,4,5", "[N,60]"},
		{node("Flatten x -> y", ops.IntAttribute("axis", -1)), "2,3,N", "[6,N]"},
		{node("Flatten x -> y"), "N,C,4,4", "[N,?]"},
		{node("Gemm x w -> y", ops.IntAttribute("transB", 1)), "N,4 10,4", "[N,10]"},
		{node("MatMul x w -> y"), "N,7,4 4,9", "[N,7,9]"},
		{node("Transpose x -> y", ints("perm", 0, 2, 3, 1)), "N,3,H,W", "[N,H,W,3]"},
		{node("Transpose x -> y"), "N,3,H", "[H,3,N]"},
		{node("Softmax x -> y"), "N,10", "[N,10]"},
		{node("Unsqueeze x w -> y"), "N,3 1", "[...]"}, // the axes are not known
		{node("ReduceMean x -> y", ints("axes", 2, -1)), "N,3,H,W", "[N,3,1,1]"},
		{node("ReduceMean x -> y", ints("axes", 2, 3), ops.IntAttribute("keepdims", 0)), "N,3,H,W", "[N,3]"},
		{node("SpaceToDepth x -> y", ops.IntAttribute("blocksize", 2)), "N,3,8,W", "[N,12,4,?]"},
		{node("Split x -> y z", ops.IntAttribute("axis", 1)), "N,6,H", "[N,3,H]"},
		{node("Dropout x -> y mask"), "N,6", "[N,6]"},
		{node("LRN x -> y", ops.IntAttribute("size", 5)), "N,6,H,W", "[N,6,H,W]"},
	} {
		t.Run(test.node.GetOpType()+" of "+test.inputs, func(t *testing.T) {
			m := &models.Model{Proto: network(test.node)}
			m.Proto.Graph.Input = nil
			for i, text := range strings.Fields(test.inputs) {
				m.Proto.Graph.Input = append(m.Proto.Graph.Input, ops.ValueInfo([]string{"x", "w"}[i], ops.Float32, shape(t, text)))
			}
			layers, err := m.Layers()
			if err != nil {
				t.Fatal(err)
			}
			if got := layers[0].Shape.String(); got != test.want {
				t.Errorf("shape is %s, want %s", got, test.want)
			}
		})
	}
}

func TestLayersFollowShapesThatAreComputed(t *testing.T) {
	p := network(
		node("Shape x -> shape"),
		node("Gather shape zero -> batch"),
		node("Unsqueeze batch axes -> batches"),
		node("Concat batches rest -> target", ops.IntAttribute("axis", 0)),
		node("Reshape x target -> y"),
	)
	p.Graph.Input[0] = ops.ValueInfo("x", ops.Float32, shape(t, "N,3,4,4"))
	p.Graph.Initializer = []*onnxpb.TensorProto{
		initializer("zero", nil, int64(0)), initializer("axes", []int{1}, int64(0)), initializer("rest", []int{2}, int64(-1), 16),
	}
	m := &models.Model{Proto: p}
	layers, err := m.Layers()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := describe(layers), "Reshape y float32 [N,3,16]"; got != want {
		t.Errorf("layers are %s, want %s", got, want)
	}
	// A default that may be replaced says nothing.
	p.Graph.Input = append(p.Graph.Input, ops.ValueInfo("rest", ops.Int64, shape(t, "2")))
	if layers, err = m.Layers(); err != nil {
		t.Fatal(err)
	}
	if got, want := describe(layers), "Reshape y float32 [?,?,?]"; got != want {
		t.Errorf("layers are %s, want %s", got, want)
	}
}

func TestLayersLookIntoFunctions(t *testing.T) {
	p := network(&onnxpb.NodeProto{
		OpType: proto.String("Block"), Domain: proto.String("test"), Input: []string{"x"}, Output: []string{"y"},
		Attribute: []*onnxpb.AttributeProto{ops.IntsAttribute("to", []int64{1, 0})},
	})
	p.Graph.Output = []*onnxpb.ValueInfoProto{{Name: proto.String("y")}}
	p.Functions = []*onnxpb.FunctionProto{{
		Domain: proto.String("test"), Name: proto.String("Block"), Input: []string{"a"}, Output: []string{"b"}, Attribute: []string{"to"},
		OpsetImport: p.OpsetImport,
		Node: []*onnxpb.NodeProto{
			node("Relu a -> c"),
			node("Transpose c -> b", &onnxpb.AttributeProto{Name: proto.String("perm"), Type: onnxpb.AttributeProto_INTS.Enum(), RefAttrName: proto.String("to")}),
		},
	}}
	layers, err := (&models.Model{Proto: p}).Layers()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := describe(layers), "Block y float32 [2,N]"; got != want {
		t.Errorf("layers are %s, want %s", got, want)
	}
}

// Functions that call each other twice, 40 deep, would be called 2^40 times.
func TestLayersOfNestedFunctionsEnd(t *testing.T) {
	call := func(i int, operands string) *onnxpb.NodeProto {
		n := node(fmt.Sprintf("F%d %s", i, operands))
		n.Domain = proto.String("test")
		return n
	}
	p := network(call(0, "x -> y"))
	for i := range 40 {
		p.Functions = append(p.Functions, &onnxpb.FunctionProto{
			Domain: proto.String("test"), Name: proto.String(fmt.Sprintf("F%d", i)), Input: []string{"a"}, Output: []string{"c"},
			Node: []*onnxpb.NodeProto{call(i+1, "a -> b"), call(i+1, "b -> c")},
		})
	}
	layers, err := (&models.Model{Proto: p}).Layers()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := describe(layers), "F0 y float32 [...]"; got != want {
		t.Errorf("layers are %s, want %s", got, want)
	}
}

// Every node test of the ONNX standard, without the types of its results: what is
// inferred must be what the test gives.
func TestLayersAreNeverWrong(t *testing.T) {
	compared, known := 0, 0
	for _, c := range nodetests.Cases(t) {
		for _, constants := range []bool{false, true} {
			m := withoutResults(t, c, constants)
			layers, err := m.Layers()
			if err != nil {
				continue // nothing but whole numbers, or constants
			}
			for i, out := range c.Graph.Output {
				if c.Outputs[i] == nil {
					continue
				}
				for _, l := range layers {
					if l.Name != out.GetName() || l.DType == ops.Undefined && !l.Shape.Known() {
						continue
					}
					compared++
					if l.Shape.Known() {
						known++
					}
					wantFits(t, c.Name, l, c.Outputs[i])
				}
			}
		}
	}
	if compared < 1500 || known < 1200 {
		t.Errorf("only %d results were compared, %d with a shape", compared, known)
	}
}

// withoutResults is a node test without the types of what it computes; where
// constants is set, inputs of whole numbers become initializers.
func withoutResults(t *testing.T, c nodetests.Case, constants bool) *models.Model {
	t.Helper()
	m, err := models.Parse(c.Model)
	if err != nil {
		t.Fatal(err)
	}
	g := m.Proto.Graph
	g.ValueInfo = nil
	for _, out := range g.Output {
		out.Type = nil
	}
	if !constants {
		return m
	}
	var inputs []*onnxpb.ValueInfoProto
	for i, in := range g.Input {
		if c.Inputs[i] != nil && ops.DType(c.Inputs[i].GetDataType()) == ops.Int64 {
			g.Initializer = append(g.Initializer, c.Inputs[i])
		} else {
			inputs = append(inputs, in)
		}
	}
	g.Input = inputs
	return m
}

func wantFits(t *testing.T, name string, got models.Layer, want *onnxpb.TensorProto) {
	t.Helper()
	fits := got.DType == ops.Undefined || got.DType == ops.DType(want.GetDataType())
	if got.Shape.Known() {
		fits = fits && len(got.Shape) == len(want.Dims)
		for i, d := range got.Shape {
			n, fixed := d.Size()
			fits = fits && (!fixed || int64(n) == want.Dims[i])
		}
	}
	if !fits {
		t.Errorf("%s: %s of %s is %s%s, but computes %s%v", name, got.Name, got.Op, got.DType, got.Shape, ops.DType(want.GetDataType()), want.Dims)
	}
}
