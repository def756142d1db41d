package main

import (
	"errors"

	"github.com/onnxloss/onnxloss/runtime/engine"
)

// The exit codes.
const (
	exitHolds       = 0
	exitDiffers     = 1 // something was compared and differs
	exitUsage       = 2 // usage, or input that cannot be read
	exitUnavailable = 3 // an engine or a provider that was asked for is not there
)

// errDiffers says that something was compared and does not hold.
var errDiffers = errors.New("verification failed")

func exitCode(err error) int {
	switch {
	case err == nil:
		return exitHolds
	case errors.Is(err, errDiffers):
		return exitDiffers
	case errors.Is(err, engine.ErrUnavailable):
		return exitUnavailable
	}
	return exitUsage
}
