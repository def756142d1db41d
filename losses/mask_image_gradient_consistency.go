package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// MaskImageGradientConsistency asks a mask's edges to run along the image's.
var MaskImageGradientConsistency = &Loss{
	Name:    "MaskImageGradientConsistencyLoss",
	Summary: "share of a mask's edges that do not run along the image's edges, for hair mattes",
	Formula: `M = σ(prediction), or with activation=none prediction itself; ∇ by Sobel's filter, not divided by 8
unit:  c = ∇I·∇M / (|∇I| |∇M|), 0 where |∇I| = 0
else:  c = ∇I·∇M
loss = Σ |∇M| (1 - c²) / Σ |∇M|, at least 0, over each sample's pixels
batch: the same over the whole batch's pixels, for every sample
terms [N]; 0 where the mask is flat`,
	Meaning: `0 where every edge of the mask is parallel to the image's gradient at that place, 1
where all are across it or where the image is flat, and sin² of the angle in between. It needs no
target, and a mask without edges costs nothing: use it beside a loss on the mask itself, as the
paper does with cross-entropy. Where a mask is saturated everywhere, what
is left of its edges is rounding. With unit=false the angle counts by the contrast of both, so that
the loss depends on the image's scale.`,
	Paper: "Levinshtein, Chang, Phung, Kezele, Guo, Aarabi: Real-time Deep Hair Matting on Mobile Devices, CRV 2018, arXiv:1712.07168",
	Inputs: []Input{
		{Name: "prediction", Role: Prediction, Domain: Logit, Shape: "N,1,H,W", When: hasLogits, Doc: "one logit a pixel, of the foreground; for two classes their difference"},
		{Name: "prediction", Role: Prediction, Domain: UnitInterval, Shape: "N,1,H,W", When: hasProbabilities, Doc: "the share of foreground in each pixel"},
		{Name: "image", Role: Target, Domain: Real, Shape: "N,1,H,W", Doc: "the image in grey"},
	},
	Declare: []Param{
		{Name: "activation", Kind: String, Default: "sigmoid", Values: []string{"sigmoid", "none"}, Try: []any{"none"}, Doc: "what makes a mask of the prediction: sigmoid, or none where it is one already"},
		{Name: "padding", Kind: String, Default: "none", Values: []string{"none", "replicate"}, Try: []any{"replicate"}, Doc: "none: the border's pixels have no gradient and do not count, so that images need 3x3 pixels; replicate: the nearest pixel lies beyond the border"},
		{Name: "unit", Kind: Bool, Default: true, Try: []any{false}, Doc: "gradients are brought to length 1 before they are compared, as in the paper; public code has left that out"},
		{Name: "batch", Kind: Bool, Default: false, Try: []any{true}, Doc: "one ratio for the whole batch, as in public code; else one for each sample"},
	},
	Coupled:  batchTogether,
	Value:    consistencyValue,
	Gradient: consistencyGradient,
	Build:    buildConsistency,
	Bound:    consistencyBound,
	Accuracy: "2 ULP of what the gradients add up, and 2 ULP of 1 for each sigmoid in them, over the length of the gradient: a direction is as uncertain as that; never more than 1, the loss's range, for a mask whose edges are nothing but rounding",
	Figure: &Figure{
		X: "angle between the mask's edge and the image's, in degrees", From: 0, To: 90,
		Curves: []Curve{
			{Label: "unit = true", Settings: map[string]any{"activation": "none"}, At: turnedRamps},
			{Label: "unit = false", Settings: map[string]any{"activation": "none", "unit": false}, At: turnedRamps},
		},
	},
}

// turnedRamps is a mask that rises to the right, by a tenth a pixel, and an image
// that rises in another direction.
func turnedRamps(degrees float64) Values {
	const size = 8
	mask, image := Zeros([]int{1, 1, size, size}), Zeros([]int{1, 1, size, size})
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	for i := range mask.Data {
		x, y := float64(i%size)/10, float64(i/size)/10
		mask.Data[i], image.Data[i] = x, x*cos+y*sin
	}
	return Values{"prediction": mask, "image": image}
}

