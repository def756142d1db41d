// Command noisy_labels trains the last layer of a digit classifier on labels of which
// 30 % are wrong, once with softmax cross-entropy and once with the bi-tempered
// logistic loss, and compares both on clean images.
//
// The layers before it stay as they are: models.Cut ends the classifier there, and an
// engine computes the features. The layer is trained in Go, on the gradient that the
// catalogue's float64 reference gives. It then goes back into the ONNX model, which
// gets the loss to score the training labels with, and tempered softmax for a head.
//
//	go run ./examples/noisy_labels
package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"

	"github.com/onnxloss/onnxloss/examples/kit"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

func main() { kit.Main(run) }

func run(to io.Writer, eng engine.Engine, data string) error {
	s, err := open(eng, data)
	if err != nil {
		return err
	}
	r := report{}
	for _, n := range noises {
		var drawn []experiment
		for seed := range uint64(draws) {
			x, err := s.learn(n, seed)
			if err != nil {
				return err
			}
			drawn = append(drawn, x)
		}
		r.experiments = append(r.experiments, mean(drawn))
	}
	r.write(to)
	return nil
}

const (
	classes = 10
	images  = 300 // few, so that wrong labels can be learnt by heart
	wrong   = images * 3 / 10
	draws   = 3 // of the labels that are wrong; the report has the means
)

// A noise makes a wrong label of a right one.
type noise struct {
	name string
	flip func(random *rand.Rand, label int64) int64
}

var noises = []noise{
	{"the next digit", func(_ *rand.Rand, label int64) int64 { return (label + 1) % classes }},
	{"any other digit", func(random *rand.Rand, label int64) int64 { return (label + 1 + random.Int64N(classes-1)) % classes }},
}

// An objective is what a layer is trained with: the loss, and the head that makes
// probabilities of its logits.
type objective struct {
	loss, head                 *losses.Loss
	lossSettings, headSettings map[string]any
}

// objectives are compared. t1 < 1 bounds the loss, so that a label that the model
// finds absurd does not pull forever; t2 > 1 gives the probabilities a heavy tail, so
// that labels near the border do not either. Ordinary softmax is t2 = 1.
var objectives = []objective{
	{losses.SoftmaxCrossEntropy, losses.TemperedSoftmax, nil, map[string]any{"t": 1.0}},
	{losses.BiTemperedLogistic, losses.TemperedSoftmax, map[string]any{"t1": 0.7, "t2": 1.3}, map[string]any{"t": 1.3}},
}

// scene is the classifier and its data.
type scene struct {
	eng                engine.Engine
	classifier         *models.Model
	train, test        engine.Tensor // images, [N,1,8,8]
	labels, testLabels []int64
	features           engine.Tensor // of the training images, [N,64]
	testFeatures       engine.Tensor
}

const lastFeatures = "/Relu_2_output_0" // what the last layer reads

func open(eng engine.Engine, data string) (*scene, error) {
	s := &scene{eng: eng}
	var err error
	if s.classifier, err = kit.Open(data, "digits_cnn.onnx"); err != nil {
		return nil, err
	}
	if s.train, s.labels, err = read(data, "digits_train"); err != nil {
		return nil, err
	}
	if s.test, s.testLabels, err = read(data, "digits"); err != nil {
		return nil, err
	}
	if len(s.labels) < images {
		return nil, fmt.Errorf("there are %d training images, and %d are trained with", len(s.labels), images)
	}
	s.labels = s.labels[:images]
	if s.train, err = engine.New([]int{images, 1, 8, 8}, engine.Data[float32](s.train)[:images*64]); err != nil {
		return nil, err
	}
	if s.features, err = s.see(s.train); err != nil {
		return nil, err
	}
	s.testFeatures, err = s.see(s.test)
	return s, err
}

// see gives what the last layer reads of images.
func (s *scene) see(images engine.Tensor) (engine.Tensor, error) {
	frozen, err := s.classifier.Cut(lastFeatures)
	if err != nil {
		return engine.Tensor{}, err
	}
	outputs, err := kit.Run(s.eng, frozen, map[string]engine.Tensor{"image": images})
	if err != nil {
		return engine.Tensor{}, err
	}
	return outputs[lastFeatures], nil
}

func read(data, name string) (engine.Tensor, []int64, error) {
	pictures, err := kit.Read(data, name+"_images.npy", ops.Float32, kit.AnySize, 1, 8, 8)
	if err != nil {
		return engine.Tensor{}, nil, err
	}
	labels, err := kit.Read(data, name+"_labels.npy", ops.Int64, pictures.Shape()[0])
	return pictures, engine.Data[int64](labels), err
}

// An experiment is what became of one kind of wrong labels.
type experiment struct {
	noise    string
	outcomes []outcome // by objective
}

// learn draws wrong labels, trains with every objective on them, and judges.
func (s *scene) learn(n noise, seed uint64) (experiment, error) {
	random := rand.New(rand.NewPCG(seed, 0))
	noisy, flipped := slices.Clone(s.labels), make([]bool, images)
	for _, i := range random.Perm(images)[:wrong] {
		noisy[i], flipped[i] = n.flip(random, noisy[i]), true
	}
	x := experiment{noise: n.name}
	for _, o := range objectives {
		best := 0.0
		l, err := train(s.features, noisy, o, func(l layer) {
			logits := l.logits(rows(s.testFeatures))
			best = max(best, accuracy(slices.Collect(slices.Chunk(logits.Data, classes)), s.testLabels))
		})
		if err != nil {
			return experiment{}, err
		}
		judged, err := s.judge(l, o, noisy, flipped)
		if err != nil {
			return experiment{}, err
		}
		judged.best = best
		x.outcomes = append(x.outcomes, judged)
	}
	return x, nil
}
