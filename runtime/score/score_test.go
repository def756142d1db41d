package score_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/npy"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
	"github.com/onnxloss/onnxloss/runtime/score"
)

// info declares a float32 tensor with a shape as ops.ParseShape reads it.
func info(t *testing.T, name, shape string) *onnxpb.ValueInfoProto {
	t.Helper()
	parsed, err := ops.ParseShape(shape)
	if err != nil {
		t.Fatal(err)
	}
	return ops.ValueInfo(name, ops.Float32, parsed)
}

// binary is a model of one node, y = a op b, that has no metadata.
func binary(t *testing.T, op, a, b, y string) *models.Model {
	t.Helper()
	return &models.Model{Proto: &onnxpb.ModelProto{
		IrVersion:   proto.Int64(8),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: proto.Int64(17)}},
		Graph: &onnxpb.GraphProto{
			Name:   proto.String("test"),
			Node:   []*onnxpb.NodeProto{{OpType: &op, Input: []string{"a", "b"}, Output: []string{"y"}}},
			Input:  []*onnxpb.ValueInfoProto{info(t, "a", a), info(t, "b", b)},
			Output: []*onnxpb.ValueInfoProto{info(t, "y", y)},
		},
	}}
}

// exported is a loss by itself.
func exported(t *testing.T, command string, o export.Options) *models.Model {
	t.Helper()
	loss, err := losses.Find(command)
	if err != nil {
		t.Fatal(err)
	}
	params, err := loss.Params(nil)
	if err != nil {
		t.Fatal(err)
	}
	model, err := export.Model(loss, params, o)
	if err != nil {
		t.Fatal(err)
	}
	return model
}

// counting is tensor 0, 1, 2, ... of a shape.
func counting(shape ...int) engine.Tensor {
	n, _ := engine.Count(shape)
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(i)
	}
	return engine.Must(shape, data)
}

