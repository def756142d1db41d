package interp

import (
	"fmt"
	"math"
	"slices"

	"github.com/onnxloss/onnxloss/runtime/engine"
)

// normalization brings the elements of every lane to mean 0 and variance 1, or
// without centring to mean square 1.
type normalization struct {
	axes     []int
	epsilon  float64
	centered bool
}

// apply normalises t, seen under a shape, and then scales and shifts it by tensors
// that stretch to that shape. It also gives mean and inverse deviation by lane.
func (n normalization) apply(t engine.Tensor, view []int, scale, shift engine.Tensor) (y, mean, inverse engine.Tensor, err error) {
	for i, by := range []engine.Tensor{scale, shift} {
		stretched, err := broadcastShape(view, by.Shape())
		if err != nil || !slices.Equal(stretched, view) {
			return y, mean, inverse, fmt.Errorf("input %d is %s, which does not stretch to %v", i+1, by, view)
		}
	}
	return floatsOf(t).normalize(n, t.Shape(), view, scale, shift)
}

func (r real[T]) normalize(n normalization, shape, view []int, scale, shift engine.Tensor) (y, mean, inverse engine.Tensor, err error) {
	out := make([]T, len(r.data))
	stats := reducedShape(view, n.axes, true)
	count, err := room(stats, 8)
	if err != nil {
		return y, mean, inverse, err
	}
	means, inverses := make([]T, count), make([]T, count)
	if len(out) > 0 {
		bases, lane := lanes(view, n.axes)
		times := offsets(view, broadcastStrides(scale.Shape(), view))
		plus := offsets(view, broadcastStrides(shift.Shape(), view))
		scales, shifts := engine.Data[T](scale), engine.Data[T](shift)
		eachLane(r.data, bases, lane, func(i int, list []T) {
			mean, inv := n.moments(widened64(list))
			means[i], inverses[i] = T(mean), T(inv)
			for j, x := range list {
				at := bases[i] + lane[j]
				z := (float64(x) - mean) * inv
				if scales != nil {
					z *= float64(scales[times[at]])
				}
				if shifts != nil {
					z += float64(shifts[plus[at]])
				}
				out[at] = T(z)
			}
		})
	}
	if y, err = engine.New(shape, out); err != nil {
		return y, mean, inverse, err
	}
	if mean, err = engine.New(stats, means); err != nil {
		return y, mean, inverse, err
	}
	inverse, err = engine.New(stats, inverses)
	return y, mean, inverse, err
}

func widened64[T float](list []T) []float64 {
	return convert(list, func(x T) float64 { return float64(x) })
}

// moments gives the mean to take away and the factor to multiply with.
func (n normalization) moments(list []float64) (mean, inverse float64) {
	count := float64(len(list))
	if n.centered {
		mean = sum[float64, float64](list) / count
	}
	variance := 0.0
	for _, x := range list {
		variance += (x - mean) * (x - mean) / count
	}
	return mean, 1 / math.Sqrt(variance+n.epsilon)
}

// layerNormalization is LayerNormalization, or RMSNormalization if not centered.
func layerNormalization(centered bool) func(*attributes) kernel {
	return func(a *attributes) kernel {
		axis, epsilon := a.integer("axis", -1), a.float("epsilon", 1e-5)
		if a.integer("stash_type", 1) != 1 {
			a.fail("stash_type must be 1, for float32")
		}
		return func(in []engine.Tensor) ([]engine.Tensor, error) {
			shape := in[0].Shape()
			first, err := axisOf(axis, len(shape))
			if err != nil {
				return nil, err
			}
			n := normalization{epsilon: epsilon, centered: centered}
			for i := first; i < len(shape); i++ {
				n.axes = append(n.axes, i)
			}
			shift := engine.Tensor{}
			if len(in) > 2 {
				shift = in[2]
			}
			y, mean, inverse, err := n.apply(in[0], shape, in[1], shift)
			return []engine.Tensor{y, mean, inverse}, err
		}
	}
}

// groupNormalization normalises groups of channels; as many groups as channels
// make it InstanceNormalization.
func groupNormalization(instance bool) func(*attributes) kernel {
	return func(a *attributes) kernel {
		epsilon, groups := a.float("epsilon", 1e-5), 0
		if !instance {
			a.require("num_groups")
			groups = a.integer("num_groups", 1)
			if a.integer("stash_type", 1) != 1 || groups < 1 {
				a.fail("num_groups is %d, want at least 1, and stash_type must be 1", groups)
			}
		}
		return func(in []engine.Tensor) ([]engine.Tensor, error) {
			shape, g := in[0].Shape(), groups
			if len(shape) < 2 {
				return nil, fmt.Errorf("input is %s, want [N, C, ...]", in[0])
			}
			channels := shape[1]
			if instance {
				g = max(channels, 1)
			}
			if channels%g != 0 || in[1].Len() != channels || in[2].Len() != channels {
				return nil, fmt.Errorf("input is %s with scale %s and bias %s, in %d groups", in[0], in[1], in[2], g)
			}
			if in[0].Len() == 0 {
				return in[:1], nil
			}
			view := []int{shape[0], g, channels / g, product(shape[2:])}
			perChannel := []int{g, channels / g, 1}
			scale, err := in[1].Reshape(perChannel)
			if err != nil {
				return nil, err
			}
			shift, err := in[2].Reshape(perChannel)
			if err != nil {
				return nil, err
			}
			n := normalization{axes: []int{2, 3}, epsilon: epsilon, centered: true}
			y, _, _, err := n.apply(in[0], view, scale, shift)
			return one(y, err)
		}
	}
}

