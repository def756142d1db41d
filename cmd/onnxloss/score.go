package main

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/spf13/cobra"

	"github.com/onnxloss/onnxloss/internal/npy"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/score"
)

func newScore() *cobra.Command {
	var s scoring
	cmd := &cobra.Command{
		Use:   "score MODEL --input name=FILE ... -o FILE",
		Short: "Compute the loss of every sample with a model that carries one",
		Long: `Run a model that a loss was attached to with --reduction none over .npy files,
and write the loss of every sample. What is printed sums it up, with the samples
of the highest loss.`,
		Example: `  onnxloss attach classifier.onnx softmax-cross-entropy -o scorer.onnx \
      --reduction none
  onnxloss score scorer.onnx -o losses.npy \
      --input image=images.npy --input target=labels.npy`,
		Args: arguments("MODEL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.run(cmd, args[0])
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&s.inputs, "input", nil, "array for an input of the model, `name=FILE`; repeated for each input")
	flags.StringVarP(&s.output, "output", "o", "", "`FILE` to write the losses to, as .npy")
	flags.IntVar(&s.batch, "batch", 0, fmt.Sprintf("most `samples` to run at once (default %d)", score.DefaultBatch))
	flags.StringVar(&s.name, "name", "", "`name` of the model's output that is the unreduced loss (default the only one in the file)")
	s.engine.register(cmd, "; one of them (default ort where it is found, else interp)")
	return cmd
}

// scoring is one call of score.
type scoring struct {
	inputs []string
	output string
	name   string
	batch  int
	engine engineFlags
}

func (s *scoring) run(cmd *cobra.Command, path string) error {
	if s.output == "" {
		return errors.New("score: -o FILE is missing; say where to write the losses")
	}
	model, err := models.Open(path)
	if err != nil {
		return err
	}
	inputs, err := readInputs(s.inputs)
	if err != nil {
		return err
	}
	e, err := s.engine.one()
	if err != nil {
		return err
	}
	tell, end := newProgress(cmd.ErrOrStderr(), "scoring")
	result, err := score.Run(cmd.Context(), e, model, inputs, score.Options{Batch: s.batch, Output: s.name, Progress: tell})
	end()
	if err != nil {
		return err
	}
	losses, err := engine.New([]int{len(result.PerSample)}, result.PerSample)
	if err != nil {
		return err
	}
	if err := npy.Write(s.output, losses); err != nil {
		return err
	}
	return summarize(cmd, s.output, e.Name(), result)
}

func summarize(cmd *cobra.Command, path, engine string, result *score.Result) error {
	lowest, highest := math.Inf(1), math.Inf(-1)
	for _, x := range result.PerSample {
		lowest, highest = min(lowest, x), max(highest, x)
	}
	const most = 5
	order := worstFirst(result.PerSample)
	rows := [][]string{
		{"written", path},
		{"engine", engine},
		{"samples", fmt.Sprint(len(order))},
		{"mean", fmt.Sprintf("%.6g", result.Mean)},
		{"min", fmt.Sprintf("%.6g", lowest)},
		{"max", fmt.Sprintf("%.6g", highest)},
	}
	if n := len(result.NaN()); n > 0 {
		rows = append(rows, []string{"NaN", fmt.Sprintf("%d samples, the first at index %d", n, result.NaN()[0])})
	}
	for i, index := range order[:min(most, len(order))] {
		name := ""
		if i == 0 {
			name = "worst"
		}
		rows = append(rows, []string{name, fmt.Sprintf("index %d: %.6g", index, result.PerSample[index])})
	}
	return writeTable(cmd.OutOrStdout(), 0, rows)
}

// worstFirst lists the samples' indices by falling loss, NaN before all numbers.
func worstFirst(losses []float64) []int {
	order := make([]int, len(losses))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := losses[a], losses[b]
		switch {
		case x > y || math.IsNaN(x) && !math.IsNaN(y):
			return -1
		case x < y || math.IsNaN(y) && !math.IsNaN(x):
			return 1
		}
		return 0
	})
	return order
}
