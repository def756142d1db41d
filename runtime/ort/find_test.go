package ort_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/runtime/engine"
	"github.com/onnxloss/onnxloss/runtime/ort"
)

var fileName = map[string]string{"windows": "onnxruntime.dll", "darwin": "libonnxruntime.dylib"}[runtime.GOOS]

func init() {
	if fileName == "" {
		fileName = "libonnxruntime.so"
	}
}

// libraryIn writes a file that has the library's name.
func libraryIn(t *testing.T, folder string) string {
	t.Helper()
	path := filepath.Join(folder, fileName)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("not a library"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// libraryInCache writes one where Fetch would put it.
func libraryInCache(t *testing.T) string {
	t.Helper()
	cache := emptyCache(t)
	return libraryIn(t, filepath.Join(cache, "onnxloss", "onnxruntime-1.30.0-"+runtime.GOOS+"-"+runtime.GOARCH))
}

// mustSay checks that there is an error and that it has the words in it.
func mustSay(t testing.TB, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("got no error, want one with %q", words)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q is not in: %v", word, err)
		}
	}
}

func TestFindGoesThroughThePlacesInOrder(t *testing.T) {
	asked, named := libraryIn(t, t.TempDir()), libraryIn(t, filepath.Join(t.TempDir(), "a [strange] *name"))
	cached := libraryInCache(t)
	tests := []struct {
		name, explicit, env, path, how string
	}{
		{"a file that was asked for", asked, named, asked, "asked for"},
		{"a folder that was asked for", filepath.Dir(asked), "", asked, "asked for"},
		{"a file in the environment", "", named, named, "ONNXLOSS_ORT"},
		{"a folder in the environment", "", filepath.Dir(named), named, "ONNXLOSS_ORT"},
		{"the cache", "", "", cached, "cache"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("ONNXLOSS_ORT", test.env)
			got, err := ort.Find(test.explicit)
			if err != nil || got != (ort.Location{Path: test.path, How: test.how}) {
				t.Errorf("got %+v, %v, want %s (%s)", got, err, test.path, test.how)
			}
		})
	}
}

func TestFindDoesNotReplaceWhatIsNamed(t *testing.T) {
	libraryInCache(t)
	missing := filepath.Join(t.TempDir(), "missing")
	tests := []struct{ name, explicit, env, words string }{
		{"asked for", missing, "", "asked for " + missing + " (does not exist)"},
		{"in the environment", "", missing, "ONNXLOSS_ORT " + missing + " (does not exist)"},
		{"a folder without it", filepath.Dir(missing), "", "(has no ONNX Runtime in it)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("ONNXLOSS_ORT", test.env)
			_, err := ort.Find(test.explicit)
			mustSay(t, err, "ort: found no ONNX Runtime", test.words, "set ONNXLOSS_ORT")
			if !errors.Is(err, engine.ErrUnavailable) {
				t.Errorf("want ErrUnavailable, got %v", err)
			}
		})
	}
}

func TestFindGivesAbsolutePaths(t *testing.T) {
	folder := t.TempDir()
	libraryIn(t, folder)
	t.Chdir(folder)
	for _, relative := range []string{".", fileName} {
		got, err := ort.Find(relative)
		if err != nil || !filepath.IsAbs(got.Path) {
			t.Errorf("%s: got %+v, %v", relative, got, err)
		}
	}
}

func TestFindPrefersThePlainName(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the versions in the names are Linux's")
	}
	folder := t.TempDir()
	for _, name := range []string{"libonnxruntime.so.1.30.0", "libonnxruntime_providers_shared.so", "libonnxruntime.so.1", "libonnxruntime.so"} {
		if _, err := ort.Find(folder); name == "libonnxruntime.so.1.30.0" && err == nil {
			t.Error("found a library in an empty folder")
		}
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, nil, 0o755); err != nil {
			t.Fatal(err)
		}
		want := path
		if name == "libonnxruntime_providers_shared.so" {
			want = filepath.Join(folder, "libonnxruntime.so.1.30.0")
		}
		if got, err := ort.Find(folder); err != nil || got.Path != want {
			t.Errorf("after adding %s: got %s, %v", name, got.Path, err)
		}
	}
}

func TestPlacesSayWhatIsThere(t *testing.T) {
	cached := libraryInCache(t)
	missing := filepath.Join(t.TempDir(), "missing")
	t.Setenv("ONNXLOSS_ORT", missing)
	places := ort.Places(filepath.Dir(missing))
	if len(places) < 4 {
		t.Fatalf("got %v, want the library asked for, the environment, the cache and the system", places)
	}
	want := []ort.Place{
		{How: "asked for", Path: filepath.Dir(missing), Problem: "has no ONNX Runtime in it"},
		{How: "ONNXLOSS_ORT", Path: missing, Problem: "does not exist"},
		{How: "cache", Path: filepath.Dir(cached), Library: cached},
	}
	for i := range want {
		if places[i] != want[i] {
			t.Errorf("place %d: got %+v, want %+v", i, places[i], want[i])
		}
	}
	for _, place := range places[3:] {
		if place.How != "system" || place.Path == "" || (place.Library == "") == (place.Problem == "") {
			t.Errorf("got %+v", place)
		}
	}
}

func TestPlacesWithoutACacheFolder(t *testing.T) {
	for _, variable := range []string{"HOME", "XDG_CACHE_HOME", "LocalAppData", "ONNXLOSS_ORT"} {
		t.Setenv(variable, "")
	}
	cache := ort.Places("")[0]
	if cache.How != "cache" || cache.Path != "" || cache.Problem == "" {
		t.Errorf("got %+v", cache)
	}
	mustSay(t, errors.New(cache.String()), "cache (")
}
