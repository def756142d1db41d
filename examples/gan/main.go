// Command gan judges a trained GAN with every adversarial loss of the catalogue.
//
// Generator and discriminator are two ONNX files. models.Twin applies the
// discriminator to real and to generated images with one set of weights, models.Join
// puts it behind the generator, and export.AttachAll adds the losses: one graph that
// takes latent vectors and real images and gives every loss.
//
// Two families of losses read something else than a discriminator's output, and are
// exported as graphs of their own: those of auto-encoders (EBGAN, BEGAN) and the
// gradient penalties.
//
//	go run ./examples/gan
package main

import (
	"fmt"
	"io"

	"github.com/onnxloss/onnxloss/examples/kit"
	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

func main() { kit.Main(run) }

func run(to io.Writer, eng engine.Engine, data string) error {
	r, err := judge(eng, data)
	if err == nil {
		r.write(to)
	}
	return err
}

// judge does all parts.
func judge(eng engine.Engine, data string) (report, error) {
	g, err := open(eng, data)
	if err != nil {
		return report{}, err
	}
	r := report{}
	if err := g.play(&r); err != nil {
		return report{}, err
	}
	if r.autoEncoder, err = g.judgeErrors(); err != nil {
		return report{}, err
	}
	if r.steps, err = g.balance(); err != nil {
		return report{}, err
	}
	r.penalties, err = g.penalize()
	return r, err
}

// gan is the models and the data that all parts share.
type gan struct {
	eng                      engine.Engine
	generator, discriminator *models.Model
	upscaler                 *models.Model // see autoencoder.go
	z, real                  engine.Tensor // as many latent vectors as real images
}

func open(eng engine.Engine, data string) (*gan, error) {
	g := &gan{eng: eng}
	var err error
	if g.generator, err = kit.Open(data, "gan_generator.onnx"); err != nil {
		return nil, err
	}
	if g.discriminator, err = kit.Open(data, "gan_discriminator.onnx"); err != nil {
		return nil, err
	}
	if g.upscaler, err = kit.Open(data, "superres.onnx"); err != nil {
		return nil, err
	}
	if g.z, err = kit.Read(data, "gan_z.npy", ops.Float32, kit.AnySize, 16); err != nil {
		return nil, err
	}
	images, err := kit.Read(data, "digits_images.npy", ops.Float32, kit.AnySize, 1, 8, 8)
	if err != nil {
		return nil, err
	}
	// as many real images as generated ones, and enough for the penalties
	count := g.z.Shape()[0]
	if available := images.Shape()[0]; count > available || count < penalized {
		return nil, fmt.Errorf("there are %d latent vectors, which must be %d or more, and no more than the %d images", count, penalized, available)
	}
	g.real, err = engine.New([]int{count, 1, 8, 8}, engine.Data[float32](images)[:count*pixels])
	return g, err
}

const pixels = 8 * 8

// A result is what an engine made of a loss, and what the reference makes of the
// same inputs.
type result struct {
	loss              *losses.Loss
	engine, reference float64
	cases             int     // verified with the file that the loss is in
	indifferent       float64 // the loss where the discriminator says 0 to everything
}

// games are the losses on what a discriminator says, with the inputs that they read.
var games = []struct {
	loss *losses.Loss
	bind map[string]string
}{
	{losses.MinimaxDiscriminator, onBoth},
	{losses.MinimaxGenerator, onFake},
	{losses.NonSaturatingDiscriminator, onBoth},
	{losses.NonSaturatingGenerator, onFake},
	{losses.LeastSquaresDiscriminator, onBoth},
	{losses.LeastSquaresGenerator, onFake},
	{losses.WassersteinCritic, onBoth},
	{losses.WassersteinGenerator, onFake},
	{losses.HingeDiscriminator, onBoth},
	{losses.HingeGenerator, onFake},
}

var (
	onBoth = map[string]string{"real": "real/logit", "fake": "fake/logit"}
	onFake = map[string]string{"fake": "fake/logit"}
)

// playing is one model of the whole game: from z and real/image to image, real/logit
// and fake/logit.
func (g *gan) playing() (*models.Model, error) {
	both, err := models.Twin(g.discriminator, "real", "fake")
	if err != nil {
		return nil, err
	}
	joint, _, err := models.Join(g.generator, both, map[string]string{"fake/image": "image"})
	return joint, err
}

// play puts all losses of games onto one model and runs it once.
func (g *gan) play(r *report) error {
	host, err := g.playing()
	if err != nil {
		return err
	}
	var terms []export.Term
	for _, game := range games {
		params, err := game.loss.Params(nil) // the defaults
		if err != nil {
			return err
		}
		terms = append(terms, export.Term{
			Loss: game.loss, Params: params, Weight: 1,
			AttachOptions: export.AttachOptions{Bind: game.bind},
		})
	}
	// a file of several losses has a total too: that of different games means nothing
	judging, err := export.AttachAll(host, terms, export.AllOptions{Total: "total"})
	if err != nil {
		return err
	}
	cases, err := kit.Verify(g.eng, judging)
	if err != nil {
		return err
	}
	outputs, err := kit.Run(g.eng, judging, map[string]engine.Tensor{"z": g.z, "real/image": g.real})
	if err != nil {
		return err
	}
	for i, game := range games {
		x := result{loss: game.loss, engine: outputs[game.loss.Command()].Float64s()[0], cases: cases / len(games)}
		if x.reference, x.indifferent, err = refer(game.loss, terms[i].Params, game.bind, outputs); err != nil {
			return err
		}
		r.games = append(r.games, x)
	}
	r.real, r.fake = average(outputs["real/logit"]), average(outputs["fake/logit"])
	return nil
}

// refer computes a loss from what the discriminator said, and from zeros.
func refer(loss *losses.Loss, params losses.Params, bind map[string]string, outputs map[string]engine.Tensor) (said, indifferent float64, err error) {
	outputsOf, zeros := losses.Values{}, losses.Values{}
	for input, tensor := range bind {
		outputsOf[input] = kit.Array(outputs[tensor])
		zeros[input] = losses.Zeros(outputs[tensor].Shape())
	}
	if said, err = mean(loss, params, outputsOf); err != nil {
		return 0, 0, err
	}
	indifferent, err = mean(loss, params, zeros)
	return said, indifferent, err
}

func average(t engine.Tensor) float64 {
	sum := 0.0
	for _, x := range t.Float64s() {
		sum += x
	}
	return sum / float64(t.Len())
}

// mean is the float64 reference's, or its one result where a loss has no mean.
func mean(loss *losses.Loss, params losses.Params, in losses.Values) (float64, error) {
	value, err := loss.Evaluate(in, params, loss.Reductions()[0])
	if err != nil {
		return 0, err
	}
	return value.Data[0], nil
}

// alone exports a loss by itself, for inputs of the shapes that it is given, and says
// what the engine and what the reference make of them.
func (g *gan) alone(loss *losses.Loss, settings map[string]any, in map[string]engine.Tensor) (result, error) {
	params, err := loss.Params(settings)
	if err != nil {
		return result{}, err
	}
	shapes := map[string]ops.Shape{}
	for name, t := range in {
		shapes[name] = ops.Shape{}
		for _, size := range t.Shape() {
			shapes[name] = append(shapes[name], ops.Fixed(size))
		}
	}
	model, err := export.Model(loss, params, export.Options{Shapes: shapes})
	if err != nil {
		return result{}, err
	}
	r := result{loss: loss}
	if r.cases, err = kit.Verify(g.eng, model); err != nil {
		return result{}, err
	}
	outputs, err := kit.Run(g.eng, model, in)
	if err != nil {
		return result{}, err
	}
	r.engine = outputs[loss.Output()].Float64s()[0]
	values := losses.Values{}
	for name, t := range in {
		values[name] = kit.Array(t)
	}
	r.reference, err = mean(loss, params, values)
	return r, err
}