// crossing is the gradients of mask and image at one pixel.
type crossing struct{ mask, image [2]float64 }

func (c crossing) length() float64 { return math.Hypot(c.mask[0], c.mask[1]) }

// sine is that of the angle between the two; 1 where the image is flat.
func (c crossing) sine() (sine float64, image [2]float64) {
	length := math.Hypot(c.image[0], c.image[1])
	if length == 0 {
		return 1, c.image
	}
	image = [2]float64{c.image[0] / length, c.image[1] / length}
	return (image[0]*c.mask[1] - image[1]*c.mask[0]) / c.length(), image
}

func (c crossing) dot() float64 { return c.image[0]*c.mask[0] + c.image[1]*c.mask[1] }

// term is |∇M| (1 - c²).
func (c crossing) term(unit bool) float64 {
	if c.length() == 0 {
		return 0
	}
	if !unit {
		return c.length() * (1 - c.dot()*c.dot())
	}
	sine, _ := c.sine()
	return c.length() * sine * sine
}

// slopes differentiates the term by both gradients, and is 0 at the kink of a mask
// that is flat, and by an image that is flat.
func (c crossing) slopes(unit bool) (byMask, byImage [2]float64) {
	length := c.length()
	if length == 0 {
		return byMask, byImage
	}
	mask := [2]float64{c.mask[0] / length, c.mask[1] / length}
	if !unit {
		dot := c.dot()
		for i := range mask {
			byMask[i] = (1-dot*dot)*mask[i] - 2*length*dot*c.image[i]
			byImage[i] = -2 * length * dot * c.mask[i]
		}
		return byMask, byImage
	}
	contrast := math.Hypot(c.image[0], c.image[1])
	if contrast == 0 {
		return mask, byImage
	}
	s, image := c.sine()
	byMask = [2]float64{-2*s*image[1] - s*s*mask[0], 2*s*image[0] - s*s*mask[1]}
	byImage = [2]float64{
		2 * length * (s*mask[1] - s*s*image[0]) / contrast,
		2 * length * (-s*mask[0] - s*s*image[1]) / contrast,
	}
	return byMask, byImage
}

// maskEdges is the gradients of a batch of masks and images.
type maskEdges struct {
	mask, image     Array
	byMask, byImage [2]Array
	filter          filter
	grid            grid
	unit, bordered  bool
	batch           bool
}

func maskEdgesOf(in Values, p Params) maskEdges {
	e := maskEdges{
		mask: in["prediction"], image: in["image"], filter: filter{taps: sobelTaps()}, grid: gridOf(in["image"]),
		unit: p.Bool("unit"), bordered: p.String("padding") == "replicate", batch: p.Bool("batch"),
	}
	if hasLogits(p) {
		e.mask = Zeros(in["prediction"].Shape)
		for i, x := range in["prediction"].Data {
			e.mask.Data[i] = sigmoid(x)
		}
	}
	e.byMask, e.byImage = e.filter.apply(e.mask), e.filter.apply(e.image)
	return e
}

// each calls visit for every pixel that counts, with the number of the ratio that
// it counts in.
func (e maskEdges) each(visit func(ratio, index int, c crossing)) {
	e.grid.each(func(sample, row, column, index int) {
		onBorder := row == 0 || column == 0 || row == e.grid.rows-1 || column == e.grid.columns-1
		if onBorder && !e.bordered {
			return
		}
		visit(e.ratioOf(sample), index, crossing{
			mask:  [2]float64{e.byMask[0].Data[index], e.byMask[1].Data[index]},
			image: [2]float64{e.byImage[0].Data[index], e.byImage[1].Data[index]},
		})
	})
}

func (e maskEdges) ratioOf(sample int) int {
	if e.batch {
		return 0
	}
	return sample
}

