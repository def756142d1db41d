package models_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/npy"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

var safetensorTypes = map[ops.DType]string{
	ops.Float32: "F32", ops.Float64: "F64", ops.Float16: "F16", ops.BFloat16: "BF16", ops.Int64: "I64", ops.Bool: "BOOL",
}

func encodeSafetensors(t testing.TB, tensors map[string]engine.Tensor) []byte {
	t.Helper()
	header := map[string]any{"__metadata__": map[string]string{"format": "pt"}}
	var data []byte
	for name, tensor := range tensors {
		bytes := tensor.Bytes()
		header[name] = map[string]any{
			"dtype": safetensorTypes[tensor.DType()], "shape": append([]int{}, tensor.Shape()...), "data_offsets": []int{len(data), len(data) + len(bytes)},
		}
		data = append(data, bytes...)
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	return append(raw(string(text), 0), data...)
}

func encodeZip(t testing.TB, tensors map[string]engine.Tensor, method uint16) []byte {
	t.Helper()
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for name, tensor := range tensors {
		path := filepath.Join(t.TempDir(), "array.npy")
		if err := npy.Write(path, tensor); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		entry, err := w.CreateHeader(&zip.FileHeader{Name: name + ".npy", Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := entry.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

func openWeights(t testing.TB, data []byte) *models.Weights {
	t.Helper()
	path := filepath.Join(t.TempDir(), "weights")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	w, err := models.OpenWeights(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func TestWeightsAreWhatWasWritten(t *testing.T) {
	half, err := engine.FromFloat64s(ops.Float16, []int{2}, []float64{0.5, -3})
	if err != nil {
		t.Fatal(err)
	}
	tensors := map[string]engine.Tensor{
		"features.0.weight": ramp([]int{4, 3, 2, 2}, -1, 0.25),
		"scalar":            engine.Scalar(float64(7)),
		"empty":             engine.Must([]int{0, 3}, []float32{}),
		"half":              half,
		"counts":            engine.Must([]int{3}, []int64{1, -2, 3}),
		"mask":              engine.Must([]int{2}, []bool{true, false}),
	}
	brain, err := engine.FromFloat64s(ops.BFloat16, []int{1, 2}, []float64{0.5, -3})
	if err != nil {
		t.Fatal(err)
	}
	more := maps.Clone(tensors)
	more["brain"] = brain
	for format, test := range map[string]struct {
		data []byte
		want map[string]engine.Tensor
	}{
		"safetensors":    {encodeSafetensors(t, more), more},
		"npz":            {encodeZip(t, tensors, zip.Store), tensors},
		"npz compressed": {encodeZip(t, tensors, zip.Deflate), tensors},
	} {
		t.Run(format, func(t *testing.T) {
			w := openWeights(t, test.data)
			if got, want := w.Names(), slices.Sorted(maps.Keys(test.want)); !slices.Equal(got, want) {
				t.Errorf("names are %v, want %v", got, want)
			}
			for name, want := range test.want {
				got, err := w.Tensor(name)
				if err != nil {
					t.Fatal(err)
				}
				if got.String() != want.String() || !bytes.Equal(got.Bytes(), want.Bytes()) {
					t.Errorf("%s is %s, want %s", name, got, want)
				}
			}
			_, err := w.Tensor("other")
			wantError(t, err, `models: weights: there is no tensor "other"`)
		})
	}
}

// raw is a safetensors file by its header.
func raw(header string, data int) []byte {
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), make([]byte, data)...)
}

func TestOpenWeightsRefusesWithAReason(t *testing.T) {
	var checkpoint bytes.Buffer
	w := zip.NewWriter(&checkpoint)
	for _, name := range []string{"archive/data.pkl", "archive/data/0"} {
		if _, err := w.Create(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		data []byte
		says string
	}{
		"empty":            {nil, "it is empty"},
		"text":             {[]byte("hello, world"), "neither .safetensors nor .npz; write it with"},
		"a pickle":         {[]byte("\x80\x04\x95\x10\x00\x00\x00"), "looks like a Python pickle"},
		"one array":        {[]byte("\x93NUMPY\x01\x00v\x00{'descr'"), "looks like a NumPy array"},
		"a checkpoint":     {checkpoint.Bytes(), "a PyTorch checkpoint; save its state_dict with safetensors"},
		"an empty archive": {encodeZip(t, nil, zip.Store), "without any .npy file"},
		"half an archive":  {encodeZip(t, map[string]engine.Tensor{"a": ramp([]int{9}, 0, 1)}, zip.Store)[:60], "zip"},
		"cut off":          {raw("{}", 0)[:9], "its header is 2 bytes long, the file 9; is it cut off?"},
		"no JSON":          {raw("{]", 0), "its header: "},
		"an element type":  {raw(`{"a":{"dtype":"F7","shape":[1],"data_offsets":[0,1]}}`, 1), `"F7"`},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "weights")
			if err := os.WriteFile(path, test.data, 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := models.OpenWeights(path)
			wantError(t, err, "models: weights", path, test.says)
		})
	}
	_, err := models.OpenWeights(t.TempDir())
	wantError(t, err, "not an ordinary file")
	_, err = models.OpenWeights(filepath.Join(t.TempDir(), "none"))
	wantError(t, err, "no such file")
}

func TestWeightsRefuseDamagedTensors(t *testing.T) {
	tensor := func(shape, offsets string) string {
		return fmt.Sprintf(`{"a":{"dtype":"F32","shape":%s,"data_offsets":%s}}`, shape, offsets)
	}
	for name, test := range map[string]struct {
		header string
		says   string
	}{
		"beyond the end":  {tensor("[3]", "[0,12]"), "bytes 0 to 12 of 8"},
		"backwards":       {tensor("[1]", "[8,4]"), "bytes 8 to 4 of 8"},
		"another length":  {tensor("[3]", "[0,8]"), "float32[3] needs 12 bytes, the file has 8"},
		"a huge shape":    {tensor("[4611686018427387904,4]", "[0,8]"), "too many elements"},
		"a huger shape":   {tensor("[18446744073709551615]", "[0,8]"), "not one that a tensor can have"},
		"a huge position": {tensor("[2]", "[18446744073709551607,18446744073709551615]"), "of 8"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := openWeights(t, raw(test.header, 8)).Tensor("a")
			wantError(t, err, `models: weights: tensor "a": `, test.says)
		})
	}
	broken := encodeZip(t, map[string]engine.Tensor{"a": ramp([]int{9}, 0, 1)}, zip.Store)
	copy(broken[100:], "zzzz") // the checksum is no longer right
	_, err := openWeights(t, broken).Tensor("a")
	wantError(t, err, `models: weights: tensor "a": `)
}

func FuzzWeights(f *testing.F) {
	tensors := map[string]engine.Tensor{"a": ramp([]int{2, 3}, 0, 1), "b": engine.Scalar(int64(1))}
	for _, data := range [][]byte{encodeSafetensors(f, tensors), encodeZip(f, tensors, zip.Store), encodeZip(f, tensors, zip.Deflate), raw("{}", 0)} {
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	path := filepath.Join(f.TempDir(), "weights")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		w, err := models.OpenWeights(path)
		if err != nil {
			return
		}
		defer w.Close()
		for _, name := range w.Names() {
			tensor, err := w.Tensor(name)
			if err != nil {
				continue
			}
			// Deflate packs at most 1032 bytes into one.
			if bytes := tensor.Len() * tensor.DType().Size(); bytes > 1032*len(data) {
				t.Fatalf("%d bytes of data gave a tensor of %d", len(data), bytes)
			}
		}
	})
}

// vggLayers are the convolutions by torchvision's and by the paper's name, with
// their channels.
func vggLayers(depth int) []struct {
	module, layer string
	out, in       int
} {
	configuration := map[int]string{
		16: "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
		19: "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
	}[depth]
	var layers []struct {
		module, layer string
		out, in       int
	}
	module, stage, number, in := 0, 1, 1, 3
	for part := range strings.FieldsSeq(configuration) {
		if part == "M" {
			module, stage, number = module+1, stage+1, 1
			continue
		}
		var out int
		fmt.Sscan(part, &out)
		layers = append(layers, struct {
			module, layer string
			out, in       int
		}{fmt.Sprintf("features.%d", module), fmt.Sprintf("conv%d_%d", stage, number), out, in})
		module, number, in = module+2, number+1, out
	}
	return layers
}

// vggWeights has for each convolution a kernel that passes the first channel on, and
// adds a bias that tells the convolutions apart.
func vggWeights(depth int, byLayer bool) map[string]engine.Tensor {
	tensors := map[string]engine.Tensor{}
	for i, l := range vggLayers(depth) {
		kernel := make([]float32, l.out*l.in*9)
		kernel[4] = 1
		bias := make([]float32, l.out)
		bias[0], bias[1] = float32(int(1)<<i), -1
		name := l.module
		if byLayer {
			name = l.layer
		}
		tensors[name+".weight"] = engine.Must([]int{l.out, l.in, 3, 3}, kernel)
		tensors[name+".bias"] = engine.Must([]int{l.out}, bias)
	}
	return tensors
}

func TestVGGIsThePapersNetwork(t *testing.T) {
	for _, test := range []struct {
		depth   int
		byLayer bool
	}{{16, false}, {19, true}} {
		t.Run(fmt.Sprint(test.depth), func(t *testing.T) {
			if testing.Short() && test.depth > 16 {
				t.Skip("these weights are large")
			}
			m, err := models.VGG(test.depth, openWeights(t, encodeSafetensors(t, vggWeights(test.depth, test.byLayer))), 0)
			if err != nil {
				t.Fatal(err)
			}
			layers, err := m.Layers()
			if err != nil {
				t.Fatal(err)
			}
			if got, want := describe(layers), vggDescription(test.depth); got != want {
				t.Errorf("layers are:\n%s\nwant:\n%s", got, want)
			}
			if got := m.Opset(); got != models.VGGOpset {
				t.Errorf("the opset is %d", got)
			}
			wantPassedOn(t, m, test.depth)
		})
	}
}

// vggDescription is what describe gives of a VGG's layers.
func vggDescription(depth int) string {
	var lines []string
	last := "1"
	space := "H,W"
	for _, l := range vggLayers(depth) {
		number := strings.TrimPrefix(l.layer, "conv")
		if !strings.HasPrefix(number, last) {
			lines = append(lines, fmt.Sprintf("MaxPool pool%s float32 [N,%d,?,?]", last, l.in))
			last, space = number[:1], "?,?"
		}
		lines = append(lines,
			fmt.Sprintf("Conv %s float32 [N,%d,%s]", l.layer, l.out, space),
			fmt.Sprintf("Relu relu%s float32 [N,%d,%s]", number, l.out, space))
	}
	return strings.Join(append(lines, "MaxPool pool5 float32 [N,512,?,?]"), "\n")
}

// wantPassedOn proves that each convolution has its own weights, in their order, and
// that the first channel's values go through, as the kernels say.
func wantPassedOn(t *testing.T, m *models.Model, depth int) {
	t.Helper()
	stages := cut(t, m, "relu1_1", "relu1_2", "relu2_1", "relu2_2", "pool2")
	image := ramp([]int{1, 3, 4, 4}, 1, 1)
	outputs := run(t, stages, map[string]engine.Tensor{"image": image})
	for name, want := range map[string][]float32{
		"relu1_1": {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17},
		"relu1_2": {4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19},
		"relu2_1": {13, 15, 21, 23},
		"relu2_2": {21, 23, 29, 31},
		"pool2":   {31},
	} {
		got := engine.Data[float32](outputs[name])
		if !slices.Equal(got[:len(want)], want) {
			t.Errorf("the first channel of %s is %v, want %v", name, got[:len(want)], want)
		}
		if got := got[len(want)]; got != 0 {
			t.Errorf("%s is %v in the second channel, where the bias is negative", name, got)
		}
	}
	for i, l := range vggLayers(depth) {
		bias := m.Proto.Graph.Initializer[2*i+1]
		if got := binary.LittleEndian.Uint32(bias.RawData); bias.GetName() != l.layer+".bias" || got != floatBits(int(1)<<i) {
			t.Errorf("initializer %d is %s of another layer", 2*i+1, bias.GetName())
		}
	}
}

func floatBits(n int) uint32 {
	return binary.LittleEndian.Uint32(engine.Scalar(float32(n)).Bytes())
}

func TestVGGTakesTheWeightsElementType(t *testing.T) {
	if testing.Short() {
		t.Skip("these weights are large")
	}
	in := func(dtypes ...ops.DType) map[string]engine.Tensor {
		tensors := vggWeights(16, false)
		for i, name := range slices.Sorted(maps.Keys(tensors)) {
			dtype := dtypes[i%len(dtypes)]
			zeros, err := engine.Zeros(dtype, tensors[name].Shape())
			if err != nil {
				t.Fatal(err)
			}
			tensors[name] = zeros
		}
		return tensors
	}
	for name, test := range map[string]struct {
		dtypes []ops.DType
		opset  int
		want   ops.DType
		ir     int64
	}{
		"float16":              {[]ops.DType{ops.Float16}, 9, ops.Float16, 4},
		"bfloat16":             {[]ops.DType{ops.BFloat16}, 22, ops.BFloat16, 10},
		"bfloat16, old opset":  {[]ops.DType{ops.BFloat16}, 21, ops.Float32, 10},
		"both halves, mixed":   {[]ops.DType{ops.BFloat16, ops.Float16}, 26, ops.Float32, 13},
		"float32 and a double": {[]ops.DType{ops.Float32, ops.Float32, ops.Float32, ops.Float64}, 17, ops.Float64, 8},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := models.VGG(16, openWeights(t, encodeSafetensors(t, in(test.dtypes...))), test.opset)
			if err != nil {
				t.Fatal(err)
			}
			for _, tensor := range slices.Concat(m.Inputs(), m.Outputs()) {
				if tensor.DType != test.want {
					t.Errorf("%s is %s, want %s", tensor.Name, tensor.DType, test.want)
				}
			}
			for _, w := range m.Proto.Graph.Initializer {
				if got := ops.DType(w.GetDataType()); got != test.want {
					t.Errorf("%s is %s, want %s", w.GetName(), got, test.want)
				}
			}
			data, err := m.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			if err := export.Check(data); err != nil || m.Proto.GetIrVersion() != test.ir {
				t.Errorf("the IR version is %d, want %d; %v", m.Proto.GetIrVersion(), test.ir, err)
			}
		})
	}
}

