package losses

import (
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// buildTempered is a tempered softmax in a lowering. Its classes come in one tensor
// or in several that are added up.
//
// With p_i = exp_t(x_i - max x - μ) the unknown is μ, from 0 on. F = Σ p is 1 at the
// solution. F^(t-1) is a norm of functions that are affine in μ, so Newton's method
// on it goes to the solution from the left without ever passing it, for t < 1 as
// well as for t > 1; where all logits are equal, and at t = 1, its first step is
// exact.
//
// p_i is a power of the base 1 + (t-1)(max x - x_i + μ) = gap_i + shift with the shift
// 1 + (t-1) μ, which is what is solved for. Near t = 1 that would lose the digits of
// μ: there the shift is (t-1) μ alone, and the base 1 more.
type buildTempered struct {
	*ops.Builder
	t     float64
	gaps  []ops.Value // an absent one is 0 everywhere
	total func([]ops.Value) ops.Value
	count ops.Value // how many classes there are
	most  float64   // classes that the number of steps is made for
}

// mostClasses is the number of classes up to which the steps suffice.
const mostClasses = 1e5

// temperedLogits takes the classes from axis 1 of logits and gives log p.
func temperedLogits(b *ops.Builder, logits ops.Value, t float64, iters int64) ops.Value {
	if t == 1 {
		return b.Label(b.LogSoftmax(logits, 1), "log_p")
	}
	below := b.Label(b.Sub(logits, b.ReduceMax(logits, true, 1)), "below_highest")
	s := buildTempered{
		Builder: b, t: t, most: mostClasses,
		gaps:  []ops.Value{b.Label(b.Mul(below, b.Scalar(below, 1-t)), "gap")},
		total: func(parts []ops.Value) ops.Value { return b.ReduceSum(parts[0], true, 1) },
		count: b.Cast(b.Slice(b.ShapeOf(logits), 0, 1, 2), logits.DType()),
	}
	return b.Label(s.logP(iters)[0], "log_p")
}

// temperedPair has the logits 0 and -size, as the two classes of one logit have
// below the higher of them, and gives their log p.
func temperedPair(b *ops.Builder, size ops.Value, t float64, iters int64) (top, other ops.Value) {
	if t == 1 {
		log1p := b.Log1p(b.Exp(b.Neg(size)))
		return b.Label(b.Neg(log1p), "log_p_of_likelier"), b.Label(b.Neg(b.Add(size, log1p)), "log_p_of_other")
	}
	s := buildTempered{
		Builder: b, t: t, most: 2,
		gaps:  []ops.Value{{}, b.Label(b.Mul(size, b.Scalar(size, t-1)), "gap")},
		total: func(parts []ops.Value) ops.Value { return b.Add(parts[0], parts[1]) },
		count: b.Scalar(size, 2),
	}
	logP := s.logP(iters)
	return b.Label(logP[0], "log_p_of_likelier"), b.Label(logP[1], "log_p_of_other")
}

func (s buildTempered) logP(iters int64) []ops.Value {
	switch {
	case iters > 0 && s.t > 1:
		return s.iterated(iters)
	case iters > 0:
		return s.bisected(iters)
	case s.bracketed():
		return s.at(s.inBracket())
	}
	return s.at(s.fromLeft())
}

func (s buildTempered) nearOne() bool { return math.Abs(s.t-1) < ops.NearlyOne }

// at gives log p for a shift.
func (s buildTempered) at(shift ops.Value) []ops.Value {
	logs, _ := s.logsAndBases(shift)
	return logs
}

// logsAndBases gives log p, and the bases that it is a power of.
func (s buildTempered) logsAndBases(shift ops.Value) (logs, bases []ops.Value) {
	least, offset := 0.0, 0.0
	if s.nearOne() {
		least, offset = -1, 1
	}
	for _, gap := range s.gaps {
		base := shift
		if gap.Present() {
			base = s.Add(gap, shift)
		}
		if s.t < 1 { // a probability is 0 from there on
			base = s.Max(base, s.Scalar(base, least))
		}
		log := s.logOf(base)
		logs = append(logs, s.Mul(log, s.Scalar(log, 1/(1-s.t))))
		if offset != 0 {
			base = s.Add(base, s.Scalar(base, offset))
		}
		bases = append(bases, base)
	}
	return logs, bases
}

// logOf is the logarithm of a base as nearOne has it.
func (s buildTempered) logOf(base ops.Value) ops.Value {
	if s.nearOne() {
		return s.LogOnePlus(base, math.Abs(1-s.t))
	}
	return s.Log(base)
}

// sums gives F = Σ p and S = Σ p/base, which is minus its derivative by μ.
func (s buildTempered) sums(shift ops.Value) (f, slope ops.Value) {
	logs, bases := s.logsAndBases(shift)
	p, shares := make([]ops.Value, len(logs)), make([]ops.Value, len(logs))
	for i, base := range bases {
		p[i] = s.Exp(logs[i])
		if s.t < 1 { // p is 0 as well where base is
			base = s.Max(base, s.Scalar(base, 1e-30))
		}
		shares[i] = s.Div(p[i], base)
	}
	return s.Label(s.total(p), "sum"), s.Label(s.total(shares), "slope")
}

// step is what Newton's method on F^(t-1) adds to the shift: (F^(t-1) - 1) F/S.
func (s buildTempered) step(f, slope ops.Value) ops.Value {
	power := s.shiftAt(f)
	if !s.nearOne() {
		power = s.Sub(power, s.Scalar(f, 1))
	}
	return s.Mul(power, s.Div(f, slope))
}

// shiftAt is the shift x^(t-1), at which the highest logit has the probability 1/x.
func (s buildTempered) shiftAt(x ops.Value) ops.Value {
	if s.nearOne() {
		return s.Expm1(s.Mul(s.Log(x), s.Scalar(x, s.t-1)))
	}
	return s.PowConst(x, s.t-1)
}

// start is the shift for μ = 0.
func (s buildTempered) start() ops.Value {
	if s.nearOne() {
		return s.Scalar(s.count, 0)
	}
	return s.Scalar(s.count, 1)
}

func (s buildTempered) fromLeft() ops.Value {
	shift := s.start()
	for range s.steps() {
		f, slope := s.sums(shift)
		shift = s.Label(s.Add(shift, s.step(f, slope)), "shift")
	}
	return shift
}

// bracketed says that steps from the left would be many: with t well above 1 and
// many unlikely classes they grow by a factor of about t only.
func (s buildTempered) bracketed() bool { return s.t > 1.25 && s.most > 2 }

// inBracket looks for the shift between 1 and n^(t-1). At any point Newton's method on
// F^(t-1), which is concave in it, gives a lower bound, and Newton's method on F as
// a function of the largest probability shift^(1/(1-t)), which is concave as well,
// an upper bound. The next point is halfway between the bounds' logarithms; so their
// distance halves at least, and is squared in the end.
func (s buildTempered) inBracket() ops.Value {
	one := s.Scalar(s.count, 1)
	low, high := one, s.Label(s.shiftAt(s.count), "highest")
	middle := s.Sqrt(high)
	for range s.steps() - 1 {
		f, slope := s.sums(middle)
		low = s.Label(s.Max(low, s.Add(middle, s.step(f, slope))), "low")
		left := s.Sub(one, s.Div(s.Sub(f, one), s.Mul(middle, slope)))
		factor := s.PowConst(s.Max(left, s.Scalar(left, 1e-30)), 1-s.t)
		high = s.Label(s.Min(high, s.Mul(middle, factor)), "high")
		middle = s.Label(s.Mul(s.Sqrt(low), s.Sqrt(high)), "middle")
	}
	// the bounds keep the largest rounding errors that they ever had
	f, slope := s.sums(middle)
	return s.Label(s.Add(middle, s.step(f, slope)), "shift")
}

// steps is how many it takes at most, found by a search for bad cases among up to
// 10^5 classes; they converge quadratically, so that float64 needs one more.
func (s buildTempered) steps() int {
	steps := 0.0
	switch distance := math.Abs(s.t - 1); {
	case s.most == 2:
		steps = 3 + max(0, math.Log2(s.t)-1)
	case s.bracketed():
		steps = 5 + math.Log2(s.t)
	default:
		steps = min(3+12*distance, 12)
	}
	if s.count.DType() == ops.Float64 {
		steps++
	}
	return int(math.Ceil(steps))
}

// iterated is the published fixed point for t > 1.
func (s buildTempered) iterated(iters int64) []ops.Value {
	ratios := s.ratios(ops.Value{})
	for range iters {
		ratios = s.ratios(s.sumOf(ratios))
	}
	sum := s.sumOf(ratios)
	logs, logSum := s.ratios(sum), s.Log(sum)
	for i := range logs {
		logs[i] = s.Sub(logs[i], logSum)
	}
	return logs
}

// ratios gives log exp_t of the logits below the highest, times sum^(1-t).
func (s buildTempered) ratios(sum ops.Value) []ops.Value {
	var logs []ops.Value
	for _, gap := range s.gaps {
		if !gap.Present() {
			logs = append(logs, s.Scalar(s.count, 0))
			continue
		}
		if sum.Present() {
			gap = s.Mul(gap, s.PowConst(sum, 1-s.t))
		}
		log := s.LogOnePlus(gap, math.Abs(1-s.t))
		logs = append(logs, s.Mul(log, s.Scalar(log, 1/(1-s.t))))
	}
	return logs
}

func (s buildTempered) sumOf(logs []ops.Value) ops.Value {
	parts := make([]ops.Value, len(logs))
	for i, log := range logs {
		parts[i] = s.Exp(log)
	}
	return s.Label(s.total(parts), "sum")
}

// bisected is the published bisection for t < 1.
func (s buildTempered) bisected(iters int64) []ops.Value {
	possible := make([]ops.Value, len(s.gaps))
	for i, gap := range s.gaps {
		if !gap.Present() {
			possible[i] = s.Scalar(s.count, 1)
			continue
		}
		possible[i] = s.Cast(s.Greater(gap, s.Scalar(gap, -1)), gap.DType())
	}
	low, high := s.start(), s.Label(s.shiftAt(s.total(possible)), "high")
	half := s.Scalar(high, 0.5)
	middle := s.Label(s.Mul(s.Add(low, high), half), "middle")
	for range iters {
		above := s.Less(s.sumOf(s.at(middle)), s.Scalar(high, 1))
		low, high = s.Where(above, low, middle), s.Where(above, middle, high)
		middle = s.Label(s.Mul(s.Add(low, high), half), "middle")
	}
	return s.at(middle)
}
