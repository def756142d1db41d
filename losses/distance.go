package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// spacingInput is how far apart the elements of an image are.
func spacingInput(when func(Params) bool) Input {
	return Input{
		Name: "spacing", Role: Auxiliary, Domain: Positive, Shape: "N," + SpatialAxes, Broadcast: true, Optional: true, When: when,
		Doc: "how far apart neighbours are, a number for each spatial axis (of which there are rank - 2), for all samples or for each; left out, 1. A graph does not check it: a sign is lost, and along an axis with 0 nothing is far",
	}
}

// maskInput is a mask for each class of each image.
func maskInput(doc string) Input {
	return Input{Name: "mask", Role: Prediction, Domain: Mask, Shape: "N,C,D,...", Doc: doc}
}

// distances is the distance transform of each of the N·C images of a tensor
// [N, C, D, ...].
type distances struct {
	dims    []int       // of one image
	size    int         // the number of its elements
	count   int         // C
	spacing [][]float64 // for each sample, a number an axis
}

func distancesOf(in Values, shape []int) distances {
	d := distances{dims: shape[2:], size: 1, count: shape[1]}
	for _, n := range d.dims {
		d.size *= n
	}
	all := optional(in, "spacing", []int{shape[0], len(d.dims)})
	for at := 0; at < len(all.Data); at += len(d.dims) {
		d.spacing = append(d.spacing, all.Data[at:at+len(d.dims)])
	}
	return d
}

// to gives for each element how far it is from the nearest one of its image that
// the mask has at the value to; 0 in an image that has none.
func (d distances) to(value float64, mask Array) Array {
	result := Zeros(mask.Shape)
	if d.size == 0 {
		return result
	}
	for at := 0; at < len(mask.Data); at += d.size {
		spacing := d.spacing[at/d.size/d.count]
		for i, squared := range d.squared(value, mask.Data[at:at+d.size], spacing) {
			if !math.IsInf(squared, 1) {
				result.Data[at+i] = math.Sqrt(squared)
			}
		}
	}
	return result
}

// squared gives the squared distances of one image, infinite where there is nothing
// to be near to: the smallest along the last axis, of these the smallest along the
// one before, and so on.
func (d distances) squared(value float64, image, spacing []float64) []float64 {
	squared := make([]float64, d.size)
	for i, m := range image {
		if m != value {
			squared[i] = math.Inf(1)
		}
	}
	stride := 1
	for axis := len(d.dims) - 1; axis >= 0; axis-- {
		n := d.dims[axis]
		line := make([]float64, n)
		for first := range squared {
			if first/stride%n != 0 {
				continue
			}
			for i := range line {
				line[i] = squared[first+i*stride]
			}
			for i, x := range lowestParabolas(line, spacing[axis]) {
				squared[first+i*stride] = x
			}
		}
		stride *= n
	}
	return squared
}

// lowestParabolas gives min_j f_j + (spacing (i - j))² for every i, as Felzenszwalb
// and Huttenlocher do: the parabolas that are lowest somewhere are kept with the
// places from which on they are, then read off from left to right.
func lowestParabolas(f []float64, spacing float64) []float64 {
	var lowest []int
	var from []float64
	for j, height := range f {
		if math.IsInf(height, 1) {
			continue
		}
		start := math.Inf(-1)
		for k := len(lowest) - 1; k >= 0; k-- {
			other := lowest[k]
			middle, apart := spacing*float64(j+other)/2, spacing*float64(j-other)
			start = middle + (height-f[other])/(2*apart)
			if start > from[k] {
				break
			}
			lowest, from = lowest[:k], from[:k]
			start = math.Inf(-1)
		}
		lowest, from = append(lowest, j), append(from, start)
	}
	result := make([]float64, len(f))
	k := 0
	for i := range result {
		if len(lowest) == 0 {
			result[i] = math.Inf(1)
			continue
		}
		for k+1 < len(lowest) && from[k+1] < spacing*float64(i) {
			k++
		}
		away := spacing * float64(i-lowest[k])
		result[i] = f[lowest[k]] + away*away
	}
	return result
}

// distanceError is the relative error of a distance in a graph: its square is a sum
// of products, each rounded, and the spacings are rounded when they are squared. The
// root halves that and is rounded itself.
func distanceError(axes int, eps float64) float64 {
	return eps * (0.5 + float64(axes+1)/4)
}

