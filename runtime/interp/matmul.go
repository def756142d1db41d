package interp

import (
	"fmt"
	"slices"

	"github.com/onnxloss/onnxloss/runtime/engine"
)

// matrix is a strided view of a slice.
type matrix[T number] struct {
	data         []T
	rows, cols   int
	rowStep, col int // distance between rows, and between columns
}

// view reads data as a matrix; flip transposes it.
func view[T number](data []T, rows, cols int, flip bool) matrix[T] {
	if flip {
		return matrix[T]{data, cols, rows, 1, cols}
	}
	return matrix[T]{data, rows, cols, cols, 1}
}

// The blocks in which matrices are multiplied: so many columns of a, and rows of
// b, that what the innermost loops touch stays in the nearest caches.
const (
	blockDepth = 256
	tileRows   = 2
	tileCols   = 4
	worthFlops = 1 << 18 // multiplications that a second goroutine is started for
)

// multiply adds a x b to c, whose rows begin step apart.
func multiply[T number](c []T, step int, a, b matrix[T]) {
	worth := worthFlops/max(a.cols*b.cols, 1) + tileRows
	parallel((a.rows+tileRows-1)/tileRows, worth, func(from, to int) {
		from, to = from*tileRows, min(to*tileRows, a.rows)
		multiplySerial(c, step, a, b, from, to)
	})
}

// multiplySerial does the rows from one to another.
func multiplySerial[T number](c []T, step int, a, b matrix[T], from, to int) {
	depth := min(blockDepth, a.cols)
	packedA := make([]T, tileRows*depth)
	packedB := make([]T, depth*(b.cols+tileCols))
	for k := 0; k < a.cols; k += depth {
		d := min(depth, a.cols-k)
		for j := 0; j < b.cols; j += tileCols {
			packCols(packedB[j*d:(j+tileCols)*d], b, k, j)
		}
		for i := from; i < to; i += tileRows {
			packRows(packedA[:tileRows*d], a, i, k)
			for j := 0; j < b.cols; j += tileCols {
				sums := multiplyTile(packedA[:tileRows*d], packedB[j*d:(j+tileCols)*d])
				addTile(c, step, i, j, min(tileRows, to-i), min(tileCols, b.cols-j), &sums)
			}
		}
	}
}

// packRows lays tileRows rows of m side by side, with zeros beyond its edge.
func packRows[T number](to []T, m matrix[T], row, from int) {
	for r := range tileRows {
		if row+r >= m.rows {
			for k := r; k < len(to); k += tileRows {
				to[k] = 0
			}
			continue
		}
		at := (row+r)*m.rowStep + from*m.col
		for k := r; k < len(to); k += tileRows {
			to[k] = m.data[at]
			at += m.col
		}
	}
}

// packCols does so with tileCols columns.
func packCols[T number](to []T, m matrix[T], from, col int) {
	n := min(tileCols, m.cols-col)
	for k := 0; k < len(to); k += tileCols {
		at := (from+k/tileCols)*m.rowStep + col*m.col
		for j := range tileCols {
			to[k+j] = 0
			if j < n {
				to[k+j] = m.data[at+j*m.col]
			}
		}
	}
}

// multiplyTile multiplies packed rows by packed columns. The sums are variables of their
// own so that they stay in registers.
func multiplyTile[T number](a, b []T) [tileRows * tileCols]T {
	var c00, c01, c02, c03, c10, c11, c12, c13 T
	for len(a) >= tileRows && len(b) >= tileCols {
		a0, a1 := a[0], a[1]
		b0, b1, b2, b3 := b[0], b[1], b[2], b[3]
		c00 += a0 * b0
		c01 += a0 * b1
		c02 += a0 * b2
		c03 += a0 * b3
		c10 += a1 * b0
		c11 += a1 * b1
		c12 += a1 * b2
		c13 += a1 * b3
		a, b = a[tileRows:], b[tileCols:]
	}
	return [tileRows * tileCols]T{c00, c01, c02, c03, c10, c11, c12, c13}
}

func addTile[T number](c []T, step, row, col, rows, cols int, sums *[tileRows * tileCols]T) {
	for r := range rows {
		to := c[(row+r)*step+col:][:cols]
		for j := range to {
			to[j] += sums[r*tileCols+j]
		}
	}
}

// products is a batch of matrix products of one size.
type products struct {
	rows, depth, cols int
	left, right       []int // where the matrices of each product begin
}

