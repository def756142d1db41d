package models

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/onnxloss/onnxloss/internal/atomicfile"
	"github.com/onnxloss/onnxloss/internal/externaldata"
)

// External says what becomes of the files with a model's data when the model is
// saved. Their contents, and the places in them, stay the same in any case.
type External string

const (
	// KeepExternal leaves the files where they are. The model can only be saved in the
	// folder that it was read from.
	KeepExternal External = "keep"
	// CopyExternal copies the files into the folder of the saved model.
	CopyExternal External = "copy"
	// LinkExternal makes hard links there, which takes no room and no time. The folders
	// must be on one file system, and who changes one of the files changes both.
	LinkExternal External = "link"
)

// Externals lists what can become of the files.
func Externals() []External { return []External{KeepExternal, CopyExternal, LinkExternal} }

// ParseExternal reads keep, copy or link. An empty text leaves the choice to SaveAs.
func ParseExternal(text string) (External, error) {
	if how := External(text); text == "" || slices.Contains(Externals(), how) {
		return how, nil
	}
	return "", fmt.Errorf("%q is nothing that can become of files with weights; use keep, copy or link", text)
}

// placing puts files into another folder, and knows what is to be taken away again.
type placing struct {
	from *externaldata.Folder
	to   *os.Root
	how  External
	made []string // files and folders, in this order
}

// placeExternal puts files, which are called the same from their folder on, into
// another folder. What is there already is never replaced. After an error all is as
// before, and undo makes it so.
func placeExternal(ctx context.Context, from *externaldata.Folder, to string, names []string, how External) (undo func() error, err error) {
	p := placing{from: from, how: how}
	switch {
	case how == KeepExternal && sameFile(from.Name(), to):
		return p.undo, nil
	case how == KeepExternal:
		return nil, fmt.Errorf("they are to stay in %q, so that the model must be saved there too; do so, or choose copy or link", from.Name())
	}
	if p.to, err = os.OpenRoot(to); err != nil {
		return nil, err
	}
	defer p.to.Close()
	for _, name := range names {
		if err := p.place(ctx, filepath.FromSlash(name)); err != nil {
			return nil, errors.Join(fmt.Errorf("file %q: %w", name, reason(err)), p.undo())
		}
	}
	return p.undo, nil
}

// undo takes away what was put there, but for folders that others use meanwhile.
func (p *placing) undo() (err error) {
	for _, path := range slices.Backward(p.made) {
		if failed := os.Remove(path); failed != nil && !errors.Is(failed, fs.ErrExist) {
			err = errors.Join(err, failed)
		}
	}
	return err
}

func (p *placing) place(ctx context.Context, name string) error {
	source, err := p.from.Open(name)
	if err != nil {
		return err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	if err := p.folders(name); err != nil { // before the name can mean anything
		return err
	}
	if there, err := p.isThere(ctx, name, source, info); there || err != nil {
		return err
	}
	target := p.target(name)
	if p.how == LinkExternal {
		err = p.link(name, target, info)
	} else {
		err = copyFile(ctx, target, source, info)
	}
	if err == nil {
		p.made = append(p.made, target)
	}
	return err
}

// isThere tells whether the target has the file, or one of the same content. Anything
// else of its name is an error.
func (p *placing) isThere(ctx context.Context, name string, source *os.File, info fs.FileInfo) (bool, error) {
	if _, err := p.to.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	found, err := p.to.Stat(name)
	switch {
	case err != nil:
		return false, fmt.Errorf("in %q: %w", p.to.Name(), reason(err))
	case os.SameFile(info, found):
		return true, nil
	}
	same := found.Mode().IsRegular() && found.Size() == info.Size()
	if same {
		if same, err = p.sameContent(ctx, name, source); err != nil {
			return false, err
		}
	}
	if !same {
		return false, fmt.Errorf("%q has another of this name; remove it, or save the model in another folder", p.to.Name())
	}
	return true, nil
}

// sameContent compares a file with the one of the target, which is as long.
func (p *placing) sameContent(ctx context.Context, name string, source *os.File) (bool, error) {
	target, err := p.to.Open(name)
	if err != nil {
		return false, err
	}
	defer target.Close()
	a, b := make([]byte, 1<<18), make([]byte, 1<<18)
	for {
		n, errA := io.ReadFull(source, a)
		m, errB := io.ReadFull(target, b)
		switch {
		case ctx.Err() != nil:
			return false, ctx.Err()
		case !atEnd(errA) || !atEnd(errB):
			return false, errors.Join(errA, errB)
		case !bytes.Equal(a[:n], b[:m]):
			return false, nil
		case errA != nil:
			return true, nil
		}
	}
}

// atEnd says that nothing but the file's end kept io.ReadFull from filling a buffer.
func atEnd(err error) bool {
	return err == nil || err == io.EOF || err == io.ErrUnexpectedEOF
}

// folders makes the folders on the way to a file, also those that the name leaves
// again, as a/../b does.
func (p *placing) folders(name string) error {
	for i := range name {
		folder := name[:i]
		if !os.IsPathSeparator(name[i]) || folder == "" || !isName(filepath.Base(folder)) {
			continue
		}
		switch err := p.to.Mkdir(folder, 0o755); {
		case err == nil:
			p.made = append(p.made, p.target(folder))
		case !errors.Is(err, fs.ErrExist):
			return err
		}
	}
	return nil
}

func isName(part string) bool { return part != "." && part != ".." }

// target is where a file goes, as the system follows the name.
func (p *placing) target(name string) string {
	return p.to.Name() + string(filepath.Separator) + name
}

// link makes a hard link to the file itself, where the name is a symbolic link too.
func (p *placing) link(name, target string, info fs.FileInfo) error {
	source, err := filepath.EvalSymlinks(filepath.Join(p.from.Name(), name))
	if err != nil {
		return err
	}
	if err := os.Link(source, target); err != nil {
		if linkErr, ok := errors.AsType[*os.LinkError](err); ok {
			err = linkErr.Err
		}
		return fmt.Errorf("a hard link to %q, which must be on the same file system, cannot be made: %w; use copy", source, err)
	}
	if made, err := os.Lstat(target); err != nil || !os.SameFile(made, info) {
		return errors.Join(errors.New("it was replaced while it was linked"), err, os.Remove(target))
	}
	return nil
}

func copyFile(ctx context.Context, target string, source *os.File, info fs.FileInfo) error {
	file, err := atomicfile.Create(target, info.Mode().Perm())
	if err != nil {
		return err
	}
	defer file.Abort()
	if err := copyRange(ctx, file, source, 0, info.Size()); err != nil {
		return err
	}
	return file.Commit()
}

// copyRange copies bytes of a file. Where w is a file, the system copies them itself.
func copyRange(ctx context.Context, w io.Writer, from *os.File, start, end int64) error {
	const atOnce = 16 << 20 // until a cancelled ctx is seen
	if _, err := from.Seek(start, io.SeekStart); err != nil {
		return err
	}
	for at := start; at < end && ctx.Err() == nil; {
		n, err := io.CopyN(w, from, min(atOnce, end-at))
		if err == io.EOF {
			return fmt.Errorf("%q has become shorter while it was read", from.Name())
		}
		if err != nil {
			return err
		}
		at += n
	}
	return ctx.Err()
}
