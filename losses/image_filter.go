package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// The derivative of a Gaussian that the matting benchmark's gradient error uses.
const (
	gaussianSigma  = 1.4
	gaussianRadius = 4
)

// imageInputs lists two images that are compared.
func imageInputs(more ...Input) []Input {
	return append([]Input{
		{Name: "prediction", Role: Prediction, Domain: Real, Shape: "N,C,H,W", Doc: "the predicted image or matte"},
		{Name: "target", Role: Target, Domain: Real, Shape: "N,C,H,W", Doc: "the true image or matte"},
	}, more...)
}

func pixelWeight() Input {
	return Input{
		Name: "weight", Role: Weight, Domain: NonNegative, Shape: "N,C,H,W", Broadcast: true, Optional: true,
		Doc: "a factor for each pixel's terms, such as a mask of the unknown region; broadcasts; a mean divides by its sum",
	}
}

// filterParams lists what all losses on image gradients have.
func filterParams(more ...Param) []Param {
	return append([]Param{
		{Name: "operator", Kind: String, Default: "sobel", Values: []string{"sobel", "central", "gaussian"}, Try: []any{"central", "gaussian"}, Doc: "sobel: 3x3, smoothed across by 1,2,1; central: the two neighbours' difference; gaussian: 9x9 derivative of a Gaussian with σ = 1.4, as the matting benchmark's gradient error"},
		{Name: "normalized", Kind: Bool, Default: true, Try: []any{false}, Doc: "a slope of 1 a pixel has gradient 1; else the bare kernel: sobel is 8 times that, central 2 times, gaussian has a kernel of Euclidean norm 1"},
		{Name: "padding", Kind: String, Default: "replicate", Values: []string{"replicate", "zero"}, Try: []any{"zero"}, Doc: "what is beyond the border: the nearest pixel, or 0, which makes an edge there of whatever is not 0"},
	}, more...)
}

func normParam() Param {
	return Param{Name: "norm", Kind: String, Default: "l1", Values: []string{"l1", "l2"}, Try: []any{"l2"}, Doc: "l1: the absolute difference; l2: its square"}
}

// filter is an antisymmetric correlation for the gradient along x: Σ weight (pixel
// at +dx - pixel at -dx), over rows at dy. The one along y is its transpose.
type filter struct {
	taps []tap
	zero bool // padding
}

type tap struct {
	across, along int // along > 0
	weight        float64
}

// filterOf makes the filter that the parameters ask for.
func filterOf(p Params) filter {
	var f filter
	switch p.String("operator") {
	case "sobel":
		f.taps = sobelTaps()
	case "central":
		f.taps = []tap{{0, 1, 1}}
	case "gaussian":
		f.taps = gaussianTaps()
	}
	f.zero = p.String("padding") == "zero"
	ramp, square := 0.0, 0.0
	for _, t := range f.taps {
		ramp += t.weight * float64(2*t.along)
		square += 2 * t.weight * t.weight
	}
	switch {
	case p.Bool("normalized"):
		f.scale(1 / ramp)
	case p.String("operator") == "gaussian":
		f.scale(1 / math.Sqrt(square))
	}
	return f
}

func (f filter) scale(factor float64) {
	for i := range f.taps {
		f.taps[i].weight *= factor
	}
}

func sobelTaps() []tap { return []tap{{-1, 1, 1}, {0, 1, 2}, {1, 1, 1}} }

func gaussianTaps() []tap {
	var taps []tap
	for across := -gaussianRadius; across <= gaussianRadius; across++ {
		for along := 1; along <= gaussianRadius; along++ {
			square := float64(across*across + along*along)
			taps = append(taps, tap{across, along, float64(along) * math.Exp(-square/(2*gaussianSigma*gaussianSigma))})
		}
	}
	return taps
}

// grid is how the planes of a tensor [..., H, W] are walked.
type grid struct{ planes, rows, columns int }

func gridOf(a Array) grid {
	g := grid{planes: 1, rows: a.Shape[len(a.Shape)-2], columns: a.Shape[len(a.Shape)-1]}
	for _, d := range a.Shape[:len(a.Shape)-2] {
		g.planes *= d
	}
	return g
}

// each calls visit for every pixel.
func (g grid) each(visit func(plane, row, column, index int)) {
	index := 0
	for plane := range g.planes {
		for row := range g.rows {
			for column := range g.columns {
				visit(plane, row, column, index)
				index++
			}
		}
	}
}

