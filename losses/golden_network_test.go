package losses_test

import (
	"fmt"

	"github.com/onnxloss/onnxloss/losses"
)

// backward turns a gradient by a layer's result into that by its input.
type backward = func(losses.Array) losses.Array

// network is the feature network of the perceptual golden cases: two convolutions
// up to the first tap; a pool and a third one up to the second.
type network struct {
	weights, biases [3]losses.Array
	normalize       bool
}

// features are the taps of one batch, and the way back.
type features struct {
	taps [2]losses.Array
	back func(byTaps [2]losses.Array) losses.Array
}

func (n network) run(e *evaluation, images losses.Array) features {
	normalized, byImages := images, func(g losses.Array) losses.Array { return g }
	if n.normalize {
		in := losses.Values{"image": images}
		normalized = e.value(losses.ImagenetNormalization, nil, in, losses.None)
		byImages = func(g losses.Array) losses.Array {
			return e.gradient(losses.ImagenetNormalization, nil, in, losses.None, &g)["image"]
		}
	}
	layer1, by1 := n.layer(0, normalized)
	layer2, by2 := n.layer(1, layer1)
	pooled, byPool := maxPool(layer2)
	layer3, by3 := n.layer(2, pooled)
	return features{
		taps: [2]losses.Array{layer2, layer3},
		back: func(byTaps [2]losses.Array) losses.Array {
			return byImages(by1(by2(plus(byTaps[0], byPool(by3(byTaps[1]))))))
		},
	}
}

func (n network) layer(i int, x losses.Array) (losses.Array, backward) {
	y, byConvolution := convolve(x, n.weights[i], n.biases[i])
	z, byRelu := relu(y)
	return z, func(g losses.Array) losses.Array { return byConvolution(byRelu(g)) }
}

// image indexes a tensor [N, C, H, W].
type image struct{ n, c, h, w int }

func imageOf(shape []int) image { return image{shape[0], shape[1], shape[2], shape[3]} }

func (m image) at(n, c, i, j int) int { return ((n*m.c+c)*m.h+i)*m.w + j }

func (m image) has(i, j int) bool { return i >= 0 && i < m.h && j >= 0 && j < m.w }

// each calls f for every element with its indices.
func (m image) each(f func(n, c, i, j int)) {
	for n := range m.n {
		for c := range m.c {
			for i := range m.h {
				for j := range m.w {
					f(n, c, i, j)
				}
			}
		}
	}
}

// convolve has zeros around x, so that its size stays.
func convolve(x, weight, bias losses.Array) (losses.Array, backward) {
	from, kernel := imageOf(x.Shape), imageOf(weight.Shape)
	to := image{from.n, kernel.n, from.h, from.w}
	y := losses.Zeros([]int{to.n, to.c, to.h, to.w})
	pairs := func(f func(at, from, weight int)) {
		to.each(func(n, o, i, j int) {
			image{1, kernel.c, kernel.h, kernel.w}.each(func(_, c, di, dj int) {
				row, column := i+di-kernel.h/2, j+dj-kernel.w/2
				if from.has(row, column) {
					f(to.at(n, o, i, j), from.at(n, c, row, column), kernel.at(o, c, di, dj))
				}
			})
		})
	}
	to.each(func(n, o, i, j int) { y.Data[to.at(n, o, i, j)] = bias.Data[o] })
	pairs(func(at, from, w int) { y.Data[at] += x.Data[from] * weight.Data[w] })
	return y, func(g losses.Array) losses.Array {
		by := losses.Zeros(x.Shape)
		pairs(func(at, from, w int) { by.Data[from] += g.Data[at] * weight.Data[w] })
		return by
	}
}

func relu(x losses.Array) (losses.Array, backward) {
	y := losses.Zeros(x.Shape)
	for i, v := range x.Data {
		y.Data[i] = max(v, 0)
	}
	return y, func(g losses.Array) losses.Array {
		by := losses.Zeros(x.Shape)
		for i, v := range x.Data {
			if v > 0 {
				by.Data[i] = g.Data[i]
			}
		}
		return by
	}
}

