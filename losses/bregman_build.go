package losses

import "github.com/onnxloss/onnxloss/ops"

// bregman builds the divergence between labels and probabilities. A class's part is
//
//	y (log_t1 y - 1)/(2-t1) - y log_t1 p + p^(2-t1)/(2-t1)
//
// as y^(2-t1) is y (1 + (1-t1) log_t1 y).
type bregman struct {
	*ops.Builder
	t1 float64
	// summed says that Σ p^(2-t1) is 1, as for t1 = 1 but for published iterations.
	summed bool
	// cut says that log_t1 p may be infinite where the label is 0.
	cut bool
}

func newBregman(b *ops.Builder, p Params) bregman {
	t1 := p.Float("t1")
	return bregman{
		Builder: b, t1: t1,
		summed: t1 == 1 && p.Int("num_iters") == 0,
		cut:    t1 > 1 || t1 == 1 && p.Float("t2") < 1,
	}
}

func (m bregman) terms(y, logP ops.Value) ops.Value {
	byP := m.timesLogT(y, logP)
	if m.cut {
		byP = m.Where(m.Equal(y, m.Scalar(y, 0)), m.Scalar(y, 0), byP)
	}
	smallest := 1e-37 // as 0 log 0 is 0
	if y.DType() == ops.Float64 {
		smallest = 1e-300
	}
	logY := m.LogT(m.Max(y, m.Scalar(y, smallest)), m.t1)
	byY := m.Mul(m.Mul(y, m.Sub(logY, m.Scalar(y, 1))), m.Scalar(y, 1/(2-m.t1)))
	return m.Add(m.Sub(byY, byP), m.power(logP))
}

// timesLogT is y log_t1 p. For t1 > 1 p^(1-t1) may be beyond the type where its
// product with y is not: that comes from its root.
func (m bregman) timesLogT(y, logP ops.Value) ops.Value {
	if m.t1 <= 1 {
		return m.Mul(y, m.LogTOfLog(logP, m.t1))
	}
	half := m.Mul(logP, m.Scalar(logP, (1-m.t1)/2))
	root := m.Exp(half)
	// e^x - 1 is tanh(x/2) (e^x + 1)
	power := m.Mul(m.Tanh(half), m.Add(m.Mul(m.Mul(y, root), root), y))
	return m.Label(m.Mul(power, m.Scalar(power, 1/(1-m.t1))), "y_log_t")
}

// kept takes out positions that are ignored, also where the loss is infinite.
func (m bregman) kept(loss ops.Value, t indexTarget) ops.Terms {
	ignored := m.Equal(t.keep, m.Scalar(t.keep, 0))
	return ops.Terms{Loss: m.Label(m.Where(ignored, m.Scalar(loss, 0), loss), "divergence"), Weight: t.keep}
}

// power is p^(2-t1)/(2-t1).
func (m bregman) power(logP ops.Value) ops.Value {
	if m.t1 == 1 {
		return m.Exp(logP)
	}
	power := m.Exp(m.Mul(logP, m.Scalar(logP, 2-m.t1)))
	return m.Mul(power, m.Scalar(power, 1/(2-m.t1)))
}

// buildSmoothed spreads label_smoothing over the classes of axis 1; a single class
// has no others.
func buildSmoothed(b *ops.Builder, y ops.Value, smoothing float64, logits ops.Value) ops.Value {
	if smoothing == 0 {
		return y
	}
	count := b.Cast(b.Slice(b.ShapeOf(logits), 0, 1, 2), logits.DType())
	one := b.Scalar(count, 1)
	others := b.Sub(count, one)
	kept := b.Sub(one, b.Mul(b.Min(others, one), b.Scalar(one, smoothing)))
	share := b.Div(b.Scalar(one, smoothing), b.Max(others, one))
	return buildMixed(b, y, b.Sub(b.Scalar(y, 1), y), kept, share)
}

// buildMixed is a smoothed label of y and 1 - y, which does not cancel near 0.
func buildMixed(b *ops.Builder, y, others, kept, share ops.Value) ops.Value {
	return b.Label(b.Add(b.Mul(y, kept), b.Mul(others, share)), "smoothed_target")
}
