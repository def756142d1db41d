package interp

import (
	"math"

	"github.com/onnxloss/onnxloss/runtime/engine"
)

// worthSplitting is how many cheap elements a second goroutine is started for.
const worthSplitting = 1 << 15

// functions of one real number.
var functions = map[string]func(float64) float64{
	"Exp": math.Exp, "Log": math.Log, "Sqrt": math.Sqrt,
	"Sin": math.Sin, "Cos": math.Cos, "Tan": math.Tan,
	"Asin": math.Asin, "Acos": math.Acos, "Atan": math.Atan,
	"Sinh": math.Sinh, "Cosh": math.Cosh, "Tanh": math.Tanh,
	"Asinh": math.Asinh, "Acosh": math.Acosh, "Atanh": math.Atanh,
	"Floor": math.Floor, "Ceil": math.Ceil, "Round": math.RoundToEven, "Erf": math.Erf,
	"Reciprocal": func(x float64) float64 { return 1 / x },
	"Sigmoid":    sigmoid,
	"Softplus":   softplus,
	"Softsign":   func(x float64) float64 { return x / (1 + math.Abs(x)) },
	"HardSwish":  func(x float64) float64 { return x * hardSigmoid(x, 1.0/6, 0.5) },
	"Mish":       func(x float64) float64 { return x * math.Tanh(softplus(x)) },
}

func sigmoid(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + math.Exp(-x))
	}
	e := math.Exp(x)
	return e / (1 + e)
}

func softplus(x float64) float64 { return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

func hardSigmoid(x, alpha, beta float64) float64 { return math.Max(0, math.Min(1, alpha*x+beta)) }

// function builds an operator from the table above.
func function(name string) func(*attributes) kernel {
	return func(*attributes) kernel { return elementwise(functions[name]) }
}

func elementwise(f func(float64) float64) kernel {
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		return one(floatsOf(in[0]).apply(in[0].Shape(), f))
	}
}

func (r real[T]) apply(shape []int, f func(float64) float64) (engine.Tensor, error) {
	out := make([]T, len(r.data))
	parallel(len(out), worthSplitting, func(from, to int) {
		for i, x := range r.data[from:to] {
			out[from+i] = T(f(float64(x)))
		}
	})
	return engine.New(shape, out)
}

func (r real[T]) test(shape []int, f func(float64) bool) (engine.Tensor, error) {
	out := make([]bool, len(r.data))
	for i, x := range r.data {
		out[i] = f(float64(x))
	}
	return engine.New(shape, out)
}

// The operators below have attributes.

func leakyRelu(a *attributes) kernel {
	alpha := a.float("alpha", 0.01)
	return elementwise(func(x float64) float64 {
		if x < 0 {
			return alpha * x
		}
		return x
	})
}

func elu(a *attributes) kernel { return exponentialUnit(a.float("alpha", 1), 1) }

func selu(a *attributes) kernel {
	return exponentialUnit(a.float("alpha", 1.67326319217681884765625), a.float("gamma", 1.05070102214813232421875))
}

func exponentialUnit(alpha, gamma float64) kernel {
	return elementwise(func(x float64) float64 {
		if x < 0 {
			return gamma * alpha * math.Expm1(x)
		}
		return gamma * x
	})
}

func celu(a *attributes) kernel {
	alpha := a.float("alpha", 1)
	return elementwise(func(x float64) float64 {
		return math.Max(0, x) + math.Min(0, alpha*math.Expm1(x/alpha))
	})
}

func hardSigmoidOp(a *attributes) kernel {
	alpha, beta := a.float("alpha", 0.2), a.float("beta", 0.5)
	return elementwise(func(x float64) float64 { return hardSigmoid(x, alpha, beta) })
}

func thresholdedRelu(a *attributes) kernel {
	alpha := a.float("alpha", 1)
	return elementwise(func(x float64) float64 {
		if x <= alpha {
			return 0
		}
		return x
	})
}

func shrink(a *attributes) kernel {
	bias, lambda := a.float("bias", 0), a.float("lambd", 0.5)
	return elementwise(func(x float64) float64 {
		switch {
		case x < -lambda:
			return x + bias
		case x > lambda:
			return x - bias
		}
		return 0
	})
}

func swish(a *attributes) kernel {
	alpha := a.float("alpha", 1)
	return elementwise(func(x float64) float64 { return x * sigmoid(alpha*x) })
}

func gelu(a *attributes) kernel {
	if a.text("approximate", "none", "none", "tanh") == "tanh" {
		return elementwise(func(x float64) float64 {
			return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
		})
	}
	return elementwise(func(x float64) float64 { return 0.5 * x * math.Erfc(-x/math.Sqrt2) })
}

func isNaN(*attributes) kernel {
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		return one(floatsOf(in[0]).test(in[0].Shape(), math.IsNaN))
	}
}

func isInf(a *attributes) kernel {
	negative, positive := a.flag("detect_negative", true), a.flag("detect_positive", true)
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		return one(floatsOf(in[0]).test(in[0].Shape(), func(x float64) bool {
			return negative && math.IsInf(x, -1) || positive && math.IsInf(x, 1)
		}))
	}
}

// simple builds an operator that is exact in every numeric type.
func simple(name string) func(*attributes) kernel {
	return func(*attributes) kernel {
		return func(in []engine.Tensor) ([]engine.Tensor, error) {
			return one(numbersOf(in[0]).simple(name, in[0].Shape()))
		}
	}
}

func (v vector[T, A]) simple(op string, shape []int) (engine.Tensor, error) {
	f := simpleFunction[T](op)
	out := make([]T, len(v))
	parallel(len(out), worthSplitting, func(from, to int) {
		for i, x := range v[from:to] {
			out[from+i] = f(x)
		}
	})
	return engine.New(shape, out)
}

func simpleFunction[T number](op string) func(T) T {
	switch op {
	case "Abs":
		return func(x T) T {
			if x <= 0 {
				return 0 - x // not -x, which would leave -0 where 0 came in
			}
			return x
		}
	case "Neg":
		return func(x T) T { return -x }
	case "Sign":
		return func(x T) T {
			switch {
			case x > 0:
				return 1
			case x < 0:
				var zero T
				return zero - 1
			}
			return x // 0, or NaN
		}
	}
	return func(x T) T { // Relu
		if x < 0 {
			return 0
		}
		return x
	}
}

func not(*attributes) kernel {
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		data := engine.Data[bool](in[0])
		out := make([]bool, len(data))
		for i, x := range data {
			out[i] = !x
		}
		return one(engine.New(in[0].Shape(), out))
	}
}

func identity(*attributes) kernel {
	return func(in []engine.Tensor) ([]engine.Tensor, error) { return in[:1], nil }
}
