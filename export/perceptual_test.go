package export_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/testneeds"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"google.golang.org/protobuf/proto"
)

const (
	earlyLayer = "/Relu_output_0"
	lateLayer  = "/Relu_1_output_0"
)

func open(t *testing.T, name string) *models.Model {
	t.Helper()
	model, err := models.Open("../testdata/models/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return model
}

func images(t *testing.T, seed uint64, shape ...int) engine.Tensor {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 3))
	n := 1
	for _, d := range shape {
		n *= d
	}
	numbers := make([]float32, n)
	for i := range numbers {
		numbers[i] = r.Float32()
	}
	return engine.Must(shape, numbers)
}

// features runs the network up to its layers on normalized images.
func features(t *testing.T, image engine.Tensor, n export.Normalization) losses.Values {
	t.Helper()
	numbers := image.Float64s()
	for i := range numbers {
		numbers[i] = (numbers[i]/n.Scale - n.Mean[0]) / n.Std[0]
	}
	normalized, err := engine.FromFloat64s(ops.Float32, image.Shape(), numbers)
	if err != nil {
		t.Fatal(err)
	}
	cut, err := open(t, "digits_cnn.onnx").Cut(earlyLayer, lateLayer)
	if err != nil {
		t.Fatal(err)
	}
	values := losses.Values{}
	for name, tensor := range runModel(t, cut, map[string]engine.Tensor{"image": normalized}) {
		values[name] = losses.Array{Shape: tensor.Shape(), Data: tensor.Float64s()}
	}
	return values
}

func mean(t *testing.T, loss *losses.Loss, settings map[string]any, in losses.Values) float64 {
	t.Helper()
	params, err := loss.Params(settings)
	if err != nil {
		t.Fatal(err)
	}
	value, err := loss.Evaluate(in, params, losses.Mean)
	if err != nil {
		t.Fatal(err)
	}
	return value.Data[0]
}

func onDigits(t *testing.T) export.Perceptual {
	t.Helper()
	return export.Perceptual{
		Network:        open(t, "digits_cnn.onnx"),
		Content:        []export.Layer{{Name: lateLayer, Weight: 2}},
		Style:          []export.Layer{{Name: earlyLayer, Weight: 0.5}, {Name: lateLayer, Weight: 3}},
		TotalVariation: 0.125,
		Normalization:  export.Normalization{Scale: 2, Mean: []float64{0.25}, Std: []float64{0.5}},
		Settings:       map[string]map[string]any{"style": {"average": true}},
	}
}

func TestPerceptualLossIsThatOfTheNetworksFeatures(t *testing.T) {
	p := onDigits(t)
	prediction, target, style := images(t, 1, 3, 1, 8, 8), images(t, 2, 3, 1, 8, 8), images(t, 3, 1, 1, 8, 8)
	ofPrediction, ofTarget, ofStyle := features(t, prediction, p.Normalization), features(t, target, p.Normalization), features(t, style, p.Normalization)
	average := map[string]any{"average": true}
	want := map[string]float64{
		"content_loss/Relu_1_output_0": mean(t, losses.FeatureReconstruction, nil, losses.Values{"prediction": ofPrediction[lateLayer], "target": ofTarget[lateLayer]}),
		"style_loss/Relu_output_0":     mean(t, losses.Style, average, losses.Values{"prediction": ofPrediction[earlyLayer], "style": ofStyle[earlyLayer]}),
		"style_loss/Relu_1_output_0":   mean(t, losses.Style, average, losses.Values{"prediction": ofPrediction[lateLayer], "style": ofStyle[lateLayer]}),
		"total_variation":              mean(t, losses.TotalVariation, nil, losses.Values{"image": {Shape: prediction.Shape(), Data: prediction.Float64s()}}),
	}
	want["loss"] = 2*want["content_loss/Relu_1_output_0"] + 0.5*want["style_loss/Relu_output_0"] + 3*want["style_loss/Relu_1_output_0"] + 0.125*want["total_variation"]

	for _, form := range export.Forms() {
		p.Form = form
		model, err := p.Model()
		if err != nil {
			t.Fatal(err)
		}
		got := runModel(t, model, map[string]engine.Tensor{"prediction": prediction, "target": target, "style": style})
		if len(got) != len(want) {
			t.Errorf("%s: %d outputs, want %d", form, len(got), len(want))
		}
		for name, want := range want {
			tensor, ok := got[name]
			if !ok {
				t.Errorf("%s: there is no output %q", form, name)
				continue
			}
			if d := math.Abs(tensor.Float64s()[0] - want); !(d <= 1e-5*want) {
				t.Errorf("%s: %s = %g, want %g", form, name, tensor.Float64s()[0], want)
			}
		}
	}
}

