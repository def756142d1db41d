package export

import (
	"fmt"
	"slices"
	"strings"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/internal/spelling"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
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

// binding is what the inputs of one loss are: tensors of the model, or, where fresh
// has them, inputs that the model is to be given.
type binding struct {
	prefix string // of the tensors that adapters make
	share  bool   // tensors inside the model are read where they are
	inputs []losses.Input
	bound  []operand
	fresh  map[string]source
}

// bind finds the tensors that inputs of the loss are bound to, the prediction
// first. What is neither bound nor found becomes a new input.
func (h *host) bind(loss *losses.Loss, inputs []losses.Input, o AttachOptions) (binding, error) {
	found := binding{prefix: loss.Name + "/", share: o.Share, inputs: inputs, fresh: map[string]source{}}
	for _, in := range inputs {
		from, err := h.sourceOf(in, o.Bind, found.bound)
		if err != nil {
			return found, err
		}
		if from.tensor == "" {
			found.fresh[in.Name] = from
			continue
		}
		bound, err := h.operand(in, from, found)
		if err != nil {
			return found, err
		}
		found.bound = append(found.bound, bound)
	}
	return found, nil
}

// sourceOf reads what an input is bound to, or finds it: a prediction among the
// outputs, and others among the inputs, by name. One without a tensor is new.
func (h *host) sourceOf(in losses.Input, bind map[string]string, bound []operand) (source, error) {
	text, asked := bind[in.Name]
	switch {
	case asked:
		from, err := parseSource(text, h.has)
		if err != nil {
			return source{}, fmt.Errorf("%s=%s: %w", in.Name, text, err)
		}
		if h.brought[from.name] && from.tensor == "" { // by an earlier loss
			from.tensor = from.name
		}
		return from, nil
	case in.Role == losses.Prediction:
		tensor, err := h.findPrediction(in, bound)
		return source{tensor: tensor}, err
	}
	for _, t := range h.model.Inputs() {
		if t.Name == in.Name && fits(in, t) == nil {
			return source{tensor: t.Name}, nil
		}
	}
	return source{}, nil
}

// findPrediction picks the output of the input's own name, or the only output that
// can be it. Of an output that a Softmax or Sigmoid makes it takes what that reads,
// where the loss wants logits.
func (h *host) findPrediction(in losses.Input, bound []operand) (string, error) {
	var candidates, unfit []string
	for _, out := range h.outputs {
		t, _ := h.about(out.GetName())
		if !t.DType.IsFloat() {
			continue
		}
		if in.Domain == losses.Logit {
			if a := h.activationOf(t.Name); a.direct {
				t, _ = h.about(a.reads)
			}
		}
		isBound := slices.ContainsFunc(bound, func(o operand) bool { return o.from == t.Name })
		if isBound || slices.Contains(candidates, t.Name) { // logits, and an output made of them
			continue
		}
		err := fits(in, t)
		switch {
		case err != nil:
			unfit = append(unfit, err.Error())
		case out.GetName() == in.Name:
			return t.Name, nil
		default:
			candidates = append(candidates, t.Name)
		}
	}
	switch {
	case len(candidates) == 1:
		return candidates[0], nil
	case len(candidates) > 1:
		return "", fmt.Errorf("the %s could be any of %s; bind one with %s=TENSOR", in.Name, sample(candidates), in.Name)
	case len(unfit) > 0:
		return "", fmt.Errorf("no output of the model can be the %s: %s; bind a tensor with %s=TENSOR, through an adapter where its layout differs", in.Name, strings.Join(unfit, ", "), in.Name)
	}
	return "", fmt.Errorf("the model has no floating-point output to be the %s; bind a tensor with %s=TENSOR, or a new input with %s=new", in.Name, in.Name, in.Name)
}

// fits says why a tensor cannot be an input of the loss by itself, nil where it can.
func fits(in losses.Input, t models.Tensor) error {
	if err := checkType(in, t); err != nil {
		return err
	}
	if in.Broadcast {
		return nil
	}
	a := newAxes()
	return a.bind(in, fmt.Sprintf("%q", t.Name), t.Shape)
}

// checkType refuses element types that the loss cannot take, and names the adapter
// that helps.
func checkType(in losses.Input, t models.Tensor) error {
	is := fmt.Sprintf("%q is %s%s", t.Name, t.DType, t.Shape)
	whole := t.DType.IsInteger() || t.DType == ops.Bool
	switch index := in.Domain == losses.ClassIndex; {
	case t.DType == ops.Undefined:
		return fmt.Errorf("the file does not say what type %q has, and it does not follow from the operators; state it with an adapter, as in %s=\"%s | cast float32\"", t.Name, in.Name, t.Name)
	case index && t.DType.IsFloat():
		return fmt.Errorf("%s needs class indices of type int64 or int32, but %s; of one-hot numbers make indices with \"%s | argmax\"", in.Name, is, t.Name)
	case index && t.DType != ops.Int64 && t.DType != ops.Int32 && whole:
		return fmt.Errorf("%s needs class indices of type int64 or int32, but %s; convert them with \"%s | cast int64\"", in.Name, is, t.Name)
	case index && !whole:
		return fmt.Errorf("%s needs class indices of type int64 or int32, but %s", in.Name, is)
	case !index && whole:
		return fmt.Errorf("%s needs floating-point numbers, but %s; convert them with \"%s | cast float32\", or class indices with \"| one-hot CLASSES\"", in.Name, is, t.Name)
	case !index && !t.DType.IsFloat():
		return fmt.Errorf("%s needs floating-point numbers, but %s", in.Name, is)
	}
	return nil
}

// operand checks that a tensor can be an input of the loss, and adapts it.
func (h *host) operand(in losses.Input, from source, b binding) (operand, error) {
	t, err := h.lookUp(in, from.tensor)
	if err != nil {
		return operand{}, err
	}
	if err := h.checkActivation(in, from); err != nil {
		return operand{}, err
	}
	if len(from.steps) == 0 { // before the tensor has another name
		if err := checkType(in, t); err != nil {
			return operand{}, err
		}
	}
	if !b.share {
		if t, err = h.apart(t); err != nil {
			return operand{}, err
		}
	}
	if t, err = h.adapt(in, t, from.steps, b.prefix); err != nil {
		return operand{}, err
	}
	if err := checkType(in, t); err != nil {
		return operand{}, err
	}
	o := operand{Input: in, from: from.tensor, tensor: t.Name, dtype: t.DType, shape: t.Shape}
	if t.Name != from.tensor {
		o.source = from.String()
	}
	return o, nil
}

// lookUp finds a tensor of the main graph.
func (h *host) lookUp(in losses.Input, tensor string) (models.Tensor, error) {
	cannot := fmt.Sprintf("%s cannot be bound to %q", in.Name, tensor)
	if t, ok := h.about(tensor); ok && t.Other != "" {
		return t, fmt.Errorf("%s, which is no tensor but a %s", cannot, t.Other)
	} else if ok {
		return t, nil
	}
	for _, n := range h.model.Proto.GetGraph().GetNode() {
		if n.GetName() == tensor && len(n.GetOutput()) > 0 {
			return models.Tensor{}, fmt.Errorf("%s, the name of a node; bind a tensor that it makes: %s", cannot, sample(n.GetOutput()))
		}
	}
	if h.taken[tensor] {
		return models.Tensor{}, fmt.Errorf("%s, which is inside of a subgraph; bind a tensor of the main graph", cannot)
	}
	if near := spelling.Closest(tensor, h.all()); near != "" {
		return models.Tensor{}, fmt.Errorf("%s: the model has no such tensor; did you mean %q?", cannot, near)
	}
	return models.Tensor{}, fmt.Errorf("%s: the model has no such tensor; its outputs are %s", cannot, infoNames(h.outputs))
}

func infoNames(infos []*onnxpb.ValueInfoProto) string {
	names := make([]string, len(infos))
	for i, info := range infos {
		names[i] = info.GetName()
	}
	return sample(names)
}

// sample lists names, and how many more there are where they are many.
func sample(names []string) string {
	const most = 12
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s, and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// complete adds an input to the model for every input of the loss that is not
// bound, in a shape that follows from the bound ones.
func (h *host) complete(b binding, o Options) ([]operand, error) {
	shapes, labels := map[string]ops.Shape{}, map[string]string{}
	for name, shape := range o.Shapes {
		shapes[name] = shape
	}
	for _, known := range b.bound {
		if asked, ok := shapes[known.Name]; ok {
			return nil, fmt.Errorf("a shape, %s, is given for %s, but that is bound to %q of shape %s", asked, known.Name, known.tensor, known.shape)
		}
		shapes[known.Name], labels[known.Name] = known.shape, fmt.Sprintf("%s (%q)", known.Name, known.tensor)
	}
	shapes, err := inputShapes(b.inputs, shapes, labels)
	if err != nil {
		return nil, err
	}
	fresh := newInputs{index: o.IndexType, float: o.DType}
	if first := shapes[b.inputs[0].Name]; len(first) > 1 { // predictions come first
		fresh.classes = first[1]
	}
	var operands []operand
	for _, in := range b.inputs {
		at := slices.IndexFunc(b.bound, func(o operand) bool { return o.Name == in.Name })
		if at >= 0 {
			operands = append(operands, b.bound[at])
			continue
		}
		need := tensorType{o.inputType(in), shapes[in.Name]}
		made, err := h.addInput(in, need, fresh, b)
		if err != nil {
			return nil, err
		}
		operands = append(operands, made)
	}
	return operands, nil
}

// addInput gives the model an input that the adapters turn into what is needed.
func (h *host) addInput(in losses.Input, need tensorType, fresh newInputs, b binding) (operand, error) {
	from := b.fresh[in.Name]
	if from.name != "" && h.taken[from.name] {
		return operand{}, fmt.Errorf("%s cannot be the new input %q: the model has that name already; leave \"new\" out to bind what is there", in.Name, from.name)
	}
	for _, s := range slices.Backward(from.steps) {
		var err error
		if need, err = s.before(need, fresh); err != nil {
			return operand{}, fmt.Errorf("%s=%s: %s: %w", in.Name, from, s.text, err)
		}
	}
	if from.tensor = from.name; from.name == "" {
		from.tensor = h.free(in.Name)
	}
	h.bring(models.Tensor{Name: from.tensor, DType: need.dtype, Shape: need.shape}, in.Doc)
	return h.operand(in, from, b)
}

// bring gives the model an input.
func (h *host) bring(t models.Tensor, doc string) {
	info := ops.ValueInfo(t.Name, t.DType, t.Shape)
	info.DocString = proto.String(doc)
	h.edit.AddInputs(info)
	h.taken[t.Name], h.brought[t.Name], h.declared[t.Name] = true, true, t
}

// prediction is the element type of the first prediction that is bound.
func (b binding) prediction() ops.DType {
	for _, o := range b.bound {
		if o.Role == losses.Prediction {
			return o.dtype
		}
	}
	return ops.Undefined
}