func run(t *testing.T, model *models.Model, inputs map[string]engine.Tensor, o score.Options) *score.Result {
	t.Helper()
	result, err := score.Run(context.Background(), interp.New(), model, inputs, o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// recorder is an engine that notes the shape of input a in every batch.
type recorder struct {
	engine.Engine
	seen []string
}

type recording struct {
	engine.Session
	to *recorder
}

func (r *recorder) Load(model []byte) (engine.Session, error) {
	session, err := r.Engine.Load(model)
	return recording{session, r}, err
}

func (s recording) Run(inputs map[string]engine.Tensor) (map[string]engine.Tensor, error) {
	s.to.seen = append(s.to.seen, inputs["a"].String()+" "+inputs["b"].String())
	return s.Session.Run(inputs)
}

func TestRunCutsWhatHasSamplesIntoBatches(t *testing.T) {
	for name, test := range map[string]struct {
		shapeA, shapeB string
		a, b           engine.Tensor
		batch          int
		batches        []string
	}{
		"64 where nothing is said": {
			"N", "N", counting(130), counting(130), 0,
			[]string{"float32[64] float32[64]", "float32[64] float32[64]", "float32[2] float32[2]"},
		},
		"as many as asked for": {
			"N,2", "N,2", counting(5, 2), counting(5, 2), 3,
			[]string{"float32[3,2] float32[3,2]", "float32[2,2] float32[2,2]"},
		},
		"all at once": {"N", "N", counting(5), counting(5), 99, []string{"float32[5] float32[5]"}},
		"no shapes in the model": {
			"...", "...", counting(3, 1), counting(3, 1), 2,
			[]string{"float32[2,1] float32[2,1]", "float32[1,1] float32[1,1]"},
		},
		"a scalar stays whole": {
			"N", "[]", counting(3), counting(), 2,
			[]string{"float32[2] float32[]", "float32[1] float32[]"},
		},
		"a fixed size stays whole": {
			"N,2", "2", counting(3, 2), counting(2), 2,
			[]string{"float32[2,2] float32[2]", "float32[1,2] float32[2]"},
		},
		"the model's own size": {
			"2,1", "2,1", counting(4, 1), counting(4, 1), 3,
			[]string{"float32[2,1] float32[2,1]", "float32[2,1] float32[2,1]"},
		},
		"the model's own size, once": {"2", "2", counting(2), counting(2), 0, []string{"float32[2] float32[2]"}},
		"two sizes in the model": {
			"4,2", "2", counting(8, 2), counting(2), 0,
			[]string{"float32[4,2] float32[2]", "float32[4,2] float32[2]"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			eng := &recorder{Engine: interp.New()}
			inputs := map[string]engine.Tensor{"a": test.a, "b": test.b}
			model := binary(t, "Add", test.shapeA, test.shapeB, "...")
			got, err := score.Run(context.Background(), eng, model, inputs, score.Options{Batch: test.batch, Output: "y"})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(eng.seen, test.batches) {
				t.Errorf("batches were %q, want %q", eng.seen, test.batches)
			}
			session, err := interp.New().Load(serialise(t, binary(t, "Add", "...", "...", "...")))
			if err != nil {
				t.Fatal(err)
			}
			want, err := session.Run(inputs)
			if err != nil {
				t.Fatal(err)
			}
			if err := engine.Diff(got.Raw, want["y"], engine.Tolerance{}); err != nil {
				t.Errorf("in batches the output differs: %v", err)
			}
		})
	}
}

func serialise(t *testing.T, model *models.Model) []byte {
	t.Helper()
	data, err := model.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestRunAveragesTheTermsOfASample(t *testing.T) {
	a := engine.Must([]int{3, 2}, []float32{1, 2, 3, 5, float32(math.NaN()), 0})
	b := engine.Must([]int{3, 2}, make([]float32, 6))
	result := run(t, binary(t, "Add", "N,2", "N,2", "N,2"), map[string]engine.Tensor{"a": a, "b": b}, score.Options{Output: "y", Batch: 2})
	if err := engine.Diff(engine.Must([]int{3}, result.PerSample), engine.Must([]int{3}, []float64{1.5, 4, math.NaN()}), engine.Tolerance{}); err != nil {
		t.Error(err)
	}
	if !math.IsNaN(result.Mean) || !slices.Equal(result.NaN(), []int{2}) {
		t.Errorf("mean is %v and NaN samples are %v, want NaN and [2]", result.Mean, result.NaN())
	}
	if err := engine.Diff(result.Raw, a, engine.Tolerance{}); err != nil {
		t.Error(err)
	}
}

func TestRunReportsProgressInSamples(t *testing.T) {
	var steps [][2]int
	run(t, binary(t, "Add", "N", "N", "N"), map[string]engine.Tensor{"a": counting(5), "b": counting(5)}, score.Options{
		Output: "y", Batch: 2, Progress: func(done, total int) { steps = append(steps, [2]int{done, total}) },
	})
	if want := [][2]int{{2, 5}, {4, 5}, {5, 5}}; !slices.Equal(steps, want) {
		t.Errorf("progress was %v, want %v", steps, want)
	}
}

func TestRunStopsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	_, err := score.Run(ctx, interp.New(), binary(t, "Add", "N", "N", "N"),
		map[string]engine.Tensor{"a": counting(5), "b": counting(5)},
		score.Options{Output: "y", Batch: 2, Progress: func(int, int) { cancel() }})
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "after 2 of 5 samples") {
		t.Errorf("error is %v, want one of cancellation after 2 of 5 samples", err)
	}
}

func TestRunEndsAModelThatRunsForEver(t *testing.T) {
	model := binary(t, "Add", "N", "N", "N")
	model.Proto.Graph.Node = []*onnxpb.NodeProto{{
		OpType: proto.String("Loop"), Input: []string{"", "", "a"}, Output: []string{"y"},
		Attribute: []*onnxpb.AttributeProto{{Name: proto.String("body"), Type: onnxpb.AttributeProto_GRAPH.Enum(), G: &onnxpb.GraphProto{
			Node:   []*onnxpb.NodeProto{{OpType: proto.String("Neg"), Input: []string{"kept"}, Output: []string{"next"}}},
			Input:  []*onnxpb.ValueInfoProto{ops.ValueInfo("i", ops.Int64, nil), ops.ValueInfo("going", ops.Bool, nil), info(t, "kept", "...")},
			Output: []*onnxpb.ValueInfoProto{ops.ValueInfo("going", ops.Bool, nil), info(t, "next", "...")},
		}}},
	}}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := score.Run(ctx, interp.New(), model, map[string]engine.Tensor{"a": counting(2), "b": counting(2)}, score.Options{Output: "y"})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "(Loop): iteration") {
		t.Errorf("error is %v, want one that says in which node time was over", err)
	}
}

