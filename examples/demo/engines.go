package main

import (
	"strings"

	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/interp"
	"github.com/onnxloss/onnxloss/runtime/ort"
)

// findEngines gives the engines of this machine: the pure Go one and ONNX Runtime,
// or why that one is missing.
func findEngines() (here []engine.Engine, missing error) {
	here = []engine.Engine{interp.New()}
	onnxRuntime, err := ort.New(ort.Options{})
	if err != nil {
		return here, err
	}
	return append(here, onnxRuntime), nil
}

func (d *demo) listEngines() {
	d.heading("Engines")
	for _, eng := range d.engines {
		d.labelled(eng.Name(), about(eng))
	}
	if d.missing == nil {
		return
	}
	d.labelled("ort", "MISSING: everything below runs without ONNX Runtime")
	d.wrapped(d.missing.Error())
	if _, err := ort.Find(""); err != nil {
		d.note("to fetch it: make ort, or go run ./cmd/onnxloss doctor --fetch")
	}
}

// engineNames lists the engines that took part, and the one that did not.
func (d *demo) engineNames() string {
	var names []string
	for _, eng := range d.engines {
		names = append(names, eng.Name())
	}
	text := strings.Join(names, " and ")
	if d.missing != nil {
		text += "; ONNX Runtime is MISSING"
	}
	return text
}

func about(eng engine.Engine) string {
	if eng.Name() == "interp" {
		return "pure Go, always there"
	}
	version, err := ort.Version()
	if err != nil {
		return err.Error()
	}
	return "ONNX Runtime " + version
}
