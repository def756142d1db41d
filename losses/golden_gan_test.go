package losses_test

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/onnxloss/onnxloss/losses"
)

var ganMappings = map[string]mapping{
	"gan/minimax_d":                    pairOf(losses.MinimaxDiscriminator, "label_smoothing"),
	"gan/minimax_d_mimicry":            mapMinimaxMimicry,
	"gan/logistic_d_studiogan":         pairOf(losses.NonSaturatingDiscriminator),
	"gan/logistic_d_vanilla_studiogan": pairOf(losses.NonSaturatingDiscriminator),
	"gan/minimax_g_nonsaturating":      pairOf(losses.NonSaturatingGenerator),
	"gan/minimax_g_saturating":         pairOf(losses.MinimaxGenerator),
	"gan/logistic_g_studiogan":         pairOf(losses.NonSaturatingGenerator),
	"gan/nonsaturating_g_eps":          mapNonSaturatingEpsilon,
	"gan/lsgan_d":                      pairOf(losses.LeastSquaresDiscriminator, "a", "b"),
	"gan/lsgan_g":                      pairOf(losses.LeastSquaresGenerator, "c"),
	"gan/wgan_d":                       pairOf(losses.WassersteinCritic),
	"gan/wgan_d_mimicry":               pairOf(losses.WassersteinCritic),
	"gan/wgan_g":                       pairOf(losses.WassersteinGenerator),
	"gan/hinge_d":                      pairOf(losses.HingeDiscriminator),
	"gan/hinge_d_studiogan":            pairOf(losses.HingeDiscriminator),
	"gan/hinge_g":                      pairOf(losses.HingeGenerator),
	"gan/ebgan_d":                      pairOf(losses.EBGANDiscriminator, "margin"),
	"gan/ebgan_g":                      pairOf(losses.EBGANGenerator),
	"gan/nonsaturating_compare_gan":    compareGAN(losses.NonSaturatingDiscriminator, losses.NonSaturatingGenerator, 1e6, -1e6, 1),
	"gan/nonsaturating_compare_gan_g":  compareGAN(losses.NonSaturatingDiscriminator, losses.NonSaturatingGenerator, 1e6, -1e6, 1),
	"gan/hinge_compare_gan":            compareGAN(losses.HingeDiscriminator, losses.HingeGenerator, 1, -1, 1),
	"gan/hinge_compare_gan_g":          compareGAN(losses.HingeDiscriminator, losses.HingeGenerator, 1, -1, 1),
	"gan/lsgan_compare_gan":            compareGAN(losses.LeastSquaresDiscriminator, losses.LeastSquaresGenerator, 1, 0, 2),
	"gan/lsgan_compare_gan_g":          compareGAN(losses.LeastSquaresDiscriminator, losses.LeastSquaresGenerator, 1, 0, 2),
	"gan/began":                        mapBEGAN,

	"gan/gp_of_gradient":             penaltyOf(losses.WGANGradientPenalty, nil),
	"gan/gp_of_gradient_batchnorm":   penaltyOf(losses.WGANGradientPenalty, map[string]any{"batch": true}),
	"gan/gp_of_gradient_eps":         penaltyOf(losses.WGANGradientPenalty, map[string]any{"epsilon": 1e-4}),
	"gan/gp_of_gradient_k_batchnorm": penaltyOf(losses.DRAGANGradientPenalty, map[string]any{"batch": true}),

	"gan/wgan_gp":                    criticPenalty(losses.WGANGradientPenalty, nil, betweenReal),
	"gan/wgan_gp_batchnorm_torchgan": criticPenalty(losses.WGANGradientPenalty, map[string]any{"batch": true}, betweenReal),
	"gan/wgan_gp_compare_gan":        criticPenalty(losses.WGANGradientPenalty, map[string]any{"epsilon": 1e-4}, betweenFake),
	"gan/dragan":                     criticPenalty(losses.DRAGANGradientPenalty, nil, aroundReal),
	"gan/dragan_batchnorm_torchgan":  criticPenalty(losses.DRAGANGradientPenalty, map[string]any{"batch": true}, aroundRealOpposite),
	"gan/dragan_compare_gan":         criticPenalty(losses.DRAGANGradientPenalty, map[string]any{"epsilon": 1e-4}, aroundRealClipped),
	"gan/r1":                         criticPenalty(losses.R1GradientPenalty, map[string]any{"gamma": 1.0}, atReal),
	"gan/max_gp":                     criticPenalty(losses.R1GradientPenalty, map[string]any{"gamma": 2.0}, betweenReal),
}

