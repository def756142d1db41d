package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onnxloss/onnxloss/models"
)

// attachIn writes a model into a folder "from" and gives the command that attaches a
// loss to it and writes "to/out.onnx", where an old file is.
func attachIn(t *testing.T, model perceptron, flags ...string) (to, out string, args []string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"from", "to"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "from", "model.onnx")
	model.write(t, path)
	to = filepath.Join(dir, "to")
	out = filepath.Join(to, "out.onnx")
	if err := os.WriteFile(out, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	return to, out, append([]string{"attach", path, "mse", "-o", out}, flags...)
}

func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range entries {
		found = append(found, e.Name())
	}
	return found
}

func digest(t *testing.T, path string) string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", hash.Sum(nil))
}

// The memory that attach needs does not grow with the weights, wherever they are and
// wherever they go.
func TestAttachNeedsLittleMemory(t *testing.T) {
	peak := func(model perceptron, flags ...string) int64 {
		to, _, args := attachIn(t, model, flags...)
		p := newProcess(t, args...)
		if slices.Contains(flags, "-") {
			file := createFile(t, filepath.Join(to, "stdout"))
			defer file.Close()
			p.Stdout = file
		}
		if err := p.Run(); err != nil {
			t.Fatalf("%v, %s", err, &p.stderr)
		}
		n, known := p.peakBytes(t)
		if !known {
			t.Skip("this system does not tell the memory of a process")
		}
		return n
	}
	const room = 12 << 20 // the garbage collector's mood
	least := peak(perceptron{layers: 4, width: 16})
	for name, test := range map[string]struct {
		external bool
		flags    []string
	}{
		"inline":                 {false, nil},
		"inline, to the output":  {false, []string{"-o", "-"}},
		"external, copied":       {true, []string{"--external", "copy"}},
		"external, linked":       {true, []string{"--external", "link"}},
		"external, as by itself": {true, nil},
		"inline, only the loss":  {false, []string{"--only-loss"}},
	} {
		t.Run(name, func(t *testing.T) {
			model := perceptron{layers: 4, width: 2048, external: test.external}
			if n := peak(model, test.flags...); n > least+room {
				t.Errorf("for %d MB of weights it takes %d MB, for none %d MB", model.bytes()>>20, n>>20, least>>20)
			}
		})
	}
}

func TestAttachStreamsToTheStandardOutput(t *testing.T) {
	_, out, args := attachIn(t, perceptron{layers: 3, width: 512})
	newProcess(t, args...).mustHold(t)
	want, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	args = append(args, "-o", "-")
	var piped bytes.Buffer
	p := newProcess(t, args...)
	p.Stdout = &piped
	p.mustHold(t)
	if !bytes.Equal(piped.Bytes(), want) {
		t.Errorf("%d bytes come out of the pipe, and not the file's %d", piped.Len(), len(want))
	}
	appended := filepath.Join(t.TempDir(), "appended")
	if err := os.WriteFile(appended, []byte("before"), 0o644); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(appended, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	p = newProcess(t, args...)
	p.Stdout = file
	p.mustHold(t)
	if got, err := os.ReadFile(appended); err != nil || !bytes.Equal(got, append([]byte("before"), want...)) {
		t.Errorf("%d bytes were appended, and not the file's %d: %v", len(got)-len("before"), len(want), err)
	}
}

// stopWhileWriting sends a signal when the command has begun to write into a folder,
// and gives the names of the files there that are not whole yet.
func stopWhileWriting(t *testing.T, p *process, folder string, signal os.Signal) []string {
	t.Helper()
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	var half []string
	for begun := time.Now(); len(half) == 0; time.Sleep(time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatal("nothing is written")
		}
		half = slices.DeleteFunc(filesIn(t, folder), func(name string) bool { return !strings.HasSuffix(name, ".tmp") })
	}
	if err := p.Process.Signal(signal); err != nil {
		t.Skip("no signals here: ", err)
	}
	if err := p.Wait(); err == nil {
		t.Skip("the file system was done before the signal came")
	}
	return half
}

// large models take long to write, and nothing to make.
var large = map[string]perceptron{
	"inline":   {layers: 7, width: 8192, sparse: true},
	"external": {layers: 7, width: 8192, sparse: true, external: true},
}

