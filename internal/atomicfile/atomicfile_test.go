package atomicfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/internal/atomicfile"
)

// names lists what a folder holds.
func names(t *testing.T, dir string) []string {
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

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestWriteMakesAFileAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "new")
	if err := atomicfile.Write(path, []byte("one")); err != nil {
		t.Fatal(err)
	}
	if got := content(t, path); got != "one" {
		t.Errorf("content is %q", got)
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("the folder holds %v", got)
	}
}

func TestWriteGivesThePermissionsOfAnOrdinaryFile(t *testing.T) {
	dir := t.TempDir()
	ordinary, path := filepath.Join(dir, "ordinary"), filepath.Join(dir, "new")
	if err := os.WriteFile(ordinary, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Write(path, nil); err != nil {
		t.Fatal(err)
	}
	want, err := os.Stat(ordinary)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.Mode() != want.Mode() {
		t.Errorf("mode is %v, an ordinary file's is %v", got.Mode(), want.Mode())
	}
}

func TestWriteReplacesAFileThatReadersHaveOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("old and longer"), 0o644); err != nil {
		t.Fatal(err)
	}
	reader, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := atomicfile.Write(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	old := make([]byte, 32)
	n, err := reader.Read(old)
	if err != nil || string(old[:n]) != "old and longer" {
		t.Errorf("the open reader sees %q, %v", old[:n], err)
	}
	if got := content(t, path); got != "new" {
		t.Errorf("content is %q", got)
	}
}

func TestWriteFollowsALink(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := os.WriteFile(target, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("target", link); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	if err := atomicfile.Write(link, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if got := content(t, target); got != "new" {
		t.Errorf("the target holds %q", got)
	}
	info, err := os.Lstat(link)
	if err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link became %v, %v", info.Mode(), err)
	}
}

func TestWriteLeavesADeviceInPlace(t *testing.T) {
	before, err := os.Stat(os.DevNull)
	if err != nil || before.Mode().IsRegular() {
		t.Skip("no null device here")
	}
	if err := atomicfile.Write(os.DevNull, []byte("gone")); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(os.DevNull)
	if err != nil || after.Mode() != before.Mode() {
		t.Errorf("the null device became %v, %v", after.Mode(), err)
	}
}

func TestWriteErrorsNameThePathAndLeaveNothing(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("kept"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ path, says string }{
		"a directory":         {filepath.Join(dir, "folder"), "it is a directory"},
		"no such folder":      {filepath.Join(dir, "missing", "file"), "no such file or directory"},
		"a file as a folder":  {filepath.Join(file, "below"), "not a directory"},
		"no path":             {"", "the path is empty"},
		"a name that is long": {filepath.Join(dir, strings.Repeat("x", 300)), "file name too long"},
	} {
		t.Run(name, func(t *testing.T) {
			err := atomicfile.Write(test.path, []byte("data"))
			if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), test.path) {
				t.Fatalf("error is %v, want one that says %q and the path", err, test.says)
			}
			if strings.Contains(err.Error(), ".tmp") {
				t.Errorf("the error names the temporary file: %v", err)
			}
			if got := names(t, dir); len(got) != 2 {
				t.Errorf("the folder holds %v", got)
			}
		})
	}
	if got := content(t, file); got != "kept" {
		t.Errorf("the file beside holds %q", got)
	}
}

func TestWriteIntoAFolderWithoutPermission(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "closed")
	if err := os.Mkdir(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	probe := filepath.Join(dir, "probe")
	if os.WriteFile(probe, nil, 0o644) == nil {
		t.Skip("this user writes anywhere, as root does")
	}
	err := atomicfile.Write(filepath.Join(dir, "file"), []byte("data"))
	if !errors.Is(err, fs.ErrPermission) {
		t.Fatalf("error is %v, want one for permission", err)
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("the folder holds %v", got)
	}
}
