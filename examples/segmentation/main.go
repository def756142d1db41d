// Command segmentation judges a U-Net with the loss of the boundary loss's paper:
// generalized Dice, which counts what is labelled wrongly, plus α times the boundary
// loss, which counts how far from the outline it lies. α grows during a training, so
// that it is an input of the model and no parameter.
//
//	go run ./examples/segmentation
package main

import (
	"context"
	"io"
	"math"

	"github.com/onnxloss/onnxloss/examples/kit"
	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/score"
)

func main() { kit.Main(run) }

func run(to io.Writer, eng engine.Engine, data string) error {
	r, err := judge(eng, data)
	if err == nil {
		r.write(to)
	}
	return err
}

// scene is a model and its data.
type scene struct {
	eng           engine.Engine
	unet          *models.Model
	images, masks engine.Tensor // [N,1,16,16], and the class of each pixel [N,16,16]
	logits        engine.Tensor // what the U-Net says, [N,2,16,16]
}

func open(eng engine.Engine, data string) (*scene, error) {
	s := &scene{eng: eng}
	var err error
	if s.unet, err = kit.Open(data, "unet.onnx"); err != nil {
		return nil, err
	}
	if s.images, err = kit.Read(data, "unet_images.npy", ops.Float32, kit.AnySize, 1, side, side); err != nil {
		return nil, err
	}
	if s.masks, err = kit.Read(data, "unet_masks.npy", ops.Int64, s.images.Shape()[0], side, side); err != nil {
		return nil, err
	}
	outputs, err := kit.Run(eng, s.unet, map[string]engine.Tensor{"image": s.images})
	if err != nil {
		return nil, err
	}
	s.logits = outputs["logits"]
	return s, nil
}

func judge(eng engine.Engine, data string) (report, error) {
	s, err := open(eng, data)
	if err != nil {
		return report{}, err
	}
	r := report{masks: s.masks, logits: s.logits}
	if err := s.follow(&r); err != nil {
		return report{}, err
	}
	if r.parts, err = s.parts(); err != nil {
		return report{}, err
	}
	return r, nil
}

// alphas are those of a training: small at first, when masks are far off and only
// generalized Dice leads somewhere.
var alphas = []float64{0.01, 0.1, 0.25, 1}

// follow scores every image under every α, with both schedules of the paper.
func (s *scene) follow(r *report) error {
	for _, schedule := range []string{"increase", "rebalance"} {
		params, err := losses.BoundaryDice.Params(map[string]any{"schedule": schedule})
		if err != nil {
			return err
		}
		model, err := export.Attach(s.unet, losses.BoundaryDice, params, export.AttachOptions{
			Options: export.Options{Reduction: losses.None}, // a number for each image
			Bind:    map[string]string{"prediction": "logits"},
		})
		if err != nil {
			return err
		}
		cases, err := kit.Verify(s.eng, model)
		if err != nil {
			return err
		}
		r.cases += cases
		for _, alpha := range alphas {
			stage, err := s.score(model, params, alpha)
			if err != nil {
				return err
			}
			stage.schedule = schedule
			r.stages = append(r.stages, stage)
		}
	}
	return nil
}

// A stage is the loss under one α.
type stage struct {
	schedule string
	alpha    float64
	perImage []float64
	mean     float64
	worst    float64 // the largest difference from the reference
}

func (s *scene) score(model *models.Model, params losses.Params, alpha float64) (stage, error) {
	result, err := score.Run(context.Background(), s.eng, model, map[string]engine.Tensor{
		"image": s.images, "target": s.masks, "alpha": engine.Scalar(float32(alpha)),
	}, score.Options{})
	if err != nil {
		return stage{}, err
	}
	want, err := losses.BoundaryDice.Evaluate(losses.Values{
		"prediction": kit.Array(s.logits),
		"target":     kit.Array(s.masks),
		"alpha":      {Shape: []int{}, Data: []float64{alpha}},
	}, params, losses.None)
	if err != nil {
		return stage{}, err
	}
	st := stage{alpha: alpha, perImage: result.PerSample, mean: result.Mean}
	for i, x := range want.Data {
		st.worst = math.Max(st.worst, math.Abs(x-result.PerSample[i]))
	}
	return st, nil
}

// parts is the same loss put together of its parts, for an α that stays: one file with
// an output for each part and one for their weighted sum.
type parts struct {
	alpha, dice, boundary, total float64
	cases                        int
}

func (s *scene) parts() (parts, error) {
	p := parts{alpha: 0.25}
	var terms []export.Term
	for _, of := range []struct {
		loss   *losses.Loss
		weight float64
	}{{losses.GeneralizedDice, 1}, {losses.Boundary, p.alpha}} {
		params, err := of.loss.Params(nil)
		if err != nil {
			return p, err
		}
		bind := map[string]string{"prediction": "logits"}
		if len(terms) > 0 {
			bind["target"] = "target" // the input that the first one brought
		}
		terms = append(terms, export.Term{
			Loss: of.loss, Params: params, Weight: of.weight,
			AttachOptions: export.AttachOptions{Bind: bind},
		})
	}
	model, err := export.AttachAll(s.unet, terms, export.AllOptions{Total: "total"})
	if err != nil {
		return p, err
	}
	if p.cases, err = kit.Verify(s.eng, model); err != nil {
		return p, err
	}
	outputs, err := kit.Run(s.eng, model, map[string]engine.Tensor{"image": s.images, "target": s.masks})
	if err != nil {
		return p, err
	}
	p.dice = outputs["generalized-dice"].Float64s()[0]
	p.boundary = outputs["boundary"].Float64s()[0]
	p.total = outputs["total"].Float64s()[0]
	return p, nil
}
