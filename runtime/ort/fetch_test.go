package ort_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/onnxloss/onnxloss/runtime/ort"
)

// emptyCache gives the user an empty cache folder.
func emptyCache(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	for _, variable := range []string{"HOME", "XDG_CACHE_HOME", "LocalAppData"} {
		t.Setenv(variable, home)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return cache
}

// npmIs puts a shell script called npm in front of the PATH.
func npmIs(t *testing.T, script string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the stand-in for npm is a shell script")
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "npm"), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func filesIn(t *testing.T, folder string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return files
}

func TestFetchThatFailsLeavesNothing(t *testing.T) {
	tests := []struct {
		name, script string
		words        []string
	}{
		{"other content", `echo garbage > onnxruntime-node-1.30.0.tgz`, []string{"sha512", "want twhs1C2C", "nothing was installed"}},
		{"npm fails", `echo "npm error code E404" >&2; echo "npm error 404 no such package" >&2; exit 1`, []string{"npm pack onnxruntime-node@1.30.0 failed", "code E404, 404 no such package"}},
		{"npm fails without a word of its own", `echo "out of memory" >&2; exit 1`, []string{"out of memory"}},
		{"npm writes no archive", `true`, []string{"left 0 archives"}},
		{"npm writes two archives", `: >a.tgz; : >b.tgz`, []string{"left 2 archives"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cache := emptyCache(t)
			t.Setenv("TMPDIR", t.TempDir())
			npmIs(t, test.script)
			_, err := ort.Fetch(t.Context(), nil)
			mustSay(t, err, append(test.words, "ort: fetch: ")...)
			if files := append(filesIn(t, cache), filesIn(t, os.TempDir())...); len(files) > 0 {
				t.Errorf("left %q", files)
			}
		})
	}
}

func TestFetchWithoutNpm(t *testing.T) {
	emptyCache(t)
	t.Setenv("PATH", t.TempDir())
	_, err := ort.Fetch(t.Context(), nil)
	mustSay(t, err, "npm is not on the PATH", "install Node.js", "ONNXLOSS_ORT")
}

func TestFetchWithoutCacheFolder(t *testing.T) {
	for _, variable := range []string{"HOME", "XDG_CACHE_HOME", "LocalAppData"} {
		t.Setenv(variable, "")
	}
	_, err := ort.Fetch(t.Context(), nil)
	mustSay(t, err, "ort: fetch: there is no folder to keep the library in")
}

func TestFetchStopsWithItsContext(t *testing.T) {
	emptyCache(t)
	npmIs(t, "sleep 60")
	ctx, cancel := context.WithCancel(t.Context())
	_, err := ort.Fetch(ctx, func(string) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestFetchDoesNothingIfTheLibraryIsThere(t *testing.T) {
	library := libraryInCache(t)
	t.Setenv("PATH", t.TempDir())
	location, err := ort.Fetch(t.Context(), func(message string) { t.Errorf("progress: %s", message) })
	if err != nil || location.Path != library {
		t.Errorf("got %+v, %v, want %s", location, err, library)
	}
}
