package export_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"google.golang.org/protobuf/proto"
)

// twoTerms is a squared and an absolute error against the same target.
func twoTerms(t *testing.T) []export.Term {
	t.Helper()
	squared, squaredParams := find(t, "mse", nil)
	absolute, absoluteParams := find(t, "l1", nil)
	return []export.Term{
		{Loss: squared, Params: squaredParams, Weight: 1},
		{Loss: absolute, Params: absoluteParams, Weight: 0.25, AttachOptions: export.AttachOptions{
			Options: export.Options{Reduction: losses.Sum},
			Bind:    map[string]string{"target": "target"},
			Output:  "off",
		}},
	}
}

func TestSeveralLossesAndTheirTotalAreOutputs(t *testing.T) {
	x := engine.Must([]int{3}, []float32{1, -2, 0.5})
	target := engine.Must([]int{3}, []float32{2, -2, 0})
	for _, opset := range []int{9, 13, ops.MaxOpset} {
		for _, form := range export.Forms() {
			terms := twoTerms(t)
			for i := range terms {
				terms[i].Form = form
			}
			model, err := export.AttachAll(hostModel(t, opset, output{"scores", ops.Float32, "N"}), terms, export.AllOptions{})
			if err != nil {
				t.Fatalf("opset %d, %s: %v", opset, form, err)
			}
			got := runModel(t, model, map[string]engine.Tensor{"in_scores": x, "target": target})
			for name, want := range map[string]float64{"mse": 5.0 / 3, "off": 3, "loss": 5.0/3 + 0.75} {
				if d := math.Abs(got[name].Float64s()[0] - want); !(d <= 1e-6) {
					t.Errorf("opset %d, %s: %s = %v, want %g", opset, form, name, got[name].Float64s(), want)
				}
			}
			c, err := export.DescribeAll(model)
			if err != nil {
				t.Fatal(err)
			}
			if c.Total != "loss" || len(c.Terms) != 2 || c.Terms[1].Weight != 0.25 || c.Terms[1].Output != "off" || c.Terms[0].Loss.Command() != "mse" {
				t.Errorf("the metadata say %+v", c)
			}
			if _, err := export.Describe(model); err == nil || !strings.Contains(err.Error(), "2 losses, not one") {
				t.Errorf("Describe gives the error %v", err)
			}
		}
	}
}

// number is a host's output that is a weight: twice its input in_NAME.
func number(name, shape string, dtype ops.DType) output { return output{name, dtype, shape} }

