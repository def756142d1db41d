package interp_test

import (
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
		modelfuzz.Watch(t, len(data), func() {
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
