// Package atomicfile writes files that are either whole or not there: a reader
// never sees half of one, and a failure leaves what was there before.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// Write puts data at path, in place of any file there. The bytes go to a file
// beside it first, which then takes the name. A link is followed; what is no
// file, such as a pipe or /dev/stdout, is written to directly.
func Write(path string, data []byte) error {
	if err := write(path, data); err != nil {
		return fmt.Errorf("write %q: %w", path, cause(err))
	}
	return nil
}

func write(path string, data []byte) error {
	if path == "" {
		return errors.New("the path is empty; name a file")
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return replace(path, data)
	case info.IsDir():
		return errors.New("it is a directory; name a file in it")
	case !info.Mode().IsRegular():
		return fill(path, os.O_WRONLY, data)
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	return replace(path, data)
}

func replace(path string, data []byte) error {
	temp := fmt.Sprintf("%s.%016x.tmp", path, rand.Uint64())
	if err := fill(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, data); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return nil
}

// fill opens path as flags say and writes data. What it created it removes again
// where writing fails.
func fill(path string, flags int, data []byte) (err error) {
	file, err := os.OpenFile(path, flags, 0o644)
	if err != nil {
		return err
	}
	created := flags&os.O_CREATE != 0
	_, err = file.Write(data)
	if err == nil && created {
		err = file.Sync() // else a crash could leave the new name on an empty file
	}
	err = errors.Join(err, file.Close())
	if err != nil && created {
		return errors.Join(err, os.Remove(path))
	}
	return err
}

// cause drops the path from an error of the file system: the caller named the
// file, and the name of the temporary one would mislead.
func cause(err error) error {
	if linkErr, ok := errors.AsType[*os.LinkError](err); ok {
		return linkErr.Err
	}
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}
