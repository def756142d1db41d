package losses

import (
	"fmt"
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// KLDivergence is the Kullback-Leibler divergence of a prediction from a target.
var KLDivergence = &Loss{
	Name:    "KLDivergenceLoss",
	Summary: "Kullback-Leibler divergence of given log-probabilities from a target distribution",
	Formula: `y = target or, with log_target, e^target
loss_c = y_c (log y_c - prediction_c), 0 where y_c = 0
loss = Σ_c loss_c, or with per_class the loss_c by themselves`,
	Meaning: `How many nats a code made for the prediction is longer than the best one for the
target: 0 where they are the same distribution, infinite where the prediction rules out what
happens. It is cross-entropy minus the target's entropy. A mean divides by the number of
distributions, which for rank 2 is PyTorch's batchmean; PyTorch's own mean, with per_class, is
divided by the number of classes too, and its terms may be negative. The gradient by the target
is 0 where the target is, although log y has none there.`,
	Paper: "Kullback, Leibler: On Information and Sufficiency, Annals of Mathematical Statistics 22, 1951; PyTorch, KLDivLoss (per_class, log_target)",
	Inputs: []Input{
		logProbabilities(),
		{Name: "target", Role: Target, Domain: Distribution, Shape: "N,C,...", When: func(p Params) bool { return !p.Bool("log_target") }, Doc: "the probability of each class"},
		{Name: "target", Role: Target, Domain: LogDistribution, Shape: "N,C,...", When: func(p Params) bool { return p.Bool("log_target") }, Doc: "the log-probability of each class"},
	},
	Declare: []Param{
		{Name: "log_target", Kind: Bool, Default: false, Try: []any{true}, Doc: "the target holds log-probabilities as well"},
		{Name: "per_class", Kind: Bool, Default: false, Try: []any{true}, Doc: "keep the class axis in the unreduced loss, as PyTorch does"},
	},
	Value:    klValue,
	Gradient: klGradient,
	Build:    buildKL,
	Bound:    klBound,
	Accuracy: "eps · y · (2 |log y| + (2 + C/2) |log y - prediction|) for each class: the difference is that of two logarithms, which may be near each other",
	Figure: &Figure{X: "predicted probability of class 0 of two", From: 0.01, To: 0.99, Curves: []Curve{
		predictedShare(0.5), predictedShare(0.2), predictedShare(0.05),
	}},
}

func predictedShare(share float64) Curve {
	return Curve{Label: fmt.Sprintf("target = %g", share), At: func(x float64) Values {
		return Values{
			"prediction": {Shape: []int{1, 2}, Data: []float64{math.Log(x), math.Log1p(-x)}},
			"target":     {Shape: []int{1, 2}, Data: []float64{share, 1 - share}},
		}
	}}
}

// klTerm is a class's part of the divergence: y, log y, and log y minus the prediction.
type klTerm struct{ y, logY, excess float64 }

// klTerms gives those of every class of every position; that of a class without a
// share is zero.
func klTerms(in Values, p Params) []klTerm {
	x, target := in["prediction"], in["target"]
	terms := make([]klTerm, len(x.Data))
	for i, y := range target.Data {
		logY := y
		if p.Bool("log_target") {
			y = math.Exp(y)
		} else {
			logY = math.Log(y)
		}
		if y != 0 {
			terms[i] = klTerm{y, logY, logY - x.Data[i]}
		}
	}
	return terms
}

// klEach puts f of every class where the loss has that term.
func klEach(in Values, p Params, f func(klTerm) float64) Array {
	x := in["prediction"]
	terms := Zeros(x.Shape)
	for i, t := range klTerms(in, p) {
		terms.Data[i] = f(t)
	}
	if p.Bool("per_class") {
		return terms
	}
	return sumClasses(terms, classesOf(x))
}

func klValue(in Values, p Params) (Terms, error) {
	return Terms{Loss: klEach(in, p, func(t klTerm) float64 { return t.y * t.excess })}, nil
}

func klGradient(in Values, p Params, upstream Array) (Values, error) {
	x := in["prediction"]
	c := classesOf(x)
	terms := klTerms(in, p)
	dx, dy := Zeros(x.Shape), Zeros(x.Shape)
	for i := range c.positions() {
		for k := range c.count {
			at := c.index(i, k)
			up, t := upstream.Data[min(i, len(upstream.Data)-1)], terms[at]
			if p.Bool("per_class") {
				up = upstream.Data[at]
			}
			switch {
			case t.y == 0:
			case p.Bool("log_target"):
				dx.Data[at], dy.Data[at] = -up*t.y, up*t.y*(t.excess+1)
			default:
				dx.Data[at], dy.Data[at] = -up*t.y, up*(t.excess+1)
			}
		}
	}
	return Values{"prediction": dx, "target": dy}, nil
}

func klBound(in Values, p Params, eps float64) (Array, error) {
	count := float64(in["prediction"].Shape[1])
	least := smallestNormal(eps)
	return klEach(in, p, func(t klTerm) float64 {
		if t.y == 0 {
			return 0
		}
		excess := math.Abs(t.excess)
		return eps*t.y*(2*math.Abs(t.logY)+(2+count/2)*excess) + least*excess // a y this small may be lost
	}), nil
}

func buildKL(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	y, logY := in["target"], in["target"]
	var absent ops.Value
	if p.Bool("log_target") {
		y = b.Label(b.Exp(logY), "target_probability")
		absent = b.Equal(y, b.Scalar(y, 0))
	} else {
		absent = b.Equal(y, b.Scalar(y, 0))
		logY = b.Log(b.Where(absent, b.Scalar(y, 1), y))
	}
	excess := b.Where(absent, b.Scalar(y, 0), b.Sub(logY, in["prediction"]))
	loss := b.Label(b.Mul(y, excess), "divergence")
	if !p.Bool("per_class") {
		loss = b.ReduceSum(loss, false, 1)
	}
	return ops.Terms{Loss: loss}
}
