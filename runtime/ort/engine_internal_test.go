//go:build cgo

package ort

import (
	"errors"
	"strings"
	"testing"

	binding "github.com/yalue/onnxruntime_go"

	"github.com/onnxloss/onnxloss/internal/testneeds"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// needLoaded loads ONNX Runtime. It skips the test where that is not on this machine,
// or fails it if the environment says that it has to be there.
func needLoaded(t *testing.T) {
	t.Helper()
	_, err := load("")
	if err == nil {
		return
	}
	testneeds.Lacking(t, testneeds.ORT, err)
}

// A provider that takes no node stands for one that does not take all of them.
func TestNothingFallsBackToTheCPU(t *testing.T) {
	needLoaded(t)
	idle := provider{name: "idle", add: func(*binding.SessionOptions) error { return nil }}
	model, err := identityModel(13)
	if err != nil {
		t.Fatal(err)
	}
	_, err = (&runner{idle, Options{}}).Load(model)
	if !errors.Is(err, engine.ErrUnsupported) || !strings.Contains(err.Error(), "provider idle leaves a part of the model to the CPU") {
		t.Errorf("got %v", err)
	}
}

func TestProviderThatDoesNotStart(t *testing.T) {
	needLoaded(t)
	broken := provider{name: "broken", add: func(*binding.SessionOptions) error { return errors.New("no device") }}
	_, err := (&runner{broken, Options{}}).Load([]byte{1})
	if !errors.Is(err, engine.ErrUnavailable) || !strings.Contains(err.Error(), "provider broken does not start here (no device)") {
		t.Errorf("got %v", err)
	}
}

func TestMessagesOfONNXRuntimeBecomeOneSentence(t *testing.T) {
	tests := []struct{ message, want string }{
		{"Missing Input: x", "Missing Input: x"},
		{
			"Non-zero status code returned while running Add node. Name:'sum' Status Message: /src/core/providers/cpu/math/element_wise_ops.h:560 void onnxruntime::BroadcastIterator::Append(ptrdiff_t, ptrdiff_t) axis == 1 || axis == largest was false. Attempting to broadcast an axis by a dimension other than 1. 2 by 4\n",
			`node "sum" (Add): Attempting to broadcast an axis by a dimension other than 1`,
		},
		{
			"Exception during initialization: /src/core/providers/cpu/rnn/rnn.h:48 onnxruntime::RNN<T>::RNN(const onnxruntime::OpKernelInfo&) [with T = float] layout_ == 0 was false. Batchwise recurrent operations (layout == 1) are not supported. If you need support, ask.",
			"Exception during initialization: Batchwise recurrent operations (layout == 1) are not supported",
		},
		{
			"/src/webgpu/webgpu_context.cc:136 onnxruntime::webgpu::WebGpuContext::Initialize(const onnxruntime::webgpu::Config&)::<lambda()> status == Success was false. Failed to get an adapter.",
			"Failed to get an adapter",
		},
		{
			"/src/model_load_utils.h:46 void onnxruntime::Validate(const std::unordered_map<std::basic_string<char>, int>&, bool) ONNX Runtime only *guarantees* support for released versions. Opset 99 is under development. Current official support for domain ai.onnx is till opset 26.",
			"Current official support for domain ai.onnx is till opset 26",
		},
		{"This is an invalid model. Type Error: Type 'tensor(int64)' of input (x) is invalid.", "invalid model: Type Error: Type 'tensor(int64)' of input (x) is invalid"},
	}
	for _, test := range tests {
		if got := sentence(test.message); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}
