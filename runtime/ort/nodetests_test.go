//go:build cgo

package ort_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/internal/nodetests"
	"github.com/onnxloss/onnxloss/internal/testneeds"
	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/ort"
)

// The reasons for which node tests are left out.
const (
	scoreOrder = "ONNX Runtime applies the mask and the cap to the attention scores in another order"
	noise      = "rounding noise where the result is 0, beyond an absolute tolerance of 1e-7"
	randomness = "random numbers of its own"
	ownMeaning = "ONNX Runtime has its own idea of the result"
	refused    = "ONNX Runtime refuses the case"
)

// excluded are the node tests that ONNX Runtime 1.30.0 does not pass.
var excluded = map[string]string{
	"attention_3d_with_past_and_present_qk_matmul_bias":                scoreOrder,
	"attention_3d_with_past_and_present_qk_matmul_softcap":             scoreOrder,
	"attention_4d_with_past_and_present_qk_matmul_bias":                scoreOrder,
	"attention_4d_with_past_and_present_qk_matmul_bias_3d_mask":        scoreOrder,
	"attention_4d_with_past_and_present_qk_matmul_bias_3d_mask_causal": scoreOrder,
	"attention_4d_with_past_and_present_qk_matmul_bias_4d_mask":        scoreOrder,
	"attention_4d_with_past_and_present_qk_matmul_bias_4d_mask_causal": scoreOrder,
	"attention_4d_with_qk_matmul_bias":                                 scoreOrder,
	"attention_4d_with_qk_matmul_softcap":                              scoreOrder,
	"attention_4d_diff_heads_mask4d_padded_kv":                         refused,
	"convinteger_with_padding":                                         refused,
	"dft":                                                              noise,
	"dft_axis":                                                         noise,
	"dft_axis_opset19":                                                 noise,
	"dft_inverse":                                                      noise,
	"dft_inverse_opset19":                                              noise,
	"dft_opset19":                                                      noise,
	"stft":                                                             noise,
	"stft_with_window":                                                 noise,
	"l2normalization_axis_0":                                           ownMeaning,
	"maxunpool_export_with_output_shape":                               ownMeaning,
	"qlinearmatmul_2D_int8_float16":                                    ownMeaning,
	"qlinearmatmul_2D_int8_float32":                                    ownMeaning,
	"qlinearmatmul_3D_int8_float16":                                    ownMeaning,
	"qlinearmatmul_3D_int8_float32":                                    ownMeaning,
	"resize_downsample_scales_cubic_align_corners":                     ownMeaning,
	"resize_downsample_scales_linear_align_corners":                    ownMeaning,
	"training_dropout":                                                 randomness,
	"training_dropout_default":                                         randomness,
	"training_dropout_default_mask":                                    randomness,
	"training_dropout_mask":                                            randomness,
}

// fewestPassed guards against a mass of cases that become "unsupported" unnoticed.
const fewestPassed = 1386

func TestNodeTestsOfTheStandard(t *testing.T) {
	e := newEngine(t, ort.Options{})
	if version, err := ort.Version(); err != nil || version != "1.30.0" {
		testneeds.Lacking(t, testneeds.ORT, fmt.Sprintf("the exclusions are those of ONNX Runtime 1.30.0, this is %s (%v)", version, err))
	}
	cases := nodetests.Cases(t)
	var passed, unsupported int
	for _, c := range cases {
		err := runCase(e, c)
		reason, isExcluded := excluded[c.Name]
		switch {
		case errors.Is(err, engine.ErrUnsupported), err != nil && strings.Contains(err.Error(), "Failed to construct locale"):
			unsupported++
			err = nil // an exclusion would be stale
		case err == nil:
			passed++
		case isExcluded:
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
		} else if isExcluded {
			t.Errorf("%s: the exclusion is stale (%s)", c.Name, reason)
		}
	}
	t.Logf("%d cases: %d passed, %d not supported, %d excluded", len(cases), passed, unsupported, len(excluded))
	if passed+unsupported+len(excluded) != len(cases) {
		t.Errorf("an exclusion names a case that is not there, or a case failed")
	}
	if passed < fewestPassed {
		t.Errorf("%d cases passed, want at least %d", passed, fewestPassed)
	}
}

func runCase(e engine.Engine, c nodetests.Case) error {
	session, err := e.Load(c.Model)
	if err != nil {
		return err
	}
	inputs := map[string]engine.Tensor{}
	for _, p := range c.Inputs {
		if inputs[p.GetName()], err = engine.FromProto(p); err != nil {
			return errors.Join(err, session.Close())
		}
	}
	outputs, err := session.Run(inputs)
	if err := errors.Join(err, session.Close()); err != nil {
		return err
	}
	for _, p := range c.Outputs {
		want, err := engine.FromProto(p)
		if err != nil {
			return err
		}
		if err := engine.Diff(outputs[p.GetName()], want, nodeTolerance(want)); err != nil {
			return fmt.Errorf("output %q: %w", p.GetName(), err)
		}
	}
	return nil
}

// nodeTolerance is that of the standard's own runner, with room for the few digits
// of the half types.
func nodeTolerance(want engine.Tensor) engine.Tolerance {
	if want.DType().IsHalf() {
		return engine.Tolerance{Abs: 1e-3, Rel: 1e-2}
	}
	return engine.Tolerance{Abs: 1e-7, Rel: 1e-3}
}
