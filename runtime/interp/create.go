package interp

import (
	"fmt"
	"math"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// constant builds Constant, which has its value in one of several attributes.
func constant(a *attributes) kernel {
	var t engine.Tensor
	var err error
	if len(a.byName) != 1 {
		a.fail("got %d attributes, want exactly one value", len(a.byName))
	}
	switch {
	case a.has("value"):
		t = a.tensor("value")
	case a.has("value_float"):
		t = engine.Scalar(float32(a.float("value_float", 0)))
	case a.has("value_floats"):
		list := a.floats("value_floats")
		t, err = engine.New([]int{len(list)}, list)
	case a.has("value_int"):
		t = engine.Scalar(int64(a.integer("value_int", 0)))
	case a.has("value_ints"):
		t, err = int64List(a.integers("value_ints"))
	case a.has("value_string"):
		t = engine.Scalar(a.text("value_string", ""))
	case a.has("value_strings"):
		t, err = a.strings("value_strings")
	}
	if err != nil {
		a.fail("%w", err)
	}
	return func([]engine.Tensor) ([]engine.Tensor, error) { return []engine.Tensor{t}, nil }
}

func (a *attributes) strings(name string) (engine.Tensor, error) {
	attribute := a.find(name, onnxpb.AttributeProto_STRINGS)
	list := convert(attribute.GetStrings(), func(s []byte) string { return string(s) })
	return engine.New([]int{len(list)}, list)
}

func constantOfShape(a *attributes) kernel {
	value := engine.Scalar(float32(0))
	if a.has("value") {
		if value = a.tensor("value"); a.err == nil && value.Len() != 1 {
			a.fail("attribute \"value\" is %s, want one element", value)
		}
	}
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		shape := wholes(in[0])
		return one(strided(value, shape, 0, make([]int, len(shape))))
	}
}

func rangeOf(*attributes) kernel {
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		for i, t := range in {
			if t.Len() != 1 {
				return nil, fmt.Errorf("input %d is %s, want a scalar", i, t)
			}
		}
		return one(numbersOf(in[0]).span(in[1], in[2]))
	}
}

// span counts from the vector's only element up to a limit, in steps of delta.
func (v vector[T, A]) span(limit, delta engine.Tensor) (engine.Tensor, error) {
	start, end, step := v[0], engine.Data[T](limit)[0], engine.Data[T](delta)[0]
	if step == 0 {
		return engine.Tensor{}, fmt.Errorf("the step is 0")
	}
	steps := math.Ceil((float64(end) - float64(start)) / float64(step))
	if math.IsNaN(steps) || steps > float64(maxTensorBytes) {
		return engine.Tensor{}, fmt.Errorf("a range from %v to %v in steps of %v has too many elements", start, end, step)
	}
	out, err := allocate[T]([]int{int(max(steps, 0))})
	if err != nil {
		return engine.Tensor{}, err
	}
	for i := range out {
		out[i] = start + T(i)*step
	}
	return engine.New([]int{len(out)}, out)
}

// oneHot puts, for every index, a row along a new axis that is off but for one place.
func oneHot(a *attributes) kernel {
	axis := a.integer("axis", -1)
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		rank := len(in[0].Shape())
		axis, err := axisOf(axis, rank+1)
		if err != nil {
			return nil, err
		}
		list := in[1].Float64s()
		if len(list) != 1 || in[2].Len() != 2 || !(list[0] >= 0 && list[0] <= math.MaxInt32) {
			return nil, fmt.Errorf("depth is %s and values %s, want one number >= 0 and two elements", in[1], in[2])
		}
		depth := int(list[0])
		before, after := in[0].Shape()[:axis], in[0].Shape()[axis:]
		shape := append(append(append([]int{}, before...), depth), after...)
		n, err := room(shape, 8)
		if err != nil {
			return nil, err
		}
		choice := make([]int, n)
		inner := product(after)
		for i, x := range in[0].Float64s() {
			if x < 0 {
				x += float64(depth)
			}
			if hot := int(x); float64(hot) == x && hot >= 0 && hot < depth {
				choice[(i/inner*depth+hot)*inner+i%inner] = 1
			}
		}
		return one(elementsOf(in[2]).gather(shape, choice, 1, engine.Tensor{}))
	}
}

func trilu(a *attributes) kernel {
	upper := a.flag("upper", true)
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		shape := in[0].Shape()
		if len(shape) < 2 {
			return nil, fmt.Errorf("input is %s, want rank 2 or more", in[0])
		}
		k := 0
		if !in[1].IsZero() {
			var err error
			if k, err = single(in[1], "k"); err != nil {
				return nil, err
			}
		}
		rows, columns := shape[len(shape)-2], shape[len(shape)-1]
		k = min(max(k, -rows), columns)
		from := make([]int, in[0].Len())
		for i := range from {
			row, column := i/columns%rows, i%columns
			if upper && column-row < k || !upper && column-row > k {
				from[i] = -1
				continue
			}
			from[i] = i
		}
		return one(elementsOf(in[0]).gather(shape, from, 1, engine.Tensor{}))
	}
}

func eyeLike(a *attributes) kernel {
	k := a.integer("k", 0)
	dtype := ops.DType(a.integer("dtype", 0))
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		shape := in[0].Shape()
		if len(shape) != 2 {
			return nil, fmt.Errorf("input is %s, want rank 2", in[0])
		}
		eye := make([]uint8, in[0].Len())
		for i := range eye {
			if i%shape[1]-i/shape[1] == k {
				eye[i] = 1
			}
		}
		t, err := engine.New(shape, eye)
		if err != nil {
			return nil, err
		}
		if dtype == ops.Undefined {
			return one(cast(t, in[0].DType()))
		}
		return one(cast(t, dtype))
	}
}
