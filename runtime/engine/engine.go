// Package engine is what every way of running an ONNX model has in common: the
// Engine and Session interfaces, tensors, and the comparison of results.
//
// The engines themselves are package interp (pure Go, always there) and package
// ort (ONNX Runtime).
//
//	session, err := interp.New().Load(data) // a serialised model
//	defer session.Close()
//	x, err := engine.New([]int{2, 3}, []float32{1, 2, 3, 4, 5, 6})
//	outputs, err := session.Run(map[string]engine.Tensor{"x": x})
//	err = engine.Diff(outputs["y"], want, engine.Tolerance{ULP: 4})
package engine

import "errors"

// Errors that callers tell apart, wrapped with what was asked for.
var (
	// ErrUnavailable says that an engine or a provider is not on this machine.
	ErrUnavailable = errors.New("not available here")
	// ErrUnsupported says that an engine is there but does not run this model:
	// an operator, an element type or an opset that it does not have.
	ErrUnsupported = errors.New("not supported by this engine")
)

// Engine loads ONNX models.
type Engine interface {
	// Name tells engines apart in reports, such as "interp" or "ort:cpu".
	Name() string
	// Load prepares a serialised ModelProto. It returns an error that wraps
	// ErrUnsupported where the engine lacks something the model uses.
	Load(model []byte) (Session, error)
	// LoadIn does as Load for a model that may have external data, in files of a
	// folder or below it, of any size together. A location that leads out of the
	// folder is refused. The files must not change while the session is in use.
	// Without a folder, "", and in Load, external data are an error.
	LoadIn(model []byte, folder string) (Session, error)
}

// Session is a loaded model. It may be run many times, from one goroutine at a time.
type Session interface {
	// Run computes all outputs of the model, by name. Inputs are not changed.
	Run(inputs map[string]Tensor) (map[string]Tensor, error)
	// Close frees what the session holds. Results of earlier runs stay.
	Close() error
}

// Unavailable makes err an ErrUnavailable without adding to its sentence.
func Unavailable(err error) error { return unavailable{err} }

type unavailable struct{ cause error }

func (u unavailable) Error() string { return u.cause.Error() }

func (u unavailable) Unwrap() error { return u.cause }

func (u unavailable) Is(target error) bool { return target == ErrUnavailable }
