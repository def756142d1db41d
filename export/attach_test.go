package export_test

import (
	"math"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
	"google.golang.org/protobuf/proto"
)

// output is a tensor that the host model computes as twice its input of the same
// type and shape.
type output struct {
	name  string
	dtype ops.DType
	shape string
}

// hostModel makes a model with an input for every output, in_NAME, doubled.
func hostModel(t *testing.T, opset int, outputs ...output) *models.Model {
	t.Helper()
	b := ops.NewBuilder(opset, "", nil)
	graph := &onnxpb.GraphProto{Name: proto.String("host")}
	var results []ops.Value
	for _, o := range outputs {
		shape, err := ops.ParseShape(o.shape)
		if err != nil {
			t.Fatal(err)
		}
		x := b.Input("in_"+o.name, o.dtype, shape)
		graph.Input = append(graph.Input, ops.ValueInfo("in_"+o.name, o.dtype, shape))
		graph.Output = append(graph.Output, ops.ValueInfo(o.name, o.dtype, shape))
		results = append(results, b.Output(b.Add(x, x), o.name))
	}
	fragment, err := b.Finish(results...)
	if err != nil {
		t.Fatal(err)
	}
	graph.Node = fragment.Nodes
	return &models.Model{Proto: &onnxpb.ModelProto{
		IrVersion:   proto.Int64(4),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(int64(opset))}},
		Graph:       graph,
	}}
}

func find(t testing.TB, name string, settings map[string]any) (*losses.Loss, losses.Params) {
	t.Helper()
	loss, err := losses.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	params, err := loss.Params(settings)
	if err != nil {
		t.Fatal(err)
	}
	return loss, params
}

func runModel(t *testing.T, model *models.Model, inputs map[string]engine.Tensor) map[string]engine.Tensor {
	t.Helper()
	raw, err := model.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if err := export.Check(raw); err != nil {
		t.Fatal(err)
	}
	session, err := interp.New().Load(raw)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := session.Close(); err != nil {
			t.Error(err)
		}
	}()
	results, err := session.Run(inputs)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func TestAttachedLossIsThatOfTheModelsOwnOutput(t *testing.T) {
	loss, params := find(t, "softmax-cross-entropy", nil)
	x := []float64{1, -2, 0.5, 0, 0.25, -1}
	doubled := losses.Array{Shape: []int{2, 3}, Data: []float64{2, -4, 1, 0, 0.5, -2}}
	labels := losses.Array{Shape: []int{2}, Data: []float64{2, 0}}
	want, err := loss.Evaluate(losses.Values{"logits": doubled, "target": labels}, params, losses.Mean)
	if err != nil {
		t.Fatal(err)
	}
	for _, opset := range []int{9, 10, 11, 12, 13, 17, ops.MaxOpset} {
		for _, form := range export.Forms() {
			for _, dtype := range []ops.DType{ops.Float32, ops.Float64, ops.Float16} {
				model := hostModel(t, opset, output{"scores", dtype, "N,3"})
				attached, err := export.Attach(model, loss, params, export.AttachOptions{Options: export.Options{Form: form}})
				if err != nil {
					t.Fatalf("opset %d, %s, %s: %v", opset, form, dtype, err)
				}
				in, err := engine.FromFloat64s(dtype, []int{2, 3}, x)
				if err != nil {
					t.Fatal(err)
				}
				got := runModel(t, attached, map[string]engine.Tensor{"in_scores": in, "target": engine.Must([]int{2}, []int64{2, 0})})
				value := got["loss"].Float64s()
				if len(value) != 1 || !(math.Abs(value[0]-want.Data[0]) <= 1e-6) {
					t.Errorf("opset %d, %s, %s: loss %v, want %v", opset, form, dtype, value, want.Data)
				}
				wantType := dtype
				if dtype.IsHalf() {
					wantType = ops.Float32
				}
				if got["loss"].DType() != wantType {
					t.Errorf("opset %d, %s: the loss of a %s prediction is %s, want %s", opset, form, dtype, got["loss"].DType(), wantType)
				}
				if got["scores"].Len() != 6 {
					t.Errorf("opset %d, %s: the model's own output is gone", opset, form)
				}
			}
		}
	}
}

