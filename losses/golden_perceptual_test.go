package losses_test

import (
	"fmt"
	"slices"

	"github.com/onnxloss/onnxloss/losses"
)

var perceptualMappings = map[string]mapping{
	"perceptual/gram":            mapGram,
	"perceptual/style":           mapStyle("l2"),
	"perceptual/style_smooth_l1": mapStyle("smooth_l1"),
	"perceptual/feature":         mapFeature,
	"perceptual/tv_l1":           mapAbsoluteVariation,
	"perceptual/tv_l2":           mapSquaredVariation,
	"perceptual/normalize":       mapNormalization,
	"perceptual/network":         mapNetwork,
}

var perceptualExclusions = []goldenExclusion{}

var perceptualElsewhere = []goldenExclusion{}

// ulp is float64's; the roundings are what the references' own sums and differences
// may lose of numbers as large as the inputs.
const ulp = 0x1p-52

// bare is arrays of a case without parameters.
func (c goldenCase) bare(known ...string) (losses.Values, error) {
	if _, err := c.settings(); err != nil {
		return nil, err
	}
	return c.arrays(known...)
}

// arrays gives the case's inputs, which must be among the known ones, by the
// reference's names.
func (c goldenCase) arrays(known ...string) (losses.Values, error) {
	in := losses.Values{}
	for name, a := range c.Inputs {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("%s has the input %s, which its mapping does not know", c.kind(), name)
		}
		in[name] = a.array()
	}
	return in, nil
}

func mapGram(c goldenCase) (mapped, error) {
	in, err := c.bare("x")
	top := largest(in["x"].Data)
	return mapped{
		loss: losses.GramMatrix, in: losses.Values{"features": in["x"]},
		rounding: 8 * ulp * max(top, top*top),
	}, err
}

func mapNormalization(c goldenCase) (mapped, error) {
	in, err := c.bare("x")
	if err != nil {
		return mapped{}, err
	}
	p, err := losses.ImagenetNormalization.Params(nil)
	return mapped{
		loss: losses.ImagenetNormalization, params: p, in: losses.Values{"image": in["x"]},
		rounding: 4 * ulp * (largest(in["x"].Data)/56 + 2.2),
	}, err
}

// mapStyle: the references average over the Gram matrices' entries; our sum over
// them is held against the same figures.
func mapStyle(norm string) mapping {
	return func(c goldenCase) (mapped, error) {
		in, err := c.bare("x", "style")
		if err != nil {
			return mapped{}, err
		}
		_, channels, _ := split(in["x"].Shape)
		entries := float64(channels * channels)
		top := max(largest(in["x"].Data), largest(in["style"].Data))
		style := func(average bool, scale map[string]float64) (mapped, error) {
			p, err := losses.Style.Params(map[string]any{"norm": norm, "average": average})
			return mapped{
				loss: losses.Style, params: p, scale: scale,
				rounding: 16 * ulp * top * top * top / float64(channels),
				in:       losses.Values{"prediction": in["x"], "style": in["style"]},
				outputs:  map[string]losses.Reduction{"mean": losses.Mean, "sum": losses.Sum},
			}, err
		}
		summed, err := style(false, map[string]float64{"mean": 1 / entries})
		if err != nil {
			return mapped{}, err
		}
		averaged, err := style(true, map[string]float64{"sum": entries})
		averaged.also = []mapped{summed}
		return averaged, err
	}
}

// mapFeature: ours has one term a sample; that of every element is the squared
// error, which must have the same mean.
func mapFeature(c goldenCase) (mapped, error) {
	arrays, err := c.bare("x", "target")
	if err != nil {
		return mapped{}, err
	}
	in := losses.Values{"prediction": arrays["x"], "target": arrays["target"]}
	_, channels, positions := split(in["target"].Shape)
	size := float64(channels * positions)

	var e evaluation
	d := direct{outputs: map[string]losses.Array{
		"none": e.value(losses.MSE, nil, in, losses.None),
		"mean": e.value(losses.FeatureReconstruction, nil, in, losses.Mean),
		"sum":  scaled(e.value(losses.FeatureReconstruction, nil, in, losses.Sum), size),
	}}
	renamed := func(g losses.Values, scale float64) losses.Values {
		return losses.Values{"x": scaled(g["prediction"], scale), "target": scaled(g["target"], scale)}
	}
	byMean := e.gradient(losses.FeatureReconstruction, nil, in, losses.Mean, nil)
	bySum := e.gradient(losses.FeatureReconstruction, nil, in, losses.Sum, nil)
	d.gradMean, d.grad = renamed(byMean, 1), renamed(bySum, size)
	if c.GradOf == "mean" {
		d.grad = d.gradMean
	}
	if u := c.GradNone["upstream"]; u != nil {
		upstream := u.array()
		d.gradNone = renamed(e.gradient(losses.MSE, nil, in, losses.None, &upstream), 1)
	}
	return mapped{direct: &d}, e.err
}

