package losses_test

import (
	"testing"

	"github.com/onnxloss/onnxloss/losses"
)

func TestInputsAreRefused(t *testing.T) {
	zeros := func(shape ...int) losses.Array { return losses.Zeros(shape) }
	labels := func(data ...float64) losses.Array { return losses.Array{Shape: []int{len(data)}, Data: data} }
	ce, bce := losses.SoftmaxCrossEntropy, losses.SigmoidCrossEntropy
	soft := map[string]any{"soft_targets": true}
	tests := []struct {
		name     string
		loss     *losses.Loss
		settings map[string]any
		in       losses.Values
		want     string
	}{
		{
			"missing", bce, nil,
			losses.Values{"logits": zeros(2)},
			`losses: sigmoid-cross-entropy: input "target" is missing; it is the target, of shape [...]`,
		},
		{
			"unknown", bce, nil,
			losses.Values{"logits": zeros(2), "target": zeros(2), "mask": zeros(2), "zone": zeros(2)},
			`losses: sigmoid-cross-entropy: there is no input "mask"; the inputs are logits, target, weight, pos_weight`,
		},
		{
			"shapes differ", bce, nil,
			losses.Values{"logits": zeros(2, 3), "target": zeros(3, 2)},
			`losses: sigmoid-cross-entropy: target has shape [3 2], which does not fit logits: ... is [2 3] there and [3 2] here`,
		},
		{
			"weight does not broadcast", bce, nil,
			losses.Values{"logits": zeros(2, 3), "target": zeros(2, 3), "weight": zeros(2)},
			`losses: sigmoid-cross-entropy: weight has shape [2], which does not broadcast to [2 3]`,
		},
		{
			"weight has more axes", bce, nil,
			losses.Values{"logits": zeros(3), "target": zeros(3), "weight": zeros(1, 3)},
			`losses: sigmoid-cross-entropy: weight has shape [1 3], which does not broadcast to [3]`,
		},
		{
			"too few axes", ce, nil,
			losses.Values{"logits": zeros(2), "target": zeros(2)},
			`losses: softmax-cross-entropy: logits has shape [2], but needs [N,C,...]`,
		},
		{
			"batches differ", ce, nil,
			losses.Values{"logits": zeros(2, 3), "target": zeros(4)},
			`losses: softmax-cross-entropy: target has shape [4], which does not fit logits: N is [2] there and [4] here`,
		},
		{
			"too many weights", ce, nil,
			losses.Values{"logits": zeros(2, 3), "target": zeros(2), "weight": zeros(4)},
			`losses: softmax-cross-entropy: weight has shape [4], which does not fit logits: C is [3] there and [4] here`,
		},
		{
			"weight of two axes", ce, nil,
			losses.Values{"logits": zeros(2, 3), "target": zeros(2), "weight": zeros(1, 3)},
			`losses: softmax-cross-entropy: weight has shape [1 3], but needs [C]`,
		},
		{
			"label too large", ce, nil,
			losses.Values{"logits": zeros(2, 3), "target": labels(0, 3)},
			`losses: softmax-cross-entropy: target holds the label 3 at element 1; labels are whole numbers from 0 to 2, or -100 to be ignored (ignore_index)`,
		},
		{
			"label negative", ce,
			map[string]any{"ignore_index": 255},
			losses.Values{"logits": zeros(2, 3), "target": labels(-1, 255)},
			`losses: softmax-cross-entropy: target holds the label -1 at element 0; labels are whole numbers from 0 to 2, or 255 to be ignored (ignore_index)`,
		},
		{
			"label fractional", ce, nil,
			losses.Values{"logits": zeros(1, 3), "target": labels(1.5)},
			`losses: softmax-cross-entropy: target holds the label 1.5 at element 0; labels are whole numbers from 0 to 2, or -100 to be ignored (ignore_index)`,
		},
		{
			"no classes", ce, soft,
			losses.Values{"logits": zeros(2, 0), "target": zeros(2, 0)},
			`losses: softmax-cross-entropy: logits has shape [2 0], without any class; axis C must not be empty`,
		},
		{
			"hard labels for soft targets", ce, soft,
			losses.Values{"logits": zeros(2, 3), "target": zeros(2)},
			`losses: softmax-cross-entropy: target has shape [2], but needs [N,C,...]`,
		},
		{
			"data too short", bce, nil,
			losses.Values{"logits": zeros(2), "target": {Shape: []int{2}, Data: []float64{1}}},
			`losses: sigmoid-cross-entropy: target: shape [2] needs 2 elements, got 1`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := paramsOf(t, test.loss, test.settings)
			if _, err := test.loss.Evaluate(test.in, p, losses.Mean); err == nil || err.Error() != test.want {
				t.Errorf("value: error %v\nwant %s", err, test.want)
			}
			if _, err := test.loss.EvaluateGradient(test.in, p, losses.Mean, nil); err == nil || err.Error() != test.want {
				t.Errorf("gradient: error %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestUpstreamIsRefused(t *testing.T) {
	in := losses.Values{"logits": losses.Zeros([]int{2}), "target": losses.Zeros([]int{2})}
	tests := []struct {
		name      string
		reduction losses.Reduction
		upstream  *losses.Array
		want      string
	}{
		{
			"with a mean", losses.Mean, &losses.Array{Shape: []int{2}, Data: []float64{1, 1}},
			"losses: sigmoid-cross-entropy: an upstream gradient goes with reduction none, not mean",
		},
		{
			"of another shape", losses.None, &losses.Array{Shape: []int{1}, Data: []float64{1}},
			"losses: sigmoid-cross-entropy: the upstream gradient has shape [1], the loss [2]",
		},
		{
			"with too little data", losses.None, &losses.Array{Shape: []int{2}, Data: []float64{1}},
			"losses: sigmoid-cross-entropy: the upstream gradient: shape [2] needs 2 elements, got 1",
		},
		{
			"unknown reduction", "avg", nil,
			`losses: sigmoid-cross-entropy: unknown reduction "avg"; use none, mean or sum`,
		},
	}
	for _, test := range tests {
		_, err := losses.SigmoidCrossEntropy.EvaluateGradient(in, losses.Params{}, test.reduction, test.upstream)
		if err == nil || err.Error() != test.want {
			t.Errorf("%s: error %v\nwant %s", test.name, err, test.want)
		}
	}
	if _, err := losses.SigmoidCrossEntropy.Evaluate(in, losses.Params{}, "avg"); err == nil || err.Error() != tests[3].want {
		t.Errorf("value with an unknown reduction: error %v", err)
	}
}

func TestWeightsBroadcast(t *testing.T) {
	in := func(weight losses.Array) losses.Values {
		return losses.Values{
			"logits": {Shape: []int{2, 3}, Data: []float64{1, -2, 0.5, -1, 3, 0}},
			"target": {Shape: []int{2, 3}, Data: []float64{1, 0, 0.5, 1, 0, 0}},
			"weight": weight,
		}
	}
	tests := []struct {
		name   string
		weight losses.Array
		full   []float64
	}{
		{"scalar", losses.Array{Shape: []int{}, Data: []float64{2}}, []float64{2, 2, 2, 2, 2, 2}},
		{"by column", losses.Array{Shape: []int{3}, Data: []float64{1, 2, 3}}, []float64{1, 2, 3, 1, 2, 3}},
		{"by row", losses.Array{Shape: []int{2, 1}, Data: []float64{1, 2}}, []float64{1, 1, 1, 2, 2, 2}},
	}
	v := variant{"", losses.SigmoidCrossEntropy, losses.Params{}}
	for _, test := range tests {
		want := evaluate(t, v, in(losses.Array{Shape: []int{2, 3}, Data: test.full}), losses.None)
		near(t, test.name, evaluate(t, v, in(test.weight), losses.None), want, 0, 0)
	}
}

func TestNewArrayRefusesWhatDoesNotFit(t *testing.T) {
	tests := []struct {
		shape []int
		data  []float64
		want  string
	}{
		{[]int{2, -1}, nil, "losses: shape [2 -1] has a negative size"},
		{[]int{2, 2}, []float64{1}, "losses: shape [2 2] needs 4 elements, got 1"},
		{[]int{1 << 40, 1 << 40}, nil, "losses: shape [1099511627776 1099511627776] is too large"},
	}
	for _, test := range tests {
		if _, err := losses.NewArray(test.shape, test.data); err == nil || err.Error() != test.want {
			t.Errorf("%v: error %v, want %s", test.shape, err, test.want)
		}
	}
	a, err := losses.NewArray([]int{2, 0}, nil)
	if err != nil || len(a.Data) != 0 {
		t.Errorf("an empty array: %v, %v", a, err)
	}
}
