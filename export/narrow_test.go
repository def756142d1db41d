package export_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
)

// Empty batches and images of one row, column or pixel are no special case of the
// perceptual losses' graphs: they give what the reference gives.
func TestNarrowAndEmptyImagesRunAsTheReferenceSays(t *testing.T) {
	average := map[string]any{"average": true}
	tests := []struct {
		loss     *losses.Loss
		settings map[string]any
	}{
		{losses.TotalVariation, nil},
		{losses.TotalVariation, average},
		{losses.GramMatrix, nil},
		{losses.Style, nil},
		{losses.Style, average},
		{losses.FeatureReconstruction, nil},
		{losses.ImagenetNormalization, nil},
	}
	for _, test := range tests {
		p, err := test.loss.Params(test.settings)
		if err != nil {
			t.Fatal(err)
		}
		for _, reduction := range test.loss.Reductions() {
			session := sessionOf(t, test.loss, p, reduction)
			for _, shape := range [][]int{{2, 3, 1, 4}, {2, 3, 4, 1}, {1, 3, 1, 1}, {0, 3, 2, 2}} {
				t.Run(fmt.Sprint(test.loss.Name, test.settings, reduction, shape), func(t *testing.T) {
					runAsReference(t, session, test.loss, p, reduction, shape)
				})
			}
		}
	}
}

func sessionOf(t *testing.T, loss *losses.Loss, p losses.Params, r losses.Reduction) engine.Session {
	t.Helper()
	shapes := map[string]ops.Shape{}
	for _, in := range loss.Inputs {
		shapes[in.Name] = make(ops.Shape, 4)
	}
	model, err := export.Model(loss, p, export.Options{DType: ops.Float64, Reduction: r, Shapes: shapes})
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
	return session
}

func runAsReference(t *testing.T, session engine.Session, loss *losses.Loss, p losses.Params, r losses.Reduction, shape []int) {
	t.Helper()
	tensors, values := map[string]engine.Tensor{}, losses.Values{}
	for nth, in := range loss.Inputs {
		own := slices.Clone(shape)
		if in.Name == "style" {
			own[0] = 1
		}
		a := losses.Zeros(own)
		for i := range a.Data {
			a.Data[i] = float64((i*i + nth) % 7)
		}
		values[in.Name] = a
		tensors[in.Name] = engine.Must(own, a.Data)
	}
	want, err := loss.Evaluate(values, p, r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := session.Run(tensors)
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Diff(got[loss.Output()], engine.Must(want.Shape, want.Data), engine.Tolerance{Rel: 1e-13, Abs: 1e-14}); err != nil {
		t.Error(err)
	}
}
