package losses_test

import (
	"math"
	"testing"

	"github.com/onnxloss/onnxloss/losses"
)

// FuzzParams: any text as a setting is refused or gives a value of the declared
// kind, in range.
func FuzzParams(f *testing.F) {
	f.Add("gamma", "2")
	f.Add("alpha", "-1")
	f.Add("ignore_index", "1e6")
	f.Add("modulator", "split")
	f.Add("per_class", "true")
	f.Add("gama", "NaN")
	f.Fuzz(func(t *testing.T, name, text string) {
		for _, l := range losses.All() {
			p, err := l.Params(map[string]any{name: text})
			if err != nil {
				continue
			}
			for _, d := range l.Declare {
				if !rightKind(d, p[d.Name]) {
					t.Errorf("%s: %s=%q gave %s = %#v", l.Command(), name, text, d.Name, p[d.Name])
				}
			}
		}
	})
}

func rightKind(d losses.Param, value any) bool {
	ok := false
	switch d.Kind {
	case losses.Float:
		var x float64
		x, ok = value.(float64)
		ok = ok && !math.IsNaN(x) && !math.IsInf(x, 0)
	case losses.Int:
		_, ok = value.(int64)
	case losses.Bool:
		_, ok = value.(bool)
	case losses.String:
		_, ok = value.(string)
	}
	return ok
}

// FuzzCheckInputs: arrays of any shape and content are refused, or the loss and
// its gradient are computed without a panic.
func FuzzCheckInputs(f *testing.F) {
	f.Add([]byte{2, 3}, []byte{2}, []byte{3}, 6, 1.0)
	f.Add([]byte{2, 3, 2}, []byte{2, 3, 2}, []byte{}, 12, 0.5)
	f.Add([]byte{2, 0}, []byte{2, 0}, []byte{0}, 0, 0.0)
	f.Add([]byte{0, 3}, []byte{0}, []byte{3}, 0, -100.0)
	f.Fuzz(func(t *testing.T, logits, target, weight []byte, length int, label float64) {
		in := losses.Values{
			"logits": arrayOf(logits, 0.5, -1),
			"target": arrayOf(target, label, length),
			"weight": arrayOf(weight, 2, -1),
		}
		for _, v := range variants(t) {
			loss, err := v.loss.Evaluate(in, v.params, losses.None)
			if err != nil {
				continue
			}
			if _, err := losses.NewArray(loss.Shape, loss.Data); err != nil {
				t.Errorf("%s: %v", v.name, err)
			}
			if _, err := v.loss.EvaluateGradient(in, v.params, losses.Mean, nil); err != nil {
				t.Errorf("%s: a value but no gradient: %v", v.name, err)
			}
		}
	})
}

// arrayOf makes an array of up to three axes of up to 4; a length that is not
// negative may be other than the shape needs.
func arrayOf(axes []byte, x float64, length int) losses.Array {
	shape, n := []int{}, 1
	for _, axis := range axes[:min(3, len(axes))] {
		shape = append(shape, int(axis%5))
		n *= int(axis % 5)
	}
	if length >= 0 {
		n = length % 100
	}
	a := losses.Filled([]int{n}, x)
	a.Shape = shape
	return a
}
