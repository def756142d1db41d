package models

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/onnxloss/onnxloss/internal/externaldata"
	"github.com/onnxloss/onnxloss/internal/onnxpb"
)

// Numbers of a tensor that are longer than this stay in the file. Shapes, axes and
// other short constants, which say what a graph does, are read.
const longestRead = 1024

// deepest bounds messages inside of long messages. Each level of subgraphs takes
// three.
const deepest = 200

// keyField marks a tensor whose numbers are in the file that it was read from, as if
// they were external data of that file, and tells which field of the tensor they are.
const keyField = "onnxloss.field"

// scanner reads a serialised model without the numbers in it: it writes the
// message anew, with references in their place, and notes where the fields of the
// model and of its graph lie.
type scanner struct {
	reader
	name     string // of the file, for the references; "" reads everything
	skeleton []byte
	layout   *layout

	references int  // that were written
	inGraph    bool // since a graph was found
}

// scan gives the message with everything but long numbers, and the layout.
func scan(from io.ReaderAt, size int64, name string) (*onnxpb.ModelProto, *layout, error) {
	s := &scanner{reader: reader{from: from, size: size}, name: name, layout: new(layout)}
	model := new(onnxpb.ModelProto)
	if err := s.message(model.ProtoReflect().Descriptor(), 0, size, 0); err != nil {
		return nil, nil, err
	}
	if err := proto.Unmarshal(s.skeleton, model); err != nil {
		return nil, nil, err
	}
	foreign, clear := s.checkReferences(model)
	switch {
	case clear:
		return model, s.layout, nil
	case name != "": // without references, all that are there are foreign
		return scan(from, size, "")
	}
	return nil, nil, fmt.Errorf("tensor %q has external data with the key %q, %w; take it out", foreign, keyField, errForeign)
}

// errForeign says that a file has what only this package writes, in memory.
var errForeign = errors.New("which is not for files")

// checkReferences reports whether all references to the file itself are the scanner's,
// and clear: tensors merge that are a field's several values. It names the last one.
func (s *scanner) checkReferences(model *onnxpb.ModelProto) (last string, clear bool) {
	marked := 0
	clear = true
	for _, t := range externaldata.Tensors(model) {
		before := marked
		for _, entry := range t.GetExternalData() {
			if entry.GetKey() == keyField {
				marked, last = marked+1, t.GetName()
			}
		}
		alone := len(t.ExternalData) == entriesOfReference && !hasNumbers(t)
		clear = clear && (marked == before || alone)
	}
	return last, clear && marked == s.references
}

func hasNumbers(t *onnxpb.TensorProto) bool {
	return t.RawData != nil || len(t.FloatData)+len(t.DoubleData)+len(t.Int32Data)+len(t.Int64Data)+len(t.Uint64Data)+len(t.StringData) > 0
}

var (
	graphDescriptor  = new(onnxpb.GraphProto).ProtoReflect().Descriptor()
	tensorDescriptor = new(onnxpb.TensorProto).ProtoReflect().Descriptor()
)

// The fields of a tensor that hold its numbers.
var numberFields = map[protowire.Number]bool{4: true, 5: true, 7: true, 9: true, 10: true, 11: true}

// Field numbers that the scanner writes or looks for.
const (
	fieldIR           protowire.Number = 1  // of a model
	fieldGraph        protowire.Number = 7  // of a model
	fieldRawData      protowire.Number = 9  // of a tensor
	fieldExternalData protowire.Number = 13 // of a tensor
	fieldLocation     protowire.Number = 14 // of a tensor
)

// head is a field's tag and, for one of a length, where its content is.
type head struct {
	number     protowire.Number
	kind       protowire.Type
	start      int64 // of the tag
	body, next int64 // of the content, and of what comes after
}

// message copies the fields from start to end. Level 0 is the model, level 1 the
// graph if the model is what it is in.
func (s *scanner) message(of protoreflect.MessageDescriptor, start, end int64, level int) error {
	if level > deepest {
		return fmt.Errorf("messages are nested more than %d deep", deepest)
	}
	for at := start; at < end; {
		h, err := s.head(at, end)
		if err != nil {
			return err
		}
		if err := s.field(of, h, level); err != nil {
			return err
		}
		at = h.next
	}
	return nil
}

func (s *scanner) field(of protoreflect.MessageDescriptor, h head, level int) error {
	isGraph := level == 0 && h.number == fieldGraph && h.kind == protowire.BytesType
	if level == 0 {
		s.place(h, isGraph)
	}
	inner := messageOf(of, h)
	switch {
	case isGraph:
		return s.nested(h, func() error { return s.graph(h, level+1) })
	case inner == nil || h.next-h.body <= longestRead:
		return s.copy(h.start, h.next)
	case inner == tensorDescriptor && s.name != "":
		return s.nested(h, func() error { return s.tensor(h) })
	}
	return s.nested(h, func() error { return s.message(inner, h.body, h.next, level+1) })
}

// place notes a field of the model. Of a graph that is written in several parts, which
// stand for one, the first says where it is.
func (s *scanner) place(h head, isGraph bool) {
	switch {
	case !isGraph:
		s.layout.model = append(s.layout.model, rangeOf(h))
	case !s.inGraph:
		s.layout.model = append(s.layout.model, field{number: fieldGraph})
		s.inGraph = true
	}
}

// graph copies the main graph and notes where its fields lie.
func (s *scanner) graph(h head, level int) error {
	for at := h.body; at < h.next; {
		field, err := s.head(at, h.next)
		if err != nil {
			return err
		}
		s.layout.graph = append(s.layout.graph, rangeOf(field))
		if err := s.field(graphDescriptor, field, level); err != nil {
			return err
		}
		at = field.next
	}
	return nil
}

