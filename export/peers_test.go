package export_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/nodetests"
	"github.com/onnxloss/onnxloss/internal/testneeds"
	"github.com/onnxloss/onnxloss/models"
)

// The scripts read files from standard input, each after its length in 4 bytes, and
// answer each with a line: "ok", or what is wrong.
const (
	answerEach = `
import struct, sys
stdin = sys.stdin.buffer
while head := stdin.read(4):
    data = stdin.read(struct.unpack(">I", head)[0])
    try:
        accept(data)
        print("ok")
    except Exception as e:
        print(repr(str(e)))
`
	onnxChecker = `
import onnx
def accept(data):
    onnx.checker.check_model(onnx.load_model_from_string(data), full_check=True)
` + answerEach
	onnxRuntime = `
import onnxruntime
onnxruntime.set_default_logger_severity(4)
def accept(data):
    onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
` + answerEach
)

// ask gives a script's answers for files.
func ask(t *testing.T, command []string, script string, files [][]byte) []string {
	t.Helper()
	var input bytes.Buffer
	for _, file := range files {
		input.Write(binary.BigEndian.AppendUint32(nil, uint32(len(file))))
		input.Write(file)
	}
	run := exec.Command(command[0], append(command[1:], "-c", script)...)
	run.Stdin = &input
	output, err := run.Output()
	answers := strings.Split(strings.TrimSuffix(string(output), "\n"), "\n")
	if err != nil || len(answers) != len(files) {
		t.Fatalf("%d answers for %d files, %v", len(answers), len(files), err)
	}
	return answers
}

// peerHosts are the models that peers are shown, and the tensor that a loss is
// bound to in each.
func peerHosts(t *testing.T) (hosts []*host, predictions []string) {
	t.Helper()
	add := func(h *host, prediction string) {
		hosts, predictions = append(hosts, h), append(predictions, prediction)
	}
	for _, n := range nastyModels(t) {
		add(n.host(t), n.prediction())
	}
	small := trainedHosts(t)
	light, err := filepath.Glob("../../shared/models/light/*.onnx")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range light {
		small = append(small, fileHost(t, file))
	}
	for _, h := range small {
		model, err := models.Parse(h.file)
		if err != nil {
			t.Fatal(err)
		}
		add(h, model.Outputs()[0].Name)
		layers, err := model.Layers()
		if err != nil {
			t.Fatal(err)
		}
		if len(layers) > 50 { // the light models take long to load
			continue
		}
		for i := 0; i < len(layers); i += 1 + len(layers)/8 { // what is inside is computed apart
			add(h, layers[i].Name)
		}
	}
	for _, j := range joinables(t) {
		for _, name := range j.changes {
			add(j.host(t), name)
		}
	}
	if testing.Short() {
		return hosts, predictions
	}
	if _, err := os.Stat("../../shared/onnx-node-tests.tar.gz"); err == nil {
		for _, c := range nodetests.Cases(t) {
			if out := floatOutput(c.Graph); out != "" && notAttached[c.Name] == "" {
				add(newHost(c.Name, c.Model), out)
			}
		}
	}
	return hosts, predictions
}

// lackedByPeers is what a peer does not have that a loss needs, though it takes the
// model.
var lackedByPeers = map[string]string{
	// ONNX Runtime 1.23, which is of opset 23, takes newer models whose operators have not changed.
	"onnxruntime": "Could not find an implementation for Size(2",
}

// What a peer takes without a loss it must take with one.
func TestPeersTakeWhatAttachMakes(t *testing.T) {
	for module, script := range map[string]string{"onnx": onnxChecker, "onnxruntime": onnxRuntime} {
		t.Run(module, func(t *testing.T) {
			command := testneeds.PythonWith(t, module)
			hosts, predictions := peerHosts(t)
			var files [][]byte
			var names []string
			for i, h := range hosts {
				files, names = append(files, h.file), append(names, h.name)
				for _, form := range export.Forms() {
					for _, onlyLoss := range []bool{false, true} {
						o := squaredError(predictions[i], form)
						o.OnlyLoss = onlyLoss
						attached, _, err := attachTo(h.file, o)
						if err != nil {
							t.Fatal(h.name, ": ", err)
						}
						files, names = append(files, attached), append(names, fmt.Sprintf("%s, %s, only loss %t", h.name, form, onlyLoss))
					}
				}
			}
			answers := ask(t, command, script, files)
			taken, lacked, each := 0, 0, len(files)/len(hosts)
			for i := 0; i < len(files); i += each {
				if answers[i] != "ok" {
					t.Logf("not taken without a loss either: %s: %.120s", names[i], answers[i])
					continue
				}
				taken++
				for k := i + 1; k < i+each; k++ {
					switch lacks := lackedByPeers[module]; {
					case lacks != "" && strings.Contains(answers[k], lacks):
						lacked++
					case answers[k] != "ok":
						t.Errorf("%s: %.600s", names[k], answers[k])
					}
				}
			}
			t.Logf("of %d models %d are taken, and with a loss in %d ways but for %d files", len(hosts), taken, each-1, lacked)
			if taken == 0 {
				t.Error("no model is taken")
			}
		})
	}
}