// images gives the input x as [1, K, H, W], which has the same differences.
func (c goldenCase) images() (losses.Values, error) {
	in, err := c.arrays("x")
	if err != nil {
		return nil, err
	}
	x := in["x"]
	rank := len(x.Shape)
	if rank < 2 {
		return nil, fmt.Errorf("%s has an image of shape %v", c.kind(), x.Shape)
	}
	count := 1
	for _, d := range x.Shape[:rank-2] {
		count *= d
	}
	x.Shape = []int{1, count, x.Shape[rank-2], x.Shape[rank-1]}
	return losses.Values{"image": x}, nil
}

func mapAbsoluteVariation(c goldenCase) (mapped, error) {
	if _, err := c.settings(); err != nil {
		return mapped{}, err
	}
	in, err := c.images()
	if err != nil {
		return mapped{}, err
	}
	whole := c.Inputs["x"].Shape
	variation := func(average bool, output string) (mapped, error) {
		p, err := losses.TotalVariation.Params(map[string]any{"average": average})
		return mapped{
			loss: losses.TotalVariation, params: p, in: in, rounding: 4 * ulp,
			outputs: map[string]losses.Reduction{output: losses.None},
			reshape: func(_ string, a losses.Array) losses.Array {
				return losses.Array{Shape: whole[:len(whole)-2], Data: a.Data}
			},
			undo: func(a losses.Array) losses.Array { return losses.Array{Shape: whole, Data: a.Data} },
		}, err
	}
	summed, err := variation(false, "per_image_sum")
	if err != nil {
		return mapped{}, err
	}
	averaged, err := variation(true, "per_image_mean")
	if c.GradOf == "per_image_mean" {
		averaged.also = []mapped{summed}
		return averaged, err
	}
	summed.also = []mapped{averaged}
	return summed, err
}

// mapSquaredVariation: the reference's loss is 2 weight times ours, averaged over
// the samples and channels too.
func mapSquaredVariation(c goldenCase) (mapped, error) {
	settings, err := c.settings("weight")
	if err != nil {
		return mapped{}, err
	}
	weight, ok := settings["weight"].(float64)
	if !ok {
		weight = 1
	}
	in, err := c.images()
	if err != nil {
		return mapped{}, err
	}
	whole := c.Inputs["x"].Shape
	p, err := losses.TotalVariation.Params(map[string]any{"norm": "l2", "average": true})
	return mapped{
		loss: losses.TotalVariation, params: p, in: in,
		rounding: 16 * ulp * weight * largest(in["image"].Data),
		outputs:  map[string]losses.Reduction{"loss": losses.Mean},
		scale:    map[string]float64{"loss": 2 * weight},
		undo:     func(a losses.Array) losses.Array { return losses.Array{Shape: whole, Data: a.Data} },
	}, err
}

// evaluation calls several losses and keeps the first error.
type evaluation struct{ err error }

func (e *evaluation) params(l *losses.Loss, settings map[string]any) losses.Params {
	p, err := l.Params(settings)
	e.keep(err)
	return p
}

func (e *evaluation) keep(err error) {
	if e.err == nil {
		e.err = err
	}
}

func (e *evaluation) value(l *losses.Loss, settings map[string]any, in losses.Values, r losses.Reduction) losses.Array {
	a, err := l.Evaluate(in, e.params(l, settings), r)
	e.keep(err)
	return a
}

func (e *evaluation) gradient(l *losses.Loss, settings map[string]any, in losses.Values, r losses.Reduction, upstream *losses.Array) losses.Values {
	g, err := l.EvaluateGradient(in, e.params(l, settings), r, upstream)
	e.keep(err)
	return g
}
