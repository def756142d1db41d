package externaldata

import (
	"io/fs"
	"os"
	"path/filepath"
)

// Folder is where the data of a model are looked for. A link that leads out of it is
// not followed, but for one to a file that lies beside the model's own file where that
// is a link, too: caches of downloaded models are made so.
type Folder struct {
	root   *os.Root
	beside string // the folder that the model's file is really in; "" for none but root
}

// OpenFolder opens a folder.
func OpenFolder(path string) (*Folder, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &Folder{root: root}, nil
}

// OpenFolderOf opens the folder of a model's file.
func OpenFolderOf(model string) (*Folder, error) {
	f, err := OpenFolder(filepath.Dir(model))
	if err != nil {
		return nil, err
	}
	if info, err := os.Lstat(model); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if real, err := realPath(model); err == nil {
			f.beside = filepath.Dir(real)
		}
	}
	return f, nil
}

// Close closes the folder.
func (f *Folder) Close() error { return f.root.Close() }

// Name is the path of the folder.
func (f *Folder) Name() string { return f.root.Name() }

// Open opens a file of the folder.
func (f *Folder) Open(name string) (*os.File, error) {
	file, err := f.root.Open(name)
	if linked := f.linked(name); err != nil && linked != "" {
		return os.Open(linked)
	}
	return file, err
}

// Stat describes a file of the folder, behind links.
func (f *Folder) Stat(name string) (fs.FileInfo, error) {
	info, err := f.root.Stat(name)
	if linked := f.linked(name); err != nil && linked != "" {
		return os.Stat(linked)
	}
	return info, err
}

// linked is the file beside the model's own that a name leads to, "" for none.
func (f *Folder) linked(name string) string {
	if f.beside == "" || !filepath.IsLocal(name) {
		return ""
	}
	real, err := realPath(filepath.Join(f.root.Name(), name))
	if err != nil || filepath.Dir(real) != f.beside {
		return ""
	}
	return real
}

func realPath(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	return filepath.Abs(real)
}
