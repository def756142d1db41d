// Package atomicfile writes files that are either whole or not there: a reader
// never sees half of one, and a failure leaves what was there before.
//
// The bytes go to a file beside the one that is meant, which takes its name when it
// is whole. A process that is killed before that leaves this file; it is called
// NAME.<16 hexadecimal digits>.tmp and can be deleted. A file that
// replaces another is on the disk before it does, so that a system that fails leaves one
// of both. A new one has nothing to lose, and gets to the disk when the system sees fit,
// as a copy does: waiting for it would double the time that a large file takes.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// Write puts data at path, in place of any file there, as Create and Commit do.
func Write(path string, data []byte) error {
	if err := write(path, data); err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	return nil
}

func write(path string, data []byte) error {
	file, err := Create(path, 0o644)
	if err != nil {
		return err
	}
	defer file.Abort()
	if _, err := file.Write(data); err != nil {
		return err
	}
	return file.Commit()
}

// File is a file that is being written. Its errors do not name it: the caller knows
// the name, and that of the temporary file would mislead.
type File struct {
	file *os.File // nil when it is closed
	// path is what the file will be called; "" where the bytes go straight to what has
	// the name.
	path     string
	replaces bool // another file of that name
}

// Create starts a file that Commit puts at path, in place of any file there, whose
// permissions it takes over; where there is none they are perm before umask. A link
// is followed; what is no file, such as a pipe or a device, is written to directly.
func Create(path string, perm fs.FileMode) (*File, error) {
	if path == "" {
		return nil, errors.New("the path is empty; name a file")
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return create(follow(path), perm)
	case err != nil:
		return nil, cause(err)
	case info.IsDir():
		return nil, errors.New("it is a directory; name a file in it")
	case !info.Mode().IsRegular():
		return open(path, "", os.O_WRONLY, 0)
	}
	return replace(follow(path), info)
}

// replace starts a file in place of another.
func replace(path string, old fs.FileInfo) (*File, error) {
	if now, err := os.Stat(path); err != nil || !os.SameFile(now, old) {
		return nil, errors.New("it leads to a file that has been deleted; name another")
	}
	f, err := create(path, old.Mode().Perm())
	if err != nil {
		return nil, err
	}
	f.replaces = true
	if err := f.file.Chmod(old.Mode().Perm()); err != nil { // umask takes some away
		return nil, errors.Join(cause(err), f.Abort())
	}
	return f, nil
}

func create(path string, perm fs.FileMode) (*File, error) {
	return open(tempName(path), path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
}

func open(name, path string, flags int, perm fs.FileMode) (*File, error) {
	file, err := os.OpenFile(name, flags, perm)
	if err != nil {
		return nil, cause(err)
	}
	return &File{file: file, path: path}, nil
}

// tempName keeps within the 255 bytes that a name can have.
func tempName(path string) string {
	suffix := fmt.Sprintf(".%016x.tmp", rand.Uint64())
	dir, name := filepath.Split(path)
	if longest := 255 - len(suffix); len(name) > longest {
		name = strings.ToValidUTF8(name[:longest], "")
	}
	return dir + name + suffix
}

// follow gives what a link leads to, whether it is there or not.
func follow(path string) string {
	for range 40 { // as many as Linux follows
		target, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			dir, _ := filepath.Split(path) // Join would take a/.. for nothing, where a may be a link
			target = dir + target
		}
		path = target
	}
	return path
}

func (f *File) Write(data []byte) (int, error) {
	n, err := f.file.Write(data)
	return n, cause(err)
}

// ReadFrom copies what r has. Where r is a file, or an io.LimitedReader of one, and
// the system can, the bytes do not pass through this process; file systems whose
// files can share blocks, such as XFS and Btrfs, then share them.
func (f *File) ReadFrom(r io.Reader) (int64, error) {
	n, err := f.file.ReadFrom(r)
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok && pathErr.Path != f.file.Name() {
		return n, err // of what is read
	}
	return n, cause(err)
}

// Commit gives the file its name. After an error there is what was there before.
func (f *File) Commit() error {
	if f.file == nil {
		return fs.ErrClosed
	}
	if f.path == "" {
		return f.close()
	}
	temp := f.file.Name()
	var err error
	if f.replaces { // else the old name could end on an empty file
		err = cause(f.file.Sync())
	}
	if err = errors.Join(err, f.close()); err == nil {
		err = cause(os.Rename(temp, f.path))
	}
	if err != nil {
		return errors.Join(err, cause(os.Remove(temp)))
	}
	return nil
}

// Abort gives the file up. After Commit it does nothing.
func (f *File) Abort() error {
	if f.file == nil {
		return nil
	}
	temp := f.file.Name()
	err := f.close()
	if f.path != "" {
		err = errors.Join(err, cause(os.Remove(temp)))
	}
	return err
}

func (f *File) close() error {
	err := f.file.Close()
	f.file = nil
	return cause(err)
}

// cause drops the path from an error of the file system.
func cause(err error) error {
	if linkErr, ok := errors.AsType[*os.LinkError](err); ok {
		return linkErr.Err
	}
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}
