package losses_test

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/losses"
)

// goldenDir is where the golden vectors of the repository are. Another folder of
// the same format, named by ONNXLOSS_GOLDEN, is run instead.
const goldenDir = "../testdata/golden"

// goldenCase is one run of a public reference implementation.
type goldenCase struct {
	Name     string                 `json:"name"`
	Params   map[string]any         `json:"params"`
	Inputs   map[string]goldenArray `json:"inputs"`
	Expected map[string]goldenArray `json:"expected"`
	GradOf   string                 `json:"grad_of"`
	Grad     goldenArrays           `json:"grad"`
	GradMean goldenArrays           `json:"grad_mean"`
	GradNone goldenArrays           `json:"grad_none"` // and "upstream"
	Error    string                 `json:"error"`
}

// kind is the first two parts of a case's name: the last one, which tells seeds,
// shapes and parameters apart, decides nothing.
func (c goldenCase) kind() string {
	parts := strings.SplitN(c.Name, "/", 3)
	return strings.Join(parts[:min(2, len(parts))], "/")
}

type goldenArray struct {
	Shape []int          `json:"shape"`
	Data  []goldenNumber `json:"data"`
}

// goldenArrays leaves out what is null: no gradient reaches that input.
type goldenArrays map[string]*goldenArray

// goldenNumber is a number, or one of the texts NaN, Inf and -Inf.
type goldenNumber float64

func (n *goldenNumber) UnmarshalJSON(data []byte) error {
	switch string(data) {
	case `"NaN"`:
		*n = goldenNumber(math.NaN())
	case `"Inf"`:
		*n = goldenNumber(math.Inf(1))
	case `"-Inf"`:
		*n = goldenNumber(math.Inf(-1))
	default:
		return json.Unmarshal(data, (*float64)(n))
	}
	return nil
}

func (a goldenArray) array() losses.Array {
	data := make([]float64, len(a.Data))
	for i, x := range a.Data {
		data[i] = float64(x)
	}
	return losses.Array{Shape: slices.Clone(a.Shape), Data: data}
}

// readGolden reads the cases of all *.json and *.json.gz of a folder.
func readGolden(t *testing.T, dir string) []goldenCase {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.json*"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []goldenCase
	for _, path := range paths {
		read, err := readGoldenFile(path)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		cases = append(cases, read...)
	}
	if len(cases) == 0 {
		t.Fatalf("no golden cases in %s", dir)
	}
	return cases
}

func readGoldenFile(path string) ([]goldenCase, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var from io.Reader = file
	if strings.HasSuffix(path, ".gz") {
		if from, err = gzip.NewReader(file); err != nil {
			return nil, err
		}
	}
	var document struct{ Cases []goldenCase }
	if err := json.NewDecoder(from).Decode(&document); err != nil {
		return nil, err
	}
	return document.Cases, nil
}

// TestGolden holds the references against what public implementations gave:
// value and gradient, every reduction.
func TestGolden(t *testing.T) {
	dir, other := os.LookupEnv("ONNXLOSS_GOLDEN")
	if !other {
		dir = goldenDir
	}
	run, compared, faults := 0, 0, 0
	kinds, excluded := map[string]int{}, map[string]int{}
	for _, c := range readGolden(t, dir) {
		if reason := exclusion(c); reason != "" {
			excluded[reason]++
			continue
		}
		run++
		kinds[c.kind()]++
		t.Run(c.Name, func(t *testing.T) {
			check := checkGolden(t, c)
			compared += check.compared
			faults += check.faults
		})
	}
	t.Logf("%s: ran %d cases, compared %d numbers to 1e-9", dir, run, compared)
	t.Logf("%d numbers are faults of a reference (NaN or infinite where the mathematics is not): ours are finite there", faults)
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		t.Logf("ran %3d %s", kinds[kind], kind)
	}
	for _, reason := range slices.Sorted(maps.Keys(excluded)) {
		t.Logf("excluded %3d: %s", excluded[reason], reason)
	}
	if run == 0 {
		t.Errorf("no case of %s was run", dir)
	}
	if other {
		return
	}
	for _, e := range exclusions {
		if excluded[e.reason] == 0 {
			t.Errorf("the exclusion of %s (%s) matches no case: take it out", e.kind, e.reason)
		}
	}
}

