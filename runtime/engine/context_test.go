package engine_test

import (
	"context"
	"errors"
	"testing"

	"github.com/onnxloss/onnxloss/runtime/engine"
)

// plain is an engine whose sessions cannot be stopped; they count their runs.
type plain struct{ runs *int }

func (p plain) Name() string                                  { return "plain" }
func (p plain) Load([]byte) (engine.Session, error)           { return p, nil }
func (p plain) LoadIn([]byte, string) (engine.Session, error) { return p, nil }
func (p plain) Close() error                                  { return nil }
func (p plain) Run(map[string]engine.Tensor) (map[string]engine.Tensor, error) {
	*p.runs++
	return nil, nil
}

var errStopped = errors.New("stopped")

// stopping is one whose sessions can be, and are.
type stopping struct{ plain }

func (s stopping) Load([]byte) (engine.Session, error)           { return s, nil }
func (s stopping) LoadIn([]byte, string) (engine.Session, error) { return s, nil }
func (s stopping) RunContext(context.Context, map[string]engine.Tensor) (map[string]engine.Tensor, error) {
	return nil, errStopped
}

func TestWithContextStartsNoRunAfterItsEnd(t *testing.T) {
	runs := 0
	for name, load := range map[string]func(engine.Engine) (engine.Session, error){
		"Load":   func(e engine.Engine) (engine.Session, error) { return e.Load(nil) },
		"LoadIn": func(e engine.Engine) (engine.Session, error) { return e.LoadIn(nil, "folder") },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		session, err := load(engine.WithContext(ctx, plain{&runs}))
		if err != nil {
			t.Fatal(err)
		}
		runs = 0
		if _, err := session.Run(nil); err != nil || runs != 1 {
			t.Errorf("%s: %d runs, %v, want one", name, runs, err)
		}
		cancel()
		if _, err := session.Run(nil); !errors.Is(err, context.Canceled) || runs != 1 {
			t.Errorf("%s: after the end %d runs, %v, want no other", name, runs, err)
		}
	}
}

func TestWithContextRunsWhatCanBeStoppedSo(t *testing.T) {
	runs := 0
	session, err := engine.WithContext(t.Context(), stopping{plain{&runs}}).Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := session.Run(nil); !errors.Is(err, errStopped) || runs != 0 {
		t.Errorf("%d plain runs, %v, want none and that of RunContext", runs, err)
	}
}
