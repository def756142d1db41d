package interp

import (
	"fmt"
	"math"

	"github.com/onnxloss/onnxloss/runtime/engine"
)

// zip computes out = f(a, b) with both stretched to a shape.
func zip[T, U any, R engine.Element](f func(T, U) R, shape []int, a []T, aShape []int, b []U, bShape []int) (engine.Tensor, error) {
	out, err := allocate[R](shape)
	if err != nil || len(out) == 0 {
		return finish(shape, out, err)
	}
	n := newNest(shape, broadcastStrides(aShape, shape), broadcastStrides(bShape, shape))
	aStep, bStep := n.inner(0), n.inner(1)
	n.each(func(at int, offsets []int, count int) {
		x, y, to := a[offsets[0]:], b[offsets[1]:], out[at:at+count]
		parallel(count, worthSplitting, func(from, end int) {
			switch {
			case aStep == 1 && bStep == 1:
				x, y := x[:end], y[:end]
				for i := from; i < end; i++ {
					to[i] = f(x[i], y[i])
				}
			case aStep == 1:
				y := y[0]
				for i := from; i < end; i++ {
					to[i] = f(x[i], y)
				}
			default:
				for i := from; i < end; i++ {
					to[i] = f(x[i*aStep], y[i*bStep])
				}
			}
		})
	})
	return engine.New(shape, out)
}

// pairwise builds an operator over two inputs that broadcast, or over any number
// of them taken two by two.
func pairwise(compute func(shape []int, x, y engine.Tensor) (engine.Tensor, error)) kernel {
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		total := in[0]
		for _, next := range in[1:] {
			shape, err := broadcastShape(total.Shape(), next.Shape())
			if err != nil {
				return nil, err
			}
			if total, err = compute(shape, total, next); err != nil {
				return nil, err
			}
		}
		return []engine.Tensor{total}, nil
	}
}

func arithmeticKernel(name string) kernel {
	return pairwise(func(shape []int, x, y engine.Tensor) (engine.Tensor, error) {
		return numbersOf(x).binary(name, shape, x, y)
	})
}

func arithmetic(name string) func(*attributes) kernel {
	return func(*attributes) kernel { return arithmeticKernel(name) }
}

func mod(a *attributes) kernel {
	if a.flag("fmod", false) {
		return arithmeticKernel("Fmod")
	}
	k := arithmeticKernel("Mod")
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		if in[0].DType().IsFloat() {
			return nil, fmt.Errorf("attribute \"fmod\" must be 1 for %s", in[0].DType())
		}
		return k(in)
	}
}

// mean divides the sum, in float32 or float64, by the number of inputs.
func mean(*attributes) kernel {
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		sum, err := arithmeticKernel("Add")(in)
		if err != nil {
			return nil, err
		}
		count := float64(len(in))
		return one(floatsOf(sum[0]).apply(sum[0].Shape(), func(x float64) float64 { return x / count }))
	}
}

func (v vector[T, A]) binary(op string, shape []int, self, other engine.Tensor) (engine.Tensor, error) {
	y := engine.Data[T](other)
	if !isFloat[T]() && (op == "Div" || op == "Mod" || op == "Fmod") {
		for i, d := range y {
			if d == 0 {
				return engine.Tensor{}, fmt.Errorf("division of integers by zero: element %d of the divisor is 0", i)
			}
		}
	}
	return zip(arithmeticFunction[T](op), shape, v, self.Shape(), y, other.Shape())
}

func isFloat[T number]() bool {
	var half T = 1
	return half/2 != 0
}

func arithmeticFunction[T number](op string) func(x, y T) T {
	switch op {
	case "Add":
		return func(x, y T) T { return x + y }
	case "Sub":
		return func(x, y T) T { return x - y }
	case "Mul":
		return func(x, y T) T { return x * y }
	case "Div":
		return func(x, y T) T { return x / y }
	case "Max":
		return func(x, y T) T { return max(x, y) }
	case "Min":
		return func(x, y T) T { return min(x, y) }
	case "Mod":
		return floorMod[T]
	}
	return truncMod[T] // Fmod
}

// truncMod has the sign of the dividend.
func truncMod[T number](x, y T) T {
	if isFloat[T]() {
		return T(math.Mod(float64(x), float64(y)))
	}
	return x - x/y*y
}

// floorMod has the sign of the divisor.
func floorMod[T number](x, y T) T {
	r := truncMod(x, y)
	if r != 0 && (r < 0) != (y < 0) {
		return r + y
	}
	return r
}

func pow(*attributes) kernel {
	return pairwise(func(shape []int, x, y engine.Tensor) (engine.Tensor, error) {
		return numbersOf(x).power(shape, x, y)
	})
}

func (v vector[T, A]) power(shape []int, self, exponent engine.Tensor) (engine.Tensor, error) {
	if !isFloat[T]() && exponent.DType().IsInteger() {
		return v.wholePower(shape, self, exponent)
	}
	wide := exponent.Float64s()
	f := func(x T, y float64) T { return T(math.Pow(float64(x), y)) }
	return zip(f, shape, v, self.Shape(), wide, exponent.Shape())
}