func TestAttachKeepsClearOfTheModelsNames(t *testing.T) {
	loss, params := find(t, "sigmoid-focal", nil)
	model := hostModel(t, 17,
		output{"loss", ops.Float32, "N,C"},
		output{"target", ops.Float32, "N,C"},
		output{"SigmoidFocalLoss/exp", ops.Float32, "N,C"})
	before := proto.Clone(model.Proto)
	attached, err := export.Attach(model, loss, params, export.AttachOptions{Bind: map[string]string{"logits": "loss"}})
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(before, model.Proto) {
		t.Error("the model that was given has changed")
	}
	description, err := export.Describe(attached)
	if err != nil {
		t.Fatal(err)
	}
	if description.Output != "loss_2" || description.Inputs["target"] != "target_2" || description.Inputs["logits"] != "loss" {
		t.Errorf("output %q, inputs %v", description.Output, description.Inputs)
	}
	one := engine.Must([]int{1, 1}, []float32{0.5})
	got := runModel(t, attached, map[string]engine.Tensor{
		"in_loss": one, "in_target": one, "in_SigmoidFocalLoss/exp": one, "target_2": engine.Must([]int{1, 1}, []float32{1}),
	})
	if x := engine.Data[float32](got["loss"]); len(x) != 1 || x[0] != 1 {
		t.Errorf("the model's own output called loss is %v, want 1", x)
	}
	if got["loss_2"].Len() != 1 {
		t.Error("the attached loss is missing")
	}
}

func TestAttachBindsTargetsInsideTheModel(t *testing.T) {
	loss, params := find(t, "sigmoid-cross-entropy", nil)
	model := hostModel(t, 13, output{"a", ops.Float32, "N"}, output{"b", ops.Float64, "N"})
	attached, err := export.Attach(model, loss, params, export.AttachOptions{
		Bind:    map[string]string{"logits": "a", "target": "b"},
		Options: export.Options{Reduction: losses.None},
		Output:  "bce",
	})
	if err != nil {
		t.Fatal(err)
	}
	got := runModel(t, attached, map[string]engine.Tensor{
		"in_a": engine.Must([]int{1}, []float32{0}), "in_b": engine.Must([]int{1}, []float64{0.5}),
	})
	if x := engine.Data[float32](got["bce"]); len(x) != 1 || !(math.Abs(float64(x[0])-math.Ln2) <= 1e-6) {
		t.Errorf("loss %v, want log 2", x)
	}
}

func TestAttachRefusesWhatDoesNotFit(t *testing.T) {
	two := []output{{"a", ops.Float32, "N,3"}, {"b", ops.Float32, "N,3"}}
	one := []output{{"a", ops.Float32, "N,3"}, {"k", ops.Int64, "N"}}
	tests := []struct {
		name    string
		outputs []output
		loss    string
		options export.AttachOptions
		want    string
	}{
		{"two candidates", two, "softmax-cross-entropy", export.AttachOptions{}, "could be any of a, b; bind one with logits=TENSOR"},
		{"no such tensor", one, "softmax-cross-entropy", export.AttachOptions{Bind: map[string]string{"logits": "z"}}, `no such tensor; its outputs are a, k`},
		{"no such input", one, "softmax-cross-entropy", export.AttachOptions{Bind: map[string]string{"scores": "a"}}, `there is no input "scores"; the inputs are logits, target, weight`},
		{"integers as logits", one, "softmax-cross-entropy", export.AttachOptions{Bind: map[string]string{"logits": "k"}}, `needs floating-point numbers, but "k" is int64[N]`},
		{"numbers as labels", one, "softmax-cross-entropy", export.AttachOptions{Bind: map[string]string{"target": "a"}}, `needs class indices of type int64 or int32, but "a" is float32[N,3]`},
		{"rank too low", []output{{"a", ops.Float32, "N"}}, "softmax-cross-entropy", export.AttachOptions{}, `"a" has shape [N], but the loss needs [N,C,...]`},
		{"output name taken", one, "softmax-cross-entropy", export.AttachOptions{Output: "k"}, `the name "k" of the loss's output is taken`},
		{"opset given", one, "softmax-cross-entropy", export.AttachOptions{Options: export.Options{Opset: 12}}, "can only be raised, not brought down to 12"},
		{"no prediction", []output{{"k", ops.Int64, "N"}}, "softmax-cross-entropy", export.AttachOptions{}, "no floating-point output"},
		{"shape of a bound input", one, "softmax-cross-entropy", export.AttachOptions{Options: export.Options{Shapes: map[string]ops.Shape{"logits": {}}}}, "is given for logits, but that is bound"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			loss, params := find(t, test.loss, nil)
			_, err := export.Attach(hostModel(t, 17, test.outputs...), loss, params, test.options)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestAttachRefusesASecondLoss(t *testing.T) {
	loss, params := find(t, "sigmoid-focal", nil)
	attached, err := export.Attach(hostModel(t, 17, output{"a", ops.Float32, "N,3"}), loss, params, export.AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := export.Attach(attached, loss, params, export.AttachOptions{}); err == nil || !strings.Contains(err.Error(), "already carries sigmoid-focal") {
		t.Errorf("got error %v", err)
	}
}
