package losses

import (
	"fmt"
	"math"

	"github.com/onnxloss/onnxloss/ops"
)

// BalancedL1 is the balanced L1 loss of Libra R-CNN.
var BalancedL1 = balancedL1()

func balancedL1() *Loss {
	l := ofDifference(Loss{
		Name:    "BalancedL1Loss",
		Summary: "smooth L1 whose gradient rises faster near 0, so that accurate boxes count for more",
		Formula: `d = |prediction - target|, b = e^(γ/α) - 1
loss = (α/b) (b d + shift β) log(b d/β + 1) - α d   where d < β
loss = γ d + shift γ β/b - α β                      elsewhere`,
		Meaning: `Its slope is α log(b d/β + 1) up to β and γ beyond: small errors, of boxes that are
nearly right, have a larger gradient than with smooth L1, large ones that of L1 times γ. In the
numbers' own unit, less a constant. The paper has β = 1 and no shift. mmdetection's form for
another β is that with a shift of 1/β: its slope at 0 is α (shift - 1), so that it has a kink
there for β < 1 and is negative for β > 1.`,
		Paper: "Pang, Chen, Shi, Feng, Ouyang, Lin: Libra R-CNN, CVPR 2019, arXiv:1904.02701; β as in mmdetection",
		Declare: []Param{
			{Name: "alpha", Kind: Float, Default: 0.5, Min: 0, Max: math.Inf(1), OpenMin: true, Try: []any{0.25}, Doc: "how much small errors count: the smaller, the more, as the slope at β is always gamma"},
			{Name: "gamma", Kind: Float, Default: 1.5, Min: 0, Max: math.Inf(1), OpenMin: true, Try: []any{1.0}, Doc: "the slope of large errors"},
			{Name: "beta", Kind: Float, Default: 1.0, Min: 0, Max: math.Inf(1), OpenMin: true, Try: []any{0.25}, Doc: "the error up to which the slope rises"},
			{Name: "shift", Kind: Float, Default: 1.0, Min: 0, Max: math.Inf(1), Try: []any{1.25}, Doc: "1 makes the slope 0 at 0; 1/beta gives what mmdetection has for a beta other than 1"},
		},
		Check:  checkBalancedL1,
		Build:  buildBalancedL1,
		Figure: &Figure{X: "error", From: -2, To: 2, Curves: over(ofError, "alpha", 0.2, 0.3, 0.5, 1.0)},
	}, balancedL1Value, balancedL1Slope)
	l.Bound = balancedL1Bound
	l.Accuracy = "with z = b min(d, β)/β: eps · 4 α β/b · ((z + 1) log(z + 1) + z) and 8 eps of the rest: the two parts of the curve cancel to z²/2 where z is small"
	return l
}

// maxGammaOverAlpha keeps e^(γ/α) a number of any type.
const maxGammaOverAlpha = 80

func checkBalancedL1(p Params) error {
	if ratio := p.Float("gamma") / p.Float("alpha"); ratio > maxGammaOverAlpha {
		return fmt.Errorf("gamma/alpha must be at most %d, got %g; e^(gamma/alpha) would overflow", maxGammaOverAlpha, ratio)
	}
	return nil
}

// balance is what the parameters stand for.
type balance struct {
	alpha, gamma, beta float64
	b                  float64 // of the formula
	shifted            float64 // shift - 1
}

func balanceOf(p Params) balance {
	s := balance{alpha: p.Float("alpha"), gamma: p.Float("gamma"), beta: p.Float("beta"), shifted: p.Float("shift") - 1}
	s.b = math.Expm1(s.gamma / s.alpha)
	return s
}

// balancedL1Value is the curve up to β and the line beyond it. The shift adds a
// multiple of log(z + 1), which is γ/α from β on.
func balancedL1Value(d float64, p Params) float64 {
	s := balanceOf(p)
	near := math.Min(math.Abs(d), s.beta)
	z := s.b * near / s.beta
	curve := entropicSquare(z) + s.shifted*math.Log1p(z)
	return s.alpha/s.b*s.beta*curve + s.gamma*(math.Abs(d)-near)
}

// entropicSquare is (z + 1) log(z + 1) - z, which is about z²/2 for small z.
func entropicSquare(z float64) float64 {
	if z > 0.01 {
		return (z+1)*math.Log1p(z) - z
	}
	total, power := 0.0, -z
	for k := 2.0; k < 12; k++ {
		power *= -z
		total += power / (k * (k - 1))
	}
	return total
}

func balancedL1Slope(d float64, p Params) float64 {
	s := balanceOf(p)
	size := math.Abs(d)
	if size >= s.beta {
		return s.gamma * sign(d)
	}
	z := s.b * size / s.beta
	return sign(d) * s.alpha * (math.Log1p(z) + s.shifted/(z+1))
}

func balancedL1Bound(in Values, p Params, eps float64) (Array, error) {
	s := balanceOf(p)
	x, y := in["prediction"], in["target"]
	bound := Zeros(x.Shape)
	for i := range bound.Data {
		d := math.Abs(x.Data[i] - y.Data[i])
		near := math.Min(d, s.beta)
		z := s.b * near / s.beta
		log := math.Log1p(z)
		curve := s.alpha / s.b * s.beta * ((z+1)*log + z + math.Abs(s.shifted)*log)
		bound.Data[i] = eps * (4*curve + 4*s.gamma*(d-near))
	}
	return bound, nil
}

// buildBalancedL1 has the line as what is left of d beyond β. The logarithm of z + 1
// is put right by what rounding z + 1 lost.
func buildBalancedL1(b *ops.Builder, in map[string]ops.Value, p Params) ops.Terms {
	s := balanceOf(p)
	d := b.Label(b.Abs(b.Sub(in["prediction"], in["target"])), "size")
	near := b.Label(b.Min(d, b.Scalar(d, s.beta)), "capped_size")
	z := b.Mul(near, b.Scalar(d, s.b/s.beta))
	one := b.Scalar(d, 1)
	u := b.Add(z, one)
	log := b.Add(b.Log(u), b.Div(b.Sub(z, b.Sub(u, one)), u))
	curve := b.Sub(b.Mul(u, log), z)
	if s.shifted != 0 {
		curve = b.Add(curve, b.Mul(log, b.Scalar(d, s.shifted)))
	}
	curve = b.Mul(curve, b.Scalar(d, s.alpha/s.b*s.beta))
	line := b.Mul(b.Sub(d, near), b.Scalar(d, s.gamma))
	return ops.Terms{Loss: b.Add(b.Label(curve, "curve"), b.Label(line, "line"))}
}