// goldenCheck runs one case.
type goldenCheck struct {
	t     *testing.T
	c     goldenCase
	m     mapped
	terms losses.Terms

	compared, faults int
}

func checkGolden(t *testing.T, c goldenCase) *goldenCheck {
	t.Helper()
	check := &goldenCheck{t: t, c: c}
	convert, ok := mappings[c.kind()]
	if !ok {
		t.Fatalf("the golden test does not know %q: map it to a loss, or exclude it with a reason", c.kind())
	}
	m, err := convert(c)
	if err != nil {
		t.Fatalf("mapping: %v", err)
	}
	check.m = m
	if m.direct != nil {
		check.direct()
		return check
	}
	terms, err := m.loss.Terms(m.in, m.params)
	if c.Error != "" {
		check.raised(terms, err)
		return check
	}
	if err != nil {
		t.Fatal(err)
	}
	check.terms = terms
	check.outputs()
	check.gradient("grad of "+c.GradOf, c.GradOf, c.Grad)
	check.gradient("grad_mean", "mean", c.GradMean)
	check.gradient("grad_none", "none", c.GradNone)
	if check.compared == 0 && check.faults == 0 && len(c.Expected["none"].Data) > 0 {
		t.Error("nothing was compared")
	}
	return check
}

// raised is for a case that the reference refused: its message is no target, but
// ours must either refuse as well or give numbers.
func (g *goldenCheck) raised(terms losses.Terms, err error) {
	if err != nil {
		return
	}
	for i, x := range terms.Loss.Data {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			g.t.Errorf("none[%d] = %g where the reference raised %q", i, x, g.c.Error)
		}
	}
}

// outputs compares every output of the reference with whichever loss serves it.
func (g *goldenCheck) outputs() {
	for output, want := range g.c.Expected {
		if g.m.without[output] != "" {
			continue
		}
		served := false
		for _, m := range append([]mapped{g.m}, g.m.also...) {
			if r, ok := m.reductionOf(output); ok {
				served = true
				g.value(m, output, r, want.array())
			}
		}
		if !served {
			g.t.Errorf("the golden test does not know the output %q", output)
		}
	}
}

func (g *goldenCheck) value(m mapped, output string, r losses.Reduction, want losses.Array) {
	got, err := m.loss.Evaluate(m.in, m.params, r)
	if err != nil {
		g.t.Errorf("%s: %v", output, err)
		return
	}
	got = scaled(got, m.scaleOf(output))
	if m.reshape != nil {
		got = m.reshape(output, got)
	}
	g.compare(output, got, want, m.rounding, r == losses.Mean && g.noMean())
}

// direct compares what the mapping computed, all of it.
func (g *goldenCheck) direct() {
	for output, want := range g.c.Expected {
		if g.m.without[output] != "" {
			continue
		}
		got, ok := g.m.direct.outputs[output]
		if !ok {
			g.t.Errorf("the mapping does not give the output %q", output)
			continue
		}
		g.compare(output, got, want.array(), g.m.rounding, false)
	}
	g.directGradient("grad of "+g.c.GradOf, g.m.direct.grad, g.c.Grad)
	g.directGradient("grad_mean", g.m.direct.gradMean, g.c.GradMean)
	g.directGradient("grad_none", g.m.direct.gradNone, g.c.GradNone)
	if g.compared == 0 && g.faults == 0 {
		g.t.Error("nothing was compared")
	}
}

