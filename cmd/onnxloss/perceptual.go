package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
)

// perceptualFlags are those of the perceptual command.
type perceptualFlags struct {
	network, weights          string
	vgg                       int
	model, prediction, output string
	content, style            []string
	variation                 float64
	normalize                 string
	scale                     float64
	mean, std                 []float64
	set                       []string
	form, dtype, name         string
}

func newPerceptual() *cobra.Command {
	var flags perceptualFlags
	cmd := &cobra.Command{
		Use:   "perceptual --network FILE -o FILE",
		Short: "Write a perceptual loss with its feature network inside",
		Long: `Write the perceptual loss of Johnson et al. 2016: a network that was trained for
something else looks at the images, and the features that its layers see are
compared. The graph has the network inside, its weights once. By itself it reads
the images "prediction", "target" (with --content) and "style" (with --style);
with --model it sits on a model that makes the prediction. onnxloss inspect FILE
--layers lists a network's layers. --vgg makes a VGG network from a file with
its weights, safetensors or npz; its layers are called relu1_1 and so on.`,
		Example: `  onnxloss perceptual --network vgg16.onnx -o loss.onnx \
      --content relu2_2 --normalize imagenet
  onnxloss perceptual --vgg 16 --weights vgg16.safetensors -o style.onnx \
      --content relu3_3=1 --style relu1_2=5 --style relu2_2=5 --tv 1e-4 \
      --normalize imagenet --scale 255 --set style.average=true
  onnxloss perceptual --network digits_cnn.onnx --model superres.onnx \
      --content relu_1 -o superres_with_loss.onnx`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flags.run(cmd)
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.network, "network", "", "ONNX `FILE` of the feature network")
	f.IntVar(&flags.vgg, "vgg", 0, "make a VGG network of this `depth`, 16 or 19, instead")
	f.StringVar(&flags.weights, "weights", "", "`FILE` with the VGG network's weights, .safetensors or .npz")
	f.StringVar(&flags.model, "model", "", "ONNX `FILE` that makes the prediction")
	f.StringVar(&flags.prediction, "prediction", "", "`tensor` of the model that is the prediction (default its only floating-point output)")
	f.StringArrayVar(&flags.content, "content", nil, "layer to compare with the target, `layer[=weight]`; may be repeated")
	f.StringArrayVar(&flags.style, "style", nil, "layer whose Gram matrix is compared with the style image's, `layer[=weight]`; may be repeated")
	f.Float64Var(&flags.variation, "tv", 0, "`weight` of the prediction's total variation")
	f.StringVar(&flags.normalize, "normalize", "none", "`what` is done to images before the network: none, or imagenet for networks of torchvision")
	f.Float64Var(&flags.scale, "scale", 1, "`number` that images are divided by before the network, such as 255")
	f.Float64SliceVar(&flags.mean, "mean", nil, "`numbers` to subtract from the channels after that, separated by commas")
	f.Float64SliceVar(&flags.std, "std", nil, "`numbers` to divide the channels by after that, separated by commas")
	f.StringArrayVar(&flags.set, "set", nil, "parameter of a part, `loss.name=value`, such as style.average=true; may be repeated")
	f.StringVar(&flags.form, "form", string(export.Graph), "`form` that the losses are written in: graph or function")
	f.StringVar(&flags.dtype, "dtype", "", "element `type` of the losses (default that of the features, float32 for half types)")
	f.StringVar(&flags.name, "name", "", "`name` of the total in the model (default loss, or the next free name)")
	f.StringVarP(&flags.output, "output", "o", "", "`FILE` to write")
	complete(cmd, "form", names(export.Forms()))
	complete(cmd, "dtype", names(ops.FloatTypes()))
	complete(cmd, "normalize", "none, imagenet")
	return cmd
}

func (f *perceptualFlags) run(cmd *cobra.Command) error {
	if f.output == "" {
		return fmt.Errorf("perceptual: -o FILE is missing; say where to write the model")
	}
	loss, err := f.options()
	if err != nil {
		return err
	}
	made, err := f.make(loss)
	if err != nil {
		return err
	}
	return saveModel(cmd, made, f.output, "")
}