// edgeRatio is Σ terms / Σ lengths over a sample, or over the batch.
type edgeRatio struct {
	terms, lengths, sizes float64 // sizes is Σ|term|
	pixels                int
	termsOff, lengthsOff  float64 // bounds of rounding errors
}

func (r *edgeRatio) add(c crossing, unit bool) {
	term := c.term(unit)
	r.terms += term
	r.lengths += c.length()
	r.sizes += math.Abs(term)
	r.pixels++
}

// value may be below 0 where the gradients are not brought to length 1.
func (r edgeRatio) value() float64 {
	if r.lengths == 0 {
		return 0
	}
	return r.terms / r.lengths
}

func (e maskEdges) ratios() []edgeRatio {
	ratios := make([]edgeRatio, e.grid.planes)
	e.each(func(i, _ int, c crossing) { ratios[i].add(c, e.unit) })
	return ratios
}

func consistencyValue(in Values, p Params) (Terms, error) {
	e := maskEdgesOf(in, p)
	ratios := e.ratios()
	loss := Zeros([]int{e.grid.planes})
	for n := range loss.Data {
		loss.Data[n] = math.Max(0, ratios[e.ratioOf(n)].value())
	}
	return Terms{Loss: loss}, nil
}

func consistencyGradient(in Values, p Params, upstream Array) (Values, error) {
	e := maskEdgesOf(in, p)
	ratios := e.ratios()
	scale := make([]float64, len(ratios)) // of the derivatives of a ratio's terms
	for n, u := range upstream.Data {
		if r := ratios[e.ratioOf(n)]; r.lengths > 0 && r.terms > 0 {
			scale[e.ratioOf(n)] += u / r.lengths
		}
	}
	upMask, upImage := zeroPair(e.mask.Shape), zeroPair(e.mask.Shape)
	e.each(func(i, index int, c crossing) {
		byMask, byImage := c.slopes(e.unit)
		length := c.length()
		for d := range byMask {
			if length > 0 {
				byMask[d] -= ratios[i].value() * c.mask[d] / length
			}
			upMask[d].Data[index] = scale[i] * byMask[d]
			upImage[d].Data[index] = scale[i] * byImage[d]
		}
	})
	byMask := e.filter.transpose(upMask)
	if hasLogits(p) {
		for i, x := range in["prediction"].Data {
			byMask.Data[i] *= sigmoid(x) * sigmoid(-x)
		}
	}
	return Values{"prediction": byMask, "image": e.filter.transpose(upImage)}, nil
}

func consistencyBound(in Values, p Params, eps float64) (Array, error) {
	e := maskEdgesOf(in, p)
	offMask, offImage := e.filter.rounding(e.mask, eps), e.filter.rounding(e.image, eps)
	sigmoids := 0.0 // what 2 ULP of 1 in each add up to
	if hasLogits(p) {
		sigmoids = 8 * 2 * eps
	}
	ratios := make([]edgeRatio, e.grid.planes)
	e.each(func(i, index int, c crossing) {
		mask := math.Hypot(offMask[0].Data[index]+sigmoids, offMask[1].Data[index]+sigmoids)
		image := math.Hypot(offImage[0].Data[index], offImage[1].Data[index])
		mask += 2*eps*c.length() + lostInRoot(c.length(), eps)
		r := &ratios[i]
		r.add(c, e.unit)
		r.lengthsOff += mask
		if e.unit {
			r.termsOff += c.unitError(mask, image, eps)
		} else {
			r.termsOff += c.bareError(mask, image, eps)
		}
	})
	bound := Zeros([]int{e.grid.planes})
	for n := range bound.Data {
		bound.Data[n] = ratios[e.ratioOf(n)].rounding(eps)
	}
	return bound, nil
}

