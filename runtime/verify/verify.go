package verify

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
	"github.com/onnxloss/onnxloss/runtime/ort"
)

// Options choose what Run goes through. A field that is left out means all there
// is; Engines then are interp and ONNX Runtime on the CPU.
type Options struct {
	Losses     []*losses.Loss
	Forms      []export.Form
	DTypes     []ops.DType
	Opsets     []int
	Reductions []losses.Reduction
	Engines    []engine.Engine
	// Seed chooses the inputs that are drawn.
	Seed uint64
	// Progress is told how many models have been run, of how many; never by two
	// goroutines at once.
	Progress func(done, total int)
}

func (o Options) withDefaults() Options {
	if len(o.Losses) == 0 {
		o.Losses = losses.All()
	}
	if len(o.Forms) == 0 {
		o.Forms = export.Forms()
	}
	if len(o.DTypes) == 0 {
		o.DTypes = ops.FloatTypes()
	}
	if len(o.Reductions) == 0 {
		o.Reductions = losses.Reductions()
	}
	if len(o.Opsets) == 0 {
		for opset := ops.MinOpset; opset <= ops.MaxOpset; opset++ {
			o.Opsets = append(o.Opsets, opset)
		}
	}
	if len(o.Engines) == 0 {
		o.Engines = defaultEngines()
	}
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	return o
}

func defaultEngines() []engine.Engine {
	native, err := ort.New(ort.Options{Threads: 1})
	if err != nil {
		native = Unavailable("ort:cpu", err)
	}
	return []engine.Engine{interp.New(), native}
}

// Unavailable stands for an engine that was asked for and could not be had, so
// that a report lists it as missing for the reason in err.
func Unavailable(name string, err error) engine.Engine { return unavailable{name, err} }

type unavailable struct {
	name string
	err  error
}

func (u unavailable) Name() string { return u.name }

func (u unavailable) Load([]byte) (engine.Session, error) { return u.LoadIn(nil, "") }

func (u unavailable) LoadIn([]byte, string) (engine.Session, error) {
	if errors.Is(u.err, engine.ErrUnavailable) {
		return nil, u.err
	}
	return nil, engine.Unavailable(u.err)
}

// Run verifies what the options choose. Differences are in the report; the error
// says that nothing could be compared, or that the context was done.
func Run(ctx context.Context, o Options) (*Report, error) {
	started := time.Now()
	o = o.withDefaults()
	report := &Report{Seed: o.Seed}
	o.Engines = report.available(o.Engines)
	jobs, err := newMatrix(o).jobs()
	if err != nil {
		return nil, err
	}
	for _, loss := range o.Losses {
		for _, e := range o.Engines {
			report.expected = append(report.expected, pair{loss.Command(), e.Name()})
		}
	}
	tallies := runJobs(ctx, jobs, o)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	for _, t := range tallies {
		report.add(t)
	}
	report.finish(started)
	return report, nil
}

// available moves the engines that are not there to Missing. An engine says so
// when it is asked to load something, be it nonsense.
func (r *Report) available(engines []engine.Engine) []engine.Engine {
	var there []engine.Engine
	for _, e := range engines {
		session, err := e.Load(nil)
		if err == nil {
			session.Close()
		}
		if errors.Is(err, engine.ErrUnavailable) {
			r.Missing = append(r.Missing, newMissing(e.Name(), err))
			continue
		}
		there = append(there, e)
	}
	return there
}

// runJobs runs jobs at the same time, one a processor, and returns their tallies
// in the jobs' order.
func runJobs(ctx context.Context, jobs []job, o Options) []tally {
	total := 0
	for _, j := range jobs {
		total += len(j.cells) * len(o.Engines)
	}
	progress := counter{total: total, tell: o.Progress}
	tallies := make([]tally, len(jobs))
	queue := make(chan int)
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), max(len(jobs), 1)) {
		workers.Go(func() {
			for i := range queue {
				tallies[i] = jobs[i].run(ctx, o, &progress)
			}
		})
	}
	for i := range jobs {
		queue <- i
	}
	close(queue)
	workers.Wait()
	return tallies
}

type counter struct {
	sync.Mutex
	done, total int
	tell        func(done, total int)
}

func (c *counter) add() {
	c.Lock()
	defer c.Unlock()
	c.done++
	c.tell(c.done, c.total)
}

// sample is one set of inputs and what is expected of them.
type sample struct {
	name   string
	shapes string
	inputs map[string]engine.Tensor
	expect map[losses.Reduction]expectation
}

