package interp_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/internal/nodetests"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
)

// What of the standard's node tests is not claimed, and why. Each entry must
// concern at least one case, and each case so excluded must be refused.
var (
	unclaimedOperators = map[string]string{
		"AffineGrid": imaging, "CenterCropPad": imaging, "DeformConv": imaging, "GridSample": imaging,
		"ImageDecoder": imaging, "MaxUnpool": imaging, "NonMaxSuppression": imaging, "RoiAlign": imaging,
		"BlackmanWindow": signals, "DFT": signals, "HammingWindow": signals, "HannWindow": signals,
		"MelWeightMatrix": signals, "STFT": signals,
		"Attention": sequenceModels, "GRU": sequenceModels, "LSTM": sequenceModels, "RNN": sequenceModels,
		"RotaryEmbedding": sequenceModels, "TensorScatter": sequenceModels,
		"ConvInteger": quantized, "DequantizeLinear": quantized, "DynamicQuantizeLinear": quantized,
		"MatMulInteger": quantized, "QLinearConv": quantized, "QLinearMatMul": quantized, "QuantizeLinear": quantized,
		"Bernoulli": random, "RandomUniformLike": random,
		"RegexFullMatch": onStrings, "StringConcat": onStrings, "StringNormalizer": onStrings, "StringSplit": onStrings, "TfIdfVectorizer": onStrings,
		"Col2Im": rare, "Compress": rare, "Det": rare, "MeanVarianceNormalization": rare, "Unique": rare,
		"OptionalGetElement": containers, "OptionalHasElement": containers,
	}
	unclaimedDomains = map[string]string{
		"ai.onnx.ml":               "classical machine learning, no part of the standard's main domain",
		"ai.onnx.preview.training": "optimisers, not needed to run a model or a loss",
	}
	unclaimedTypes = map[string]string{
		"float8e4m3fn": narrow, "float8e4m3fnuz": narrow, "float8e5m2": narrow, "float8e5m2fnuz": narrow,
		"float8e8m0": narrow, "float4e2m1": narrow, "int4": narrow, "uint4": narrow, "int2": narrow, "uint2": narrow,
		"no tensor": containers,
	}
	unclaimedCases = map[string]string{
		"scan_sum":                        "Scan at opset 8 had a batch axis",
		"batchnorm_example_training_mode": "training",
		"batchnorm_epsilon_training_mode": "training",
		"training_dropout":                random,
		"training_dropout_default":        random,
		"training_dropout_default_mask":   random,
		"training_dropout_mask":           random,
	}
	// looseCases print their expected output with few digits.
	looseCases = map[string]engine.Tolerance{
		"averagepool_2d_ceil_last_window_starts_on_pad": {Rel: 1e-3},
	}
)

const (
	imaging        = "image geometry that no loss uses"
	signals        = "signal processing that no loss uses"
	sequenceModels = "layers of sequence models; losses come after them"
	quantized      = "quantised arithmetic"
	random         = "random results cannot be compared"
	onStrings      = "strings"
	rare           = "rare, and no loss uses it"
	narrow         = "an element type narrower than 8 bits, or an 8-bit float"
	containers     = "sequences and optionals"
)

// exclusion says which entry above concerns a case, or "".
func exclusion(c nodetests.Case) string {
	if unclaimedCases[c.Name] != "" {
		return "case " + c.Name
	}
	for _, n := range c.Graph.GetNode() {
		if unclaimedDomains[n.GetDomain()] != "" {
			return "domain " + n.GetDomain()
		}
	}
	for _, info := range append(c.Graph.GetInput(), c.Graph.GetOutput()...) {
		if kind := valueType(info); unclaimedTypes[kind] != "" {
			return "type " + kind
		}
	}
	for _, n := range c.Graph.GetNode() {
		if unclaimedOperators[n.GetOpType()] != "" {
			return "operator " + n.GetOpType()
		}
		if kind := castType(n); unclaimedTypes[kind] != "" {
			return "type " + kind
		}
	}
	return ""
}

func valueType(info *onnxpb.ValueInfoProto) string {
	tensor := info.GetType().GetTensorType()
	if tensor == nil {
		return "no tensor"
	}
	return ops.DType(tensor.GetElemType()).String()
}

// castType is the element type that a Cast node casts to.
func castType(n *onnxpb.NodeProto) string {
	for _, a := range n.GetAttribute() {
		if n.GetOpType() == "Cast" && a.GetName() == "to" {
			return ops.DType(a.GetI()).String()
		}
	}
	return ""
}

func TestNodeTestsOfTheStandard(t *testing.T) {
	unused := map[string]bool{}
	for kind, entries := range map[string]map[string]string{
		"operator": unclaimedOperators, "domain": unclaimedDomains, "type": unclaimedTypes, "case": unclaimedCases,
	} {
		for name := range entries {
			unused[kind+" "+name] = true
		}
	}
	passed, excluded := 0, 0
	cases := nodetests.Cases(t)
	for _, c := range cases {
		entry := exclusion(c)
		err := runCase(c)
		switch {
		case entry == "" && err == nil:
			passed++
		case entry == "":
			t.Errorf("%s: %v", c.Name, err)
		case errors.Is(err, engine.ErrUnsupported):
			excluded++
			delete(unused, entry)
		default:
			t.Errorf("%s is excluded by %s, but is not refused: %v", c.Name, entry, err)
		}
	}
	for entry := range unused {
		t.Errorf("the exclusion of %s concerns no case", entry)
	}
	t.Logf("%d cases: %d passed, %d excluded", len(cases), passed, excluded)
}

func runCase(c nodetests.Case) error {
	s, err := interp.New().Load(c.Model)
	if err != nil {
		return err
	}
	defer s.Close()
	inputs := map[string]engine.Tensor{}
	for _, p := range c.Inputs {
		if p == nil {
			continue
		}
		if inputs[p.GetName()], err = engine.FromProto(p); err != nil {
			return err
		}
	}
	outputs, err := s.Run(inputs)
	if err != nil {
		return err
	}
	tolerance, loose := looseCases[c.Name]
	if !loose {
		tolerance = engine.Tolerance{Abs: 1e-6, Rel: 1e-5, ULP: 2}
	}
	for i, p := range c.Outputs {
		if p == nil {
			return fmt.Errorf("the archive has no tensor for output %d", i)
		}
		want, err := engine.FromProto(p)
		if err != nil {
			return err
		}
		if err := engine.Diff(outputs[p.GetName()], want, tolerance); err != nil {
			return fmt.Errorf("output %q: %w", p.GetName(), err)
		}
	}
	return nil
}

func TestOperatorsListsWhatTheNodeTestsUse(t *testing.T) {
	claimed := map[string]bool{}
	previous := ""
	for _, s := range interp.Operators() {
		if s.First < 1 || s.Last < s.First || s.Last > 26 || strings.Compare(previous, s.Operator) >= 0 {
			t.Errorf("entry %+v after %q is out of order or range", s, previous)
		}
		claimed[s.Operator], previous = true, s.Operator
		if unclaimedOperators[s.Operator] != "" {
			t.Errorf("%s is both claimed and excluded", s.Operator)
		}
	}
	for _, name := range []string{"Softmax", "Conv", "SoftmaxCrossEntropyLoss", "If", "Resize"} {
		if !claimed[name] {
			t.Errorf("%s is not listed", name)
		}
	}
}
