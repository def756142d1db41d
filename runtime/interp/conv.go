package interp

import (
	"fmt"
	"slices"

	"github.com/onnxloss/onnxloss/runtime/engine"
)

// convolution is a Conv or ConvTranspose with everything worked out. Channels are
// those of one group.
type convolution struct {
	window
	group               int
	batch               int
	inChannels          int
	outChannels         int
	outputPadding, size []int // of ConvTranspose
}

func conv(a *attributes) kernel {
	base := convolution{window: newWindow(a), group: a.integer("group", 1)}
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		c := base
		x, w := in[0].Shape(), in[1].Shape()
		if err := c.checkWeights(in); err != nil {
			return nil, err
		}
		c.inChannels, c.outChannels = w[1], w[0]/c.group
		if x[1] != w[1]*c.group || w[0]%c.group != 0 {
			return nil, fmt.Errorf("input %s does not fit weights %s in %d groups", in[0], in[1], c.group)
		}
		if err := c.checkBias(in[2], w[0]); err != nil {
			return nil, err
		}
		if err := c.resolve(x[2:]); err != nil {
			return nil, err
		}
		shape := slices.Concat([]int{x[0], w[0]}, c.out)
		return one(floatsOf(in[0]).conv(&c, shape, in[1], in[2]))
	}
}

// checkWeights compares ranks and takes the kernel's size from the weights.
func (c *convolution) checkWeights(in []engine.Tensor) error {
	x, w := in[0].Shape(), in[1].Shape()
	if len(x) < 3 || len(w) != len(x) || c.group < 1 {
		return fmt.Errorf("input is %s, weights are %s, in %d groups; want [N, C, spatial...] and as many axes", in[0], in[1], c.group)
	}
	if c.kernel != nil && !slices.Equal(c.kernel, w[2:]) {
		return fmt.Errorf("kernel_shape is %v, but the weights are %s", c.kernel, in[1])
	}
	c.kernel, c.batch = w[2:], x[0]
	return nil
}

func (c *convolution) checkBias(bias engine.Tensor, channels int) error {
	if !bias.IsZero() && !slices.Equal(bias.Shape(), []int{channels}) {
		return fmt.Errorf("the bias is %s, want [%d]", bias, channels)
	}
	return nil
}

// chunkElements is about how large the matrix is that a part of an image is
// unrolled to: small enough for a cache, large enough for long loops.
const chunkElements = 1 << 18

// chunk is how many output positions are unrolled at a time, where each takes
// depth elements.
func chunk(positions, depth int) int {
	return max(min(chunkElements/max(depth, 1), positions), 1)
}

func (r real[T]) conv(c *convolution, shape []int, weight, bias engine.Tensor) (engine.Tensor, error) {
	out, err := allocate[T](shape)
	if err != nil || len(out) == 0 {
		return finish(shape, out, err)
	}
	setBias(out, engine.Data[T](bias), shape[1], product(c.out))
	if len(r.data) == 0 {
		return engine.New(shape, out)
	}
	taps, positions := product(c.kernel), product(c.out)
	depth := c.inChannels * taps
	width := chunk(positions, depth)
	chunks := (positions + width - 1) / width
	// A job is one part of one image; jobs of the same part follow each other, so
	// that what is under the window there is worked out once.
	parallel(chunks*c.batch, worthFlops/(depth*width*c.outChannels*c.group)+2, func(from, to int) {
		sources := make([]int, taps*width)
		columns := make([]T, depth*width)
		known := -1
		for job := from; job < to; job++ {
			first := job / c.batch * width
			n := min(width, positions-first)
			if known != first {
				c.sources(sources, first, n)
				known = first
			}
			convolve(c, out, r.data, engine.Data[T](weight), job%c.batch, first, n, sources, columns)
		}
	})
	return engine.New(shape, out)
}

// setBias fills every channel of an output with its bias.
func setBias[T float](out, bias []T, channels, positions int) {
	if bias == nil {
		return
	}
	for i := 0; i < len(out); i += positions {
		plane, b := out[i:i+positions], bias[i/positions%channels]
		for j := range plane {
			plane[j] = b
		}
	}
}

// sources says, for every element of the window and n output positions from first
// on, which element of an image it covers, or -1 for padding.
func (c *convolution) sources(to []int, first, n int) {
	for i := range to {
		to[i] = -1
	}
	index := unravel(first, c.out)
	var taps, covered []int
	for j := range n {
		covered, _ = c.taps(covered, index)
		taps = c.tapNumbers(taps, index)
		for i, tap := range taps {
			to[tap*n+j] = covered[i]
		}
		next(index, c.out)
	}
}

// tapNumbers says which elements of the window those are that taps lists.
func (c *convolution) tapNumbers(buffer, out []int) []int {
	numbers := append(buffer[:0], 0)
	for axis := range out {
		s := c.spanAt(axis, out[axis])
		numbers = spread(numbers, span{first: s.tap, step: 1, count: s.count}, c.kernel[axis])
	}
	return numbers
}

