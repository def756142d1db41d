package models_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/nodetests"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/internal/testneeds"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/ort"
)

// lacking are operators that an engine no longer has in a newer opset, though they only
// got more element types: it refuses the model.
var lacking = map[string]bool{"RandomUniformLike(22)": true, "RoiAlign(22)": true}

// rounded are operators that ONNX Runtime computes in another way from an opset on.
var rounded = map[string]int{"AveragePool": 19}

// A node test is a model of its own opset and, where an engine takes it and gives
// something, of older ones too. Whatever CheckOpset lets be raised gives the same bits
// in the newer opset. Operators written out in others, the expanded cases, say no more.
func TestRaisedNodeTestsGiveTheSame(t *testing.T) {
	if testing.Short() {
		t.Skip("this runs some thousand models")
	}
	cases := nodetests.Cases(t)
	onEngines(t, func(t *testing.T, e engine.Engine) {
		var raised, refused, unable int
		for _, c := range cases {
			if strings.Contains(c.Name, "_expanded") {
				continue
			}
			r := runsOf(t, e, c)
			for i, from := range r.opsets {
				if r.errs[from] != nil {
					continue
				}
				for _, to := range r.opsets[i+1:] {
					if r.model(from).CheckOpset(to) != nil {
						refused++
						continue
					}
					if lacks(r.errs[to]) {
						unable++
						continue
					}
					raised++
					if err := r.compare(e, from, to); err != nil {
						t.Errorf("%s: raised from opset %d to %d: %v", c.Name, from, to, err)
					}
				}
			}
		}
		t.Logf("%d cases: %d times raised, %d times refused, %d times not run by the engine", len(cases), raised, refused, unable)
		if raised < 7_000 {
			t.Errorf("only %d models were raised", raised)
		}
	})
}

func lacks(err error) bool {
	if !errors.Is(err, engine.ErrUnsupported) {
		return false
	}
	_, which, _ := strings.Cut(err.Error(), "Could not find an implementation for ")
	which, _, _ = strings.Cut(which, " ")
	return lacking[which]
}

// runs are the outputs of a model in several opsets.
type runs struct {
	proto   *onnxpb.ModelProto
	opsets  []int
	outputs map[int]map[string]engine.Tensor
	errs    map[int]error
}

// runsOf runs a case in its opset, and before and after each change of its operators.
func runsOf(t *testing.T, e engine.Engine, c nodetests.Case) runs {
	t.Helper()
	r := runs{proto: &onnxpb.ModelProto{}, outputs: map[int]map[string]engine.Tensor{}, errs: map[int]error{}}
	if err := proto.Unmarshal(c.Model, r.proto); err != nil {
		t.Fatal(err)
	}
	opsets := map[int]bool{(&models.Model{Proto: r.proto}).Opset(): true}
	for _, n := range c.Graph.GetNode() {
		for _, version := range models.Histories[n.GetOpType()] {
			opsets[version], opsets[version-1] = true, true
		}
	}
	inputs, err := tensors(c.Inputs)
	for opset := range opsets {
		if opset < 7 || opset > 26 {
			continue
		}
		r.opsets = append(r.opsets, opset)
		if r.errs[opset] = err; err == nil {
			r.outputs[opset], r.errs[opset] = outputsOf(e, r.model(opset), inputs)
		}
	}
	slices.Sort(r.opsets)
	return r
}

// model is the case in an opset.
func (r runs) model(opset int) *models.Model {
	p := &onnxpb.ModelProto{IrVersion: r.proto.IrVersion, Graph: r.proto.Graph, Functions: r.proto.Functions}
	for _, imported := range r.proto.OpsetImport {
		imported = proto.CloneOf(imported)
		if imported.GetDomain() == "" {
			imported.Version = proto.Int64(int64(opset))
		}
		p.OpsetImport = append(p.OpsetImport, imported)
	}
	return &models.Model{Proto: p}
}

func (r runs) compare(e engine.Engine, from, to int) error {
	if r.errs[to] != nil {
		return r.errs[to]
	}
	return sameOutputs(r.outputs[to], r.outputs[from], roundsOtherwise(e, r.proto, from, to))
}

func roundsOtherwise(e engine.Engine, p *onnxpb.ModelProto, from, to int) bool {
	return strings.HasPrefix(e.Name(), "ort") && slices.ContainsFunc(p.Graph.Node, func(n *onnxpb.NodeProto) bool {
		since, other := rounded[n.GetOpType()]
		return other && from < since && since <= to
	})
}

