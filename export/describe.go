package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
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
	// Bind has the inputs that are no tensors of the model itself but made of some, through
	// adapters or as copies, and of what: the text that AttachOptions.Bind had.
	Bind map[string]string
	// Output is the name of the loss's tensor.
	Output string
	// Detached names the tensors inside the loss that count as constants when it is
	// differentiated: those of the graph, or of the function's body.
	Detached []string
	// Attached says that the loss sits on another model.
	Attached bool
	// Weight is the loss's factor in the total of a file with several: 0 where it has no
	// part in it, or WeightFrom is the factor. It is 1 for a loss alone.
	Weight float64
	// WeightFrom names the tensor that is the factor, of shape [] or [1], or is empty.
	WeightFrom string
}

// Composition is the losses in one file.
type Composition struct {
	Terms []Description
	// Total is the tensor that is the weighted sum of those that are reduced to a
	// number. It is empty where none is, and where the file has a loss alone.
	Total string
}

// Summands lists the losses that the total is the weighted sum of.
func (c Composition) Summands() []Description {
	if c.Total == "" {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(c.Terms), func(d Description) bool { return d.Reduction == losses.None })
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
	keyBind     = "bind" // only where tensors are adapted or copied
	keyOutput   = "output"
	keyAttached = "attached"
	keyDetached = "detached"    // only where there are any
	keyWeight   = "weight"      // only in a total; this
	keyFrom     = "weight_from" // or this
	keyTerms    = "terms"
	keyTotal    = "total" // only where there is one
	keyAdded    = "added" // only where attached
)

var keys = []string{
	keyLoss, keyParams, keyVersion, keyForm, keyOpset, keyDType, keyReduce, keyInputs, keyBind, keyOutput,
	keyAttached, keyDetached, keyWeight, keyFrom, keyTerms, keyTotal, keyAdded,
}

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
	if len(d.Bind) > 0 {
		bind, err := json.Marshal(d.Bind)
		if err != nil {
			return nil, fmt.Errorf("export: encode the bindings: %w", err)
		}
		entries = append(entries, entry{keyBind, string(bind)})
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
		term := map[string]string{}
		for _, e := range entries {
			term[e.key] = e.value
		}
		switch {
		case d.WeightFrom != "":
			term[keyFrom] = d.WeightFrom
		case d.Reduction != losses.None:
			term[keyWeight] = strconv.FormatFloat(d.Weight, 'g', -1, 64)
		}
		terms = append(terms, term)
	}
	encoded, err := json.Marshal(terms)
	if err != nil {
		return nil, fmt.Errorf("export: encode the losses' metadata: %w", err)
	}
	list := []entry{{keyVersion, Version}, {keyTerms, string(encoded)}}
	if c.Total != "" {
		list = append(list, entry{keyTotal, c.Total})
	}
	return list, nil
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
	if len(c.Terms) > 1 {
		return Description{}, fmt.Errorf("export: the model has %d losses, not one; DescribeAll reads them", len(c.Terms))
	}
	return c.Terms[0], nil
}

// DescribeAll reads what a model's metadata say of the losses in it. It returns
// ErrNoLoss, wrapped, where there is none.
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
	if len(terms) == 0 {
		return Composition{}, fmt.Errorf("%s%s lists no losses", keyPrefix, keyTerms)
	}
	c := Composition{Total: meta[keyTotal]}
	for _, term := range terms {
		d, err := describe(term)
		if err != nil {
			return Composition{}, err
		}
		if err := d.describeWeight(term); err != nil {
			return Composition{}, err
		}
		c.Terms = append(c.Terms, d)
	}
	summed := slices.ContainsFunc(c.Terms, func(d Description) bool { return d.Reduction != losses.None })
	if summed != (c.Total != "") {
		return Composition{}, fmt.Errorf("%s%s is %q, which does not fit the losses' reductions", keyPrefix, keyTotal, c.Total)
	}
	return c, nil
}

// describeWeight reads the factor in the total.
func (d *Description) describeWeight(meta map[string]string) (err error) {
	number := meta[keyWeight]
	d.WeightFrom = meta[keyFrom]
	switch none := number == "" && d.WeightFrom == ""; {
	case none != (d.Reduction == losses.None) || number != "" && d.WeightFrom != "":
		return fmt.Errorf("the %s of %s is %q and its %s %q, which does not fit its reduction, %s", keyWeight, d.Output, number, keyFrom, d.WeightFrom, d.Reduction)
	case number == "":
		return nil
	}
	if d.Weight, err = strconv.ParseFloat(number, 64); err != nil || math.IsNaN(d.Weight) || math.IsInf(d.Weight, 0) {
		return fmt.Errorf("the %s of %s is %q, not a finite number", keyWeight, d.Output, number)
	}
	return nil
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
	if bind := meta[keyBind]; bind != "" {
		if err := json.Unmarshal([]byte(bind), &d.Bind); err != nil {
			return d, fmt.Errorf("onnxloss.%s is not JSON: %w", keyBind, err)
		}
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
