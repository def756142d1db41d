package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMistakesGetOneSentenceAndCodeTwo(t *testing.T) {
	workIn(t)
	mustHold(t, "export", "sigmoid-focal", "-o", "f.onnx")
	whole, err := os.ReadFile("f.onnx")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("cut.onnx", whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	writeSpec(t, "empty.yaml", "")
	writeSpec(t, "typo.yaml", "losses:\n- loss: mse\n  wieght: 2\n")
	writeSpec(t, "mse.yaml", "losses:\n- loss: mse\n")
	writeSpec(t, "unbound.yaml", "losses:\n- loss: mse\n- loss: l1\n  bind: {prediction: nothing}\n")
	mustHold(t, "export", "sigmoid-cross-entropy", "-o", "host.onnx", "--reduction", "none")
	stripMetadata(t, "host.onnx")
	tests := []struct{ name, args, want string }{
		{"unknown command", "exprot x", `did you mean "export"?`},
		{"command like nothing", "frobnicate", "onnxloss --help"},
		{"unknown flag", "export sigmoid-focal --redution sum -o a.onnx", "did you mean --reduction?"},
		{"unknown short flag", "export sigmoid-focal -q", "unknown flag -q"},
		{"flag without a value", "export sigmoid-focal -o", "argument"},
		{"missing argument", "describe", "LOSS is missing"},
		{"parameter without its flag", "export sigmoid-focal gamma=2 -o a.onnx", "behind its flag"},
		{"too many arguments", "describe sigmoid-focal more", `unexpected argument "more"`},
		{"unknown loss", "describe sigmoid-fcal", `did you mean "sigmoid-focal"?`},
		{"no output", "export sigmoid-focal", "-o FILE is missing"},
		{"unknown parameter", "export sigmoid-focal -o a.onnx --set gama=2", `did you mean "gamma"?`},
		{"parameter out of range", "export sigmoid-focal -o a.onnx --set gamma=-1", "gamma must be >= 0"},
		{"parameter that is no number", "export sigmoid-focal -o a.onnx --set gamma=two", "must be a number"},
		{"parameter without a value", "export sigmoid-focal -o a.onnx --set gamma", "name=value"},
		{"parameter twice", "export sigmoid-focal -o a.onnx --set gamma=1 --set gamma=2", "gamma twice"},
		{"unknown form", "export sigmoid-focal -o a.onnx --form grph", "unknown form"},
		{"unknown dtype", "export sigmoid-focal -o a.onnx --dtype float", "unknown element type"},
		{"integer dtype", "export sigmoid-focal -o a.onnx --dtype int64", "cannot be of type int64"},
		{"unknown reduction", "export sigmoid-focal -o a.onnx --reduction avg", "unknown reduction"},
		{"opset too old", "export sigmoid-focal -o a.onnx --opset 3", "opset 3 is not supported"},
		{"opset zero", "export sigmoid-focal -o a.onnx --opset 0", "opset 0 is not supported"},
		{"opset that is no number", "export sigmoid-focal -o a.onnx --opset new", "opset"},
		{"bad shape", "export sigmoid-focal -o a.onnx --shape N,-1", "negative size"},
		{"shape of no input", "export sigmoid-focal -o a.onnx --shape image=N", "image"},
		{"shape of too few axes", "export softmax-cross-entropy -o a.onnx --shape N", "needs [N,C,...]"},
		{"shapes that do not fit", "export sigmoid-focal -o a.onnx --shape logits=2,3 --shape target=2,4", "does not fit"},
		{"no such optional input", "export sigmoid-focal -o a.onnx --with nothing", "there is no input"},
		{"no ONNX file", "attach text.onnx sigmoid-focal -o a.onnx", "not an ONNX model"},
		{"no file", "attach none.onnx sigmoid-focal -o a.onnx", "no such file"},
		{"file cut off", "attach cut.onnx sigmoid-focal -o a.onnx", "cut off"},
		{"attach with the loss before the model", "attach sigmoid-focal f.onnx -o a.onnx", "looks like a file, and a LOSS belongs there"},
		{"attach onto itself", "attach f.onnx sigmoid-focal -o ./f.onnx", "the model itself"},
		{"attach twice", "attach f.onnx sigmoid-focal -o a.onnx", "already carries"},
		{"attach nothing", "attach f.onnx -o a.onnx", "LOSS is missing; the usage is: onnxloss attach MODEL (LOSS | --spec FILE) -o FILE"},
		{"attach a spec and a loss", "attach f.onnx mse --spec mse.yaml -o a.onnx", "mse and --spec mse.yaml both say which loss to attach"},
		{"attach a spec without a model", "attach --spec mse.yaml -o a.onnx", "MODEL is missing"},
		{"attach a spec without an output", "attach host.onnx --spec mse.yaml", "-o FILE is missing"},
		{"attach a spec and a flag that it replaces", "attach host.onnx --spec mse.yaml --reduction sum -o a.onnx", "--reduction has no effect on the losses of --spec; write the key reduction in mse.yaml"},
		{"attach a spec and only the loss", "attach host.onnx --spec mse.yaml --only-loss -o a.onnx", "write the key only_loss in mse.yaml"},
		{"attach a spec that is not there", "attach host.onnx --spec none.yaml -o a.onnx", "none.yaml: no such file"},
		{"attach a spec without a name", "attach host.onnx --spec= -o a.onnx", "attach: --spec"},
		{"attach an empty spec", "attach host.onnx --spec empty.yaml -o a.onnx", "--spec empty.yaml: export: spec: there is nothing in it"},
		{"attach a spec with a mistake", "attach host.onnx --spec typo.yaml -o a.onnx", `line 3: unknown key "wieght"; did you mean "weight"?`},
		{"attach a spec that does not fit", "attach host.onnx --spec unbound.yaml -o a.onnx", "--spec unbound.yaml: export: attach: line 3, l1: "},
		{"attach a spec twice", "attach f.onnx --spec mse.yaml -o a.onnx", "already carries sigmoid-focal"},
		{"perceptual as a plain loss", "export perceptual -o a.onnx", "onnxloss perceptual --help"},
		{"perceptual without a network", "perceptual --content relu1_1 -o a.onnx", "--network FILE is missing"},
		{"perceptual without weights", "perceptual --vgg 16 --content relu1_1 -o a.onnx", "--weights FILE is missing"},
		{"perceptual without a layer", "perceptual --network f.onnx -o a.onnx", "inspect NETWORK --layers"},
		{"perceptual on a network with two inputs", "perceptual --network f.onnx --content loss -o a.onnx", "must have one, the image"},
		{"perceptual with a bad weight", "perceptual --network f.onnx --content loss=big -o a.onnx", "the weight must be a number"},
		{"perceptual with two normalizations", "perceptual --network f.onnx --content loss --normalize imagenet --mean 1 -o a.onnx", "leave --mean and --std out"},
		{"perceptual with a bad setting", "perceptual --network f.onnx --content loss --set average=true -o a.onnx", "loss.name=value"},
		{"perceptual with a tensor of no model", "perceptual --network f.onnx --content loss --prediction y -o a.onnx", "there is no --model"},
		{"detach nothing", "detach", "MODEL is missing"},
		{"detach without an output", "detach f.onnx", "-o FILE is missing"},
		{"detach a loss alone", "detach f.onnx -o a.onnx", "no model under it"},
		{"detach with two arguments", "detach f.onnx a.onnx", `unexpected argument "a.onnx"`},
		{"inspect nothing", "inspect", "MODEL is missing"},
		{"inspect no file", "inspect none.onnx", "no such file"},
		{"inspect a folder", "inspect .", "it is a directory"},
		{"inspect no model", "inspect text.onnx", "not an ONNX model"},
		{"inspect a file cut off", "inspect cut.onnx", "cut off"},
		{"inspect with a flag of another command", "inspect f.onnx --shape N", "unknown flag"},
		{"verify nothing", "verify", "nothing to verify"},
		{"verify no model", "verify text.onnx", "not an ONNX model"},
		{"verify unknown engine", "verify f.onnx --engine tensorflow", "unknown engine"},
		{"verify unknown provider", "verify f.onnx --engine interp --provider cuda", "add ort to --engine"},
		{"verify opset out of range", "verify --loss sigmoid-focal --opset 99", "opset 99 is not supported"},
		{"eval without inputs", "eval sigmoid-focal", `input "logits" is missing`},
		{"eval of no file", "eval sigmoid-focal --input logits=none.npy", "no such file"},
		{"eval of no array", "eval sigmoid-focal --input logits=text.onnx --input target=y.npy", "npy"},
		{"eval with an unknown input", "eval sigmoid-focal --input logits=x.npy --input target=y.npy --input z=y.npy", `no input "z"`},
		{"eval with a label out of range", "eval softmax-cross-entropy --input logits=x.npy --input target=bad_labels.npy", "label 3"},
		{"eval with shapes that do not fit", "eval softmax-cross-entropy --input logits=x.npy --input target=short.npy", "does not fit"},
		{"score without an output", "score f.onnx", "-o FILE is missing"},
		{"score without inputs", "score f.onnx -o s.npy --engine interp", "score:"},
		{"score with two engines", "score f.onnx -o s.npy --engine interp,ort", "one engine"},
		{"score of no model", "score text.onnx -o s.npy", "not an ONNX model"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := command(t, strings.Fields(test.args)...)
			if r.code != exitUsage || r.stdout != "" {
				t.Errorf("exit code %d, stdout %q", r.code, r.stdout)
			}
			if !strings.HasPrefix(r.stderr, "onnxloss: ") || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, test.want) {
				t.Errorf("stderr %q, want one line with %q", r.stderr, test.want)
			}
		})
	}
	if left, err := filepath.Glob("a.onnx*"); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestNoCommandShowsTheHelpAsAMistake(t *testing.T) {
	r := command(t)
	if r.code != exitUsage || r.stdout != "" || !strings.Contains(r.stderr, "Available Commands:") {
		t.Errorf("exit code %d, stdout %q, stderr %q", r.code, r.stdout, r.stderr)
	}
}