// TestRunPassesClassWeightsWhole has as many classes as samples, so that only the
// loss's declaration tells the two apart.
func TestRunPassesClassWeightsWhole(t *testing.T) {
	logits, target := counting(4, 4), engine.Must([]int{4}, []int64{3, 2, 1, 0})
	weight := engine.Must([]int{4}, []float32{1, 2, 4, 8})
	for _, form := range export.Forms() {
		model := exported(t, "softmax-cross-entropy", export.Options{Form: form, Reduction: losses.None, With: []string{"weight"}})
		inputs := map[string]engine.Tensor{"logits": logits, "target": target, "weight": weight}
		got := run(t, model, inputs, score.Options{Batch: 3})
		for i, class := range []float64{3, 2, 1, 0} {
			sum := 1 + math.Exp(-1) + math.Exp(-2) + math.Exp(-3)
			want := math.Exp2(class) * (math.Log(sum) + 3 - class)
			if !(math.Abs(got.PerSample[i]-want) <= 1e-5*want) {
				t.Errorf("%s: sample %d is %v, want %v", form, i, got.PerSample[i], want)
			}
		}
	}
}

func TestRunCutsBroadcastWeightsOnlyWhereTheyVaryBySample(t *testing.T) {
	logits, target := counting(2, 2), counting(2, 2)
	for name, test := range map[string]struct {
		weight engine.Tensor
		ratio  []float64 // of each sample's weighted loss to its plain one
	}{
		"a scalar":        {engine.Scalar(float32(3)), []float64{3, 3}},
		"one row for all": {engine.Must([]int{1, 2}, []float32{2, 2}), []float64{2, 2}},
		"a label's":       {engine.Must([]int{2}, []float32{5, 5}), []float64{5, 5}},
		"a sample's":      {engine.Must([]int{2, 1}, []float32{1, 4}), []float64{1, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			plain := run(t, exported(t, "sigmoid-cross-entropy", export.Options{Reduction: losses.None}),
				map[string]engine.Tensor{"logits": logits, "target": target}, score.Options{Batch: 1})
			weighted := run(t, exported(t, "sigmoid-cross-entropy", export.Options{Reduction: losses.None, With: []string{"weight"}}),
				map[string]engine.Tensor{"logits": logits, "target": target, "weight": test.weight}, score.Options{Batch: 1})
			for i, ratio := range test.ratio {
				want := ratio * plain.PerSample[i]
				if !(math.Abs(weighted.PerSample[i]-want) <= 1e-6*math.Abs(want)) {
					t.Errorf("sample %d is %v, want %v", i, weighted.PerSample[i], want)
				}
			}
		})
	}
}

