package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/npy"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/verify"
)

// result is what one command line did.
type result struct {
	code           int
	stdout, stderr string
}

func command(t *testing.T, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(context.Background(), args, &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

func mustHold(t *testing.T, args ...string) string {
	t.Helper()
	r := command(t, args...)
	if r.code != 0 || r.stderr != "" {
		t.Fatalf("onnxloss %s: exit code %d, stderr %q", strings.Join(args, " "), r.code, r.stderr)
	}
	return r.stdout
}

// workIn moves to a new folder that has arrays for a focal loss and a cross-entropy.
func workIn(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	save(t, "x.npy", engine.Must([]int{2, 3}, []float32{1, -2, 0.5, 3, 0, -1}))
	save(t, "y.npy", engine.Must([]int{2, 3}, []float64{1, 0, 0, 1, 0, 1}))
	save(t, "labels.npy", engine.Must([]int{2}, []int64{2, 0}))
	save(t, "bad_labels.npy", engine.Must([]int{2}, []int64{3, 0}))
	save(t, "short.npy", engine.Must([]int{3}, []int64{0, 1, 2}))
	if err := os.WriteFile("text.onnx", []byte("this is no model\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func save(t *testing.T, path string, tensor engine.Tensor) {
	t.Helper()
	if err := npy.Write(path, tensor); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, path string) engine.Tensor {
	t.Helper()
	tensor, err := npy.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return tensor
}

func describeFile(t *testing.T, path string) export.Description {
	t.Helper()
	model, err := models.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	d, err := export.Describe(model)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestListAndDescribeCoverTheCatalogueInEightyColumns(t *testing.T) {
	listed := mustHold(t, "list")
	for _, loss := range losses.All() {
		if !strings.Contains(listed, loss.Command()+" ") {
			t.Errorf("%s is not listed", loss.Command())
		}
		page := mustHold(t, "describe", loss.Command())
		for _, in := range loss.Inputs {
			if !strings.Contains(page, "  "+in.Name+":") {
				t.Errorf("%s: input %s is not described", loss.Command(), in.Name)
			}
		}
		for _, p := range loss.Declare {
			if !strings.Contains(page, "  "+p.Name+":") {
				t.Errorf("%s: parameter %s is not described", loss.Command(), p.Name)
			}
		}
		// Formulas stay as they are written.
		before, _, _ := strings.Cut(page, "\nFORMULA")
		_, after, _ := strings.Cut(page, "\nMEANING")
		checkWidth(t, listed+before+after)
	}
}

func checkWidth(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > columns {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func TestJSONOutputIsJSON(t *testing.T) {
	workIn(t)
	mustHold(t, "export", "sigmoid-focal", "-o", "f.onnx")
	for _, args := range [][]string{
		{"list", "--json"},
		{"describe", "sigmoid-focal", "--json"},
		{"describe", "softmax-cross-entropy", "--json"},
		{"eval", "sigmoid-focal", "--input", "logits=x.npy", "--input", "target=y.npy", "--grad", "--json"},
		{"verify", "f.onnx", "--engine", "interp", "--json"},
	} {
		var value any
		if err := json.Unmarshal([]byte(mustHold(t, args...)), &value); err != nil {
			t.Errorf("%s: %v", strings.Join(args, " "), err)
		}
	}
}

func TestExportWritesWhatWasAskedFor(t *testing.T) {
	workIn(t)
	said := mustHold(t, "export", "softmax-focal", "-o", "f.onnx", "--form", "function", "--opset", "18",
		"--dtype", "float64", "--reduction", "sum", "--set", "gamma=1.5", "--with", "weight", "--shape", "N,5,H,W")
	if strings.Count(said, "\n") != 1 || !strings.Contains(said, "logits float64[N,5,H,W]") {
		t.Errorf("said %q", said)
	}
	d := describeFile(t, "f.onnx")
	if d.Loss.Command() != "softmax-focal" || d.Form != export.Function || d.Opset != 18 ||
		d.DType.String() != "float64" || d.Reduction != losses.Sum || d.Params.Float("gamma") != 1.5 || d.Inputs["weight"] == "" {
		t.Errorf("the file says %+v", d)
	}
}

func TestExportToStandardOutputWritesTheModelAlone(t *testing.T) {
	r := command(t, "export", "sigmoid-focal", "-o", "-")
	if r.code != 0 || !strings.HasPrefix(r.stderr, "standard output: ") {
		t.Fatalf("exit code %d, stderr %q", r.code, r.stderr)
	}
	if err := export.Check([]byte(r.stdout)); err != nil {
		t.Error(err)
	}
}

func TestAttachScoreAndVerifyOneModel(t *testing.T) {
	workIn(t)
	mustHold(t, "export", "sigmoid-cross-entropy", "-o", "host.onnx", "--reduction", "none")
	stripMetadata(t, "host.onnx")
	mustHold(t, "attach", "host.onnx", "sigmoid-focal", "-o", "both.onnx", "--bind", "logits=loss", "--bind", "target=target",
		"--reduction", "none", "--name", "focal")
	if d := describeFile(t, "both.onnx"); d.Output != "focal" || d.Inputs["logits"] != "loss" || !d.Attached {
		t.Errorf("the file says %+v", d)
	}
	mustHold(t, "verify", "both.onnx", "--engine", "interp")

	save(t, "y32.npy", engine.Must([]int{2, 3}, []float32{1, 0, 0, 1, 0, 1}))
	said := mustHold(t, "score", "both.onnx", "--engine", "interp", "--batch", "1", "--name", "focal",
		"--input", "logits=x.npy", "--input", "target=y32.npy", "-o", "s.npy")
	for _, want := range []string{"engine   interp", "samples  2", "worst    index"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not in %s", want, said)
		}
	}
	if got := load(t, "s.npy"); !slices.Equal(got.Shape(), []int{2}) {
		t.Errorf("got %s", got)
	}
}

func TestAdaptersAreShownAndVerified(t *testing.T) {
	workIn(t)
	mustHold(t, "export", "mse", "-o", "host.onnx", "--reduction", "none", "--shape", "N,3")
	stripMetadata(t, "host.onnx")
	attached := mustHold(t, "attach", "host.onnx", "sigmoid-focal", "-o", "both.onnx", "--bind", "target=new labels | one-hot 3")
	if want := "target=(labels | one-hot 3) float32[N,3]"; !strings.Contains(attached, want) {
		t.Errorf("%q is not in %s", want, attached)
	}
	if want, said := "target=(labels | one-hot 3)", mustHold(t, "inspect", "both.onnx"); !strings.Contains(said, want) {
		t.Errorf("%q is not in %s", want, said)
	}
	mustHold(t, "verify", "both.onnx", "--engine", "interp")
	mustHold(t, "detach", "both.onnx", "-o", "back.onnx")
	host, err := os.ReadFile("host.onnx")
	if err != nil {
		t.Fatal(err)
	}
	if back, err := os.ReadFile("back.onnx"); err != nil || !bytes.Equal(back, host) {
		t.Errorf("detached, the bytes differ: %v", err)
	}
}

// stripMetadata makes of an exported loss a model like any other.
func stripMetadata(t *testing.T, path string) {
	t.Helper()
	model, err := models.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	made := &models.Model{Proto: model.Proto}
	made.Proto.MetadataProps = nil
	if err := made.Save(path); err != nil {
		t.Fatal(err)
	}
}

func TestEvalWritesLossAndGradient(t *testing.T) {
	workIn(t)
	said := mustHold(t, "eval", "softmax-cross-entropy", "--input", "logits=x.npy", "--input", "target=labels.npy",
		"--reduction", "none", "--grad", "-o", "out.npy")
	if !strings.Contains(said, "d loss / d logits") {
		t.Errorf("said %q", said)
	}
	x, got := load(t, "x.npy").Float64s(), load(t, "out.npy").Float64s()
	want := math.Log(math.Exp(x[0])+math.Exp(x[1])+math.Exp(x[2])) - x[2]
	if !(math.Abs(got[0]-want) <= 1e-12) {
		t.Errorf("loss: got %v, want %v", got[0], want)
	}
	gradient := load(t, "out.grad.logits.npy").Float64s()
	if sum := gradient[0] + gradient[1] + gradient[2]; !(math.Abs(sum) <= 1e-12) || !(gradient[2] < 0) {
		t.Errorf("gradient: got %v", gradient)
	}
}

func TestVerifyWritesReports(t *testing.T) {
	workIn(t)
	said := mustHold(t, "verify", "--loss", "sigmoid-focal", "--form", "graph", "--dtype", "float32", "--opset", "17",
		"--reduction", "mean", "--engine", "interp", "--json", "report.json", "--junit", "report.xml")
	if !strings.Contains(said, "sigmoid-focal") {
		t.Errorf("no table: %q", said)
	}
	for _, path := range []string{"report.json", "report.xml"} {
		if data, err := os.ReadFile(path); err != nil || !bytes.Contains(data, []byte("sigmoid-focal")) {
			t.Errorf("%s: %v, %.80q", path, err, data)
		}
	}
}

func TestVerifyReportsEveryFileAlsoWhenOneCannotBeRead(t *testing.T) {
	workIn(t)
	mustHold(t, "export", "sigmoid-focal", "-o", "a.onnx")
	mustHold(t, "export", "softmax-focal", "-o", "b.onnx")
	got := command(t, "verify", "a.onnx", "none.onnx", "b.onnx", "--engine", "interp", "--json", "report.json", "--junit", "report.xml")
	if got.code != exitUsage || !strings.Contains(got.stderr, "none.onnx") {
		t.Errorf("exit code %d, stderr %q", got.code, got.stderr)
	}
	data, err := os.ReadFile("report.json")
	if err != nil {
		t.Fatal(err)
	}
	var reports []verify.Report
	if err := json.Unmarshal(data, &reports); err != nil || len(reports) != 2 || reports[1].File != "b.onnx" || len(reports[1].Results) == 0 {
		t.Errorf("%v, %d reports", err, len(reports))
	}
	if data, err = os.ReadFile("report.xml"); err != nil || !bytes.Contains(data, []byte("a.onnx: sigmoid-focal")) {
		t.Errorf("%v, %s", err, data)
	}
}

func TestVerifyWithoutORTListsItAsMissing(t *testing.T) {
	workIn(t)
	mustHold(t, "export", "sigmoid-focal", "-o", "f.onnx")
	t.Setenv("ONNXLOSS_ORT", filepath.Join(t.TempDir(), "nowhere"))
	if said := mustHold(t, "verify", "f.onnx"); !strings.Contains(said, "MISSING ort:cpu") {
		t.Errorf("said %q", said)
	}
	for _, args := range [][]string{
		{"verify", "f.onnx", "--engine", "interp,ort"},
		{"verify", "f.onnx", "--engine", "ort:cpu"},
		{"verify", "f.onnx", "--provider", "cpu"},
		{"doctor", "--quiet"},
		{"doctor", "--ort", "nowhere"},
	} {
		if r := command(t, args...); r.code != exitUnavailable || !strings.HasPrefix(r.stderr, "onnxloss: ") {
			t.Errorf("%s: exit code %d, stderr %q", strings.Join(args, " "), r.code, r.stderr)
		}
	}
	if said := mustHold(t, "doctor"); !strings.Contains(said, "not there") || !strings.Contains(said, "doctor --fetch") {
		t.Errorf("doctor said %q", said)
	}
}

func TestAWrongModelDiffers(t *testing.T) {
	workIn(t)
	mustHold(t, "export", "sigmoid-focal", "-o", "f.onnx", "--set", "gamma=1")
	model, err := models.Open("f.onnx")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range model.Proto.MetadataProps {
		if entry.GetKey() == "onnxloss.params" {
			*entry.Value = strings.Replace(entry.GetValue(), `"gamma":1`, `"gamma":3`, 1)
		}
	}
	if err := (&models.Model{Proto: model.Proto}).Save("wrong.onnx"); err != nil {
		t.Fatal(err)
	}
	if r := command(t, "verify", "wrong.onnx", "--engine", "interp"); r.code != exitDiffers || !strings.Contains(r.stderr, "verification failed") {
		t.Errorf("exit code %d, stderr %q", r.code, r.stderr)
	}
}

func TestCompletionKnowsLossesAndParameters(t *testing.T) {
	for _, test := range []struct {
		want string
		args []string
	}{
		{"sigmoid-focal\t", []string{"describe", ""}},
		{"gamma=\t", []string{"export", "sigmoid-focal", "--set", ""}},
		{"pos_weight\t", []string{"attach", "m.onnx", "sigmoid-focal", "--with", ""}},
		{"bfloat16\n", []string{"export", "sigmoid-focal", "--dtype", ""}},
		{"sigmoid-focal\t", []string{"attach", "m.onnx", ""}},
		{"yaml\nyml\njson\n:8\n", []string{"attach", "m.onnx", "--spec", ""}},
	} {
		r := command(t, append([]string{"__complete"}, test.args...)...)
		if !strings.Contains(r.stdout, test.want) {
			t.Errorf("%s: %q is not in %q", strings.Join(test.args, " "), test.want, r.stdout)
		}
	}
	if r := command(t, "__complete", "attach", "m.onnx", "--spec", "a.yaml", ""); strings.Contains(r.stdout, "focal") {
		t.Errorf("a loss is offered beside a spec: %q", r.stdout)
	}
}

func TestEveryCommandHasHelpWithAnExample(t *testing.T) {
	for _, cmd := range newRoot().Commands() {
		if cmd.Short == "" || cmd.Long == "" || cmd.Example == "" {
			t.Errorf("%s: the help is not complete", cmd.Name())
		}
		said := mustHold(t, cmd.Name(), "--help")
		checkWidth(t, said)
		if !strings.Contains(said, "Examples:") {
			t.Errorf("%s: the help shows no example", cmd.Name())
		}
	}
	checkWidth(t, mustHold(t, "--help"))
	if said := mustHold(t, "version"); !strings.HasPrefix(said, "onnxloss "+export.Version) {
		t.Errorf("version said %q", said)
	}
}
