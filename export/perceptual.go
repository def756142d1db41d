package export

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"google.golang.org/protobuf/proto"
)

// Perceptual is the loss of Johnson et al. 2016 (arXiv:1603.08155) on images: a
// network that was trained for something else looks at them, and its features are
// compared.
//
//	loss = Σ_content weight · feature-reconstruction(φ(prediction), φ(target))
//	     + Σ_style   weight · style(φ(prediction), φ(style))
//	     + total variation weight · total-variation(prediction)
//
// The network is applied to each of the images inside the graph; its weights are
// there once.
type Perceptual struct {
	Network *models.Model
	Content []Layer // compared with the image "target"
	Style   []Layer // compared with the image "style" by their Gram matrices
	// TotalVariation is the weight of the prediction's total variation; 0 leaves it
	// out.
	TotalVariation float64
	// Normalization is done before the network, not before the total variation.
	Normalization Normalization
	// Settings are further parameters of the losses by command-line name, such as
	// "style": {"average": true}.
	Settings map[string]map[string]any
	// Form and DType are those of the losses; the network stays as it is.
	Form  Form
	DType ops.DType
	// Output names the total; "loss", or the next free name, where empty.
	Output string
}

// Layer is a tensor of the feature network, and the weight of the loss on it.
type Layer struct {
	Name   string
	Weight float64
}

// Normalization is (x / Scale - Mean) / Std, with a number for each channel or one
// for all of them. The zero Normalization does nothing.
type Normalization struct {
	Scale     float64 // 0 is 1
	Mean, Std []float64
}

// ImageNet is the normalization of the networks that PyTorch's torchvision trained
// on ImageNet, for images from 0 to scale.
func ImageNet(scale float64) Normalization {
	return Normalization{Scale: scale, Mean: []float64{0.485, 0.456, 0.406}, Std: []float64{0.229, 0.224, 0.225}}
}

// Model makes a model of the loss alone. Its inputs are the images "prediction" and,
// as far as there are losses on them, "target" and "style", as the network's input
// is declared; its outputs are the total "loss" and each of its terms:
// "content_loss/" and "style_loss/" with the layer's name, and "total_variation".
func (p Perceptual) Model() (*models.Model, error) {
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("export: perceptual: %w", err)
	}
	image := p.Network.Inputs()[0]
	host := &models.Model{Path: p.Network.Path, Proto: &onnxpb.ModelProto{
		IrVersion:       proto.Int64(p.Network.Proto.GetIrVersion()),
		ProducerName:    proto.String("onnxloss"),
		ProducerVersion: proto.String(Version),
		OpsetImport:     []*onnxpb.OperatorSetIdProto{opsetImport("", p.Network.Opset())},
		Graph: &onnxpb.GraphProto{
			Name:  proto.String("Perceptual"),
			Input: []*onnxpb.ValueInfoProto{ops.ValueInfo("prediction", image.DType, image.Shape)},
		},
	}}
	model, err := p.onto(host, "prediction", false)
	if err != nil {
		return nil, fmt.Errorf("export: perceptual: %w", err)
	}
	return model, nil
}

// Attach puts the loss onto a model that makes images: prediction is the tensor that
// they are, or "" for the model's only floating-point output. The images "target"
// and "style" become inputs. External data of the model and the network must lie in
// one folder, or be loaded.
func (p Perceptual) Attach(model *models.Model, prediction string) (*models.Model, error) {
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("export: attach perceptual: %w", err)
	}
	host, err := newHost(model, 0)
	if err != nil {
		return nil, fmt.Errorf("export: attach perceptual: %w", err)
	}
	if prediction == "" {
		if prediction, err = host.findPrediction(losses.Input{Name: "prediction", Role: losses.Prediction, Shape: "N,C,H,W"}, nil); err != nil {
			return nil, fmt.Errorf("export: attach perceptual: %w", err)
		}
	}
	attached, err := p.onto(model, prediction, true)
	if err != nil {
		return nil, fmt.Errorf("export: attach perceptual: %w", err)
	}
	return attached, nil
}

