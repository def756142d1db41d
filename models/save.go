package models

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/onnxloss/onnxloss/internal/atomicfile"
	"github.com/onnxloss/onnxloss/internal/brief"
	"github.com/onnxloss/onnxloss/internal/externaldata"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
)

// Save writes the model to a file, whole or not at all, as SaveAs does: external
// data stay where they are in the folder that the model was read from, and are
// copied into any other.
func (m *Model) Save(path string) error { return m.SaveAs(context.Background(), path, "") }

// SaveAs writes the model to a file, whole or not at all. Weights and other bytes that
// did not change are copied by the system where it can. External data stay as they
// are, and how says what becomes of the files that they are in: KeepExternal for the
// folder that the model was read from, CopyExternal or LinkExternal for any other.
// "" is what is possible, keeping before copying. A file of other content under the
// name of one with external data is never replaced. After an error, also that of a
// cancelled ctx, there are the files that were there before.
func (m *Model) SaveAs(ctx context.Context, path string, how External) error {
	if err := m.save(ctx, path, how); err != nil {
		return fmt.Errorf("models: save %q: %w", path, err)
	}
	return nil
}

func (m *Model) save(ctx context.Context, path string, how External) error {
	undo, err := m.placeExternal(ctx, path, how)
	if err != nil {
		return fmt.Errorf("external data: %w", err)
	}
	if err := m.writeFile(ctx, path); err != nil {
		return errors.Join(err, undo())
	}
	return nil
}

func (m *Model) writeFile(ctx context.Context, path string) error {
	file, err := atomicfile.Create(path, 0o644)
	if err != nil {
		return err
	}
	defer file.Abort()
	if err := m.write(ctx, file); err != nil {
		return err
	}
	return file.Commit()
}

// placeExternal puts the files with the model's external data beside path.
func (m *Model) placeExternal(ctx context.Context, path string, how External) (undo func() error, err error) {
	tensors := slices.DeleteFunc(externaldata.Tensors(m.Proto), inOwnFile)
	if len(tensors) == 0 {
		return func() error { return nil }, nil
	}
	if m.Path == "" {
		return nil, fmt.Errorf("tensor %q has its data in another file, and the model was not read from a folder; use Open", tensors[0].GetName())
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("tensor %q has its data in another file, which cannot be beside what is no file; name a file", tensors[0].GetName())
	}
	from, to := filepath.Dir(m.Path), filepath.Dir(path)
	if how == "" && sameFile(from, to) {
		how = KeepExternal
	} else if how == "" {
		how = CopyExternal
	}
	locations, err := locationsOf(tensors)
	if err != nil {
		return nil, err
	}
	for location, tensor := range locations {
		for _, folder := range []string{from, to} {
			if file := filepath.Join(folder, filepath.FromSlash(location)); sameFile(path, file) || filepath.Clean(path) == file {
				return nil, fmt.Errorf("the file holds the data of tensor %q; choose another name", tensor)
			}
		}
	}
	source, err := externaldata.OpenFolderOf(m.Path)
	if err != nil {
		return nil, err
	}
	defer source.Close()
	if how != KeepExternal { // what is not touched may be broken
		if err := externaldata.Check(source, tensors); err != nil {
			return nil, err
		}
	}
	return placeExternal(ctx, source, to, slices.Sorted(maps.Keys(locations)), how)
}

// locationsOf lists the files that the tensors have their data in, and for each the
// name of a tensor.
func locationsOf(tensors []*onnxpb.TensorProto) (map[string]string, error) {
	locations := map[string]string{}
	for _, t := range tensors {
		location, err := externaldata.File(t)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.GetName(), err)
		}
		locations[location] = t.GetName()
	}
	return locations, nil
}

// ExternalFiles lists the files, relative to the model's folder, that the model has
// data in.
func (m *Model) ExternalFiles() ([]string, error) {
	locations, err := locationsOf(slices.DeleteFunc(externaldata.Tensors(m.Proto), inOwnFile))
	if err != nil {
		return nil, fmt.Errorf("models: external data: %w", brief.Error(err))
	}
	return slices.Sorted(maps.Keys(locations)), nil
}

func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}
