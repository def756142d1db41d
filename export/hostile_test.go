package export_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/export"
	"github.com/onnxloss/onnxloss/internal/modelfuzz"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
)

// carrier is the model of the fuzzers that carries a loss.
func carrier() *onnxpb.ModelProto {
	seeds := modelfuzz.Seeds()
	return seeds[len(seeds)-1]
}

func wantDetail(t *testing.T, err error, from, says string) {
	t.Helper()
	if err == nil || !strings.HasPrefix(err.Error(), from) || !strings.Contains(err.Error(), says) {
		t.Errorf("got %v, want %s... %s", err, from, says)
	}
}

// Detach takes nothing off that is not the loss's, whatever the metadata say.
func TestDetachDoesNotBelieveCounts(t *testing.T) {
	honest := map[string]any{"nodes": 3, "inputs": 1, "outputs": 1, "value_info": 2, "metadata": 11}
	firstType := func(m *onnxpb.ModelProto) {
		m.Graph.ValueInfo = slices.Insert(m.Graph.ValueInfo, 0, ops.ValueInfo("x", ops.Float32, nil))
	}
	firstEntry := func(m *onnxpb.ModelProto) {
		m.MetadataProps = slices.Insert(m.MetadataProps, 0, &onnxpb.StringStringEntryProto{Key: proto.String("author")})
	}
	ownFunction := func(m *onnxpb.ModelProto) {
		m.Graph.Node[0].OpType = proto.String("f")
		m.Functions = []*onnxpb.FunctionProto{{Name: proto.String("f")}}
	}
	for says, lie := range map[string]struct {
		key    string
		count  any
		change func(*onnxpb.ModelProto)
	}{
		"11 elements of one kind were added, and there are 4":               {"nodes", 11, nil},
		"-1 elements of one kind were added":                                {"inputs", -1, nil},
		`"x" does not belong`:                                               {"value_info", 3, firstType},
		`"difference", which belongs to the loss, is used elsewhere`:        {"value_info", 1, nil},
		`the entry "author" of the metadata does not belong to the loss`:    {"metadata", 12, firstEntry},
		`the entry "onnxloss.loss" of the metadata would be left`:           {"metadata", 10, nil},
		`node "y" (Relu) needs an operator set that came with the loss`:     {"opset_imports", 1, nil},
		`node "y" (f) calls a function that came with the loss`:             {"functions", 1, ownFunction},
		"1 outputs were hidden, 2 types and 1 outputs added, and there are": {"hidden_outputs", 1, nil},
		"the IR version was 8 and is 8":                                     {"ir_version", 8, nil},
		"the opset was 25 and is 17":                                        {"opset", 25, nil},
		"the opset was -5 and is 17":                                        {"opset", -5, nil},
	} {
		t.Run(says, func(t *testing.T) {
			m := carrier()
			counts := maps.Clone(honest)
			counts[lie.key] = lie.count
			text, err := json.Marshal(counts)
			if err != nil {
				t.Fatal(err)
			}
			m.MetadataProps[len(m.MetadataProps)-1].Value = proto.String(string(text))
			if lie.change != nil {
				lie.change(m)
			}
			_, err = export.Detach(&models.Model{Proto: m})
			wantDetail(t, err, "export: detach: ", says)
		})
	}
}

// A model that a loss would mix with, or make sound, is not attached to.
func TestAttachRefusesModelsThatItCouldNotGiveBack(t *testing.T) {
	for says, change := range map[string]func(*onnxpb.ModelProto){
		`"onnxloss.total", but describe no loss; take the entry out`: func(m *onnxpb.ModelProto) {
			m.MetadataProps = []*onnxpb.StringStringEntryProto{{Key: proto.String("onnxloss.total"), Value: proto.String("y")}}
		},
		`Relu (output "y"): the model imports no version of the standard operators; export the model again`: func(m *onnxpb.ModelProto) {
			m.OpsetImport[0].Domain = proto.String("other")
		},
		`function .Outer is of domain "", of which the model imports no version`: func(m *onnxpb.ModelProto) {
			m.OpsetImport[0].Domain, m.Graph.Node[0].Domain = proto.String("other"), proto.String("other")
			m.Functions = []*onnxpb.FunctionProto{{Name: proto.String("Outer")}}
		},
		"imports the standard operators without a version": func(m *onnxpb.ModelProto) { m.OpsetImport[0].Version = nil },
	} {
		m := carrier()
		m.Graph.Node, m.Graph.Output, m.MetadataProps = m.Graph.Node[:1], m.Graph.Output[:1], nil
		loss, params := find(t, "mse", nil)
		if _, err := export.Attach(&models.Model{Proto: m}, loss, params, export.AttachOptions{}); err != nil {
			t.Fatal(err)
		}
		change(m)
		_, err := export.Attach(&models.Model{Proto: m}, loss, params, export.AttachOptions{})
		wantDetail(t, err, "export: attach mse: ", says)
	}
}

func TestCheckHoldsInitializersAgainstTheirTypes(t *testing.T) {
	m := modelfuzz.Seeds()[0]
	m.Graph.ValueInfo = append(m.Graph.ValueInfo, ops.ValueInfo("bias", ops.Float32, ops.Shape{ops.Fixed(5)}))
	wantError(t, checkModel(t, m), `initializer "bias" is float32[4], but stored as float32[5]: the shapes differ`)
}

// breaks are faults of one node.
var breaks = map[string]func(*onnxpb.NodeProto){
	"an input that nothing makes":   func(n *onnxpb.NodeProto) { n.Input = append(n.Input, "nowhere") },
	"no operator":                   func(n *onnxpb.NodeProto) { n.OpType = nil },
	"a domain that is not imported": func(n *onnxpb.NodeProto) { n.Domain = proto.String("nobody") },
	"an output that there is":       func(n *onnxpb.NodeProto) { n.Output = append(n.Output, "x") },
	"an attribute without a name":   func(n *onnxpb.NodeProto) { n.Attribute = append(n.Attribute, new(onnxpb.AttributeProto)) },
}

func TestCheckNamesTheNodeThatIsWrong(t *testing.T) {
	count := 0
	for seed := range modelfuzz.Seeds() {
		for fault, breakNode := range breaks {
			for i := range modelfuzz.Seeds()[seed].Graph.Node {
				m := modelfuzz.Seeds()[seed]
				n := m.Graph.Node[i]
				for _, name := range []string{"the node", ""} {
					n.Name = proto.String(name)
					broken := proto.CloneOf(m)
					breakNode(broken.Graph.Node[i])
					if name == "" {
						name = n.Output[0]
					}
					title := fmt.Sprintf("node %q (", name)
					if err := checkModel(t, broken); err == nil || !strings.Contains(err.Error(), title) {
						t.Errorf("seed %d, node %d, %s: %v does not have %s", seed, i, fault, err, title)
					}
					count++
				}
			}
		}
	}
	if count < 100 {
		t.Errorf("only %d faults", count)
	}
}
