package interp

import "testing"

// LimitTensors lowers the bound on one tensor's size, for a test that tries models
// which ask for too much.
func LimitTensors(t testing.TB, bytes int) {
	before := maxTensorBytes
	maxTensorBytes = bytes
	t.Cleanup(func() { maxTensorBytes = before })
}
