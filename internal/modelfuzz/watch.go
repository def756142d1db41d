package modelfuzz

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// What reading a model may take: for a file of n bytes base + perByte * n bytes of
// memory, garbage included, and no more time than patience. An empty message is two
// bytes long in a file and has up to 300 in memory, with its place in the file and in
// lists that grow: 190 for each byte is the most that Large models take. What calls of
// functions cost, however small the file, is within base.
const (
	base     = 16 << 20
	perByte  = 256
	patience = 20 * time.Second
)

// Watch calls f, which goes over a model of so many bytes so many times, and fails
// where that takes too much memory or time. A panic or a call that does not end stops the process, which
// is how a fuzzer learns of it.
func Watch(t *testing.T, times, size int, f func()) {
	t.Helper()
	timer := time.AfterFunc(patience, func() { panic(fmt.Sprintf("a model of %d bytes took longer than %s", size, patience)) })
	defer timer.Stop()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if took, most := after.TotalAlloc-before.TotalAlloc, uint64(times*(base+perByte*size)); took > most {
		t.Errorf("a model of %d bytes took %d bytes of memory, more than %d", size, took, most)
	}
}
