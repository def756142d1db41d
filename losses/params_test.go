package losses_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/losses"
)

func TestParamsFillInDefaults(t *testing.T) {
	for _, l := range losses.All() {
		p := paramsOf(t, l, nil)
		if len(p) != len(l.Declare) {
			t.Errorf("%s: %d parameters, want %d", l.Command(), len(p), len(l.Declare))
		}
		for _, d := range l.Declare {
			if p[d.Name] != d.Default {
				t.Errorf("%s: %s = %v, want the default %v", l.Command(), d.Name, p[d.Name], d.Default)
			}
		}
	}
}

func TestParamsTakeTextAndEveryNumberType(t *testing.T) {
	tests := []struct {
		loss    *losses.Loss
		name    string
		setting any
		want    any
	}{
		{losses.SigmoidFocal, "gamma", 1.5, 1.5},
		{losses.SigmoidFocal, "gamma", 3, 3.0},
		{losses.SigmoidFocal, "gamma", int64(3), 3.0},
		{losses.SigmoidFocal, "gamma", float32(0.1), 0.1},
		{losses.SigmoidFocal, "gamma", "2e-1", 0.2},
		{losses.SigmoidFocal, "alpha", -1, -1.0},
		{losses.SigmoidFocal, "modulator", "split", "split"},
		{losses.SoftmaxFocal, "per_class", true, true},
		{losses.SoftmaxFocal, "per_class", "true", true},
		{losses.SoftmaxFocal, "ignore_index", 255, int64(255)},
		{losses.SoftmaxFocal, "ignore_index", "-1", int64(-1)},
		{losses.SoftmaxFocal, "ignore_index", 7.0, int64(7)},
		{losses.SoftmaxFocal, "ignore_index", 2e6, int64(2000000)},
	}
	for _, test := range tests {
		p, err := test.loss.Params(map[string]any{test.name: test.setting})
		if err != nil {
			t.Errorf("%s = %v: %v", test.name, test.setting, err)
			continue
		}
		if p[test.name] != test.want {
			t.Errorf("%s = %#v gave %#v, want %#v", test.name, test.setting, p[test.name], test.want)
		}
	}
}

func TestParamsRefuse(t *testing.T) {
	focal, star, softmax := losses.SigmoidFocal, losses.SigmoidFocalStar, losses.SoftmaxFocal
	tests := []struct {
		loss     *losses.Loss
		settings map[string]any
		want     string
	}{
		{focal, map[string]any{"gama": 2}, `losses: sigmoid-focal: unknown parameter "gama"; did you mean "gamma"?`},
		{focal, map[string]any{"Gamma": 2}, `losses: sigmoid-focal: unknown parameter "Gamma"; did you mean "gamma"?`},
		{focal, map[string]any{"zeta": 2, "temperature": 2}, `losses: sigmoid-focal: unknown parameter "temperature"; known are alpha, gamma, label_smoothing, normalizer, modulator`},
		{losses.SigmoidCrossEntropy, map[string]any{"gamma": 2}, `losses: sigmoid-cross-entropy: unknown parameter "gamma"; this loss has none`},
		{focal, map[string]any{"gamma": -1}, `losses: sigmoid-focal: gamma must be >= 0, got -1`},
		{focal, map[string]any{"gamma": math.NaN()}, `losses: sigmoid-focal: gamma must be a finite number, got NaN`},
		{focal, map[string]any{"gamma": "inf"}, `losses: sigmoid-focal: gamma must be a finite number, got +Inf`},
		{star, map[string]any{"beta": math.Inf(-1)}, `losses: sigmoid-focal-star: beta must be a finite number, got -Inf`},
		{focal, map[string]any{"gamma": "two"}, `losses: sigmoid-focal: gamma must be a number, got "two"`},
		{focal, map[string]any{"gamma": nil}, `losses: sigmoid-focal: gamma must be a number, got "<nil>"`},
		{focal, map[string]any{"normalizer": 0}, `losses: sigmoid-focal: normalizer must be > 0, got 0`},
		{star, map[string]any{"gamma": 0}, `losses: sigmoid-focal-star: gamma must be > 0, got 0`},
		{focal, map[string]any{"alpha": 1.5}, `losses: sigmoid-focal: alpha must be 0 to 1, or -1, got 1.5`},
		{focal, map[string]any{"alpha": -0.5}, `losses: sigmoid-focal: alpha must be 0 to 1, or -1, got -0.5`},
		{focal, map[string]any{"label_smoothing": 1.1}, `losses: sigmoid-focal: label_smoothing must be 0 to 1, got 1.1`},
		{focal, map[string]any{"modulator": "both"}, `losses: sigmoid-focal: modulator must be joint or split, got "both"`},
		{softmax, map[string]any{"per_class": "maybe"}, `losses: softmax-focal: per_class must be true or false, got "maybe"`},
		{softmax, map[string]any{"ignore_index": 1.5}, `losses: softmax-focal: ignore_index must be a whole number, got "1.5"`},
		{softmax, map[string]any{"ignore_index": math.NaN()}, `losses: softmax-focal: ignore_index must be a whole number, got "NaN"`},
		{softmax, map[string]any{"soft_targets": true, "ignore_index": 0}, `losses: softmax-focal: ignore_index goes with class-index targets; leave it out with soft_targets`},
	}
	for _, test := range tests {
		p, err := test.loss.Params(test.settings)
		if err == nil || err.Error() != test.want {
			t.Errorf("%v: %v, error %v; want error %s", test.settings, p, err, test.want)
		}
	}
}

