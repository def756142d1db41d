package interp_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/modelfuzz"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
)

// FuzzMutatedLoad proves that loading a model takes bounded time and memory, whatever
// its graph is, and that what loads runs without an error that should have come first.
func FuzzMutatedLoad(f *testing.F) {
	interp.LimitTensors(f, 1<<16)
	modelfuzz.Add(f)
	f.Fuzz(func(t *testing.T, decisions []byte) {
		data := modelfuzz.Model(decisions)
		var session engine.Session
		modelfuzz.Watch(t, 1, len(data), func() {
			var err error
			if session, err = interp.New().Load(data); err != nil {
				session = nil
				refuseInternal(t, err)
				if len(err.Error()) > 4096 {
					t.Errorf("the error has %d bytes: %.200s", len(err.Error()), err)
				}
			}
		})
		var m onnxpb.ModelProto
		if session == nil || proto.Unmarshal(data, &m) != nil || loops(&m) {
			return
		}
		inputs, ok := zeroInputs(m.GetGraph())
		if !ok {
			return
		}
		if _, err := session.Run(inputs); err != nil {
			refuseInternal(t, err)
		}
	})
}

// Files that are made so that work grows faster than they do are no exception.
func TestLargeModelsTakeNoMoreThanTheirSize(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	for name, data := range modelfuzz.Large() {
		t.Run(name, func(t *testing.T) {
			modelfuzz.Watch(t, 1, len(data), func() {
				if _, err := interp.New().Load(data); err != nil {
					refuseInternal(t, err)
				}
			})
		})
	}
}

func TestLoadNamesTheNodeThatIsWrong(t *testing.T) {
	for fault, breakNode := range map[string]func(*onnxpb.NodeProto){
		"an input that nothing makes": func(n *onnxpb.NodeProto) { n.Input = append(n.Input, "nowhere") },
		"no operator":                 func(n *onnxpb.NodeProto) { n.OpType = nil },
		"a domain that is not there":  func(n *onnxpb.NodeProto) { n.Domain = proto.String("nobody") },
		"an output that there is":     func(n *onnxpb.NodeProto) { n.Output[0] = "x" },
	} {
		for title, name := range map[string]string{`interp: node "the node" (`: "the node", "interp: node 1 (": ""} {
			m := modelfuzz.Seeds()[0]
			m.Graph.Node[1].Name = proto.String(name)
			breakNode(m.Graph.Node[1])
			if _, err := interp.New().Load(marshal(t, m)); err == nil || !strings.HasPrefix(err.Error(), title) {
				t.Errorf("%s: got %v, want %s", fault, err, title)
			}
		}
	}
}

// A file of a few hundred bytes cannot make the loader go round for ever, or deep.
func TestGrowthWithoutStepsIsRefused(t *testing.T) {
	large := modelfuzz.Large()
	for name, says := range map[string]string{
		"functions that end in empty ones": "after its functions are expanded",
		"functions that end in constants":  "after its functions are expanded",
		"a graph that refers to itself":    "deep",
		"a chain of functions":             "functions call each other more than 100 deep",
		"a function that calls itself":     "calls itself",
	} {
		_, err := interp.New().Load(large[name])
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want %q", name, err, says)
		}
	}
}