var ganExclusions = []goldenExclusion{}

var ganElsewhere = []goldenExclusion{}

// pairOf maps a loss on real and fake, or on fake alone, whose parameters have the
// reference's names. Batches of different sizes are not paired.
func pairOf(loss *losses.Loss, known ...string) mapping {
	return func(c goldenCase) (mapped, error) {
		settings, err := c.settings(append(known, "nonsaturating", "DDP")...)
		if err != nil {
			return mapped{}, err
		}
		delete(settings, "nonsaturating") // the kind says that already
		delete(settings, "DDP")           // how the batch is spread over machines
		return adversarial(c, loss, settings)
	}
}

func adversarial(c goldenCase, loss *losses.Loss, settings map[string]any) (mapped, error) {
	in := losses.Values{}
	for name, a := range c.Inputs {
		in[name] = a.array()
	}
	if len(loss.Inputs) == 1 {
		delete(in, "real")
	} else if !slices.Equal(in["real"].Shape, in["fake"].Shape) {
		settings["paired"] = false
	}
	params, err := loss.Params(settings)
	if err != nil {
		return mapped{}, err
	}
	return mapped{loss: loss, in: in, params: params, rounding: roundingOf(in)}, nil
}

// roundingOf is what references lose in float64 when they add and subtract numbers
// as large as the inputs.
func roundingOf(in losses.Values) float64 {
	top := 1.0
	for _, a := range in {
		top = max(top, largest(a.Data))
	}
	return 8 * 0x1p-53 * top
}

// mapMinimaxMimicry: labels for both sides. Ours moves only the real one, as the
// paper does; with another fake label the reference is two plain cross-entropies.
func mapMinimaxMimicry(c goldenCase) (mapped, error) {
	settings, err := c.settings("real_label_val", "fake_label_val")
	if err != nil {
		return mapped{}, err
	}
	realLabel, _ := settings["real_label_val"].(float64)
	fakeLabel, _ := settings["fake_label_val"].(float64)
	oneSided := fakeLabel == 0 && realLabel >= 0 && realLabel <= 1
	switch {
	case c.Error != "": // the shapes: labels do not matter
		return adversarial(c, losses.MinimaxDiscriminator, map[string]any{})
	case oneSided:
		return adversarial(c, losses.MinimaxDiscriminator, map[string]any{"label_smoothing": 1 - realLabel})
	}
	onReal, dReal, err := meanCrossEntropy(c.Inputs["real"].array(), realLabel)
	if err != nil {
		return mapped{}, err
	}
	onFake, dFake, err := meanCrossEntropy(c.Inputs["fake"].array(), fakeLabel)
	return mapped{rounding: 1e-14, direct: &direct{
		outputs: map[string]losses.Array{"mean": scalar(onReal + onFake)},
		grad:    losses.Values{"real": dReal, "fake": dFake},
	}}, err
}

func meanCrossEntropy(x losses.Array, label float64) (float64, losses.Array, error) {
	in := losses.Values{"logits": x, "target": losses.Filled(x.Shape, label)}
	loss, err := losses.SigmoidCrossEntropy.Evaluate(in, losses.Params{}, losses.Mean)
	if err != nil {
		return 0, losses.Array{}, err
	}
	g, err := losses.SigmoidCrossEntropy.EvaluateGradient(in, losses.Params{}, losses.Mean, nil)
	return loss.Data[0], g["logits"], err
}

// mapNonSaturatingEpsilon: mimicry's 1e-8 is written in its code.
func mapNonSaturatingEpsilon(c goldenCase) (mapped, error) {
	if _, err := c.settings(); err != nil {
		return mapped{}, err
	}
	return adversarial(c, losses.NonSaturatingGenerator, map[string]any{"epsilon": 1e-8})
}

