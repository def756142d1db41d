package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// BenchmarkFiles attaches a loss to large models with the command, in a process of its
// own, and in every round copies the files that this must write with cp and sync. It
// needs 10 GB on a disk, in the folder that ONNXLOSS_BENCH_FILES names.
func BenchmarkFiles(b *testing.B) {
	under := os.Getenv("ONNXLOSS_BENCH_FILES")
	if under == "" {
		b.Skip("it writes 10 GB; name a folder on a disk in ONNXLOSS_BENCH_FILES")
	}
	inline := perceptron{layers: 23, width: 4096}
	external := perceptron{layers: 45, width: 4096, external: true}
	b.Run("inline", func(b *testing.B) {
		files := newBenchFiles(b, under, inline)
		b.Run("write", func(b *testing.B) { files.run(b, "to", []string{"model.onnx"}) })
	})
	b.Run("external", func(b *testing.B) {
		files := newBenchFiles(b, under, external)
		b.Run("copy", func(b *testing.B) { files.run(b, "to", []string{"model.onnx", weightsFile}, "--external", "copy") })
		b.Run("link", func(b *testing.B) { files.run(b, "to", []string{"model.onnx"}, "--external", "link") })
		b.Run("keep", func(b *testing.B) { files.run(b, ".", []string{"model.onnx"}, "--external", "keep") })
	})
}

// benchFiles is a folder with a model, and with a folder "to" that is written into.
type benchFiles string

func newBenchFiles(b *testing.B, under string, model perceptron) benchFiles {
	b.Helper()
	dir, err := os.MkdirTemp(under, "onnxloss-bench-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	model.write(b, filepath.Join(dir, "model.onnx"))
	return benchFiles(dir)
}

// run reports the medians of all rounds in milliseconds, that of the rounds' ratios,
// and the most memory that attach had. Files are copied into "to" and attach writes
// out.onnx in the folder that is given.
func (f benchFiles) run(b *testing.B, folder string, copied []string, flags ...string) {
	attach := append([]string{"attach", filepath.Join(string(f), "model.onnx"), "mse", "-o", filepath.Join(string(f), folder, "out.onnx")}, flags...)
	var ours, theirs, unsynced, ratios []float64
	var peak int64
	for b.Loop() {
		f.clear(b)
		p := newProcess(b, attach...)
		ours = append(ours, milliseconds(func() { p.mustHold(b) }))
		n, _ := p.peakBytes(b)
		peak = max(peak, n)

		f.clear(b)
		cp := milliseconds(func() { f.shell(b, `cp "$@" to`, copied) })
		sync := milliseconds(func() { f.shell(b, `cd to && sync "$@"`, copied) })
		unsynced, theirs = append(unsynced, cp), append(theirs, cp+sync)
		ratios = append(ratios, ours[len(ours)-1]/(cp+sync))
	}
	b.ReportMetric(0, "ns/op") // of both together, which says nothing
	b.ReportMetric(median(ours), "attach-ms")
	b.ReportMetric(median(theirs), "cp-sync-ms")
	b.ReportMetric(median(unsynced), "cp-alone-ms")
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(float64(peak)/1e6, "peak-MB")
}

// clear removes what was written, and leaves the disk nothing to do.
func (f benchFiles) clear(b *testing.B) {
	b.Helper()
	f.shell(b, `rm -rf to out.onnx && mkdir to && sync`, nil)
}

func (f benchFiles) shell(b *testing.B, script string, args []string) {
	b.Helper()
	cmd := exec.Command("sh", append([]string{"-c", script, "sh"}, args...)...)
	cmd.Dir = string(f)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%s: %v, %s", script, err, out)
	}
}

func milliseconds(do func()) float64 {
	start := time.Now()
	do()
	return time.Since(start).Seconds() * 1e3
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
