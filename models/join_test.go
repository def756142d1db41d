package models_test

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

func join(t testing.TB, host, network *models.Model, feeds map[string]string) (*models.Model, map[string]string) {
	t.Helper()
	joint, names, err := models.Join(host, network, feeds)
	if err != nil {
		t.Fatal(err)
	}
	return joint, names
}

// A generator's image and a given one go through the same layers of a classifier,
// as a perceptual loss needs it.
func TestJoinPutsTwinsBehindAModel(t *testing.T) {
	host := open(t, "../testdata/models/superres.onnx")
	digits := open(t, "../testdata/models/digits_cnn.onnx")
	digits.Proto.Graph.Input[0] = ops.ValueInfo("image", ops.Float32, shape(t, "N,1,H,W"))
	digits.Proto.Graph.ValueInfo = nil
	features := cut(t, digits, "/Relu_output_0", "/Relu_1_output_0")
	low, high := samples(t, "superres_low"), samples(t, "superres_high")
	beforeHost, beforeFeatures := proto.CloneOf(host.Proto), proto.CloneOf(features.Proto)

	joint, names := join(t, host, twin(t, features, "prediction", "target"), map[string]string{"prediction/image": "upscaled"})
	if got, want := inputNames(joint), []string{"image", "target/image"}; !reflect.DeepEqual(got, want) {
		t.Errorf("inputs are %v, want %v", got, want)
	}
	if names["prediction/image"] != "upscaled" || names["target/image"] != "target/image" {
		t.Errorf("the inputs are called %v", names)
	}
	got := run(t, joint, map[string]engine.Tensor{"image": low, "target/image": high})
	upscaled := run(t, host, map[string]engine.Tensor{"image": low})["upscaled"]
	wantSame(t, "upscaled", got["upscaled"], upscaled)
	for name, image := range map[string]engine.Tensor{"prediction": upscaled, "target": high} {
		for output, want := range run(t, features, map[string]engine.Tensor{"image": image}) {
			wantSame(t, name+"/"+output, got[names[name+"/"+output]], want)
		}
	}
	if len(got) != 1+2*2 {
		t.Errorf("outputs are %v", slices.Sorted(maps.Keys(got)))
	}
	if !proto.Equal(host.Proto, beforeHost) || !proto.Equal(features.Proto, beforeFeatures) {
		t.Error("a model has changed")
	}
	for _, out := range joint.Outputs()[1:] {
		if !strings.HasSuffix(out.Shape.String(), ",8,8]") {
			t.Errorf("output %s has shape %s, but images are of 8 x 8", out.Name, out.Shape)
		}
	}
	if weights := joint.Proto.Graph.Initializer; len(weights) != len(host.Proto.Graph.Initializer)+len(features.Proto.Graph.Initializer) {
		t.Errorf("%d initializers", len(weights))
	}
}

func TestJoinGivesClashingNamesAPrefix(t *testing.T) {
	host := &models.Model{Proto: network(node("Relu x -> h"), node("Neg h -> y"), node("Abs y -> network/y"))}
	host.Proto.Graph.Node[0].Name = proto.String("first")
	p := choice()
	p.Graph.Node[0].Name = proto.String("first")
	joint, names := join(t, host, &models.Model{Proto: p}, map[string]string{"x": "h"})
	for name, want := range map[string]string{"x": "h", "h": "network/h", "y": "network/y_2", "w": "w", "chosen": "chosen"} {
		if names[name] != want {
			t.Errorf("%s is called %s, want %s", name, names[name], want)
		}
	}
	if got := joint.Proto.Graph.Node[3].GetName(); got != "network/first" {
		t.Errorf("the network's node is called %s", got)
	}
	if got, want := outputNames(joint), []string{"y", "network/y_2"}; !reflect.DeepEqual(got, want) {
		t.Errorf("outputs are %v, want %v", got, want)
	}
	for _, x := range choiceInputs {
		inputs := map[string]engine.Tensor{"x": x}
		h := run(t, everywhereIn(host, "h"), inputs)["h"]
		want := run(t, &models.Model{Proto: p}, map[string]engine.Tensor{"x": h})["y"]
		wantSame(t, "y", run(t, joint, inputs)["network/y_2"], want)
	}
}

