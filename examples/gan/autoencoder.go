package main

import (
	"math"

	"github.com/onnxloss/onnxloss/examples/kit"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// EBGAN and BEGAN have an auto-encoder for a discriminator: what it says of an image
// is how badly it reconstructs it. The GAN here has none, so that one is made up of
// what is at hand: images are shrunk to 4 x 4, and the super-resolution network,
// which was trained on real digits, makes 8 x 8 of them again.

// errorsOf is the mean absolute error of each image's reconstruction, [N,1].
func (g *gan) errorsOf(images engine.Tensor) (engine.Tensor, error) {
	small, err := shrink(images)
	if err != nil {
		return engine.Tensor{}, err
	}
	outputs, err := kit.Run(g.eng, g.upscaler, map[string]engine.Tensor{"image": small})
	if err != nil {
		return engine.Tensor{}, err
	}
	original, again := images.Float64s(), outputs["upscaled"].Float64s()
	count := images.Shape()[0]
	errors := make([]float32, count)
	for i := range errors {
		sum := 0.0
		for j := i * pixels; j < (i+1)*pixels; j++ {
			sum += math.Abs(original[j] - again[j])
		}
		errors[i] = float32(sum / pixels)
	}
	return engine.New([]int{count, 1}, errors)
}

// shrink averages 2 x 2 pixels.
func shrink(images engine.Tensor) (engine.Tensor, error) {
	count, from := images.Shape()[0], engine.Data[float32](images)
	small := make([]float32, count*4*4)
	for i, value := range from {
		image, row, column := i/pixels, i%pixels/8, i%8
		small[image*16+row/2*4+column/2] += value / 4
	}
	return engine.New([]int{count, 1, 4, 4}, small)
}

// reconstructions gives the errors on real and on generated images.
func (g *gan) reconstructions() (real, fake engine.Tensor, err error) {
	if real, err = g.errorsOf(g.real); err != nil {
		return real, fake, err
	}
	outputs, err := kit.Run(g.eng, g.generator, map[string]engine.Tensor{"z": g.z})
	if err != nil {
		return real, fake, err
	}
	fake, err = g.errorsOf(outputs["image"])
	return real, fake, err
}

// judgeErrors gives the losses that are not about the balance.
func (g *gan) judgeErrors() ([]result, error) {
	real, fake, err := g.reconstructions()
	if err != nil {
		return nil, err
	}
	var results []result
	for _, of := range []struct {
		loss     *losses.Loss
		settings map[string]any
		in       map[string]engine.Tensor
	}{
		// the margin is chosen on the scale of the errors, which are below 0.2
		{losses.EBGANDiscriminator, map[string]any{"margin": 0.2}, map[string]engine.Tensor{"real": real, "fake": fake}},
		{losses.EBGANGenerator, nil, map[string]engine.Tensor{"fake": fake}},
		{losses.BEGANGenerator, nil, map[string]engine.Tensor{"fake": fake}},
	} {
		r, err := g.alone(of.loss, of.settings, of.in)
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, nil
}

// A step of BEGAN's training: k weighs the generated images in the discriminator's
// loss, and comes from the step before.
type step struct {
	k                                   float64
	discriminator, convergence, balance result
}

// balance follows k for a few steps, as if the errors stayed as they are. lambda_k is
// large, so that k moves as far as it does in thousands of steps with 0.001.
func (g *gan) balance() ([]step, error) {
	real, fake, err := g.reconstructions()
	if err != nil {
		return nil, err
	}
	var steps []step
	k := 1.0
	for range 4 {
		s := step{k: k}
		errors := map[string]engine.Tensor{"real": real, "fake": fake}
		if s.convergence, err = g.alone(losses.BEGANConvergence, map[string]any{"gamma": 0.5}, errors); err != nil {
			return nil, err
		}
		errors["k"] = engine.Scalar(float32(k))
		if s.discriminator, err = g.alone(losses.BEGANDiscriminator, nil, errors); err != nil {
			return nil, err
		}
		if s.balance, err = g.alone(losses.BEGANBalance, map[string]any{"gamma": 0.5, "lambda_k": 5.0}, errors); err != nil {
			return nil, err
		}
		k = s.balance.engine
		steps = append(steps, s)
	}
	return steps, nil
}