// batchNormalization uses the statistics that are given, outside of training.
func batchNormalization(a *attributes) kernel {
	epsilon := a.float("epsilon", 1e-5)
	a.float("momentum", 0.9) // only moves the statistics, in training
	if !a.flag("spatial", true) {
		a.fail("spatial must be 1: %w", engine.ErrUnsupported)
	}
	if a.flag("training_mode", false) || a.outputs > 1 {
		a.fail("training: %w", engine.ErrUnsupported)
	}
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		shape := in[0].Shape()
		if len(shape) < 2 {
			return nil, fmt.Errorf("input is %s, want [N, C, ...]", in[0])
		}
		var parameters [4][]float64
		for i, t := range in[1:5] {
			if !slices.Equal(t.Shape(), shape[1:2]) {
				return nil, fmt.Errorf("input %d is %s, want [%d], one for each channel of %s", i+1, t, shape[1], in[0])
			}
			parameters[i] = t.Float64s()
		}
		factor, shift := make([]float64, shape[1]), make([]float64, shape[1])
		for c := range factor {
			factor[c] = parameters[0][c] / math.Sqrt(parameters[3][c]+epsilon)
			shift[c] = parameters[1][c] - parameters[2][c]*factor[c]
		}
		return one(floatsOf(in[0]).scaleChannels(shape, factor, shift))
	}
}

func (r real[T]) scaleChannels(shape []int, factor, shift []float64) (engine.Tensor, error) {
	out := make([]T, len(r.data))
	size := product(shape[2:])
	for at := 0; at < len(out); at += size {
		channel := at / size % shape[1]
		f, s := factor[channel], shift[channel]
		for i, x := range r.data[at : at+size] {
			out[at+i] = T(float64(x)*f + s)
		}
	}
	return engine.New(shape, out)
}

// lrn is local response normalisation: over neighbouring channels.
type lrn struct {
	alpha, beta, bias float64
	before, after     int // neighbours
}

func localResponse(a *attributes) kernel {
	a.require("size")
	size := a.integer("size", 1)
	if size < 1 {
		a.fail("size is %d, want at least 1", size)
		return nil
	}
	n := lrn{
		alpha: a.float("alpha", 0.0001) / float64(size), beta: a.float("beta", 0.75), bias: a.float("bias", 1),
		before: (size - 1) / 2, after: size / 2,
	}
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		if len(in[0].Shape()) < 2 {
			return nil, fmt.Errorf("input is %s, want [N, C, ...]", in[0])
		}
		return one(floatsOf(in[0]).localResponse(n, in[0].Shape()))
	}
}

func (r real[T]) localResponse(n lrn, shape []int) (engine.Tensor, error) {
	out := make([]T, len(r.data))
	if len(out) == 0 {
		return engine.New(shape, out)
	}
	bases, lane := lanes(shape, []int{1})
	eachLane(r.data, bases, lane, func(i int, list []T) {
		for c, x := range list {
			near := list[max(c-n.before, 0) : min(n.after, len(list)-1-c)+c+1]
			power := sumSquare[T, float64](near)
			out[bases[i]+lane[c]] = T(float64(x) / math.Pow(n.bias+n.alpha*power, n.beta))
		}
	})
	return engine.New(shape, out)
}

// lpNormalization divides by the 1-norm or 2-norm along an axis.
func lpNormalization(a *attributes) kernel {
	axis, p := a.integer("axis", -1), a.integer("p", 2)
	if p != 1 && p != 2 {
		a.fail("p is %d, want 1 or 2", p)
	}
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		axis, err := axisOf(axis, len(in[0].Shape()))
		if err != nil {
			return nil, err
		}
		return one(floatsOf(in[0]).lpNormalize(in[0].Shape(), axis, p))
	}
}

func (r real[T]) lpNormalize(shape []int, axis, p int) (engine.Tensor, error) {
	out := make([]T, len(r.data))
	if len(out) == 0 {
		return engine.New(shape, out)
	}
	bases, lane := lanes(shape, []int{axis})
	eachLane(r.data, bases, lane, func(i int, list []T) {
		norm := math.Sqrt(sumSquare[T, float64](list))
		if p == 1 {
			norm = fold(list, 0.0, func(total float64, x T) float64 { return total + math.Abs(float64(x)) })
		}
		for j, x := range list {
			out[bases[i]+lane[j]] = T(float64(x) / norm)
		}
	})
	return engine.New(shape, out)
}