func TestWeightsMayBeTensors(t *testing.T) {
	for _, test := range []struct {
		name     string
		from     string
		shape    []int
		dtype    ops.DType
		form     export.Form
		feed     string // the input that the weight comes from
		doubled  bool   // by the host
		declared string // the tensor in the metadata
	}{
		{"a new input", "new alpha", []int{}, ops.Float32, export.Graph, "alpha", false, "alpha"},
		{"a new input without a name", "new", []int{}, ops.Float32, export.Function, "off_weight", false, "off_weight"},
		{"an input of the model", "in_beta", []int{}, ops.Float32, export.Graph, "in_beta", false, "in_beta"},
		{"a tensor that the model computes", "beta", []int{1}, ops.Float32, export.Function, "in_beta", true, "beta"},
		{"a tensor of another type", "beta", []int{1}, ops.Float64, export.Graph, "in_beta", true, "beta"},
		{"a half type", "in_beta", []int{}, ops.Float16, export.Graph, "in_beta", false, "in_beta"},
	} {
		for _, opset := range []int{9, 13, ops.MaxOpset} {
			t.Run(fmt.Sprintf("%s, opset %d", test.name, opset), func(t *testing.T) {
				shape := strings.Repeat("1", len(test.shape))
				host := hostModel(t, opset, output{"scores", ops.Float32, "N"}, number("beta", shape, test.dtype))
				terms := twoTerms(t)
				terms[0].Form, terms[1].Form = test.form, test.form
				terms[1].Weight, terms[1].WeightFrom = 0, test.from
				terms[0].Bind = map[string]string{"prediction": "scores"}
				terms[1].Bind["prediction"] = "scores"
				model, err := export.AttachAll(host, terms, export.AllOptions{})
				if err != nil {
					t.Fatal(err)
				}
				weight, err := engine.FromFloat64s(test.dtype, test.shape, []float64{-1.5})
				if err != nil {
					t.Fatal(err)
				}
				inputs := map[string]engine.Tensor{
					"in_scores": engine.Must([]int{3}, []float32{1, -2, 0.5}),
					"target":    engine.Must([]int{3}, []float32{2, -2, 0}),
					"in_beta":   weight,
				}
				inputs[test.feed] = weight
				got := runModel(t, model, inputs)
				factor := -1.5
				if test.doubled {
					factor = -3
				}
				total := got["loss"]
				if want := 5.0/3 + 3*factor; total.Len() != 1 || len(total.Shape()) != 0 || !(math.Abs(total.Float64s()[0]-want) <= 1e-6) {
					t.Errorf("the total is %s %v, want %g", total, total.Float64s(), want)
				}
				c, err := export.DescribeAll(model)
				if err != nil {
					t.Fatal(err)
				}
				if c.Terms[0].WeightFrom != "" || c.Terms[1].WeightFrom != test.declared || c.Terms[1].Weight != 0 {
					t.Errorf("the metadata say %+v", c)
				}
				detached, err := export.Detach(model)
				if err != nil {
					t.Fatal(err)
				}
				if !proto.Equal(detached.Proto, host.Proto) {
					t.Error("what is left without the losses is not the host")
				}
			})
		}
	}
}

