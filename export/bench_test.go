package export_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/internal/testneeds"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/ort"
)

// race is one loss as we export it against what PyTorch's exporter gives for it.
type race struct {
	name   string
	loss   string
	set    map[string]any
	logits []int
	peers  map[string]string // metric name -> file in testdata/peers
}

var races = []race{
	{
		"sigmoid-cross-entropy", "sigmoid-cross-entropy", nil,
		[]int{1 << 20},
		map[string]string{"peer": "sigmoid_cross_entropy"},
	},
	{
		"sigmoid-focal", "sigmoid-focal",
		map[string]any{"alpha": 0.25, "gamma": 2.0},
		[]int{1 << 20},
		map[string]string{"peer": "sigmoid_focal"},
	},
	{
		"sigmoid-focal-star", "sigmoid-focal-star",
		map[string]any{"gamma": 2.0, "beta": 1.0},
		[]int{1 << 20},
		map[string]string{"peer": "sigmoid_focal_star"},
	},
	{
		"softmax-cross-entropy/rows", "softmax-cross-entropy", nil,
		[]int{1 << 20 / 10, 10},
		map[string]string{"peer": "softmax_cross_entropy", "gather": "softmax_cross_entropy_gather"},
	},
	{
		"softmax-focal/rows", "softmax-focal",
		map[string]any{"gamma": 2.0},
		[]int{1 << 20 / 10, 10},
		map[string]string{"peer": "softmax_focal"},
	},
	{
		"softmax-cross-entropy/images", "softmax-cross-entropy", nil,
		[]int{8, 21, 64, 64},
		map[string]string{"peer": "softmax_cross_entropy_2d", "gather": "softmax_cross_entropy_gather_2d"},
	},
	{
		"softmax-focal/images", "softmax-focal",
		map[string]any{"gamma": 2.0},
		[]int{8, 21, 64, 64},
		map[string]string{"peer": "softmax_focal_2d"},
	},
}

// BenchmarkPeer runs, in every round, each graph once, so that all see the same
// machine. It reports the fastest round of each in milliseconds, and the ratio to
// PyTorch's graph. The copy is a model that only copies the logits: what moving
// the data costs.
func BenchmarkPeer(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) { runRaces(b, threads) })
	}
}

func runRaces(b *testing.B, threads int) {
	runtime, err := ort.New(ort.Options{Threads: threads})
	if errors.Is(err, engine.ErrUnavailable) {
		testneeds.Lacking(b, testneeds.ORT, err)
	}
	if err != nil {
		b.Fatal(err)
	}
	for _, r := range races {
		b.Run(r.name, func(b *testing.B) { r.run(b, runtime) })
	}
}

func (r race) run(b *testing.B, runtime engine.Engine) {
	sessions := map[string]engine.Session{
		"graph":    load(b, runtime, r.export(b, export.Graph)),
		"function": load(b, runtime, r.export(b, export.Function)),
		"copy":     load(b, runtime, copyModel(b, len(r.logits))),
	}
	for name, file := range r.peers {
		raw, err := os.ReadFile("../testdata/peers/" + file + ".onnx")
		if err != nil {
			b.Fatal(err)
		}
		sessions[name] = load(b, runtime, raw)
	}
	inputs := r.inputs()
	r.agree(b, sessions, inputs)
	fastest := map[string]time.Duration{}
	for b.Loop() {
		for name, session := range sessions {
			took := timed(b, session, inputsOf(name, inputs))
			if best, ran := fastest[name]; !ran || took < best {
				fastest[name] = took
			}
		}
	}
	b.ReportMetric(0, "ns/op") // of all together, which says nothing
	for name, took := range fastest {
		b.ReportMetric(took.Seconds()*1e3, name+"-ms")
	}
	b.ReportMetric(fastest["graph"].Seconds()/fastest["peer"].Seconds(), "graph/peer")
}

// timed is how long the second of two runs takes. During the first, the threads of
// the session that ran before still spin, waiting for more.
func timed(b *testing.B, session engine.Session, inputs map[string]engine.Tensor) time.Duration {
	var start time.Time
	for range 2 {
		start = time.Now()
		if _, err := session.Run(inputs); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start)
}

