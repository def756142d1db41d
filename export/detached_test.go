package export_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/losses"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
)

// settingsOf lists the defaults of a loss and what verification tries beside them.
func settingsOf(t *testing.T, loss *losses.Loss) []losses.Params {
	t.Helper()
	defaults, err := loss.Params(nil)
	if err != nil {
		t.Fatal(err)
	}
	all := []losses.Params{defaults}
	for _, p := range loss.Declare {
		for _, value := range p.Try {
			if params, err := loss.Params(p.Trial(value)); err == nil {
				all = append(all, params)
			}
		}
	}
	return all
}

// made lists the tensors that nodes make.
func made(nodes []*onnxpb.NodeProto) []string {
	var names []string
	for _, n := range nodes {
		names = append(names, n.Output...)
	}
	return names
}

// bodyOf is the nodes that a description's tensors are among: the graph's, or those of
// the function that makes the output.
func bodyOf(t *testing.T, model *models.Model, d export.Description) []*onnxpb.NodeProto {
	t.Helper()
	if d.Form == export.Graph {
		return model.Proto.Graph.Node
	}
	for _, n := range model.Proto.Graph.Node {
		if !slices.Contains(n.Output, d.Output) {
			continue
		}
		for _, f := range model.Proto.Functions {
			if f.GetName() == n.GetOpType() {
				return f.Node
			}
		}
	}
	t.Fatalf("no function makes %q", d.Output)
	return nil
}

func TestDetachedTensorsAreThereUnderTheirNames(t *testing.T) {
	want := map[string]bool{
		"iou-balanced-softmax": true, "iou-balanced-sigmoid": true, "iou-balanced-focal": true, "iou-balanced-smooth-l1": true,
		"ciou": true, "generalized-dice": true, "boundary": true, "boundary-dice": true, "hausdorff": true,
	}
	for _, loss := range losses.All() {
		found := false
		for _, params := range settingsOf(t, loss) {
			for _, form := range export.Forms() {
				model, err := export.Model(loss, params, export.Options{Form: form})
				if err != nil {
					t.Fatal(err)
				}
				d, err := export.Describe(model)
				if err != nil {
					t.Fatal(err)
				}
				found = found || len(d.Detached) > 0
				checkDetached(t, model, d)
			}
		}
		if want[loss.Command()] && !found {
			t.Errorf("%s: no file says which tensors are detached", loss.Command())
		}
		delete(want, loss.Command())
	}
	if len(want) > 0 {
		t.Errorf("the catalogue lacks %v", want)
	}
}

func checkDetached(t *testing.T, model *models.Model, d export.Description) {
	t.Helper()
	tensors := made(bodyOf(t, model, d))
	for _, name := range d.Detached {
		if !slices.Contains(tensors, name) {
			t.Errorf("%s %v, form %s: the detached tensor %q is not made", d.Loss.Command(), d.Params, d.Form, name)
		}
	}
}

// The names are those that the tensors get beside other losses.
func TestDetachedTensorsOfSeveralLossesAreTheirOwn(t *testing.T) {
	for _, form := range export.Forms() {
		host := hostModel(t, 17, output{"boxes", ops.Float32, "N,4"})
		var terms []export.Term
		for range 2 {
			loss, params := find(t, "ciou", map[string]any{"boxes": []string{"xyxy", "cxcywh"}[len(terms)]})
			terms = append(terms, export.Term{Loss: loss, Params: params, Weight: 1, AttachOptions: export.AttachOptions{Options: export.Options{Form: form}}})
		}
		model, err := export.AttachAll(host, terms, export.AllOptions{})
		if err != nil {
			t.Fatal(err)
		}
		c, err := export.DescribeAll(model)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range c.Terms {
			if len(d.Detached) != 1 || !strings.Contains(d.Detached[0], "trade_off") {
				t.Errorf("form %s, %s: detached is %q, want the trade-off", form, d.Output, d.Detached)
			}
			checkDetached(t, model, d)
		}
		if form == export.Graph && slices.Equal(c.Terms[0].Detached, c.Terms[1].Detached) {
			t.Errorf("both losses detach %q", c.Terms[0].Detached)
		}
	}
}
