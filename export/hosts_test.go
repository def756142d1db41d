package export_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// host is a model from elsewhere, as its file, and what it is run with.
type host struct {
	name   string
	file   []byte
	inputs map[string]engine.Tensor

	ran map[engine.Engine]outputs // without a loss
}

type outputs struct {
	tensors map[string]engine.Tensor
	err     error
}

// run runs the host by itself, once.
func (h *host) run(e engine.Engine) (map[string]engine.Tensor, error) {
	done, ok := h.ran[e]
	if !ok {
		done.tensors, done.err = runOnce(e, h.file, h.inputs)
		h.ran[e] = done
	}
	return done.tensors, done.err
}

// errBits marks elements that are not the same bits.
var errBits = errors.New("the bits differ")

// errOriginal marks that the host by itself does not do.
var errOriginal = errors.New("the original")

// squaredError binds the squared error, which goes with any shape, to a tensor.
func squaredError(tensor string, form export.Form) export.AttachOptions {
	return export.AttachOptions{Bind: map[string]string{"prediction": tensor}, Options: export.Options{Form: form}}
}

// attachTo proves what holds without an engine: the file with the loss passes
// CheckModel, and without it again is the original, byte for byte.
func attachTo(file []byte, o export.AttachOptions) (attached []byte, d export.Description, err error) {
	model, err := models.Parse(file)
	if err != nil {
		return nil, d, fmt.Errorf("%w: %w", errOriginal, err)
	}
	made, err := export.Attach(model, losses.MSE, nil, o)
	if err != nil {
		return nil, d, err
	}
	if attached, err = made.Bytes(); err != nil {
		return nil, d, err
	}
	read, err := models.Parse(attached)
	if err != nil {
		return nil, d, err
	}
	if err := export.CheckModel(read); err != nil {
		return nil, d, err
	}
	if d, err = export.Describe(read); err != nil {
		return nil, d, err
	}
	detached, err := export.Detach(read)
	if err != nil {
		return nil, d, err
	}
	back, err := detached.Bytes()
	if err == nil && !bytes.Equal(back, file) {
		err = errors.New("detached, it is not the original byte for byte")
	}
	return attached, d, err
}

func runOnce(e engine.Engine, file []byte, inputs map[string]engine.Tensor) (map[string]engine.Tensor, error) {
	session, err := e.Load(file)
	if err != nil {
		return nil, err
	}
	outputs, err := session.Run(inputs)
	return outputs, errors.Join(err, session.Close())
}

// sameBits compares tensors bit for bit, NaNs included.
func sameBits(got, want engine.Tensor) error {
	if got.DType() != want.DType() || !slices.Equal(got.Shape(), want.Shape()) {
		return fmt.Errorf("got %s, want %s", got, want)
	}
	if want.DType() == ops.String {
		return engine.Diff(got, want, engine.Tolerance{})
	}
	a, b, size, differ := got.Bytes(), want.Bytes(), want.DType().Size(), 0
	for i := 0; i < len(b); i += size {
		if !bytes.Equal(a[i:i+size], b[i:i+size]) {
			differ++
		}
	}
	if differ > 0 {
		return fmt.Errorf("%w: %d of %d elements", errBits, differ, want.Len())
	}
	return nil
}

// draw gives normal numbers.
func draw(seed uint64, dtype ops.DType, shape []int) (engine.Tensor, error) {
	n, err := engine.Count(shape)
	if err != nil {
		return engine.Tensor{}, err
	}
	rng, numbers := rand.New(rand.NewPCG(seed, 1)), make([]float64, n)
	for i := range numbers {
		numbers[i] = rng.NormFloat64()
	}
	return engine.FromFloat64s(dtype, shape, numbers)
}

// runBoth runs the host with and without the loss. Its own outputs must be the same
// bits, and the loss that of the prediction, one of them.
func (h *host) runBoth(e engine.Engine, attached []byte, d export.Description) (map[string]engine.Tensor, error) {
	want, err := h.run(e)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errOriginal, err)
	}
	return h.runWith(e, attached, d, want[d.Inputs["prediction"]])
}

// runWith is runBoth where it is known what the prediction is.
func (h *host) runWith(e engine.Engine, attached []byte, d export.Description, prediction engine.Tensor) (map[string]engine.Tensor, error) {
	want, err := h.run(e)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errOriginal, err)
	}
	inputs, target, err := h.withTarget(d, prediction)
	if err != nil {
		return nil, err
	}
	got, err := runOnce(e, attached, inputs)
	if err != nil {
		return nil, err
	}
	if len(got) != len(want)+1 {
		return nil, fmt.Errorf("got %d outputs, want %d and the loss", len(got), len(want))
	}
	for name, w := range want {
		if err := sameBits(got[name], w); err != nil {
			return nil, fmt.Errorf("output %q: %w", name, err)
		}
	}
	return got, checkLoss(got[d.Output], prediction, target)
}