// unitError bounds the error of a term, of which the mask's gradient is off by mask
// and the image's by image, both as vectors. It cannot be more than what a gradient
// across would count.
func (c crossing) unitError(mask, image, eps float64) float64 {
	length, contrast := c.length(), math.Hypot(c.image[0], c.image[1])
	turn := 4 * eps // of the image's direction
	if image += lostInRoot(contrast, eps); image > 0 {
		turn += math.Min(image/contrast, 2)
	}
	most := length + mask
	if mask >= length {
		return most
	}
	sine, _ := c.sine()
	across := length * math.Abs(sine)
	acrossOff := mask + length*turn
	return math.Min(most, ((2*across+acrossOff)*acrossOff+sine*sine*length*mask)/(length-mask)+3*eps*length*sine*sine)
}

func (c crossing) bareError(mask, image, eps float64) float64 {
	length, contrast := c.length(), math.Hypot(c.image[0], c.image[1])
	dot := math.Abs(c.dot())
	dotOff := contrast*mask + (length+mask)*image + 3*eps*length*contrast
	return mask*(1+(dot+dotOff)*(dot+dotOff)) + length*((2*dot+dotOff)*dotOff+2*eps*(1+dot*dot))
}

// rounding bounds the error of the loss, which is 0 to 1, but for the sums'
// rounding.
func (r edgeRatio) rounding(eps float64) float64 {
	sums := eps * float64(r.pixels) / 2
	termsOff, lengthsOff := r.termsOff+sums*r.sizes, r.lengthsOff+sums*r.lengths
	most := 1 + 2*sums + 4*eps
	switch {
	case lengthsOff == 0:
		return 0
	case lengthsOff >= r.lengths:
		return most
	}
	value := r.value()
	off := (termsOff+math.Abs(value)*lengthsOff)/(r.lengths-lengthsOff) + 2*eps*math.Abs(value)
	if value < 0 {
		off = math.Max(0, value+off)
	}
	return math.Min(most, off)
}

func buildConsistency(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	mask := in["prediction"]
	if hasLogits(p) {
		mask = b.Label(b.Sigmoid(mask), "mask")
	}
	sobel := separable{difference: []float64{1}, smoothing: []float64{2, 1}, padding: padModeOf(p)}
	mx, my := sobel.gradient(b, mask)
	ix, iy := sobel.gradient(b, in["image"])
	length := b.Label(b.Sqrt(b.Add(b.Mul(mx, mx), b.Mul(my, my))), "mask_edge")
	var term ops.Value
	if p.Bool("unit") {
		term = buildAcross(b, mx, my, ix, iy, length)
	} else {
		dot := b.Add(b.Mul(ix, mx), b.Mul(iy, my))
		term = b.Mul(length, b.Sub(b.Scalar(dot, 1), b.Mul(dot, dot)))
	}
	terms := b.Label(b.ReduceSum(term, false, 1, 2, 3), "edges_across")
	lengths := b.Label(b.ReduceSum(length, false, 1, 2, 3), "edges")
	var loss ops.Value
	if p.Bool("batch") {
		whole := buildQuotient(b, b.ReduceSum(terms, true, 0), b.ReduceSum(lengths, true, 0))
		loss = b.Mul(onesLike(b, terms), whole)
	} else {
		loss = buildQuotient(b, terms, lengths)
	}
	if !p.Bool("unit") {
		loss = b.Relu(loss)
	}
	return ops.Terms{Loss: b.Label(b.Assume(loss, terms.Shape()), "inconsistency")}
}

// buildAcross is |∇M| sin², from the part of the mask's gradient that is across the
// image's, and |∇M| where the image is flat.
func buildAcross(b *ops.Builder, mx, my, ix, iy, length ops.Value) ops.Value {
	contrast := b.Sqrt(b.Add(b.Mul(ix, ix), b.Mul(iy, iy)))
	flat := b.Equal(contrast, b.Scalar(contrast, 0))
	unit := b.Where(flat, b.Scalar(contrast, 1), contrast)
	across := b.Label(b.Sub(b.Mul(b.Div(ix, unit), my), b.Mul(b.Div(iy, unit), mx)), "across")
	return b.Where(flat, length, b.Mul(across, buildQuotient(b, across, length)))
}
