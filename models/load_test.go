package models_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/externaldata/externaldatatest"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/internal/testneeds"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
	"github.com/onnxloss/onnxloss/runtime/ort"
)

// onEngines runs a test on every engine.
func onEngines(t *testing.T, test func(*testing.T, engine.Engine)) {
	t.Run("interp", func(t *testing.T) { test(t, interp.New()) })
	t.Run("ort", func(t *testing.T) {
		native, err := ort.New(ort.Options{Threads: 1})
		if err != nil {
			testneeds.Lacking(t, testneeds.ORT, err)
		}
		test(t, native)
	})
}

// runOn loads a model and runs it once.
func runOn(t *testing.T, e engine.Engine, m *models.Model, inputs map[string]engine.Tensor) map[string]engine.Tensor {
	t.Helper()
	session, err := models.Load(e, m)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	outputs, err := session.Run(inputs)
	if err != nil {
		t.Fatal(err)
	}
	return outputs
}

// inFolder writes a model into a folder and opens it.
func inFolder(t *testing.T, folder string, model *onnxpb.ModelProto) *models.Model {
	t.Helper()
	return open(t, write(t, filepath.Join(folder, "model.onnx"), encode(t, model)))
}

// Trained models with their weights in several files, one of them in a subfolder, at
// odd offsets.
func TestLoadRunsATrainedModelAlikeWithItsWeightsInOtherFiles(t *testing.T) {
	for name, input := range map[string]engine.Tensor{
		"digits_cnn.onnx":    ramp([]int{2, 1, 8, 8}, -1, 0.01),
		"gan_generator.onnx": ramp([]int{2, 16}, -1, 0.01),
		"superres.onnx":      ramp([]int{2, 1, 4, 4}, 0, 0.02),
	} {
		t.Run(name, func(t *testing.T) {
			original := open(t, filepath.Join("..", "testdata", "models", name))
			inputs := map[string]engine.Tensor{original.Inputs()[0].Name: input}
			data, err := original.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			p, folder := new(onnxpb.ModelProto), t.TempDir()
			if err := proto.Unmarshal(data, p); err != nil {
				t.Fatal(err)
			}
			externaldatatest.MoveOut(t, p, folder, "a", "sub/b", "c.bin")
			moved := inFolder(t, folder, p)
			onEngines(t, func(t *testing.T, e engine.Engine) {
				want := runOn(t, e, original, inputs)
				got := runOn(t, e, moved, inputs)
				for name := range want {
					wantSame(t, name, got[name], want[name])
				}
			})
		})
	}
}

// everyPlace is y = x + a + b + c + d, where a and b are one range of a file in two
// shapes, c is an initializer of a subgraph and d of half type, and the tensor with
// the same numbers in the model.
func everyPlace() (external, whole *onnxpb.ModelProto) {
	a := initializer("a", []int{2}, float32(1), 2)
	b := initializer("b", []int{1, 2}, float32(1), 2)
	c := initializer("c", []int{2}, float32(4), 8)
	d := initializer("d", []int{2}, engine.Float16(0x3c00), engine.Float16(0x4000))
	condition := initializer("condition", nil, true)
	branch := &onnxpb.GraphProto{
		Name: proto.String("branch"), Initializer: []*onnxpb.TensorProto{c},
		Node:   []*onnxpb.NodeProto{node("Add s c -> z")},
		Output: []*onnxpb.ValueInfoProto{ops.ValueInfo("z", ops.Float32, nil)},
	}
	other := proto.CloneOf(branch)
	other.Name = proto.String("other")
	to := &onnxpb.AttributeProto{Name: proto.String("to"), Type: onnxpb.AttributeProto_INT.Enum(), I: proto.Int64(int64(ops.Float32))}
	p := network(
		node("Add x a -> r"), node("Add r b -> s"),
		node("If condition -> t", graphAttribute("then_branch", branch), graphAttribute("else_branch", other)),
		node("Cast d -> e", to), node("Add t e -> y"),
	)
	p.Graph.Initializer = []*onnxpb.TensorProto{a, b, d, condition}
	whole = proto.CloneOf(p)
	externaldatatest.Refer(a, "data", "3", "8")
	externaldatatest.Refer(b, "data", "3", "")
	externaldatatest.Refer(c, "./sub/../data", "11", "8")
	externaldatatest.Refer(d, "data", "19", "4")
	return p, whole
}