func TestTermsShareANewWeight(t *testing.T) {
	terms := twoTerms(t)
	for i := range terms {
		terms[i].Weight, terms[i].WeightFrom = 0, "new target_weight"
	}
	model, err := export.AttachAll(hostModel(t, 17, output{"scores", ops.Float32, "N"}), terms, export.AllOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var inputs []string
	for _, in := range model.Inputs() {
		inputs = append(inputs, in.Name)
	}
	if want := []string{"in_scores", "target", "target_weight"}; !slices.Equal(inputs, want) {
		t.Errorf("the inputs are %q, want %q", inputs, want)
	}
}

func TestUnreducedLossesAreOutputsAndNoPartOfTheTotal(t *testing.T) {
	head, headParams := find(t, "tempered-sigmoid", nil)
	terms := append(twoTerms(t), export.Term{Loss: head, Params: headParams})
	terms[0].Reduction, terms[0].Weight = losses.None, 0
	model, err := export.AttachAll(hostModel(t, 17, output{"scores", ops.Float32, "N"}), terms, export.AllOptions{Total: "all"})
	if err != nil {
		t.Fatal(err)
	}
	got := runModel(t, model, map[string]engine.Tensor{
		"in_scores": engine.Must([]int{3}, []float32{1, -2, 0.5}), "target": engine.Must([]int{3}, []float32{2, -2, 0}),
	})
	if got["mse"].Len() != 3 || got["tempered-sigmoid"].Len() != 3 {
		t.Errorf("the terms are %s and %s", got["mse"], got["tempered-sigmoid"])
	}
	if all := got["all"].Float64s(); len(all) != 1 || !(math.Abs(all[0]-0.75) <= 1e-6) {
		t.Errorf("the total is %v, want 0.75", all)
	}
	c, err := export.DescribeAll(model)
	if err != nil {
		t.Fatal(err)
	}
	if summands := c.Summands(); len(c.Terms) != 3 || len(summands) != 1 || summands[0].Output != "off" || c.Terms[0].Weight != 0 {
		t.Errorf("the metadata say %+v", c)
	}
}

func TestUnreducedLossesAloneHaveNoTotal(t *testing.T) {
	terms := twoTerms(t)
	for i := range terms {
		terms[i].Reduction, terms[i].Weight = losses.None, 0
	}
	model, err := export.AttachAll(hostModel(t, 17, output{"scores", ops.Float32, "N"}), terms, export.AllOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := export.DescribeAll(model)
	if err != nil {
		t.Fatal(err)
	}
	if c.Total != "" || len(c.Summands()) != 0 || len(model.Outputs()) != 3 {
		t.Errorf("the metadata say %+v, the outputs are %v", c, model.Outputs())
	}
	if _, err := export.Describe(model); err == nil || !strings.Contains(err.Error(), "2 losses, not one") {
		t.Errorf("Describe gives the error %v", err)
	}
}

func TestATotalOfAHalfTypeIsSummedInFloat32(t *testing.T) {
	terms := twoTerms(t)
	for i := range terms {
		terms[i].DType, terms[i].Reduction = ops.Float16, losses.Sum
	}
	terms[0].Weight, terms[1].Weight = 1e5, -1e5 // neither product is a float16
	model, err := export.AttachAll(hostModel(t, 17, output{"scores", ops.Float32, "N"}), terms, export.AllOptions{})
	if err != nil {
		t.Fatal(err)
	}
	x := engine.Must([]int{1}, []float32{0.5})
	got := runModel(t, model, map[string]engine.Tensor{"in_scores": x, "target": engine.Must([]int{1}, []engine.Float16{0})})
	if total := got["loss"]; total.DType() != ops.Float16 || total.Float64s()[0] != 0 {
		t.Errorf("the total is %s %v, want 0", total, total.Float64s())
	}
}

func TestAttachAllRaisesTheOpsetAndHidesOutputsOnce(t *testing.T) {
	host := hostModel(t, 13, output{"scores", ops.Float32, "N"}, number("beta", "", ops.Float32))
	terms := twoTerms(t)
	terms[0].Bind = map[string]string{"prediction": "scores"}
	terms[1].Bind["prediction"] = "scores"
	terms[1].Weight, terms[1].WeightFrom = 0, "beta" // which is hidden
	model, err := export.AttachAll(host, terms, export.AllOptions{Opset: 17, OnlyLoss: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := export.CheckModel(model); err != nil {
		t.Error(err)
	}
	var outputs []string
	for _, out := range model.Outputs() {
		outputs = append(outputs, out.Name)
	}
	if want := []string{"mse", "off", "loss"}; model.Opset() != 17 || !slices.Equal(outputs, want) {
		t.Errorf("opset %d, outputs %q, want 17, %q", model.Opset(), outputs, want)
	}
	detached, err := export.Detach(model)
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(detached.Proto, host.Proto) {
		t.Errorf("got %v, want %v", detached.Proto, host.Proto)
	}
}

func TestNamesThatAreAskedForAreNotGivenAway(t *testing.T) {
	terms := append(twoTerms(t), twoTerms(t)...)
	terms[1].Output, terms[3].Output = "mse", "loss"
	terms[0].WeightFrom, terms[0].Weight = "new target", 0
	for i := range terms {
		terms[i].Bind = nil // each has a target of its own
	}
	model, err := export.AttachAll(hostModel(t, 17, output{"scores", ops.Float32, "N"}), terms, export.AllOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := export.DescribeAll(model)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{c.Total, c.Terms[0].WeightFrom}
	for _, d := range c.Terms {
		got = append(got, d.Output, d.Inputs["target"])
	}
	if want := []string{"loss_2", "target", "mse_2", "target_2", "mse", "target_3", "mse_3", "target_4", "loss", "target_5"}; !slices.Equal(got, want) {
		t.Errorf("the names are %q, want %q", got, want)
	}
}

func TestAttachAllRefusesWhatHasNoTotal(t *testing.T) {
	weightFrom := func(from string) func([]export.Term) []export.Term {
		return func(terms []export.Term) []export.Term {
			terms[1].Weight, terms[1].WeightFrom = 0, from
			return terms
		}
	}
	same := func(terms []export.Term) []export.Term { return terms }
	tests := []struct {
		name   string
		change func(terms []export.Term) []export.Term
		total  string
		want   string
	}{
		{"no loss", func([]export.Term) []export.Term { return nil }, "", "there is no loss to attach"},
		{"a term without a loss", func([]export.Term) []export.Term { return []export.Term{{Weight: 1}} }, "", "export: attach: loss 1: there is no loss"},
		{"a weight of an unreduced loss", func(terms []export.Term) []export.Term {
			terms[0].Reduction = losses.None
			return terms
		}, "", "export: attach: loss 1, mse: its reduction is none"},
		{"a weight of a head", func(terms []export.Term) []export.Term {
			terms[0].Loss, terms[0].Params = find(t, "tempered-sigmoid", nil)
			return terms
		}, "", "loss 1, tempered-sigmoid: it is a head"},
		{"a total of nothing", func(terms []export.Term) []export.Term {
			terms[0].Reduction, terms[0].Weight = losses.None, 0
			return terms[:1]
		}, "all", `the total is to be called "all", but there is none`},
		{"a weight that is no number", func(terms []export.Term) []export.Term {
			terms[1].Weight = math.NaN()
			return terms
		}, "", "export: attach: loss 2, l1: its weight is NaN"},
		{"a weight too large", func(terms []export.Term) []export.Term {
			terms[1].Weight = 1e39
			return terms
		}, "", "the total: the weight 1e+39 of off is beyond what float32 holds"},
		{"a weight too small", func(terms []export.Term) []export.Term {
			terms[1].Weight = 1e-60
			return terms
		}, "", "the weight 1e-60 of off is beyond what float32 holds"},
		{"two weights", func(terms []export.Term) []export.Term {
			terms[1].WeightFrom = "alpha"
			return terms
		}, "", `its weight is both the number 0.25 and the tensor "alpha"`},
		{"a weight that is no tensor", weightFrom("alpha"), "", `the tensor "alpha", which the model does not have; write new NAME`},
		{"a weight in quotes", weightFrom("2.5"), "", "a number is written without quotes"},
		{"a weight of blanks", weightFrom(" "), "", `its weight " " names no tensor`},
		{"a weight of too many words", weightFrom("new alpha beta"), "", `its weight "new alpha beta" names no tensor`},
		{"a new weight that is there", weightFrom("new in_scores"), "", `a new input "in_scores", but that name is taken`},
		{"a weight that is many numbers", weightFrom("scores"), "", `of shape [] or [1], but "scores" is float32[N]`},
		{"a weight that is an integer", weightFrom("count"), "", `must be one floating-point number, of shape [] or [1], but "count" is int64[]`},
		{"an opset of its own", func(terms []export.Term) []export.Term {
			terms[1].Opset = 18
			return terms
		}, "", "it asks for opset 18 by itself"},
		{"outputs of its own", func(terms []export.Term) []export.Term {
			terms[1].OnlyLoss = true
			return terms
		}, "", "it asks by itself to be the only output"},
		{"one name twice", func(terms []export.Term) []export.Term {
			terms[0].Output = "off"
			return terms
		}, "", `loss 2, l1: the name "off"`},
		{"a name that is taken", same, "off", `the total: the name "off"`},
		{"a name of the model's", same, "scores", `the total: the name "scores"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			model := hostModel(t, 17, output{"scores", ops.Float32, "N"}, number("count", "", ops.Int64))
			_, err := export.AttachAll(model, test.change(twoTerms(t)), export.AllOptions{Total: test.total})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want ... %s", err, test.want)
			}
		})
	}
}

func TestMetadataThatContradictThemselvesAreRefused(t *testing.T) {
	for name, change := range map[string]func(string) string{
		"no weight": func(s string) string { return strings.Replace(s, `"weight":"0.25"`, `"weight":""`, 1) },
		"two weights": func(s string) string {
			return strings.Replace(s, `"weight":"0.25"`, `"weight":"0.25","weight_from":"a"`, 1)
		},
		"no number":       func(s string) string { return strings.Replace(s, `"weight":"0.25"`, `"weight":"NaN"`, 1) },
		"unreduced":       func(s string) string { return strings.Replace(s, `"reduction":"sum"`, `"reduction":"none"`, 1) },
		"no losses":       func(string) string { return `[]` },
		"not even a list": func(string) string { return `{` },
	} {
		t.Run(name, func(t *testing.T) {
			model, err := export.AttachAll(hostModel(t, 17, output{"scores", ops.Float32, "N"}), twoTerms(t), export.AllOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range model.Proto.MetadataProps {
				if e.GetKey() == "onnxloss.terms" {
					before := e.GetValue()
					if e.Value = proto.String(change(before)); e.GetValue() == before {
						t.Fatalf("nothing to change in %s", before)
					}
				}
			}
			if _, err := export.DescribeAll(model); err == nil || !strings.HasPrefix(err.Error(), "export: metadata: ") {
				t.Errorf("got the error %v", err)
			}
		})
	}
}

func TestLossesShareANewInputThroughTheirAdapters(t *testing.T) {
	model := hostModel(t, 17, output{"a", ops.Float32, "N,3"})
	ce, ceParams := find(t, "softmax-cross-entropy", nil)
	focal, focalParams := find(t, "sigmoid-focal", nil)
	terms := func(first, second string) []export.Term {
		return []export.Term{
			{Loss: ce, Params: ceParams, Weight: 1, AttachOptions: export.AttachOptions{Bind: map[string]string{"target": first}}},
			{Loss: focal, Params: focalParams, Weight: 1, AttachOptions: export.AttachOptions{Bind: map[string]string{"target": second}}},
		}
	}
	x, labels := []float32{1, -2, 0.5, 0, 0.25, -1}, []int64{2, 0}
	logits := losses.Array{Shape: []int{2, 3}, Data: []float64{2, -4, 1, 0, 0.5, -2}}
	want := 0.0
	for _, part := range []struct {
		loss   *losses.Loss
		params losses.Params
		target losses.Array
	}{
		{ce, ceParams, losses.Array{Shape: []int{2}, Data: []float64{2, 0}}},
		{focal, focalParams, losses.Array{Shape: []int{2, 3}, Data: []float64{0, 0, 1, 1, 0, 0}}},
	} {
		value, err := part.loss.Evaluate(losses.Values{"logits": logits, "target": part.target}, part.params, losses.Mean)
		if err != nil {
			t.Fatal(err)
		}
		want += value.Data[0]
	}
	for _, second := range []string{"labels | one-hot 3", "new labels | one-hot 3"} {
		attached, err := export.AttachAll(model, terms("new labels", second), export.AllOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got := runModel(t, attached, map[string]engine.Tensor{
			"in_a": engine.Must([]int{2, 3}, x), "labels": engine.Must([]int{2}, labels),
		})["loss"].Float64s()
		if len(got) != 1 || !(math.Abs(got[0]-want) <= 1e-6) {
			t.Errorf("target %s: total %v, want %g", second, got, want)
		}
		checkDetach(t, attached, model)
	}
	_, err := export.AttachAll(model, terms("new labels", "labels"), export.AllOptions{})
	if err == nil || !strings.Contains(err.Error(), `loss 2, sigmoid-focal: target needs floating-point numbers, but "labels" is int64[N]`) {
		t.Errorf("got error %v", err)
	}
	separate, err := export.AttachAll(model, terms("new labels", "new"), export.AllOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if in := separate.Inputs(); len(in) != 3 || in[1].Name != "labels" || in[2].Name != "target" {
		t.Errorf("inputs are %v", in)
	}
}
