package interp

import (
	"fmt"
	"sync"

	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

const int64Type = ops.Int64

// castTo is Cast. The attributes that newer opsets add (saturate, round_mode)
// only concern 8-bit floats, which this engine does not have.
func castTo(a *attributes) kernel {
	a.require("to")
	dtype := ops.DType(a.integer("to", 0))
	a.flag("saturate", true)
	a.text("round_mode", "up", "up", "down", "nearest")
	if a.err == nil && !isKnown(dtype) {
		a.fail("cannot cast to %s: %w", dtype, engine.ErrUnsupported)
	}
	return func(in []engine.Tensor) ([]engine.Tensor, error) { return one(cast(in[0], dtype)) }
}

func castLike(a *attributes) kernel {
	a.flag("saturate", true)
	a.text("round_mode", "up", "up", "down", "nearest")
	return func(in []engine.Tensor) ([]engine.Tensor, error) { return one(cast(in[0], in[1].DType())) }
}

func cast(t engine.Tensor, dtype ops.DType) (engine.Tensor, error) {
	switch {
	case t.DType() == dtype:
		return t, nil
	case t.DType() == ops.String || dtype == ops.String:
		return engine.Tensor{}, fmt.Errorf("cannot cast %s to %s: %w", t.DType(), dtype, engine.ErrUnsupported)
	case t.DType().IsHalf():
		t = widen(t)
	case t.DType() == ops.Bool:
		t = bits(t)
	}
	return numbersOf(t).to(dtype, t.Shape())
}

// bits turns bools into the numbers 0 and 1.
func bits(t engine.Tensor) engine.Tensor {
	return engine.Must(t.Shape(), convert(engine.Data[bool](t), func(x bool) uint8 {
		if x {
			return 1
		}
		return 0
	}))
}

func convert[From, To any](from []From, f func(From) To) []To {
	to := make([]To, len(from))
	for i, x := range from {
		to[i] = f(x)
	}
	return to
}

func (v vector[T, A]) to(dtype ops.DType, shape []int) (engine.Tensor, error) {
	switch dtype {
	case ops.Float32:
		return engine.New(shape, convert(v, func(x T) float32 { return float32(x) }))
	case ops.Float64:
		return engine.New(shape, convert(v, func(x T) float64 { return float64(x) }))
	case ops.Float16:
		return engine.New(shape, convert(v, func(x T) engine.Float16 { return engine.Float16(ops.Float16Bits(float64(x))) }))
	case ops.BFloat16:
		return engine.New(shape, convert(v, func(x T) engine.BFloat16 { return engine.BFloat16(ops.BFloat16Bits(float64(x))) }))
	case ops.Int8:
		return engine.New(shape, convert(v, func(x T) int8 { return int8(x) }))
	case ops.Int16:
		return engine.New(shape, convert(v, func(x T) int16 { return int16(x) }))
	case ops.Int32:
		return engine.New(shape, convert(v, func(x T) int32 { return int32(x) }))
	case ops.Int64:
		return engine.New(shape, convert(v, func(x T) int64 { return int64(x) }))
	case ops.Uint8:
		return engine.New(shape, convert(v, func(x T) uint8 { return uint8(x) }))
	case ops.Uint16:
		return engine.New(shape, convert(v, func(x T) uint16 { return uint16(x) }))
	case ops.Uint32:
		return engine.New(shape, convert(v, func(x T) uint32 { return uint32(x) }))
	case ops.Uint64:
		return engine.New(shape, convert(v, func(x T) uint64 { return uint64(x) }))
	case ops.Bool:
		return engine.New(shape, convert(v, func(x T) bool { return x != 0 }))
	}
	return engine.Tensor{}, fmt.Errorf("cannot cast to %s: %w", dtype, engine.ErrUnsupported)
}

// float16Values has the number of every half-precision bit pattern.
var float16Values = sync.OnceValue(func() []float32 {
	values := make([]float32, 1<<16)
	for bits := range values {
		values[bits] = float32(ops.Float16Value(uint16(bits)))
	}
	return values
})

// widen turns a half-precision tensor into float32.
func widen(t engine.Tensor) engine.Tensor {
	if data := engine.Data[engine.Float16](t); data != nil {
		values := float16Values()
		return engine.Must(t.Shape(), convert(data, func(x engine.Float16) float32 { return values[x] }))
	}
	return engine.Must(t.Shape(), convert(engine.Data[engine.BFloat16](t), func(x engine.BFloat16) float32 {
		return float32(ops.BFloat16Value(uint16(x)))
	}))
}
