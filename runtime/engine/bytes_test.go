package engine_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

func TestReadTakesWhatTheShapeNeeds(t *testing.T) {
	for _, want := range []engine.Tensor{
		engine.Must([]int{2}, []float32{1, -2}),
		engine.Must([]int{2, 1}, []engine.Float16{0x3c00, 0xc000}),
		engine.Must([]int{1, 3}, []int64{1 << 40, -1, 0}),
		engine.Must([]int{3}, []bool{true, false, true}),
		engine.Must([]int{0, 4}, []float64{}),
	} {
		from := bytes.NewReader(append(want.Bytes(), "rest"...))
		got, err := engine.Read(from, want.DType(), want.Shape())
		if err != nil {
			t.Fatal(err)
		}
		if err := engine.Diff(got, want, engine.Tolerance{}); err != nil {
			t.Error(err)
		}
		if rest, err := io.ReadAll(from); string(rest) != "rest" || err != nil {
			t.Errorf("%s: left %q, %v, want the rest", want, rest, err)
		}
	}
}

func TestReadRefusesWhatIsNotThere(t *testing.T) {
	if got, err := engine.Read(bytes.NewReader(make([]byte, 7)), ops.Float32, []int{2}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("of 7 bytes: got %v, %v", got, err)
	}
	if got, err := engine.Read(bytes.NewReader(nil), ops.String, []int{0}); !errors.Is(err, engine.ErrUnsupported) {
		t.Errorf("strings: got %v, %v", got, err)
	}
	if got, err := engine.Read(bytes.NewReader(nil), ops.Float32, []int{-1}); err == nil {
		t.Errorf("a negative size: got %v", got)
	}
}
