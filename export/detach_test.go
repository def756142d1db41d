package export_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
)

// trained lists the models that are here, and what a loss is bound to.
var trained = []struct{ file, output string }{
	{"digits_cnn", "logits"},
	{"unet", "logits"},
	{"gan_discriminator", "logit"},
	{"gan_generator", "image"},
	{"superres", "upscaled"},
	{"detector", "boxes"},
}

func openTrained(t *testing.T, name string) (*models.Model, []byte) {
	t.Helper()
	path := filepath.Join("../testdata/models", name+".onnx")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	model, err := models.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return model, data
}

func bytesOf(t *testing.T, model *models.Model) []byte {
	t.Helper()
	data, err := model.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestDetachGivesTheOriginalBack(t *testing.T) {
	loss, params := find(t, "mse", nil)
	options := map[string]export.AttachOptions{
		"graph":     {},
		"function":  {Options: export.Options{Form: export.Function}},
		"only loss": {OnlyLoss: true},
		"raised":    {Options: export.Options{Opset: 19, Form: export.Function}, OnlyLoss: true},
	}
	for _, host := range trained {
		for name, o := range options {
			t.Run(host.file+"/"+name, func(t *testing.T) {
				model, original := openTrained(t, host.file)
				o.Bind = map[string]string{"prediction": host.output}
				attached, err := export.Attach(model, loss, params, o)
				if err != nil {
					t.Fatal(err)
				}
				path := filepath.Join(t.TempDir(), "attached.onnx")
				if err := attached.Save(path); err != nil {
					t.Fatal(err)
				}
				opened, err := models.Open(path)
				if err != nil {
					t.Fatal(err)
				}
				for from, m := range map[string]*models.Model{"in memory": attached, "from the file": opened} {
					detached, err := export.Detach(m)
					if err != nil {
						t.Fatal(from, ": ", err)
					}
					if !bytes.Equal(bytesOf(t, detached), original) {
						t.Errorf("detached %s, the bytes differ", from)
					}
				}
			})
		}
	}
}

// Of the attached file, what was there before is there still, byte for byte.
func TestAttachTakesTheBytesOver(t *testing.T) {
	loss, params := find(t, "l1", nil)
	for _, host := range trained {
		t.Run(host.file, func(t *testing.T) {
			model, original := openTrained(t, host.file)
			attached, err := export.Attach(model, loss, params, export.AttachOptions{Bind: map[string]string{"prediction": host.output}})
			if err != nil {
				t.Fatal(err)
			}
			got := bytesOf(t, attached)
			whole, err := models.Parse(got)
			if err != nil {
				t.Fatal(err)
			}
			inMemory, err := models.Parse(original)
			if err != nil {
				t.Fatal(err)
			}
			longest := 0
			for _, w := range inMemory.Proto.Graph.Initializer {
				if !bytes.Contains(got, w.RawData) {
					t.Errorf("the numbers of %q are not there", w.GetName())
				}
				longest = max(longest, len(w.RawData))
			}
			if err := export.CheckModel(whole); err != nil || longest < 1024 {
				t.Errorf("longest tensor of %d bytes, %v", longest, err)
			}
		})
	}
}

func TestDetachAfterSeveralLossesAndAPerceptualLoss(t *testing.T) {
	host := hostModel(t, 17, output{"scores", ops.Float32, "N,3"})
	all, err := export.AttachAll(host, twoTerms(t), export.AllOptions{})
	if err != nil {
		t.Fatal(err)
	}
	images, _ := openTrained(t, "superres")
	perceptual, err := onDigits(t).Attach(images, "")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ attached, original *models.Model }{
		"several": {all, host}, "perceptual": {perceptual, images},
	} {
		t.Run(name, func(t *testing.T) {
			detached, err := export.Detach(test.attached)
			if err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(detached.Proto, test.original.Proto) {
				t.Errorf("got %v, want %v", detached.Proto, test.original.Proto)
			}
		})
	}
}

