package interp

import (
	"fmt"
	"math"
	"slices"

	"github.com/onnxloss/onnxloss/runtime/engine"
)

// resize is Resize, or Upsample, with its attributes.
type resize struct {
	mode, coordinates, nearest, policy string
	cubic, extrapolation               float64
	excludeOutside, antialias          bool
	axes                               []int
}

// tap is how much an input element counts for an output element.
type tap struct {
	at     int
	weight float64
}

// upsample builds Upsample, whose scales are an attribute before opset 9, and
// Resize at opset 10, which is the same.
func upsample(a *attributes) kernel {
	r := resize{mode: a.text("mode", "nearest", "nearest", "linear"), coordinates: "asymmetric", nearest: "floor"}
	attribute := a.floats("scales")
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		scales := attribute
		if len(in) > 1 {
			scales = engine.Data[float32](in[1])
		}
		return one(r.run(in[0], engine.Tensor{}, scales, nil))
	}
}

func resizeOp(a *attributes) kernel {
	r := resize{
		mode: a.text("mode", "nearest", "nearest", "linear", "cubic"),
		coordinates: a.text("coordinate_transformation_mode", "half_pixel", "half_pixel", "half_pixel_symmetric",
			"pytorch_half_pixel", "align_corners", "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"),
		nearest:        a.text("nearest_mode", "round_prefer_floor", "round_prefer_floor", "round_prefer_ceil", "floor", "ceil"),
		cubic:          a.float("cubic_coeff_a", -0.75),
		excludeOutside: a.flag("exclude_outside", false),
		extrapolation:  a.float("extrapolation_value", 0),
	}
	if a.opset >= 18 {
		r.antialias = a.flag("antialias", false)
		r.axes = a.integers("axes")
		r.policy = a.text("keep_aspect_ratio_policy", "stretch", "stretch", "not_larger", "not_smaller")
	}
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		scales, sizes := engine.Data[float32](in[2]), engine.Data[int64](in[3])
		if (len(scales) > 0) == (len(sizes) > 0) {
			return nil, fmt.Errorf("exactly one of scales and sizes must be given")
		}
		return one(r.run(in[0], in[1], scales, toInts(sizes)))
	}
}

func (r resize) run(x, roi engine.Tensor, scales []float32, sizes []int) (engine.Tensor, error) {
	axes, err := r.resized(len(x.Shape()))
	if err != nil {
		return engine.Tensor{}, err
	}
	if len(scales)+len(sizes) != len(axes) {
		return engine.Tensor{}, fmt.Errorf("got %d scales and %d sizes for %d axes", len(scales), len(sizes), len(axes))
	}
	plan := make([]axisResize, len(axes))
	for i, axis := range axes {
		plan[i] = axisResize{axis: axis, in: x.Shape()[axis], start: 0, end: 1}
		if scales != nil {
			plan[i].scale = float64(scales[i])
		} else {
			plan[i].out, plan[i].sized = sizes[i], true
		}
	}
	if err := r.region(plan, roi); err != nil {
		return engine.Tensor{}, err
	}
	if err := r.measure(plan); err != nil {
		return engine.Tensor{}, err
	}
	shape := slices.Clone(x.Shape())
	for _, p := range plan {
		shape[p.axis] = p.out
		if _, err := room(shape, 8); err != nil {
			return engine.Tensor{}, err
		}
	}
	if x.Len() == 0 {
		return engine.Zeros(x.DType(), shape)
	}
	return r.interpolate(x, plan, shape)
}

// resized lists the axes that scales and sizes are for.
func (r resize) resized(rank int) ([]int, error) {
	if r.axes != nil {
		return axesOf(r.axes, rank)
	}
	axes := make([]int, rank)
	for axis := range axes {
		axes[axis] = axis
	}
	return axes, nil
}

// axisResize is what happens along one axis.
type axisResize struct {
	axis, in, out int
	sized         bool    // whether out was given, not scale
	scale         float64 // as given or as worked out from the sizes
	start, end    float64 // the region of interest, as parts of the input
}

// region reads the part of the input that tf_crop_and_resize takes.
func (r resize) region(plan []axisResize, roi engine.Tensor) error {
	if r.coordinates != "tf_crop_and_resize" {
		return nil
	}
	list := roi.Float64s()
	if len(list) != 2*len(plan) {
		return fmt.Errorf("roi is %s, want %d numbers", roi, 2*len(plan))
	}
	for i := range plan {
		plan[i].start, plan[i].end = list[i], list[len(plan)+i]
	}
	return nil
}

// measure works out sizes from scales, or the other way around.
func (r resize) measure(plan []axisResize) error {
	ratio := 0.0
	for i := range plan {
		p := &plan[i]
		if p.sized {
			p.scale = float64(p.out) / float64(p.in)
		} else {
			p.out = int(math.Min(math.Floor(float64(p.in)*(p.end-p.start)*p.scale), math.MaxInt32))
		}
		if !(p.scale > 0) || math.IsInf(p.scale, 0) || p.out < 0 || p.in == 0 && p.sized {
			return fmt.Errorf("axis %d cannot go from %d to %d elements with scale %v", p.axis, p.in, p.out, p.scale)
		}
		if ratio == 0 || (p.scale < ratio) == (r.policy == "not_larger") {
			ratio = p.scale
		}
	}
	if r.policy == "" || r.policy == "stretch" || len(plan) == 0 || !plan[0].sized {
		return nil
	}
	for i := range plan {
		plan[i].scale = ratio
		plan[i].out = int(math.Round(math.Min(float64(plan[i].in)*ratio, math.MaxInt32)))
	}
	return nil
}

