package ort

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

const platform = runtime.GOOS + "/" + runtime.GOARCH

// packed makes an npm package of files and a stand-in for npm that hands it out.
func packed(t *testing.T, files map[string]string) archive {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the stand-in for npm is a shell script")
	}
	var compressed bytes.Buffer
	plain := gzip.NewWriter(&compressed)
	contents := tar.NewWriter(plain)
	for name, text := range files {
		header := &tar.Header{Name: "package/bin/napi-v6/" + name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}
		if err := contents.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := contents.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := contents.Close(); err != nil {
		t.Fatal(err)
	}
	if err := plain.Close(); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	tgz, npm := filepath.Join(folder, "p.tgz"), filepath.Join(folder, "npm")
	script := "#!/bin/sh\ntest \"$1 $2\" = \"pack thing@1.0\" && cp '" + tgz + "' thing-1.0.tgz\n"
	for name, content := range map[string]string{tgz: compressed.String(), npm: script} {
		if err := os.WriteFile(name, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", folder+string(os.PathListSeparator)+os.Getenv("PATH"))
	sum := sha512.Sum512(compressed.Bytes())
	return archive{name: "thing@1.0", sha512: base64.StdEncoding.EncodeToString(sum[:])}
}

func TestFetchInstallsTheFilesOfThisPlatform(t *testing.T) {
	a := packed(t, map[string]string{"here/helper.dll": "helper", "here/library.so": "library", "elsewhere/library.so": "other"})
	a.files = map[string][]string{platform: {"here/helper.dll", "here/library.so"}, "plan9/mips": {"elsewhere/library.so"}}
	folder := filepath.Join(t.TempDir(), "deep", "cache")
	var messages []string
	path, err := a.fetch(t.Context(), folder, func(message string) { messages = append(messages, message) })
	if err != nil {
		t.Fatal(err)
	}
	if path != filepath.Join(folder, "library.so") {
		t.Errorf("got %s", path)
	}
	for name, want := range map[string]string{"helper.dll": "helper", "library.so": "library"} {
		got, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 2 {
		t.Errorf("the folder has %v (%v), want two files", entries, err)
	}
	if !slices.ContainsFunc(messages, func(m string) bool { return strings.Contains(m, "downloading thing@1.0") }) {
		t.Errorf("progress: got %q", messages)
	}
}

func TestFetchByTwoAtOnce(t *testing.T) {
	a := packed(t, map[string]string{"library.so": strings.Repeat("library", 100000)})
	a.files = map[string][]string{platform: {"library.so"}}
	folder := t.TempDir()
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if _, err := a.fetch(t.Context(), folder, func(string) {}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 1 {
		t.Errorf("the folder has %v (%v), want one file", entries, err)
	}
}

func TestFetchOfWhatIsNotInTheArchive(t *testing.T) {
	a := packed(t, map[string]string{"library.so": "library"})
	tests := []struct {
		files map[string][]string
		words string
	}{
		{map[string][]string{platform: {"library.so", "missing.so"}}, "1 of 2 files are not in it"},
		{map[string][]string{"plan9/mips": {"library.so"}}, "no library for " + platform + "; build ONNX Runtime and set ONNXLOSS_ORT"},
	}
	for _, test := range tests {
		a.files = test.files
		folder := t.TempDir()
		_, err := a.fetch(t.Context(), folder, func(string) {})
		if err == nil || !strings.Contains(err.Error(), test.words) {
			t.Errorf("got %v, want %q", err, test.words)
		}
		if entries, err := os.ReadDir(folder); err != nil || len(entries) > 0 {
			t.Errorf("left %v, %v", entries, err)
		}
	}
}
