package verify

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/jstemmer/go-junit-report/v2/junit"

	"github.com/onnxloss/onnxloss/ops"
)

// WriteJSON writes a report as a JSON object, several as an array of objects.
func WriteJSON(w io.Writer, reports ...*Report) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	var document any = reports
	if len(reports) == 1 {
		document = reports[0]
	}
	if err := encoder.Encode(document); err != nil {
		return fmt.Errorf("verify: write JSON: %w", err)
	}
	return nil
}

// line folds the results of one loss, engine and element type.
type line struct {
	loss, engine string
	dtype        ops.DType
	total        Result
}

func (r *Report) lines() []*line {
	var lines []*line
	for i := range r.Results {
		one := &r.Results[i]
		var found *line
		for _, l := range lines {
			if l.loss == one.Loss && l.engine == one.Engine && l.dtype == one.DType.DType {
				found = l
			}
		}
		if found == nil {
			found = &line{loss: one.Loss, engine: one.Engine, dtype: one.DType.DType}
			lines = append(lines, found)
		}
		found.total.merge(one)
	}
	return lines
}

func (l *line) verdict() string {
	switch {
	case l.total.Failed > 0:
		return fmt.Sprintf("FAIL (%d)", l.total.Failed)
	case l.total.Cases == 0:
		return "unsupported"
	case l.total.Unsupported > 0:
		return fmt.Sprintf("ok, %d unsupported", l.total.Unsupported)
	}
	return "ok"
}

// WriteTable writes the report for a terminal: a line for each loss, engine and
// element type, then what failed and how to see it again, what an engine does not
// support, what is missing, and the totals.
func (r *Report) WriteTable(w io.Writer) error {
	var text strings.Builder
	if r.File != "" {
		fmt.Fprintf(&text, "%s\n", r.File)
	}
	r.tabulate(&text)
	r.listFailures(&text)
	r.listUnsupported(&text)
	for _, m := range r.Missing {
		fmt.Fprintf(&text, "\nMISSING %s: %s\n  %s\n", m.Engine, m.Reason, m.Remedy)
	}
	for _, n := range r.NotRun {
		fmt.Fprintf(&text, "\nFAIL %s: no case was run\n", n)
	}
	fmt.Fprintf(&text, "\n%s: %d cases, %d failed, seed %d, %.1f s\n", r.summary(), r.Cases(), r.Failed(), r.Seed, r.Seconds)
	if _, err := io.WriteString(w, text.String()); err != nil {
		return fmt.Errorf("verify: write table: %w", err)
	}
	return nil
}

func (r *Report) summary() string {
	switch r.ExitCode() {
	case 0:
		return "ok"
	case 3:
		return "INCOMPLETE, an engine is missing"
	}
	return "FAIL"
}

func (r *Report) tabulate(w io.Writer) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "loss\tengine\tdtype\tcases\tworst ULP\tof bound\tresult")
	for _, l := range r.lines() {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", l.loss, l.engine, l.dtype, l.total.Cases,
			worstULP(l.total.WorstULP), worstFraction(l.total.WorstFraction), l.verdict())
	}
	table.Flush()
}

func worstULP(p *Point) string {
	if p == nil {
		return "0"
	}
	return fmt.Sprintf("%.3g", float64(p.ULP))
}

func worstFraction(p *Point) string {
	if p == nil {
		return "0"
	}
	return fmt.Sprintf("%.2f", float64(p.Fraction))
}

func (r *Report) listFailures(w io.Writer) {
	for i := range r.Results {
		one := &r.Results[i]
		if one.Failed == 0 {
			continue
		}
		fmt.Fprintf(w, "\nFAIL %s: %d failed\n", one.name(), one.Failed)
		for _, f := range one.Failures {
			fmt.Fprintf(w, "  %s\n    %s\n    again: %s\n", f.Case, f.Message, f.Command)
		}
		if more := one.Failed - len(one.Failures); more > 0 {
			fmt.Fprintf(w, "  and %d more\n", more)
		}
	}
}