// options turns the flags into what package export takes.
func (f *perceptualFlags) options() (loss export.Perceptual, err error) {
	if loss.Network, err = f.openNetwork(); err != nil {
		return loss, err
	}
	if loss.Content, err = layers("--content", f.content); err != nil {
		return loss, err
	}
	if loss.Style, err = layers("--style", f.style); err != nil {
		return loss, err
	}
	if len(loss.Content)+len(loss.Style) == 0 {
		return loss, fmt.Errorf("perceptual: no layer is named; give --content LAYER or --style LAYER (onnxloss inspect NETWORK --layers lists them)")
	}
	if loss.Normalization, err = f.normalization(); err != nil {
		return loss, err
	}
	if loss.Settings, err = settingsOfParts(f.set); err != nil {
		return loss, err
	}
	if loss.Form, err = export.ParseForm(f.form); err != nil {
		return loss, err
	}
	if f.dtype != "" {
		if loss.DType, err = ops.ParseDType(f.dtype); err != nil {
			return loss, err
		}
	}
	loss.TotalVariation, loss.Output = f.variation, f.name
	return loss, nil
}

func (f *perceptualFlags) openNetwork() (*models.Model, error) {
	switch {
	case f.network != "" && (f.vgg != 0 || f.weights != ""):
		return nil, fmt.Errorf("perceptual: --network and --vgg are two ways to give the network; use one")
	case f.network != "":
		return models.Open(f.network)
	case f.vgg == 0:
		return nil, fmt.Errorf("perceptual: --network FILE is missing; name the ONNX file of the feature network, or make one with --vgg and --weights")
	case f.weights == "":
		return nil, fmt.Errorf("perceptual: --weights FILE is missing; name the file with the weights of VGG-%d", f.vgg)
	}
	weights, err := models.OpenWeights(f.weights)
	if err != nil {
		return nil, err
	}
	defer weights.Close()
	return models.VGG(f.vgg, weights, 0)
}

// layers reads layer[=weight] settings.
func layers(flag string, given []string) ([]export.Layer, error) {
	var list []export.Layer
	for _, text := range given {
		layer := export.Layer{Name: text, Weight: 1}
		if at := strings.LastIndexByte(text, '='); at >= 0 {
			weight, err := strconv.ParseFloat(text[at+1:], 64)
			if err != nil {
				return nil, fmt.Errorf("perceptual: %s %s: the weight must be a number, got %q", flag, text, text[at+1:])
			}
			layer = export.Layer{Name: text[:at], Weight: weight}
		}
		list = append(list, layer)
	}
	return list, nil
}

func (f *perceptualFlags) normalization() (export.Normalization, error) {
	custom := len(f.mean)+len(f.std) > 0
	switch {
	case f.normalize == "imagenet" && custom:
		return export.Normalization{}, fmt.Errorf("perceptual: --normalize imagenet has a mean and a std of its own; leave --mean and --std out")
	case f.normalize == "imagenet":
		return export.ImageNet(f.scale), nil
	case f.normalize == "none":
		return export.Normalization{Scale: f.scale, Mean: f.mean, Std: f.std}, nil
	}
	return export.Normalization{}, fmt.Errorf("perceptual: unknown --normalize %q; use none or imagenet", f.normalize)
}

// settingsOfParts reads loss.name=value settings.
func settingsOfParts(given []string) (map[string]map[string]any, error) {
	settings := map[string]map[string]any{}
	for _, text := range given {
		key, value, ok := strings.Cut(text, "=")
		loss, name, dotted := strings.Cut(key, ".")
		if !ok || !dotted {
			return nil, fmt.Errorf("perceptual: --set %s: write it as loss.name=value, such as style.average=true", text)
		}
		if settings[loss] == nil {
			settings[loss] = map[string]any{}
		}
		settings[loss][name] = value
	}
	return settings, nil
}

func (f *perceptualFlags) make(loss export.Perceptual) (*models.Model, error) {
	if f.model == "" {
		if f.prediction != "" {
			return nil, fmt.Errorf("perceptual: --prediction names a tensor of a model, but there is no --model")
		}
		return loss.Model()
	}
	for _, from := range []string{f.model, f.network} {
		if sameFile(from, f.output) {
			return nil, fmt.Errorf("perceptual: -o names the model itself, %s; name another file", f.output)
		}
	}
	model, err := models.Open(f.model)
	if err != nil {
		return nil, err
	}
	return loss.Attach(model, f.prediction)
}