func TestLoadFindsExternalDataEverywhere(t *testing.T) {
	external, whole := everyPlace()
	folder := t.TempDir()
	var data []byte
	data = append(data, "abc"...)
	data = append(data, whole.Graph.Initializer[0].RawData...)
	data = append(data, whole.Graph.Node[2].Attribute[0].G.Initializer[0].RawData...)
	data = append(data, whole.Graph.Initializer[2].RawData...)
	write(t, filepath.Join(folder, "data"), data)
	if err := os.Mkdir(filepath.Join(folder, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	model := inFolder(t, folder, external)
	inputs := map[string]engine.Tensor{"x": ramp([]int{3, 2}, 0, 1)}
	onEngines(t, func(t *testing.T, e engine.Engine) {
		want := runOn(t, e, &models.Model{Proto: whole}, inputs)
		wantSame(t, "y", runOn(t, e, model, inputs)["y"], want["y"])
	})
}

func TestLoadRefusesExternalDataWithAReason(t *testing.T) {
	otherShape := apart("data", "4", "8")
	otherShape.Dims = []int64{3}
	for name, test := range map[string]struct {
		tensor *onnxpb.TensorProto
		says   []string
	}{
		"no such file":          {apart("none", "", ""), []string{`"none"`, "no such file"}},
		"outside":               {apart("../data", "4", "8"), []string{`"../data"`, "outside"}},
		"outside by a detour":   {apart("sub/../../data", "4", "8"), []string{"outside"}},
		"an absolute path":      {apart("/etc/passwd", "", ""), []string{`"/etc/passwd"`, "outside"}},
		"a link that leads out": {apart("link", "", ""), []string{`"link"`, "escapes"}},
		"cut off":               {apart("data", "5", "8"), []string{`"data"`, "8 bytes from byte 5 on, the file has 12", "cut off"}},
		"another shape":         {otherShape, []string{"float32[3] needs 12 bytes", "are 8"}},
	} {
		t.Run(name, func(t *testing.T) {
			model := folder(t, small(test.tensor))
			secret := write(t, filepath.Join(t.TempDir(), "secret"), make([]byte, 8))
			if err := os.Symlink(secret, filepath.Join(filepath.Dir(model.Path), "link")); err != nil {
				t.Skip("no symbolic links here: ", err)
			}
			onEngines(t, func(t *testing.T, e engine.Engine) {
				_, err := models.Load(e, model)
				wantError(t, err, append(test.says, `tensor "weight"`)...)
			})
		})
	}
}

// The folder of a model that is opened by its bare name is the working directory.
func TestLoadTakesRelativePaths(t *testing.T) {
	model := folder(t, network(node("Mul x weight -> y")))
	model.Proto.Graph.Initializer = append(model.Proto.Graph.Initializer, apart("sub/data", "4", "8"))
	folder := filepath.Dir(model.Path)
	write(t, model.Path, encode(t, model.Proto))
	inputs := map[string]engine.Tensor{"x": ramp([]int{1, 2}, 1, 1)}
	want := engine.Must([]int{1, 2}, []float32{1, 4})
	for _, test := range []struct{ workIn, path string }{
		{folder, "model.onnx"},
		{filepath.Dir(folder), filepath.Join(filepath.Base(folder), "model.onnx")},
		{filepath.Join(folder, "sub"), filepath.Join("..", "model.onnx")},
	} {
		t.Run(test.path, func(t *testing.T) {
			t.Chdir(test.workIn)
			opened := open(t, test.path)
			onEngines(t, func(t *testing.T, e engine.Engine) {
				wantSame(t, "y", runOn(t, e, opened, inputs)["y"], want)
			})
		})
	}
}

// An engine that looks in the working directory would find the file.
func TestLoadNeedsAFolderForExternalData(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "data", append([]byte("skip"), weight().RawData...))
	model, err := models.Parse(encode(t, small(apart("data", "4", "8"))))
	if err != nil {
		t.Fatal(err)
	}
	onEngines(t, func(t *testing.T, e engine.Engine) {
		_, err := models.Load(e, model)
		wantError(t, err, `tensor "weight"`, "no folder")
	})
}

// Running a model once. Its weights may be in files beside it.
func ExampleLoad() {
	model, err := models.Open("../testdata/models/superres.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	session, err := models.Load(interp.New(), model)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer session.Close()
	image, err := engine.New([]int{1, 1, 4, 4}, make([]float32, 16))
	if err != nil {
		fmt.Println(err)
		return
	}
	outputs, err := session.Run(map[string]engine.Tensor{"image": image})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(outputs["upscaled"])
	// Output: float32[1,1,8,8]
}
