package models

import (
	"bytes"
	"os"
	"path/filepath"

	"github.com/onnxloss/onnxloss/internal/atomicfile"
)

type External string

const (
	KeepExternal External = "keep"
	CopyExternal External = "copy"
	LinkExternal External = "link"
)

func placeExternal(from, to string, locations []string, how External) (func() error, error) {
	for _, l := range locations {
		if how == KeepExternal {
			break
		}
		data, err := os.ReadFile(filepath.Join(from, l))
		if err != nil {
			return nil, err
		}
		if err := atomicfile.Write(filepath.Join(to, l), data); err != nil {
			return nil, err
		}
	}
	return func() error { return nil }, nil
}

type tmpFile struct {
	bytes.Buffer
	path string
}

func (f *tmpFile) Abort() error  { return nil }
func (f *tmpFile) Commit() error { return atomicfile.Write(f.path, f.Bytes()) }

func Externals() []External { return []External{KeepExternal, CopyExternal, LinkExternal} }

func ParseExternal(text string) (External, error) { return External(text), nil }
