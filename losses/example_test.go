package losses_test

import (
	"fmt"
	"log"

	"github.com/onnxloss/onnxloss/losses"
)

// The focal loss of three labels: two that the logits predict well, one that they
// miss.
func Example() {
	focal, err := losses.Find("sigmoid-focal")
	if err != nil {
		log.Fatal(err)
	}
	params, err := focal.Params(map[string]any{"gamma": 1.5})
	if err != nil {
		log.Fatal(err)
	}
	in := losses.Values{
		"logits": {Shape: []int{3}, Data: []float64{2, -1, -2}},
		"target": {Shape: []int{3}, Data: []float64{1, 0, 1}},
	}
	terms, err := focal.Evaluate(in, params, losses.None)
	if err != nil {
		log.Fatal(err)
	}
	mean, err := focal.Evaluate(in, params, losses.Mean)
	if err != nil {
		log.Fatal(err)
	}
	gradient, err := focal.EvaluateGradient(in, params, losses.Mean, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("terms    %.4f\n", terms.Data)
	fmt.Printf("mean     %.4f\n", mean.Data[0])
	fmt.Printf("gradient %.4f\n", gradient["logits"].Data)
	// Output:
	// terms    [0.0013 0.0328 0.4395]
	// mean     0.1579
	// gradient [-0.0010 0.0214 -0.0869]
}