func TestParamRangeSaysWhatIsTaken(t *testing.T) {
	inf := math.Inf(1)
	tests := []struct {
		param losses.Param
		want  string
	}{
		{losses.Param{Kind: losses.Bool}, "true or false"},
		{losses.Param{Kind: losses.Int}, "any whole number"},
		{losses.Param{Kind: losses.Int, Min: 1, Max: 12}, "1 to 12"},
		{losses.Param{Kind: losses.String, Values: []string{"a", "b"}}, "a or b"},
		{losses.Param{Kind: losses.Float}, "any finite number"},
		{losses.Param{Kind: losses.Float, Max: inf}, ">= 0"},
		{losses.Param{Kind: losses.Float, Max: inf, OpenMin: true}, "> 0"},
		{losses.Param{Kind: losses.Float, Min: -inf, Max: 1}, "<= 1"},
		{losses.Param{Kind: losses.Float, Max: 1, OpenMin: true}, "> 0 and <= 1"},
		{losses.Param{Kind: losses.Float, Max: 2, OpenMax: true}, ">= 0 and < 2"},
		{losses.Param{Kind: losses.Float, Min: -1, Max: 1}, "-1 to 1"},
	}
	for _, test := range tests {
		if got := test.param.Range(); got != test.want {
			t.Errorf("%+v: %q, want %q", test.param, got, test.want)
		}
	}
}

func TestConditionNamesEverySettingThatDecides(t *testing.T) {
	tests := []struct {
		loss  *losses.Loss
		input int
		want  string
	}{
		{losses.SoftmaxCrossEntropy, 0, ""},
		{losses.SoftmaxCrossEntropy, 1, "not with soft_targets=true"},
		{losses.SoftmaxCrossEntropy, 2, "only with soft_targets=true"},
		{losses.Boundary, 2, "not with distance=given or masks=true"},
		{losses.IoUBalancedSmoothL1, 2, "only with boxes=none"},
		{losses.IoUBalancedSmoothL1, 3, "only with boxes=xyxy or cxcywh"},
		{losses.Dice, 0, "not with activation=none"},
		{losses.WassersteinCritic, 2, "only with paired=false"},
	}
	for _, test := range tests {
		in := test.loss.Inputs[test.input]
		if got := test.loss.Condition(in); got != test.want {
			t.Errorf("%s: %s: %q, want %q", test.loss.Command(), in.Name, got, test.want)
		}
	}
}

// A parameter that is accepted must do something: for some input it changes the
// loss, or which inputs the loss has.
func TestEveryParamMatters(t *testing.T) {
	for _, l := range losses.All() {
		for _, d := range l.Declare {
			plain := variant{l.Command(), l, paramsOf(t, l, d.With)}
			if len(d.Try) == 0 {
				t.Errorf("%s: %s declares no further value to try", l.Command(), d.Name)
			}
			for _, value := range d.Try {
				set := variant{l.Command(), l, paramsOf(t, l, d.Trial(value))}
				if !differ(t, plain, set) {
					t.Errorf("%s: %s = %v changes nothing", l.Command(), d.Name, value)
				}
			}
		}
	}
}

func differ(t *testing.T, a, b variant) bool {
	t.Helper()
	in := draw(t, a, friendly[1], usualSizes(), 11)
	first, err := a.loss.Evaluate(in, a.params, losses.None)
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.loss.Evaluate(in, b.params, losses.None)
	if err != nil { // other inputs, or in which shape
		return true
	}
	same := func(x, y float64) bool { return math.Abs(x-y) <= 1e-12 }
	return !slices.Equal(first.Shape, second.Shape) || !slices.EqualFunc(first.Data, second.Data, same)
}

func TestParseReduction(t *testing.T) {
	for _, r := range losses.Reductions() {
		if got, err := losses.ParseReduction(string(r)); err != nil || got != r {
			t.Errorf("%s: %v, %v", r, got, err)
		}
	}
	if _, err := losses.ParseReduction("avg"); err == nil || !strings.Contains(err.Error(), `unknown reduction "avg"; use none, mean or sum`) {
		t.Errorf("avg: error %v", err)
	}
}

// Parameters that did not come from Params would otherwise count as 0.
func TestEvaluateChecksParameters(t *testing.T) {
	focal := losses.SigmoidFocal
	in := losses.Values{"logits": {Shape: []int{1}, Data: []float64{1}}, "target": {Shape: []int{1}, Data: []float64{0}}}
	defaults, err := focal.Params(nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := focal.Evaluate(in, defaults, losses.Mean)
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]losses.Params{"none": nil, "one of several": {"gamma": 2.0}} {
		got, err := focal.Evaluate(in, p, losses.Mean)
		if err != nil || got.Data[0] != want.Data[0] {
			t.Errorf("%s: got %v, %v; want %v", name, got, err, want)
		}
	}
	for name, p := range map[string]losses.Params{"an unknown one": {"gama": 2.0}, "one out of range": {"gamma": -1.0}} {
		if _, err := focal.Evaluate(in, p, losses.Mean); err == nil {
			t.Errorf("%s: the loss is computed", name)
		}
		if _, err := focal.EvaluateGradient(in, p, losses.Mean, nil); err == nil {
			t.Errorf("%s: the gradient is computed", name)
		}
	}
}
