// Command superres compares ways to make 8 x 8 images of 4 x 4 ones: a
// super-resolution network, pixels that are repeated, and the network's images,
// blurred. It shows what each loss on images sees: errors of pixels, edges, detail on
// several scales, roughness, and what a network that reads the images makes of them.
//
//	go run ./examples/superres
package main

import (
	"io"

	"github.com/onnxloss/onnxloss/examples/kit"
	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

func main() { kit.Main(run) }

func run(to io.Writer, eng engine.Engine, data string) error {
	r, err := compare(eng, data)
	if err == nil {
		r.write(to)
	}
	return err
}

// candidate is a way to get large images, and the images.
type candidate struct {
	name   string
	images engine.Tensor // [N,1,8,8]
}

// compare gives every loss of every candidate.
func compare(eng engine.Engine, data string) (report, error) {
	upscaler, err := kit.Open(data, "superres.onnx")
	if err != nil {
		return report{}, err
	}
	classifier, err := kit.Open(data, "digits_cnn.onnx")
	if err != nil {
		return report{}, err
	}
	low, err := kit.Read(data, "superres_low.npy", ops.Float32, kit.AnySize, 1, 4, 4)
	if err != nil {
		return report{}, err
	}
	high, err := kit.Read(data, "superres_high.npy", ops.Float32, low.Shape()[0], 1, 8, 8)
	if err != nil {
		return report{}, err
	}

	// the network with the loss on it: one file from small images to a loss
	attached, err := perceptual(classifier).Attach(upscaler, "upscaled")
	if err != nil {
		return report{}, err
	}
	r := report{}
	if r.cases, err = kit.Verify(eng, attached); err != nil {
		return report{}, err
	}
	outputs, err := kit.Run(eng, attached, map[string]engine.Tensor{"image": low, "target": high})
	if err != nil {
		return report{}, err
	}
	r.attached = outputs["loss"].Float64s()[0]
	upscaled, count := outputs["upscaled"], high.Shape()[0]

	j := judge{eng: eng, target: high, candidates: []candidate{
		{"truth", high},
		{"network", upscaled},
		{"repeated", large(engine.Data[float32](low), repeated, count)},
		{"blurred", large(engine.Data[float32](upscaled), blurred, count)},
	}}
	r.candidates = j.candidates
	if err := j.plain(&r); err != nil {
		return report{}, err
	}
	if err := j.perceptual(&r, classifier); err != nil {
		return report{}, err
	}
	r.read, err = j.read(classifier)
	return r, err
}

// judge compares candidates with the true images.
type judge struct {
	eng        engine.Engine
	target     engine.Tensor
	candidates []candidate
}

// plain adds the losses that need no network.
func (j judge) plain(r *report) error {
	for _, of := range []struct {
		loss     *losses.Loss
		settings map[string]any
	}{
		{losses.MSE, nil},
		{losses.ImageGradient, nil},
		{losses.GradientMagnitude, nil},
		{losses.LaplacianPyramid, map[string]any{"levels": 2}}, // 8 x 8 pixels have no more
		{losses.TotalVariation, map[string]any{"average": true}},
	} {
		params, err := of.loss.Params(of.settings)
		if err != nil {
			return err
		}
		// total variation looks at one image, the others at two
		predicted := of.loss.InputsFor(params)[0].Name
		model, err := export.Model(of.loss, params, export.Options{
			Shapes: map[string]ops.Shape{predicted: {ops.Symbolic("N"), ops.Fixed(1), ops.Fixed(8), ops.Fixed(8)}},
		})
		if err != nil {
			return err
		}
		cases, err := kit.Verify(j.eng, model)
		if err != nil {
			return err
		}
		r.cases += cases

		results := row{name: of.loss.Command()}
		for _, c := range j.candidates {
			inputs := map[string]engine.Tensor{predicted: c.images}
			values := losses.Values{predicted: kit.Array(c.images)}
			if of.loss != losses.TotalVariation {
				inputs["target"], values["target"] = j.target, kit.Array(j.target)
			}
			outputs, err := kit.Run(j.eng, model, inputs)
			if err != nil {
				return err
			}
			want, err := of.loss.Evaluate(values, params, losses.Mean)
			if err != nil {
				return err
			}
			results.add(outputs["loss"], want.Data[0])
		}
		r.losses = append(r.losses, results)
	}
	return nil
}
