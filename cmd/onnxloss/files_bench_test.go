package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"
)

// BenchmarkFiles attaches a loss to large models, in a process of its own, and in
// every round copies the files that this must write with cp and sync. It needs 10 GB
// under the folder that ONNXLOSS_BENCH_FILES names.
func BenchmarkFiles(b *testing.B) {
	under := os.Getenv("ONNXLOSS_BENCH_FILES")
	if under == "" {
		b.Skip("it writes 10 GB; name a folder on a disk in ONNXLOSS_BENCH_FILES")
	}
	inline := perceptron{layers: 22, width: 4096}
	external := perceptron{layers: 45, width: 4096, external: true}
	for _, test := range []struct {
		name   string
		model  perceptron
		flags  []string
		to     string   // folder that is written to, from the model's
		writes []string // files that must be written
	}{
		{"inline", inline, nil, "to", []string{"model.onnx"}},
		{"external-copy", external, []string{"--external", "copy"}, "to", []string{"model.onnx", weightsFile}},
		{"external-link", external, []string{"--external", "link"}, "to", []string{"model.onnx"}},
		{"external-keep", external, []string{"--external", "keep"}, "", []string{"model.onnx"}},
	} {
		b.Run(test.name, func(b *testing.B) {
			dir, err := os.MkdirTemp(under, "onnxloss-bench-")
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { os.RemoveAll(dir) })
			test.model.write(b, filepath.Join(dir, "model.onnx"))
			attach := append([]string{"attach", filepath.Join(dir, "model.onnx"), "mse", "-o", filepath.Join(dir, test.to, "out.onnx")}, test.flags...)
			var ours, theirs []time.Duration
			var peak int64
			for b.Loop() {
				theirs = append(theirs, measured(b, dir, copies(dir, test.writes)))
				p := newProcess(b, attach...)
				ours = append(ours, measured(b, dir, func() { p.mustHold(b) }))
				n, _ := p.peakBytes(b)
				peak = max(peak, n)
			}
			b.ReportMetric(0, "ns/op") // of both together, which says nothing
			b.ReportMetric(milliseconds(median(ours)), "attach-ms")
			b.ReportMetric(milliseconds(median(theirs)), "cp-ms")
			b.ReportMetric(float64(median(ours))/float64(median(theirs)), "ratio")
			b.ReportMetric(float64(slices.Max(ours))/float64(slices.Min(theirs)), "worst-ratio")
			if runtime.GOOS == "linux" {
				b.ReportMetric(float64(peak)/1e6, "peak-MB")
			}
		})
	}
}

// measured times what writes to the folder "to" or the file "out.onnx", both of which
// it removes before, with nothing left for the disk to do.
func measured(b *testing.B, dir string, write func()) time.Duration {
	b.Helper()
	b.StopTimer()
	defer b.StartTimer()
	if err := os.RemoveAll(filepath.Join(dir, "to")); err != nil {
		b.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "to"), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "out.onnx")); err != nil {
		b.Fatal(err)
	}
	if err := exec.Command("sync").Run(); err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	write()
	return time.Since(start)
}

// copies has cp copy files, and sync put them onto the disk, as attach does.
func copies(dir string, files []string) func() {
	script := `cp "$@" to && cd to && sync "$@"`
	return func() {
		cmd := exec.Command("sh", append([]string{"-c", script, "sh"}, files...)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			panic(string(out))
		}
	}
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1e3 }
