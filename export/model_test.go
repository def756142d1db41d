package export_test

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
)

// variants gives the default parameters of a loss and each value worth trying by
// itself.
func variants(t *testing.T, loss *losses.Loss) []losses.Params {
	t.Helper()
	settings := []map[string]any{nil}
	for _, p := range loss.Declare {
		for _, value := range p.Try {
			settings = append(settings, p.Trial(value))
		}
	}
	var all []losses.Params
	for _, s := range settings {
		p, err := loss.Params(s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func optionalInputs(loss *losses.Loss, p losses.Params) []string {
	var names []string
	for _, in := range loss.InputsFor(p) {
		if in.Optional {
			names = append(names, in.Name)
		}
	}
	return names
}

// The defaults of a loss are written in every form, opset and element type, which
// take reductions and optional inputs in turn; a further value of a parameter changes
// the nodes, and no more, so that with every opset the others are in turn.
func TestEveryExportedFileHoldsWhatCheckAsks(t *testing.T) {
	for _, loss := range losses.All() {
		t.Run(loss.Command(), func(t *testing.T) {
			t.Parallel()
			for nth, params := range variants(t, loss) {
				for _, o := range filesOf(loss, params, nth) {
					checkFile(t, loss, params, o)
				}
			}
		})
	}
}

// filesOf plans the files of a loss's nth variant; the first has the defaults.
func filesOf(loss *losses.Loss, params losses.Params, nth int) []export.Options {
	with := [][]string{nil, optionalInputs(loss, params)}
	var files []export.Options
	add := func(opset int, form export.Form, dtype ops.DType, turn int) {
		if dtype == ops.BFloat16 && opset < 13 {
			return
		}
		files = append(files, export.Options{
			Form: form, Opset: opset, DType: dtype,
			Reduction: inTurn(loss.Reductions(), turn), With: inTurn(with, turn/3),
		})
	}
	step := 1
	if testing.Short() {
		step = 5
	}
	for opset := ops.MinOpset + nth%step; opset <= ops.MaxOpset; opset += step {
		turn := opset + nth
		if nth > 0 {
			add(opset, inTurn(export.Forms(), turn), inTurn(ops.FloatTypes(), turn/2), turn)
			continue
		}
		for _, form := range export.Forms() {
			for _, dtype := range ops.FloatTypes() {
				add(opset, form, dtype, turn)
				turn++
			}
		}
	}
	return files
}

func inTurn[T any](all []T, turn int) T { return all[turn%len(all)] }

func checkFile(t *testing.T, loss *losses.Loss, params losses.Params, o export.Options) {
	t.Helper()
	model, err := export.Model(loss, params, o)
	if err != nil {
		t.Errorf("%s %v %+v: %v", loss.Command(), params, o, err)
		return
	}
	raw, err := model.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if err := export.Check(raw); err != nil {
		t.Errorf("%s %v %+v: %v", loss.Command(), params, o, err)
	}
}

func TestEveryIntermediateTensorHasATypeAndAShape(t *testing.T) {
	for _, loss := range losses.All() {
		for _, params := range variants(t, loss) {
			model, err := export.Model(loss, params, export.Options{Reduction: losses.None, With: optionalInputs(loss, params)})
			if err != nil {
				t.Fatal(err)
			}
			known := map[string]bool{}
			for _, infos := range [][]*onnxpb.ValueInfoProto{model.Proto.Graph.ValueInfo, model.Proto.Graph.Output} {
				for _, info := range infos {
					tensor := info.GetType().GetTensorType()
					known[info.GetName()] = tensor.GetElemType() != 0 && tensor.Shape != nil
				}
			}
			for _, n := range model.Proto.Graph.Node {
				for _, name := range n.Output {
					if !known[name] {
						t.Errorf("%s %v: %s has no type or no shape", loss.Command(), params, name)
					}
				}
			}
		}
	}
}

func TestShapesOfInputsFollowFromThePredictions(t *testing.T) {
	loss, params := find(t, "softmax-cross-entropy", nil)
	tests := []struct{ logits, target, weight, output string }{
		{"N,C", "[N]", "[C]", "[N]"},
		{"N,C,H,W", "[N,H,W]", "[C]", "[N,H,W]"},
		{"8,21,?", "[8,?]", "[21]", "[8,?]"},
		{"...", "[...]", "[C]", "[...]"},
	}
	for _, test := range tests {
		shape, err := ops.ParseShape(test.logits)
		if err != nil {
			t.Fatal(err)
		}
		model, err := export.Model(loss, params, export.Options{
			Reduction: losses.None, With: []string{"weight"}, Shapes: map[string]ops.Shape{"logits": shape},
		})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, info := range append(model.Proto.Graph.Input, model.Proto.Graph.Output...) {
			got[info.GetName()] = ops.ShapeOf(info.GetType().GetTensorType()).String()
		}
		if got["target"] != test.target || got["weight"] != test.weight || got["loss"] != test.output {
			t.Errorf("logits %s: %v", test.logits, got)
		}
	}
}

func TestBroadcastingWeightsHaveThePredictionsRank(t *testing.T) {
	loss, params := find(t, "sigmoid-focal", nil)
	tests := []struct {
		asked          map[string]ops.Shape
		logits, weight string
	}{
		{nil, "[N,C]", "[?,?]"},
		{map[string]ops.Shape{"logits": {ops.Fixed(4)}}, "[4]", "[?]"},
		{map[string]ops.Shape{"target": {ops.Fixed(4)}}, "[4]", "[?]"},
		{map[string]ops.Shape{"weight": {ops.Symbolic("C")}}, "[N,C]", "[C]"},
		{map[string]ops.Shape{"logits": nil}, "[...]", "[...]"},
	}
	for _, test := range tests {
		model, err := export.Model(loss, params, export.Options{With: []string{"weight"}, Shapes: test.asked})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, info := range model.Proto.Graph.Input {
			got[info.GetName()] = ops.ShapeOf(info.GetType().GetTensorType()).String()
		}
		if got["logits"] != test.logits || got["weight"] != test.weight {
			t.Errorf("asked for %v: %v", test.asked, got)
		}
	}
}

func TestFunctionIsOneNodeWithItsParametersAsAttributes(t *testing.T) {
	loss, params := find(t, "sigmoid-focal", map[string]any{"gamma": 1.5})
	model, err := export.Model(loss, params, export.Options{Form: export.Function, With: []string{"pos_weight"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(model.Proto.Graph.Node) != 1 || len(model.Proto.Functions) != 1 || model.Proto.GetIrVersion() < 8 {
		t.Fatalf("%d nodes, %d functions, IR version %d", len(model.Proto.Graph.Node), len(model.Proto.Functions), model.Proto.GetIrVersion())
	}
	node := model.Proto.Graph.Node[0]
	if node.GetDomain() != export.Domain || node.GetOpType() != "SigmoidFocalLoss" {
		t.Errorf("the node is %s::%s", node.GetDomain(), node.GetOpType())
	}
	if want := []string{"logits", "target", "", "pos_weight"}; strings.Join(node.Input, "|") != strings.Join(want, "|") {
		t.Errorf("inputs %q, want %q", node.Input, want)
	}
	for _, a := range node.Attribute {
		if a.GetName() == "gamma" && a.GetF() == 1.5 {
			return
		}
	}
	t.Error("gamma = 1.5 is not among the attributes")
}

func TestDescribeReadsBackWhatModelWrote(t *testing.T) {
	loss, params := find(t, "softmax-focal", map[string]any{"gamma": 0.5, "ignore_index": 255, "alpha": 0.25})
	model, err := export.Model(loss, params, export.Options{Opset: 13, DType: ops.Float16, Reduction: losses.Sum, Form: export.Function})
	if err != nil {
		t.Fatal(err)
	}
	d, err := export.Describe(model)
	if err != nil {
		t.Fatal(err)
	}
	if d.Loss != loss || d.Opset != 13 || d.DType != ops.Float16 || d.Reduction != losses.Sum || d.Form != export.Function || d.Output != "loss" || d.Attached {
		t.Errorf("description %+v", d)
	}
	for name, want := range params {
		if d.Params[name] != want {
			t.Errorf("%s is %v, want %v", name, d.Params[name], want)
		}
	}
	if _, err := export.Describe(&models.Model{Proto: new(onnxpb.ModelProto)}); !errors.Is(err, export.ErrNoLoss) {
		t.Errorf("a model without a loss gives %v", err)
	}
}

func TestModelRefusesOptionsThatDoNotFit(t *testing.T) {
	tests := []struct {
		name    string
		options export.Options
		want    string
	}{
		{"opset too old", export.Options{Opset: 8}, "opset 8 is not supported; use 9 to"},
		{"opset too new", export.Options{Opset: 99}, "opset 99 is not supported"},
		{"bfloat16 too early", export.Options{Opset: 12, DType: ops.BFloat16}, "bfloat16 needs opset 13"},
		{"integer loss", export.Options{DType: ops.Int64}, "cannot be of type int64"},
		{"float labels", export.Options{IndexType: ops.Float32}, "class indices cannot be of type float32"},
		{"unknown form", export.Options{Form: "node"}, `unknown form "node"`},
		{"unknown reduction", export.Options{Reduction: "avg"}, `unknown reduction "avg"`},
		{"unknown input", export.Options{With: []string{"mask"}}, `there is no input "mask"`},
		{"unknown shape", export.Options{Shapes: map[string]ops.Shape{"x": {}}}, `a shape is given for "x"`},
		{"rank too low", export.Options{Shapes: map[string]ops.Shape{"logits": {ops.Fixed(3)}}}, "logits has shape [3], but the loss needs [N,C,...]"},
		{"shapes at odds", export.Options{Shapes: map[string]ops.Shape{
			"logits": {ops.Fixed(3), ops.Fixed(5)}, "target": {ops.Fixed(4)},
		}}, "target has shape [4], which does not fit logits"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			loss, params := find(t, "softmax-cross-entropy", nil)
			_, err := export.Model(loss, params, test.options)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestModelChecksParameters(t *testing.T) {
	byDefault, err := losses.SigmoidFocal.Params(nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := export.Model(losses.SigmoidFocal, byDefault, export.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := export.Model(losses.SigmoidFocal, nil, export.Options{})
	if err != nil || !proto.Equal(got.Proto, want.Proto) {
		t.Errorf("without parameters the model is another one, %v", err)
	}
	host, err := detector()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []losses.Params{{"gama": 1.0}, {"gamma": -1.0}} {
		if _, err := export.Model(losses.SigmoidFocal, p, export.Options{}); err == nil || !strings.Contains(err.Error(), "gam") {
			t.Errorf("%v: %v", p, err)
		}
		if _, err := export.Attach(host, losses.SigmoidFocal, p, export.AttachOptions{}); err == nil || !strings.Contains(err.Error(), "gam") {
			t.Errorf("%v, attached: %v", p, err)
		}
	}
}
