package models_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/models"
	"github.com/onnxloss/onnxloss/ops"
)

// scattered opens a model with tensors here and there in two files, one of them below
// the model's folder.
func scattered(t *testing.T) *models.Model {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "deep", "er"), 0o755); err != nil {
		t.Fatal(err)
	}
	p, random := small(weight()), rand.NewChaCha8([32]byte{})
	for _, location := range []string{"a.bin", "deep/er/b.bin"} {
		data := make([]byte, 1<<20)
		if _, err := random.Read(data); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, filepath.FromSlash(location)), data)
		for _, place := range [][2]int{{0, 4}, {4, 400}, {4096, 1 << 18}, {777_777, 40}, {1 << 20, 0}} {
			tensor := apart(location, fmt.Sprint(place[0]), fmt.Sprint(place[1]))
			tensor.Name = proto.String(fmt.Sprint(location, place))
			tensor.Dims = []int64{int64(place[1] / 4)}
			p.Graph.Initializer = append(p.Graph.Initializer, tensor)
		}
	}
	return open(t, write(t, filepath.Join(dir, "model.onnx"), encode(t, p)))
}

var dataFiles = []string{"a.bin", filepath.Join("deep", "er", "b.bin")}

// tree lists what is in a folder and below.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if path != dir {
			found = append(found, strings.TrimPrefix(path, dir+string(filepath.Separator)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func wantTree(t *testing.T, dir string, want ...string) {
	t.Helper()
	if got := tree(t, dir); !slices.Equal(got, want) {
		t.Errorf("the folder holds %v, want %v", got, want)
	}
}

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func stat(t *testing.T, path ...string) fs.FileInfo {
	t.Helper()
	info, err := os.Lstat(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// whole is the model's message with all data in it.
func whole(t *testing.T, m *models.Model) *onnxpb.ModelProto {
	t.Helper()
	loaded := *m
	if err := loaded.LoadExternal(); err != nil {
		t.Fatal(err)
	}
	return loaded.Proto
}

func TestParseExternal(t *testing.T) {
	for _, how := range append(models.Externals(), "") {
		if got, err := models.ParseExternal(string(how)); err != nil || got != how {
			t.Errorf("%q is %q, %v", how, got, err)
		}
	}
	for _, text := range []string{"move", "Copy", "copy ", "symlink"} {
		_, err := models.ParseExternal(text)
		wantError(t, err, fmt.Sprintf("%q", text), "use keep, copy or link")
	}
}

func TestDataAreTheSameInAnotherFolder(t *testing.T) {
	for _, how := range []models.External{"", models.CopyExternal, models.LinkExternal} {
		t.Run(string(how), func(t *testing.T) {
			model := scattered(t)
			from, to := filepath.Dir(model.Path), t.TempDir()
			if err := os.Chmod(filepath.Join(from, "a.bin"), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"first.onnx", "second.onnx"} { // the second finds the data there
				if err := model.SaveAs(t.Context(), filepath.Join(to, name), how); err != nil {
					t.Fatal(err)
				}
			}
			wantTree(t, to, "a.bin", "deep", filepath.Join("deep", "er"), filepath.Join("deep", "er", "b.bin"), "first.onnx", "second.onnx")
			for _, name := range dataFiles {
				if !bytes.Equal(read(t, from, name), read(t, to, name)) {
					t.Errorf("the bytes of %s have changed", name)
				}
				before, after := stat(t, from, name), stat(t, to, name)
				if linked := os.SameFile(before, after); linked != (how == models.LinkExternal) || before.Mode() != after.Mode() {
					t.Errorf("%s: one file is %v, %v became %v", name, linked, before.Mode(), after.Mode())
				}
			}
			if !bytes.Equal(read(t, model.Path), read(t, to, "first.onnx")) {
				t.Error("the bytes of the model have changed")
			}
			if !proto.Equal(whole(t, open(t, filepath.Join(to, "second.onnx"))), whole(t, model)) {
				t.Error("the data of some tensor have changed")
			}
		})
	}
}

func TestDataStayInTheSameFolder(t *testing.T) {
	for _, how := range append(models.Externals(), "") {
		t.Run(string(how), func(t *testing.T) {
			model := scattered(t)
			dir := filepath.Dir(model.Path)
			before := stat(t, dir, "a.bin")
			saved := filepath.Join(dir, "deep", "..", "z.onnx")
			if err := model.SaveAs(t.Context(), saved, how); err != nil {
				t.Fatal(err)
			}
			wantTree(t, dir, "a.bin", "deep", filepath.Join("deep", "er"), filepath.Join("deep", "er", "b.bin"), "model.onnx", "z.onnx")
			if !os.SameFile(before, stat(t, dir, "a.bin")) {
				t.Error("the data are another file")
			}
			if !proto.Equal(whole(t, open(t, saved)), whole(t, model)) {
				t.Error("the data of some tensor have changed")
			}
		})
	}
}

func TestKeepNeedsTheModelsFolder(t *testing.T) {
	model, to := scattered(t), t.TempDir()
	err := model.SaveAs(t.Context(), filepath.Join(to, "model.onnx"), models.KeepExternal)
	wantError(t, err, filepath.Join(to, "model.onnx"), filepath.Dir(model.Path), "choose copy or link")
	wantTree(t, to)
}

// Two subgraphs may have tensors of one name.
func TestEveryFileIsFoundWhereTensorsHaveOneName(t *testing.T) {
	branch := func(location string) *onnxpb.AttributeProto {
		return graphAttribute("branch", &onnxpb.GraphProto{Initializer: []*onnxpb.TensorProto{apart(location, "4", "8")}})
	}
	p := small(weight())
	p.Graph.Node = append(p.Graph.Node, node("If x -> z", branch("data"), branch("sub/data")))
	model, to := folder(t, p), t.TempDir()
	if files, err := model.ExternalFiles(); err != nil || !slices.Equal(files, []string{"data", "sub/data"}) {
		t.Errorf("files are %v, %v", files, err)
	}
	if err := model.Save(filepath.Join(to, "model.onnx")); err != nil {
		t.Fatal(err)
	}
	wantTree(t, to, "data", "model.onnx", "sub", filepath.Join("sub", "data"))
}

func TestRoundaboutNamesLeadToTheDataInAnotherFolder(t *testing.T) {
	for _, how := range []models.External{models.CopyExternal, models.LinkExternal} {
		p := small(apart("./sub/../data", "4", "8"))
		model, to := folder(t, p), t.TempDir()
		if err := model.SaveAs(t.Context(), filepath.Join(to, "model.onnx"), how); err != nil {
			t.Fatal(err)
		}
		wantTree(t, to, "data", "model.onnx", "sub")
		if !proto.Equal(whole(t, open(t, filepath.Join(to, "model.onnx"))), small(weight())) {
			t.Error("the data have changed")
		}
		to = t.TempDir()
		write(t, filepath.Join(to, "data"), []byte("other"))
		wantError(t, model.SaveAs(t.Context(), filepath.Join(to, "model.onnx"), how), "has another of this name")
		wantTree(t, to, "data")
	}
}

func TestWhatIsThereIsNotReplaced(t *testing.T) {
	flipped := func(t *testing.T, from, to string) {
		data := read(t, from, "a.bin")
		data[len(data)-1] ^= 1
		write(t, filepath.Join(to, "a.bin"), data)
	}
	for name, test := range map[string]struct {
		prepare func(t *testing.T, from, to string)
		says    string
	}{
		"another length": {func(t *testing.T, _, to string) { write(t, filepath.Join(to, "a.bin"), []byte("mine")) }, "has another of this name; remove it"},
		"other content":  {flipped, "has another of this name; remove it"},
		"a folder": {func(t *testing.T, _, to string) {
			if err := os.Mkdir(filepath.Join(to, "a.bin"), 0o755); err != nil {
				t.Fatal(err)
			}
		}, "has another of this name"},
		"a link to nothing": {func(t *testing.T, _, to string) { symlink(t, "nothing", filepath.Join(to, "a.bin")) }, "no such file"},
		"a link that leads out": {func(t *testing.T, from, to string) {
			symlink(t, filepath.Join(from, "a.bin"), filepath.Join(to, "a.bin"))
		}, "escapes"},
		"a folder somewhere":     {func(t *testing.T, _, to string) { symlink(t, t.TempDir(), filepath.Join(to, "deep")) }, "escapes"},
		"a file for a folder":    {func(t *testing.T, _, to string) { write(t, filepath.Join(to, "deep"), nil) }, "not a directory"},
		"a folder for the model": {func(t *testing.T, _, to string) { mkdir(t, filepath.Join(to, "model.onnx")) }, "name a file"},
		"a pipe for the model": {func(t *testing.T, _, to string) {
			if err := exec.Command("mkfifo", filepath.Join(to, "model.onnx")).Run(); err != nil {
				t.Skip("no pipes with names here: ", err)
			}
		}, "name a file"},
		"a model that cannot take its name": {func(t *testing.T, _, to string) { symlink(t, "no/such", filepath.Join(to, "model.onnx")) }, "no such file"},
	} {
		for _, how := range []models.External{models.CopyExternal, models.LinkExternal} {
			t.Run(name+", "+string(how), func(t *testing.T) {
				model, to := scattered(t), t.TempDir()
				test.prepare(t, filepath.Dir(model.Path), to)
				before := tree(t, to)
				err := model.SaveAs(t.Context(), filepath.Join(to, "model.onnx"), how)
				wantError(t, err, "models: save ", test.says, to)
				wantTree(t, to, before...)
			})
		}
	}
}

func symlink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestAFileOfTheSameContentStays(t *testing.T) {
	model, to := scattered(t), t.TempDir()
	path := write(t, filepath.Join(to, "a.bin"), read(t, filepath.Dir(model.Path), "a.bin"))
	before := stat(t, path)
	for _, how := range []models.External{models.CopyExternal, models.LinkExternal} {
		if err := model.SaveAs(t.Context(), filepath.Join(to, "model.onnx"), how); err != nil {
			t.Fatal(err)
		}
	}
	if !os.SameFile(before, stat(t, path)) {
		t.Error("the file was replaced")
	}
}

// A data file that is a symbolic link is a file of its own in another folder.
func TestLinkedDataAreFollowed(t *testing.T) {
	for _, how := range []models.External{models.CopyExternal, models.LinkExternal} {
		t.Run(string(how), func(t *testing.T) {
			model, to := scattered(t), t.TempDir()
			from := filepath.Dir(model.Path)
			if err := os.Rename(filepath.Join(from, "a.bin"), filepath.Join(from, "deep", "a")); err != nil {
				t.Fatal(err)
			}
			symlink(t, filepath.Join("deep", "a"), filepath.Join(from, "a.bin"))
			if err := model.SaveAs(t.Context(), filepath.Join(to, "model.onnx"), how); err != nil {
				t.Fatal(err)
			}
			if info := stat(t, to, "a.bin"); !info.Mode().IsRegular() {
				t.Errorf("it became %v", info.Mode())
			}
			if !proto.Equal(whole(t, open(t, filepath.Join(to, "model.onnx"))), whole(t, model)) {
				t.Error("the data of some tensor have changed")
			}
		})
	}
}

// A cache of downloaded models has the files under other names in another folder, and
// links to them. A link to anywhere else stays refused.
func TestDataOfALinkedModelAreFoundBesideIt(t *testing.T) {
	for _, how := range []models.External{models.CopyExternal, models.LinkExternal} {
		t.Run(string(how), func(t *testing.T) {
			original, cache, to := scattered(t), t.TempDir(), t.TempDir()
			want := whole(t, original)
			for _, folder := range []string{"blobs", "snapshot", "snapshot/deep", "snapshot/deep/er"} {
				mkdir(t, filepath.Join(cache, filepath.FromSlash(folder)))
			}
			files, err := original.ExternalFiles()
			if err != nil {
				t.Fatal(err)
			}
			for i, name := range append(files, "model.onnx") {
				blob := filepath.Join(cache, "blobs", fmt.Sprint(i))
				write(t, blob, read(t, filepath.Dir(original.Path), filepath.FromSlash(name)))
				symlink(t, blob, filepath.Join(cache, "snapshot", filepath.FromSlash(name)))
			}
			model := open(t, filepath.Join(cache, "snapshot", "model.onnx"))
			if !proto.Equal(whole(t, model), want) {
				t.Error("the data of some tensor are others")
			}
			for _, file := range model.Summary().Files {
				if file.Problem != nil {
					t.Error(file.Problem)
				}
			}
			if err := model.SaveAs(t.Context(), filepath.Join(to, "model.onnx"), how); err != nil {
				t.Fatal(err)
			}
			for _, name := range append(files, "model.onnx") {
				if info := stat(t, to, filepath.FromSlash(name)); !info.Mode().IsRegular() {
					t.Errorf("%s became %v", name, info.Mode())
				}
			}
			if !proto.Equal(whole(t, open(t, filepath.Join(to, "model.onnx"))), want) {
				t.Error("the data of some tensor have changed")
			}
			elsewhere := write(t, filepath.Join(t.TempDir(), "secret"), read(t, cache, "blobs", "0"))
			link := filepath.Join(cache, "snapshot", filepath.FromSlash(files[0]))
			if err := os.Remove(link); err != nil {
				t.Fatal(err)
			}
			symlink(t, elsewhere, link)
			wantError(t, model.LoadExternal(), files[0])
			wantError(t, model.SaveAs(t.Context(), filepath.Join(t.TempDir(), "model.onnx"), how), files[0])
		})
	}
}

// looks is a context that is cancelled when it has been looked at so often.
type looks struct {
	context.Context
	left int
}

func (l *looks) Err() error {
	if l.left--; l.left < 0 {
		return context.Canceled
	}
	return nil
}

func TestACancelledSaveLeavesWhatWasThere(t *testing.T) {
	model := scattered(t)
	for left := 0; ; left++ {
		to := t.TempDir()
		old := write(t, filepath.Join(to, "model.onnx"), []byte("old"))
		err := model.SaveAs(&looks{t.Context(), left}, old, models.CopyExternal)
		if err == nil {
			if left < 3 { // two data files and the model
				t.Errorf("there are %d looks", left)
			}
			return
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("after %d looks the error is %v", left, err)
		}
		wantTree(t, to, "model.onnx")
		if got := read(t, old); string(got) != "old" {
			t.Errorf("after %d looks the file holds %q", left, got)
		}
	}
}

func TestHardLinksStayOnOneFileSystem(t *testing.T) {
	to, err := os.MkdirTemp("/dev/shm", "onnxloss-test-")
	if err != nil {
		t.Skip("no second file system here: ", err)
	}
	t.Cleanup(func() { os.RemoveAll(to) })
	model := scattered(t)
	if os.Link(model.Path, filepath.Join(to, "probe")) == nil {
		t.Skip("no second file system here")
	}
	path := filepath.Join(to, "model.onnx")
	err = model.SaveAs(t.Context(), path, models.LinkExternal)
	wantError(t, err, path, `file "a.bin"`, "a hard link to", "must be on the same file system", "use copy")
	wantTree(t, to)
	if err := model.SaveAs(t.Context(), path, models.CopyExternal); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(whole(t, open(t, path)), whole(t, model)) {
		t.Error("the data of some tensor have changed")
	}
}

// mount gives a small file system in memory, where the user may have one.
func mount(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "onnxloss-test", dir).CombinedOutput(); err != nil {
		t.Skipf("no file system can be mounted here: %v, %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("unmount %s: %v, %s", dir, err, out)
		}
	})
	return dir
}

func TestAFullDiskLeavesWhatWasThere(t *testing.T) {
	to := mount(t, "size=1536k") // room for one of two files
	old := write(t, filepath.Join(to, "model.onnx"), []byte("old"))
	model := scattered(t)
	wantError(t, model.Save(old), "models: save ", "deep/er/b.bin", "no space left on device")
	wantTree(t, to, "model.onnx")

	inline := open(t, write(t, filepath.Join(t.TempDir(), "model.onnx"), encode(t, wide(2<<20))))
	wantError(t, inline.Save(old), "models: save ", old, "no space left on device")
	wantTree(t, to, "model.onnx")
	if got := read(t, old); string(got) != "old" {
		t.Errorf("the file holds %q", got)
	}
}

// wide is a model with so many bytes of weights in it.
func wide(n int) *onnxpb.ModelProto {
	t := weight()
	t.DataType, t.Dims, t.RawData = proto.Int32(int32(ops.Uint8)), []int64{int64(n)}, bytes.Repeat([]byte{1, 2, 3, 5}, n/4)
	return small(t)
}

func TestAReadOnlyFolderIsNamed(t *testing.T) {
	model, to := scattered(t), t.TempDir()
	if err := os.Chmod(to, 0o555); err != nil {
		t.Fatal(err)
	}
	if os.WriteFile(filepath.Join(to, "probe"), nil, 0o644) == nil { // as root can
		to = mount(t, "ro")
	}
	path := filepath.Join(to, "model.onnx")
	for _, how := range []models.External{models.CopyExternal, models.LinkExternal} {
		err := model.SaveAs(t.Context(), path, how)
		wantError(t, err, "models: save ", path, `file "a.bin"`)
	}
	wantError(t, (&models.Model{Proto: small(weight())}).Save(path), "models: save ", path)
	wantTree(t, to)
}
