package verify

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
)

// Report is what a verification found.
type Report struct {
	// File is the model that was verified, "" for the catalogue.
	File    string    `json:"file,omitempty"`
	Seed    uint64    `json:"seed"`
	Results []Result  `json:"results"`
	Missing []Missing `json:"missing"`
	// NotRun names each loss and engine that did not run one case together; that
	// is a failure.
	NotRun []string `json:"not_run"`
	// Seconds is how long it took.
	Seconds float64 `json:"seconds"`

	expected []pair // of loss and engine, that must have run
}

type pair struct{ loss, engine string }

// Result is one loss in one form, element type and reduction on one engine, over
// all opsets, parameters and inputs.
type Result struct {
	Loss      string           `json:"loss"`
	Form      export.Form      `json:"form"`
	DType     DType            `json:"dtype"`
	Reduction losses.Reduction `json:"reduction"`
	Engine    string           `json:"engine"`
	// Cases counts the results compared: a model with one set of inputs each.
	Cases    int `json:"cases"`
	Elements int `json:"elements"`
	// Failed counts cases that differ, and models that could not be run at all.
	Failed int `json:"failed"`
	// Failures has the first few of them.
	Failures []Failure `json:"failures"`
	// Unsupported counts models that the engine says it does not support, neither
	// a pass nor a failure; Reason is the first one's.
	Unsupported int    `json:"unsupported"`
	Reason      string `json:"reason,omitempty"`
	// WorstULP is the element with the largest error in spacings of the element
	// type, WorstFraction the one that came nearest to its tolerance or went
	// beyond it furthest. Both are nil where every element was exact.
	WorstULP      *Point `json:"worst_ulp"`
	WorstFraction *Point `json:"worst_fraction"`
}

// Case says where something was found.
type Case struct {
	Variant string   `json:"variant"`        // "defaults", or one parameter's value
	With    []string `json:"with,omitempty"` // optional inputs
	Opset   int      `json:"opset"`
	Input   string   `json:"input,omitempty"` // kind of the inputs
	Shapes  string   `json:"shapes,omitempty"`
	Seed    uint64   `json:"seed"`

	file string
}

// Point is one element of a result.
type Point struct {
	Case
	Index []int  `json:"index"`
	Got   Number `json:"got"`
	Want  Number `json:"want"` // the float64 reference
	// ULP is the error in spacings of the element type at the reference, beyond
	// what may be lost by flushing small numbers to zero.
	ULP Number `json:"ulp"`
	// Fraction is the error over the tolerance; beyond 1 is a failure.
	Fraction Number `json:"fraction"`
}

// Failure is a case that does not hold.
type Failure struct {
	Case
	Message string `json:"message"`
	// Command shows the failure again.
	Command string `json:"command"`
}

// Missing is an engine that was asked for and is not there.
type Missing struct {
	Engine string `json:"engine"`
	Reason string `json:"reason"`
	Remedy string `json:"remedy"`
}

// DType is an element type that is written by name.
type DType struct{ ops.DType }

// MarshalText gives the name.
func (d DType) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the name.
func (d *DType) UnmarshalText(text []byte) (err error) {
	d.DType, err = ops.ParseDType(string(text))
	return err
}

// Number is a float64 whose JSON is "NaN", "Inf" or "-Inf" where there is no
// number for it.
type Number float64

// MarshalJSON writes a number or one of the three words.
func (n Number) MarshalJSON() ([]byte, error) {
	switch x := float64(n); {
	case math.IsNaN(x):
		return []byte(`"NaN"`), nil
	case math.IsInf(x, 1):
		return []byte(`"Inf"`), nil
	case math.IsInf(x, -1):
		return []byte(`"-Inf"`), nil
	}
	return json.Marshal(float64(n))
}

func newMissing(engine string, err error) Missing {
	remedy := "leave the engine out, or verify on a machine that has it"
	if strings.HasPrefix(engine, "ort") {
		remedy = "run onnxloss doctor, which says where ONNX Runtime and its providers are looked for"
	}
	return Missing{engine, err.Error(), remedy}
}

// add appends a tally's results, or adds them to those of the same key.
func (r *Report) add(t tally) {
	for _, one := range t.results {
		at := -1
		for i := range r.Results {
			if r.Results[i].key() == one.key() {
				at = i
			}
		}
		if at < 0 {
			r.Results = append(r.Results, *one)
			continue
		}
		r.Results[at].merge(one)
	}
}

// finish notes what did not run and how long the rest took.
func (r *Report) finish(started time.Time) {
	ran := map[pair]int{}
	for _, one := range r.Results {
		ran[pair{one.Loss, one.Engine}] += one.Cases
	}
	for _, p := range r.expected {
		if ran[p] == 0 {
			r.NotRun = append(r.NotRun, fmt.Sprintf("%s on %s", p.loss, p.engine))
		}
	}
	r.Seconds = time.Since(started).Seconds()
}

// Cases counts the comparisons made.
func (r *Report) Cases() int {
	n := 0
	for _, one := range r.Results {
		n += one.Cases
	}
	return n
}

// Failed counts the cases that do not hold.
func (r *Report) Failed() int {
	n := 0
	for _, one := range r.Results {
		n += one.Failed
	}
	return n
}

// differs reports whether something was found wrong, or nothing at all was found
// where it should have been.
func (r *Report) differs() bool {
	nothing := r.Cases() == 0 && len(r.Missing) == 0
	return r.Failed() > 0 || len(r.NotRun) > 0 || nothing
}

// Passed reports whether everything asked for was compared and holds.
func (r *Report) Passed() bool { return r.ExitCode() == 0 }

// ExitCode is 0 where everything holds, 1 where something differs or nothing was
// compared, and 3 where the rest holds but an engine asked for is missing.
func (r *Report) ExitCode() int {
	switch {
	case r.differs():
		return 1
	case len(r.Missing) > 0:
		return 3
	}
	return 0
}
