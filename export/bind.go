package export

import (
	"fmt"
	"slices"
	"strings"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
	"google.golang.org/protobuf/proto"
)

func boundNames(bind map[string]string) []string {
	names := make([]string, 0, len(bind))
	for name := range bind {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// bind finds the tensors that inputs of the loss are bound to, the prediction
// first.
func (h *host) bind(inputs []losses.Input, bind map[string]string) ([]operand, error) {
	var operands []operand
	for _, in := range inputs {
		tensor, ok := bind[in.Name]
		if !ok && in.Role != losses.Prediction {
			continue
		}
		if !ok {
			var err error
			if tensor, err = h.findPrediction(in); err != nil {
				return nil, err
			}
		}
		o, err := h.operand(in, tensor)
		if err != nil {
			return nil, err
		}
		operands = append(operands, o)
	}
	return operands, nil
}

// findPrediction picks the output of the input's own name, or the only
// floating-point output.
func (h *host) findPrediction(in losses.Input) (string, error) {
	var candidates []string
	for _, out := range h.outputs {
		if !ops.DType(out.GetType().GetTensorType().GetElemType()).IsFloat() {
			continue
		}
		if out.GetName() == in.Name {
			return in.Name, nil
		}
		candidates = append(candidates, out.GetName())
	}
	switch len(candidates) {
	case 0:
		return "", fmt.Errorf("the model has no floating-point output to be the %s; bind one with %s=TENSOR", in.Name, in.Name)
	case 1:
		return candidates[0], nil
	}
	return "", fmt.Errorf("the %s could be any of the outputs %s; bind one with %s=TENSOR", in.Name, strings.Join(candidates, ", "), in.Name)
}

// operand checks that a tensor can be an input of the loss.
func (h *host) operand(in losses.Input, tensor string) (operand, error) {
	info, ok := h.typeOf[tensor]
	if !ok && h.taken[tensor] {
		return operand{}, fmt.Errorf("%s cannot be bound to %q: the file does not say its type and shape; run ONNX shape inference on the model first, or bind an output", in.Name, tensor)
	}
	if !ok {
		return operand{}, fmt.Errorf("%s cannot be bound to %q: the model has no such tensor; its outputs are %s", in.Name, tensor, infoNames(h.outputs))
	}
	t := info.GetType().GetTensorType()
	if t == nil {
		return operand{}, fmt.Errorf("%s cannot be bound to %q, which is not a tensor", in.Name, tensor)
	}
	o := operand{Input: in, tensor: tensor, dtype: ops.DType(t.GetElemType()), shape: ops.ShapeOf(t)}
	switch index := in.Domain == losses.ClassIndex; {
	case index && o.dtype != ops.Int64 && o.dtype != ops.Int32:
		return operand{}, fmt.Errorf("%s needs class indices of type int64 or int32, but %q is %s%s", in.Name, tensor, o.dtype, o.shape)
	case !index && !o.dtype.IsFloat():
		return operand{}, fmt.Errorf("%s needs floating-point numbers, but %q is %s%s", in.Name, tensor, o.dtype, o.shape)
	}
	return o, nil
}

func infoNames(infos []*onnxpb.ValueInfoProto) string {
	names := make([]string, len(infos))
	for i, info := range infos {
		names[i] = info.GetName()
	}
	return strings.Join(names, ", ")
}

// complete adds an input to the model for every input of the loss that is not
// bound, in a shape that follows from the bound ones.
func (h *host) complete(inputs []losses.Input, bound []operand, o Options) ([]operand, error) {
	shapes := map[string]ops.Shape{}
	for name, shape := range o.Shapes {
		shapes[name] = shape
	}
	for _, b := range bound {
		if asked, ok := shapes[b.Name]; ok {
			return nil, fmt.Errorf("a shape, %s, is given for %s, but that is bound to %q of shape %s", asked, b.Name, b.tensor, b.shape)
		}
		shapes[b.Name] = b.shape
	}
	shapes, err := inputShapes(inputs, shapes)
	if err != nil {
		return nil, err
	}
	var operands []operand
	for _, in := range inputs {
		at := slices.IndexFunc(bound, func(b operand) bool { return b.Name == in.Name })
		if at >= 0 {
			operands = append(operands, bound[at])
			continue
		}
		made := operand{Input: in, tensor: h.free(in.Name), dtype: o.inputType(in), shape: shapes[in.Name]}
		info := ops.ValueInfo(made.tensor, made.dtype, made.shape)
		info.DocString = proto.String(in.Doc)
		h.edit.AddInputs(info)
		h.typeOf[made.tensor] = info
		operands = append(operands, made)
	}
	return operands, nil
}