func (p Perceptual) check() error {
	if p.Network == nil {
		return fmt.Errorf("there is no network; give one whose features are compared")
	}
	if len(p.Content)+len(p.Style) == 0 {
		return fmt.Errorf("no layer is named; name content or style layers of the network")
	}
	weights := []float64{p.TotalVariation}
	for _, l := range slices.Concat(p.Content, p.Style) {
		weights = append(weights, l.Weight)
	}
	for _, w := range weights {
		if math.IsNaN(w) || math.IsInf(w, 0) {
			return fmt.Errorf("a weight is %g; give finite numbers", w)
		}
	}
	for name := range p.Settings {
		if !slices.Contains([]string{"feature-reconstruction", "style", "total-variation"}, name) {
			return fmt.Errorf("there are settings for %s, which is no part of it; its parts are feature-reconstruction, style and total-variation", name)
		}
	}
	if image := p.Network.Inputs(); len(image) != 1 {
		return fmt.Errorf("the network has %d inputs; it must have one, the image", len(image))
	}
	return p.Normalization.check(p.Network.Inputs()[0].Shape)
}

// check proves that the numbers can be computed with, and are as many as an image
// has channels.
func (n Normalization) check(image ops.Shape) error {
	if len(image) > 1 {
		channels, fixed := image[1].Size()
		for what, numbers := range map[string][]float64{"mean": n.Mean, "standard deviation": n.Std} {
			if fixed && len(numbers) > 1 && len(numbers) != channels {
				return fmt.Errorf("the %s has %d numbers, but the network's image %s has %d channels", what, len(numbers), image, channels)
			}
		}
	}
	if n.Scale < 0 || math.IsNaN(n.Scale) || math.IsInf(n.Scale, 0) {
		return fmt.Errorf("the scale is %g; it must be above 0", n.Scale)
	}
	for _, s := range n.Std {
		if !(s > 0) || math.IsInf(s, 0) {
			return fmt.Errorf("a standard deviation is %g; it must be above 0", s)
		}
	}
	for _, m := range n.Mean {
		if math.IsNaN(m) || math.IsInf(m, 0) {
			return fmt.Errorf("a mean is %g; give finite numbers", m)
		}
	}
	return nil
}

// images lists the images that the network looks at.
func (p Perceptual) images() []string {
	images := []string{"prediction"}
	if len(p.Content) > 0 {
		images = append(images, "target")
	}
	if len(p.Style) > 0 {
		images = append(images, "style")
	}
	return images
}

// onto puts the network and the losses behind a tensor of a model. What is behind a
// model can be taken off again.
func (p Perceptual) onto(model *models.Model, prediction string, removable bool) (*models.Model, error) {
	host, err := model.Edit().Model()
	if err != nil {
		return nil, err
	}
	own := slices.Clone(host.Proto.GetGraph().GetOutput())
	tensors, fed, err := p.addImages(host, prediction)
	if err != nil {
		return nil, err
	}
	twin, err := p.twin()
	if err != nil {
		return nil, err
	}
	feeds := map[string]string{}
	image := p.Network.Inputs()[0].Name
	for name, tensor := range fed {
		feeds[name+"/"+image] = tensor
	}
	joint, names, err := models.Join(host, twin, feeds)
	if err != nil {
		return nil, err
	}
	terms, err := p.terms(tensors, func(image, layer string) string { return names[image+"/"+layer] })
	if err != nil {
		return nil, err
	}
	onto, err := newHost(joint, 0)
	if err != nil {
		return nil, err
	}
	composition, err := onto.attachAll(terms, p.Output)
	if err != nil {
		return nil, err
	}
	onlyLossesAdded(onto.edit.Proto().Graph, own, len(terms)+1)
	onto.startedFrom(model, removable)
	return onto.finish(composition.entries())
}

// twin is the network up to the layers, once for each image. The style image may
// have sizes of its own, and so it gets symbols of its own.
func (p Perceptual) twin() (*models.Model, error) {
	var layers []string
	for _, l := range slices.Concat(p.Content, p.Style) {
		if !slices.Contains(layers, l.Name) {
			layers = append(layers, l.Name)
		}
	}
	cut, err := p.Network.Cut(layers...)
	if err != nil {
		return nil, err
	}
	twin, err := models.Twin(cut, p.images()...)
	if err != nil {
		return nil, err
	}
	if len(p.Style) > 0 {
		err = twin.OwnAxes("style")
	}
	return twin, err
}