// Symbols of the network become what they are in the host; those that only look the
// same get a prefix.
func TestJoinTellsSymbolsApart(t *testing.T) {
	host := &models.Model{Proto: network(node("Relu x -> y"))}
	p := network(node("Relu a -> b"), node("Relu c -> d"))
	p.Graph.Input = []*onnxpb.ValueInfoProto{ops.ValueInfo("a", ops.Float32, shape(t, "B,W")), ops.ValueInfo("c", ops.Float32, shape(t, "N,B"))}
	p.Graph.Output = []*onnxpb.ValueInfoProto{ops.ValueInfo("b", ops.Float32, shape(t, "B,W")), ops.ValueInfo("d", ops.Float32, shape(t, "N,B"))}
	joint, _ := join(t, host, &models.Model{Proto: p}, map[string]string{"a": "y"})
	for name, want := range map[string]string{"b": "[N,2]", "c": "[network/N,N]", "d": "[network/N,N]"} {
		if got, _ := joint.Tensor(name); got.Shape.String() != want {
			t.Errorf("%s has shape %s, want %s", name, got.Shape, want)
		}
	}
}

func TestJoinPassesOnWhatTheNetworkIsFed(t *testing.T) {
	host := &models.Model{Proto: network(node("Relu x -> h"), node("Neg h -> y"))}
	p := network(node("Abs x -> a"))
	p.Graph.Output = []*onnxpb.ValueInfoProto{p.Graph.Input[0], ops.ValueInfo("a", ops.Float32, nil)}
	for from, want := range map[string][]string{"y": {"y", "a"}, "h": {"y", "h", "a"}} {
		joint, names := join(t, host, &models.Model{Proto: p}, map[string]string{"x": from})
		if got := outputNames(joint); !reflect.DeepEqual(got, want) || names["x"] != from {
			t.Errorf("outputs are %v, want %v", got, want)
		}
		run(t, joint, map[string]engine.Tensor{"x": choiceInputs[0]})
	}
}

func opset(p *onnxpb.ModelProto, version int64) *models.Model {
	p.OpsetImport[0].Version = &version
	return &models.Model{Proto: p}
}

