package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/onnxloss/onnxloss/internal/brief"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
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
	// Weight is the loss's factor in the total of a file with several; else 1.
	Weight float64
}

// Composition is several losses in one file and their weighted sum.
type Composition struct {
	Terms []Description // each with its Weight
	Total string        // the tensor that is their weighted sum
}

// The keys of metadata_props, without the prefix. A file with several losses has
// those of each in a list, as JSON, under keyTerms.
const (
	keyPrefix   = "onnxloss."
	keyLoss     = "loss"
	keyParams   = "params"
	keyVersion  = "version"
	keyForm     = "form"
	keyOpset    = "opset"
	keyDType    = "dtype"
	keyReduce   = "reduction"
	keyInputs   = "inputs"
	keyOutput   = "output"
	keyAttached = "attached"
	keyDetached = "detached" // only where there are any
	keyWeight   = "weight"   // only among several
	keyTerms    = "terms"
	keyTotal    = "total"
	keyAdded    = "added" // only where attached
)

// entry is a key of the metadata with its value.
type entry struct{ key, value string }

func (d Description) entries() ([]entry, error) {
	params, err := json.Marshal(d.Params)
	if err != nil {
		return nil, fmt.Errorf("export: encode the parameters: %w", err)
	}
	inputs, err := json.Marshal(d.Inputs)
	if err != nil {
		return nil, fmt.Errorf("export: encode the input names: %w", err)
	}
	entries := []entry{
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
			return nil, fmt.Errorf("export: encode the detached tensors' names: %w", err)
		}
		entries = append(entries, entry{keyDetached, string(detached)})
	}
	return entries, nil
}

func (c Composition) entries() ([]entry, error) {
	var terms []map[string]string
	for _, d := range c.Terms {
		entries, err := d.entries()
		if err != nil {
			return nil, err
		}
		term := map[string]string{keyWeight: strconv.FormatFloat(d.Weight, 'g', -1, 64)}
		for _, e := range entries {
			term[e.key] = e.value
		}
		terms = append(terms, term)
	}
	encoded, err := json.Marshal(terms)
	if err != nil {
		return nil, fmt.Errorf("export: encode the losses' metadata: %w", err)
	}
	return []entry{{keyVersion, Version}, {keyTerms, string(encoded)}, {keyTotal, c.Total}}, nil
}

// metadata reads what onnxloss wrote into a model's metadata.
func metadata(model *onnxpb.ModelProto) map[string]string {
	meta := map[string]string{}
	for _, e := range model.GetMetadataProps() {
		if key, ok := strings.CutPrefix(e.GetKey(), keyPrefix); ok {
			meta[key] = e.GetValue()
		}
	}
	return meta
}

// Describe reads what a model's metadata say of the one loss in it. It returns
// ErrNoLoss, wrapped, where there is none.
func Describe(model *models.Model) (Description, error) {
	c, err := DescribeAll(model)
	if err != nil {
		return Description{}, err
	}
	if c.Total != "" {
		return Description{}, fmt.Errorf("export: the model has %d losses and their total %q, not one", len(c.Terms), c.Total)
	}
	return c.Terms[0], nil
}

// DescribeAll reads what a model's metadata say of the losses in it. The Total is
// empty where there is one. It returns ErrNoLoss, wrapped, where there is none.
func DescribeAll(model *models.Model) (Composition, error) { return described(model.Proto) }

func described(model *onnxpb.ModelProto) (Composition, error) {
	meta := metadata(model)
	if meta[keyLoss] == "" && meta[keyTerms] == "" {
		return Composition{}, fmt.Errorf("export: the model has %w; make it with export or attach", ErrNoLoss)
	}
	c, err := describeAll(meta)
	if err != nil {
		return Composition{}, fmt.Errorf("export: metadata: %w", brief.Error(err))
	}
	return c, nil
}

func describeAll(meta map[string]string) (Composition, error) {
	if meta[keyTerms] == "" {
		d, err := describe(meta)
		d.Weight = 1
		return Composition{Terms: []Description{d}}, err
	}
	var terms []map[string]string
	if err := json.Unmarshal([]byte(meta[keyTerms]), &terms); err != nil {
		return Composition{}, fmt.Errorf("%s%s is not JSON: %w", keyPrefix, keyTerms, err)
	}
	if len(terms) == 0 || meta[keyTotal] == "" {
		return Composition{}, fmt.Errorf("%s%s lists no losses, or %s%s is missing", keyPrefix, keyTerms, keyPrefix, keyTotal)
	}
	c := Composition{Total: meta[keyTotal]}
	for _, term := range terms {
		d, err := describe(term)
		if err != nil {
			return Composition{}, err
		}
		if d.Weight, err = strconv.ParseFloat(term[keyWeight], 64); err != nil {
			return Composition{}, fmt.Errorf("the %s of %s is %q, not a number", keyWeight, d.Output, term[keyWeight])
		}
		c.Terms = append(c.Terms, d)
	}
	return c, nil
}

func describe(meta map[string]string) (d Description, err error) {
	if d.Loss, err = losses.Find(meta[keyLoss]); err != nil {
		return d, err
	}
	settings := map[string]any{}
	decoder := json.NewDecoder(bytes.NewReader([]byte(meta[keyParams])))
	decoder.UseNumber()
	if err := decoder.Decode(&settings); err != nil {
		return d, fmt.Errorf("onnxloss.%s is not JSON: %w", keyParams, err)
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
		return d, fmt.Errorf("onnxloss.%s is %q, not a number", keyOpset, meta[keyOpset])
	}
	if err := json.Unmarshal([]byte(meta[keyInputs]), &d.Inputs); err != nil {
		return d, fmt.Errorf("onnxloss.%s is not JSON: %w", keyInputs, err)
	}
	if detached := meta[keyDetached]; detached != "" {
		if err := json.Unmarshal([]byte(detached), &d.Detached); err != nil {
			return d, fmt.Errorf("onnxloss.%s is not JSON: %w", keyDetached, err)
		}
	}
	d.Output = meta[keyOutput]
	d.Attached = meta[keyAttached] == "true"
	return d, nil
}
