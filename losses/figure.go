package losses

import "fmt"

// Figure is a plot of a loss against one number.
type Figure struct {
	X        string // what that number is
	From, To float64
	Curves   []Curve
}

// Curve is one line of a figure: a loss's sum, or a head's last element.
type Curve struct {
	Label    string
	Settings map[string]any
	At       func(x float64) Values
}

// against is a curve over one input that is a single number; the others are as given.
func against(label string, settings map[string]any, input string, others map[string]float64) Curve {
	return Curve{Label: label, Settings: settings, At: func(x float64) Values {
		in := Values{input: scalar(x)}
		for name, number := range others {
			in[name] = scalar(number)
		}
		return in
	}}
}

// positive is a curve over the logit of a label that is 1.
func positive(label string, settings map[string]any) Curve {
	return against(label, settings, "logits", map[string]float64{"target": 1})
}

// rightClass is a curve over the logit of the right class of two, the other's being
// 0.
func rightClass(label string, settings map[string]any) Curve {
	return Curve{Label: label, Settings: settings, At: func(x float64) Values {
		return Values{
			"logits": {Shape: []int{1, 2}, Data: []float64{x, 0}},
			"target": {Shape: []int{1}, Data: []float64{0}},
		}
	}}
}

// over makes a curve for each value of a parameter, labelled "name = value".
func over[T any](curve func(string, map[string]any) Curve, name string, values ...T) []Curve {
	var curves []Curve
	for _, value := range values {
		curves = append(curves, curve(fmt.Sprintf("%s = %v", name, value), map[string]any{name: value}))
	}
	return curves
}

// ofError is a curve over a prediction whose target is 0.
func ofError(label string, settings map[string]any) Curve {
	return against(label, settings, "prediction", map[string]float64{"target": 0})
}