const distanceAccuracy = "eps (1/2 + (axes + 1)/4) relative: the square of a distance is a sum of products of positive numbers, so that nothing cancels. Without a spacing it is a whole number, exact in float32 up to 2^24, which is a distance of 4096, and half a ULP from the root is all that is left"

// far stands for an infinite squared distance where a graph must not compute with
// infinity; half of it is more than any squared distance.
const far = 1e30

// mostElements is how large a tensor that a distance transform makes on the way may
// be: 1 GiB of float32.
const mostElements = 1 << 28

// buildSpreads makes, for each spatial axis of a tensor [N, C, D, ...], the squared
// distances of any two places on it, shaped to broadcast against the tensor with an
// axis more. It fails where the number of axes is not known, or where memory would
// not do.
func buildSpreads(b *ops.Builder, operator string, like, spacing ops.Value) []ops.Value {
	shape := like.Shape()
	if !shape.Known() {
		b.Fail("%s needs to know how many axes its input has; give it a shape, as in N,C,H,W", operator)
		return nil
	}
	checkMemory(b, operator, shape)
	axes := len(shape) - 2
	squares := buildSquaredSpacing(b, spacing, axes)
	spreads := make([]ops.Value, axes)
	for i := range spreads {
		rank := len(shape) - 1 - i // of an axis twice, and the axes after it
		size := b.Squeeze(b.Slice(b.ShapeOf(like), 0, 2+i, 3+i), 0)
		place := b.Cast(b.Range(size), like.DType())
		apart := b.Sub(lying(b, place, 0, rank), lying(b, place, 1, rank))
		spreads[i] = b.Mul(apart, apart)
		if squares.Present() {
			ofSample := b.Slice(squares, 1, i, i+1)
			spreads[i] = b.Mul(spreads[i], lying(b, ofSample, 0, len(shape)+1))
		}
		spreads[i] = b.Label(spreads[i], "squared_spread")
	}
	return spreads
}

// buildSquaredSpacing is a row of squares, or one for each sample, or nothing where there is no spacing.
func buildSquaredSpacing(b *ops.Builder, spacing ops.Value, axes int) ops.Value {
	if !spacing.Present() {
		return ops.Value{}
	}
	ones := b.Constant(spacing.DType(), []int{axes}, Filled([]int{axes}, 1).Data)
	rows := b.Reshape(b.Mul(spacing, ones), b.Int64s(-1, axes), ops.Shape{ops.Dim{}, ops.Fixed(axes)})
	return b.Label(b.Mul(rows, rows), "squared_spacing")
}

// lying gives the elements of x as one axis of a tensor whose others are of size 1.
func lying(b *ops.Builder, x ops.Value, axis, rank int) ops.Value {
	dims, known := make([]int, rank), make(ops.Shape, rank)
	for i := range dims {
		dims[i], known[i] = 1, ops.Fixed(1)
	}
	dims[axis], known[axis] = -1, ops.Dim{}
	return b.Reshape(x, b.Int64s(dims...), known)
}

func checkMemory(b *ops.Builder, operator string, shape ops.Shape) {
	elements, longest := 1, 1
	for i, d := range shape {
		n, fixed := d.Size()
		if !fixed {
			continue
		}
		elements = min(elements, mostElements) * n
		if i >= 2 {
			longest = max(longest, n)
		}
	}
	if elements > mostElements/longest {
		b.Fail("%s of shape %s would make a tensor %d times as large, more than 2^28 elements; compute the distances outside of the graph, on smaller images, or by a kernel of your own for the custom operator ai.onnxloss.%s", operator, shape, longest, operator)
	}
}

// buildSquaredDistances is the squared distance of each element to the nearest one
// at which start is 0, where the others are far: the smallest along one axis, of
// these the smallest along the next, and so on.
func buildSquaredDistances(b *ops.Builder, start ops.Value, spreads []ops.Value) ops.Value {
	squared := start
	for i, spread := range spreads {
		axis := 2 + i
		along := b.Add(b.Unsqueeze(squared, axis), spread)
		squared = b.Label(b.Assume(b.ReduceMin(along, false, axis+1), start.Shape()), "squared_distance")
	}
	return squared
}

// buildFound is what a map has where a squared distance is one, else 0.
func buildFound(b *ops.Builder, squared, value ops.Value) ops.Value {
	return b.Where(b.Less(squared, b.Scalar(squared, far/2)), value, b.Scalar(value, 0))
}

// noGradient is the Gradient of a map that is flat wherever it has a slope.
func noGradient(Values, Params, Array) (Values, error) { return Values{}, nil }
