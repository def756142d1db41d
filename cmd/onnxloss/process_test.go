package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
)

// peakFile, in the environment, makes of the test's program the command, which writes
// its peak of memory to the file that is named there.
const peakFile = "ONNXLOSS_TEST_PEAK_FILE"

func TestMain(m *testing.M) {
	path := os.Getenv(peakFile)
	if path == "" {
		os.Exit(m.Run())
	}
	signal.Ignore(syscall.Signal(25)) // SIGXFSZ: a file that may not grow is an error like a full disk
	code := interruptible()
	// Unlike the system's own figure, which starts with the parent's, this is of the process alone.
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		_, after, _ := strings.Cut(string(status), "VmHWM:")
		err = os.WriteFile(path, []byte(strings.Fields(after)[0]), 0o600)
		if err != nil {
			panic(err)
		}
	}
	os.Exit(code)
}

// process is the command in a process of its own.
type process struct {
	*exec.Cmd
	stderr bytes.Buffer
	peak   string
}

func newProcess(t testing.TB, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0], args...), peak: filepath.Join(t.TempDir(), "peak")}
	p.Env = append(os.Environ(), peakFile+"="+p.peak)
	p.Stderr = &p.stderr
	return p
}

func (p *process) mustHold(t testing.TB) {
	t.Helper()
	if err := p.Run(); err != nil {
		t.Fatalf("onnxloss %s: %v, stderr %q", strings.Join(p.Args[1:], " "), err, p.stderr.String())
	}
}

// peakBytes is the most memory that the process had, where the system tells.
func (p *process) peakBytes(t testing.TB) (n int64, known bool) {
	t.Helper()
	text, err := os.ReadFile(p.peak)
	if errors.Is(err, os.ErrNotExist) {
		return 0, false
	}
	if err != nil {
		t.Fatal(err)
	}
	if n, err = strconv.ParseInt(string(text), 10, 64); err != nil {
		t.Fatal(err)
	}
	return n << 10, true
}

// perceptron is x·w + b over and over, with random float32 weights of width x width.
type perceptron struct {
	layers, width int
	external      bool // the weights are in weights.bin, beside the model
	sparse        bool // the weights are zeros, which take no room on the disk
}

const weightsFile = "weights.bin"

func (p perceptron) bytes() int64 { return int64(p.layers) * int64(p.width+1) * int64(p.width) * 4 }

// write makes the model's file without having its weights in memory.
func (p perceptron) write(t testing.TB, path string) {
	t.Helper()
	model := createFile(t, path)
	weights := model
	if p.external {
		weights = createFile(t, filepath.Join(filepath.Dir(path), weightsFile))
	}
	random, buffer := rand.NewChaCha8([32]byte{}), make([]byte, 1<<20)
	for _, piece := range p.pieces() {
		if _, err := model.Write(piece.message); err != nil {
			t.Fatal(err)
		}
		var err error
		if p.sparse {
			_, err = weights.Seek(piece.numbers, io.SeekCurrent)
		} else {
			_, err = io.CopyBuffer(struct{ io.Writer }{weights}, io.LimitReader(random, piece.numbers), buffer)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if p.sparse {
		end, err := weights.Seek(0, io.SeekCurrent)
		if err := errors.Join(err, weights.Truncate(end)); err != nil {
			t.Fatal(err)
		}
	}
	if err := model.Close(); err != nil {
		t.Fatal(err)
	}
	if p.external {
		if err := weights.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func createFile(t testing.TB, path string) *os.File {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// piece is a part of the model's message, and how many bytes of numbers follow.
type piece struct {
	message []byte
	numbers int64
}

func (p perceptron) pieces() []piece {
	graph := &onnxpb.GraphProto{Name: proto.String("perceptron")}
	shape := ops.Shape{ops.Symbolic("N"), ops.Fixed(p.width)}
	graph.Input = []*onnxpb.ValueInfoProto{ops.ValueInfo("0", ops.Float32, shape)}
	graph.Output = []*onnxpb.ValueInfoProto{ops.ValueInfo(fmt.Sprint(p.layers), ops.Float32, shape)}
	for i := range p.layers {
		w, b, m := fmt.Sprint("w", i), fmt.Sprint("b", i), fmt.Sprint("m", i)
		graph.Node = append(graph.Node,
			&onnxpb.NodeProto{OpType: proto.String("MatMul"), Input: []string{fmt.Sprint(i), w}, Output: []string{m}},
			&onnxpb.NodeProto{OpType: proto.String("Add"), Input: []string{m, b}, Output: []string{fmt.Sprint(i + 1)}})
	}
	pieces := []piece{{message: must(proto.Marshal(graph))}}
	var offset int64
	for i := range p.layers {
		pieces = append(pieces, p.tensor(fmt.Sprint("w", i), &offset, p.width, p.width), p.tensor(fmt.Sprint("b", i), &offset, p.width))
	}
	var size int64
	for _, piece := range pieces {
		size += int64(len(piece.message))
		if !p.external {
			size += piece.numbers
		}
	}
	model := must(proto.Marshal(&onnxpb.ModelProto{
		IrVersion:   proto.Int64(8),
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(17)}},
	}))
	model = protowire.AppendVarint(protowire.AppendTag(model, 7, protowire.BytesType), uint64(size))
	return append([]piece{{message: model}}, pieces...)
}

// tensor is an initializer of the graph, up to its numbers.
func (p perceptron) tensor(name string, offset *int64, dims ...int) piece {
	t := &onnxpb.TensorProto{Name: &name, DataType: proto.Int32(int32(ops.Float32))}
	numbers := int64(4)
	for _, d := range dims {
		t.Dims = append(t.Dims, int64(d))
		numbers *= int64(d)
	}
	length := numbers
	if p.external {
		length = 0
		t.DataLocation = onnxpb.TensorProto_EXTERNAL.Enum()
		for _, entry := range [][2]string{{"location", weightsFile}, {"offset", fmt.Sprint(*offset)}, {"length", fmt.Sprint(numbers)}} {
			t.ExternalData = append(t.ExternalData, &onnxpb.StringStringEntryProto{Key: &entry[0], Value: &entry[1]})
		}
		*offset += numbers
	}
	message := must(proto.Marshal(t))
	if !p.external {
		message = protowire.AppendVarint(protowire.AppendTag(message, 9, protowire.BytesType), uint64(numbers))
	}
	header := protowire.AppendTag(nil, 5, protowire.BytesType)
	header = protowire.AppendVarint(header, uint64(len(message))+uint64(length))
	return piece{append(header, message...), numbers}
}

func must(data []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return data
}
