package main

import (
	"math"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/examples/kit/kittest"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
)

func TestGAN(t *testing.T) {
	kittest.OnEngines(t, func(t *testing.T, eng engine.Engine) {
		r, err := judge(eng, kittest.Data)
		if err != nil {
			t.Fatal(err)
		}
		kittest.FitsTerminal(t, r.write)
		t.Run("engine and reference agree", func(t *testing.T) { checkAgreement(t, r) })
		t.Run("games", func(t *testing.T) { checkGames(t, r) })
		t.Run("balance", func(t *testing.T) { checkBalance(t, r) })
	})
}

func near(got, want float64) bool { return math.Abs(got-want) <= 2e-6*math.Max(1, math.Abs(want)) }

func checkAgreement(t *testing.T, r report) {
	seen := map[*losses.Loss]bool{}
	all := append(append(r.games, r.autoEncoder...), r.penalties...)
	for _, s := range r.steps {
		all = append(all, s.discriminator, s.convergence, s.balance)
	}
	for _, x := range all {
		seen[x.loss] = true
		if !near(x.engine, x.reference) {
			t.Errorf("%s: the engine gives %g, the reference %g", x.loss.Command(), x.engine, x.reference)
		}
		if x.cases == 0 {
			t.Errorf("%s is not verified", x.loss.Command())
		}
	}
	for _, family := range losses.Families() {
		for _, loss := range family.Losses {
			if family.Name == "Adversarial" && !seen[loss] {
				t.Errorf("%s is not in the example", loss.Command())
			}
		}
	}
}

func checkGames(t *testing.T, r report) {
	values := map[*losses.Loss]result{}
	for _, x := range r.games {
		values[x.loss] = x
	}
	if got, want := values[losses.WassersteinCritic].engine, r.fake-r.real; !near(got, want) {
		t.Errorf("wasserstein-critic: got %g, the outputs differ by %g", got, want)
	}
	if got, want := values[losses.HingeGenerator].engine, -r.fake; !near(got, want) {
		t.Errorf("hinge-generator: got %g, the mean output is %g", got, -want)
	}
	if got, want := values[losses.MinimaxDiscriminator].indifferent, 2*math.Ln2; !near(got, want) {
		t.Errorf("minimax-discriminator where all is 0: got %g, want %g", got, want)
	}
	// the generator of this pair is ahead: every game says that the discriminator
	// does worse than one that says 0 to everything
	if !(r.fake > r.real) {
		t.Errorf("mean outputs: got %g for real and %g for generated images, which is no longer what the example tells", r.real, r.fake)
	}
	for _, loss := range []*losses.Loss{
		losses.MinimaxDiscriminator, losses.LeastSquaresDiscriminator, losses.WassersteinCritic, losses.HingeDiscriminator,
	} {
		if x := values[loss]; !(x.engine > x.indifferent) {
			t.Errorf("%s: got %g, want more than the %g of zeros", loss.Command(), x.engine, x.indifferent)
		}
	}
}

func checkBalance(t *testing.T, r report) {
	const gamma, lambda = 0.5, 5.0
	fake := r.autoEncoder[2].engine // began-generator is the error itself
	first := r.steps[0]
	real := first.discriminator.engine + first.k*fake
	for i, s := range r.steps {
		want := math.Max(0, math.Min(1, s.k+lambda*(gamma*real-fake)))
		if !near(s.balance.engine, want) {
			t.Errorf("step %d: the next k is %g, want %g", i+1, s.balance.engine, want)
		}
		if want := real + math.Abs(gamma*real-fake); !near(s.convergence.engine, want) {
			t.Errorf("step %d: convergence is %g, want %g", i+1, s.convergence.engine, want)
		}
		if i > 0 && s.k != r.steps[i-1].balance.engine {
			t.Errorf("step %d: k is %g, which is not what the step before gave", i+1, s.k)
		}
	}
	// digits are reconstructed better than what the generator makes
	if !(real < fake) {
		t.Errorf("reconstruction errors: got %g for real and %g for generated images", real, fake)
	}
}

func TestGradientPredictsSmallMoves(t *testing.T) {
	g, err := open(interp.New(), kittest.Data)
	if err != nil {
		t.Fatal(err)
	}
	point := engine.Data[float32](g.real)[:pixels]
	gradient, err := g.gradientAt(point)
	if err != nil {
		t.Fatal(err)
	}
	// along the gradient the output grows by the norm, a step of length 1/64
	squares := 0.0
	for _, slope := range gradient.Float64s() {
		squares += slope * slope
	}
	norm := math.Sqrt(squares)
	both := append(append([]float32{}, point...), point...)
	for j, slope := range gradient.Float64s() {
		both[j] += float32(slope / norm / 64)
	}
	outputs, err := g.says(both)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := outputs[0]-outputs[1], norm/64; !(math.Abs(got-want) <= 0.02*want) {
		t.Errorf("the output moved by %g, the gradient says %g", got, want)
	}
}

func TestGANSaysWhichFileIsMissing(t *testing.T) {
	err := run(new(strings.Builder), interp.New(), t.TempDir())
	if err == nil || !strings.Contains(err.Error(), ".onnx") {
		t.Errorf("got %v, want an error that names a model", err)
	}
}