// convolve does one part of one image: unrolled to a matrix with a row for every
// element of the window, it is multiplied by the weights.
func convolve[T float](c *convolution, out, data, weight []T, image, first, n int, sources []int, columns []T) {
	taps, positions, size := product(c.kernel), product(c.out), product(c.in)
	depth := c.inChannels * taps
	for g := range c.group {
		for channel := range c.inChannels {
			plane := data[((image*c.group+g)*c.inChannels+channel)*size:][:size]
			row := columns[channel*taps*n:][:taps*n]
			for i, from := range sources[:taps*n] {
				if row[i] = 0; from >= 0 {
					row[i] = plane[from]
				}
			}
		}
		to := out[(image*c.group+g)*c.outChannels*positions+first:]
		multiplySerial(to, positions,
			view(weight[g*c.outChannels*depth:], c.outChannels, depth, false),
			view(columns, depth, n, false), 0, c.outChannels)
	}
}

func convTranspose(a *attributes) kernel {
	base := convolution{
		window: newWindow(a), group: a.integer("group", 1),
		outputPadding: a.integers("output_padding"), size: a.integers("output_shape"),
	}
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		c := base
		x, w := in[0].Shape(), in[1].Shape()
		if err := c.checkWeights(in); err != nil {
			return nil, err
		}
		c.inChannels, c.outChannels = w[0]/c.group, w[1]
		if x[1] != w[0] || w[0]%c.group != 0 {
			return nil, fmt.Errorf("input %s does not fit weights %s in %d groups", in[0], in[1], c.group)
		}
		if err := c.checkBias(in[2], c.outChannels*c.group); err != nil {
			return nil, err
		}
		if err := c.invert(x[2:]); err != nil {
			return nil, err
		}
		shape := slices.Concat([]int{x[0], c.outChannels * c.group}, c.in)
		return one(floatsOf(in[0]).convTranspose(&c, shape, in[1], in[2]))
	}
}

// invert works out the window of the convolution that this one is the transpose
// of: its output is our input, and its input our output.
func (c *convolution) invert(from []int) error {
	if err := c.complete(from); err != nil {
		return err
	}
	rank := len(from)
	if c.outputPadding == nil {
		c.outputPadding = make([]int, rank)
	}
	if len(c.outputPadding) != rank || c.size != nil && len(c.size) != rank {
		return fmt.Errorf("output_padding %v or output_shape %v do not fit %d spatial axes", c.outputPadding, c.size, rank)
	}
	c.pads, c.out, c.in = slices.Clone(c.pads), from, make([]int, rank)
	for i, n := range from {
		extra := c.outputPadding[i]
		if extra < 0 || extra > 1<<30 {
			return fmt.Errorf("output_padding %v is out of range", c.outputPadding)
		}
		full := (n-1)*c.strides[i] + extra + c.extent(i)
		same := c.autoPad == "SAME_UPPER" || c.autoPad == "SAME_LOWER"
		switch {
		case c.size != nil:
			c.in[i] = c.size[i]
			c.share(i, max(full-c.size[i], 0), c.autoPad == "SAME_UPPER")
		case same:
			c.in[i] = n * c.strides[i]
			c.share(i, max(full-c.in[i], 0), c.autoPad == "SAME_UPPER")
		default:
			c.in[i] = full - c.pads[i] - c.pads[rank+i]
		}
		if c.in[i] < 0 {
			return fmt.Errorf("the output would have %d elements along axis %d", c.in[i], i+2)
		}
	}
	return nil
}

func (r real[T]) convTranspose(c *convolution, shape []int, weight, bias engine.Tensor) (engine.Tensor, error) {
	out, err := allocate[T](shape)
	if err != nil || len(out) == 0 {
		return finish(shape, out, err)
	}
	setBias(out, engine.Data[T](bias), shape[1], product(c.in))
	if len(r.data) == 0 {
		return engine.New(shape, out)
	}
	taps, positions := product(c.kernel), product(c.out)
	width := chunk(positions, c.outChannels*taps)
	parallel(c.batch, 2, func(from, to int) {
		sources := make([]int, taps*width)
		columns := make([]T, c.outChannels*taps*width)
		for first := 0; first < positions; first += width {
			n := min(width, positions-first)
			c.sources(sources, first, n)
			for image := from; image < to; image++ {
				spreadImage(c, out, r.data, engine.Data[T](weight), image, first, n, sources, columns)
			}
		}
	})
	return engine.New(shape, out)
}

// spreadImage is convolve the other way around: input times weights gives the
// unrolled matrix, which is added up into the output.
func spreadImage[T float](c *convolution, out, data, weight []T, image, first, n int, sources []int, columns []T) {
	taps, positions, size := product(c.kernel), product(c.out), product(c.in)
	height := c.outChannels * taps
	for g := range c.group {
		clear(columns)
		x := matrix[T]{data[(image*c.group+g)*c.inChannels*positions+first:], c.inChannels, n, positions, 1}
		w := view(weight[g*c.inChannels*height:], c.inChannels, height, true)
		multiplySerial(columns, n, w, x, 0, height)
		for channel := range c.outChannels {
			plane := out[((image*c.group+g)*c.outChannels+channel)*size:][:size]
			for i, x := range columns[channel*taps*n:][:taps*n] {
				if at := sources[i]; at >= 0 {
					plane[at] += x
				}
			}
		}
	}
}