func TestRunAgreesWithPyTorchOnATrainedClassifier(t *testing.T) {
	const dir = "../../testdata/models/"
	host, err := models.Open(dir + "digits_cnn.onnx")
	if err != nil {
		t.Fatal(err)
	}
	loss, err := losses.Find("softmax-cross-entropy")
	if err != nil {
		t.Fatal(err)
	}
	params, err := loss.Params(nil)
	if err != nil {
		t.Fatal(err)
	}
	attached, err := export.Attach(host, loss, params, export.AttachOptions{Options: export.Options{Reduction: losses.None}})
	if err != nil {
		t.Fatal(err)
	}
	inputs := map[string]engine.Tensor{}
	for name, file := range map[string]string{"image": "digits_images.npy", "target": "digits_labels.npy"} {
		if inputs[name], err = npy.Read(dir + file); err != nil {
			t.Fatal(err)
		}
	}
	want, err := npy.Read(dir + "digits_cnn_ce_none.npy")
	if err != nil {
		t.Fatal(err)
	}
	got := run(t, attached, inputs, score.Options{Batch: 100})
	if err := engine.Diff(got.Raw, want, engine.Tolerance{Abs: 1e-5, Rel: 1e-5}); err != nil {
		t.Error(err)
	}
	if len(got.PerSample) != 256 || len(got.NaN()) != 0 {
		t.Errorf("%d samples, NaN at %v", len(got.PerSample), got.NaN())
	}
}

func TestRunReadsExternalDataWhereTheyAre(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "b.bin"), []byte{0, 0, 0x80, 0x3f}, 0o644); err != nil {
		t.Fatal(err)
	}
	model := binary(t, "Add", "N", "1", "N")
	model.Path = filepath.Join(dir, "model.onnx")
	model.Proto.Graph.Input = model.Proto.Graph.Input[:1]
	model.Proto.Graph.Initializer = []*onnxpb.TensorProto{{
		Name: proto.String("b"), DataType: proto.Int32(int32(ops.Float32)), Dims: []int64{1},
		DataLocation: onnxpb.TensorProto_EXTERNAL.Enum(),
		ExternalData: []*onnxpb.StringStringEntryProto{{Key: proto.String("location"), Value: proto.String("b.bin")}},
	}}
	before := proto.CloneOf(model.Proto)
	got := run(t, model, map[string]engine.Tensor{"a": counting(3)}, score.Options{Output: "y"})
	if want := []float64{1, 2, 3}; !slices.Equal(got.PerSample, want) {
		t.Errorf("losses are %v, want %v", got.PerSample, want)
	}
	if !proto.Equal(model.Proto, before) {
		t.Error("the model has changed")
	}
}

