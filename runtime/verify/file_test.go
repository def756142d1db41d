package verify_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/externaldata/externaldatatest"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/internal/testneeds"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
	"github.com/onnxloss/onnxloss/runtime/ort"
	"github.com/onnxloss/onnxloss/runtime/verify"
)

func save(t *testing.T, model *models.Model) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := model.Save(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func verifyFile(t *testing.T, path string) *verify.Report {
	t.Helper()
	report, err := verify.File(t.Context(), path, []engine.Engine{interp.New()}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func defaults(t *testing.T, loss *losses.Loss) losses.Params {
	t.Helper()
	p, err := loss.Params(nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func shape(t *testing.T, text string) ops.Shape {
	t.Helper()
	s, err := ops.ParseShape(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// network is scores = x W, from three features to four classes. weight is one
// element of W.
func network(t *testing.T, weight float32) *models.Model {
	t.Helper()
	w := engine.Must([]int{3, 4}, []float32{weight, -1, 2, 0.5, 1, 1, -2, 0, 0.25, 3, 1, -1})
	return &models.Model{Proto: &onnxpb.ModelProto{
		IrVersion:   proto.Int64(8),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(17)}},
		Graph: &onnxpb.GraphProto{
			Name:        proto.String("network"),
			Node:        []*onnxpb.NodeProto{{OpType: proto.String("MatMul"), Input: []string{"x", "w"}, Output: []string{"scores"}}},
			Initializer: []*onnxpb.TensorProto{engine.ToProto("w", w)},
			Input:       []*onnxpb.ValueInfoProto{ops.ValueInfo("x", ops.Float32, shape(t, "batch,3"))},
			Output:      []*onnxpb.ValueInfoProto{ops.ValueInfo("scores", ops.Float32, shape(t, "batch,4"))},
		},
	}}
}

func TestExportedFilesHold(t *testing.T) {
	tests := []struct {
		name    string
		loss    *losses.Loss
		options export.Options
	}{
		{"shortest", losses.SoftmaxCrossEntropy, export.Options{}},
		{"elementwise", losses.SigmoidFocal, export.Options{Form: export.Function, Reduction: losses.None}},
		{"weights", losses.SoftmaxFocal, export.Options{With: []string{"weight"}, IndexType: ops.Int32}},
		{"fixed sizes", losses.SoftmaxCrossEntropy, export.Options{DType: ops.Float16, Shapes: map[string]ops.Shape{"logits": shape(t, "2,3,4,5")}}},
		{"broadcast weights", losses.SigmoidCrossEntropy, export.Options{With: []string{"weight"}, Shapes: map[string]ops.Shape{"logits": shape(t, "B,7"), "weight": shape(t, "7")}}},
		{"a pyramid of five levels", losses.LaplacianPyramid, export.Options{Reduction: losses.None, Shapes: map[string]ops.Shape{"prediction": shape(t, "2,1,33,65")}}},
		{"weights of pixels for all channels", losses.ImageGradient, export.Options{With: []string{"weight"}, Shapes: map[string]ops.Shape{"weight": shape(t, "N,1,H,W")}}},
		{"weights of channels", losses.ImageGradient, export.Options{With: []string{"weight"}, Shapes: map[string]ops.Shape{"prediction": shape(t, "2,3,7,8"), "weight": shape(t, "3,1,1")}}},
		{"open rank", losses.SigmoidFocalStar, export.Options{Shapes: map[string]ops.Shape{"logits": nil}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			model, err := export.Model(test.loss, defaults(t, test.loss), test.options)
			if err != nil {
				t.Fatal(err)
			}
			report := verifyFile(t, save(t, model))
			if !report.Passed() || report.Cases() < 10 {
				t.Error(table(t, report))
			}
		})
	}
}

func TestAttachedFilesHold(t *testing.T) {
	for _, loss := range []*losses.Loss{losses.SoftmaxCrossEntropy, losses.SoftmaxFocal, losses.SigmoidFocal} {
		for _, form := range export.Forms() {
			t.Run(loss.Command()+" "+string(form), func(t *testing.T) {
				model, err := export.Attach(network(t, 1), loss, defaults(t, loss), export.AttachOptions{
					Options: export.Options{Form: form}, Bind: map[string]string{"logits": "scores"},
				})
				if err != nil {
					t.Fatal(err)
				}
				report := verifyFile(t, save(t, model))
				if !report.Passed() || report.Cases() < 10 {
					t.Error(table(t, report))
				}
			})
		}
	}
}

func TestAttachedFilesWithExternalDataHold(t *testing.T) {
	folder, p := t.TempDir(), network(t, 1).Proto
	externaldatatest.MoveOut(t, p, folder, "weights/w.bin")
	model, err := export.Attach(&models.Model{Proto: p, Path: filepath.Join(folder, "model.onnx")}, losses.SoftmaxCrossEntropy, defaults(t, losses.SoftmaxCrossEntropy), export.AttachOptions{
		Bind: map[string]string{"logits": "scores"}, OnlyLoss: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	before := proto.CloneOf(model.Proto)
	engines := []engine.Engine{interp.New()}
	if native, err := ort.New(ort.Options{}); err == nil {
		engines = append(engines, native)
	} else if testneeds.Required(testneeds.ORT) {
		t.Fatal(err)
	}
	report, err := verify.Model(t.Context(), model, engines, 1)
	if err != nil {
		t.Fatal(err)
	}
	if !report.Passed() || report.Cases() < 10 {
		t.Error(table(t, report))
	}
	if !proto.Equal(model.Proto, before) {
		t.Error("the model has changed")
	}
	if err := os.Remove(filepath.Join(folder, "weights", "w.bin")); err != nil {
		t.Fatal(err)
	}
	report, err = verify.Model(t.Context(), model, []engine.Engine{interp.New()}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if text := table(t, report); report.Passed() || !strings.Contains(text, `tensor "w": file "weights/w.bin": no such file`) {
		t.Error(text)
	}
}

func TestAttachedModelWithOutputsThatAreNoNumbersFails(t *testing.T) {
	model, err := export.Attach(network(t, float32(math.Inf(1))), losses.SigmoidFocal, defaults(t, losses.SigmoidFocal), export.AttachOptions{
		Bind: map[string]string{"logits": "scores"},
	})
	if err != nil {
		t.Fatal(err)
	}
	report := verifyFile(t, save(t, model))
	if report.ExitCode() != 1 || !strings.Contains(table(t, report), `own output "scores"`) {
		t.Error(table(t, report))
	}
}

// twoLosses is a model with two losses of one prediction and target, and their total.
func twoLosses(t *testing.T) *models.Model {
	t.Helper()
	bind := map[string]string{"prediction": "scores", "target": "target"}
	model, err := export.AttachAll(network(t, 1), []export.Term{
		{Loss: losses.MSE, Params: defaults(t, losses.MSE), Weight: 1, AttachOptions: export.AttachOptions{Bind: map[string]string{"prediction": "scores"}}},
		{Loss: losses.Huber, Params: defaults(t, losses.Huber), Weight: 0.25, AttachOptions: export.AttachOptions{Bind: bind}},
	}, export.AllOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return model
}

func TestSeveralLossesAndTheirTotalHold(t *testing.T) {
	report, err := verify.Model(t.Context(), twoLosses(t), []engine.Engine{interp.New()}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if text := table(t, report); !report.Passed() || !strings.Contains(text, "mse ") || !strings.Contains(text, "huber ") {
		t.Error(text)
	}
}

func TestChangedTotalFails(t *testing.T) {
	model := twoLosses(t)
	for _, entry := range model.Proto.MetadataProps {
		entry.Value = proto.String(strings.Replace(entry.GetValue(), `"weight":"0.25"`, `"weight":"0.2501"`, 1))
	}
	report, err := verify.Model(t.Context(), model, []engine.Engine{interp.New()}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if text := table(t, report); report.ExitCode() != 1 || !strings.Contains(text, `the total "loss" is`) {
		t.Error(text)
	}
}

// weighted is a model with three losses: one weighed by an input, one by a tensor
// that the model computes, and one by a constant of the model.
func weighted(t *testing.T) *models.Model {
	t.Helper()
	host := network(t, 1)
	graph := host.Proto.Graph
	graph.Node = append(graph.Node, &onnxpb.NodeProto{OpType: proto.String("Exp"), Input: []string{"log_sigma"}, Output: []string{"sigma"}})
	graph.Input = append(graph.Input, ops.ValueInfo("log_sigma", ops.Float64, shape(t, "1")))
	graph.ValueInfo = append(graph.ValueInfo, ops.ValueInfo("sigma", ops.Float64, shape(t, "1")))
	graph.Initializer = append(graph.Initializer, engine.ToProto("fixed", engine.Must([]int{}, []float32{-0.75})))
	bind := func(target string) map[string]string {
		return map[string]string{"prediction": "scores", "target": target}
	}
	model, err := export.AttachAll(host, []export.Term{
		{Loss: losses.MSE, Params: defaults(t, losses.MSE), WeightFrom: "new alpha", AttachOptions: export.AttachOptions{Bind: map[string]string{"prediction": "scores"}}},
		{Loss: losses.Huber, Params: defaults(t, losses.Huber), WeightFrom: "sigma", AttachOptions: export.AttachOptions{Bind: bind("target")}},
		{Loss: losses.L1, Params: defaults(t, losses.L1), WeightFrom: "fixed", AttachOptions: export.AttachOptions{Bind: bind("target")}},
		{Loss: losses.L1, Params: defaults(t, losses.L1), AttachOptions: export.AttachOptions{Bind: bind("target"), Output: "each", Options: export.Options{Reduction: losses.None}}},
	}, export.AllOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return model
}

func TestTotalWithWeightsThatAreTensorsHolds(t *testing.T) {
	engines := []engine.Engine{interp.New()}
	if onnxRuntime, err := ort.New(ort.Options{}); err == nil {
		engines = append(engines, onnxRuntime)
	} else if testneeds.Required(testneeds.ORT) {
		t.Fatal(err)
	}
	report, err := verify.Model(t.Context(), weighted(t), engines, 1)
	if err != nil {
		t.Fatal(err)
	}
	if !report.Passed() || report.Cases() < 40*len(engines) {
		t.Error(table(t, report))
	}
}

func TestTotalWithAnotherWeightThanItSaysFails(t *testing.T) {
	for _, weight := range []string{`"weight_from":"alpha"`, `"weight_from":"sigma"`, `"weight_from":"fixed"`} {
		model := weighted(t)
		for _, entry := range model.Proto.MetadataProps {
			entry.Value = proto.String(strings.Replace(entry.GetValue(), weight, `"weight":"1"`, 1))
		}
		report, err := verify.Model(t.Context(), model, []engine.Engine{interp.New()}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if text := table(t, report); report.ExitCode() != 1 || !strings.Contains(text, `the total "loss" is`) {
			t.Errorf("%s: %s", weight, text)
		}
	}
}

func TestTotalOfALossThatIsNoNumberFails(t *testing.T) {
	model := weighted(t)
	for _, entry := range model.Proto.MetadataProps {
		entry.Value = proto.String(strings.Replace(entry.GetValue(), `"reduction":"none"`, `"reduction":"mean","weight":"1"`, 1))
	}
	report, err := verify.Model(t.Context(), model, []engine.Engine{interp.New()}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if text := table(t, report); report.ExitCode() != 1 || !strings.Contains(text, `the total "loss" is of "each"`) {
		t.Error(text)
	}
}

// images is a model that crops its image, so that the sizes of what it makes are in no
// input.
func images(t *testing.T) *models.Model {
	t.Helper()
	filter := engine.Must([]int{1, 1, 3, 3}, []float32{1, 0, 2, 0, -1, 0, 1, 0, 1})
	return &models.Model{Proto: &onnxpb.ModelProto{
		IrVersion:   proto.Int64(8),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(17)}},
		Graph: &onnxpb.GraphProto{
			Name:        proto.String("images"),
			Node:        []*onnxpb.NodeProto{{OpType: proto.String("Conv"), Input: []string{"x", "w"}, Output: []string{"y"}}},
			Initializer: []*onnxpb.TensorProto{engine.ToProto("w", filter)},
			Input:       []*onnxpb.ValueInfoProto{ops.ValueInfo("x", ops.Float32, shape(t, "N,1,H,W"))},
			Output:      []*onnxpb.ValueInfoProto{ops.ValueInfo("y", ops.Float32, shape(t, "N,1,h,w"))},
		},
	}}
}

func TestLossesWithTargetsOfTheirOwnFitWhatTheModelMakes(t *testing.T) {
	bind := map[string]string{"prediction": "y"}
	model, err := export.AttachAll(images(t), []export.Term{
		{Loss: losses.MSE, Params: defaults(t, losses.MSE), Weight: 1, AttachOptions: export.AttachOptions{Bind: bind}},
		{Loss: losses.ImageGradient, Params: defaults(t, losses.ImageGradient), Weight: 2, AttachOptions: export.AttachOptions{Bind: bind}},
	}, export.AllOptions{})
	if err != nil {
		t.Fatal(err)
	}
	report, err := verify.Model(t.Context(), model, []engine.Engine{interp.New()}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if !report.Passed() || report.Cases() < 20 {
		t.Error(table(t, report))
	}
}

// watched counts the totals that an engine gives, and those that are no number.
type watched struct {
	engine.Engine
	totals, nan *int
}

func (w watched) Load(model []byte) (engine.Session, error) {
	session, err := w.Engine.Load(model)
	return watchedSession{session, w}, err
}

type watchedSession struct {
	engine.Session
	watched
}

func (w watchedSession) Run(inputs map[string]engine.Tensor) (map[string]engine.Tensor, error) {
	outputs, err := w.Session.Run(inputs)
	if total, ok := outputs["loss"]; ok {
		*w.totals++
		if math.IsNaN(total.Float64s()[0]) {
			*w.nan++
		}
	}
	return outputs, err
}

func TestOtherLossesGetInputsThatTheyCanBeComputedFrom(t *testing.T) {
	// The divergence of a target below 0 is no number, and then the total is none.
	term := export.Term{Loss: losses.KLDivergence, Params: defaults(t, losses.KLDivergence), Weight: 1}
	term.Bind = map[string]string{"prediction": "scores"}
	model, err := export.AttachAll(network(t, 1), []export.Term{term, term}, export.AllOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var totals, nan int
	report, err := verify.Model(t.Context(), model, []engine.Engine{watched{interp.New(), &totals, &nan}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if !report.Passed() || totals < 20 || nan > 0 {
		t.Errorf("%d of %d totals are no number: %s", nan, totals, table(t, report))
	}
}

func TestChangedFileFails(t *testing.T) {
	model, err := export.Model(losses.SigmoidFocal, defaults(t, losses.SigmoidFocal), export.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range model.Proto.MetadataProps {
		if entry.GetKey() == "onnxloss.params" {
			entry.Value = proto.String(strings.Replace(entry.GetValue(), `"gamma":2`, `"gamma":1`, 1))
		}
	}
	path := save(t, model)
	report := verifyFile(t, path)
	if report.ExitCode() != 1 || !strings.Contains(table(t, report), "onnxloss verify \""+path) {
		t.Error(table(t, report))
	}
}

func TestCancellingEndsAModelThatRunsForEver(t *testing.T) {
	host := network(t, 1)
	host.Proto.Graph.Node = append(host.Proto.Graph.Node, &onnxpb.NodeProto{
		OpType: proto.String("Loop"), Input: []string{"", "", "scores"}, Output: []string{"forever"},
		Attribute: []*onnxpb.AttributeProto{{Name: proto.String("body"), Type: onnxpb.AttributeProto_GRAPH.Enum(), G: &onnxpb.GraphProto{
			Name:   proto.String("body"),
			Input:  []*onnxpb.ValueInfoProto{ops.ValueInfo("i", ops.Int64, shape(t, "[]")), ops.ValueInfo("going", ops.Bool, shape(t, "[]")), ops.ValueInfo("kept", ops.Float32, nil)},
			Output: []*onnxpb.ValueInfoProto{ops.ValueInfo("going", ops.Bool, shape(t, "[]")), ops.ValueInfo("kept", ops.Float32, nil)},
		}}},
	})
	host.Proto.Graph.Output = []*onnxpb.ValueInfoProto{ops.ValueInfo("forever", ops.Float32, shape(t, "batch,4"))}
	model, err := export.Attach(host, losses.SigmoidFocal, defaults(t, losses.SigmoidFocal), export.AttachOptions{
		Bind: map[string]string{"logits": "forever"},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if report, err := verify.Model(ctx, model, []engine.Engine{interp.New()}, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got report %v and error %v, want that the time is over", report, err)
	}
}

func TestFilesThatCannotBeVerified(t *testing.T) {
	if _, err := verify.File(t.Context(), save(t, network(t, 1)), nil, 1); !errors.Is(err, export.ErrNoLoss) {
		t.Errorf("a model without a loss: got %v", err)
	}
	if _, err := verify.File(t.Context(), filepath.Join(t.TempDir(), "none.onnx"), nil, 1); err == nil {
		t.Error("want an error for a file that is not there")
	}
}