// maxPool takes the largest of two by two, and leaves out an odd row or column.
func maxPool(x losses.Array) (losses.Array, backward) {
	from := imageOf(x.Shape)
	to := image{from.n, from.c, from.h / 2, from.w / 2}
	y := losses.Zeros([]int{to.n, to.c, to.h, to.w})
	chosen := make([]int, len(y.Data))
	to.each(func(n, c, i, j int) {
		at, best := to.at(n, c, i, j), from.at(n, c, 2*i, 2*j)
		for k := range 4 {
			if other := from.at(n, c, 2*i+k/2, 2*j+k%2); x.Data[other] > x.Data[best] {
				best = other
			}
		}
		y.Data[at], chosen[at] = x.Data[best], best
	})
	return y, func(g losses.Array) losses.Array {
		by := losses.Zeros(x.Shape)
		for i, best := range chosen {
			by.Data[best] += g.Data[i]
		}
		return by
	}
}

func plus(a, b losses.Array) losses.Array {
	total := scaled(a, 1)
	for i, x := range b.Data {
		total.Data[i] += x
	}
	return total
}

// mapNetwork is the whole perceptual loss: content at the second tap, style at
// both, the total variation of the image itself.
func mapNetwork(c goldenCase) (mapped, error) {
	settings, err := c.settings("content_weight", "style_weight", "tv_weight", "normalize")
	if err != nil {
		return mapped{}, err
	}
	in, err := c.arrays("y", "x", "style", "c1w", "c1b", "c2w", "c2b", "c3w", "c3b")
	if err != nil {
		return mapped{}, err
	}
	weight := func(name string) float64 { w, _ := settings[name].(float64); return w }
	n := network{}
	n.normalize, _ = settings["normalize"].(bool)
	for i := range n.weights {
		n.weights[i], n.biases[i] = in[fmt.Sprintf("c%dw", i+1)], in[fmt.Sprintf("c%db", i+1)]
	}

	var e evaluation
	y, x, style := n.run(&e, in["y"]), n.run(&e, in["x"]), n.run(&e, in["style"])
	content := e.weighted(weight("content_weight"), losses.FeatureReconstruction, nil, losses.Mean,
		losses.Values{"prediction": y.taps[1], "target": x.taps[1]})
	variation := e.weighted(weight("tv_weight"), losses.TotalVariation, nil, losses.Sum, losses.Values{"image": in["y"]})
	styles, byY, byStyle := scalar(0), [2]losses.Array{}, [2]losses.Array{}
	for tap := range y.taps {
		s := e.weighted(weight("style_weight"), losses.Style, map[string]any{"average": true}, losses.Mean,
			losses.Values{"prediction": y.taps[tap], "style": style.taps[tap]})
		styles = plus(styles, s.value)
		byY[tap], byStyle[tap] = s.by["prediction"], s.by["style"]
	}
	if e.err != nil {
		return mapped{}, e.err
	}
	byY[1] = plus(byY[1], content.by["prediction"])
	d := direct{
		outputs: map[string]losses.Array{
			"loss":    plus(plus(content.value, styles), variation.value),
			"content": content.value, "style": styles, "tv": variation.value,
			"tap1": y.taps[0], "tap2": y.taps[1],
		},
		grad: losses.Values{
			"y":     plus(y.back(byY), variation.by["image"]),
			"x":     x.back([2]losses.Array{losses.Zeros(x.taps[0].Shape), content.by["target"]}),
			"style": style.back(byStyle),
		},
	}
	steepest := 0.0
	for _, g := range d.grad {
		steepest = max(steepest, largest(g.Data))
	}
	return mapped{
		direct:   &d,
		rounding: 16 * ulp * max(largest(y.taps[0].Data), largest(y.taps[1].Data)), targetRounding: 64 * ulp * steepest,
	}, e.err
}

// weighted is a loss times a weight, and its gradients.
type weighted struct {
	value losses.Array
	by    losses.Values
}

func (e *evaluation) weighted(weight float64, l *losses.Loss, settings map[string]any, r losses.Reduction, in losses.Values) weighted {
	w := weighted{scaled(e.value(l, settings, in, r), weight), losses.Values{}}
	for name, g := range e.gradient(l, settings, in, r, nil) {
		w.by[name] = scaled(g, weight)
	}
	return w
}
