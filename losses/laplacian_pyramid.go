package losses

import (
	"math"
	"slices"

	"github.com/onnxloss/onnxloss/ops"
)

// The most levels that may be asked for: those of an image of 4096 pixels.
const maxPyramidLevels = 12

// LaplacianPyramid compares two images scale by scale.
var LaplacianPyramid = &Loss{
	Name:    "LaplacianPyramidLoss",
	Summary: "difference of the Laplacian pyramids of two images: detail on every scale",
	Formula: `x_0 = prediction - target; for l = 0 .. levels-1:
  x_l cropped to even rows and columns
  x_(l+1) = every second pixel of B x_l
  L_l = x_l - 4 B (x_(l+1) with zeros in between)
B = blur by [1 4 6 4 1]/16 in both directions, mirrored at the border pixels
loss = (1/levels) Σ_l 2^l mean|L_l|, or with average=false Σ_l 2^l Σ|L_l|
terms [N]`,
	Meaning: `How far details differ, from single pixels (level 0) to those 2^(levels-1) times as
large, which count more. What is coarser than that is left out, so that a constant added to the
prediction costs nothing: the loss goes with one on the values, such as l1. A level halves the
image; levels that an image is too small for count as 0, which takes 2^levels pixels in each
direction to avoid.`,
	Paper:  "Niklaus and Liu: Context-aware Synthesis for Video Frame Interpolation, CVPR 2018, arXiv:1803.10967; for mattes Hou and Liu: Context-Aware Image Matting, ICCV 2019, arXiv:1909.09725",
	Inputs: imageInputs(),
	Declare: []Param{
		{Name: "levels", Kind: Int, Default: int64(5), Min: 1, Max: maxPyramidLevels, Try: []any{int64(1), int64(2)}, Doc: "how many levels are compared"},
		averageParam(true, "divide each level by its number of pixels, and their sum by levels, as ViTMatte; false: sums, as the papers write it, which grow with the image"),
	},
	Value:    laplacianPyramidValue,
	Gradient: laplacianPyramidGradient,
	Build:    buildLaplacianPyramid,
	Bound:    laplacianPyramidBound,
	Accuracy: "at level l 8 + 4 l ULP of what the blurs add up, prediction - target without signs, and the rounding of the sum over the level's pixels",
	Figure:   blurFigure(over(blurredEdge(32), "levels", 1, 3, 5)),
}

// link says that an element counts into another one with a weight. Links make the
// linear maps along one axis of which a pyramid consists.
type link struct {
	to, from int
	weight   float64
}

var binomial = [5]float64{1.0 / 16, 4.0 / 16, 6.0 / 16, 4.0 / 16, 1.0 / 16}

// mirrored is the index that lies at i when n > 1 elements are mirrored at the
// first and the last one, over and over.
func mirrored(i, n int) int {
	period := 2 * (n - 1)
	i = (i%period + period) % period
	return min(i, period-i)
}

// crop takes as many of n elements as are even in number.
func crop(n int) []link {
	var links []link
	for i := range n - n%2 {
		links = append(links, link{i, i, 1})
	}
	return links
}

// shrink blurs n elements, an even number, and takes every second.
func shrink(n int) []link {
	var links []link
	for i := 0; i < n; i += 2 {
		for k, weight := range binomial {
			links = append(links, link{i / 2, mirrored(i+k-2, n), weight})
		}
	}
	return links
}

// grow puts zeros between the elements that give n, and blurs; the factor of 2
// makes up for the zeros.
func grow(n int) []link {
	var links []link
	for i := range n {
		for k, weight := range binomial {
			if from := mirrored(i+k-2, n); from%2 == 0 {
				links = append(links, link{i, from / 2, 2 * weight})
			}
		}
	}
	return links
}

func reversed(links []link) []link {
	back := slices.Clone(links)
	for i, l := range links {
		back[i].to, back[i].from = l.from, l.to
	}
	return back
}

// resample applies links along an axis, which becomes of that size.
func resample(a Array, axis, size int, links []link) Array {
	inner := 1
	for _, d := range a.Shape[axis+1:] {
		inner *= d
	}
	shape := slices.Clone(a.Shape)
	shape[axis] = size
	result := Zeros(shape)
	if len(result.Data) == 0 || len(a.Data) == 0 {
		return result
	}
	for outer := range len(result.Data) / (size * inner) {
		to, from := result.Data[outer*size*inner:], a.Data[outer*a.Shape[axis]*inner:]
		for _, l := range links {
			for i := range inner {
				to[l.to*inner+i] += l.weight * from[l.from*inner+i]
			}
		}
	}
	return result
}