func TestJoinOfDifferentOpsets(t *testing.T) {
	relu := func() *onnxpb.ModelProto { return network(node("Relu x -> y")) }
	softmax := func(axis int64) *onnxpb.ModelProto {
		return network(node("Softmax x -> y", ops.IntAttribute("axis", axis)))
	}
	indices := func() *onnxpb.ModelProto { return network(node("MaxPool x -> y indices")) }
	mask := func() *onnxpb.ModelProto { return network(node("Dropout x -> h mask"), node("Not mask -> y")) }
	unusual := func() *onnxpb.ModelProto { return network(node("Nonsense x -> y")) }
	for name, test := range map[string]struct {
		network  *onnxpb.ModelProto
		from, to int64
		says     string
	}{
		"the same":            {unusual(), 17, 17, ""},
		"forward":             {relu(), 9, 17, ""},
		"back, unchanged":     {relu(), 18, 14, ""},
		"back, changed":       {relu(), 14, 13, "the host is of opset 13, the network of opset 14, and between those Relu may have changed; export the network with opset 13"},
		"another meaning":     {softmax(0), 12, 13, "Softmax may have changed"},
		"meant for one axis":  {softmax(1), 12, 13, ""},
		"the same meaning":    {softmax(0), 13, 17, ""},
		"further results":     {indices(), 9, 13, ""},
		"of another type":     {mask(), 9, 13, "Dropout may have changed"},
		"an operator unknown": {unusual(), 16, 17, "Nonsense may have changed"},
		"very old":            {relu(), 6, 7, "Relu may have changed"},
		"from the future":     {relu(), 26, 99, "Relu may have changed"},
	} {
		t.Run(name, func(t *testing.T) {
			host := opset(network(node("Tanh x -> h"), node("Neg h -> out")), test.to)
			host.Proto.Graph.Output[0].Name = proto.String("out")
			joint, _, err := models.Join(host, opset(test.network, test.from), map[string]string{"x": "out"})
			if test.says != "" {
				wantError(t, err, "models: join: ", test.says)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := joint.Opset(); got != int(test.to) {
				t.Errorf("the opset is %d, want the host's, %d", got, test.to)
			}
		})
	}
}

// Both meanings of an operator's node are tried: where Join takes a network of
// another opset, the joint model gives what the network gives.
func TestJoinOfDifferentOpsetsComputesTheSame(t *testing.T) {
	features := cut(t, open(t, "../testdata/models/digits_cnn.onnx"), "/MaxPool_output_0")
	host := open(t, "../testdata/models/superres.onnx")
	for _, version := range []int64{11, 13, 21} {
		older := opset(proto.CloneOf(features.Proto), version)
		older.Path = features.Path
		if version > 17 {
			older.Proto.IrVersion = proto.Int64(10)
		}
		joint, names, err := models.Join(host, older, map[string]string{"image": "upscaled"})
		if err != nil {
			t.Fatal(err)
		}
		low := samples(t, "superres_low")
		got := run(t, joint, map[string]engine.Tensor{"image": low})
		wantSame(t, "features", got[names["/MaxPool_output_0"]], run(t, older, map[string]engine.Tensor{"image": got["upscaled"]})["/MaxPool_output_0"])
		if got, want := joint.Proto.GetIrVersion(), max(host.Proto.GetIrVersion(), older.Proto.GetIrVersion()); got != want {
			t.Errorf("the IR version is %d, want %d", got, want)
		}
	}
}

// Before IR version 4 initializers are inputs too; in a newer model they would be
// defaults that may be replaced.
func TestJoinOfDifferentIRVersions(t *testing.T) {
	old := func() *models.Model {
		p := small(weight())
		p.Graph.Input = p.Graph.Input[:2]
		p.Graph.Node[1].Input[1], p.Graph.Node[1].Output = "weight", []string{"y"}
		return &models.Model{Proto: p}
	}
	recent := func() *models.Model {
		m := opset(network(node("Neg x -> h"), node("Relu h -> y")), 9)
		m.Proto.IrVersion = proto.Int64(4)
		return m
	}
	for name, test := range map[string]struct {
		host, network *models.Model
		ir            int64
		inputs        int
	}{
		"an old network": {recent(), old(), 4, 1}, "an old host": {old(), recent(), 4, 1}, "both old": {old(), old(), 3, 3},
	} {
		t.Run(name, func(t *testing.T) {
			joint, _ := join(t, test.host, test.network, map[string]string{"x": "y"})
			if got := joint.Proto.GetIrVersion(); got != test.ir {
				t.Errorf("the IR version is %d, want %d", got, test.ir)
			}
			if got := len(joint.Proto.Graph.Input); got != test.inputs {
				t.Errorf("%d inputs, want %d", got, test.inputs)
			}
			run(t, joint, map[string]engine.Tensor{"x": choiceInputs[0]})
		})
	}
}

func TestJoinMergesFunctions(t *testing.T) {
	host, network := withFunctions(), withFunctions()
	network.Functions = append(network.Functions, proto.CloneOf(network.Functions[0]))
	network.Functions[3].Name = proto.String("Further")
	joint, names := join(t, &models.Model{Proto: host}, &models.Model{Proto: network}, map[string]string{"x": "y"})
	if got, want := functionNames(joint), []string{"Inner", "Other", "Outer", "Further"}; !reflect.DeepEqual(got, want) {
		t.Errorf("functions are %v, want %v", got, want)
	}
	x := map[string]engine.Tensor{"x": choiceInputs[0]}
	y := run(t, &models.Model{Proto: host}, x)["y"]
	want := run(t, &models.Model{Proto: network}, map[string]engine.Tensor{"x": y})["y"]
	wantSame(t, "y", run(t, joint, x)[names["y"]], want)

	network.Functions[0].Node[0].OpType = proto.String("Abs")
	_, _, err := models.Join(&models.Model{Proto: host}, &models.Model{Proto: network}, map[string]string{"x": "y"})
	wantError(t, err, "models: join: ", "each define a function test.Inner, and they differ")
}

func TestJoinFindsExternalData(t *testing.T) {
	plain := func() *models.Model { return &models.Model{Proto: network(node("Relu x -> h"), node("Relu h -> y"))} }
	outside := func() *models.Model {
		m := folder(t, small(apart("data", "4", "8")))
		m.Proto.Graph.Input = m.Proto.Graph.Input[:1]
		m.Proto.Graph.Node[1].Input[1], m.Proto.Graph.Node[1].Output = "weight", []string{"y"}
		m.Proto.OpsetImport = []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(17)}}
		m.Proto.IrVersion = proto.Int64(8)
		return m
	}
	for name, test := range map[string]struct{ host, network *models.Model }{
		"of the host": {outside(), plain()}, "of the network": {plain(), outside()},
	} {
		t.Run(name, func(t *testing.T) {
			joint, _ := join(t, test.host, test.network, map[string]string{"x": "y"})
			path := filepath.Join(t.TempDir(), "joint.onnx")
			if err := joint.Save(path); err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(path); err != nil || info.Size() == 0 {
				t.Fatal(err)
			}
			run(t, open(t, path), map[string]engine.Tensor{"x": choiceInputs[0]})
		})
	}
	_, _, err := models.Join(outside(), outside(), map[string]string{"x": "y"})
	wantError(t, err, "models: join: ", "data in different folders; call LoadExternal")
	same := outside()
	if _, _, err := models.Join(same, same, map[string]string{"x": "y"}); err != nil {
		t.Error(err)
	}
}

