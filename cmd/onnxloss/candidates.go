package main

import (
	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/models"
)

// candidateJSON is a tensor that the prediction of a loss can be bound to.
type candidateJSON struct {
	tensorJSON
	Why string `json:"why"`
}

func candidates(model *models.Model) []candidateJSON {
	return each(export.Candidates(model), func(c export.Candidate) candidateJSON {
		why := "output"
		switch {
		case c.LogitsOf != "":
			why = "the logits of " + quoted(c.LogitsOf)
		case c.Probabilities != "":
			why = "output, probabilities of a " + c.Probabilities
		}
		return candidateJSON{newTensorJSON(c.Tensor), why}
	})
}