func TestPerceptualLossOnTheModelThatMakesTheImage(t *testing.T) {
	host := open(t, "superres.onnx")
	attached, err := onDigits(t).Attach(host, "")
	if err != nil {
		t.Fatal(err)
	}
	low, high := images(t, 4, 2, 1, 4, 4), images(t, 5, 2, 1, 8, 8)
	got := runModel(t, attached, map[string]engine.Tensor{"image": low, "target": high, "style": high})
	alone := runModel(t, host, map[string]engine.Tensor{"image": low})
	if err := engine.Diff(got["upscaled"], alone["upscaled"], engine.Tolerance{}); err != nil {
		t.Errorf("the model's own output has changed: %v", err)
	}
	model, err := onDigits(t).Model()
	if err != nil {
		t.Fatal(err)
	}
	want := runModel(t, model, map[string]engine.Tensor{"prediction": alone["upscaled"], "target": high, "style": high})
	if err := engine.Diff(got["loss"], want["loss"], engine.Tolerance{}); err != nil {
		t.Errorf("attached and alone differ: %v", err)
	}
}

func TestPerceptualLossHasTheWeightsOnce(t *testing.T) {
	p := onDigits(t)
	model, err := p.Model()
	if err != nil {
		t.Fatal(err)
	}
	cut, err := p.Network.Cut(earlyLayer, lateLayer)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := weightBytes(model), weightBytes(cut); got != want {
		t.Errorf("the graph has %d bytes of weights, the network has %d up to the layers", got, want)
	}
}

func weightBytes(m *models.Model) int {
	total := 0
	for _, w := range m.Proto.GetGraph().GetInitializer() {
		total += proto.Size(w)
	}
	return total
}

func TestPerceptualLossOnARealTopology(t *testing.T) {
	const path = "../../shared/models/light/light_vgg19.onnx"
	network, err := models.Open(path)
	if err != nil {
		testneeds.Lacking(t, testneeds.Shared, err.Error())
	}
	layers, err := network.Layers()
	if err != nil {
		t.Fatal(err)
	}
	var relus []export.Layer
	for _, l := range layers {
		if l.Op == "Relu" {
			relus = append(relus, export.Layer{Name: l.Name, Weight: 1})
		}
	}
	p := export.Perceptual{Network: network, Content: relus[8:9], Style: relus[:4]}
	model, err := p.Model()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := model.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if err := export.Check(raw); err != nil {
		t.Fatal(err)
	}
	// Nine layers for the prediction, the target and the style image.
	if got := countNodes(model, "Conv"); got != 27 {
		t.Errorf("the graph has %d convolutions, want 27", got)
	}
	cut, err := network.Cut(relus[8].Name)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := countNodes(model, "ConstantOfShape"), countNodes(cut, "ConstantOfShape"); got != want {
		t.Errorf("the graph makes %d weights, the network makes %d up to the last layer", got, want)
	}
}

func countNodes(m *models.Model, op string) int {
	count := 0
	for _, n := range m.Proto.GetGraph().GetNode() {
		if n.GetOpType() == op {
			count++
		}
	}
	return count
}

func TestPerceptualLossRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(p *export.Perceptual)
		want   string
	}{
		{"no network", func(p *export.Perceptual) { p.Network = nil }, "there is no network"},
		{"no layer", func(p *export.Perceptual) { p.Content, p.Style = nil, nil }, "no layer is named"},
		{"a layer that the network does not have", func(p *export.Perceptual) { p.Content[0].Name = "/Relu_outptu_0" }, `"/Relu_output_0"`},
		{"a weight that is no number", func(p *export.Perceptual) { p.Style[0].Weight = math.Inf(1) }, "a weight is +Inf"},
		{"a negative scale", func(p *export.Perceptual) { p.Normalization.Scale = -1 }, "the scale is -1"},
		{"a standard deviation of 0", func(p *export.Perceptual) { p.Normalization.Std = []float64{0} }, "a standard deviation is 0"},
		{"more means than channels", func(p *export.Perceptual) { p.Normalization.Mean = []float64{1, 2, 3} }, "the mean has 3 numbers, but the network's image [N,1,8,8] has 1 channels"},
		{"settings of another loss", func(p *export.Perceptual) { p.Settings = map[string]map[string]any{"mse": nil} }, "settings for mse"},
		{"an unknown parameter", func(p *export.Perceptual) { p.Settings = map[string]map[string]any{"style": {"averge": true}} }, `did you mean "average"`},
		{"an unknown form", func(p *export.Perceptual) { p.Form = "graf" }, `unknown form "graf"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := onDigits(t)
			p.Content, p.Style = slices.Clone(p.Content), slices.Clone(p.Style)
			test.change(&p)
			if _, err := p.Model(); err == nil || !strings.HasPrefix(err.Error(), "export: perceptual: ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want ... %s", err, test.want)
			}
		})
	}
}