// agree proves that the contestants compute the same. The tolerance is for PyTorch's
// graphs, which take the logarithm of a sigmoid that has lost its digits.
func (r race) agree(b *testing.B, sessions map[string]engine.Session, inputs map[string]engine.Tensor) {
	b.Helper()
	want, err := sessions["graph"].Run(inputs)
	if err != nil {
		b.Fatal(err)
	}
	for name, session := range sessions {
		if name == "copy" {
			continue
		}
		got, err := session.Run(inputs)
		if err != nil {
			b.Fatal(err)
		}
		if err := engine.Diff(got["loss"], want["loss"], engine.Tolerance{Abs: 1e-4, Rel: 1e-2}); err != nil {
			b.Fatalf("%s: %v", name, err)
		}
	}
}

// inputs draws logits, and labels of the right kind for the loss. The logits are
// small enough for PyTorch's graphs: for large ones those give infinity.
func (r race) inputs() map[string]engine.Tensor {
	random := rand.New(rand.NewPCG(1, 2))
	count, _ := engine.Count(r.logits)
	x := make([]float32, count)
	for i := range x {
		x[i] = float32(random.NormFloat64())
	}
	in := map[string]engine.Tensor{"logits": engine.Must(r.logits, x)}
	if len(r.logits) == 1 {
		y := make([]float32, count)
		for i := range y {
			y[i] = float32(math.Round(0.7 * random.Float64()))
		}
		in["target"] = engine.Must(r.logits, y)
		return in
	}
	labels := make([]int64, count/r.logits[1])
	for i := range labels {
		labels[i] = random.Int64N(int64(r.logits[1]))
	}
	in["target"] = engine.Must(slices.Concat(r.logits[:1], r.logits[2:]), labels)
	return in
}

func inputsOf(name string, inputs map[string]engine.Tensor) map[string]engine.Tensor {
	if name == "copy" {
		return map[string]engine.Tensor{"logits": inputs["logits"]}
	}
	return inputs
}

func (r race) export(b *testing.B, form export.Form) []byte {
	b.Helper()
	loss, err := losses.Find(r.loss)
	if err != nil {
		b.Fatal(err)
	}
	params, err := loss.Params(r.set)
	if err != nil {
		b.Fatal(err)
	}
	model, err := export.Model(loss, params, export.Options{
		Form: form, Reduction: losses.None, Shapes: map[string]ops.Shape{"logits": dynamic(len(r.logits))},
	})
	if err != nil {
		b.Fatal(err)
	}
	return encoded(b, model)
}

// dynamic is a shape of which only the rank is known.
func dynamic(rank int) ops.Shape {
	shape := ops.Shape{}
	for _, name := range []string{"n", "c", "h", "w"}[:rank] {
		shape = append(shape, ops.Symbolic(name))
	}
	return shape
}

func copyModel(b *testing.B, rank int) []byte {
	b.Helper()
	builder := ops.NewBuilder(export.DefaultOpset, "", nil)
	out := builder.Output(builder.Identity(builder.Input("logits", ops.Float32, dynamic(rank))), "copy")
	fragment, err := builder.Finish(out)
	if err != nil {
		b.Fatal(err)
	}
	return encoded(b, &models.Model{Proto: &onnxpb.ModelProto{
		IrVersion:   proto.Int64(8),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: proto.Int64(export.DefaultOpset)}},
		Graph: &onnxpb.GraphProto{
			Name: proto.String("copy"), Node: fragment.Nodes,
			Input:  []*onnxpb.ValueInfoProto{ops.ValueInfo("logits", ops.Float32, dynamic(rank))},
			Output: []*onnxpb.ValueInfoProto{ops.ValueInfo("copy", ops.Float32, dynamic(rank))},
		},
	}})
}

func encoded(b *testing.B, model *models.Model) []byte {
	b.Helper()
	raw, err := model.Bytes()
	if err != nil {
		b.Fatal(err)
	}
	return raw
}

func load(b *testing.B, runtime engine.Engine, model []byte) engine.Session {
	b.Helper()
	session, err := runtime.Load(model)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := session.Close(); err != nil {
			b.Error(err)
		}
	})
	return session
}
