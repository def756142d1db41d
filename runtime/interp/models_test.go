package interp_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/nodetests"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
)

func loadFile(t *testing.T, name string) engine.Session {
	t.Helper()
	raw, err := os.ReadFile(nodetests.Shared(t, name))
	if err != nil {
		t.Fatal(err)
	}
	s, err := interp.New().Load(raw)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return s
}

// numpyData reads the elements of a version 1 .npy file.
func numpyData(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(nodetests.Shared(t, name))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(raw, []byte("\x93NUMPY\x01")) {
		t.Fatalf("%s is no .npy file of version 1", name)
	}
	return raw[10+int(binary.LittleEndian.Uint16(raw[8:])):]
}

func numpyTensor(t *testing.T, dtype ops.DType, shape []int, name string) engine.Tensor {
	t.Helper()
	tensor, err := engine.FromBytes(dtype, shape, numpyData(t, name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return tensor
}

func run(t *testing.T, s engine.Session, inputs map[string]engine.Tensor) map[string]engine.Tensor {
	t.Helper()
	outputs, err := s.Run(inputs)
	if err != nil {
		t.Fatal(err)
	}
	return outputs
}

func TestTrainedModelsRun(t *testing.T) {
	for _, c := range []struct {
		model, input, data string
		shape              []int
		outputs            map[string]string
	}{
		{"digits_cnn", "image", "digits_images", []int{256, 1, 8, 8}, map[string]string{"logits": "float32[256,10]"}},
		{"unet", "image", "unet_images", []int{64, 1, 16, 16}, map[string]string{"logits": "float32[64,2,16,16]"}},
		{"gan_discriminator", "image", "digits_images", []int{256, 1, 8, 8}, map[string]string{"logit": "float32[256,1]"}},
		{"gan_generator", "z", "gan_z", []int{64, 16}, map[string]string{"image": "float32[64,1,8,8]"}},
		{"superres", "image", "superres_low", []int{64, 1, 4, 4}, map[string]string{"upscaled": "float32[64,1,8,8]"}},
		{"detector", "image", "detector_images", []int{64, 1, 24, 24}, map[string]string{"class_logits": "float32[64,9,10]", "boxes": "float32[64,9,4]"}},
	} {
		t.Run(c.model, func(t *testing.T) {
			s := loadFile(t, "models/"+c.model+".onnx")
			outputs := run(t, s, map[string]engine.Tensor{c.input: numpyTensor(t, ops.Float32, c.shape, "models/"+c.data+".npy")})
			for name, want := range c.outputs {
				if got := outputs[name].String(); got != want {
					t.Errorf("output %s is %s, want %s", name, got, want)
				}
				for i, x := range outputs[name].Float64s() {
					if !(math.Abs(x) < 1e4) {
						t.Fatalf("output %s has %v at %d", name, x, i)
					}
				}
			}
		})
	}
}

func TestDigitsCrossEntropyIsThatOfPyTorch(t *testing.T) {
	s := loadFile(t, "models/digits_cnn.onnx")
	logits := run(t, s, map[string]engine.Tensor{
		"image": numpyTensor(t, ops.Float32, []int{256, 1, 8, 8}, "models/digits_images.npy"),
	})["logits"]
	loss := apply(t, "SoftmaxCrossEntropyLoss", 17, []*onnxpb.AttributeProto{text("reduction", "none")},
		logits, numpyTensor(t, ops.Int64, []int{256}, "models/digits_labels.npy"))
	want := numpyTensor(t, ops.Float32, []int{256}, "models/digits_cnn_ce_none.npy")
	if err := engine.Diff(loss, want, engine.Tolerance{Abs: 2e-5, Rel: 2e-5}); err != nil {
		t.Error(err)
	}
}

func TestSuperResolutionIsBetterThanNearestPixels(t *testing.T) {
	s := loadFile(t, "models/superres.onnx")
	low := numpyTensor(t, ops.Float32, []int{64, 1, 4, 4}, "models/superres_low.npy")
	high := numpyTensor(t, ops.Float32, []int{64, 1, 8, 8}, "models/superres_high.npy").Float64s()
	off := func(pixels engine.Tensor) (total float64) {
		for i, x := range pixels.Float64s() {
			total += (x - high[i]) * (x - high[i])
		}
		return total
	}
	nearest := apply(t, "Resize", 13, nil, low, engine.Tensor{}, vector(1, 1, 2, 2))
	upscaled := run(t, s, map[string]engine.Tensor{"image": low})["upscaled"]
	if !(off(upscaled) < off(nearest)) {
		t.Errorf("the squared error is %v, that of the nearest pixels %v", off(upscaled), off(nearest))
	}
}

// The topologies are real, and as large as those; the weights are constants.
func TestLightModelsGiveTheExpectedOutput(t *testing.T) {
	if testing.Short() {
		t.Skip("these take some seconds")
	}
	for _, name := range []string{"resnet50", "shufflenet", "squeezenet", "vgg19"} {
		t.Run(name, func(t *testing.T) {
			path := "models/light/light_" + name
			s := loadFile(t, path+".onnx")
			raw, err := os.ReadFile(nodetests.Shared(t, path+"_output_0.pb"))
			if err != nil {
				t.Fatal(err)
			}
			var p onnxpb.TensorProto
			if err := proto.Unmarshal(raw, &p); err != nil {
				t.Fatal(err)
			}
			want, err := engine.FromProto(&p)
			if err != nil {
				t.Fatal(err)
			}
			outputs := run(t, s, lightInputs(t, path+".onnx"))
			if len(outputs) != 1 {
				t.Fatalf("got %d outputs, want one", len(outputs))
			}
			for _, got := range outputs {
				if err := engine.Diff(got, want, engine.Tolerance{Abs: 1e-6, Rel: 1e-4}); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// lightInputs makes what the models' expected outputs were made from: for every
// input, rising numbers over the number of elements.
func lightInputs(t *testing.T, name string) map[string]engine.Tensor {
	t.Helper()
	raw, err := os.ReadFile(nodetests.Shared(t, name))
	if err != nil {
		t.Fatal(err)
	}
	var m onnxpb.ModelProto
	if err := proto.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	inputs := map[string]engine.Tensor{}
	for _, info := range m.GetGraph().GetInput() {
		var shape []int
		for _, d := range info.GetType().GetTensorType().GetShape().GetDim() {
			shape = append(shape, int(d.GetDimValue()))
		}
		if !strings.Contains(info.GetName(), "data") {
			continue
		}
		x, err := engine.Zeros(ops.Float32, shape)
		if err != nil {
			t.Fatal(err)
		}
		data := engine.Data[float32](x)
		for i := range data {
			data[i] = float32(i) / float32(len(data))
		}
		inputs[info.GetName()] = x
	}
	return inputs
}
