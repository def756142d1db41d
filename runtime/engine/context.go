package engine

import "context"

// Cancellable is a Session that can be stopped while it runs.
type Cancellable interface {
	Session
	// RunContext does as Run, and ends with an error that wraps that of ctx soon
	// after ctx is done.
	RunContext(ctx context.Context, inputs map[string]Tensor) (map[string]Tensor, error)
}

// WithContext gives an engine whose sessions run no longer than ctx: those that are
// Cancellable stop, others finish the run that they are in, and none starts another.
func WithContext(ctx context.Context, e Engine) Engine { return bounded{e, ctx} }

type bounded struct {
	Engine
	ctx context.Context
}

func (b bounded) Load(model []byte) (Session, error) {
	return b.bound(b.Engine.Load(model))
}

func (b bounded) LoadIn(model []byte, folder string) (Session, error) {
	return b.bound(b.Engine.LoadIn(model, folder))
}

func (b bounded) bound(s Session, err error) (Session, error) {
	if err != nil {
		return nil, err
	}
	return boundedSession{s, b.ctx}, nil
}

type boundedSession struct {
	Session
	ctx context.Context
}

func (b boundedSession) Run(inputs map[string]Tensor) (map[string]Tensor, error) {
	if err := b.ctx.Err(); err != nil {
		return nil, err
	}
	if c, ok := b.Session.(Cancellable); ok {
		return c.RunContext(b.ctx, inputs)
	}
	return b.Session.Run(inputs)
}
