package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// File opens a model file and verifies it as Model does.
func File(ctx context.Context, path string, engines []engine.Engine, seed uint64) (*Report, error) {
	model, err := models.Open(path)
	if err != nil {
		return nil, err
	}
	report, err := Model(ctx, model, engines, seed)
	if err != nil {
		return nil, fmt.Errorf("verify: %s: %w", path, err)
	}
	return report, nil
}

// Model verifies one model that export or attach made, going by its metadata. No
// engines means those that Run takes.
//
// A loss by itself is run on what Run draws, in shapes that the model allows. A loss
// on a model is run on random inputs of the model; the tensors that it is bound to
// are read out as well, and the reference is computed from what the engine made of
// them, so that only the loss is judged. The model's own floating-point outputs
// have to be finite. Of several losses each is judged by itself, and their total by
// what the engine made of them and of the weights that are tensors; weights that are
// inputs are drawn too. Symbolic axes are 4 for the batch and less for others.
//
// The error says why nothing could be compared: it wraps export.ErrNoLoss for a
// model without metadata.
func Model(ctx context.Context, model *models.Model, engines []engine.Engine, seed uint64) (*Report, error) {
	started := time.Now()
	files, err := lossesOf(model, seed)
	if err != nil {
		return nil, err
	}
	report := &Report{File: model.Path, Seed: seed}
	if len(engines) == 0 {
		engines = defaultEngines()
	}
	t := tally{}
	for _, e := range report.available(engines) {
		for _, f := range files {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			report.expected = append(report.expected, pair{f.Loss.Command(), e.Name()})
			r := t.result(key{f.Loss.Command(), f.Form, f.DType, f.Reduction, e.Name()})
			if err := f.verify(engine.WithContext(ctx, e), r); err != nil {
				return nil, err
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	report.add(t)
	report.finish(started)
	return report, nil
}

// file is a model with a loss in it, one of those it has.
type file struct {
	export.Description
	all    export.Composition
	others []*file // the model with its other losses
	model  *models.Model
	inputs []losses.Input // those the file has
	place  Case
}

// terms lists this loss and then the others.
func (f *file) terms() []*file { return append([]*file{f}, f.others...) }

func lossesOf(model *models.Model, seed uint64) ([]*file, error) {
	all, err := export.DescribeAll(model)
	if err != nil {
		return nil, err
	}
	var files []*file
	for _, description := range all.Terms {
		files = append(files, newFile(model.Path, seed, model, all, description))
	}
	for _, f := range files {
		f.others = slices.DeleteFunc(slices.Clone(files), func(other *file) bool { return other == f })
	}
	return files, nil
}

func newFile(path string, seed uint64, model *models.Model, all export.Composition, description export.Description) *file {
	f := &file{Description: description, all: all, model: model}
	f.place = Case{Variant: settings(description.Params), Opset: description.Opset, Seed: seed, file: path}
	for _, in := range description.Loss.InputsFor(description.Params) {
		if _, ok := description.Inputs[in.Name]; !ok {
			continue
		}
		f.inputs = append(f.inputs, in)
		if in.Optional {
			f.place.With = append(f.place.With, in.Name)
		}
	}
	return f
}

// settings writes parameters as on a command line.
func settings(p losses.Params) string {
	words := []string{}
	for _, name := range slices.Sorted(maps.Keys(p)) {
		words = append(words, fmt.Sprintf("%s=%v", name, p[name]))
	}
	if len(words) == 0 {
		return "no parameters"
	}
	return strings.Join(words, " ")
}

// fed reports whether an input of the loss is an input of the model, and that.
func (f *file) fed(in losses.Input) (models.Tensor, bool) {
	for _, t := range f.model.Inputs() {
		if t.Name == f.Inputs[in.Name] {
			return t, true
		}
	}
	return models.Tensor{}, false
}

// taps lists the tensors that the loss reads and that the model computes.
func (f *file) taps() []string {
	var names []string
	for _, in := range f.inputs {
		if _, ok := f.fed(in); !ok && !slices.Contains(names, f.Inputs[in.Name]) {
			names = append(names, f.Inputs[in.Name])
		}
	}
	return names
}

// weightTaps lists the weights in the total that the model computes.
func (f *file) weightTaps() []string {
	var names []string
	for _, d := range f.all.Summands() {
		fed := slices.ContainsFunc(f.model.Inputs(), func(t models.Tensor) bool { return t.Name == d.WeightFrom })
		if d.WeightFrom != "" && !fed && !slices.Contains(names, d.WeightFrom) {
			names = append(names, d.WeightFrom)
		}
	}
	return names
}

// verify runs the file on one engine. What the engine does not do is in the
// result; the error says that no inputs could be made.
func (f *file) verify(e engine.Engine, r *Result) error {
	l, err := f.layout(e)
	if refused := new(refusal); errors.As(err, &refused) {
		r.refuse(f.place, refused.error)
		return nil
	}
	if err != nil {
		return err
	}
	session, err := f.load(e)
	if err != nil {
		r.refuse(f.place, err)
		return nil
	}
	defer session.Close()
	for _, recipe := range recipes() {
		if !recipe.fits(f.Loss, f.Params, f.place.With) {
			continue
		}
		if err := f.run(session, r, recipe, l); err != nil {
			return err
		}
	}
	return nil
}

// load adds the taps to the model's outputs.
func (f *file) load(e engine.Engine) (engine.Session, error) {
	model, err := f.withOutputs(append(f.taps(), f.weightTaps()...))
	if err != nil {
		return nil, err
	}
	return load(e, model)
}

// run compares the loss on one set of inputs.
func (f *file) run(session engine.Session, r *Result, recipe recipe, l layout) error {
	place := f.place
	place.Input = recipe.name
	d := newDrawer(place.Seed, f.Loss.Name+place.Variant+place.file, recipe, f.DType, f.Params)
	inputs, err := f.draw(d, l)
	if err != nil {
		return err
	}
	outputs, err := session.Run(inputs)
	if err != nil {
		r.refuse(place, err)
		return nil
	}
	values := losses.Values{}
	var words []string
	for _, in := range f.inputs {
		t, ok := inputs[f.Inputs[in.Name]]
		if !ok {
			t = outputs[f.Inputs[in.Name]]
		}
		values[in.Name] = f.asLossSees(in, t)
		words = append(words, in.Name+strings.ReplaceAll(fmt.Sprint(t.Shape()), " ", ","))
	}
	place.Shapes = strings.Join(words, " ")
	truth, err := newReference(f.Loss, f.Params, values, f.DType)
	if err != nil {
		r.Cases++
		r.fail(place, err.Error())
		return nil
	}
	r.compare(place, outputs[f.Output], truth.expect(f.Reduction))
	f.checkTotal(r, place, inputs, outputs)
	f.checkOwnOutputs(r, place, outputs)
	return nil
}

// checkTotal holds the total against the weighted sum of what the engine made of
// the losses: each factor, product and sum may be rounded, and the total once more.
func (f *file) checkTotal(r *Result, place Case, inputs, outputs map[string]engine.Tensor) {
	summands := f.all.Summands()
	if len(summands) == 0 {
		return
	}
	p := precisionOf(summands[0].DType)
	want, size, lost := 0.0, 0.0, p.tiny
	for _, d := range summands {
		weight, ok := weightOf(d, inputs, outputs)
		loss, isNumber := number(outputs[d.Output])
		if !ok || !isNumber {
			r.fail(place, fmt.Sprintf("the total %q is of %q and its weight %q, of which one is no number", f.all.Total, d.Output, d.WeightFrom))
			return
		}
		term := weight * loss
		want += term
		size += math.Abs(term)
		lost += p.tiny * max(1, math.Abs(weight))
	}
	tolerance := float64(len(summands)+1)*p.eps*size + lost
	e := expectation{precision: p, want: []float64{want}, tolerance: []float64{tolerance + p.rounding(want, tolerance)}}
	got := outputs[f.all.Total].Float64s()
	if len(got) != 1 || !e.judge(got[0], 0).ok {
		r.fail(place, fmt.Sprintf("the total %q is %v, but the weighted losses add up to %g", f.all.Total, got, want))
	}
}

// weightOf is a loss's factor in the total.
func weightOf(d export.Description, inputs, outputs map[string]engine.Tensor) (x float64, ok bool) {
	if d.WeightFrom == "" {
		return d.Weight, true
	}
	if t, fed := inputs[d.WeightFrom]; fed {
		return number(t)
	}
	return number(outputs[d.WeightFrom])
}

// number is a tensor's only element.
func number(t engine.Tensor) (x float64, ok bool) {
	numbers := t.Float64s()
	if len(numbers) != 1 {
		return 0, false
	}
	return numbers[0], true
}

// asLossSees converts a tensor as the loss does, which reads all floating-point
// inputs in its own type.
func (f *file) asLossSees(in losses.Input, t engine.Tensor) losses.Array {
	numbers := t.Float64s()
	if in.Domain != losses.ClassIndex && f.DType != ops.Float64 && t.DType() == ops.Float64 {
		for i, x := range numbers {
			numbers[i] = float64(float32(x))
		}
	}
	return losses.Array{Shape: slices.Clone(t.Shape()), Data: numbers}
}

// checkOwnOutputs fails a model whose own outputs are not numbers.
func (f *file) checkOwnOutputs(r *Result, place Case, outputs map[string]engine.Tensor) {
	for _, out := range f.model.Outputs() {
		t := outputs[out.Name]
		if !t.DType().IsFloat() || f.isLoss(out.Name) {
			continue
		}
		for i, x := range t.Float64s() {
			if !finite(x) {
				r.fail(place, fmt.Sprintf("the model's own output %q is %g at %v", out.Name, x, unravel(t.Shape(), i)))
				break
			}
		}
	}
}

func (f *file) isLoss(output string) bool {
	return output == f.all.Total || slices.ContainsFunc(f.all.Terms, func(d export.Description) bool { return d.Output == output })
}

// refusal is an engine's error on the way to the shapes.
type refusal struct{ error }

// layout is the shapes of a model's inputs, and the number of classes that the labels
// of each loss count to.
type layout struct {
	shapes  map[string][]int
	classes map[*file]int
}

// layout finds shapes that fit what the file declares. Tensors that the model
// computes have the shapes that a run of that part of the model shows, and what
// the losses read beside them follows.
func (f *file) layout(e engine.Engine) (layout, error) {
	s, l := newSolver(), layout{shapes: map[string][]int{}, classes: map[*file]int{}}
	var taps []string
	for _, loss := range f.terms() {
		taps = append(taps, loss.taps()...)
	}
	slices.Sort(taps)
	part, needed, err := f.part(slices.Compact(taps))
	if err != nil {
		return l, err
	}
	for _, t := range f.model.Inputs() {
		if needed[t.Name] || !f.readByALoss(t.Name) {
			l.shapes[t.Name] = s.ownShape(t.Shape)
		}
	}
	known := maps.Clone(l.shapes)
	if err := f.computed(e, part, needed, known); err != nil {
		return l, err
	}
	for _, loss := range f.terms() {
		l.classes[loss] = loss.settle(s.forLoss(), known, l.shapes)
	}
	return l, nil
}

// settle gives shapes to the inputs of the model that the loss reads, and returns
// the number of its classes. Those known already, also of what the model computes,
// stay as they are.
func (f *file) settle(s *solver, known, shapes map[string][]int) (classes int) {
	for range 2 { // what a later input says of a name may settle an earlier one
		for _, in := range f.inputs {
			if shape, ok := known[f.Inputs[in.Name]]; ok {
				s.learn(in, fixedShape(shape))
			} else if t, ok := f.fed(in); ok {
				s.learn(in, t.Shape)
			}
		}
	}
	for _, in := range f.inputs {
		t, ok := f.fed(in)
		if _, done := known[t.Name]; ok && !done {
			shapes[t.Name] = s.shapeOf(in, t.Shape)
			known[t.Name] = shapes[t.Name]
		}
	}
	return s.axis("C")
}

// computed runs a part of the model and adds the shapes of what it makes.
func (f *file) computed(e engine.Engine, part *models.Model, needed map[string]bool, shapes map[string][]int) error {
	if len(part.Proto.Graph.Output) == 0 {
		return nil
	}
	inputs := map[string]engine.Tensor{}
	d := newDrawer(f.place.Seed, "shapes", recipe{real: normal(1)}, f.DType, f.Params)
	for _, t := range f.model.Inputs() {
		if !needed[t.Name] {
			continue
		}
		var err error
		if inputs[t.Name], err = d.own(t, shapes[t.Name]); err != nil {
			return err
		}
	}
	outputs, err := runOnce(e, part, inputs)
	if err != nil {
		return &refusal{err}
	}
	for name, t := range outputs {
		shapes[name] = t.Shape()
	}
	return nil
}

// load collects the garbage first: of a session that was closed, that may be the
// weights, and the new one's beside them more than the machine has.
func load(e engine.Engine, model *models.Model) (engine.Session, error) {
	runtime.GC()
	return models.Load(e, model)
}

func runOnce(e engine.Engine, model *models.Model, inputs map[string]engine.Tensor) (map[string]engine.Tensor, error) {
	session, err := load(e, model)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	return session.Run(inputs)
}

// readByALoss reports whether one of the losses reads a tensor.
func (f *file) readByALoss(tensor string) bool {
	return slices.ContainsFunc(f.all.Terms, func(d export.Description) bool {
		return slices.Contains(slices.Collect(maps.Values(d.Inputs)), tensor)
	})
}

// draw fills all inputs of the model. What other losses read is drawn for them, as
// far as this one does not read it.
func (f *file) draw(d *drawer, l layout) (map[string]engine.Tensor, error) {
	inputs := map[string]engine.Tensor{}
	for _, t := range f.model.Inputs() {
		if f.readByALoss(t.Name) {
			continue
		}
		var err error
		if inputs[t.Name], err = d.own(t, l.shapes[t.Name]); err != nil {
			return nil, err
		}
	}
	if err := f.drawInto(inputs, d, l); err != nil {
		return nil, err
	}
	for _, other := range f.others {
		d := newDrawer(f.place.Seed, f.place.file+other.Output, recipe{real: normal(1)}, other.DType, other.Params)
		if err := other.drawInto(inputs, d, l); err != nil {
			return nil, err
		}
	}
	return inputs, nil
}

// drawInto draws the inputs of the loss that are not there.
func (f *file) drawInto(inputs map[string]engine.Tensor, d *drawer, l layout) error {
	var fields []field
	for _, in := range f.inputs {
		t, ok := f.fed(in)
		if _, drawn := inputs[t.Name]; ok && !drawn {
			fields = append(fields, field{Input: in, shape: l.shapes[t.Name], dtype: t.DType})
		}
	}
	tensors, _, err := d.draw(fields, nil, l.classes[f])
	for name, t := range tensors {
		inputs[f.Inputs[name]] = t
	}
	return err
}
