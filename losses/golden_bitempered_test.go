package losses_test

import (
	"maps"
	"math"
	"slices"

	"github.com/onnxloss/onnxloss/losses"
)

var bitemperedMappings = map[string]mapping{
	"bitempered/published":        mapBitempered,
	"bitempered/multi":            mapBitempered,
	"bitempered/binary":           mapBitempered,
	"bitempered/extreme":          mapBitempered,
	"bitempered/pytorch":          mapBitempered,
	"bitempered/tempered_softmax": mapBitempered,
	"bitempered/tempered_sigmoid": mapBitempered,
	"bitempered/log_t":            mapTemperedFunction(losses.LogT),
	"bitempered/exp_t":            mapTemperedFunction(losses.ExpT),
}

var bitemperedExclusions = []goldenExclusion{}

var bitemperedElsewhere = slices.Concat(
	ofTempered("the reference loses the normalization of logits beyond 1e8 in the rounding of the highest logit", func(c goldenCase) bool {
		return largest(c.Inputs["logits"].array().Data) > 1e8
	}, "published", "multi", "binary", "extreme", "pytorch", "tempered_softmax", "tempered_sigmoid"),
	ofTempered("the reference's probabilities underflow to 0, whose tempered logarithm or power is far from that of the probability", underflows,
		"published", "multi", "binary", "extreme", "pytorch"),
)

// ofTempered is an exclusion from several kinds.
func ofTempered(reason string, when func(goldenCase) bool, kinds ...string) []goldenExclusion {
	var all []goldenExclusion
	for _, kind := range kinds {
		all = append(all, goldenExclusion{"bitempered/" + kind, reason, when})
	}
	return all
}

// underflows says that a probability below the smallest double still has a tempered
// logarithm, p^(1-t1), or a slope, p^(t2-t1), that is not small: with powers above
// 0.034 both are below 1e-10.
func underflows(c goldenCase) bool {
	t1, isLoss := c.Params["t1"].(float64)
	t2, _ := c.Params["t2"].(float64)
	if !isLoss || t1 == 1 && t2 == 1 || t1 < 1 && 1-t1 > 0.034 || t1 == 1 && t2-t1 > 0.034 {
		return false
	}
	return slices.ContainsFunc(gaps(c), func(gap float64) bool {
		if t2 == 1 {
			return gap > 700
		}
		off := (t2 - 1) * gap
		return off > -1 && math.Log1p(off)/(t2-1) > 700 // below -1 the probability is 0
	})
}

// gaps are how far the logits are below the highest of their example.
func gaps(c goldenCase) []float64 {
	logits := c.Inputs["logits"].array()
	if isPair(c, logits) {
		for i, x := range logits.Data {
			logits.Data[i] = math.Abs(x)
		}
		return logits.Data
	}
	rows := asRows(logits)
	count := rows.Shape[1]
	for n := range rows.Shape[0] {
		row := rows.Data[n*count : (n+1)*count]
		top := slices.Max(row)
		for i := range row {
			row[i] = top - row[i]
		}
	}
	return rows.Data
}

// mapTemperedFunction is for the tempered logarithm and exponential.
func mapTemperedFunction(f func(u, t float64) float64) mapping {
	return func(c goldenCase) (mapped, error) {
		settings, err := c.settings("t")
		if err != nil {
			return mapped{}, err
		}
		value, t := c.Inputs["u"].array(), settings["t"].(float64)
		for i, u := range value.Data {
			value.Data[i] = f(u, t)
		}
		rounding := 0.0
		if t != 1 {
			rounding = 4 * 0x1p-53 / math.Abs(1-t) // of 1, which the reference takes off before it divides
		}
		return mapped{rounding: rounding, direct: &direct{outputs: map[string]losses.Array{"value": value}}}, nil
	}
}

// mapBitempered serves the losses and, by their heads, the probabilities beside them.
// A case with enough iterations is held against the exact loss as well.
func mapBitempered(c goldenCase) (mapped, error) {
	settings, err := c.settings("t", "t1", "t2", "label_smoothing", "num_iters", "binary")
	if err != nil {
		return mapped{}, err
	}
	delete(settings, "binary")
	whole := c.Inputs["logits"].array()
	pair := isPair(c, whole)
	in := losses.Values{"logits": whole}
	if !pair {
		in["logits"] = asRows(whole)
	}
	if labels, ok := c.Inputs["labels"]; ok {
		in["target"] = labels.array()
		soft := slices.Equal(in["target"].Shape, whole.Shape)
		if soft && !pair {
			in["target"] = asRows(in["target"])
			settings["soft_targets"] = true
		}
	}
	published, err := mapTempered(c, pair, in, settings)
	if err != nil {
		return mapped{}, err
	}
	exactly := maps.Clone(settings)
	delete(exactly, "num_iters")
	exact, err := mapTempered(c, pair, in, exactly)
	if err != nil || !converged(published, exact) {
		return published, err
	}
	exact.also = append(exact.also, published)
	exact.also = append(exact.also, published.also...)
	return exact, nil
}

// isPair says that a logit is one of two classes.
func isPair(c goldenCase, logits losses.Array) bool {
	_, sums := c.Expected["prob_sum"]
	_, probabilities := c.Expected["prob"]
	return c.Params["binary"] == true || len(logits.Shape) < 2 || probabilities && !sums
}

// asRows makes [N, C] of a tensor that has the classes on its last axis.
func asRows(a losses.Array) losses.Array {
	count := a.Shape[len(a.Shape)-1]
	rows := 1
	for _, d := range a.Shape[:len(a.Shape)-1] {
		rows *= d
	}
	return losses.Array{Shape: []int{rows, count}, Data: a.Data}
}

