// Package interp runs ONNX models in pure Go, so that a result can be had, and
// another engine's result checked, on any machine without a native library.
//
//	session, err := interp.New().Load(data) // a serialised model
//	defer session.Close()
//	outputs, err := session.Run(map[string]engine.Tensor{"x": x})
//
// New gives the engine and Operators lists what it runs. NewOperator is one operator by
// itself, for programs that walk a graph on their own.
//
// A model is parsed, checked, freed of its functions and turned into a flat list
// of steps once, by Load; Run only computes. What an operator means at which opset
// stands in one table, operators.go. Half-precision types compute in float32 and
// round once per operator; transcendental functions compute in float64.
package interp

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// The newest versions of the standard that the operators were written for.
const (
	minIR      = 3
	maxIR      = 13
	maxOpset   = 26
	mainDomain = "" // the domain of the standard's own operators
)

type interpreter struct{}

// New gives the engine, named "interp".
//
// Load refuses a model that is malformed, and wraps engine.ErrUnsupported for one
// that uses an operator, element type or opset that is not had. The outputs of a
// run may share their elements with its inputs and with the model's constants.
// A computed tensor is limited to 2 GiB, and no model makes the engine panic; but a
// model with a Loop that never ends runs until its context is done, see
// engine.WithContext.
func New() engine.Engine { return interpreter{} }

func (interpreter) Name() string { return "interp" }

func (e interpreter) Load(model []byte) (engine.Session, error) { return e.LoadIn(model, "") }

func (interpreter) LoadIn(model []byte, folder string) (_ engine.Session, err error) {
	defer recoverAs(&err, "load")
	var m onnxpb.ModelProto
	if err := proto.Unmarshal(model, &m); err != nil {
		return nil, fmt.Errorf("interp: the model is not a valid ONNX file: %w", err)
	}
	s, err := loadIn(&m, folder)
	if err != nil {
		return nil, fmt.Errorf("interp: %w", err)
	}
	return s, nil
}

// recoverAs is the last line of defence: checks are meant to catch every bad
// model, and a panic that got past them must still not reach the caller.
func recoverAs(err *error, doing string) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("interp: %s: internal error: %v", doing, r)
	}
}