// scaleStep is one step of a pyramid: from an image of rows by columns, cropped to
// even sizes, to half of that and back.
type scaleStep struct{ rows, columns int }

func stepOf(image Array) scaleStep {
	g := gridOf(image)
	return scaleStep{g.rows - g.rows%2, g.columns - g.columns%2}
}

func (s scaleStep) crop(image Array) Array {
	return resample(resample(image, 2, s.rows, crop(s.rows)), 3, s.columns, crop(s.columns))
}

func (s scaleStep) uncrop(image Array, rows, columns int) Array {
	return resample(resample(image, 2, rows, crop(s.rows)), 3, columns, crop(s.columns))
}

func (s scaleStep) shrink(image Array) Array {
	return resample(resample(image, 2, s.rows/2, shrink(s.rows)), 3, s.columns/2, shrink(s.columns))
}

func (s scaleStep) shrinkTranspose(image Array) Array {
	return resample(resample(image, 2, s.rows, reversed(shrink(s.rows))), 3, s.columns, reversed(shrink(s.columns)))
}

func (s scaleStep) grow(image Array) Array {
	return resample(resample(image, 2, s.rows, grow(s.rows)), 3, s.columns, grow(s.columns))
}

func (s scaleStep) growTranspose(image Array) Array {
	return resample(resample(image, 2, s.rows/2, reversed(grow(s.rows))), 3, s.columns/2, reversed(grow(s.columns)))
}

// pyramid is the levels of an image [N,C,H,W], finest first. With add the grown
// image is added instead of taken away, which bounds the levels of any image that
// is no larger, sign aside.
func pyramid(image Array, levels int, add bool) []Array {
	sign := -1.0
	if add {
		sign = 1
	}
	all := make([]Array, levels)
	for l := range all {
		step := stepOf(image)
		level := step.crop(image)
		image = step.shrink(level)
		for i, x := range step.grow(image).Data {
			level.Data[i] += sign * x
		}
		all[l] = level
	}
	return all
}

// pyramidTranspose computes the derivative by the image of Σ upstream · level.
func pyramidTranspose(upstream []Array, shape []int) Array {
	steps, shapes := make([]scaleStep, len(upstream)), make([][]int, len(upstream))
	for l := range upstream {
		steps[l], shapes[l] = scaleStep{shape[2] - shape[2]%2, shape[3] - shape[3]%2}, shape
		shape = []int{shape[0], shape[1], shape[2] / 2, shape[3] / 2}
	}
	coarse := Zeros(shape)
	for l, u := range slices.Backward(upstream) {
		for i, x := range steps[l].growTranspose(u).Data {
			coarse.Data[i] -= x
		}
		fine := steps[l].shrinkTranspose(coarse)
		for i, x := range u.Data {
			fine.Data[i] += x
		}
		coarse = steps[l].uncrop(fine, shapes[l][2], shapes[l][3])
	}
	return coarse
}

// levelWeight is the factor of a level's absolute values.
func levelWeight(level Array, l int, p Params) float64 {
	weight := math.Ldexp(1, l)
	if !p.Bool("average") || len(level.Data) == 0 {
		return weight
	}
	return weight / float64(p.Int("levels")) / float64(sampleSize(level))
}

func laplacianPyramidValue(in Values, p Params) (Terms, error) {
	d := difference(in["prediction"], in["target"])
	loss := Zeros(d.Shape[:1])
	for l, level := range pyramid(d, int(p.Int("levels")), false) {
		weight := levelWeight(level, l, p)
		for n := range loss.Data {
			for _, x := range sampleOf(level, n) {
				loss.Data[n] += weight * math.Abs(x)
			}
		}
	}
	return Terms{Loss: loss}, nil
}

func laplacianPyramidGradient(in Values, p Params, upstream Array) (Values, error) {
	d := difference(in["prediction"], in["target"])
	levels := pyramid(d, int(p.Int("levels")), false)
	for l, level := range levels {
		weight := levelWeight(level, l, p)
		for n, u := range upstream.Data {
			sample := sampleOf(level, n)
			for i, x := range sample {
				sample[i] = u * weight * sign(x)
			}
		}
	}
	byPrediction := pyramidTranspose(levels, d.Shape)
	return Values{"prediction": byPrediction, "target": negative(byPrediction)}, nil
}

func laplacianPyramidBound(in Values, p Params, eps float64) (Array, error) {
	d := difference(in["prediction"], in["target"])
	for i, x := range d.Data {
		d.Data[i] = math.Abs(x)
	}
	bound := Zeros(d.Shape[:1])
	for l, level := range pyramid(d, int(p.Int("levels")), true) {
		weight := levelWeight(level, l, p)
		for n := range bound.Data {
			sample := sampleOf(level, n)
			for _, x := range sample {
				bound.Data[n] += weight * x * eps * (float64(8+4*l) + float64(len(sample))/2)
			}
		}
	}
	return bound, nil
}