// listUnsupported writes each engine's reason for each loss and element type once.
func (r *Report) listUnsupported(w io.Writer) {
	for _, l := range r.lines() {
		if l.total.Unsupported > 0 {
			fmt.Fprintf(w, "\nunsupported: %d models of %s, %s, on %s, first\n  %s\n", l.total.Unsupported, l.loss, l.dtype, l.engine, l.total.Reason)
		}
	}
}

// name says which result it is.
func (r *Result) name() string {
	return fmt.Sprintf("%s, %s, %s, %s, on %s", r.Loss, r.Form, r.DType, r.Reduction, r.Engine)
}

// String writes the place in a line.
func (c Case) String() string {
	words := []string{fmt.Sprintf("opset %d", c.Opset), c.Variant}
	if len(c.With) > 0 {
		words = append(words, "with "+strings.Join(c.With, " and "))
	}
	if c.Input != "" {
		words = append(words, c.Input)
	}
	if c.Shapes != "" {
		words = append(words, c.Shapes)
	}
	return strings.Join(words, ", ")
}

// WriteJUnit writes reports as JUnit XML: a suite for each loss, named after the
// file where there is one, and a test case for each of its results. A result
// without cases is skipped, a missing engine an error.
func WriteJUnit(w io.Writer, reports ...*Report) error {
	suites := junit.Testsuites{Name: "onnxloss verify"}
	seconds := 0.0
	for _, r := range reports {
		r.addSuites(&suites)
		seconds += r.Seconds
	}
	suites.Time = fmt.Sprintf("%.3f", seconds)
	if err := suites.WriteXML(w); err != nil {
		return fmt.Errorf("verify: write JUnit: %w", err)
	}
	return nil
}

func (r *Report) addSuites(suites *junit.Testsuites) {
	for _, loss := range r.losses() {
		suite := junit.Testsuite{Name: r.suiteName(loss), ID: len(suites.Suites), Time: "0.000"}
		suite.AddProperty("seed", fmt.Sprint(r.Seed))
		for i := range r.Results {
			if r.Results[i].Loss == loss {
				suite.AddTestcase(r.Results[i].testcase())
			}
		}
		suites.AddSuite(suite)
	}
	if len(r.Missing) > 0 || len(r.NotRun) > 0 {
		suites.AddSuite(r.absences(len(suites.Suites)))
	}
}

func (r *Report) suiteName(of string) string {
	if r.File == "" {
		return of
	}
	return r.File + ": " + of
}

func (r *Report) losses() []string {
	var names []string
	for _, one := range r.Results {
		if len(names) == 0 || names[len(names)-1] != one.Loss {
			names = append(names, one.Loss)
		}
	}
	return names
}

func (r *Result) testcase() junit.Testcase {
	test := junit.Testcase{
		Classname: r.Loss,
		Name:      fmt.Sprintf("%s %s %s %s", r.Engine, r.Form, r.DType, r.Reduction),
	}
	switch {
	case r.Failed > 0:
		var text strings.Builder
		for _, f := range r.Failures {
			fmt.Fprintf(&text, "%s\n  %s\n  again: %s\n", f.Case, f.Message, f.Command)
		}
		test.Failure = &junit.Result{Message: fmt.Sprintf("%d failed", r.Failed), Data: text.String()}
	case r.Cases == 0:
		test.Skipped = &junit.Result{Message: "unsupported: " + r.Reason}
	default:
		test.SystemOut = &junit.Output{Data: fmt.Sprintf("%d cases, %d models unsupported, worst %s ULP, %s of the bound",
			r.Cases, r.Unsupported, worstULP(r.WorstULP), worstFraction(r.WorstFraction))}
	}
	return test
}

// absences is the suite of what should have run and did not.
func (r *Report) absences(id int) junit.Testsuite {
	suite := junit.Testsuite{Name: r.suiteName("engines"), ID: id, Time: "0.000"}
	for _, m := range r.Missing {
		suite.AddTestcase(junit.Testcase{
			Classname: "engines", Name: m.Engine,
			Error: &junit.Result{Message: "missing: " + m.Reason, Data: m.Remedy},
		})
	}
	for _, n := range r.NotRun {
		suite.AddTestcase(junit.Testcase{
			Classname: "engines", Name: n,
			Failure: &junit.Result{Message: "no case was run"},
		})
	}
	return suite
}