// composed is scores = 2x with a classifier's loss, which has weights of classes, and a
// squared error with a target of its own; reductions and weights are those of both.
func composed(t *testing.T, entropy, squared losses.Reduction) *models.Model {
	t.Helper()
	host := binary(t, "Add", "N,3", "N,3", "N,3")
	find := func(name string) (*losses.Loss, losses.Params) {
		loss, err := losses.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		params, err := loss.Params(nil)
		if err != nil {
			t.Fatal(err)
		}
		return loss, params
	}
	weightOf := func(r losses.Reduction) string {
		if r == losses.None {
			return ""
		}
		return "new"
	}
	var terms []export.Term
	for _, of := range []struct {
		name, input string
		reduction   losses.Reduction
		with        []string
	}{{"softmax-cross-entropy", "logits", entropy, []string{"weight"}}, {"mse", "prediction", squared, nil}} {
		loss, params := find(of.name)
		terms = append(terms, export.Term{
			Loss: loss, Params: params, WeightFrom: weightOf(of.reduction),
			AttachOptions: export.AttachOptions{
				Options: export.Options{Reduction: of.reduction, With: of.with}, Bind: map[string]string{of.input: "y"},
			},
		})
	}
	head, params := find("tempered-sigmoid")
	terms = append(terms, export.Term{Loss: head, Params: params, AttachOptions: export.AttachOptions{Bind: map[string]string{"logits": "y"}}})
	model, err := export.AttachAll(host, terms, export.AllOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return model
}

func TestRunScoresOneOfSeveralLosses(t *testing.T) {
	x := map[string]engine.Tensor{
		"a": counting(5, 3), "b": counting(5, 3),
		"target": engine.Must([]int{5}, []int64{0, 1, 2, 1, 0}), "weight": engine.Must([]int{3}, []float32{1, 2, 0.5}),
		"target_2": counting(5, 3),
	}
	only := func(names ...string) map[string]engine.Tensor {
		some := map[string]engine.Tensor{}
		for _, name := range names {
			some[name] = x[name]
		}
		return some
	}
	// logits of a row are 2 apart; mse is (2x - x)^2 over a row
	lse := math.Log(1 + math.Exp(2) + math.Exp(4))
	entropy := []float64{lse, 2 * (lse - 2), 0.5 * (lse - 4), 2 * (lse - 2), lse}
	squared := []float64{5.0 / 3, 50.0 / 3, 149.0 / 3, 302.0 / 3, 509.0 / 3}
	for name, test := range map[string]struct {
		entropy, squared losses.Reduction
		output           string
		inputs           map[string]engine.Tensor
		want             []float64
	}{
		"the only unreduced one":         {losses.None, losses.Mean, "", only("a", "b", "target", "weight"), entropy},
		"the second":                     {losses.Sum, losses.None, "", only("a", "b", "target_2"), squared},
		"by name":                        {losses.None, losses.None, "mse", only("a", "b", "target_2"), squared},
		"with inputs that others need":   {losses.None, losses.None, "softmax-cross-entropy", x, entropy},
		"one of the model's own outputs": {losses.Mean, losses.Mean, "y", only("a", "b"), []float64{2, 8, 14, 20, 26}},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, composed(t, test.entropy, test.squared), test.inputs, score.Options{Output: test.output, Batch: 2}).PerSample
			if len(got) != len(test.want) {
				t.Fatalf("got %v, want %v", got, test.want)
			}
			for i := range got {
				if !(math.Abs(got[i]-test.want[i]) <= 1e-5*math.Abs(test.want[i])) {
					t.Errorf("sample %d: got %g, want %g", i, got[i], test.want[i])
				}
			}
		})
	}
}