// compareGAN maps compare_gan's functions, which give the losses of both players
// and the two sides of the discriminator's. A side by itself is ours with the other
// one at an output where it costs nothing, times a factor.
func compareGAN(d, g *losses.Loss, freeReal, freeFake, factor float64) mapping {
	return func(c goldenCase) (mapped, error) {
		if _, err := c.settings(); err != nil {
			return mapped{}, err
		}
		both, err := adversarial(c, d, map[string]any{})
		if err != nil {
			return mapped{}, err
		}
		generated, err := adversarial(c, g, map[string]any{})
		if err != nil {
			return mapped{}, err
		}
		both.outputs = map[string]losses.Reduction{"d_loss": losses.Mean}
		generated.outputs = map[string]losses.Reduction{"g_loss": losses.Mean}
		only := func(output, other string, free float64) mapped {
			m := both
			m.in = maps.Clone(both.in)
			m.in[other] = losses.Filled(both.in[other].Shape, free)
			m.outputs = map[string]losses.Reduction{output: losses.Mean}
			m.scale = map[string]float64{output: factor}
			return m
		}
		sides := []mapped{only("d_loss_real", "fake", freeFake), only("d_loss_fake", "real", freeReal)}
		if c.GradOf == "g_loss" {
			generated.also = append(sides, both)
			return generated, nil
		}
		both.also = append(sides, generated)
		return both, nil
	}
}

// mapBEGAN: the losses of both players, their parts, and the two heads.
func mapBEGAN(c goldenCase) (mapped, error) {
	settings, err := c.settings("k", "gamma", "lambda_k")
	if err != nil {
		return mapped{}, err
	}
	k, _ := settings["k"].(float64)
	in := losses.Values{"real": c.Inputs["real"].array(), "fake": c.Inputs["fake"].array(), "k": scalar(k)}
	serve := func(loss *losses.Loss, in losses.Values, settings map[string]any, r losses.Reduction, outputs ...string) mapped {
		params, errParams := loss.Params(settings)
		if errParams != nil {
			err = errParams
		}
		m := mapped{loss: loss, in: in, params: params, outputs: map[string]losses.Reduction{}, rounding: roundingOf(in)}
		for _, output := range outputs {
			m.outputs[output] = r
		}
		return m
	}
	errors := losses.Values{"real": in["real"], "fake": in["fake"]}
	unpaired := map[string]any{"paired": slices.Equal(in["real"].Shape, in["fake"].Shape)}
	m := serve(losses.BEGANDiscriminator, in, unpaired, losses.Mean, "mean")
	m.also = []mapped{
		serve(losses.BEGANGenerator, losses.Values{"fake": in["fake"]}, nil, losses.Mean, "g_loss", "loss_fake"),
		serve(losses.BEGANGenerator, losses.Values{"fake": in["real"]}, nil, losses.Mean, "loss_real"),
		serve(losses.BEGANBalance, in, map[string]any{"gamma": settings["gamma"], "lambda_k": settings["lambda_k"]}, losses.None, "k_next"),
		serve(losses.BEGANConvergence, errors, map[string]any{"gamma": settings["gamma"]}, losses.None, "convergence"),
	}
	return m, err
}

// penaltyOf maps a penalty as a function of a gradient; the references leave out
// the coefficient, and with one norm over the batch give that one alone.
func penaltyOf(loss *losses.Loss, fixed map[string]any) mapping {
	return func(c goldenCase) (mapped, error) {
		params, err := penaltyParams(c, loss, fixed)
		in := losses.Values{"gradient": c.Inputs["g"].array()}
		return mapped{
			loss: loss, in: in, params: params,
			names: map[string]string{"g": "gradient"}, rounding: roundingOf(in),
		}, err
	}
}

func penaltyParams(c goldenCase, loss *losses.Loss, fixed map[string]any) (losses.Params, error) {
	settings, err := c.settings("k")
	if err != nil {
		return nil, err
	}
	if k, ok := settings["k"]; ok {
		settings["target_norm"] = k
	}
	delete(settings, "k")
	if loss != losses.R1GradientPenalty {
		settings["coefficient"] = 1.0
	}
	maps.Copy(settings, fixed)
	return loss.Params(settings)
}

