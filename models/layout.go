package models

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// layout is a serialised model as its fields, so that a changed model is written
// with everything that did not change as it was, byte for byte. The fields of the
// main graph are apart; in the model they stand where the graph did.
type layout struct {
	source       *source
	model, graph []field
}

// field is one as it is written, tag included: a range of the source, or bytes.
type field struct {
	number     protowire.Number
	kind       protowire.Type
	start, end int64
	bytes      []byte // where not nil
}

func (f field) size() int64 {
	if f.bytes != nil {
		return int64(len(f.bytes))
	}
	return f.end - f.start
}

func rangeOf(h head) field { return field{number: h.number, kind: h.kind, start: h.start, end: h.next} }

// addModel notes a field of the model. Of a graph that is written in several parts,
// which stand for one, the first says where it is.
func (l *layout) addModel(h head, isGraph bool) {
	switch {
	case !isGraph:
		l.model = append(l.model, rangeOf(h))
	case !slices.ContainsFunc(l.model, field.isGraph):
		l.model = append(l.model, field{number: fieldGraph})
	}
}

// is tells an element of a part. Lists of messages are the only parts there are.
func (f field) is(p Part) bool { return f.number == p.number() && f.kind == protowire.BytesType }

// isGraph tells the place of the graph.
func (f field) isGraph() bool { return f.number == fieldGraph && f.bytes == nil && f.end == 0 }

// pieces lists what the model consists of, ranges that follow each other as one.
func (l *layout) pieces() []field {
	var pieces []field
	add := func(f field) {
		last := len(pieces) - 1
		if f.bytes == nil && last >= 0 && pieces[last].bytes == nil && pieces[last].end == f.start {
			pieces[last].end = f.end
			return
		}
		if f.size() > 0 {
			pieces = append(pieces, f)
		}
	}
	for _, f := range l.model {
		if !f.isGraph() {
			add(f)
			continue
		}
		header := protowire.AppendTag(nil, fieldGraph, protowire.BytesType)
		add(field{bytes: protowire.AppendVarint(header, uint64(sizeOf(l.graph)))})
		for _, inner := range l.graph {
			add(inner)
		}
	}
	return pieces
}

// writable is the pieces of a model that is not too long for a file.
func (l *layout) writable() ([]field, error) {
	pieces := l.pieces()
	if size := sizeOf(pieces); size > maxBytes {
		return nil, tooLong(size)
	}
	return pieces, nil
}

func sizeOf(fields []field) (n int64) {
	for _, f := range fields {
		n += f.size()
	}
	return n
}

// read gives a field's bytes.
func (l *layout) read(f field) ([]byte, error) {
	if f.bytes != nil {
		return f.bytes, nil
	}
	from, err := l.source.open()
	if err != nil {
		return nil, err
	}
	bytes := make([]byte, f.size())
	if n, err := from.ReadAt(bytes, f.start); n < len(bytes) {
		return nil, errors.Join(err, from.Close())
	}
	return bytes, from.Close()
}

// writeTo writes pieces.
func (l *layout) writeTo(ctx context.Context, w io.Writer, pieces []field) error {
	from, err := l.source.open()
	if err != nil {
		return err
	}
	for _, p := range pieces {
		if p.bytes != nil {
			_, err = w.Write(p.bytes)
		} else {
			err = from.copyRange(ctx, w, p.start, p.end)
		}
		if err != nil {
			return errors.Join(err, from.Close())
		}
	}
	return from.Close()
}

// source is where a model was read from: a file, or bytes.
type source struct {
	path string
	info os.FileInfo // of the file, as it was then
	data []byte
}

// opened is a source that is being read.
type opened interface {
	io.ReaderAt
	io.Closer
	copyRange(ctx context.Context, w io.Writer, start, end int64) error
}

type fileSource struct{ *os.File }

func (f fileSource) copyRange(ctx context.Context, w io.Writer, start, end int64) error {
	return copyRange(ctx, w, f.File, start, end)
}

type inMemory struct {
	*bytes.Reader
	data []byte
}

func (m inMemory) copyRange(_ context.Context, w io.Writer, start, end int64) error {
	_, err := w.Write(m.data[start:end])
	return err
}

func (inMemory) Close() error { return nil }

// open gives what the model was read from, and refuses a file that has changed
// since: the places in it would be wrong.
func (s *source) open() (opened, error) {
	if s.info == nil {
		return inMemory{bytes.NewReader(s.data), s.data}, nil
	}
	file, err := os.Open(s.path)
	if err != nil {
		return nil, fmt.Errorf("read %q again: %w", s.path, reason(err))
	}
	info, err := file.Stat()
	if err == nil && !(os.SameFile(info, s.info) && info.Size() == s.info.Size() && info.ModTime().Equal(s.info.ModTime())) {
		err = fmt.Errorf("%q has changed since it was read; open it again", s.path)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return fileSource{file}, nil
}
