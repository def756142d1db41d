package losses_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/losses"
)

func TestDeclarationsAreComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, l := range losses.All() {
		if seen[l.Name] || seen[l.Command()] {
			t.Errorf("%s is there twice", l.Name)
		}
		seen[l.Name], seen[l.Command()] = true, true
		if !regexp.MustCompile(`^([A-Z][a-z0-9]*)+$`).MatchString(l.Name) || strings.HasSuffix(l.Name, "Loss") == l.Head {
			t.Errorf("%s: the name is not UpperCamelCase with Loss at the end of a loss and not of a head", l.Name)
		}
		for what, text := range map[string]string{"Summary": l.Summary, "Formula": l.Formula, "Meaning": l.Meaning, "Paper": l.Paper, "Accuracy": l.Accuracy} {
			if text == "" {
				t.Errorf("%s: no %s", l.Name, what)
			}
		}
		if l.Value == nil || l.Gradient == nil || l.Build == nil || l.Bound == nil {
			t.Errorf("%s: Value, Gradient, Build or Bound is missing", l.Name)
		}
		checkDeclaredInputs(t, l)
		checkDeclaredParams(t, l)
	}
}

func checkDeclaredInputs(t *testing.T, l *losses.Loss) {
	t.Helper()
	if len(l.Inputs) == 0 || l.Inputs[0].Role != losses.Prediction {
		t.Errorf("%s: the first input is not a prediction", l.Name)
	}
	for _, v := range variants(t) {
		if v.loss != l {
			continue
		}
		names := map[string]bool{}
		for _, in := range l.InputsFor(v.params) {
			if in.Name == "" || in.Domain == "" || in.Role == "" || in.Doc == "" || names[in.Name] {
				t.Errorf("%s: input %+v is incomplete or there twice", v.name, in)
			}
			names[in.Name] = true
		}
	}
}

func checkDeclaredParams(t *testing.T, l *losses.Loss) {
	t.Helper()
	names := map[string]bool{}
	for _, d := range l.Declare {
		if d.Name == "" || d.Doc == "" || names[d.Name] {
			t.Errorf("%s: parameter %+v is incomplete or there twice", l.Name, d)
		}
		names[d.Name] = true
		if p, err := l.Params(map[string]any{d.Name: d.Default}); err != nil || p[d.Name] != d.Default {
			t.Errorf("%s: %s does not take its own default %v: %v, %v", l.Name, d.Name, d.Default, p[d.Name], err)
		}
	}
}

// Bounds say how far a lowering may be off: for every term, finite, and not
// negative.
func TestBoundsCoverEveryTerm(t *testing.T) {
	for _, v := range variants(t) {
		for seed, s := range append(friendly, extreme...) {
			in := draw(t, v, s, usualSizes(), uint64(seed))
			bound, err := v.loss.Bound(in, v.params, 0x1p-23)
			if err != nil {
				t.Fatal(err)
			}
			loss := evaluate(t, v, in, losses.None)
			if len(bound.Data) != len(loss.Data) {
				t.Fatalf("%s: bound of shape %v for a loss of shape %v", v.name, bound.Shape, loss.Shape)
			}
			wantFinite(t, v.name+"/"+s.name+": bound", bound)
			for i, b := range bound.Data {
				if !(b >= 0) {
					t.Errorf("%s/%s: bound[%d] = %g", v.name, s.name, i, b)
				}
			}
		}
	}
}

// A figure's curves must be finite and differ from each other.
func TestFiguresShowTheLoss(t *testing.T) {
	for _, l := range losses.All() {
		if l.Figure == nil {
			continue
		}
		if l.Figure.X == "" || !(l.Figure.From < l.Figure.To) || len(l.Figure.Curves) == 0 {
			t.Errorf("%s: the figure is incomplete", l.Name)
		}
		reduction := losses.Sum // what is drawn; of a head the last element
		if l.Head {
			reduction = losses.None
		}
		drawn := map[string]string{}
		for _, curve := range l.Figure.Curves {
			var numbers []float64
			for i := range 9 {
				x := l.Figure.From + (l.Figure.To-l.Figure.From)*float64(i)/8
				value, err := l.Evaluate(curve.At(x), paramsOf(t, l, curve.Settings), reduction)
				if err != nil {
					t.Fatalf("%s: curve %q at %g: %v", l.Name, curve.Label, x, err)
				}
				numbers = append(numbers, value.Data[len(value.Data)-1])
			}
			shape := fmt.Sprint(numbers)
			if other, ok := drawn[shape]; ok || curve.Label == "" && len(l.Figure.Curves) > 1 {
				t.Errorf("%s: curve %q is the same as %q, or has no label", l.Name, curve.Label, other)
			}
			drawn[shape] = curve.Label
		}
	}
}

func TestFind(t *testing.T) {
	for _, l := range losses.All() {
		for _, name := range []string{l.Name, l.Command()} {
			if got, err := losses.Find(name); err != nil || got != l {
				t.Errorf("Find(%q) = %v, %v", name, got, err)
			}
		}
	}
	if _, err := losses.Find("sigmoid-focl"); err == nil || err.Error() != `losses: unknown loss "sigmoid-focl"; did you mean "sigmoid-focal"?` {
		t.Errorf("a misspelt loss: error %v", err)
	}
	if _, err := losses.Find("nothing-like-it"); err == nil || err.Error() != `losses: unknown loss "nothing-like-it", and none has a name like it` {
		t.Errorf("an unknown loss: error %v", err)
	}
}
