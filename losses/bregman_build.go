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
		cut:    t1 == 1 && p.Float("t2") < 1,
	}
}

func (m bregman) terms(y, logP ops.Value) ops.Value {
	byP := m.Mul(y, m.LogTOfLog(logP, m.t1))
	if m.cut {
		byP = m.Where(m.Equal(y, m.Scalar(y, 0)), m.Scalar(y, 0), byP)
	}
	// 0 log 0 is 0
	logY := m.LogT(m.Max(y, m.Scalar(y, 1e-37)), m.t1)
	byY := m.Mul(m.Sub(logY, m.Scalar(y, 1)), m.Scalar(y, 1/(2-m.t1)))
	return m.Add(m.Sub(m.Mul(y, byY), byP), m.power(logP))
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
	share := b.Div(b.Scalar(count, smoothing), b.Max(b.Sub(count, one), one))
	kept := b.Sub(one, b.Mul(count, share))
	return b.Label(b.Add(b.Mul(y, kept), share), "smoothed_target")
}
