package interp

import (
	"fmt"
	"slices"

	"github.com/onnxloss/onnxloss/runtime/engine"
)

// dropoutRatio is Dropout before opset 12: outside of training it does nothing,
// whatever the ratio.
func dropoutRatio(a *attributes) kernel {
	a.float("ratio", 0.5)
	return keepAll
}

// dropout is Dropout from opset 12 on. A seed has nothing to seed here.
func dropout(a *attributes) kernel {
	a.integer("seed", 0)
	return func(in []engine.Tensor) ([]engine.Tensor, error) {
		training, err := truth(in[2], false)
		if err != nil {
			return nil, err
		}
		ratio := 0.5
		if list := in[1].Float64s(); len(list) == 1 {
			ratio = list[0]
		}
		if training && ratio != 0 {
			return nil, fmt.Errorf("training_mode is set with ratio %v, and results would be random: %w", ratio, engine.ErrUnsupported)
		}
		return keepAll(in)
	}
}

func keepAll(in []engine.Tensor) ([]engine.Tensor, error) {
	mask, err := engine.New(in[0].Shape(), slices.Repeat([]bool{true}, in[0].Len()))
	return []engine.Tensor{in[0], mask}, err
}
