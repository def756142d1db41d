package export

import (
	"slices"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
)

// tensors is what is known of the tensors of a model's main graph.
type tensors struct {
	model    *models.Model
	outputs  []*onnxpb.ValueInfoProto // the model's own
	declared map[string]models.Tensor // what the file says
	// What has to be worked out is nil until it is needed.
	inferred  map[string]models.Tensor
	producers map[string]*onnxpb.NodeProto
	readers   map[string][]*onnxpb.NodeProto // of each tensor
}

func tensorsOf(model *models.Model) tensors {
	return tensors{model: model, outputs: model.Proto.GetGraph().GetOutput(), declared: model.Declared()}
}

// producer is the node of the main graph that makes a tensor, nil for none.
func (k *tensors) producer(name string) *onnxpb.NodeProto {
	if k.producers == nil {
		k.producers = producersOf(k.model.Proto.GetGraph())
	}
	return k.producers[name]
}

func producersOf(g *onnxpb.GraphProto) map[string]*onnxpb.NodeProto {
	made := map[string]*onnxpb.NodeProto{}
	for _, n := range g.GetNode() {
		for _, name := range n.GetOutput() {
			made[name] = n
		}
	}
	delete(made, "")
	return made
}

// about is what is known of a tensor of the main graph: what the file says and, where
// that leaves something open, what follows from the operators.
func (k *tensors) about(name string) (models.Tensor, bool) {
	t, ok := k.declared[name]
	if ok && t.DType != ops.Undefined && t.Shape.Known() {
		return t, true
	}
	if k.inferred == nil {
		k.inferred = k.model.Infer()
	}
	if inferred, known := k.inferred[name]; known && name != "" {
		return inferred, true
	}
	return t, ok
}

func (k *tensors) has(name string) bool {
	_, ok := k.about(name)
	return ok
}

// all lists the tensors of the main graph.
func (k *tensors) all() []string {
	var names []string
	for name := range k.model.Infer() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
