package export_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// nasty is a model of the kinds that tools fall over.
type nasty struct {
	name   string
	change func(m *onnxpb.ModelProto) // of plainModel
	// rewrite changes the file where a message cannot say it.
	rewrite func(file []byte) []byte
	bind    string // the prediction; y where empty
	inputs  map[string]engine.Tensor
	// refused is what an engine says to the original, where it does not run it.
	refused map[string]string
}

// plainModel computes y = x * w + x, by the tensor h.
func plainModel(t testing.TB) *onnxpb.ModelProto {
	t.Helper()
	return &onnxpb.ModelProto{
		IrVersion:    proto.Int64(8),
		ProducerName: proto.String("elsewhere"),
		OpsetImport:  imports("", 17),
		Graph: &onnxpb.GraphProto{
			Name:        proto.String("plain"),
			Node:        []*onnxpb.NodeProto{nodeOf("Mul", "x w -> h"), nodeOf("Add", "h x -> y")},
			Input:       []*onnxpb.ValueInfoProto{shaped(t, "x float32 N,3")},
			Output:      []*onnxpb.ValueInfoProto{shaped(t, "y float32 N,3")},
			Initializer: []*onnxpb.TensorProto{numbers("w", 0.5, -2, 3)},
		},
	}
}

func imports(domain string, version int64) []*onnxpb.OperatorSetIdProto {
	return []*onnxpb.OperatorSetIdProto{{Domain: &domain, Version: &version}}
}

func numbers(name string, data ...float32) *onnxpb.TensorProto {
	return engine.ToProto(name, engine.Must([]int{len(data)}, data))
}

// host is the model as a file with inputs.
func (n nasty) host(t testing.TB) *host {
	t.Helper()
	model := plainModel(t)
	n.change(model)
	file, err := proto.Marshal(model)
	if err != nil {
		t.Fatal(err)
	}
	if n.rewrite != nil {
		file = n.rewrite(file)
	}
	h := newHost(n.name, file)
	h.inputs["x"] = engine.Must([]int{2, 3}, []float32{1, -2, 0.5, 0, 1e-3, -7})
	for name, x := range n.inputs {
		if x.IsZero() {
			delete(h.inputs, name)
		} else {
			h.inputs[name] = x
		}
	}
	return h
}

func (n nasty) prediction() string {
	if n.bind == "" {
		return "y"
	}
	return n.bind
}

func TestAttachToNastyModels(t *testing.T) {
	ran := map[string]int{}
	for _, n := range nastyModels(t) {
		t.Run(n.name, func(t *testing.T) {
			h := n.host(t)
			for _, form := range export.Forms() {
				for _, onlyLoss := range []bool{false, true} {
					o := squaredError(n.prediction(), form)
					o.OnlyLoss = onlyLoss
					attached, d, err := attachTo(h.file, o)
					if err == nil {
						err = keeps(attached, h.file, onlyLoss)
					}
					if err != nil {
						t.Fatalf("%s, only loss %t: %v", form, onlyLoss, err)
					}
					for _, e := range engines(t) {
						if n.runsOn(t, h, e, attached, d, onlyLoss) {
							ran[e.Name()]++
						}
					}
				}
			}
		})
	}
	t.Logf("%d models, each in 4 ways; ran: %v", len(nastyModels(t)), ran)
}

// runsOn compares the model with and without the loss on an engine, and says
// whether that takes the original.
func (n nasty) runsOn(t *testing.T, h *host, e engine.Engine, attached []byte, d export.Description, onlyLoss bool) bool {
	t.Helper()
	want, err := h.run(e)
	says, refused := n.refused[e.Name()]
	switch {
	case refused && (err == nil || !strings.Contains(err.Error(), says)):
		t.Fatalf("%s: got %v of the original, want %q", e.Name(), err, says)
	case refused:
		return false
	case err != nil:
		t.Fatalf("%s: the original: %v", e.Name(), err)
	}
	if !onlyLoss {
		if _, err := h.runBoth(e, attached, d); err != nil {
			t.Errorf("%s, %s: %v", e.Name(), d.Form, err)
		}
		return true
	}
	if err := h.runOnlyLoss(e, attached, d, want[d.Inputs["prediction"]]); err != nil {
		t.Errorf("%s, %s, only the loss: %v", e.Name(), d.Form, err)
	}
	return true
}

// keeps proves that all of the original is in the attached file byte for byte and in
// its order: of the model and of its graph every field. An IR version that had to be
// raised may differ, and outputs that were hidden are tensors inside.
func keeps(attached, original []byte, hidden bool) error {
	wantModel, wantGraph, err := fieldsOf(original)
	if err != nil {
		return err
	}
	gotModel, gotGraph, err := fieldsOf(attached)
	if err != nil {
		return err
	}
	const irVersion, output = 1, 12
	raised := len(gotModel) > 0 && !slices.ContainsFunc(gotModel, func(f wireField) bool {
		return f.number == irVersion && slices.ContainsFunc(wantModel, f.equal)
	})
	wantModel = slices.DeleteFunc(wantModel, func(f wireField) bool { return raised && f.number == irVersion })
	wantGraph = slices.DeleteFunc(wantGraph, func(f wireField) bool { return hidden && f.number == output })
	return errors.Join(inOrder("model", gotModel, wantModel), inOrder("graph", gotGraph, wantGraph))
}