func TestAKilledAttachLeavesTheOldFileAndNoHalfFile(t *testing.T) {
	for name, model := range large {
		t.Run(name, func(t *testing.T) {
			to, out, args := attachIn(t, model)
			half := stopWhileWriting(t, newProcess(t, args...), to, os.Kill)
			if got, err := os.ReadFile(out); err != nil || string(got) != "old" {
				t.Errorf("the old file holds %d bytes, %v", len(got), err)
			}
			if !regexp.MustCompile(`^(out\.onnx|weights\.bin)\.[0-9a-f]{16}\.tmp$`).MatchString(half[0]) {
				t.Errorf("what was not finished is called %s", half[0])
			}
			if got, want := filesIn(t, to), append(half, "out.onnx"); len(got) != len(want) {
				t.Errorf("the folder holds %v, want %v", got, want)
			}
		})
	}
}

func TestAnInterruptedAttachLeavesWhatWasThere(t *testing.T) {
	for name, model := range large {
		for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
			t.Run(fmt.Sprint(name, ", ", signal), func(t *testing.T) {
				to, out, args := attachIn(t, model)
				p := newProcess(t, args...)
				stopWhileWriting(t, p, to, signal)
				if code := p.ProcessState.ExitCode(); code != exitUsage || !strings.Contains(p.stderr.String(), out) || !strings.Contains(p.stderr.String(), "context canceled") {
					t.Errorf("exit code %d, stderr %q", code, p.stderr.String())
				}
				if got, err := os.ReadFile(out); err != nil || string(got) != "old" {
					t.Errorf("the old file holds %d bytes, %v", len(got), err)
				}
				if got := filesIn(t, to); len(got) != 1 {
					t.Errorf("the folder holds %v", got)
				}
			})
		}
	}
}

// A limit on the size of files is what a full disk is, and needs no permission.
func TestAttachWithoutRoomLeavesWhatWasThere(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	for name, external := range map[string]bool{"inline": false, "external": true} {
		t.Run(name, func(t *testing.T) {
			to, out, args := attachIn(t, perceptron{layers: 4, width: 1024, external: external})
			p := newProcess(t, args...)
			p.Path, p.Args = shell, append([]string{shell, "-c", `ulimit -f 8000 && exec "$0" "$@"`}, p.Args...)
			err := p.Run()
			if code := p.ProcessState.ExitCode(); code != exitUsage || !strings.Contains(p.stderr.String(), "file too large") || !strings.Contains(p.stderr.String(), out) {
				t.Errorf("%v, stderr %q", err, p.stderr.String())
			}
			if got, err := os.ReadFile(out); err != nil || string(got) != "old" {
				t.Errorf("the old file holds %d bytes, %v", len(got), err)
			}
			if got := filesIn(t, to); len(got) != 1 {
				t.Errorf("the folder holds %v", got)
			}
		})
	}
}

func TestExternalFlagSaysWhatBecomesOfWeights(t *testing.T) {
	for _, how := range models.Externals() {
		to, out, args := attachIn(t, perceptron{layers: 2, width: 64, external: true}, "--external", string(how))
		from := filepath.Join(filepath.Dir(to), "from")
		r := command(t, args...)
		if how == models.KeepExternal {
			if r.code != exitUsage || !strings.Contains(r.stderr, "choose copy or link") {
				t.Errorf("keep: exit code %d, stderr %q", r.code, r.stderr)
			}
			args = append(args, "-o", filepath.Join(from, "out.onnx"))
			mustHold(t, args...)
			out = filepath.Join(from, "out.onnx")
		} else if r.code != 0 {
			t.Errorf("%s: exit code %d, stderr %q", how, r.code, r.stderr)
		}
		if got, want := digest(t, filepath.Join(filepath.Dir(out), weightsFile)), digest(t, filepath.Join(from, weightsFile)); got != want {
			t.Errorf("%s: the weights have changed", how)
		}
		model, err := models.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		if err := model.LoadExternal(); err != nil {
			t.Errorf("%s: %v", how, err)
		}
	}
	if r := command(t, "attach", "m.onnx", "mse", "-o", "o.onnx", "--external", "move"); r.code != exitUsage || !strings.Contains(r.stderr, "use keep, copy or link") {
		t.Errorf("exit code %d, stderr %q", r.code, r.stderr)
	}
}