// buildLaplacianPyramid works on even and odd rows and columns by themselves, so
// that no zeros are put in and no pixel is blurred that is then dropped. A new first
// axis keeps even and odd rows apart. Sizes are only known when the graph runs:
// levels of an image that is too small are empty.
func buildLaplacianPyramid(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	const rows, columns = 3, 4
	x := b.Unsqueeze(b.Label(b.Sub(in["prediction"], in["target"]), "difference"), 0)
	samples := b.Cast(b.Slice(b.ShapeOf(x), 0, 1, 2), x.DType())
	var loss ops.Value
	for l := range int(p.Int("levels")) {
		evenRows, oddRows := buildPhases(b, x, rows)
		even, odd := buildPhases(b, b.Concat(0, evenRows, oddRows), columns)
		narrow := buildShrink(b, even, odd, columns)
		x = b.Label(buildShrink(b, b.Slice(narrow, 0, 0, 1), b.Slice(narrow, 0, 1, 2), rows), "coarser")
		evenRows, oddRows = buildGrow(b, x, rows)
		grownEven, grownOdd := buildGrow(b, b.Concat(0, evenRows, oddRows), columns)
		level := b.Add(buildSize(b, even, grownEven), buildSize(b, odd, grownOdd))
		term := buildLevelTerm(b, level, even, samples, l, p)
		loss = plus(b, loss, term)
	}
	return ops.Terms{Loss: b.Label(b.Assume(loss, ops.Shape{in["prediction"].Shape()[0]}), "pyramid_difference")}
}

// buildPhases takes the even and the odd elements, as many of each.
func buildPhases(b *ops.Builder, x ops.Value, axis int) (even, odd ops.Value) {
	return b.Every(x, axis, 0, -1, 2), b.Every(x, axis, 1, math.MaxInt64, 2)
}

// buildShrink is the blur at the even elements: before the first one comes the odd
// one after it, and then the second even one; after the last one the last odd one,
// and the last even one again.
func buildShrink(b *ops.Builder, even, odd ops.Value, axis int) ops.Value {
	before, after := buildNeighbours(b, even, axis)
	oddBefore := b.Concat(axis, b.Slice(odd, axis, 0, 1), b.Slice(odd, axis, 0, -1))
	outer := b.Add(before, after)
	inner := b.Mul(b.Add(oddBefore, odd), b.Scalar(odd, 4.0/16))
	middle := b.Add(b.Mul(outer, b.Scalar(odd, 1.0/16)), b.Mul(even, b.Scalar(odd, 6.0/16)))
	return b.Add(middle, inner)
}

// buildGrow gives the even and the odd elements of the blur of x with zeros in
// between.
func buildGrow(b *ops.Builder, x ops.Value, axis int) (even, odd ops.Value) {
	before, after := buildNeighbours(b, x, axis)
	even = b.Add(b.Mul(b.Add(before, after), b.Scalar(x, 1.0/8)), b.Mul(x, b.Scalar(x, 6.0/8)))
	odd = b.Mul(b.Add(x, after), b.Scalar(x, 1.0/2))
	return even, odd
}

// buildNeighbours gives the element before each and that after it. Before the first
// comes the second, or the first where there is one only; after the last the last.
func buildNeighbours(b *ops.Builder, x ops.Value, axis int) (before, after ops.Value) {
	const end = math.MaxInt64
	second := b.Slice(b.Slice(x, axis, 0, 2), axis, -1, end)
	before = b.Concat(axis, second, b.Slice(x, axis, 0, -1))
	after = b.Concat(axis, b.Slice(x, axis, 1, end), b.Slice(x, axis, -1, end))
	return before, after
}

// buildSize is Σ|x - grown| for each sample.
func buildSize(b *ops.Builder, x, grown ops.Value) ops.Value {
	return b.ReduceSum(b.Abs(b.Sub(x, grown)), false, 0, 2, 3, 4)
}

// buildLevelTerm weighs a level's sum. half is one half of the level's elements; an
// empty level is divided by 1.
func buildLevelTerm(b *ops.Builder, level, half, samples ops.Value, l int, p Params) ops.Value {
	weight := math.Ldexp(1, l)
	if !p.Bool("average") {
		return times(b, level, weight)
	}
	size := b.Cast(b.SizeOf(half), level.DType())
	factor := b.Mul(samples, b.Scalar(samples, weight/float64(2*p.Int("levels"))))
	return b.Mul(level, b.Div(factor, b.Max(size, b.Scalar(size, 1))))
}