func TestVGGRefusesWithAReason(t *testing.T) {
	with := func(name string, tensor engine.Tensor) map[string]engine.Tensor {
		tensors := map[string]engine.Tensor{
			"features.0.weight": ramp([]int{64, 3, 3, 3}, 0, 1), "features.0.bias": ramp([]int{64}, 0, 1),
			"classifier.0.bias": ramp([]int{1}, 0, 1),
		}
		tensors[name] = tensor
		return tensors
	}
	bias := ramp([]int{64}, 0, 1)
	for name, test := range map[string]struct {
		depth, opset int
		weights      map[string]engine.Tensor
		says         string
	}{
		"another depth":  {11, 0, with("a", bias), "models: vgg11: only depths 16 and 19 are built"},
		"an old opset":   {16, 8, with("a", bias), "models: vgg16: opset 8 is not supported; use 9 to 26"},
		"a future opset": {16, 99, with("a", bias), "opset 99"},
		"missing":        {19, 0, with("a", bias), `models: vgg19: weights "features.2.weight" are missing; the file has a, classifier.0.bias, features.0.bias, features.0.weight`},
		"misshapen":      {16, 0, with("features.0.bias", ramp([]int{128}, 0, 1)), `models: vgg16: weights "features.0.bias" have shape [128], expected [64]`},
		"whole numbers":  {16, 0, with("features.0.bias", engine.Must([]int{1}, []int64{1})), `weights "features.0.bias" are int64, expected floating-point`},
		"batch norm":     {16, 0, with("features.1.running_mean", bias), "the variant with batch normalisation"},
		"by layer":       {16, 0, with("conv1_1.weight", ramp([]int{64, 3, 3, 3}, 0, 1)), `weights "conv1_1.bias" are missing`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := models.VGG(test.depth, openWeights(t, encodeZip(t, test.weights, zip.Store)), test.opset)
			wantError(t, err, test.says)
		})
	}
}
