package export_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/testneeds"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/ort"
)

// heavy is a loss of many nodes. Its peer is what PyTorch's exporter makes of the
// formula; where there is none, the measure is another loss of ours on the same
// inputs.
type heavy struct {
	loss    string
	peer    string // file in testdata/peers
	measure string // command-line name
	inputs  map[string]engine.Tensor
}

func heavies() []heavy {
	images := map[string]engine.Tensor{"prediction": normals(8, 3, 256, 256), "target": normals(8, 3, 256, 256)}
	masks := map[string]engine.Tensor{"prediction": normals(8, 21, 64, 64), "target": labels(21, 8, 64, 64)}
	return []heavy{
		{"giou", "giou", "", map[string]engine.Tensor{"prediction": corners(1, 100_000), "target": corners(2, 100_000)}},
		{"ciou", "ciou", "", map[string]engine.Tensor{"prediction": corners(1, 100_000), "target": corners(2, 100_000)}},
		{"generalized-dice", "generalized_dice", "", masks},
		{"style", "style", "", map[string]engine.Tensor{"prediction": normals(8, 64, 64, 64), "style": normals(1, 64, 64, 64)}},
		{"bi-tempered-logistic", "", "softmax-cross-entropy", map[string]engine.Tensor{"logits": normals(1<<20/10, 10), "target": labels(10, 1<<20/10)}},
		{"boundary", "", "dice", map[string]engine.Tensor{"prediction": normals(4, 2, 128, 128), "target": labels(2, 4, 128, 128)}},
		{"laplacian-pyramid", "", "l1", images},
	}
}

// BenchmarkHeavy runs, in every round, the loss and its measure once on one thread,
// and reports the fastest round of each in milliseconds and their ratio.
func BenchmarkHeavy(b *testing.B) {
	runtime, err := ort.New(ort.Options{Threads: 1})
	if errors.Is(err, engine.ErrUnavailable) {
		testneeds.Lacking(b, testneeds.ORT, err)
	}
	if err != nil {
		b.Fatal(err)
	}
	for _, h := range heavies() {
		b.Run(h.loss, func(b *testing.B) { h.run(b, runtime) })
	}
}

func (h heavy) run(b *testing.B, runtime engine.Engine) {
	ours := load(b, runtime, h.export(b, h.loss))
	measure, inputs := engine.Session(nil), h.inputs
	if h.peer == "" {
		measure = load(b, runtime, h.export(b, h.measure))
	} else {
		raw, err := os.ReadFile("../testdata/peers/" + h.peer + ".onnx")
		if err != nil {
			b.Fatal(err)
		}
		measure, inputs = load(b, runtime, raw), h.forPeer()
		h.agree(b, ours, measure)
	}
	fastest := [2]time.Duration{1 << 62, 1 << 62}
	for b.Loop() {
		fastest[0] = min(fastest[0], timed(b, ours, h.inputs))
		fastest[1] = min(fastest[1], timed(b, measure, inputs))
	}
	b.ReportMetric(0, "ns/op") // of both together, which says nothing
	b.ReportMetric(fastest[0].Seconds()*1e3, "graph-ms")
	b.ReportMetric(fastest[1].Seconds()*1e3, "measure-ms")
	b.ReportMetric(fastest[0].Seconds()/fastest[1].Seconds(), "ratio")
}

// forPeer names the inputs as those of the peers.
func (h heavy) forPeer() map[string]engine.Tensor {
	renamed := map[string]engine.Tensor{}
	for name, t := range h.inputs {
		renamed[map[string]string{"prediction": "logits", "target": "target", "style": "target"}[name]] = t
	}
	return renamed
}

func (h heavy) agree(b *testing.B, ours, peer engine.Session) {
	b.Helper()
	want, err := ours.Run(h.inputs)
	if err != nil {
		b.Fatal(err)
	}
	got, err := peer.Run(h.forPeer())
	if err != nil {
		b.Fatal(err)
	}
	if err := engine.Diff(got["loss"], want["loss"], engine.Tolerance{Abs: 1e-4, Rel: 1e-3}); err != nil {
		b.Fatal(err)
	}
}

func (h heavy) export(b *testing.B, name string) []byte {
	b.Helper()
	loss, err := losses.Find(name)
	if err != nil {
		b.Fatal(err)
	}
	params, err := loss.Params(nil)
	if err != nil {
		b.Fatal(err)
	}
	shapes := map[string]ops.Shape{}
	for name, t := range h.inputs {
		shapes[name] = dynamic(len(t.Shape()))
		switch {
		case name == "style":
			shapes[name][0] = ops.Symbolic("s")
		case loss.Name == "GIoULoss" || loss.Name == "CIoULoss":
			shapes[name][1] = ops.Fixed(4)
		case name == "target" && len(t.Shape()) < len(h.inputs["prediction"].Shape()):
			shapes[name] = slices.Delete(dynamic(len(t.Shape())+1), 1, 2)
		}
	}
	model, err := export.Model(loss, params, export.Options{Reduction: losses.None, Shapes: shapes})
	if err != nil {
		b.Fatal(err)
	}
	return encoded(b, model)
}

func normals(shape ...int) engine.Tensor {
	random := rand.New(rand.NewPCG(1, 2))
	count, _ := engine.Count(shape)
	x := make([]float32, count)
	for i := range x {
		x[i] = float32(random.NormFloat64())
	}
	return engine.Must(shape, x)
}

func labels(classes int64, shape ...int) engine.Tensor {
	random := rand.New(rand.NewPCG(3, 4))
	count, _ := engine.Count(shape)
	x := make([]int64, count)
	for i := range x {
		x[i] = random.Int64N(classes)
	}
	return engine.Must(shape, x)
}

func corners(seed uint64, count int) engine.Tensor {
	random := rand.New(rand.NewPCG(seed, 6))
	x := make([]float32, 4*count)
	for at := 0; at < len(x); at += 4 {
		x[at], x[at+1] = 10*random.Float32(), 10*random.Float32()
		x[at+2], x[at+3] = x[at]+1+9*random.Float32(), x[at+1]+1+9*random.Float32()
	}
	return engine.Must([]int{count, 4}, x)
}