func TestNothingIsLeftWhereTheOutputCannotBeWritten(t *testing.T) {
	workIn(t)
	mustHold(t, "export", "sigmoid-focal", "-o", "f.onnx", "--reduction", "none")
	if err := os.Mkdir("folder", 0o700); err != nil {
		t.Fatal(err)
	}
	save(t, "y32.npy", load(t, "x.npy"))
	before, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	arrays := []string{"--input", "logits=x.npy", "--input", "target=y32.npy"}
	for _, args := range [][]string{
		{"export", "sigmoid-focal"},
		append([]string{"eval", "sigmoid-focal"}, arrays...),
		append([]string{"score", "f.onnx", "--engine", "interp"}, arrays...),
	} {
		for _, output := range []string{"folder", filepath.Join("missing", "out")} {
			if r := command(t, append(args, "-o", output)...); r.code != exitUsage || !strings.Contains(r.stderr, output) {
				t.Errorf("%s -o %s: exit code %d, stderr %q", args[0], output, r.code, r.stderr)
			}
		}
	}
	after, err := os.ReadDir(".")
	if err != nil || len(after) != len(before) {
		t.Errorf("had %d files, now %d: %v", len(before), len(after), err)
	}
	if inside, err := os.ReadDir("folder"); err != nil || len(inside) > 0 {
		t.Errorf("left %v: %v", inside, err)
	}
}

type panicking struct{}

func (panicking) Write([]byte) (int, error) { panic("no paper") }

func TestAPanicBecomesASentence(t *testing.T) {
	var stderr strings.Builder
	code := run(context.Background(), []string{"list"}, panicking{}, &stderr)
	if code != exitUsage || !strings.HasPrefix(stderr.String(), "onnxloss: internal error: no paper") {
		t.Errorf("exit code %d, stderr %q", code, stderr.String())
	}
}
