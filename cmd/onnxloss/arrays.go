package main

import (
	"fmt"
	"strings"

	"github.com/onnxloss/onnxloss/internal/npy"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// readInputs reads the files of --input flags.
func readInputs(texts []string) (map[string]engine.Tensor, error) {
	files, err := pairs("--input", "name=FILE", texts)
	if err != nil {
		return nil, err
	}
	tensors := map[string]engine.Tensor{}
	for name, file := range files {
		if tensors[name], err = npy.Read(file); err != nil {
			return nil, fmt.Errorf("--input %s: %w", name, err)
		}
	}
	return tensors, nil
}

// toValues widens tensors to what the reference computes on.
func toValues(tensors map[string]engine.Tensor) (losses.Values, error) {
	values := losses.Values{}
	for name, t := range tensors {
		array, err := losses.NewArray(t.Shape(), t.Float64s())
		if err != nil {
			return nil, fmt.Errorf("--input %s: %w", name, err)
		}
		values[name] = array
	}
	return values, nil
}

func writeArray(path string, a losses.Array) error {
	t, err := engine.FromFloat64s(ops.Float64, a.Shape, a.Data)
	if err != nil {
		return err
	}
	return npy.Write(path, t)
}

// arrayText prints an array: all of it, or its beginning where it is long.
func arrayText(a losses.Array) string {
	const most = 12
	if len(a.Shape) == 0 && len(a.Data) == 1 {
		return fmt.Sprint(a.Data[0])
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%s", strings.ReplaceAll(fmt.Sprint(a.Shape), " ", ","))
	for _, x := range a.Data[:min(len(a.Data), most)] {
		fmt.Fprintf(&s, " %.6g", x)
	}
	if rest := len(a.Data) - most; rest > 0 {
		fmt.Fprintf(&s, " ... and %d more", rest)
	}
	return s.String()
}