func TestJoinRefusesWithAReason(t *testing.T) {
	host := open(t, "../testdata/models/superres.onnx")
	takes := func(dtype ops.DType, text string) *models.Model {
		p := network(node("Relu image -> z"))
		p.Graph.Input[0] = ops.ValueInfo("image", dtype, shape(t, text))
		return &models.Model{Proto: p}
	}
	custom := func(version int64) *models.Model {
		m := takes(ops.Float32, "...")
		m.Proto.OpsetImport = append(m.Proto.OpsetImport, &onnxpb.OperatorSetIdProto{Domain: proto.String("test"), Version: &version})
		m.Proto.Graph.Input[0].Name, m.Proto.Graph.Node[0].Input[0] = proto.String("x"), "x"
		return m
	}
	feed := func(input, tensor string) map[string]string { return map[string]string{input: tensor} }
	for name, test := range map[string]struct {
		host, network *models.Model
		feeds         map[string]string
		says          string
	}{
		"no feed":          {host, takes(ops.Float32, "N,1,8,8"), nil, "feeds is empty"},
		"no such input":    {host, takes(ops.Float32, "N,1,8,8"), feed("picture", "upscaled"), `the network has no input "picture"; it has image`},
		"no such tensor":   {host, takes(ops.Float32, "N,1,8,8"), feed("image", "upscale"), `input "image" of the network: the host: there is no tensor "upscale"; did you mean "upscaled"?`},
		"three channels":   {host, takes(ops.Float32, "N,3,H,W"), feed("image", "upscaled"), `input "image" of the network takes float32[N,3,H,W], but "upscaled" of the host is float32[N,1,8,8]`},
		"another rank":     {host, takes(ops.Float32, "N,64"), feed("image", "upscaled"), `takes float32[N,64]`},
		"another type":     {host, takes(ops.Float16, "..."), feed("image", "upscaled"), `takes float16[...], but "upscaled" of the host is float32[N,1,8,8]`},
		"one symbol twice": {host, takes(ops.Float32, "A,A,B,C"), feed("image", "/b/Conv_output_0"), ""},
		"another version":  {custom(1), custom(2), feed("x", "z"), `the host imports version 1 of the operators test, the network version 2`},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := models.Join(test.host, test.network, test.feeds)
			if test.says == "" && err != nil {
				t.Fatal(err)
			}
			if test.says != "" {
				wantError(t, err, "models: join: ", test.says)
			}
		})
	}
}
