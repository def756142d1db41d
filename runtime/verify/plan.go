package verify

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
)

// job is the models that are run on the same inputs.
type job struct {
	loss      *losses.Loss
	params    losses.Params
	variant   string
	with      []string // optional inputs
	rest      int      // axes that "..." stands for
	dtype     ops.DType
	indexType ops.DType
	cells     []cell
}

// cell is one model of a job.
type cell struct {
	opset     int
	form      export.Form
	reduction losses.Reduction
	// sparse lets the model see every third input only.
	sparse bool
}

// variant is a loss with one setting of its parameters.
type variant struct {
	name   string
	params losses.Params
}

// variants lists the defaults and each parameter's further values, one at a time,
// with what it needs beside it, without those that the loss refuses.
func variants(loss *losses.Loss) ([]variant, error) {
	defaults, err := loss.Params(nil)
	if err != nil {
		return nil, fmt.Errorf("verify: the defaults: %w", err)
	}
	all := []variant{{"defaults", defaults}}
	for _, declared := range loss.Declare {
		for _, value := range declared.Try {
			params, err := loss.Params(declared.Trial(value))
			if err != nil {
				continue
			}
			name := fmt.Sprintf("%s=%v", declared.Name, value)
			for _, other := range slices.Sorted(maps.Keys(declared.With)) {
				name += fmt.Sprintf(" %s=%v", other, declared.With[other])
			}
			all = append(all, variant{name, params})
		}
	}
	return all, nil
}

// turningPoints are the opsets at which operators that losses use change.
var turningPoints = []int{9, 10, 11, 12, 13, 17, 18, ops.MaxOpset}

// matrix says which cells of a loss are run.
type matrix struct {
	Options
	turning []int // the opsets at which more than the defaults is run
	thinned bool
}

func newMatrix(o Options) matrix {
	m := matrix{Options: o, thinned: len(o.Opsets) > 2}
	for _, opset := range o.Opsets {
		if !m.thinned || slices.Contains(turningPoints, opset) {
			m.turning = append(m.turning, opset)
		}
	}
	if len(m.turning) == 0 {
		m.turning = o.Opsets
	}
	return m
}

func (m matrix) jobs() ([]job, error) {
	var jobs []job
	for _, loss := range m.Losses {
		all, err := variants(loss)
		if err != nil {
			return nil, err
		}
		for nth, v := range all {
			jobs = append(jobs, m.variantJobs(loss, v, nth)...)
		}
	}
	return jobs, nil
}

// variantJobs plans the nth variant of a loss; the first has the defaults.
func (m matrix) variantJobs(loss *losses.Loss, v variant, nth int) []job {
	var jobs []job
	ranks := ranksOf(loss)
	for nthWith, with := range optionalInputs(loss, v.params) {
		for nthRank, rest := range ranks {
			for nthType, dtype := range m.DTypes {
				j := job{loss: loss, params: v.params, variant: v.name, with: with, rest: rest, dtype: dtype, indexType: ops.Int64}
				if len(with) > 0 {
					j.indexType = ops.Int32
				}
				depth := once
				switch {
				case nth == 0 && nthWith == 0 && nthRank == 0:
					depth = full
				case nth == 0:
					depth = inTurn
				}
				j.cells = m.cells(loss, dtype, depth, nth+nthType, func(turn int) bool { return turn%len(ranks) == nthRank })
				if len(j.cells) > 0 {
					jobs = append(jobs, j)
				}
			}
		}
	}
	return jobs
}

// depth is how much of a job is run where the matrix is thinned.
type depth int

const (
	full   depth = iota // every opset; of float32 and float64 every reduction at turning points
	inTurn              // the turning points, reductions in turn
	once                // every third turning point, ranks and reductions in turn
)

// reductions lists those asked for that the loss has.
func (m matrix) reductions(loss *losses.Loss) []losses.Reduction {
	return slices.DeleteFunc(slices.Clone(m.Reductions), func(r losses.Reduction) bool {
		return !slices.Contains(loss.Reductions(), r)
	})
}

// cells lists the models of a job. offset makes jobs of the depth once take
// different turning points.
func (m matrix) cells(loss *losses.Loss, dtype ops.DType, d depth, offset int, ofRank func(turn int) bool) []cell {
	var cells []cell
	for _, opset := range m.Opsets {
		if dtype == ops.BFloat16 && opset < 13 {
			continue
		}
		turn := slices.Index(m.turning, opset)
		for _, form := range m.Forms {
			for nth, reduction := range m.reductions(loss) {
				reduced := loss.Head || (opset+slices.Index(export.Forms(), form)+offset)%len(m.reductions(loss)) == nth
				c := cell{opset: opset, form: form, reduction: reduction, sparse: m.thinned && turn < 0}
				switch {
				case !m.thinned,
					d == full && (turn >= 0 && !dtype.IsHalf() || reduced),
					d == inTurn && turn >= 0 && reduced,
					d == once && turn >= 0 && (turn+offset)%3 == 0 && ofRank(turn+offset/3) && reduced:
					cells = append(cells, c)
				}
			}
		}
	}
	return cells
}

// optionalInputs gives none of them and, where there are any, all.
func optionalInputs(loss *losses.Loss, p losses.Params) [][]string {
	var all []string
	for _, in := range loss.InputsFor(p) {
		if in.Optional {
			all = append(all, in.Name)
		}
	}
	if len(all) == 0 {
		return [][]string{nil}
	}
	return [][]string{nil, all}
}

// inputs lists the inputs that the job's models have.
func (j job) inputs() []losses.Input {
	return slices.DeleteFunc(slices.Clone(j.loss.InputsFor(j.params)), func(in losses.Input) bool {
		return in.Optional && !slices.Contains(j.with, in.Name)
	})
}

// axes gives the axes of every input by name.
func (j job) axes() map[string][]string {
	axes := map[string][]string{}
	spatial := ""
	for nth, in := range j.inputs() {
		axes[in.Name] = inputAxes(in, j.rest, nth)
		if nth == 0 {
			spatial = strconv.Itoa(max(0, len(axes[in.Name])-2))
		}
		for i, axis := range axes[in.Name] {
			if axis == losses.SpatialAxes {
				axes[in.Name][i] = spatial
			}
		}
	}
	return axes
}

func (j job) exportOptions(c cell) export.Options {
	o := export.Options{
		Form: c.form, Opset: c.opset, DType: j.dtype, Reduction: c.reduction,
		With: j.with, Shapes: map[string]ops.Shape{}, IndexType: j.indexType,
	}
	for name, axes := range j.axes() {
		o.Shapes[name] = symbolicShape(axes)
	}
	return o
}

// fields gives the inputs the shapes of one size, and the number of classes.
func (j job) fields(s size) (fields []field, classes int) {
	axes := j.axes()
	inputs := j.inputs()
	batched := slices.ContainsFunc(inputs, func(in losses.Input) bool { return slices.Contains(axes[in.Name], "N") })
	for _, in := range inputs {
		f := field{Input: in, shape: dimensions(axes[in.Name], s, batched), dtype: j.dtype}
		if in.Domain == losses.ClassIndex {
			f.dtype = j.indexType
		}
		fields = append(fields, f)
	}
	return fields, sizes[s].named["C"]
}