// at is the index of a pixel, of the nearest one where that is beyond the border,
// or -1 there with zero padding.
func (g grid) at(plane, row, column int, zero bool) int {
	inside := row >= 0 && row < g.rows && column >= 0 && column < g.columns
	if zero && !inside {
		return -1
	}
	row, column = min(max(row, 0), g.rows-1), min(max(column, 0), g.columns-1)
	return (plane*g.rows+row)*g.columns + column
}

// pairs calls visit for every pair of pixels that a pixel's gradient is made of,
// along x (direction 0) and y (1); an index of -1 is a pixel that is 0.
func (f filter) pairs(g grid, visit func(direction, index, ahead, behind int, weight float64)) {
	g.each(func(plane, row, column, index int) {
		for _, t := range f.taps {
			visit(0, index, g.at(plane, row+t.across, column+t.along, f.zero), g.at(plane, row+t.across, column-t.along, f.zero), t.weight)
			visit(1, index, g.at(plane, row+t.along, column+t.across, f.zero), g.at(plane, row-t.along, column+t.across, f.zero), t.weight)
		}
	})
}

func pixelAt(a Array, index int) float64 {
	if index < 0 {
		return 0
	}
	return a.Data[index]
}

// zeroPair is zeros along x and along y.
func zeroPair(shape []int) [2]Array { return [2]Array{Zeros(shape), Zeros(shape)} }

// apply computes the gradients along x and y, each of the image's shape.
func (f filter) apply(image Array) [2]Array {
	gradients := zeroPair(image.Shape)
	f.pairs(gridOf(image), func(direction, index, ahead, behind int, weight float64) {
		gradients[direction].Data[index] += weight * (pixelAt(image, ahead) - pixelAt(image, behind))
	})
	return gradients
}

// transpose computes the derivative by the image of Σ upstream · gradient.
func (f filter) transpose(upstream [2]Array) Array {
	image := Zeros(upstream[0].Shape)
	f.pairs(gridOf(image), func(direction, index, ahead, behind int, weight float64) {
		share := weight * upstream[direction].Data[index]
		if ahead >= 0 {
			image.Data[ahead] += share
		}
		if behind >= 0 {
			image.Data[behind] -= share
		}
	})
	return image
}

// rounding bounds the error of the gradients of an image, which differences of
// pixels add up to.
func (f filter) rounding(image Array, eps float64) [2]Array {
	return f.magnitudes(image, eps, func(ahead, behind float64) float64 { return math.Abs(ahead - behind) })
}

// inexact bounds the error of the gradients of an image that has been rounded.
func (f filter) inexact(image Array, eps float64) [2]Array {
	return f.magnitudes(image, eps, func(ahead, behind float64) float64 { return math.Abs(ahead) + math.Abs(behind) })
}

// magnitudes adds up the sizes of all that is added, times the roundings that each
// goes through, of eps/2: of a pixel, of the difference, and for sobel of 2 sums.
// For gaussian both directions have weights, which are rounded, and longer sums.
func (f filter) magnitudes(image Array, eps float64, size func(ahead, behind float64) float64) [2]Array {
	relative := 4 * eps / 2
	if len(f.taps) > len(sobelTaps()) {
		relative = 16 * eps / 2
	}
	bounds := zeroPair(image.Shape)
	f.pairs(gridOf(image), func(direction, index, ahead, behind int, weight float64) {
		bounds[direction].Data[index] += relative * math.Abs(weight) * size(pixelAt(image, ahead), pixelAt(image, behind))
	})
	return bounds
}

// separable is the lowering's form of a filter: Σ difference_k (x(+k) - x(-k)) in
// one direction, k from 1, then Σ smoothing_k (x(+k) + x(-k)) in the other, k from
// 0, where x counts once. Convolution operators would be shorter, but engines lack
// them for float64.
type separable struct {
	difference, smoothing []float64
	padding               ops.PadMode // "" leaves the border out
}

func separableOf(p Params) separable {
	s := separable{difference: []float64{1}, smoothing: []float64{1}, padding: padModeOf(p)}
	switch p.String("operator") {
	case "sobel":
		s.smoothing = []float64{2, 1}
		if p.Bool("normalized") {
			s.difference[0] = 1.0 / 8
		}
	case "central":
		if p.Bool("normalized") {
			s.difference[0] = 1.0 / 2
		}
	case "gaussian":
		s.difference, s.smoothing = separableGaussian(p.Bool("normalized"))
	}
	return s
}

func padModeOf(p Params) ops.PadMode {
	switch p.String("padding") {
	case "replicate":
		return ops.PadEdge
	case "zero":
		return ops.PadZero
	}
	return ""
}

