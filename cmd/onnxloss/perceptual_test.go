package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

func TestPerceptualIsMadeInspectedAndVerified(t *testing.T) {
	data, err := filepath.Abs("../../testdata/models")
	if err != nil {
		t.Fatal(err)
	}
	workIn(t)
	network, host := filepath.Join(data, "digits_cnn.onnx"), filepath.Join(data, "superres.onnx")
	layers := mustHold(t, "inspect", network, "--layers")
	if !strings.Contains(layers, "/Relu_output_0") {
		t.Fatalf("inspect does not list the layers:\n%s", layers)
	}
	made := mustHold(t, "perceptual", "--network", network, "--model", host, "-o", "p.onnx",
		"--content", "/Relu_1_output_0", "--style", "/Relu_output_0=0.5", "--tv", "0.01", "--set", "style.average=true")
	for _, want := range []string{"feature-reconstruction", "style_loss/Relu_output_0", "total_variation", "their weighted sum -> loss"} {
		if !strings.Contains(made, want) {
			t.Errorf("the report does not speak of %s:\n%s", want, made)
		}
	}
	var about inspection
	if err := json.Unmarshal([]byte(mustHold(t, "inspect", "p.onnx", "--json")), &about); err != nil {
		t.Fatal(err)
	}
	if about.Total != "loss" || len(about.Losses) != 3 || about.Losses[1].Weight == nil || *about.Losses[1].Weight != 0.5 || len(about.Outputs) != 5 {
		t.Errorf("inspect says %+v", about)
	}
	if report := mustHold(t, "verify", "p.onnx", "--engine", "interp"); !strings.Contains(report, "total-variation") {
		t.Errorf("the report does not have all losses:\n%s", report)
	}
}
