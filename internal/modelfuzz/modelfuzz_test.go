package modelfuzz

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
)

// An input of a fuzzer says how its model is made again; most decode, and all but a
// few are wrong.
func TestModelsFollowFromDecisions(t *testing.T) {
	seeds := Seeds()
	all, decoded, same := 0, 0, 0
	each(50, func(decisions []byte) {
		data := Model(decisions)
		if !bytes.Equal(data, Model(decisions)) {
			t.Errorf("%v gives two models", decisions)
		}
		all++
		m := new(onnxpb.ModelProto)
		if proto.Unmarshal(data, m) == nil {
			decoded++
		}
		if proto.Equal(m, seeds[decisions[0]]) {
			same++
		}
	})
	if all < 400 || decoded < all*3/4 || same < len(seeds) || same > all/5 {
		t.Errorf("of %d models, %d decode and %d are seeds", all, decoded, same)
	}
}

func TestWatchSeesMemory(t *testing.T) {
	var inner testing.T
	var kept []byte
	Watch(&inner, 1, 10, func() { kept = make([]byte, base+1<<20) })
	if !inner.Failed() || len(kept) == 0 {
		t.Error("it took too much, and passed")
	}
	var frugal testing.T
	Watch(&frugal, 1, 10, func() { kept = make([]byte, base/2) })
	if frugal.Failed() {
		t.Error("it took little, and failed")
	}
}
