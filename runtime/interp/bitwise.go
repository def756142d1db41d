package interp

import (
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// bitwise builds the operators on the bits of integers.
func bitwise(name string) func(*attributes) kernel {
	return func(*attributes) kernel {
		return bitwiseKernel(name)
	}
}

func bitShift(a *attributes) kernel {
	a.require("direction")
	return bitwiseKernel(a.text("direction", "", "LEFT", "RIGHT"))
}

func bitwiseKernel(name string) kernel {
	return pairwise(func(shape []int, x, y engine.Tensor) (engine.Tensor, error) {
		return wordsOf(x).bitwise(name, shape, x, y)
	})
}

func bitwiseNot(*attributes) kernel {
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		ones, err := cast(engine.Scalar(int64(-1)), in[0].DType())
		if err != nil {
			return nil, err
		}
		return one(wordsOf(in[0]).bitwise("Xor", in[0].Shape(), in[0], ones))
	}
}

type word[T integer] []T

type words interface {
	bitwise(op string, shape []int, x, y engine.Tensor) (engine.Tensor, error)
}

func wordsOf(t engine.Tensor) words {
	switch t.DType() {
	case ops.Int8:
		return word[int8](engine.Data[int8](t))
	case ops.Int16:
		return word[int16](engine.Data[int16](t))
	case ops.Int32:
		return word[int32](engine.Data[int32](t))
	case ops.Int64:
		return word[int64](engine.Data[int64](t))
	case ops.Uint8:
		return word[uint8](engine.Data[uint8](t))
	case ops.Uint16:
		return word[uint16](engine.Data[uint16](t))
	case ops.Uint32:
		return word[uint32](engine.Data[uint32](t))
	}
	return word[uint64](engine.Data[uint64](t))
}

func (w word[T]) bitwise(op string, shape []int, x, y engine.Tensor) (engine.Tensor, error) {
	f := func(x, y T) T { return x & y }
	switch op {
	case "Or":
		f = func(x, y T) T { return x | y }
	case "Xor":
		f = func(x, y T) T { return x ^ y }
	case "LEFT":
		f = func(x, y T) T { return x << uint64(y) }
	case "RIGHT":
		f = func(x, y T) T { return x >> uint64(y) }
	}
	return zip(f, shape, w, x.Shape(), engine.Data[T](y), y.Shape())
}
