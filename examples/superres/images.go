package main

import "github.com/onnxloss/onnxloss/runtime/engine"

const side = 8

// large makes a batch of large images, pixel by pixel, of one of images whose pixels
// are given one image after the other.
func large(from []float32, pixel func(from []float32, image, row, column int) float32, count int) engine.Tensor {
	var pixels []float32
	for image := range count {
		for i := range side * side {
			pixels = append(pixels, pixel(from, image, i/side, i%side))
		}
	}
	return engine.Must([]int{count, 1, side, side}, pixels)
}

// repeated makes four pixels of one.
func repeated(small []float32, image, row, column int) float32 {
	const half = side / 2
	return small[image*half*half+row/2*half+column/2]
}

// blurred is the mean of a pixel and its neighbours.
func blurred(from []float32, image, row, column int) float32 {
	sum, count := float32(0), float32(0)
	for i := max(0, row-1); i <= min(side-1, row+1); i++ {
		for j := max(0, column-1); j <= min(side-1, column+1); j++ {
			sum += from[image*side*side+i*side+j]
			count++
		}
	}
	return sum / count
}