// criticPenalty maps a penalty on the gradient of a small critic, whose weights the
// reference differentiates by.
func criticPenalty(loss *losses.Loss, fixed map[string]any, points func(goldenCase) losses.Array) mapping {
	return func(c goldenCase) (mapped, error) {
		params, err := penaltyParams(c, loss, fixed)
		if err != nil {
			return mapped{}, err
		}
		net, err := newCritic(c)
		if err != nil {
			return mapped{}, err
		}
		x := points(c)
		in := losses.Values{"gradient": net.gradient(x)}
		value, slope, err := reducedPenalty(c, loss, in, params)
		if err != nil {
			return mapped{}, err
		}
		return mapped{rounding: 1e-13, direct: &direct{
			outputs: map[string]losses.Array{"mean": value, "interpolates": x, "grad_norm": norms(in["gradient"])},
			grad:    net.byWeights(x, slope),
		}}, nil
	}
}

// reducedPenalty gives the penalty and its slope by the gradient. max_gp is the
// largest squared norm, which is R1's term for gamma = 2.
func reducedPenalty(c goldenCase, loss *losses.Loss, in losses.Values, params losses.Params) (value, slope losses.Array, err error) {
	r, upstream := losses.Mean, (*losses.Array)(nil)
	if c.kind() == "gan/max_gp" {
		r = losses.None
	}
	if value, err = loss.Evaluate(in, params, r); err != nil {
		return value, slope, err
	}
	if r == losses.None {
		top := slices.Max(value.Data)
		one := losses.Zeros(value.Shape)
		one.Data[slices.Index(value.Data, top)] = 1
		value, upstream = scalar(top), &one
	}
	g, err := loss.EvaluateGradient(in, params, r, upstream)
	return value, g["gradient"], err
}

// norms is what references return beside their penalty: plain norms of each sample's
// gradient, whatever the penalty makes of them.
func norms(g losses.Array) losses.Array {
	norm := losses.Zeros(g.Shape[:1])
	for i, x := range g.Data {
		at := i * len(norm.Data) / len(g.Data)
		norm.Data[at] = math.Hypot(norm.Data[at], x)
	}
	return norm
}

// The points at which the references differentiate their critic.

func atReal(c goldenCase) losses.Array { return c.Inputs["real"].array() }

func betweenReal(c goldenCase) losses.Array {
	return c.pointwise(func(real, fake, alpha, _ float64) float64 { return alpha*real + (1-alpha)*fake })
}

func betweenFake(c goldenCase) losses.Array {
	return c.pointwise(func(real, fake, alpha, _ float64) float64 { return real + alpha*(fake-real) })
}

func aroundReal(c goldenCase) losses.Array {
	std := deviation(atReal(c).Data, 1)
	return c.pointwise(func(real, _, alpha, beta float64) float64 { return real + alpha*0.5*std*beta })
}

func aroundRealOpposite(c goldenCase) losses.Array {
	std := deviation(atReal(c).Data, 1)
	return c.pointwise(func(real, _, alpha, beta float64) float64 { return real + (1-alpha)*0.5*std*beta })
}

func aroundRealClipped(c goldenCase) losses.Array {
	std := deviation(atReal(c).Data, 0)
	return c.pointwise(func(real, _, alpha, _ float64) float64 {
		return max(0, min(real+std*(alpha-0.5), 1))
	})
}

// pointwise combines real, fake and beta of each element with its alpha, or its
// sample's.
func (c goldenCase) pointwise(f func(real, fake, alpha, beta float64) float64) losses.Array {
	x := c.Inputs["real"].array()
	at := func(name string, i int) float64 {
		data := c.Inputs[name].Data
		if len(data) == 0 {
			return 0
		}
		return float64(data[i*len(data)/len(x.Data)])
	}
	points := losses.Zeros(x.Shape)
	for i, real := range x.Data {
		points.Data[i] = f(real, at("fake", i), at("alpha", i), at("beta", i))
	}
	return points
}

// deviation is the standard deviation, with so many degrees of freedom taken off.
func deviation(numbers []float64, off int) float64 {
	mean, squares := 0.0, 0.0
	for _, x := range numbers {
		mean += x / float64(len(numbers))
	}
	for _, x := range numbers {
		squares += (x - mean) * (x - mean)
	}
	return math.Sqrt(squares / float64(len(numbers)-off))
}

// critic is the reference's network: layers of tanh(x w + b), the last one x w.
type critic struct{ layers []layer }

type layer struct {
	in, out int
	w, b    []float64 // w by input, then output; b is nil in the last layer
}

