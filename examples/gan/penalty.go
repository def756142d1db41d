package main

import (
	"math/rand/v2"
	"slices"

	"github.com/onnxloss/onnxloss/examples/kit"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// The gradient penalties read the discriminator's gradient with respect to its
// input. ONNX Runtime runs models forward only, and a framework that trains has the
// gradient anyway; here it is taken by central differences, 128 images for each.

// penalized is how many images the penalties are taken at.
const penalized = 16

// penalize gives each penalty at the points that its paper takes.
func (g *gan) penalize() ([]result, error) {
	outputs, err := kit.Run(g.eng, g.generator, map[string]engine.Tensor{"z": g.z})
	if err != nil {
		return nil, err
	}
	random := rand.New(rand.NewPCG(1, 0))
	real := engine.Data[float32](g.real)[:penalized*pixels]
	fake := engine.Data[float32](outputs["image"])[:penalized*pixels]

	var results []result
	for _, of := range []struct {
		loss   *losses.Loss
		points []float32
	}{
		{losses.WGANGradientPenalty, between(random, real, fake)},
		{losses.DRAGANGradientPenalty, around(random, real)},
		{losses.R1GradientPenalty, real},
	} {
		gradient, err := g.gradientAt(of.points)
		if err != nil {
			return nil, err
		}
		r, err := g.alone(of.loss, nil, map[string]engine.Tensor{"gradient": gradient})
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, nil
}

// between draws a point on the line from each generated image to a real one.
func between(random *rand.Rand, real, fake []float32) []float32 {
	points := slices.Clone(fake)
	for image := range slices.Chunk(points, pixels) {
		u := random.Float32()
		for j := range image {
			image[j] += u * (real[j] - image[j])
		}
		real = real[pixels:]
	}
	return points
}

// around adds noise to each pixel.
func around(random *rand.Rand, real []float32) []float32 {
	points := slices.Clone(real)
	for i := range points {
		points[i] += 0.1 * float32(random.NormFloat64())
	}
	return points
}

// gradientAt is the discriminator's gradient at each image, one row an image.
func (g *gan) gradientAt(points []float32) (engine.Tensor, error) {
	// a power of two, so that adding it to a pixel hardly rounds
	const h = 1.0 / 64
	var moved []float32
	for image := range slices.Chunk(points, pixels) {
		for j := range image {
			for _, by := range []float32{h, -h} {
				moved = append(moved, image...)
				moved[len(moved)-pixels+j] += by
			}
		}
	}
	logits, err := g.says(moved)
	if err != nil {
		return engine.Tensor{}, err
	}
	slopes := make([]float32, len(points))
	for i := range slopes {
		slopes[i] = float32(logits[2*i]-logits[2*i+1]) / (2 * h)
	}
	return engine.New([]int{len(points) / pixels, pixels}, slopes)
}

// says is the discriminator's output for each of the images, one after the other.
func (g *gan) says(images []float32) ([]float64, error) {
	t, err := engine.New([]int{len(images) / pixels, 1, 8, 8}, images)
	if err != nil {
		return nil, err
	}
	outputs, err := kit.Run(g.eng, g.discriminator, map[string]engine.Tensor{"image": t})
	if err != nil {
		return nil, err
	}
	return outputs["logit"].Float64s(), nil
}