// mapTempered maps a case for one number of iterations, exact without.
func mapTempered(c goldenCase, pair bool, in losses.Values, settings map[string]any) (mapped, error) {
	settings = maps.Clone(settings)
	loss, head := losses.BiTemperedLogistic, losses.TemperedSoftmax
	if pair {
		loss, head = losses.BiTemperedBinary, losses.TemperedSigmoid
	}
	temperature, isLoss := settings["t2"]
	if !isLoss {
		temperature = settings["t"]
	}
	if temperature == 1.0 {
		delete(settings, "num_iters")
	}
	ofHead := map[string]any{"t": temperature}
	if n, ok := settings["num_iters"]; ok {
		ofHead["num_iters"] = n
	}
	probability, err := head.Params(ofHead)
	if err != nil {
		return mapped{}, err
	}
	m := mapped{
		loss: head, in: losses.Values{"logits": in["logits"]}, params: probability,
		outputs: map[string]losses.Reduction{"prob": losses.None, "prob_sum": losses.None, "normalization": losses.None},
		reshape: temperedOutputs(c, in["logits"], temperature.(float64)),
		undo: func(a losses.Array) losses.Array {
			return losses.Array{Shape: c.Inputs["logits"].Shape, Data: a.Data}
		},
		tolerance: 1e-8, rounding: publishedRounding(c, in["logits"]),
	}
	if !isLoss {
		return m, nil
	}
	params, err := loss.Params(settings)
	if err != nil {
		return mapped{}, err
	}
	probabilities := m
	m.loss, m.in, m.params, m.outputs, m.also = loss, in, params, nil, []mapped{probabilities}
	m.withoutGradient = clippedPowers(probabilities, settings)
	m.infinite = settings["t1"] == 1.0 && temperature.(float64) < 1
	return m, nil
}

// temperedOutputs makes the reference's outputs of our probabilities, and gives them
// its shapes.
func temperedOutputs(c goldenCase, logits losses.Array, t float64) func(string, losses.Array) losses.Array {
	return func(output string, a losses.Array) losses.Array {
		data := a.Data
		if output == "prob_sum" || output == "normalization" {
			data = nil
			rows, count, _ := split(a.Shape)
			for n := range rows {
				p, x := a.Data[n*count:(n+1)*count], logits.Data[n*count:(n+1)*count]
				total, top := 0.0, 0
				for i := range p {
					total += p[i]
					if x[i] > x[top] {
						top = i
					}
				}
				if output == "normalization" {
					total = x[top] - losses.LogT(p[top], t)
				}
				data = append(data, total)
			}
		}
		return losses.Array{Shape: c.Expected[output].Shape, Data: data}
	}
}

// publishedRounding is what the reference adds to its labels, 1e-10, whose part in
// the loss is y^(1-t1) as large, with the smallest label that is above 0 for t1 > 1;
// and the rounding of the highest logit, which it adds
// to the normalization.
func publishedRounding(c goldenCase, logits losses.Array) float64 {
	terms := 1
	steepest := 1.0
	if t1, isLoss := c.Params["t1"].(float64); isLoss {
		terms = len(logits.Data) + len(c.Expected["none"].Data)
		steepest = math.Pow(smallestLabel(c, logits), math.Min(0, 1-t1))
	}
	return 1.1e-10*float64(terms)*steepest + 0x1p-50*largest(logits.Data)
}

// smallestLabel is the smallest one above 0, also of those that smoothing makes.
func smallestLabel(c goldenCase, logits losses.Array) float64 {
	smallest := 1.0
	if smoothing, ok := c.Params["label_smoothing"].(float64); ok && smoothing > 0 {
		smallest = smoothing / float64(logits.Shape[len(logits.Shape)-1])
	}
	if labels, ok := c.Inputs["labels"]; ok {
		for _, y := range labels.array().Data {
			for _, y := range []float64{y, 1 - y} {
				if y > 0 {
					smallest = math.Min(smallest, y)
				}
			}
		}
	}
	return smallest
}

// converged says that the published iteration had enough steps in this case, also for
// the logarithms of small probabilities and for sums over many.
func converged(published, exact mapped) bool {
	evaluate := func(m mapped) []float64 {
		if len(m.also) > 0 {
			m = m.also[0]
		}
		var both []float64 // the other class of a pair is that of the opposite logit
		for _, sign := range []float64{1, -1} {
			p, err := m.loss.Evaluate(losses.Values{"logits": scaled(m.in["logits"], sign)}, m.params, losses.None)
			if err != nil {
				return nil
			}
			both = append(both, p.Data...)
			if m.loss != losses.TemperedSigmoid {
				break
			}
		}
		return both
	}
	p := evaluate(published)
	for i, want := range evaluate(exact) {
		if !(math.Abs(p[i]-want) <= 1e-10*want) {
			return false
		}
	}
	return true
}

// clippedPowers is where the reference takes 0 to the power 0 for 1, so that a class
// without a probability moves the normalization or the loss.
func clippedPowers(probabilities mapped, settings map[string]any) string {
	t1, t2 := settings["t1"].(float64), settings["t2"].(float64)
	if t2 >= 1 || t2 != t1 && t2 != 0 {
		return ""
	}
	p, err := probabilities.loss.Evaluate(probabilities.in, probabilities.params, losses.None)
	clipped := err == nil && slices.ContainsFunc(p.Data, func(p float64) bool { return p == 0 || p == 1 })
	if probabilities.loss == losses.TemperedSigmoid {
		clipped = clipped || largest(probabilities.in["logits"].Data) >= 1/(1-t2)
	}
	if !clipped {
		return ""
	}
	return "the reference's gradient has 0^0 = 1 at probabilities of 0; the loss does not change with their logits"
}
