package losses

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/onnxloss/onnxloss/internal/spelling"
)

// Kind is the type of a parameter.
type Kind string

// The kinds of parameters.
const (
	Float  Kind = "float"
	Int    Kind = "int"
	Bool   Kind = "bool"
	String Kind = "string"
)

// Param declares one parameter of a loss.
type Param struct {
	Name    string
	Kind    Kind
	Default any // float64, int64, bool or string, as Kind says
	// Min and Max bound a Float or an Int; both 0 stands for any finite number.
	// OpenMin leaves Min itself out, OpenMax leaves Max out.
	Min, Max         float64
	OpenMin, OpenMax bool
	// Also lists further numbers that it may be, outside Min to Max.
	Also []float64
	// Values lists what a String may be.
	Values []string
	// Try lists further values that verification runs through.
	Try []any
	// With is the other settings that those need beside them.
	With map[string]any
	Doc  string
}

// Trial gives the settings that try one of the parameter's further values.
func (p Param) Trial(value any) map[string]any {
	settings := map[string]any{p.Name: value}
	maps.Copy(settings, p.With)
	return settings
}

// Params holds a value for every parameter of a loss: checked, typed, defaults
// filled in, as Loss.Params makes it. Whatever takes Params checks them again, so that
// nil stands for the defaults.
type Params map[string]any

// Float gives the value of a parameter of kind Float.
func (p Params) Float(name string) float64 { x, _ := p[name].(float64); return x }

// Int gives the value of a parameter of kind Int.
func (p Params) Int(name string) int64 { i, _ := p[name].(int64); return i }

// Bool gives the value of a parameter of kind Bool.
func (p Params) Bool(name string) bool { b, _ := p[name].(bool); return b }

// String gives the value of a parameter of kind String.
func (p Params) String(name string) string { s, _ := p[name].(string); return s }

// Range writes what the parameter may be.
func (p Param) Range() string {
	text := p.interval()
	for _, x := range p.Also {
		text += fmt.Sprintf(", or %g", x)
	}
	return text
}

func (p Param) interval() string {
	switch {
	case p.Kind == Bool:
		return "true or false"
	case p.Kind == String:
		return strings.Join(p.Values, " or ")
	case p.Min == 0 && p.Max == 0 && p.Kind == Int:
		return "any whole number"
	case p.Min == 0 && p.Max == 0:
		return "any finite number"
	case math.IsInf(p.Max, 1) && p.OpenMin:
		return fmt.Sprintf("> %g", p.Min)
	case math.IsInf(p.Max, 1):
		return fmt.Sprintf(">= %g", p.Min)
	case math.IsInf(p.Min, -1):
		return fmt.Sprintf("<= %g", p.Max)
	case p.OpenMin:
		return fmt.Sprintf("> %g and <= %g", p.Min, p.Max)
	case p.OpenMax:
		return fmt.Sprintf(">= %g and < %g", p.Min, p.Max)
	}
	return fmt.Sprintf("%g to %g", p.Min, p.Max)
}

// Params checks settings, by the parameters' names, and fills in defaults. A setting
// may have the parameter's own Go type, any other number type that fits, or be text as
// on a command line. The error says what the parameter may be.
func (l *Loss) Params(settings map[string]any) (Params, error) {
	known := make([]string, len(l.Declare))
	for i, d := range l.Declare {
		known[i] = d.Name
	}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if !slices.Contains(known, name) {
			return nil, l.unknownParam(name, known)
		}
	}
	resolved := Params{}
	for _, d := range l.Declare {
		resolved[d.Name] = d.Default
		setting, ok := settings[d.Name]
		if !ok {
			continue
		}
		value, err := d.parse(setting)
		if err != nil {
			return nil, l.errorf("%w", err)
		}
		resolved[d.Name] = value
	}
	if l.Check != nil {
		if err := l.Check(resolved); err != nil {
			return nil, l.errorf("%w", err)
		}
	}
	return resolved, nil
}