func TestRunRefusesWithAReason(t *testing.T) {
	two := map[string]engine.Tensor{"a": counting(4), "b": counting(4)}
	loss := map[string]engine.Tensor{"logits": counting(2, 3), "target": counting(2, 3)}
	y := score.Options{Output: "y"}
	reduced := exported(t, "sigmoid-cross-entropy", export.Options{Reduction: losses.Mean})
	unreduced := exported(t, "sigmoid-cross-entropy", export.Options{Reduction: losses.None, With: []string{"weight"}})
	for name, test := range map[string]struct {
		model  *models.Model
		inputs map[string]engine.Tensor
		o      score.Options
		says   []string
	}{
		"a reduced loss":                 {reduced, loss, score.Options{}, []string{"reduced (mean)", "--reduction none"}},
		"losses all reduced":             {composed(t, losses.Mean, losses.Mean), nil, score.Options{}, []string{"losses are all reduced", `"y" float32[N,3]`}},
		"two losses unreduced":           {composed(t, losses.None, losses.None), nil, score.Options{}, []string{"2 losses that are not reduced", `"softmax-cross-entropy", "mse"; name one`}},
		"a total":                        {composed(t, losses.None, losses.Mean), nil, score.Options{Output: "loss"}, []string{`"loss" is one number`}},
		"one of several that is reduced": {composed(t, losses.None, losses.Mean), nil, score.Options{Output: "mse"}, []string{"reduced (mean)"}},
		"several without a target":       {composed(t, losses.None, losses.Mean), map[string]engine.Tensor{"a": counting(2, 3), "b": counting(2, 3), "weight": counting(3)}, score.Options{}, []string{`also needs "target" int64[N]`}},
		"an input of nothing":            {composed(t, losses.None, losses.Mean), map[string]engine.Tensor{"a": counting(2, 3), "b": counting(2, 3), "weight": counting(3), "target": engine.Must([]int{2}, []int64{0, 1}), "targt": counting(1)}, score.Options{}, []string{`no input "targt"`}},
		"a reduced loss by name":         {reduced, loss, score.Options{Output: "loss"}, []string{"reduced (mean)"}},
		"a scalar output":                {binary(t, "Add", "N", "N", "[]"), two, y, []string{`"y" is one number`, "--reduction none"}},
		"an undeclared scalar":           {binary(t, "MatMul", "N", "N", "..."), two, y, []string{"samples 0 to 3", `"y" is one number`}},
		"no metadata":                    {binary(t, "Add", "N", "N", "N"), two, score.Options{}, []string{"no loss of onnxloss's", `"y" float32[N]`}},
		"no such output":                 {binary(t, "Add", "N", "N", "N"), two, score.Options{Output: "z"}, []string{`no output "z"`, `"y"`}},
		"a missing input":                {binary(t, "Add", "N", "N", "N"), map[string]engine.Tensor{"a": counting(4)}, y, []string{"also needs", `"b" float32[N]`}},
		"an unknown input":               {binary(t, "Add", "N", "N", "N"), map[string]engine.Tensor{"a": counting(4), "b": counting(4), "c": counting(4)}, y, []string{`no input "c"`, `"a" float32[N]`}},
		"another element type":           {binary(t, "Add", "N", "N", "N"), map[string]engine.Tensor{"a": counting(4), "b": engine.Must([]int{4}, make([]float64, 4))}, y, []string{`"b" is float64[4]`, "takes float32[N]"}},
		"sizes that differ":              {binary(t, "Add", "N", "N", "N"), map[string]engine.Tensor{"a": counting(4), "b": counting(5)}, y, []string{`"a" has 4 samples`, `"b" has 5`}},
		"no samples":                     {binary(t, "Add", "N", "N", "N"), map[string]engine.Tensor{"a": counting(0), "b": counting(0)}, y, []string{"no samples"}},
		"scalars only":                   {binary(t, "Add", "[]", "[]", "..."), map[string]engine.Tensor{"a": counting(), "b": counting()}, y, []string{"no input has an axis of samples"}},
		"a remainder":                    {binary(t, "Add", "3", "3", "3"), two, y, []string{"exactly 3", "4 samples", "leave out 1"}},
		"a negative batch":               {binary(t, "Add", "N", "N", "N"), two, score.Options{Batch: -1, Output: "y"}, []string{"batch of -1"}},
		"a weight that is larger":        {unreduced, map[string]engine.Tensor{"logits": counting(2, 3), "target": counting(2, 3), "weight": counting(1, 2, 3)}, score.Options{}, []string{`"weight"`, "more axes than the 2"}},
		"a weight for other many":        {unreduced, map[string]engine.Tensor{"logits": counting(2, 3), "target": counting(2, 3), "weight": counting(5, 3)}, score.Options{}, []string{`"weight" has 5`}},
	} {
		t.Run(name, func(t *testing.T) {
			result, err := score.Run(context.Background(), interp.New(), test.model, test.inputs, test.o)
			if err == nil {
				t.Fatalf("got %v, want an error", result.PerSample)
			}
			for _, says := range append(test.says, "score: ") {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("error is %q, want one that says %q", err, says)
				}
			}
		})
	}
}

func TestRunRefusesAnOutputWithoutSamples(t *testing.T) {
	model := binary(t, "MatMul", "3,N", "N,2", "...")
	inputs := map[string]engine.Tensor{"a": counting(3, 4), "b": counting(4, 2)}
	_, err := score.Run(context.Background(), interp.New(), model, inputs, score.Options{Output: "y"})
	if err == nil || !strings.Contains(err.Error(), "float32[3,2] for 4 samples") {
		t.Errorf("error is %v, want one that says which shape the output has", err)
	}
}
