package verify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/testneeds"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
	"github.com/onnxloss/onnxloss/runtime/ort"
	"github.com/onnxloss/onnxloss/runtime/verify"
)

// skewed is an engine whose losses are changed on the way out.
type skewed struct {
	engine.Engine
	change func(float64) float64
}

type skewedSession struct {
	engine.Session
	change func(float64) float64
}

func (s skewed) Load(model []byte) (engine.Session, error) {
	session, err := s.Engine.Load(model)
	return skewedSession{session, s.change}, err
}

func (s skewedSession) Run(inputs map[string]engine.Tensor) (map[string]engine.Tensor, error) {
	outputs, err := s.Session.Run(inputs)
	if err != nil {
		return nil, err
	}
	numbers := outputs["loss"].Float64s()
	for i, x := range numbers {
		numbers[i] = s.change(x)
	}
	outputs["loss"], err = engine.FromFloat64s(outputs["loss"].DType(), outputs["loss"].Shape(), numbers)
	return outputs, err
}

// refusing is an engine that supports nothing.
type refusing struct{}

func (refusing) Name() string { return "refusing" }

func (r refusing) Load([]byte) (engine.Session, error) { return r.LoadIn(nil, "") }

func (refusing) LoadIn([]byte, string) (engine.Session, error) {
	return nil, fmt.Errorf("refusing: no operator at all: %w", engine.ErrUnsupported)
}

// one chooses one cell of a loss.
func one(loss *losses.Loss, engines ...engine.Engine) verify.Options {
	return verify.Options{
		Losses: []*losses.Loss{loss}, Forms: []export.Form{export.Graph}, DTypes: []ops.DType{ops.Float32},
		Opsets: []int{17}, Reductions: []losses.Reduction{losses.None}, Engines: engines, Seed: 3,
	}
}

