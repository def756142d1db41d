package models

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// VGGOpset is the opset that VGG takes where none is asked for.
const VGGOpset = 17

// vggStages are the numbers of convolutions between the poolings, and vggWidths
// their channels.
var (
	vggStages = map[int][]int{16: {2, 2, 3, 3, 3}, 19: {2, 2, 4, 4, 4}}
	vggWidths = []int{64, 128, 256, 512, 512}
)

// VGG builds the convolutional part of VGG-16 or VGG-19 (Simonyan and Zisserman
// 2015), the network that perceptual losses are defined on. Its input "image" is
// [N,3,H,W], normalised as the weights want it; its output is "pool5". Every tensor
// has the usual name: conv1_1, relu1_1, ..., pool1, ... relu5_3 (relu5_4 in VGG-19).
// An opset of 0 is VGGOpset.
//
// Weights are named as torchvision names them (features.0.weight, features.0.bias,
// ...) or by layer (conv1_1.weight, ...). They keep their element type if all have
// the same one; a mixture becomes float32, or float64 where some are, and bfloat16
// becomes float32 before opset 22, from which on convolutions have that type.
func VGG(depth int, weights *Weights, opset int) (*Model, error) {
	model, err := vgg(depth, weights, opset)
	if err != nil {
		return nil, fmt.Errorf("models: vgg%d: %w", depth, err)
	}
	return &Model{Proto: model}, nil
}

func vgg(depth int, weights *Weights, opset int) (*onnxpb.ModelProto, error) {
	stages, ok := vggStages[depth]
	if !ok {
		return nil, errors.New("only depths 16 and 19 are built")
	}
	if opset == 0 {
		opset = VGGOpset
	}
	if opset < ops.MinOpset || opset > ops.MaxOpset {
		return nil, fmt.Errorf("opset %d is not supported; use %d to %d", opset, ops.MinOpset, ops.MaxOpset)
	}
	parameters, err := vggWeights(stages, weights)
	if err != nil {
		return nil, err
	}
	dtype, err := unify(parameters, opset)
	if err != nil {
		return nil, err
	}
	graph := vggGraph(stages)
	graph.Name = proto.String(fmt.Sprintf("vgg%d", depth))
	graph.Input = []*onnxpb.ValueInfoProto{ops.ValueInfo("image", dtype, ops.Shape{ops.Symbolic("N"), ops.Fixed(3), ops.Symbolic("H"), ops.Symbolic("W")})}
	graph.Output = []*onnxpb.ValueInfoProto{ops.ValueInfo("pool5", dtype, ops.Shape{ops.Symbolic("N"), ops.Fixed(vggWidths[4]), {}, {}})}
	for _, p := range parameters {
		graph.Initializer = append(graph.Initializer, engine.ToProto(p.name, p.tensor))
	}
	return &onnxpb.ModelProto{
		IrVersion:    proto.Int64(ops.MinIR(opset)),
		ProducerName: proto.String("onnxloss"),
		OpsetImport:  []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(int64(opset))}},
		Graph:        graph,
	}, nil
}

// parameter is a weight or a bias.
type parameter struct {
	name   string // in the model
	tensor engine.Tensor
}

// vggWeights reads all weights and biases and checks their shapes.
func vggWeights(stages []int, weights *Weights) ([]parameter, error) {
	byLayer := slices.Contains(weights.Names(), "conv1_1.weight")
	if !byLayer && slices.Contains(weights.Names(), "features.1.running_mean") {
		return nil, errors.New("the weights are those of the variant with batch normalisation; use those without")
	}
	var parameters []parameter
	in, at := 3, 0 // channels, and place in torchvision's list of modules
	for stage, count := range stages {
		out := vggWidths[stage]
		for i := range count {
			layer := fmt.Sprintf("conv%d_%d", stage+1, i+1)
			from := fmt.Sprintf("features.%d", at)
			if byLayer {
				from = layer
			}
			for _, p := range []struct {
				name  string
				shape []int
			}{{"weight", []int{out, in, 3, 3}}, {"bias", []int{out}}} {
				t, err := weights.shaped(from+"."+p.name, p.shape)
				if err != nil {
					return nil, err
				}
				parameters = append(parameters, parameter{layer + "." + p.name, t})
			}
			in, at = out, at+2 // the activation has a place too
		}
		at++ // the pooling
	}
	return parameters, nil
}

// shaped reads a floating-point tensor that must have a shape.
func (w *Weights) shaped(name string, shape []int) (engine.Tensor, error) {
	if w.tensors[name] == nil {
		return engine.Tensor{}, fmt.Errorf("weights %q are missing; the file has %s", name, sample(w.Names()))
	}
	t, err := w.tensors[name]()
	switch {
	case err != nil:
		return t, fmt.Errorf("weights %q: %w", name, err)
	case !t.DType().IsFloat():
		return t, fmt.Errorf("weights %q are %s, expected floating-point numbers", name, t.DType())
	case !slices.Equal(t.Shape(), shape):
		return t, fmt.Errorf("weights %q have shape %v, expected %v", name, t.Shape(), shape)
	}
	return t, nil
}

// bfloat16Opset is the first in which convolutions and poolings have that type.
const bfloat16Opset = 22

// unify gives all parameters one element type.
func unify(parameters []parameter, opset int) (ops.DType, error) {
	dtype := parameters[0].tensor.DType()
	for _, p := range parameters {
		switch other := p.tensor.DType(); {
		case other == ops.Float64 || dtype == ops.Float64:
			dtype = ops.Float64
		case other != dtype:
			dtype = ops.Float32
		}
	}
	if dtype == ops.BFloat16 && opset < bfloat16Opset {
		dtype = ops.Float32
	}
	for i, p := range parameters {
		if p.tensor.DType() == dtype {
			continue
		}
		wide, err := engine.FromFloat64s(dtype, p.tensor.Shape(), p.tensor.Float64s())
		if err != nil {
			return dtype, err
		}
		parameters[i].tensor = wide
	}
	return dtype, nil
}

// vggGraph is the network's nodes.
func vggGraph(stages []int) *onnxpb.GraphProto {
	g := new(onnxpb.GraphProto)
	last := "image"
	emit := func(op, output string, inputs []string, attributes ...*onnxpb.AttributeProto) {
		g.Node = append(g.Node, &onnxpb.NodeProto{
			OpType: &op, Name: &output, Output: []string{output}, Input: append([]string{last}, inputs...), Attribute: attributes,
		})
		last = output
	}
	for stage, count := range stages {
		for i := range count {
			number := fmt.Sprintf("%d_%d", stage+1, i+1)
			emit("Conv", "conv"+number, []string{"conv" + number + ".weight", "conv" + number + ".bias"},
				ops.IntsAttribute("kernel_shape", []int64{3, 3}), ops.IntsAttribute("pads", []int64{1, 1, 1, 1}))
			emit("Relu", "relu"+number, nil)
		}
		emit("MaxPool", fmt.Sprintf("pool%d", stage+1), nil,
			ops.IntsAttribute("kernel_shape", []int64{2, 2}), ops.IntsAttribute("strides", []int64{2, 2}))
	}
	return g
}