// wireField is one field of a message as it is in the file.
type wireField struct {
	number protowire.Number
	bytes  []byte
}

func (f wireField) equal(other wireField) bool { return bytes.Equal(f.bytes, other.bytes) }

// fieldsOf splits a file into the fields of the model, but for the graph, and those of the
// graph.
func fieldsOf(file []byte) (model, graph []wireField, err error) {
	const graphField = 7
	for len(file) > 0 {
		number, _, n := protowire.ConsumeField(file)
		if n < 0 {
			return nil, nil, protowire.ParseError(n)
		}
		if number != graphField {
			model = append(model, wireField{number, file[:n]})
			file = file[n:]
			continue
		}
		_, _, tag := protowire.ConsumeTag(file)
		inner, _ := protowire.ConsumeBytes(file[tag:n])
		for len(inner) > 0 {
			number, _, n := protowire.ConsumeField(inner)
			if n < 0 {
				return nil, nil, protowire.ParseError(n)
			}
			graph = append(graph, wireField{number, inner[:n]})
			inner = inner[n:]
		}
		file = file[n:]
	}
	return model, graph, nil
}

// inOrder proves that got has all that is wanted, one after the other.
func inOrder(what string, got, want []wireField) error {
	for _, w := range want {
		at := slices.IndexFunc(got, w.equal)
		if at < 0 {
			return fmt.Errorf("field %d of the %s, % x, is not where it was", w.number, what, w.bytes)
		}
		got = got[at+1:]
	}
	return nil
}

// Where the opset is raised, the import may be written twice, or under the other name.
func TestAttachRaisesEveryImportOfTheStandardOperators(t *testing.T) {
	for _, n := range nastyVersions(t) {
		switch n.name {
		case "an import twice", "an import in both spellings", "a domain spelled ai.onnx", "an import without a domain":
		default:
			continue
		}
		t.Run(n.name, func(t *testing.T) {
			h := n.host(t)
			o := squaredError("y", export.Graph)
			o.Opset = 18
			attached, d, err := attachTo(h.file, o)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range engines(t) {
				if _, err := h.runBoth(e, attached, d); err != nil {
					t.Errorf("%s: %v", e.Name(), err)
				}
			}
		})
	}
}

// Two losses that share the prediction, each an output of its own, and their total.
func TestAttachAllToNastyModels(t *testing.T) {
	for _, n := range nastyModels(t) {
		t.Run(n.name, func(t *testing.T) {
			h := n.host(t)
			model, err := models.Parse(h.file)
			if err != nil {
				t.Fatal(err)
			}
			made, err := export.AttachAll(model, []export.Term{
				{Loss: losses.MSE, Weight: 1, AttachOptions: squaredError(n.prediction(), export.Function)},
				{Loss: losses.L1, Weight: 0.5, AttachOptions: squaredError(n.prediction(), export.Graph)},
			}, export.AllOptions{})
			if err != nil {
				t.Fatal(err)
			}
			attached, err := models.Parse(bytesOf(t, made))
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(export.CheckModel(attached), keeps(bytesOf(t, attached), h.file, false)); err != nil {
				t.Fatal(err)
			}
			detached, err := export.Detach(attached)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(bytesOf(t, detached), h.file) {
				t.Error("detached, it is not the original byte for byte")
			}
			known, err := export.DescribeAll(attached)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range engines(t) {
				if _, refused := n.refused[e.Name()]; !refused {
					n.runsAll(t, h, e, bytesOf(t, attached), known)
				}
			}
		})
	}
}

// runsAll proves that the total is that of the losses, and the host's own outputs the
// same bits.
func (n nasty) runsAll(t *testing.T, h *host, e engine.Engine, attached []byte, known export.Composition) {
	t.Helper()
	want, err := h.run(e)
	if err != nil {
		t.Fatalf("%s: the original: %v", e.Name(), err)
	}
	inputs := maps.Clone(h.inputs)
	for _, d := range known.Terms {
		with, _, err := h.withTarget(d, want[n.prediction()])
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(inputs, with)
	}
	got, err := runOnce(e, attached, inputs)
	if err != nil {
		t.Fatalf("%s: %v", e.Name(), err)
	}
	for name, w := range want {
		if err := sameBits(got[name], w); err != nil {
			t.Errorf("%s: output %q: %v", e.Name(), name, err)
		}
	}
	first, second := got[known.Terms[0].Output], got[known.Terms[1].Output]
	sum, err := engine.FromFloat64s(first.DType(), nil, []float64{first.Float64s()[0] + 0.5*second.Float64s()[0]})
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Diff(got[known.Total], sum, engine.Tolerance{Rel: 1e-6}); err != nil {
		t.Errorf("%s: the total: %v", e.Name(), err)
	}
}
