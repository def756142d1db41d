package main

import (
	"testing"

	"github.com/onnxloss/onnxloss/examples/kit/kittest"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
)

func TestBiTemperedLossWithstandsWrongLabels(t *testing.T) {
	kittest.OnEngines(t, func(t *testing.T, eng engine.Engine) {
		s, err := open(eng, kittest.Data)
		if err != nil {
			t.Fatal(err)
		}
		seed := uint64(0)
		if eng.Name() != interp.New().Name() {
			seed = 1 // what is drawn is another chance, whatever the engine
		}
		x, err := s.learn(noises[0], seed)
		if err != nil {
			t.Fatal(err)
		}
		plain, tempered := x.outcomes[0], x.outcomes[1]
		if !(tempered.accuracy >= plain.accuracy+0.05) {
			t.Errorf("seed %d: accuracy %.3f with the bi-tempered loss, %.3f with cross-entropy", seed, tempered.accuracy, plain.accuracy)
		}
		if !(tempered.accuracy > plain.best && plain.best >= plain.accuracy) {
			t.Errorf("seed %d: accuracy %.3f with the bi-tempered loss, at best %.3f with cross-entropy", seed, tempered.accuracy, plain.best)
		}
		if !(tempered.found >= plain.found+0.05 && tempered.found >= 0.8) {
			t.Errorf("seed %d: found %.3f of the wrong labels, %.3f with cross-entropy", seed, tempered.found, plain.found)
		}
		checkOutcomes(t, x)
	})
}

func checkOutcomes(t *testing.T, x experiment) {
	for _, o := range x.outcomes {
		if !(o.worst <= 1e-5) || o.cases == 0 {
			t.Errorf("%s: probabilities are %g off the reference; %d cases verified", o.loss.Command(), o.worst, o.cases)
		}
		if !(o.confidence > 0.1 && o.confidence <= 1) {
			t.Errorf("%s: the mean highest probability is %g", o.loss.Command(), o.confidence)
		}
	}
}

func TestEvenlySpreadLabelsHarmNeitherLoss(t *testing.T) {
	if testing.Short() {
		t.Skip("one training is enough")
	}
	s, err := open(interp.New(), kittest.Data)
	if err != nil {
		t.Fatal(err)
	}
	x, err := s.learn(noises[1], 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range x.outcomes {
		if !(o.accuracy >= 0.9 && o.found >= 0.95) {
			t.Errorf("%s: accuracy %.3f, found %.3f of the wrong labels", o.loss.Command(), o.accuracy, o.found)
		}
	}
	checkOutcomes(t, x)
}

func TestMeanOfDraws(t *testing.T) {
	draw := func(accuracy, found, worst float64) experiment {
		o := outcome{loss: objectives[0].loss, accuracy: accuracy, best: accuracy, confidence: 0.5, found: found, worst: worst, cases: 3}
		return experiment{noise: "a noise", outcomes: []outcome{o, o}}
	}
	want := outcome{loss: objectives[0].loss, accuracy: 0.75, best: 0.75, confidence: 0.5, found: 0.5, worst: 0.25, cases: 6}
	got := mean([]experiment{draw(0.5, 0.25, 0.25), draw(1, 0.75, 0.125)})
	if got.noise != "a noise" || len(got.outcomes) != 2 || got.outcomes[0] != want || got.outcomes[1] != want {
		t.Errorf("got %+v, want twice %+v", got, want)
	}
}

func TestReportFitsTheTerminal(t *testing.T) {
	o := outcome{loss: objectives[1].loss, accuracy: 1, best: 1, confidence: 1, found: 1, worst: 1e-7, cases: 1000}
	kittest.FitsTerminal(t, report{experiments: []experiment{{noise: noises[1].name, outcomes: []outcome{o}}}}.write)
}