// separableGaussian has both parts of Euclidean norm 1, or with normalized a
// smoothing of sum 1 and a difference that a slope of 1 makes 1.
func separableGaussian(normalized bool) (difference, smoothing []float64) {
	smoothingSize, differenceSize := -1.0, 0.0 // the middle element, 1, counts once
	for k := range gaussianRadius + 1 {
		bell := math.Exp(-float64(k*k) / (2 * gaussianSigma * gaussianSigma))
		slope := float64(k) * bell
		smoothing = append(smoothing, bell)
		if k > 0 {
			difference = append(difference, slope)
		}
		if normalized {
			smoothingSize += 2 * bell
			differenceSize += 2 * slope * float64(k)
		} else {
			smoothingSize += 2 * bell * bell
			differenceSize += 2 * slope * slope
		}
	}
	if !normalized {
		smoothingSize, differenceSize = math.Sqrt(smoothingSize), math.Sqrt(differenceSize)
	}
	for k := range smoothing {
		smoothing[k] /= smoothingSize
	}
	for k := range difference {
		difference[k] /= differenceSize
	}
	return difference, smoothing
}

// gradient emits the gradients along x and y of an image [N,C,H,W].
func (s separable) gradient(b *ops.Builder, image ops.Value) (x, y ops.Value) {
	radius := len(s.difference)
	padded := image
	if s.padding != "" {
		margin := []int{0, 0, radius, radius}
		padded = b.Label(b.Pad(image, s.padding, margin, margin), "padded")
	}
	x = b.Label(s.along(b, padded, 3, 2), "gradient_x")
	y = b.Label(s.along(b, padded, 2, 3), "gradient_y")
	if s.padding != "" {
		x, y = b.Assume(x, image.Shape()), b.Assume(y, image.Shape())
	}
	return x, y
}

func (s separable) along(b *ops.Builder, padded ops.Value, along, across int) ops.Value {
	radius := len(s.difference)
	var difference ops.Value
	for i, weight := range s.difference {
		k := i + 1
		d := b.Sub(shifted(b, padded, along, radius, k), shifted(b, padded, along, radius, -k))
		difference = plus(b, difference, times(b, d, weight))
	}
	smooth := times(b, shifted(b, difference, across, radius, 0), s.smoothing[0])
	for k, weight := range s.smoothing {
		if k > 0 {
			both := b.Add(shifted(b, difference, across, radius, k), shifted(b, difference, across, radius, -k))
			smooth = plus(b, smooth, times(b, both, weight))
		}
	}
	return smooth
}

// shifted takes the pixels that are k away from those which are at least radius
// away from the border.
func shifted(b *ops.Builder, x ops.Value, axis, radius, k int) ops.Value {
	end := k - radius
	if end == 0 {
		end = math.MaxInt64
	}
	return b.Slice(x, axis, radius+k, end)
}

// difference is a - b of two images of one shape.
func difference(a, b Array) Array {
	d := Zeros(a.Shape)
	for i := range d.Data {
		d.Data[i] = a.Data[i] - b.Data[i]
	}
	return d
}

func negative(a Array) Array {
	n := Zeros(a.Shape)
	for i, x := range a.Data {
		n.Data[i] = -x
	}
	return n
}

// interleave puts [N,C,H,W] along x and y together as [N,C,2,H,W].
func interleave(xy [2]Array) Array {
	shape := xy[0].Shape
	joint := Zeros([]int{shape[0], shape[1], 2, shape[2], shape[3]})
	plane := shape[2] * shape[3]
	for i := range xy[0].Data {
		at := i/plane*2*plane + i%plane
		joint.Data[at], joint.Data[at+plane] = xy[0].Data[i], xy[1].Data[i]
	}
	return joint
}

// separate is the inverse of interleave.
func separate(joint Array) [2]Array {
	shape := []int{joint.Shape[0], joint.Shape[1], joint.Shape[3], joint.Shape[4]}
	xy := zeroPair(shape)
	plane := shape[2] * shape[3]
	for i := range xy[0].Data {
		at := i/plane*2*plane + i%plane
		xy[0].Data[i], xy[1].Data[i] = joint.Data[at], joint.Data[at+plane]
	}
	return xy
}

// buildPair stacks [N,C,H,W] along x and y as [N,C,2,H,W].
func buildPair(b *ops.Builder, x, y ops.Value) ops.Value {
	return b.Concat(2, b.Unsqueeze(x, 2), b.Unsqueeze(y, 2))
}