// wholePower is exact, wrapping around as multiplication does.
func (v vector[T, A]) wholePower(shape []int, self, exponent engine.Tensor) (engine.Tensor, error) {
	wide, err := numbersOf(exponent).to(int64Type, exponent.Shape())
	if err != nil {
		return engine.Tensor{}, err
	}
	for i, y := range engine.Data[int64](wide) {
		if y < 0 {
			return engine.Tensor{}, fmt.Errorf("an integer to a negative power: element %d of the exponent is %d", i, y)
		}
	}
	f := func(x T, y int64) T {
		result := T(1)
		for ; y > 0; y >>= 1 {
			if y&1 == 1 {
				result *= x
			}
			x *= x
		}
		return result
	}
	return zip(f, shape, v, self.Shape(), engine.Data[int64](wide), exponent.Shape())
}

// comparison builds Less and its kin. Bools compare with Equal.
func comparison(name string) func(*attributes) kernel {
	return func(*attributes) kernel {
		return pairwise(func(shape []int, x, y engine.Tensor) (engine.Tensor, error) {
			switch {
			case engine.Data[bool](x) != nil:
				return logicalFunction("Equal", shape, x, y)
			case engine.Data[string](x) != nil:
				f := func(x, y string) bool { return x == y }
				return zip(f, shape, engine.Data[string](x), x.Shape(), engine.Data[string](y), y.Shape())
			}
			return numbersOf(x).compare(name, shape, x, y)
		})
	}
}

func (v vector[T, A]) compare(op string, shape []int, self, other engine.Tensor) (engine.Tensor, error) {
	return zip(compareFunction[T](op), shape, v, self.Shape(), engine.Data[T](other), other.Shape())
}

func compareFunction[T number](op string) func(x, y T) bool {
	switch op {
	case "Less":
		return func(x, y T) bool { return x < y }
	case "LessOrEqual":
		return func(x, y T) bool { return x <= y }
	case "Greater":
		return func(x, y T) bool { return x > y }
	case "GreaterOrEqual":
		return func(x, y T) bool { return x >= y }
	}
	return func(x, y T) bool { return x == y }
}

func logical(name string) func(*attributes) kernel {
	return func(*attributes) kernel {
		return pairwise(func(shape []int, x, y engine.Tensor) (engine.Tensor, error) {
			return logicalFunction(name, shape, x, y)
		})
	}
}

var logicalFunctions = map[string]func(x, y bool) bool{
	"And":   func(x, y bool) bool { return x && y },
	"Or":    func(x, y bool) bool { return x || y },
	"Xor":   func(x, y bool) bool { return x != y },
	"Equal": func(x, y bool) bool { return x == y },
}

func logicalFunction(name string, shape []int, x, y engine.Tensor) (engine.Tensor, error) {
	return zip(logicalFunctions[name], shape, engine.Data[bool](x), x.Shape(), engine.Data[bool](y), y.Shape())
}

func where(*attributes) kernel {
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		shape, err := broadcastShape(in[0].Shape(), in[1].Shape(), in[2].Shape())
		if err != nil {
			return nil, err
		}
		return one(elementsOf(in[1]).choose(shape, in[0], in[1], in[2]))
	}
}

func prelu(*attributes) kernel {
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		shape, err := broadcastShape(in[0].Shape(), in[1].Shape())
		if err != nil {
			return nil, err
		}
		return one(numbersOf(in[0]).prelu(shape, in[0], in[1]))
	}
}

func (v vector[T, A]) prelu(shape []int, self, slope engine.Tensor) (engine.Tensor, error) {
	f := func(x, slope T) T {
		if x < 0 {
			return x * slope
		}
		return x
	}
	return zip(f, shape, v, self.Shape(), engine.Data[T](slope), slope.Shape())
}

// clipAttributes is Clip before opset 11, whose bounds are attributes.
func clipAttributes(a *attributes) kernel {
	low := a.float("min", -math.MaxFloat32)
	high := a.float("max", math.MaxFloat32)
	return elementwise(func(x float64) float64 {
		switch {
		case x < low:
			return low
		case x > high:
			return high
		}
		return x
	})
}

func clip(*attributes) kernel {
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		for i, bound := range in[1:3] {
			if !bound.IsZero() && bound.Len() != 1 {
				return nil, fmt.Errorf("input %d is %s, want a scalar", i+1, bound)
			}
		}
		return one(numbersOf(in[0]).clip(in[0].Shape(), in[1], in[2]))
	}
}

func (v vector[T, A]) clip(shape []int, low, high engine.Tensor) (engine.Tensor, error) {
	out := append([]T{}, v...)
	if bound := engine.Data[T](low); bound != nil {
		for i, x := range out {
			if x < bound[0] {
				out[i] = bound[0]
			}
		}
	}
	if bound := engine.Data[T](high); bound != nil {
		for i, x := range out {
			if x > bound[0] {
				out[i] = bound[0]
			}
		}
	}
	return engine.New(shape, out)
}