func TestDetachRefusesWhatItCannotBeSureOf(t *testing.T) {
	loss, params := find(t, "mse", nil)
	alone, err := export.Model(loss, params, export.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := export.Detach(alone); !errors.Is(err, export.ErrNotAttached) {
		t.Errorf("a loss alone: %v", err)
	}
	if _, err := export.Detach(hostModel(t, 17, output{"a", ops.Float32, "N"})); !errors.Is(err, export.ErrNoLoss) {
		t.Errorf("no loss: %v", err)
	}
	for name, test := range map[string]struct {
		change func(*onnxpb.ModelProto)
		says   string
	}{
		"a node behind the loss": {func(m *onnxpb.ModelProto) {
			m.Graph.Node = append(m.Graph.Node, &onnxpb.NodeProto{OpType: proto.String("Neg"), Input: []string{"a"}, Output: []string{"b"}})
		}, "has changed since"},
		"the loss is used": {func(m *onnxpb.ModelProto) {
			g := m.Graph
			g.Node = append([]*onnxpb.NodeProto{{OpType: proto.String("Neg"), Input: []string{"target"}, Output: []string{"b"}}}, g.Node...)
		}, `"target", which belongs to the loss, is used elsewhere`},
		"a further output": {func(m *onnxpb.ModelProto) {
			m.Graph.Output = append(m.Graph.Output, ops.ValueInfo("in_a", ops.Float32, nil))
		}, "has changed since"},
		"nodes taken out": {func(m *onnxpb.ModelProto) { m.Graph.Node = m.Graph.Node[:1] }, "elements of one kind were added"},
		"not JSON":        {func(m *onnxpb.ModelProto) { setMetadata(m, "onnxloss.added", "[") }, "onnxloss.added is not JSON"},
		"negative counts": {func(m *onnxpb.ModelProto) { setMetadata(m, "onnxloss.added", `{"nodes":-1}`) }, "has changed since"},
		"of an older version": {func(m *onnxpb.ModelProto) {
			m.MetadataProps = m.MetadataProps[:len(m.MetadataProps)-1]
		}, "the metadata do not say what was added"},
	} {
		t.Run(name, func(t *testing.T) {
			attached, err := export.Attach(hostModel(t, 17, output{"a", ops.Float32, "N"}), loss, params, export.AttachOptions{})
			if err != nil {
				t.Fatal(err)
			}
			test.change(attached.Proto)
			if _, err := export.Detach(attached); err == nil || !strings.HasPrefix(err.Error(), "export: detach: ") || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want one that says %q", err, test.says)
			}
		})
	}
}

func TestOnlyLossLeavesTheLossAsTheOnlyOutput(t *testing.T) {
	host := hostModel(t, 17, output{"a", ops.Float32, "N"}, output{"b", ops.Float32, "N"})
	attached, err := export.Attach(host, losses.MSE, nil, export.AttachOptions{Bind: map[string]string{"prediction": "b"}, OnlyLoss: true})
	if err != nil {
		t.Fatal(err)
	}
	if out := attached.Outputs(); len(out) != 1 || out[0].Name != "loss" {
		t.Errorf("outputs are %v", out)
	}
	if b, ok := attached.Tensor("b"); !ok || b.DType != ops.Float32 || len(b.Shape) != 1 {
		t.Errorf("b has lost its type: %v", b)
	}
	if err := export.CheckModel(attached); err != nil {
		t.Error(err)
	}
}

func TestAttachSaysWhichOpsetTheLossNeeds(t *testing.T) {
	loss, params := find(t, "softmax-cross-entropy", nil)
	host := hostModel(t, 11, output{"a", ops.BFloat16, "N,3"}) // which operators of opset 11 do not have
	_, err := export.Attach(host, loss, params, export.AttachOptions{})
	if err == nil || !strings.Contains(err.Error(), "the loss needs opset 13") {
		t.Fatalf("got %v", err)
	}
	raised, err := export.Attach(host, loss, params, export.AttachOptions{Options: export.Options{Opset: 13}})
	if err != nil {
		t.Fatal(err)
	}
	if got := raised.Opset(); got != 13 || host.Opset() != 11 {
		t.Errorf("opset %d, the original's is %d", got, host.Opset())
	}
	detached, err := export.Detach(raised)
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(detached.Proto, host.Proto) {
		t.Errorf("got %v, want %v", detached.Proto, host.Proto)
	}
}