func (g *goldenCheck) directGradient(what string, got losses.Values, want goldenArrays) {
	for name, array := range want {
		if array == nil || name == "upstream" || g.m.withoutGradient != "" {
			continue
		}
		ours, ok := got[name]
		if !ok {
			g.t.Errorf("%s: the reference has a gradient by %s, ours has none", what, name)
			continue
		}
		g.compare(what+" by "+name, ours, array.array(), g.m.targetRounding, false)
	}
}

// noMean says that the mean is one over nothing, for which NaN is right.
func (g *goldenCheck) noMean() bool {
	if g.terms.Weight == nil {
		return len(g.terms.Loss.Data) == 0
	}
	total := 0.0
	for _, w := range g.terms.Weight.Data {
		total += w
	}
	return total == 0
}

func (g *goldenCheck) gradient(what, of string, want goldenArrays) {
	if len(want) == 0 || g.m.withoutGradient != "" {
		return
	}
	r, ok := g.m.reductionOf(of)
	if !ok {
		g.t.Errorf("%s: the golden test does not know the output %q", what, of)
		return
	}
	upstreamSize := 1.0
	var upstream *losses.Array
	if u := want["upstream"]; u != nil {
		a := u.array()
		if g.m.upstream != nil {
			a = g.m.upstream(a)
		}
		upstream, upstreamSize = &a, max(1, largest(a.Data))
	}
	got, err := g.m.loss.EvaluateGradient(g.m.in, g.m.params, r, upstream)
	if err != nil {
		g.t.Errorf("%s: %v", what, err)
		return
	}
	for name, array := range want {
		if array == nil || name == "upstream" {
			continue
		}
		ours, ok := g.m.gradientOf(name, got)
		if !ok {
			g.t.Errorf("%s: the reference has a gradient by %s, ours has none", what, name)
			continue
		}
		rounding := g.m.rounding
		if name == "target" {
			rounding = g.m.targetRounding
		}
		g.compare(what+" by "+name, scaled(ours, g.m.scaleOf(of)), array.array(), (rounding+g.m.gradientRounding)*upstreamSize, r == losses.Mean && g.noMean())
	}
}

// compare allows 1e-9 of the wanted number, or what the mapping says, and the
// reference's own rounding in float64. Where the reference has NaN or infinity ours must be finite, unless the
// mathematics has no answer there.
func (g *goldenCheck) compare(what string, got, want losses.Array, rounding float64, undefined bool) {
	if !slices.Equal(got.Shape, want.Shape) {
		g.t.Errorf("%s has shape %v, want %v", what, got.Shape, want.Shape)
		return
	}
	for i, want := range want.Data {
		got := got.Data[i]
		finite := !math.IsNaN(got) && !math.IsInf(got, 0)
		switch {
		case math.IsNaN(want) && undefined && strings.HasPrefix(what, "grad"):
			// a slope of what is NaN may be 0 or NaN, in the references too
		case math.IsNaN(want) && undefined:
			if finite {
				g.t.Errorf("%s[%d] = %g, but a mean over nothing is not a number", what, i, got)
			}
			g.compared++
		case math.IsNaN(want) || math.IsInf(want, 0):
			if !finite && got != want && !(g.m.infinite && math.IsInf(got, 1)) {
				g.t.Errorf("%s[%d] = %g; the reference has %g, the mathematics is finite", what, i, got, want)
			}
			g.faults++
		default:
			d := math.Abs(got - want)
			tolerance := g.m.tolerance
			if tolerance == 0 {
				tolerance = 1e-9
			}
			if !(d <= tolerance*math.Abs(want)+rounding) {
				g.t.Errorf("%s[%d] = %.17g, want %.17g (off by %.3g, allowed are %g relative and %.3g)", what, i, got, want, d, tolerance, rounding)
			}
			g.compared++
		}
	}
}

func largest(data []float64) float64 {
	top := 0.0
	for _, x := range data {
		top = max(top, math.Abs(x))
	}
	return top
}