// withTarget draws a target, where that is not an input that the host has itself.
func (h *host) withTarget(d export.Description, prediction engine.Tensor) (inputs map[string]engine.Tensor, target engine.Tensor, err error) {
	name := d.Inputs["target"]
	if own, ok := h.inputs[name]; ok {
		return h.inputs, own, nil
	}
	if target, err = draw(1, d.DType, prediction.Shape()); err != nil {
		return nil, target, err
	}
	inputs = maps.Clone(h.inputs)
	inputs[name] = target
	return inputs, target, nil
}

// checkLoss compares a mean squared error with the reference.
func checkLoss(got, prediction, target engine.Tensor) error {
	value, err := losses.MSE.Evaluate(losses.Values{
		"prediction": {Shape: prediction.Shape(), Data: prediction.Float64s()},
		"target":     {Shape: target.Shape(), Data: target.Float64s()},
	}, nil, losses.Mean)
	if err != nil {
		return err
	}
	want, err := engine.FromFloat64s(got.DType(), nil, value.Data)
	if err != nil {
		return err
	}
	// Squares do not cancel: each rounding counts once, and a sum's grow slowly.
	tolerance := engine.Tolerance{Rel: 1e-5}
	switch {
	case got.DType() == ops.Float64:
		tolerance.Rel = 1e-13
	case prediction.DType().IsHalf():
		// ONNX Runtime computes float16 in float32 on the CPU, and hands that on to
		// the loss unrounded.
		tolerance.Rel = 1e-3
	}
	if err := engine.Diff(got, want, tolerance); err != nil {
		return fmt.Errorf("the loss: %w", err)
	}
	return nil
}

// runInside is runBoth for a prediction that is a tensor inside the host.
func (h *host) runInside(e engine.Engine, attached []byte, d export.Description, tensor string) error {
	model, err := models.Parse(h.file)
	if err != nil {
		return err
	}
	upToThere, err := model.Cut(tensor)
	if err != nil {
		return err
	}
	file, err := upToThere.Bytes()
	if err != nil {
		return err
	}
	inputs := map[string]engine.Tensor{}
	for _, in := range upToThere.Inputs() {
		inputs[in.Name] = h.inputs[in.Name]
	}
	prediction, err := runOnce(e, file, inputs)
	if err != nil {
		return fmt.Errorf("%w: up to %q: %w", errOriginal, tensor, err)
	}
	_, err = h.runWith(e, attached, d, prediction[tensor])
	return err
}

// typed gives a model whose file says the types of the tensors inside, as far as they
// follow from the operators, and lists those.
func typed(t *testing.T, file []byte) ([]byte, []models.Layer) {
	t.Helper()
	model, err := models.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := model.Layers()
	if err != nil {
		t.Fatal(err)
	}
	graph, edit := model.Proto.GetGraph(), model.Edit()
	declared := map[string]bool{}
	for _, info := range slices.Concat(graph.GetOutput(), graph.GetValueInfo()) {
		declared[info.GetName()] = true
	}
	layers = slices.DeleteFunc(layers, func(l models.Layer) bool { return !l.DType.IsFloat() })
	for _, l := range layers {
		if !declared[l.Name] {
			edit.AddValueInfo(ops.ValueInfo(l.Name, l.DType, l.Shape))
		}
	}
	if model, err = edit.Model(); err != nil {
		t.Fatal(err)
	}
	return bytesOf(t, model), layers
}

func newHost(name string, file []byte) *host {
	return &host{name: name, file: file, inputs: map[string]engine.Tensor{}, ran: map[engine.Engine]outputs{}}
}

// runOnlyLoss runs the host with the loss as its only output.
func (h *host) runOnlyLoss(e engine.Engine, attached []byte, d export.Description, prediction engine.Tensor) error {
	inputs, target, err := h.withTarget(d, prediction)
	if err != nil {
		return err
	}
	got, err := runOnce(e, attached, inputs)
	if err != nil {
		return err
	}
	if len(got) != 1 {
		return fmt.Errorf("got %d outputs, want the loss alone", len(got))
	}
	return checkLoss(got[d.Output], prediction, target)
}

// give gives the host inputs. What there are no tensors for, the engines refuse the
// host for.
func (h *host) give(inputs []*onnxpb.TensorProto) {
	for _, p := range inputs {
		if p == nil {
			continue
		}
		if x, err := engine.FromProto(p); err == nil {
			h.inputs[p.GetName()] = x
		}
	}
}