func (l *Loss) unknownParam(name string, known []string) error {
	if len(known) == 0 {
		return l.errorf("unknown parameter %q; this loss has none", name)
	}
	if close := spelling.Closest(name, known); close != "" {
		return l.errorf("unknown parameter %q; did you mean %q?", name, close)
	}
	return l.errorf("unknown parameter %q; known are %s", name, strings.Join(known, ", "))
}

// errorf makes an error that starts with the package and the loss.
func (l *Loss) errorf(format string, args ...any) error {
	return fmt.Errorf("losses: "+l.Command()+": "+format, args...)
}

// parse turns a setting into the parameter's Go type and checks its range.
func (p Param) parse(setting any) (any, error) {
	text := fmt.Sprint(setting)
	switch p.Kind {
	case Float:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("%s must be a number, got %q", p.Name, text)
		}
		return x, p.checkRange(x, x)
	case Int:
		if x, ok := setting.(float64); ok { // as JSON has them: 1e+06 is whole
			text = strconv.FormatFloat(x, 'f', -1, 64)
		}
		i, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s must be a whole number, got %q", p.Name, text)
		}
		return i, p.checkRange(float64(i), i)
	case Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return nil, fmt.Errorf("%s must be true or false, got %q", p.Name, text)
		}
		return b, nil
	}
	if !slices.Contains(p.Values, text) {
		return nil, fmt.Errorf("%s must be %s, got %q", p.Name, p.Range(), text)
	}
	return text, nil
}

// checkRange refuses a number x that is not in the range; setting is the same in the
// parameter's own type.
func (p Param) checkRange(x float64, setting any) error {
	bounded := p.Min != 0 || p.Max != 0
	switch {
	case slices.Contains(p.Also, x):
		return nil
	case math.IsNaN(x) || math.IsInf(x, 0):
		return fmt.Errorf("%s must be a finite number, got %v", p.Name, setting)
	case bounded && (x < p.Min || x > p.Max || p.OpenMin && x == p.Min || p.OpenMax && x == p.Max):
		return fmt.Errorf("%s must be %s, got %v", p.Name, p.Range(), setting)
	}
	return nil
}

// Condition says under which settings an input is there, found by trying them one
// parameter at a time: "only with boxes=xyxy or cxcywh", "not with masks=true"; ""
// is always.
func (l *Loss) Condition(in Input) string {
	if in.When == nil {
		return ""
	}
	defaults, err := l.Params(nil)
	if err != nil {
		return ""
	}
	var change, keep []string // settings, a parameter each
	for _, p := range l.Declare {
		changing, keeping := l.deciding(in, p, in.When(defaults))
		if len(changing) > 0 {
			change = append(change, p.Name+"="+strings.Join(changing, " or "))
		}
		if len(changing) > len(keeping) {
			keep = append(keep, p.Name+"="+strings.Join(keeping, " or "))
		}
	}
	switch {
	case len(change) == 0:
		return ""
	case !in.When(defaults):
		return "only with " + strings.Join(change, " or ")
	case len(change) == 1 && len(keep) == 1:
		return "only with " + keep[0]
	}
	return "not with " + strings.Join(change, " or ")
}

// deciding sorts a parameter's values into those that change whether an input is
// there, other parameters being as they are by default, and those that do not.
func (l *Loss) deciding(in Input, p Param, byDefault bool) (changing, keeping []string) {
	for _, value := range p.choices() {
		settings, err := l.Params(map[string]any{p.Name: value})
		switch {
		case err != nil:
		case in.When(settings) != byDefault:
			changing = append(changing, fmt.Sprint(value))
		default:
			keeping = append(keeping, fmt.Sprint(value))
		}
	}
	return changing, keeping
}

// choices lists the values of a parameter that has only some, else those declared.
func (p Param) choices() []any {
	switch p.Kind {
	case Bool:
		return []any{false, true}
	case String:
		choices := make([]any, len(p.Values))
		for i, value := range p.Values {
			choices[i] = value
		}
		return choices
	}
	return append([]any{p.Default}, p.Try...)
}
