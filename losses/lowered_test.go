package losses_test

import (
	"slices"
	"testing"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
)

// lowered runs a loss's graph on inputs that the element type holds.
func lowered(t *testing.T, l *losses.Loss, p losses.Params, dtype ops.DType, in losses.Values) []float64 {
	t.Helper()
	shapes := map[string]ops.Shape{}
	for name, a := range in {
		shapes[name] = ops.Shape{}
		for _, d := range a.Shape {
			shapes[name] = append(shapes[name], ops.Fixed(d))
		}
	}
	session := load(t, l, p, export.Options{DType: dtype, Reduction: losses.None, Shapes: shapes})
	tensors := map[string]engine.Tensor{}
	for name, a := range in {
		held := dtype
		if slices.ContainsFunc(l.InputsFor(p), func(in losses.Input) bool { return in.Name == name && in.Domain == losses.ClassIndex }) {
			held = ops.Int64
		}
		tensor, err := engine.FromFloat64s(held, a.Shape, a.Data)
		if err != nil {
			t.Fatal(err)
		}
		tensors[name] = tensor
	}
	out, err := session.Run(tensors)
	if err != nil {
		t.Fatal(err)
	}
	return out[l.Output()].Float64s()
}

// load exports a loss and loads it.
func load(t *testing.T, l *losses.Loss, p losses.Params, o export.Options) engine.Session {
	t.Helper()
	model, err := export.Model(l, p, o)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := model.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	session, err := interp.New().Load(raw)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	return session
}

// runGraph runs a head with its default parameters in float64.
func runGraph(t *testing.T, l *losses.Loss, o export.Options, in losses.Values) []float64 {
	t.Helper()
	tensors := map[string]engine.Tensor{}
	for name, a := range in {
		tensors[name] = engine.Must(a.Shape, a.Data)
	}
	out, err := load(t, l, paramsOf(t, l, nil), o).Run(tensors)
	if err != nil {
		t.Fatal(err)
	}
	return out[l.Output()].Float64s()
}