func run(t *testing.T, o verify.Options) *verify.Report {
	t.Helper()
	report, err := verify.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func table(t *testing.T, r *verify.Report) string {
	t.Helper()
	var text bytes.Buffer
	if err := r.WriteTable(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// unlessShort leaves out all types but the first where tests should be short.
func unlessShort(dtypes ...ops.DType) []ops.DType {
	if testing.Short() {
		return dtypes[:1]
	}
	return dtypes
}

func TestCatalogueHoldsOnInterp(t *testing.T) {
	dtypes := unlessShort(ops.Float32, ops.Float16)
	report := run(t, verify.Options{Opsets: []int{11, 13, 18}, DTypes: dtypes, Engines: []engine.Engine{interp.New()}})
	if !report.Passed() {
		t.Error(table(t, report))
	}
	want := 0
	for _, loss := range losses.All() {
		want += len(export.Forms()) * len(dtypes) * len(loss.Reductions())
	}
	if len(report.Results) != want {
		t.Errorf("got %d results, want %d", len(report.Results), want)
	}
	for _, r := range report.Results {
		if r.Cases == 0 || r.Elements < r.Cases {
			t.Errorf("%s %s %s %s: %d cases, %d elements", r.Loss, r.Form, r.DType, r.Reduction, r.Cases, r.Elements)
		}
	}
}

func TestCatalogueHoldsOnONNXRuntime(t *testing.T) {
	native, err := ort.New(ort.Options{Threads: 1})
	if err != nil {
		testneeds.Lacking(t, testneeds.ORT, err)
	}
	report := run(t, verify.Options{Opsets: []int{12, 17, ops.MaxOpset}, DTypes: unlessShort(ops.Float32, ops.BFloat16), Engines: []engine.Engine{native}})
	if !report.Passed() {
		t.Error(table(t, report))
	}
}

func TestWrongBuildFails(t *testing.T) {
	broken := *losses.SigmoidFocal
	broken.Build = func(b *ops.Builder, in map[string]ops.Value, p losses.Params) ops.Terms {
		terms := losses.SigmoidFocal.Build(b, in, p)
		if p.Float("gamma") == 1.5 {
			terms.Loss = b.Mul(terms.Loss, b.Scalar(terms.Loss, 1.001))
		}
		return terms
	}
	report := run(t, one(&broken, interp.New()))
	if report.ExitCode() != 1 || report.Passed() {
		t.Fatalf("got exit code %d", report.ExitCode())
	}
	for _, f := range report.Results[0].Failures {
		if f.Variant != "gamma=1.5" || f.Opset != 17 || f.Input == "" || f.Shapes == "" {
			t.Errorf("the failure is at %s", f.Case)
		}
	}
	text := table(t, report)
	again := "onnxloss verify --loss sigmoid-focal --form graph --dtype float32 --opset 17 --reduction none --engine interp --seed 3"
	for _, want := range []string{"FAIL", "gamma=1.5", again} {
		if !strings.Contains(text, want) {
			t.Errorf("the table lacks %q:\n%s", want, text)
		}
	}
}

func TestWhatAnEngineReturnsIsJudged(t *testing.T) {
	tests := []struct {
		name   string
		change func(float64) float64
		pass   bool
	}{
		{"unchanged", func(x float64) float64 { return x }, true},
		{"NaN", func(float64) float64 { return math.NaN() }, false},
		{"infinity", func(float64) float64 { return math.Inf(1) }, false},
		{"one part in a thousand", func(x float64) float64 { return x * 1.001 }, false},
		{"four parts in ten million", func(x float64) float64 { return x * (1 + 8*0x1p-23) }, false},
		{"other sign", func(x float64) float64 { return -x }, false},
		{"small numbers flushed to zero", func(x float64) float64 {
			if math.Abs(x) < 0x1p-126 {
				return 0
			}
			return x
		}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			report := run(t, one(losses.SigmoidCrossEntropy, skewed{interp.New(), test.change}))
			if report.Passed() != test.pass {
				t.Error(table(t, report))
			}
		})
	}
}

func TestHalfTypesOverflowToInfinity(t *testing.T) {
	o := one(losses.SigmoidCrossEntropy, interp.New())
	o.DTypes, o.Reductions = []ops.DType{ops.Float16}, []losses.Reduction{losses.Sum}
	if report := run(t, o); !report.Passed() {
		t.Error(table(t, report))
	}
	o.Engines = []engine.Engine{skewed{interp.New(), func(x float64) float64 { return min(x, 65504) }}}
	if report := run(t, o); report.Passed() {
		t.Error("the largest finite number passes for a sum that is far beyond it")
	}
}

func TestMeanOverNothingMustBeNaN(t *testing.T) {
	o := one(losses.SoftmaxCrossEntropy, interp.New())
	o.Reductions = []losses.Reduction{losses.Mean}
	if report := run(t, o); !report.Passed() {
		t.Error(table(t, report))
	}
	o.Engines = []engine.Engine{skewed{interp.New(), func(x float64) float64 {
		if math.IsNaN(x) {
			return 0
		}
		return x
	}}}
	if report := run(t, o); report.Passed() {
		t.Error("0 passes for the mean over ignored positions only")
	}
}

func TestMissingEngineIsNotAPass(t *testing.T) {
	absent := verify.Unavailable("ort:cuda", fmt.Errorf("no device: %w", engine.ErrUnavailable))
	tests := []struct {
		engines []engine.Engine
		code    int
	}{
		{[]engine.Engine{interp.New(), absent}, 3},
		{[]engine.Engine{absent}, 3},
		{[]engine.Engine{absent, skewed{interp.New(), func(float64) float64 { return 7 }}}, 1},
	}
	for _, test := range tests {
		report := run(t, one(losses.SigmoidCrossEntropy, test.engines...))
		if report.ExitCode() != test.code || report.Passed() {
			t.Errorf("%d engines: got exit code %d, want %d", len(test.engines), report.ExitCode(), test.code)
		}
		if text := table(t, report); !strings.Contains(text, "MISSING ort:cuda: no device") {
			t.Errorf("the table does not say what is missing:\n%s", text)
		}
	}
}

func TestUnsupportedIsNeitherPassNorFailure(t *testing.T) {
	report := run(t, one(losses.SigmoidCrossEntropy, interp.New(), refusing{}))
	if report.ExitCode() != 1 {
		t.Errorf("an engine that ran nothing: got exit code %d, want 1", report.ExitCode())
	}
	text := table(t, report)
	for _, want := range []string{"unsupported", "no operator at all", "sigmoid-cross-entropy on refusing: no case was run"} {
		if !strings.Contains(text, want) {
			t.Errorf("the table lacks %q:\n%s", want, text)
		}
	}
	if report.Failed() != 0 {
		t.Errorf("%d failures", report.Failed())
	}
}

func TestNothingRunIsAFailure(t *testing.T) {
	o := one(losses.SigmoidCrossEntropy, interp.New())
	o.DTypes, o.Opsets = []ops.DType{ops.BFloat16}, []int{11}
	report := run(t, o)
	if report.Cases() != 0 || report.ExitCode() != 1 {
		t.Errorf("got %d cases, exit code %d", report.Cases(), report.ExitCode())
	}
}

func TestSameSeedGivesSameReport(t *testing.T) {
	var reports [3]string
	for i, seed := range []uint64{5, 5, 6} {
		o := one(losses.SoftmaxFocal, interp.New())
		o.Seed = seed
		report := run(t, o)
		report.Seconds = 0
		reports[i] = table(t, report)
	}
	if reports[0] != reports[1] {
		t.Errorf("two runs of one seed differ:\n%s\n%s", reports[0], reports[1])
	}
	if reports[0] == reports[2] {
		t.Error("two seeds give the same report")
	}
}

func TestJSONAndJUnitAreWhole(t *testing.T) {
	report := run(t, one(losses.SigmoidCrossEntropy, skewed{interp.New(), func(float64) float64 { return math.NaN() }},
		verify.Unavailable("ort:cpu", errors.New("no library"))))
	var text bytes.Buffer
	if err := verify.WriteJSON(&text, report); err != nil {
		t.Fatal(err)
	}
	var decoded struct {
		Results []struct {
			Loss, DType, Engine string
			Failed              int
			WorstFraction       struct{ Got, Fraction any } `json:"worst_fraction"`
		}
		Missing []struct{ Engine, Remedy string }
	}
	if err := json.Unmarshal(text.Bytes(), &decoded); err != nil {
		t.Fatal(err)
	}
	got := decoded.Results[0]
	if got.Loss != "sigmoid-cross-entropy" || got.DType != "float32" || got.Failed == 0 || got.WorstFraction.Got != "NaN" || got.WorstFraction.Fraction != "Inf" {
		t.Errorf("got %+v", got)
	}
	if len(decoded.Missing) != 1 || decoded.Missing[0].Remedy == "" {
		t.Errorf("missing: %+v", decoded.Missing)
	}

	text.Reset()
	if err := verify.WriteJUnit(&text, report); err != nil {
		t.Fatal(err)
	}
	var suites struct {
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
	}
	if err := xml.Unmarshal(text.Bytes(), &suites); err != nil {
		t.Fatal(err)
	}
	if suites.Failures != 1 || suites.Errors != 1 {
		t.Errorf("JUnit counts %d failures and %d errors, want 1 and 1", suites.Failures, suites.Errors)
	}
}

func TestCancelledRunIsAnError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := verify.Run(ctx, one(losses.SigmoidFocal, interp.New())); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestProgressReachesTheTotal(t *testing.T) {
	o := one(losses.SigmoidCrossEntropy, interp.New())
	calls, last := 0, 0
	o.Progress = func(done, total int) {
		calls++
		if last = total; done != calls {
			t.Errorf("call %d says %d models are done", calls, done)
		}
	}
	run(t, o)
	if calls == 0 || calls != last {
		t.Errorf("%d calls for %d models", calls, last)
	}
}