func newCritic(c goldenCase) (critic, error) {
	var net critic
	for i := 1; ; i++ {
		w, ok := c.Inputs[fmt.Sprint("w", i)]
		if !ok {
			break
		}
		l := layer{in: w.Shape[0], out: w.Shape[1], w: w.array().Data}
		if b, ok := c.Inputs[fmt.Sprint("b", i)]; ok {
			l.b = b.array().Data
		}
		net.layers = append(net.layers, l)
	}
	if len(net.layers) == 0 {
		return net, fmt.Errorf("%s has no critic w1, w2, ...", c.kind())
	}
	return net, nil
}

// forward is x w.
func (l layer) forward(x []float64) []float64 {
	y := make([]float64, l.out)
	for i := range l.in {
		for j := range l.out {
			y[j] += x[i] * l.w[i*l.out+j]
		}
	}
	return y
}

// backward is the transpose of forward.
func (l layer) backward(y []float64) []float64 {
	x := make([]float64, l.in)
	for i := range l.in {
		for j := range l.out {
			x[i] += y[j] * l.w[i*l.out+j]
		}
	}
	return x
}

// trace is what a sample passes through: the input of each layer, and that input's
// derivative along a direction.
type trace struct{ x, along [][]float64 }

// run gives the activations and their derivatives along a direction of the input.
func (n critic) run(x, direction []float64) trace {
	t := trace{x: [][]float64{x}, along: [][]float64{direction}}
	for _, l := range n.layers[:len(n.layers)-1] {
		y, dy := l.forward(x), l.forward(direction)
		for j := range y {
			y[j] = math.Tanh(y[j] + l.b[j])
			dy[j] *= 1 - y[j]*y[j]
		}
		x, direction = y, dy
		t.x, t.along = append(t.x, x), append(t.along, direction)
	}
	return t
}

// gradient is that of the critic's output by its input, for each sample.
func (n critic) gradient(x losses.Array) losses.Array {
	g := losses.Zeros(x.Shape)
	width := len(x.Data) / x.Shape[0]
	last := len(n.layers) - 1
	for i := range x.Shape[0] {
		row := x.Data[i*width : (i+1)*width]
		t := n.run(row, make([]float64, width))
		back := n.layers[last].backward([]float64{1})
		for k := last - 1; k >= 0; k-- {
			for j, y := range t.x[k+1] {
				back[j] *= 1 - y*y
			}
			back = n.layers[k].backward(back)
		}
		copy(g.Data[i*width:], back)
	}
	return g
}

// byWeights differentiates Σ slope · gradient by the weights, slope held: for each
// sample that is the derivative of the output along slope, differentiated in turn.
func (n critic) byWeights(x, slope losses.Array) losses.Values {
	dw, db := make([][]float64, len(n.layers)), make([][]float64, len(n.layers))
	for k, l := range n.layers {
		dw[k], db[k] = make([]float64, len(l.w)), make([]float64, l.out)
	}
	width := len(x.Data) / x.Shape[0]
	for i := range x.Shape[0] {
		t := n.run(x.Data[i*width:(i+1)*width], slope.Data[i*width:(i+1)*width])
		// by the layer's output y, and by its derivative dy
		byY, byDY := []float64{0}, []float64{1}
		for k := len(n.layers) - 1; k >= 0; k-- {
			l := n.layers[k]
			for a := range l.in {
				for j := range l.out {
					dw[k][a*l.out+j] += t.x[k][a]*byY[j] + t.along[k][a]*byDY[j]
				}
			}
			for j := range l.out {
				db[k][j] += byY[j]
			}
			byY, byDY = l.backward(byY), l.backward(byDY)
			if k > 0 {
				throughTanh(t.x[k], t.along[k], byY, byDY)
			}
		}
	}
	values := losses.Values{}
	for k, l := range n.layers {
		values[fmt.Sprint("w", k+1)] = losses.Array{Shape: []int{l.in, l.out}, Data: dw[k]}
		values[fmt.Sprint("b", k+1)] = losses.Array{Shape: []int{l.out}, Data: db[k]}
	}
	return values
}

// throughTanh goes back from y = tanh(a) and dy = (1 - y²) da to a and da.
func throughTanh(y, dy, byY, byDY []float64) {
	for j := range y {
		steep := 1 - y[j]*y[j]
		// dy depends on a through 1 - y², whose slope is -2 y (1 - y²).
		byY[j] = byY[j]*steep - 2*y[j]*dy[j]*byDY[j]
		byDY[j] *= steep
	}
}