func (j job) run(ctx context.Context, o Options, progress *counter) tally {
	t := tally{}
	samples, err := j.samples(o)
	for _, c := range j.cells {
		var model []byte
		modelErr := err
		if modelErr == nil {
			model, modelErr = j.model(c)
		}
		for _, e := range o.Engines {
			if ctx.Err() != nil {
				return t
			}
			place := Case{Variant: j.variant, With: j.with, Opset: c.opset, Seed: o.Seed}
			r := t.result(key{j.loss.Command(), c.form, j.dtype, c.reduction, e.Name()})
			if modelErr != nil {
				r.fail(place, modelErr.Error())
			} else {
				r.runModel(e, model, j.loss.Output(), place, c.take(samples))
			}
			progress.add()
		}
	}
	return t
}

// take gives the samples that a model is run on.
func (c cell) take(samples []sample) []sample {
	if !c.sparse {
		return samples
	}
	var taken []sample
	for i := c.opset % 3; i < len(samples); i += 3 {
		taken = append(taken, samples[i])
	}
	return taken
}

func (j job) model(c cell) ([]byte, error) {
	model, err := export.Model(j.loss, j.params, j.exportOptions(c))
	if err != nil {
		return nil, err
	}
	return model.Bytes()
}

// samples draws the inputs and computes the reference on them.
func (j job) samples(o Options) ([]sample, error) {
	what := fmt.Sprint(j.loss.Name, j.variant, j.with, j.rest, j.dtype)
	var samples []sample
	for _, r := range recipes() {
		if !r.fits(j.loss, j.params, j.with) {
			continue
		}
		fields, classes := j.fields(r.size)
		d := newDrawer(o.Seed, what, r, j.dtype, j.params)
		s, err := newSample(d, j.loss, j.params, fields, classes, newMatrix(o).reductions(j.loss))
		if err != nil {
			return nil, fmt.Errorf("verify: inputs %q: %w", r.name, err)
		}
		samples = append(samples, s)
	}
	return samples, nil
}

func newSample(d *drawer, loss *losses.Loss, p losses.Params, fields []field, classes int, reductions []losses.Reduction) (sample, error) {
	tensors, values, err := d.draw(fields, nil, classes)
	if err != nil {
		return sample{}, err
	}
	s := sample{name: d.recipe.name, shapes: describe(fields), inputs: tensors, expect: map[losses.Reduction]expectation{}}
	truth, err := newReference(loss, p, values, d.dtype)
	if err != nil {
		return sample{}, err
	}
	for _, r := range reductions {
		s.expect[r] = truth.expect(r)
	}
	return s, nil
}

func describe(fields []field) string {
	words := make([]string, len(fields))
	for i, f := range fields {
		words[i] = f.Name + strings.ReplaceAll(fmt.Sprint(f.shape), " ", ",")
	}
	return strings.Join(words, " ")
}

// runModel loads a model once, runs it on all samples and judges an output.
func (r *Result) runModel(e engine.Engine, model []byte, output string, place Case, samples []sample) {
	session, err := e.Load(model)
	if err != nil {
		r.refuse(place, err)
		return
	}
	defer session.Close()
	for _, s := range samples {
		place.Input, place.Shapes = s.name, s.shapes
		outputs, err := session.Run(s.inputs)
		if err != nil {
			r.refuse(place, err)
			continue
		}
		r.compare(place, outputs[output], s.expect[r.Reduction])
	}
}

// compare judges all elements of a result.
func (r *Result) compare(place Case, got engine.Tensor, e expectation) {
	r.Cases++
	if got.DType() != r.DType.DType || !slices.Equal(got.Shape(), e.shape) {
		r.fail(place, fmt.Sprintf("the loss is %s, want %s%v", got, r.DType, e.shape))
		return
	}
	bad, worst := 0, Point{Case: place, Index: []int{}}
	for i, x := range got.Float64s() {
		v := e.judge(x, i)
		at := Point{place, unravel(e.shape, i), Number(x), Number(e.want[i]), Number(v.ulp), Number(v.fraction)}
		if !v.ok {
			bad++
		}
		if v.fraction > float64(worst.Fraction) {
			worst = at
		}
		r.observe(at)
	}
	r.Elements += len(e.want)
	if bad > 0 {
		r.fail(place, fmt.Sprintf("%d of %d elements: worst at %v: got %g, want %g, %.3g times what is allowed",
			bad, len(e.want), worst.Index, float64(worst.Got), float64(worst.Want), float64(worst.Fraction)))
	}
}

// unravel turns a position in row-major order into an index along each axis.
func unravel(shape []int, flat int) []int {
	index := make([]int, len(shape))
	for axis := len(shape) - 1; axis >= 0; axis-- {
		index[axis] = flat % shape[axis]
		flat /= shape[axis]
	}
	return index
}