// addImages gives the host an input for each image that it does not make itself,
// and normalizes all of them. tensors are the images, fed what the network sees.
func (p Perceptual) addImages(host *models.Model, prediction string) (tensors, fed map[string]string, err error) {
	h := host.Proto
	declared := p.Network.Inputs()[0]
	known, ok := host.Tensor(prediction)
	if !ok {
		return nil, nil, fmt.Errorf("the model has no tensor %q to be the prediction; its outputs are %s", prediction, infoNames(h.Graph.Output))
	}
	names := map[string]bool{}
	takeNames(h.Graph, names)
	tensors, fed = map[string]string{"prediction": prediction}, map[string]string{}
	for _, image := range p.images() {
		if image == "prediction" {
			continue
		}
		shape := known.Shape
		if image == "style" {
			shape = slices.Clone(declared.Shape)
			for i, d := range shape {
				if d.Symbol() != "" {
					shape[i] = ops.Symbolic("style/" + d.Symbol())
				}
			}
		}
		tensors[image] = takeFree(names, image)
		h.Graph.Input = append(h.Graph.Input, ops.ValueInfo(tensors[image], declared.DType, shape))
	}
	for _, image := range p.images() {
		if fed[image], err = p.Normalization.addTo(h, names, tensors[image], image, host); err != nil {
			return nil, nil, err
		}
	}
	return tensors, fed, nil
}

// addTo normalizes a tensor and returns the result's name.
func (n Normalization) addTo(h *onnxpb.ModelProto, names map[string]bool, tensor, image string, host *models.Model) (string, error) {
	if n.Scale == 0 {
		n.Scale = 1
	}
	if n.Scale == 1 && len(n.Mean)+len(n.Std) == 0 {
		return tensor, nil
	}
	about, _ := host.Tensor(tensor)
	if !about.DType.IsFloat() {
		return "", fmt.Errorf("the image %q is %s, not floating-point", tensor, about.DType)
	}
	b := ops.NewBuilder(opsetOf(h.OpsetImport, ""), "normalized_"+image+"/", names)
	x := b.Input(tensor, about.DType, about.Shape)
	perChannel := func(numbers []float64) ops.Value {
		if len(numbers) == 1 {
			return b.Scalar(x, numbers[0])
		}
		return b.Constant(about.DType, []int{len(numbers), 1, 1}, numbers)
	}
	y := x
	if n.Scale != 1 {
		y = b.Div(y, b.Scalar(y, n.Scale))
	}
	if len(n.Mean) > 0 {
		y = b.Sub(y, perChannel(n.Mean))
	}
	if len(n.Std) > 0 {
		y = b.Div(y, perChannel(n.Std))
	}
	y = b.Label(y, image)
	fragment, err := b.Finish(y)
	if err != nil {
		return "", err
	}
	h.Graph.Node = append(h.Graph.Node, fragment.Nodes...)
	h.Graph.ValueInfo = append(h.Graph.ValueInfo, fragment.ValueInfo...)
	for _, info := range fragment.ValueInfo {
		names[info.GetName()] = true
	}
	return y.Name(), nil
}

// terms lists the losses; feature gives the tensor of an image's layer.
func (p Perceptual) terms(tensors map[string]string, feature func(image, layer string) string) ([]Term, error) {
	var terms []Term
	add := func(loss *losses.Loss, weight float64, output string, bind map[string]string) error {
		params, err := loss.Params(p.Settings[loss.Command()])
		if err != nil {
			return err
		}
		terms = append(terms, Term{Loss: loss, Params: params, Weight: weight, AttachOptions: AttachOptions{
			Options: Options{Form: p.Form, DType: p.DType, Reduction: losses.Mean}, Bind: bind, Output: output,
		}})
		return nil
	}
	for _, l := range p.Content {
		bind := map[string]string{"prediction": feature("prediction", l.Name), "target": feature("target", l.Name)}
		if err := add(losses.FeatureReconstruction, l.Weight, "content_loss/"+strings.TrimPrefix(l.Name, "/"), bind); err != nil {
			return nil, err
		}
	}
	for _, l := range p.Style {
		bind := map[string]string{"prediction": feature("prediction", l.Name), "style": feature("style", l.Name)}
		if err := add(losses.Style, l.Weight, "style_loss/"+strings.TrimPrefix(l.Name, "/"), bind); err != nil {
			return nil, err
		}
	}
	if p.TotalVariation != 0 {
		if err := add(losses.TotalVariation, p.TotalVariation, "total_variation", map[string]string{"image": tensors["prediction"]}); err != nil {
			return nil, err
		}
	}
	return terms, nil
}

// onlyLossesAdded takes the features out of the outputs: what stays is the model's
// own and, last, the losses. The total comes before its terms.
func onlyLossesAdded(g *onnxpb.GraphProto, own []*onnxpb.ValueInfoProto, added int) {
	features := g.Output[len(own) : len(g.Output)-added]
	losses := g.Output[len(g.Output)-added:]
	g.ValueInfo = append(g.ValueInfo, features...)
	g.Output = slices.Concat(g.Output[:len(own)], losses[added-1:], losses[:added-1])
}
