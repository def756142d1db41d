package atomicfile_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/onnxloss/onnxloss/internal/atomicfile"
)

// halfWritten, in the environment, makes of the test's program one that starts to
// write the file of that name and does not get further.
const halfWritten = "ATOMICFILE_TEST_HALF_WRITTEN"

func TestMain(m *testing.M) {
	path := os.Getenv(halfWritten)
	if path == "" {
		os.Exit(m.Run())
	}
	file, err := atomicfile.Create(path, 0o644)
	if err == nil {
		_, err = file.Write([]byte("half"))
	}
	if err != nil {
		panic(err)
	}
	os.Stdout.WriteString("started\n")
	time.Sleep(time.Minute)
}

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

func TestWriteKeepsThePermissionsOfTheFileThatItReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, mode := range []fs.FileMode{0o600, 0o666, 0o444} { // 0666 is more than umask lets new files have
		if err := errors.Join(os.WriteFile(path, nil, 0o644), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		before, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := atomicfile.Write(path, []byte("new")); err != nil {
			t.Fatal(err)
		}
		after, err := os.Stat(path)
		if err != nil || after.Mode() != before.Mode() || content(t, path) != "new" {
			t.Errorf("mode %v became %v, %v", before.Mode(), after.Mode(), err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWriteFollowsALinkToNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"one": "sub/two", "sub/two": "../three"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Skip("no symbolic links here: ", err)
		}
	}
	if err := atomicfile.Write(filepath.Join(dir, "one"), []byte("new")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(filepath.Join(dir, "three"))
	if err != nil || !info.Mode().IsRegular() || content(t, filepath.Join(dir, "one")) != "new" {
		t.Errorf("the file is %v, %v", info, err)
	}
}

func TestWriteTakesTheLongestNames(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{strings.Repeat("x", 255), strings.Repeat("\u00e9", 127)} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Skip("no long names here: ", err)
		}
		if err := atomicfile.Write(filepath.Join(dir, name), []byte("new")); err != nil {
			t.Fatal(err)
		}
		if got := content(t, filepath.Join(dir, name)); got != "new" {
			t.Errorf("content is %q", got)
		}
	}
}

func TestWriteGoesThroughAPipe(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	path := filepath.Join("/dev/fd", strconv.Itoa(int(writer.Fd())))
	if _, err := os.Stat(path); err != nil {
		t.Skip("no names of open files here: ", err)
	}
	if err := errors.Join(atomicfile.Write(path, []byte("through")), writer.Close()); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(reader); err != nil || string(got) != "through" {
		t.Errorf("what comes out is %q, %v", got, err)
	}
}

func create(t *testing.T, path string) *atomicfile.File {
	t.Helper()
	file, err := atomicfile.Create(path, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestNothingIsSeenBeforeCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	file := create(t, path)
	for _, part := range []string{"new", " and", " in parts"} {
		if _, err := io.WriteString(file, part); err != nil {
			t.Fatal(err)
		}
		if got := content(t, path); got != "old" {
			t.Fatalf("before it is whole the content is %q", got)
		}
	}
	if err := file.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, path); got != "new and in parts" {
		t.Errorf("content is %q", got)
	}
	if err := errors.Join(file.Abort(), file.Abort()); err != nil || content(t, path) != "new and in parts" {
		t.Errorf("after Commit, Abort does something: %v", err)
	}
	if _, err := file.Write(nil); err == nil || file.Commit() == nil {
		t.Error("after Commit, the file can be written")
	}
}

func TestAbortLeavesWhatWasThere(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, "old")
	if err := os.WriteFile(old, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{old, filepath.Join(dir, "new")} {
		file := create(t, path)
		if _, err := file.Write([]byte("half")); err != nil {
			t.Fatal(err)
		}
		if got := names(t, dir); len(got) != 2 {
			t.Fatalf("while it is written the folder holds %v", got)
		}
		if err := file.Abort(); err != nil {
			t.Fatal(err)
		}
		if got := names(t, dir); len(got) != 1 || content(t, old) != "old" {
			t.Errorf("the folder holds %v", got)
		}
	}
}

func TestReadFromTakesAPartOfAFile(t *testing.T) {
	dir := t.TempDir()
	data := bytes.Repeat([]byte("0123456789abcde"), 100_000)
	if err := os.WriteFile(filepath.Join(dir, "from"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(filepath.Join(dir, "from"))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	const start, length = 7, 1_234_567
	if _, err := from.Seek(start, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	file := create(t, filepath.Join(dir, "to"))
	if _, err := file.Write([]byte("before ")); err != nil {
		t.Fatal(err)
	}
	if n, err := io.CopyN(file, from, length); err != nil || n != length {
		t.Fatal(n, err)
	}
	if _, err := file.ReadFrom(strings.NewReader(" after")); err != nil {
		t.Fatal(err)
	}
	if err := file.Commit(); err != nil {
		t.Fatal(err)
	}
	if want := "before " + string(data[start:start+length]) + " after"; content(t, filepath.Join(dir, "to")) != want {
		t.Error("the bytes are others")
	}
}

func TestReadFromNamesTheFileThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	folder, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	file := create(t, filepath.Join(dir, "file"))
	if _, err := file.ReadFrom(struct{ io.Reader }{folder}); err == nil || !strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), ".tmp") {
		t.Errorf("error is %v, want one that names %s", err, dir)
	}
	if err := file.Abort(); err != nil {
		t.Fatal(err)
	}
}

func TestAKilledProcessLeavesTheOldFileAndOneThatCanBeToldByItsName(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), halfWritten+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "started\n" {
		t.Fatalf("the process says %q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the process ended by itself")
	}
	if got := content(t, path); got != "old" {
		t.Errorf("content is %q", got)
	}
	left := names(t, dir)
	if len(left) != 2 || !regexp.MustCompile(`^file\.[0-9a-f]{16}\.tmp$`).MatchString(left[1]) {
		t.Errorf("the folder holds %v", left)
	}
}
