package interp

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

type session struct {
	plan      plan
	inputs    []input
	outputs   map[string]int
	constants []engine.Tensor
	closed    bool
}

func (s *session) Close() error {
	*s = session{closed: true}
	return nil
}

func (s *session) Run(inputs map[string]engine.Tensor) (map[string]engine.Tensor, error) {
	return s.RunContext(context.Background(), inputs)
}

// RunContext is Run that ends with the error of ctx once that is done, after the
// operator that is being computed.
func (s *session) RunContext(ctx context.Context, inputs map[string]engine.Tensor) (_ map[string]engine.Tensor, err error) {
	defer recoverAs(&err, "run")
	if s.closed {
		return nil, errors.New("interp: the session is closed")
	}
	values := slices.Clone(s.constants)
	if err := s.feed(values, inputs); err != nil {
		return nil, fmt.Errorf("interp: %w", err)
	}
	if err := s.plan.run(ctx, values); err != nil {
		return nil, fmt.Errorf("interp: %w", err)
	}
	outputs := map[string]engine.Tensor{}
	for name, slot := range s.outputs {
		if values[slot].IsZero() {
			return nil, fmt.Errorf("interp: output %q was not made", name)
		}
		outputs[name] = values[slot]
	}
	return outputs, nil
}

// run does the steps of a plan over the values of all slots.
func (p plan) run(ctx context.Context, values []engine.Tensor) error {
	for i := range p.steps {
		st := &p.steps[i]
		if err := st.do(ctx, values); err != nil {
			return fmt.Errorf("%s: %w", st.name, err)
		}
	}
	return ctx.Err() // of a loop whose body has no steps, too
}

func (st *step) do(ctx context.Context, values []engine.Tensor) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	in := make([]engine.Tensor, len(st.inputs))
	for i, slot := range st.inputs {
		if slot == absent {
			continue
		}
		if in[i] = values[slot]; in[i].IsZero() {
			return fmt.Errorf("input %d was not made", i)
		}
	}
	out, err := st.run(ctx, values, in)
	if err != nil {
		return err
	}
	for i, slot := range st.outputs {
		if slot == absent {
			continue
		}
		if i >= len(out) {
			return fmt.Errorf("it made %d outputs, the node lists %d", len(out), len(st.outputs))
		}
		values[slot] = out[i]
	}
	for _, slot := range st.free {
		values[slot] = engine.Tensor{}
	}
	return nil
}

// input is what the model declares about one of its inputs.
type input struct {
	name     string
	dtype    ops.DType // Undefined where the model does not say
	ranked   bool      // whether the model gives a shape
	dims     []dim
	slot     int
	optional bool
}

// dim is a size, or the name of one, or neither.
type dim struct {
	size   int // -1 where it is not fixed
	symbol string
}

func newInput(info *onnxpb.ValueInfoProto) (input, error) {
	if err := checkType(info); err != nil {
		return input{}, err
	}
	tensor := info.GetType().GetTensorType()
	in := input{name: info.GetName(), dtype: ops.DType(tensor.GetElemType()), ranked: tensor.GetShape() != nil}
	for _, d := range tensor.GetShape().GetDim() {
		size := -1
		if _, fixed := d.GetValue().(*onnxpb.TensorShapeProto_Dimension_DimValue); fixed {
			size = int(d.GetDimValue())
		}
		in.dims = append(in.dims, dim{size, d.GetDimParam()})
	}
	return in, nil
}

// String describes the declaration as Tensor.String describes a tensor.
func (in input) String() string {
	s := in.dtype.String()
	if !in.ranked {
		return s + " of any shape"
	}
	s += "["
	for i, d := range in.dims {
		if i > 0 {
			s += ","
		}
		switch {
		case d.size >= 0:
			s += fmt.Sprint(d.size)
		case d.symbol != "":
			s += d.symbol
		default:
			s += "?"
		}
	}
	return s + "]"
}

// feed checks the inputs of a run and puts them into their slots.
func (s *session) feed(values []engine.Tensor, inputs map[string]engine.Tensor) error {
	given := 0
	symbols := map[string]sized{}
	for _, in := range s.inputs {
		t, ok := inputs[in.name]
		switch {
		case !ok && in.optional:
			continue
		case !ok:
			return fmt.Errorf("input %q (%s) is missing", in.name, in)
		case t.IsZero():
			return fmt.Errorf("input %q holds no tensor; the model declares %s", in.name, in)
		}
		given++
		if err := in.check(t, symbols); err != nil {
			return err
		}
		values[in.slot] = t
	}
	if given == len(inputs) {
		return nil
	}
	for name := range inputs {
		if !slices.ContainsFunc(s.inputs, func(in input) bool { return in.name == name }) {
			return fmt.Errorf("the model has no input %q; it has %s", name, s.inputNames())
		}
	}
	return nil
}

func (s *session) inputNames() string {
	names := make([]string, len(s.inputs))
	for i, in := range s.inputs {
		names[i] = in.name
	}
	return fmt.Sprintf("%q", names)
}

// sized is the size a symbol stands for in this run, and the input it comes from.
type sized struct {
	size  int
	input string
}

func (in input) check(t engine.Tensor, symbols map[string]sized) error {
	if in.dtype != ops.Undefined && t.DType() != in.dtype {
		return fmt.Errorf("input %q is %s, the model declares %s", in.name, t, in)
	}
	if !in.ranked {
		return nil
	}
	if len(t.Shape()) != len(in.dims) {
		return fmt.Errorf("input %q is %s, the model declares %s: rank %d against %d", in.name, t, in, len(t.Shape()), len(in.dims))
	}
	for axis, got := range t.Shape() {
		d := in.dims[axis]
		if d.size >= 0 && d.size != got {
			return fmt.Errorf("input %q is %s, the model declares %s: axis %d is %d, want %d", in.name, t, in, axis, got, d.size)
		}
		if d.size >= 0 || d.symbol == "" {
			continue
		}
		before, seen := symbols[d.symbol]
		if !seen {
			symbols[d.symbol] = sized{got, in.name}
		} else if before.size != got {
			return fmt.Errorf("input %q is %s, the model declares %s: axis %d is %d, but %s is %d in input %q",
				in.name, t, in, axis, got, d.symbol, before.size, before.input)
		}
	}
	return nil
}