// interpolate goes over the axes one by one: every way of interpolating is a
// product of ways along each axis.
func (r resize) interpolate(x engine.Tensor, plan []axisResize, shape []int) (engine.Tensor, error) {
	var outside []func(at int) bool
	strides := stridesOf(shape)
	for _, p := range plan {
		taps := make([][]tap, p.out)
		beyond := make([]bool, p.out)
		for i := range taps {
			position := r.position(p, float64(i))
			beyond[i] = r.coordinates == "tf_crop_and_resize" && (position < 0 || position > float64(p.in-1))
			taps[i] = r.taps(p, position)
		}
		if slices.Contains(beyond, true) {
			outside = append(outside, func(at int) bool { return beyond[at/strides[p.axis]%p.out] })
		}
		if p.scale == 1 && p.in == p.out && r.coordinates != "tf_crop_and_resize" {
			continue
		}
		step := slices.Clone(x.Shape())
		step[p.axis] = p.out
		var err error
		if x, err = numbersOf(x).resample(x.Shape(), step, p.axis, taps); err != nil {
			return engine.Tensor{}, err
		}
	}
	if outside == nil {
		return x, nil
	}
	return numbersOf(x).fillWhere(shape, r.extrapolation, func(at int) bool {
		return slices.ContainsFunc(outside, func(f func(int) bool) bool { return f(at) })
	})
}

// position maps an output coordinate to one of the input.
func (r resize) position(p axisResize, x float64) float64 {
	in, out := float64(p.in), float64(p.out)
	switch r.coordinates {
	case "asymmetric":
		return x / p.scale
	case "align_corners":
		// The standard's corners are those of in*scale elements, which need not be
		// a whole number.
		if p.out == 1 || in*p.scale == 1 {
			return 0
		}
		return x * (in - 1) / (in*p.scale - 1)
	case "pytorch_half_pixel":
		if p.out == 1 {
			return 0
		}
	case "tf_half_pixel_for_nn":
		return (x + 0.5) / p.scale
	case "half_pixel_symmetric":
		// The output may be shorter than in*scale; its centre stays where it was.
		adjust := out / (in * p.scale)
		return in/2*(1-adjust) + (x+0.5)/p.scale - 0.5
	case "tf_crop_and_resize":
		if p.out == 1 {
			return 0.5 * (p.start + p.end) * (in - 1)
		}
		return p.start*(in-1) + x*(p.end-p.start)*(in-1)/(out-1)
	}
	return (x+0.5)/p.scale - 0.5
}

// taps lists the input elements that make the value at a position.
func (r resize) taps(p axisResize, position float64) []tap {
	if r.mode == "nearest" {
		return []tap{{bound(int(r.round(position)), p.in-1), 1}}
	}
	radius, weigh := 1.0, func(d float64) float64 { return math.Max(0, 1-math.Abs(d)) }
	if r.mode == "cubic" {
		radius, weigh = 2, r.cubicWeight
	}
	stretch := 1.0
	if r.antialias && p.scale < 1 {
		stretch = 1 / p.scale // the filter covers all elements that come together
	}
	// Positions far outside of the input give the same as those just outside.
	position = math.Max(math.Min(position, float64(p.in)+2*radius), -2*radius)
	radius = math.Min(radius*stretch, float64(p.in)+4)
	var taps []tap
	total := 0.0
	for at := int(math.Floor(position-radius)) + 1; float64(at) < position+radius; at++ {
		weight := weigh((float64(at) - position) / stretch)
		inside := at >= 0 && at < p.in
		if weight == 0 || r.excludeOutside && !inside {
			continue
		}
		taps = append(taps, tap{min(max(at, 0), p.in-1), weight})
		total += weight
	}
	for i := range taps {
		taps[i].weight /= total
	}
	return taps
}

func (r resize) round(x float64) float64 {
	switch r.nearest {
	case "floor":
		return math.Floor(x)
	case "ceil":
		return math.Ceil(x)
	case "round_prefer_ceil":
		return math.Floor(x + 0.5)
	}
	return math.Ceil(x - 0.5)
}

// cubicWeight is Keys' cubic convolution with coefficient a.
func (r resize) cubicWeight(d float64) float64 {
	a, d := r.cubic, math.Abs(d)
	switch {
	case d <= 1:
		return ((a+2)*d-(a+3))*d*d + 1
	case d < 2:
		return ((a*d-5*a)*d+8*a)*d - 4*a
	}
	return 0
}

func (v vector[T, A]) resample(from, to []int, axis int, taps [][]tap) (engine.Tensor, error) {
	out, err := allocate[T](to)
	if err != nil {
		return engine.Tensor{}, err
	}
	inner := product(from[axis+1:])
	for row := range product(to[:axis+1]) {
		source := v[row/to[axis]*from[axis]*inner:][:from[axis]*inner]
		target := out[row*inner:][:inner]
		list := taps[row%to[axis]]
		for i := range target {
			if len(list) == 1 {
				target[i] = source[list[0].at*inner+i] // exact, for integers too
				continue
			}
			total := 0.0
			for _, t := range list {
				total += t.weight * float64(source[t.at*inner+i])
			}
			target[i] = T(total)
		}
	}
	return engine.New(to, out)
}

func (v vector[T, A]) fillWhere(shape []int, value float64, where func(at int) bool) (engine.Tensor, error) {
	out := slices.Clone(v)
	for i := range out {
		if where(i) {
			out[i] = T(value)
		}
	}
	return engine.New(shape, []T(out))
}