// messageOf is the message that a field holds, nil for none.
func messageOf(of protoreflect.MessageDescriptor, h head) protoreflect.MessageDescriptor {
	field := of.Fields().ByNumber(h.number)
	if field == nil || h.kind != protowire.BytesType {
		return nil
	}
	return field.Message()
}

// nested writes a field whose content inner writes. The length is put in afterwards,
// in as many bytes as the longest has.
func (s *scanner) nested(h head, inner func() error) error {
	s.skeleton = protowire.AppendTag(s.skeleton, h.number, protowire.BytesType)
	at := len(s.skeleton)
	s.skeleton = append(s.skeleton, 0x80, 0x80, 0x80, 0x80, 0)
	if err := inner(); err != nil {
		return err
	}
	length := len(s.skeleton) - at - 5
	for i := range 5 {
		s.skeleton[at+i] |= byte(length>>(7*i)) & 0x7f
	}
	return nil
}

// tensor copies a tensor, with a reference in place of its numbers. Where they are
// in several parts, or elsewhere already, all is copied.
func (s *scanner) tensor(h head) error {
	begin := len(s.skeleton)
	var numbers *head
	for at := h.body; at < h.next; {
		field, err := s.head(at, h.next)
		if err != nil {
			return err
		}
		at = field.next
		long := field.next-field.body > longestRead
		switch isNumbers := numberFields[field.number]; {
		case isNumbers && long && numbers == nil && field.kind == protowire.BytesType:
			numbers = &field
			continue
		case isNumbers && numbers != nil, field.number == fieldExternalData, field.number == fieldLocation:
			s.skeleton = s.skeleton[:begin]
			return s.copy(h.body, h.next)
		}
		if err := s.copy(field.start, field.next); err != nil {
			return err
		}
	}
	if numbers != nil {
		s.reference(*numbers)
	}
	return nil
}

// entriesOfReference is how many entries of external data a reference has.
const entriesOfReference = 4

// reference writes where a tensor's numbers are.
func (s *scanner) reference(numbers head) {
	s.references++
	for _, entry := range [entriesOfReference][2]string{
		{"location", s.name},
		{"offset", strconv.FormatInt(numbers.body, 10)},
		{"length", strconv.FormatInt(numbers.next-numbers.body, 10)},
		{keyField, strconv.Itoa(int(numbers.number))},
	} {
		var pair []byte
		for i, text := range entry {
			pair = protowire.AppendTag(pair, protowire.Number(i+1), protowire.BytesType)
			pair = protowire.AppendString(pair, text)
		}
		s.skeleton = protowire.AppendTag(s.skeleton, fieldExternalData, protowire.BytesType)
		s.skeleton = protowire.AppendBytes(s.skeleton, pair)
	}
	s.skeleton = protowire.AppendTag(s.skeleton, fieldLocation, protowire.VarintType)
	s.skeleton = protowire.AppendVarint(s.skeleton, uint64(onnxpb.TensorProto_EXTERNAL))
}

// copy takes bytes over as they are.
func (s *scanner) copy(start, end int64) error {
	for at := start; at < end; {
		piece, err := s.peek(at, int(min(end-at, windowSize)))
		if err != nil {
			return err
		}
		s.skeleton = append(s.skeleton, piece...)
		at += int64(len(piece))
	}
	return nil
}

// errCutOff says that a message ends before its last field does.
var errCutOff = errors.New("a field is longer than what it is in")

// head reads the tag at a place, and finds where the field ends.
func (s *scanner) head(at, end int64) (head, error) {
	const longestHead = 2 * 10
	bytes, err := s.peek(at, int(min(end-at, longestHead)))
	if err != nil {
		return head{}, err
	}
	number, kind, n := protowire.ConsumeTag(bytes)
	if n < 0 {
		return head{}, protowire.ParseError(n)
	}
	h := head{number: number, kind: kind, start: at, body: at + int64(n)}
	switch kind {
	case protowire.VarintType, protowire.Fixed32Type, protowire.Fixed64Type:
		size := protowire.ConsumeFieldValue(number, kind, bytes[n:])
		if size < 0 {
			return h, protowire.ParseError(size)
		}
		h.next = h.body + int64(size)
		return h, nil
	case protowire.BytesType:
		length, size := protowire.ConsumeVarint(bytes[n:])
		if size < 0 {
			return h, protowire.ParseError(size)
		}
		h.body += int64(size)
		if length > uint64(end-h.body) {
			return h, errCutOff
		}
		h.next = h.body + int64(length)
		return h, nil
	}
	return h, fmt.Errorf("field %d is a group, which ONNX does not have", number)
}

// windowSize is read at once. Between long numbers lies little.
const windowSize = 16 << 10

// reader reads a file in pieces.
type reader struct {
	from   io.ReaderAt
	size   int64
	bytes  []byte
	offset int64
	room   [windowSize]byte
}

// peek gives n bytes, at most windowSize, valid until the next call.
func (w *reader) peek(at int64, n int) ([]byte, error) {
	if at >= w.offset && at+int64(n) <= w.offset+int64(len(w.bytes)) {
		start := at - w.offset
		return w.bytes[start : start+int64(n)], nil
	}
	w.offset, w.bytes = at, w.room[:min(windowSize, w.size-at)]
	if got, err := w.from.ReadAt(w.bytes, at); got < len(w.bytes) {
		w.bytes = nil
		return nil, err
	}
	return w.bytes[:n], nil
}
