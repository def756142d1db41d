package main

import "github.com/onnxloss/onnxloss/models"

// candidateJSON is a tensor that a loss's prediction can be bound to.
type candidateJSON struct {
	tensorJSON
	Why string `json:"why"`
}

// candidates lists what a loss's prediction can be bound to: the floating-point
// outputs.
func candidates(model *models.Model) []candidateJSON {
	found := []candidateJSON{}
	for _, t := range model.Outputs() {
		if t.DType.IsFloat() {
			found = append(found, candidateJSON{newTensorJSON(t), "output"})
		}
	}
	return found
}
