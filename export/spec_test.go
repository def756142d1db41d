package export_test

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

const wholeSpec = `# everything that a spec can say
opset: 17
only_loss: true
total: sum of all
losses:
  - loss: softmax-cross-entropy
    name: classification
    weight: 2.5
    reduction: sum
    form: function
    dtype: float64
    index_type: int32
    set: {label_smoothing: 0.1, ignore_index: -1}
    bind: &bound {logits: class_logits, target: "7"}
    with: [weight]
    shape: {weight: "C"}
    share: true
  - loss: softmax-focal
    weight: new alpha
    bind: *bound
    set:
      gamma: 2
  - loss: l1
    reduction: none
  - loss: bi-tempered-logistic
    weight: beta
    set: {soft_targets: true}
`

// sameSpecs compares specs, but for the lines that they come from.
func sameSpecs(t *testing.T, got, want export.Spec) {
	t.Helper()
	if len(got.Terms) != len(want.Terms) || got.AllOptions != want.AllOptions {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	for i := range got.Terms {
		a, b := got.Terms[i], want.Terms[i]
		for _, field := range reflect.VisibleFields(reflect.TypeFor[export.Term]()) {
			if !field.IsExported() || field.Anonymous {
				continue
			}
			x, y := reflect.ValueOf(a).FieldByIndex(field.Index), reflect.ValueOf(b).FieldByIndex(field.Index)
			empty := x.Kind() == reflect.Map && x.Len()+y.Len() == 0
			if !empty && !reflect.DeepEqual(x.Interface(), y.Interface()) {
				t.Errorf("loss %d: %s is %v, want %v", i+1, field.Name, x, y)
			}
		}
	}
}

func TestParseSpecReadsWhatIsWritten(t *testing.T) {
	got, err := export.ParseSpec([]byte(wholeSpec))
	if err != nil {
		t.Fatal(err)
	}
	bound := map[string]string{"logits": "class_logits", "target": "7"}
	entropy, entropyParams := find(t, "softmax-cross-entropy", map[string]any{"label_smoothing": 0.1, "ignore_index": -1})
	focal, focalParams := find(t, "softmax-focal", map[string]any{"gamma": 2.0})
	l1, l1Params := find(t, "l1", nil)
	tempered, temperedParams := find(t, "bi-tempered-logistic", map[string]any{"soft_targets": true})
	sameSpecs(t, got, export.Spec{
		AllOptions: export.AllOptions{Total: "sum of all", Opset: 17, OnlyLoss: true},
		Terms: []export.Term{
			{Loss: entropy, Params: entropyParams, Weight: 2.5, AttachOptions: export.AttachOptions{
				Options: export.Options{
					Form: export.Function, DType: ops.Float64, Reduction: losses.Sum, With: []string{"weight"},
					Shapes: map[string]ops.Shape{"weight": {ops.Symbolic("C")}}, IndexType: ops.Int32,
				},
				Bind: bound, Output: "classification", Share: true,
			}},
			{Loss: focal, Params: focalParams, WeightFrom: "new alpha", AttachOptions: export.AttachOptions{Bind: bound}},
			{Loss: l1, Params: l1Params, AttachOptions: export.AttachOptions{Options: export.Options{Reduction: losses.None}}},
			{Loss: tempered, Params: temperedParams, WeightFrom: "beta"},
		},
	})
}

func TestParseSpecReadsJSON(t *testing.T) {
	got, err := export.ParseSpec([]byte(`{
	"total": "t", "opset": 13,
	"losses": [
		{"loss": "mse", "weight": -1e-3, "bind": {"prediction": "a\/b\u00e9"}},
		{"loss": "huber", "weight": "new w", "set": {"delta": 2}, "shape": {"target": "[N,3]"}}
	]
}`))
	if err != nil {
		t.Fatal(err)
	}
	want, err := export.ParseSpec([]byte(`
total: t
opset: 13
losses:
  - loss: mse
    weight: -0.001
    bind:
      prediction: a/bé
  - loss: huber
    weight: new w
    set:
      delta: 2.0
    shape:
      target: N,3
`))
	if err != nil {
		t.Fatal(err)
	}
	sameSpecs(t, got, want)
}

func TestParseSpecTakesNumbersInEveryDecimalForm(t *testing.T) {
	for text, want := range map[string]float64{
		"0": 0, "-3": -3, "+2": 2, "2.5": 2.5, ".5": 0.5, "1.": 1, "1e5": 1e5, "-1.5E-3": -1.5e-3, "&w 4": 4, "!!float 4": 4,
		"123456789012345678901234567890": 123456789012345678901234567890,
	} {
		spec, err := export.ParseSpec([]byte("losses:\n- {loss: mse, weight: " + text + "}\n"))
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := spec.Terms[0].Weight; got != want {
			t.Errorf("%s is read as %g", text, got)
		}
	}
}

func TestParseSpecRefusesMistakesByLine(t *testing.T) {
	// one puts lines into the first loss of a spec, from line 3 on
	one := func(lines string) string {
		return "losses:\n  - loss: softmax-cross-entropy\n    " + strings.ReplaceAll(lines, "\n", "\n    ") + "\n"
	}
	for _, test := range []struct{ name, spec, want string }{
		{"nothing", "", "there is nothing in it"},
		{"a comment", "# soon\n", "there is nothing in it"},
		{"two documents", "losses:\n- loss: mse\n---\nlosses:\n- loss: l1\n", "line 3: a second document begins"},
		{"no YAML", "losses: [\n", "line 2: it is not YAML: did not find expected node content"},
		{"no YAML behind the document", "losses:\n- loss: mse\n...\n}\n", "line 4: it is not YAML"},
		{"a tab", "losses:\n\t- loss: mse\n", "line 2: it is not YAML"},
		{"bytes that are no text", "losses: \xff\n", "it is not YAML"},
		{"an alias of nothing", "losses: *all\n", "line 1: it is not YAML: unknown anchor 'all' referenced"},
		{"a list", "- loss: mse\n", "line 1: the spec must be a mapping of keys to values, found a list"},
		{"text", "mse\n", `line 1: the spec must be a mapping of keys to values, found the text "mse"`},
		{"no losses", "total: sum\n", "line 1: the key losses is missing"},
		{"an empty list", "total: sum\nlosses: []\n", "line 2: losses is an empty list"},
		{"no list", "losses:\n  loss: mse\n", "line 2: losses must be a list, found a mapping"},
		{"losses of nothing", "losses:\n", "line 1: losses must be a list, found nothing"},
		{"an item that is no mapping", "losses:\n- mse\n", `line 2: an item of losses must be a mapping of keys to values, found the text "mse"`},
		{"an item that is the list", "losses: &all\n- *all\n", "line 1: an item of losses must be a mapping of keys to values, found a list"},
		{"an unknown key", "losses:\n- loss: mse\ntotl: sum\n", `line 3: unknown key "totl"; did you mean "total"?`},
		{"a key like nothing", "losses:\n- loss: mse\nfrobnicate: 1\n", `line 3: unknown key "frobnicate"; known are losses, total, opset, only_loss`},
		{"an unknown key of a loss", one("wieght: 2"), `line 3: unknown key "wieght"; did you mean "weight"?`},
		{"a key twice", "total: a\nlosses:\n- loss: mse\ntotal: b\n", `line 4: the spec has the key "total" twice, on line 1 too`},
		{"a key of a loss twice", one("weight: 1\nweight: 1"), `line 4: an item of losses has the key "weight" twice, on line 3 too`},
		{"a merge key", "losses:\n- &a {loss: mse}\n- <<: *a\n", "line 3: an item of losses has the merge key <<"},
		{"a key that is a list", "losses:\n- loss: mse\n? [a]\n: b\n", "line 3: a key of the spec must be text, found a list"},
		{"a key that is a number", one("bind: {7: a}"), `line 3: a key of bind must be text, found the number "7"; write it in quotes`},
		{"no loss", "losses:\n- name: a\n", "line 2: the key loss is missing"},
		{"an unknown loss", "losses:\n- name: a\n  loss: msee\n", `line 3: losses: unknown loss "msee"; did you mean "mse"?`},
		{"a perceptual loss", "losses:\n- loss: perceptual\n", "line 2: perceptual needs a feature network"},
		{"a loss that is a number", "losses:\n- loss: 5\n", `line 2: loss must be text, found the number "5"; write it in quotes`},
		{"a name of nothing", one("name:"), "line 3: name must be text, found nothing"},
		{"an empty name", one("name: ''"), "line 3: name is empty"},
		{"a name that is a date", one("name: 2024-01-01"), `line 3: name must be text, found "2024-01-01"; write it in quotes`},
		{"a name twice", one("name: a\n") + "  - loss: mse\n    name: a\n", `line 6: the output name "a" is that of line 3 too`},
		{"a name that is the total's", "total: a\n" + one("name: a"), `line 4: the output name "a" is that of line 1 too`},
		{"a weight of nothing", one("weight:"), "line 3: weight must be a number, new NAME for an input, or the name of a tensor, found nothing"},
		{"a weight that is a list", one("weight: [1]"), "line 3: weight must be a number, new NAME for an input, or the name of a tensor, found a list"},
		{"a weight that is true", one("weight: true"), `line 3: weight must be a number, new NAME for an input, or the name of a tensor, found "true"`},
		{"a weight that is not a number", one("weight: .nan"), `line 3: weight must be a finite number, written as 25, 0.5 or 1e-3, found ".nan"`},
		{"a weight that is nan", one("weight: nan"), `line 3: weight must be a finite number, found "nan"`},
		{"an infinite weight", one("weight: -.inf"), `line 3: weight must be a finite number, written as 25, 0.5 or 1e-3, found "-.inf"`},
		{"an infinite weight by name", one("weight: Infinity"), `line 3: weight must be a finite number, found "Infinity"`},
		{"a weight too large", one("weight: 1e400"), `line 3: weight must be a finite number, found "1e400"`},
		{"a hexadecimal weight", one("weight: 0x10"), `line 3: weight must be a finite number, written as 25, 0.5 or 1e-3, found "0x10"`},
		{"an octal weight", one("weight: 010"), `line 3: weight must be a finite number, written as 25, 0.5 or 1e-3, found "010"`},
		{"a weight with underscores", one("weight: 1_000"), `line 3: weight must be a finite number, written as 25, 0.5 or 1e-3, found "1_000"`},
		{"a tag that is wrong", one("weight: !!float half"), `line 3: weight must be a finite number, written as 25, 0.5 or 1e-3, found "half"`},
		{"a tag of one's own", one("weight: !half 1"), `line 3: weight must be a number, new NAME for an input, or the name of a tensor, found "1"`},
		{"a weight of an unreduced loss", one("reduction: none\nweight: 1"), "line 4: a weight is given for softmax-cross-entropy, whose reduction is none"},
		{"a weight of a head", "losses:\n- loss: tempered-softmax\n  weight: 1\n", "line 3: a weight is given for tempered-softmax, whose reduction is none"},
		{"a total of nothing", "total: all\n" + one("reduction: none"), `line 1: total is the name "all", but there is no total`},
		{"an unknown reduction", one("reduction: avg"), "line 3: reduction: losses: unknown reduction"},
		{"a reduction of a head", "losses:\n- loss: tempered-softmax\n  reduction: mean\n", "line 3: losses: tempered-softmax"},
		{"an unknown form", one("form: grph"), "line 3: form: export: unknown form"},
		{"an unknown type", one("dtype: float"), "line 3: dtype: ops: unknown element type"},
		{"an integer type", one("dtype: int64"), "line 3: dtype cannot be int64; use float32, float64, float16, bfloat16"},
		{"an index type that is no integer", one("index_type: float32"), "line 3: index_type cannot be float32; use int64, int32"},
		{"a parameter that is unknown", one("set: {label_smothing: 0.1}"), `line 3: unknown key "label_smothing"; did you mean "label_smoothing"?`},
		{"a parameter of a loss without any", "losses:\n- loss: mse\n  set: {delta: 1}\n", `line 3: unknown key "delta"; there is none`},
		{"a parameter in quotes", one(`set: {label_smoothing: "0.1"}`), `line 3: label_smoothing must be a number, found the text "0.1"`},
		{"a parameter that is no integer", one("set:\n  ignore_index: 1.5"), `line 4: ignore_index must be a whole number, found the number "1.5"`},
		{"a parameter beyond all integers", one("set:\n  ignore_index: 9223372036854775808"), `line 4: ignore_index must be a whole number, written as 25, found "9223372036854775808"`},
		{"a parameter that is yes", one("set: {soft_targets: yes}"), `line 3: soft_targets must be true or false, found the text "yes"`},
		{"a parameter that is no text", "losses:\n- loss: iou-balanced-sigmoid\n  set: {boxes: 1}\n", `line 3: boxes must be text, found the number "1"; write it in quotes`},
		{"a parameter out of range", one("set: {label_smoothing: 2}"), "line 3: losses: softmax-cross-entropy: label_smoothing must be"},
		{"parameters in a list", one("set: [label_smoothing]"), "line 3: set must be a mapping of keys to values, found a list"},
		{"a binding of no input", one("bind:\n  logit: a"), `line 4: unknown key "logit"; did you mean "logits"?`},
		{"a binding to a number", one("bind: {logits: 7}"), `line 3: logits must be text, found the number "7"; write it in quotes`},
		{"an input that is not optional", one("with: [target]"), `line 3: unknown optional input "target"`},
		{"an input twice", one("with: [weight, weight]"), `line 3: with has "weight" twice`},
		{"inputs that are no list", one("with: weight"), `line 3: with must be a list, found the text "weight"`},
		{"a shape that is none", one("shape: {target: \"N,-1\"}"), "line 3: target: ops: shape \"N,-1\" has the negative size -1"},
		{"a shape that is a list", one("shape: {target: [N]}"), "line 3: target must be text, found a list"},
		{"an opset in quotes", "opset: \"17\"\nlosses:\n- loss: mse\n", `line 1: opset must be a whole number, found the text "17"`},
		{"an opset too old", "opset: 3\nlosses:\n- loss: mse\n", "line 1: opset is 3; use 9 to 26"},
		{"an opset of 0", "opset: 0\nlosses:\n- loss: mse\n", "line 1: opset is 0; use 9 to 26"},
		{"an opset that no int holds", "opset: 4294967313\nlosses:\n- loss: mse\n", "line 1: opset is 4294967313; use"},
		{"a flag that is yes", "only_loss: yes\nlosses:\n- loss: mse\n", `line 1: only_loss must be true or false, found the text "yes"`},
		{"a flag with a tag", "only_loss: !!bool yes\nlosses:\n- loss: mse\n", `line 1: only_loss must be true or false, found "yes"`},
		{"text that is long", one("reduction: [" + strings.Repeat("x", 1000) + "]\n" + strings.Repeat("y", 1000) + ": 1"), `line 4: unknown key "` + strings.Repeat("y", 60) + `..."`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := export.ParseSpec([]byte(test.spec))
			if err == nil || !strings.HasPrefix(err.Error(), "export: spec: "+test.want) {
				t.Fatalf("%v, want export: spec: %s ...", err, test.want)
			}
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("more than one line: %q", err)
			}
		})
	}
}

