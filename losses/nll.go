package losses

import "github.com/onnxloss/onnxloss/ops"

// NLL is the negative log-likelihood of given log-probabilities.
var NLL = &Loss{
	Name:    "NLLLoss",
	Summary: "negative log-likelihood of mutually exclusive classes, on log-probabilities",
	Formula: `class index t: loss = -weight_t prediction_t
soft target y: loss = -Σ_c weight_c y_c prediction_c`,
	Meaning: `The negative log-likelihood of the right class in nats, where the model gives
log-probabilities already; where it gives logits take the softmax cross-entropy. Nothing is
normalized here: logits would give a number without a meaning. A class without a share counts for
nothing, also where its log-probability is -Inf. With class-index targets a mean divides by the
sum of the weights of the targets, ignored ones left out (NaN if all are); with soft targets by
the number of positions.`,
	Paper:    "PyTorch, NLLLoss (definition of weight, ignore_index and mean)",
	Inputs:   logProbabilityInputs(),
	Declare:  []Param{softTargetsParam(), ignoreIndexParam()},
	Check:    checkIgnoreIndex,
	Value:    nllValue,
	Gradient: nllGradient,
	Build:    buildNLL,
	Bound:    nllBound,
	Accuracy: "eps · (C + 2) · Σ weight · share · |log p|: products and their sum",
	Figure: &Figure{X: "log-probability of the right class", From: -4, To: 0, Curves: []Curve{{
		Label: "class index",
		At: func(x float64) Values {
			return Values{"prediction": {Shape: []int{1, 2}, Data: []float64{x, 0}}, "target": {Shape: []int{1}, Data: []float64{0}}}
		},
	}}},
}

func logProbabilityInputs() []Input {
	inputs := classInputs()
	inputs[0] = logProbabilities()
	return inputs
}

func logProbabilities() Input {
	return Input{Name: "prediction", Role: Prediction, Domain: LogDistribution, Shape: "N,C,...", Doc: "one log-probability a class, classes on axis 1"}
}

// eachShare goes through the classes that count for something at a position, with
// weight · share.
func eachShare(in Values, p Params, f func(at, position int, share float64)) {
	c := classesOf(in["prediction"])
	target, weight := labelsOf(in, p, c), classWeights(in, c.count)
	share := make([]float64, c.count)
	for i := range c.positions() {
		if _, counts := target.at(i, share); !counts {
			continue
		}
		for k, s := range share {
			if s *= weight[k]; s != 0 {
				f(c.index(i, k), i, s)
			}
		}
	}
}

func nllValue(in Values, p Params) (Terms, error) {
	x := in["prediction"]
	loss := Zeros(withoutClasses(x.Shape))
	eachShare(in, p, func(at, position int, share float64) { loss.Data[position] -= share * x.Data[at] })
	if softTargets(p) {
		return Terms{Loss: loss}, nil
	}
	divisor := Zeros(loss.Shape)
	eachShare(in, p, func(_, position int, share float64) { divisor.Data[position] = share })
	return Terms{Loss: loss, Weight: &divisor}, nil
}

func nllGradient(in Values, p Params, upstream Array) (Values, error) {
	x := in["prediction"]
	c := classesOf(x)
	dx := Zeros(x.Shape)
	eachShare(in, p, func(at, position int, share float64) { dx.Data[at] = -upstream.Data[position] * share })
	if hardTargets(p) {
		return Values{"prediction": dx}, nil
	}
	dy, weight := Zeros(x.Shape), classWeights(in, c.count)
	for i := range c.positions() {
		for k, w := range weight {
			if w != 0 {
				dy.Data[c.index(i, k)] = -upstream.Data[i] * w * x.Data[c.index(i, k)]
			}
		}
	}
	return Values{"prediction": dx, "target": dy}, nil
}

func nllBound(in Values, p Params, eps float64) (Array, error) {
	x := in["prediction"]
	bound := Zeros(withoutClasses(x.Shape))
	terms := float64(x.Shape[1] + 2)
	eachShare(in, p, func(at, position int, share float64) {
		bound.Data[position] += eps * terms * max(share*x.Data[at], -share*x.Data[at])
	})
	return bound, nil
}

func buildNLL(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	prediction, weight := in["prediction"], in["weight"]
	if softTargets(p) {
		share := in["target"]
		if weight.Present() {
			share = b.Mul(share, b.AlongAxis1(weight, share))
		}
		return ops.Terms{Loss: b.Label(b.Neg(b.ReduceSum(whereCounted(b, share, prediction), false, 1)), "nll")}
	}
	t := buildIndexTarget(b, prediction, in["target"], p)
	counts := t.keep
	if weight.Present() {
		counts = b.Label(b.Mul(counts, b.Gather(weight, t.index, 0)), "weight_of_target")
	}
	return ops.Terms{Loss: b.Label(b.Neg(whereCounted(b, counts, t.take(b, prediction))), "nll"), Weight: counts}
}

// whereCounted is share · x, and 0 where there is no share, also if x is infinite.
func whereCounted(b *ops.Builder, share, x ops.Value) ops.Value {
	return b.Mul(share, b.Where(b.Equal(share, b.Scalar(share, 0)), b.Scalar(x, 0), x))
}
