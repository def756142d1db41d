package ops_test

import (
	"math"
	"testing"

	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

func TestAngleIsAccurateToSomeULP(t *testing.T) {
	var xs, ys []float64
	for _, size := range []float64{1e-8, 1, 1e8} {
		for k := range 201 {
			angle := math.Pi / 2 * float64(k-100) / 100
			xs, ys = append(xs, size*math.Max(0, math.Cos(angle))), append(ys, size*math.Sin(angle))
		}
	}
	for _, dtype := range []ops.DType{ops.Float32, ops.Float64} {
		b := ops.NewBuilder(17, "", nil)
		shape := fixed([]int{len(xs)})
		x, y := b.Input("x", dtype, shape), b.Input("y", dtype, shape)
		out := b.Output(b.Angle(y, x), "angle")
		inputs := map[string]engine.Tensor{}
		for name, numbers := range map[string][]float64{"x": xs, "y": ys} {
			tensor, err := engine.FromFloat64s(dtype, []int{len(xs)}, numbers)
			if err != nil {
				t.Fatal(err)
			}
			inputs[name] = tensor
		}
		got := run(t, modelOf(t, b, []value{x, y}, out), inputs).Float64s()
		for i, x := range inputs["x"].Float64s() {
			want := math.Atan2(inputs["y"].Float64s()[i], x)
			if off := math.Abs(got[i] - want); !(off <= 4*engine.ULP(dtype, want)) {
				t.Errorf("%s: the angle of (%g, %g) is %.17g, want %.17g", dtype, x, inputs["y"].Float64s()[i], got[i], want)
			}
		}
	}
}
