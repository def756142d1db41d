package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
	"google.golang.org/protobuf/proto"
)

// ErrNoLoss says that a model carries no loss that onnxloss wrote.
var ErrNoLoss = errors.New("no onnxloss metadata")

// Description is what a file says of the loss in it.
type Description struct {
	Loss      *losses.Loss
	Params    losses.Params
	Form      Form
	Opset     int
	DType     ops.DType // of the loss's floating-point inputs and its output
	Reduction losses.Reduction
	// Inputs maps the loss's inputs to the tensors they are, by name.
	Inputs map[string]string
	// Output is the name of the loss's tensor.
	Output string
	// Detached names the tensors inside the loss that count as constants when it is
	// differentiated: those of the graph, or of the function's body.
	Detached []string
	// Attached says that the loss sits on another model.
	Attached bool
}

// description is a Description as JSON in metadata_props.
const (
	keyLoss     = "onnxloss.loss"
	keyParams   = "onnxloss.params"
	keyVersion  = "onnxloss.version"
	keyForm     = "onnxloss.form"
	keyOpset    = "onnxloss.opset"
	keyDType    = "onnxloss.dtype"
	keyReduce   = "onnxloss.reduction"
	keyInputs   = "onnxloss.inputs"
	keyOutput   = "onnxloss.output"
	keyAttached = "onnxloss.attached"
	keyDetached = "onnxloss.detached" // only where there are any
)

// stamp writes the description into the model's metadata.
func (d Description) stamp(model *onnxpb.ModelProto) error {
	params, err := json.Marshal(d.Params)
	if err != nil {
		return fmt.Errorf("export: encode the parameters: %w", err)
	}
	inputs, err := json.Marshal(d.Inputs)
	if err != nil {
		return fmt.Errorf("export: encode the input names: %w", err)
	}
	entries := [][2]string{
		{keyLoss, d.Loss.Name},
		{keyParams, string(params)},
		{keyVersion, Version},
		{keyForm, string(d.Form)},
		{keyOpset, strconv.Itoa(d.Opset)},
		{keyDType, d.DType.String()},
		{keyReduce, string(d.Reduction)},
		{keyInputs, string(inputs)},
		{keyOutput, d.Output},
		{keyAttached, strconv.FormatBool(d.Attached)},
	}
	if len(d.Detached) > 0 {
		detached, err := json.Marshal(d.Detached)
		if err != nil {
			return fmt.Errorf("export: encode the detached tensors' names: %w", err)
		}
		entries = append(entries, [2]string{keyDetached, string(detached)})
	}
	for _, entry := range entries {
		model.MetadataProps = append(model.MetadataProps, &onnxpb.StringStringEntryProto{
			Key: proto.String(entry[0]), Value: proto.String(entry[1]),
		})
	}
	return nil
}

// Describe reads what a model's metadata say of the loss in it. It returns
// ErrNoLoss, wrapped, where there is none.
func Describe(model *onnxpb.ModelProto) (Description, error) {
	meta := map[string]string{}
	for _, entry := range model.GetMetadataProps() {
		meta[entry.GetKey()] = entry.GetValue()
	}
	if meta[keyLoss] == "" {
		return Description{}, fmt.Errorf("export: the model has %w; make it with export or attach", ErrNoLoss)
	}
	d, err := describe(meta)
	if err != nil {
		return Description{}, fmt.Errorf("export: metadata: %w", err)
	}
	return d, nil
}

func describe(meta map[string]string) (d Description, err error) {
	if d.Loss, err = losses.Find(meta[keyLoss]); err != nil {
		return d, err
	}
	settings := map[string]any{}
	decoder := json.NewDecoder(bytes.NewReader([]byte(meta[keyParams])))
	decoder.UseNumber()
	if err := decoder.Decode(&settings); err != nil {
		return d, fmt.Errorf("%s is not JSON: %w", keyParams, err)
	}
	if d.Params, err = d.Loss.Params(settings); err != nil {
		return d, err
	}
	if d.Form, err = ParseForm(meta[keyForm]); err != nil {
		return d, err
	}
	if d.DType, err = ops.ParseDType(meta[keyDType]); err != nil {
		return d, err
	}
	if d.Reduction, err = losses.ParseReduction(meta[keyReduce]); err != nil {
		return d, err
	}
	if d.Opset, err = strconv.Atoi(meta[keyOpset]); err != nil {
		return d, fmt.Errorf("%s is %q, not a number", keyOpset, meta[keyOpset])
	}
	if err := json.Unmarshal([]byte(meta[keyInputs]), &d.Inputs); err != nil {
		return d, fmt.Errorf("%s is not JSON: %w", keyInputs, err)
	}
	if detached := meta[keyDetached]; detached != "" {
		if err := json.Unmarshal([]byte(detached), &d.Detached); err != nil {
			return d, fmt.Errorf("%s is not JSON: %w", keyDetached, err)
		}
	}
	d.Output = meta[keyOutput]
	d.Attached = meta[keyAttached] == "true"
	return d, nil
}