func matMul(*attributes) kernel {
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		x, y := in[0].Shape(), in[1].Shape()
		if len(x) == 0 || len(y) == 0 {
			return nil, fmt.Errorf("inputs are %s and %s; scalars cannot be multiplied as matrices", in[0], in[1])
		}
		if len(x) == 1 {
			x = []int{1, x[0]}
		}
		if len(y) == 1 {
			y = []int{y[0], 1}
		}
		p := &products{rows: x[len(x)-2], depth: x[len(x)-1], cols: y[len(y)-1]}
		if y[len(y)-2] != p.depth {
			return nil, fmt.Errorf("inputs are %s and %s: %d columns against %d rows", in[0], in[1], p.depth, y[len(y)-2])
		}
		batch, err := broadcastShape(x[:len(x)-2], y[:len(y)-2])
		if err != nil {
			return nil, err
		}
		shape := slices.Concat(batch, resultAxes(len(in[0].Shape()), len(in[1].Shape()), p))
		if n, err := room(shape, 8); err != nil || n == 0 {
			return emptyOr(in[0], shape, err)
		}
		p.left = scaled(offsets(batch, broadcastStrides(x[:len(x)-2], batch)), p.rows*p.depth)
		p.right = scaled(offsets(batch, broadcastStrides(y[:len(y)-2], batch)), p.depth*p.cols)
		return one(numbersOf(in[0]).matmul(p, shape, in[1]))
	}
}

// emptyOr gives a tensor without elements, unless there was an error.
func emptyOr(like engine.Tensor, shape []int, err error) ([]engine.Tensor, error) {
	if err != nil {
		return nil, err
	}
	return one(engine.Zeros(like.DType(), shape))
}

// resultAxes leaves out the axis that was put in front of, or behind, a vector.
func resultAxes(leftRank, rightRank int, p *products) []int {
	var axes []int
	if leftRank > 1 {
		axes = append(axes, p.rows)
	}
	if rightRank > 1 {
		axes = append(axes, p.cols)
	}
	return axes
}

func scaled(list []int, by int) []int {
	for i := range list {
		list[i] *= by
	}
	return list
}

func (v vector[T, A]) matmul(p *products, shape []int, other engine.Tensor) (engine.Tensor, error) {
	out, err := allocate[T](shape)
	if err != nil {
		return engine.Tensor{}, err
	}
	right := engine.Data[T](other)
	for i := range p.left {
		multiply(out[i*p.rows*p.cols:], p.cols,
			view(v[p.left[i]:], p.rows, p.depth, false), view(right[p.right[i]:], p.depth, p.cols, false))
	}
	return engine.New(shape, out)
}

// gemm is alpha * A * B + beta * C, A and B transposed on demand.
type gemm struct {
	alpha, beta      float64
	flipA, flipB     bool
	rows, depth, col int
}

func gemmOp(a *attributes) kernel {
	g := gemm{
		alpha: a.float("alpha", 1), beta: a.float("beta", 1),
		flipA: a.flag("transA", false), flipB: a.flag("transB", false),
	}
	return g.run
}

func (g gemm) run(in []engine.Tensor) ([]engine.Tensor, error) {
	x, y := slices.Clone(in[0].Shape()), slices.Clone(in[1].Shape())
	if len(x) != 2 || len(y) != 2 {
		return nil, fmt.Errorf("inputs are %s and %s, want matrices", in[0], in[1])
	}
	if g.flipA {
		slices.Reverse(x)
	}
	if g.flipB {
		slices.Reverse(y)
	}
	if x[1] != y[0] {
		return nil, fmt.Errorf("inputs are %s and %s: %d columns against %d rows", in[0], in[1], x[1], y[0])
	}
	g.rows, g.depth, g.col = x[0], x[1], y[1]
	if !in[2].IsZero() {
		shape, err := broadcastShape([]int{g.rows, g.col}, in[2].Shape())
		if err != nil || !slices.Equal(shape, []int{g.rows, g.col}) {
			return nil, fmt.Errorf("input 2 is %s, which does not stretch to [%d,%d]", in[2], g.rows, g.col)
		}
	}
	return one(numbersOf(in[0]).gemm(&g, in[1], in[2]))
}

func (v vector[T, A]) gemm(g *gemm, other, added engine.Tensor) (engine.Tensor, error) {
	shape := []int{g.rows, g.col}
	out, err := allocate[T](shape)
	if err != nil || len(out) == 0 {
		return finish(shape, out, err)
	}
	left := view(v, g.rows, g.depth, false)
	if g.flipA {
		left = view(v, g.depth, g.rows, true)
	}
	right := view(engine.Data[T](other), g.depth, g.col, false)
	if g.flipB {
		right = view(engine.Data[T](other), g.col, g.depth, true)
	}
	multiply(out, g.col, left, right)
	if g.alpha != 1 {
		for i, x := range out {
			out[i] = T(g.alpha * float64(x))
		}
	}
	if added.IsZero() || g.beta == 0 {
		return engine.New(shape, out)
	}
	c := engine.Data[T](added)
	for i, at := range offsets(shape, broadcastStrides(added.Shape(), shape)) {
		if g.beta == 1 {
			out[i] += c[at]
		} else {
			out[i] += T(g.beta * float64(c[at]))
		}
	}
	return engine.New(shape, out)
}