// sameOutputs compares bit for bit, or with room for another order of sums.
func sameOutputs(got, want map[string]engine.Tensor, rounded bool) error {
	if len(got) != len(want) {
		return fmt.Errorf("outputs are %v, want %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
	for name, w := range want {
		g := got[name]
		switch same := g.String() == w.String() && bytes.Equal(g.Bytes(), w.Bytes()); {
		case !same && rounded:
			if err := engine.Diff(g, w, engine.Tolerance{Abs: 1e-6, ULP: 8}); err != nil {
				return fmt.Errorf("output %q: %w", name, err)
			}
		case !same:
			return fmt.Errorf("output %q is %s, want %s, or its numbers differ", name, g, w)
		}
	}
	return nil
}

func tensors(list []*onnxpb.TensorProto) (map[string]engine.Tensor, error) {
	decoded := map[string]engine.Tensor{}
	for _, p := range list {
		if p == nil {
			continue
		}
		var err error
		if decoded[p.GetName()], err = engine.FromProto(p); err != nil {
			return nil, err
		}
	}
	return decoded, nil
}

func outputsOf(e engine.Engine, m *models.Model, inputs map[string]engine.Tensor) (map[string]engine.Tensor, error) {
	data, err := m.Bytes()
	if err != nil {
		return nil, err
	}
	session, err := e.Load(data)
	if err != nil {
		return nil, err
	}
	outputs, err := session.Run(inputs)
	return outputs, errors.Join(err, session.Close())
}

// Real networks, of opset 17, and of opset 9 with IR version 3. The large ones take
// seconds a run.
func TestRaisedNetworksGiveTheSame(t *testing.T) {
	type network struct {
		path   string
		newest int
		large  bool
	}
	var networks []network
	for _, name := range []string{"detector", "digits_cnn", "gan_discriminator", "gan_generator", "superres", "unet"} {
		networks = append(networks, network{"../testdata/models/" + name + ".onnx", 26, false})
	}
	if !testing.Short() {
		for _, light := range []network{{"resnet50", 26, true}, {"shufflenet", 26, false}, {"squeezenet", 11, false}, {"vgg19", 11, true}} {
			light.path = nodetests.Shared(t, "models/light/light_"+light.path+".onnx")
			networks = append(networks, light)
		}
	}
	onEngines(t, func(t *testing.T, e engine.Engine) {
		for _, n := range networks {
			if n.large && e.Name() == "interp" {
				continue
			}
			t.Run(strings.TrimSuffix(filepath.Base(n.path), ".onnx"), func(t *testing.T) { wantRaised(t, e, open(t, n.path), n.newest) })
		}
	})
}

// wantRaised fails unless a network can be raised to a newest opset, and no further,
// and gives the same in all.
func wantRaised(t *testing.T, e engine.Engine, m *models.Model, newest int) {
	t.Helper()
	inputs := map[string]engine.Tensor{}
	for _, in := range m.Inputs() {
		inputs[in.Name] = ramp(sizesOf(in.Shape), 0, 1.0/251)
	}
	want, err := outputsOf(e, m, inputs)
	if err != nil {
		t.Fatal(err)
	}
	var raised []int
	for opset := m.Opset() + 1; opset <= 26 && m.CheckOpset(opset) == nil; opset++ {
		raised = append(raised, opset)
	}
	if len(raised) == 0 || raised[len(raised)-1] != newest {
		t.Fatalf("it can be raised from opset %d to %v, want up to %d", m.Opset(), raised, newest)
	}
	for _, opset := range raised {
		if m.Opset() == 9 && !slices.Contains([]int{11, 13, 17, newest}, opset) {
			continue
		}
		edit := m.Edit()
		edit.SetOpset("", opset)
		newer, err := edit.Model()
		if err != nil {
			t.Fatal(err)
		}
		got, err := outputsOf(e, newer, inputs)
		if err == nil {
			err = sameOutputs(got, want, roundsOtherwise(e, m.Proto, m.Opset(), opset))
		}
		if err != nil {
			t.Errorf("opset %d: %v", opset, err)
		}
	}
	t.Logf("it can be raised from opset %d to %v", m.Opset(), raised)
}

// sizesOf takes a few for what varies.
func sizesOf(s ops.Shape) []int {
	sizes := make([]int, len(s))
	for i, d := range s {
		sizes[i] = 3
		if n, fixed := d.Size(); fixed {
			sizes[i] = n
		}
	}
	return sizes
}

// This is why CheckOpset does not leave functions to the opset that they import: before
// opset 13, Softmax over axis 0 was one over all elements.
func TestONNXRuntimeTakesTheModelsOpsetForFunctions(t *testing.T) {
	native, err := ort.New(ort.Options{Threads: 1})
	if err != nil {
		testneeds.Lacking(t, testneeds.ORT, err)
	}
	softmax := func(input, output string) *onnxpb.NodeProto {
		return node("Softmax "+input+" -> "+output, ops.IntAttribute("axis", 0))
	}
	called := network(node("F x -> y"))
	called.Graph.Node[0].Domain = proto.String("test")
	called.OpsetImport = append(called.OpsetImport, &onnxpb.OperatorSetIdProto{Domain: proto.String("test"), Version: proto.Int64(1)})
	called.Functions = []*onnxpb.FunctionProto{{
		Domain: proto.String("test"), Name: proto.String("F"), Input: []string{"a"}, Output: []string{"b"}, Node: []*onnxpb.NodeProto{softmax("a", "b")},
		OpsetImport: []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(12)}},
	}}
	inputs := map[string]engine.Tensor{"x": engine.Must([]int{2, 2}, []float32{1, 2, 3, 4})}
	want, err := outputsOf(native, opset(network(softmax("x", "y")), 17), inputs)
	if err != nil {
		t.Fatal(err)
	}
	got, err := outputsOf(native, opset(called, 17), inputs)
	if err == nil {
		err = sameOutputs(got, want, false)
	}
	if err != nil {
		t.Errorf("ONNX Runtime has another idea now: %v", err)
	}
}
