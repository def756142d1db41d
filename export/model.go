package export

import (
	"fmt"
	"slices"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"google.golang.org/protobuf/proto"
)

// Model makes a model that computes a loss and nothing else. Its inputs are named
// as the loss's inputs, its output is "loss", or named as the head that it is.
func Model(loss *losses.Loss, p losses.Params, o Options) (*models.Model, error) {
	p, err := loss.Params(p)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	o, err = o.withDefaults(loss)
	if err != nil {
		return nil, fmt.Errorf("export: %s: %w", loss.Command(), err)
	}
	inputs, err := chosenInputs(loss, p, o.With)
	if err != nil {
		return nil, fmt.Errorf("export: %s: %w", loss.Command(), err)
	}
	shapes, err := inputShapes(inputs, o.Shapes, nil)
	if err != nil {
		return nil, fmt.Errorf("export: %s: %w", loss.Command(), err)
	}
	l := lowering{loss: loss, params: p, options: o}
	description := Description{
		Loss: loss, Params: p, Form: o.Form, Opset: o.Opset, DType: o.DType, Reduction: o.Reduction,
		Inputs: map[string]string{}, Output: loss.Output(),
	}
	graph := &onnxpb.GraphProto{Name: proto.String(loss.Name), DocString: proto.String(loss.Summary + "\n\n" + loss.Formula)}
	for _, in := range inputs {
		operand := operand{Input: in, tensor: in.Name, dtype: o.inputType(in), shape: shapes[in.Name]}
		l.inputs = append(l.inputs, operand)
		description.Inputs[in.Name] = in.Name
		info := ops.ValueInfo(in.Name, operand.dtype, operand.shape)
		info.DocString = proto.String(in.Doc)
		graph.Input = append(graph.Input, info)
	}
	emitted, err := l.emit(loss.Output(), nil)
	if err != nil {
		return nil, fmt.Errorf("export: %s: %w", loss.Command(), err)
	}
	description.Detached = emitted.detached
	model := &models.Model{Proto: &onnxpb.ModelProto{
		IrVersion:       proto.Int64(ops.MinIR(o.Opset)),
		ProducerName:    proto.String("onnxloss"),
		ProducerVersion: proto.String(Version),
		OpsetImport:     []*onnxpb.OperatorSetIdProto{opsetImport("", o.Opset)},
		Graph:           graph,
	}}
	edit := model.Edit()
	if err := emitted.addTo(edit, loss.Output()); err != nil {
		return nil, err
	}
	entries, err := description.entries()
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		edit.AddMetadata(keyPrefix+e.key, e.value)
	}
	return edit.Model()
}

// inputType is the element type that an input is given.
func (o Options) inputType(in losses.Input) ops.DType {
	if in.Domain == losses.ClassIndex {
		return o.IndexType
	}
	return o.DType
}

// chosenInputs lists the required inputs and the optional ones asked for.
func chosenInputs(loss *losses.Loss, p losses.Params, with []string) ([]losses.Input, error) {
	all := loss.InputsFor(p)
	for _, name := range with {
		if !slices.ContainsFunc(all, func(in losses.Input) bool { return in.Name == name }) {
			return nil, fmt.Errorf("there is no input %q; the inputs are %s", name, inputNames(all))
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(in losses.Input) bool {
		return in.Optional && !slices.Contains(with, in.Name)
	}), nil
}
