package export_test

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/modelfuzz"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
)

// longestError is what an error may have in bytes, whatever names the file has.
const longestError = 4096

func wantShort(t *testing.T, err error) {
	t.Helper()
	if err != nil && len(err.Error()) > longestError {
		t.Errorf("the error has %d bytes: %.200s", len(err.Error()), err)
	}
}

// parsed gives a model made from a fuzzer's bytes, nil where it cannot be read.
func parsed(decisions []byte) (*models.Model, int) {
	data := modelfuzz.Model(decisions)
	model, err := models.Parse(data)
	if err != nil {
		return nil, len(data)
	}
	return model, len(data)
}

func FuzzMutatedCheck(f *testing.F) {
	modelfuzz.Add(f)
	f.Fuzz(func(t *testing.T, decisions []byte) {
		model, size := parsed(decisions)
		if model == nil {
			return
		}
		modelfuzz.Watch(t, 1, size, func() {
			err := export.CheckModel(model)
			wantShort(t, err)
			if err != nil && !strings.HasPrefix(err.Error(), "export: check: ") {
				t.Errorf("the error %q does not say where it is from", err)
			}
			_, err = export.DescribeAll(model)
			wantShort(t, err)
		})
	})
}

// What a loss can be attached to is there unchanged afterwards, comes back byte for
// byte, and passes Check where it is one of the seeds.
func FuzzMutatedAttach(f *testing.F) {
	modelfuzz.Add(f)
	loss, params := find(f, "mse", nil)
	f.Fuzz(func(t *testing.T, decisions []byte) {
		model, size := parsed(decisions)
		if model == nil {
			return
		}
		sound := len(decisions) == 2 // a seed as it is
		var binds []map[string]string
		for _, out := range model.Outputs()[:min(2, len(model.Outputs()))] {
			binds = append(binds, map[string]string{"prediction": out.Name})
		}
		for i, bind := range append(binds, nil, map[string]string{"prediction": "r"}) {
			o := export.AttachOptions{Bind: bind, OnlyLoss: i == 1}
			if i == 0 {
				o.Form = export.Function
			}
			modelfuzz.Watch(t, 4, size, func() { attachAndDetach(t, model, loss, params, o, sound) })
		}
	})
}

func attachAndDetach(t *testing.T, model *models.Model, loss *losses.Loss, p losses.Params, o export.AttachOptions, sound bool) {
	attached, err := export.Attach(model, loss, p, o)
	if err != nil {
		wantShort(t, err)
		return
	}
	if err := export.CheckModel(attached); sound && err != nil {
		t.Fatal(err)
	} else if err != nil { // the model's own types may contradict each other
		wantShort(t, err)
	}
	opened, err := models.Parse(bytesOf(t, attached))
	if err != nil {
		t.Fatal(err)
	}
	detached, err := export.Detach(opened)
	if err != nil {
		t.Fatal(err)
	}
	got, want := bytesOf(t, detached), bytesOf(t, model)
	if model.Proto.GetIrVersion() <= 0 || irFields(want) != 1 {
		return // the version was raised from one that is none, and comes back in another encoding
	}
	if !bytes.Equal(got, want) {
		t.Errorf("detached, the bytes have changed:\n%q\n%q", got, want)
	}
}

// irFields counts how often a model says its IR version.
func irFields(data []byte) (count int) {
	for len(data) > 0 {
		number, _, n := protowire.ConsumeField(data)
		if n < 0 {
			return 0
		}
		if number == 1 {
			count++
		}
		data = data[n:]
	}
	return count
}

// Whatever the metadata say, Detach refuses, or leaves a model as sound as it was that
// has all that is not the loss's.
func FuzzMutatedDetach(f *testing.F) {
	modelfuzz.Add(f)
	f.Fuzz(func(t *testing.T, decisions []byte) {
		if len(decisions) > 0 {
			decisions[0] = byte(len(modelfuzz.Seeds()) - 1) // the one with a loss
		}
		model, size := parsed(decisions)
		if model == nil {
			return
		}
		var detached *models.Model
		modelfuzz.Watch(t, 1, size, func() {
			var err error
			detached, err = export.Detach(model)
			wantShort(t, err)
		})
		if detached == nil {
			return
		}
		again, err := models.Parse(bytesOf(t, detached))
		if err != nil {
			t.Fatal(err)
		}
		wantRest(t, model.Proto, again.Proto)
		if export.CheckModel(model) != nil {
			return
		}
		if err := export.CheckModel(again); err != nil {
			t.Error("detached, it is not sound: ", err)
		}
	})
}

// wantRest proves that a model is a part of another that lacks none of the metadata
// of others.
func wantRest(t *testing.T, model, rest *onnxpb.ModelProto) {
	t.Helper()
	var foreign []*onnxpb.StringStringEntryProto
	for _, e := range model.MetadataProps {
		if !strings.HasPrefix(e.GetKey(), "onnxloss.") {
			foreign = append(foreign, e)
		}
	}
	for _, e := range foreign {
		found := false
		for _, r := range rest.MetadataProps {
			found = found || proto.Equal(e, r)
		}
		if !found {
			t.Errorf("the entry %q of the metadata is gone", e.GetKey())
		}
	}
	for i, n := range rest.Graph.Node {
		if !proto.Equal(n, model.Graph.Node[i]) {
			t.Errorf("node %d is another", i)
		}
	}
}

// The seeds are sound, and the loss on one of them comes off.
func TestSeedsOfTheFuzzersAreSound(t *testing.T) {
	seeds := modelfuzz.Seeds()
	for i, seed := range seeds {
		data, err := proto.Marshal(seed)
		if err != nil {
			t.Fatal(err)
		}
		if err := export.Check(data); err != nil {
			t.Errorf("seed %d: %v", i, err)
		}
		if !bytes.Equal(data, modelfuzz.Model([]byte{byte(i), 1})) {
			t.Errorf("seed %d is not what its number gives", i)
		}
	}
	detached, err := export.Detach(&models.Model{Proto: seeds[len(seeds)-1]})
	if err != nil {
		t.Fatal(err)
	}
	if g := detached.Proto.Graph; len(g.Node) != 1 || len(g.Input) != 1 || len(g.Output) != 1 || len(detached.Proto.MetadataProps) != 0 {
		t.Errorf("detached, it is %v", detached.Proto)
	}
}

// Files that are made so that work grows faster than they do are no exception.
func TestLargeModelsTakeNoMoreThanTheirSize(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	loss, params := find(t, "mse", nil)
	for name, data := range modelfuzz.Large() {
		t.Run(name, func(t *testing.T) {
			model, err := models.Parse(data)
			if err != nil {
				wantShort(t, err)
				return
			}
			modelfuzz.Watch(t, 1, len(data), func() { wantShort(t, export.CheckModel(model)) })
			sound := export.CheckModel(model) == nil
			modelfuzz.Watch(t, 4, len(data), func() {
				o := export.AttachOptions{OnlyLoss: true, Bind: map[string]string{"prediction": "y"}}
				attachAndDetach(t, model, loss, params, o, sound)
			})
			modelfuzz.Watch(t, 1, len(data), func() {
				_, err := export.Detach(model)
				wantShort(t, err)
			})
		})
	}
}