func TestASpecIsAttachedAndItsErrorsNameItsLines(t *testing.T) {
	parse := func(text string) export.Spec {
		spec, err := export.ParseSpec([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return spec
	}
	host := hostModel(t, 13, output{"scores", ops.Float32, "N"})
	spec := parse("opset: 17\nlosses:\n- {loss: mse, weight: new}\n- {loss: l1, reduction: sum, weight: 3, bind: {target: target}}\n")
	model, err := export.AttachAll(host, spec.Terms, spec.AllOptions)
	if err != nil {
		t.Fatal(err)
	}
	got := runModel(t, model, map[string]engine.Tensor{
		"in_scores": engine.Must([]int{2}, []float32{1, 2}), "target": engine.Must([]int{2}, []float32{1, 6}),
		"mse_weight": engine.Must([]int{}, []float32{-0.5}),
	})
	if total := got["loss"].Float64s(); model.Opset() != 17 || !(math.Abs(total[0]-(-0.5*2.5+3*3)) <= 1e-6) {
		t.Errorf("opset %d, the total is %v", model.Opset(), total)
	}
	spec = parse("losses:\n- loss: mse\n- loss: l1\n  bind: {target: nothing}\n")
	if _, err := export.AttachAll(host, spec.Terms, spec.AllOptions); err == nil || !strings.HasPrefix(err.Error(), "export: attach: line 3, l1: ") {
		t.Errorf("got the error %v", err)
	}
}

func ExampleParseSpec() {
	spec, err := export.ParseSpec([]byte(`
losses:
  - loss: sigmoid-focal
    weight: 2.5
    set: {gamma: 1.5}
    bind: {logits: class_logits}
  - loss: giou
    weight: new box_weight
    bind: {prediction: boxes}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	model, err := models.Open("../testdata/models/detector.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	attached, err := export.AttachAll(model, spec.Terms, spec.AllOptions)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, in := range attached.Inputs() {
		fmt.Println("input", in.Name)
	}
	for _, out := range attached.Outputs() {
		fmt.Println("output", out.Name)
	}
	// Output:
	// input image
	// input target
	// input target_2
	// input box_weight
	// output class_logits
	// output boxes
	// output sigmoid-focal
	// output giou
	// output loss
}

func FuzzParseSpec(f *testing.F) {
	for _, seed := range []string{
		wholeSpec, "", "losses: &a [*a]", "losses:\n- &a {loss: mse}\n- *a\n- <<: *a\n", `{"losses":[{"loss":"mse","weight":"new w"}]}`,
		"losses:\n- {loss: huber, set: {delta: 1e-3}, weight: .inf, shape: {target: \"N,?,...\"}}\n---\n", "%YAML 1.1\n---\n!!map {? a : b}\n...\n",
		"losses:\n- loss: |\n    mse\n  name: >-\n    a\n    b\n", "a: \"\\x07\u2028\"",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		spec, err := export.ParseSpec(data)
		switch {
		case err != nil && (strings.ContainsAny(err.Error(), "\n\r") || len(err.Error()) > 2000):
			t.Errorf("the error is no sentence: %q", err)
		case err == nil && len(spec.Terms) == 0:
			t.Error("a spec without a loss")
		case err == nil:
			for _, term := range spec.Terms {
				if term.Loss == nil || term.Params == nil || math.IsNaN(term.Weight) || math.IsInf(term.Weight, 0) {
					t.Errorf("a term is %+v", term)
				}
			}
		}
	})
}
