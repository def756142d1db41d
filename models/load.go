package models

import (
	"path/filepath"

	"github.com/onnxloss/onnxloss/runtime/engine"
)

// Load prepares a model to be run by an engine. External data are not loaded into
// the model, and may be of any size: the engine reads them where they are. The error
// is the engine's; it wraps engine.ErrUnsupported where the engine lacks something
// that the model uses.
func Load(e engine.Engine, m *Model) (engine.Session, error) {
	data, err := m.Bytes()
	if err != nil {
		return nil, err
	}
	if m.Path == "" {
		return e.Load(data)
	}
	return e.LoadIn(data, filepath.Dir(m.Path))
}
