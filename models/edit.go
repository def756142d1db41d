package models

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// Edit changes a copy of a model. What it does not touch is written as it was read,
// byte for byte, and weights stay where they are. The messages that are put in, which
// package ops makes (Builder.Finish, ValueInfo), must not be changed afterwards.
type Edit struct {
	model *Model
	err   error
}

// Edit starts from the model as it is.
func (m *Model) Edit() *Edit {
	edited := &Model{Proto: shallowCopy(m.Proto), Path: m.Path}
	edited.Proto.Graph = shallowCopy(m.Proto.GetGraph())
	if m.layout != nil {
		edited.layout = &layout{source: m.layout.source, model: slices.Clone(m.layout.model), graph: slices.Clone(m.layout.graph)}
	}
	return &Edit{model: edited}
}

// Model gives the changed model, or the first error of the changes.
func (e *Edit) Model() (*Model, error) {
	if e.err != nil {
		return nil, fmt.Errorf("models: edit: %w", e.err)
	}
	return e.model, nil
}

// Proto is the model as it is so far.
func (e *Edit) Proto() *onnxpb.ModelProto { return e.model.Proto }

// A Part is one of the lists that a model consists of, by its field number.
type Part int

// The parts of the graph, and those of the model around it.
const (
	Nodes        Part = 1
	Initializers Part = 5
	Inputs       Part = 11
	Outputs      Part = 12
	ValueInfo    Part = 13

	Opsets    = ofModel | 8
	Metadata  = ofModel | 14
	Functions = ofModel | 25
)

// ofModel tells parts of the model from those of its graph.
const ofModel Part = 1 << 16

func (p Part) number() protowire.Number { return protowire.Number(p &^ ofModel) }

// list is the part in the message.
func (e *Edit) list(p Part) protoreflect.List {
	m := e.model.Proto.ProtoReflect()
	if p&ofModel == 0 {
		m = e.model.Proto.Graph.ProtoReflect()
	}
	return m.Mutable(m.Descriptor().Fields().ByNumber(p.number())).List()
}

// Len is how many there are of a part.
func (e *Edit) Len(p Part) int { return e.list(p).Len() }

// AddNodes appends nodes; they may read what earlier ones make.
func (e *Edit) AddNodes(nodes ...*onnxpb.NodeProto) { appendTo(e, Nodes, nodes) }

// AddInputs appends inputs.
func (e *Edit) AddInputs(inputs ...*onnxpb.ValueInfoProto) { appendTo(e, Inputs, inputs) }

// AddOutputs appends outputs.
func (e *Edit) AddOutputs(outputs ...*onnxpb.ValueInfoProto) { appendTo(e, Outputs, outputs) }

// AddValueInfo appends types of tensors inside the graph.
func (e *Edit) AddValueInfo(infos ...*onnxpb.ValueInfoProto) { appendTo(e, ValueInfo, infos) }

// AddFunctions appends functions.
func (e *Edit) AddFunctions(functions ...*onnxpb.FunctionProto) { appendTo(e, Functions, functions) }

// AddMetadata appends an entry to the model's metadata.
func (e *Edit) AddMetadata(key, value string) {
	appendTo(e, Metadata, []*onnxpb.StringStringEntryProto{{Key: proto.String(key), Value: proto.String(value)}})
}

// SetOpset imports a version of the operators of a domain, in place of the version
// that is imported.
func (e *Edit) SetOpset(domain string, version int) {
	imported := false
	for i, opset := range e.model.Proto.OpsetImport {
		if standard(opset.GetDomain()) == standard(domain) { // some files import a domain twice
			raised := proto.CloneOf(opset)
			raised.Version = proto.Int64(int64(version))
			e.replace(Opsets, i, raised)
			imported = true
		}
	}
	if imported {
		return
	}
	appendTo(e, Opsets, []*onnxpb.OperatorSetIdProto{{Domain: proto.String(domain), Version: proto.Int64(int64(version))}})
}

func appendTo[M proto.Message](e *Edit, p Part, messages []M) {
	list := e.list(p)
	for _, m := range messages {
		list.Append(protoreflect.ValueOfMessage(m.ProtoReflect()))
		if fields := e.fields(p); fields != nil {
			*fields = append(*fields, e.written(p, m))
		}
	}
}

func (e *Edit) replace(p Part, i int, m proto.Message) {
	e.list(p).Set(i, protoreflect.ValueOfMessage(m.ProtoReflect()))
	if fields := e.fields(p); fields != nil {
		(*fields)[indexIn(*fields, p, i)] = e.written(p, m)
	}
}

// Remove takes the i-th of a part, from 0 on, out.
func (e *Edit) Remove(p Part, i int) {
	if !e.has(p, i) {
		return
	}
	if fields := e.fields(p); fields != nil {
		at := indexIn(*fields, p, i)
		*fields = slices.Delete(*fields, at, at+1)
	}
	list := e.list(p)
	for ; i+1 < list.Len(); i++ {
		list.Set(i, list.Get(i+1))
	}
	list.Truncate(list.Len() - 1)
}

// has fails where there is no i-th of a part.
func (e *Edit) has(p Part, i int) bool {
	n := e.Len(p)
	if i < 0 || i >= n {
		e.fail(fmt.Errorf("there is no element %d among %d", i, n))
		return false
	}
	return true
}

// fields is where the parts are in the file, nil for a model that is in none.
func (e *Edit) fields(p Part) *[]field {
	switch {
	case e.model.layout == nil:
		return nil
	case p&ofModel == 0:
		return &e.model.layout.graph
	}
	return &e.model.layout.model
}

// indexIn finds the i-th of a part among fields.
func indexIn(fields []field, p Part, i int) int {
	for at, f := range fields {
		if !f.is(p) {
			continue
		}
		if i == 0 {
			return at
		}
		i--
	}
	return -1
}

// written is a message as a field.
func (e *Edit) written(p Part, m proto.Message) field {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	e.fail(err)
	bytes := protowire.AppendTag(nil, p.number(), protowire.BytesType)
	return field{number: p.number(), kind: protowire.BytesType, bytes: protowire.AppendBytes(bytes, data)}
}

// SetIR gives the model another IR version; 0 leaves it out.
func (e *Edit) SetIR(version int64) {
	e.model.Proto.IrVersion = nil
	var bytes []byte
	if version != 0 {
		e.model.Proto.IrVersion = proto.Int64(version)
		bytes = protowire.AppendVarint(protowire.AppendTag(nil, fieldIR, protowire.VarintType), uint64(version))
	}
	if e.model.layout == nil {
		return
	}
	made := field{number: fieldIR, kind: protowire.VarintType, bytes: bytes}
	fields := &e.model.layout.model
	isIR := func(f field) bool { return f.number == fieldIR && f.kind == protowire.VarintType }
	at := slices.IndexFunc(*fields, isIR)
	if at < 0 {
		at = 0
		*fields = slices.Insert(*fields, 0, made)
	}
	(*fields)[at] = made
	rest := slices.DeleteFunc((*fields)[at+1:], isIR) // the last of several counts
	*fields = (*fields)[:at+1+len(rest)]
	if version == 0 {
		*fields = slices.Delete(*fields, at, at+1)
	}
}

// HideOutputs turns the outputs into tensors inside the graph, after those that
// have types there, and tells where in the file they were: in a model that comes
// from none, nowhere.
func (e *Edit) HideOutputs() []int {
	var places []int
	if fields := e.fields(Outputs); fields != nil {
		for at := range *fields {
			if (*fields)[at].is(Outputs) {
				places = append(places, at)
			}
		}
	}
	for range e.Len(Outputs) {
		e.move(Outputs, 0, ValueInfo, -1)
	}
	return places
}

// ShowOutput takes HideOutputs back for one tensor, the i-th of those that have types
// inside the graph. place is where its output was, -1 for unknown.
func (e *Edit) ShowOutput(i, place int) { e.move(ValueInfo, i, Outputs, place) }

// move takes the i-th of a part to the end of another of the same type, and in the
// file to a place, -1 for the end.
func (e *Edit) move(from Part, i int, to Part, at int) {
	if !e.has(from, i) {
		return
	}
	moved := e.list(from).Get(i)
	var written field
	if fields := e.fields(from); fields != nil {
		written = e.renumbered((*fields)[indexIn(*fields, from, i)], to)
	}
	e.Remove(from, i)
	e.list(to).Append(moved)
	if fields := e.fields(to); fields != nil {
		if at < 0 || at > len(*fields) {
			at = len(*fields)
		}
		*fields = slices.Insert(*fields, at, written)
	}
}

// renumbered gives a field of a list another number and leaves its content as it is.
func (e *Edit) renumbered(f field, to Part) field {
	bytes, err := e.model.layout.read(f)
	_, _, n := protowire.ConsumeTag(bytes)
	if err != nil || n < 0 {
		e.fail(err)
		return f
	}
	tag := protowire.AppendTag(nil, to.number(), protowire.BytesType)
	return field{number: to.number(), kind: protowire.BytesType, bytes: append(tag, bytes[n:]...)}
}

func (e *Edit) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

// WithInitializers gives the model with other numbers in initializers, by their
// names. Types and shapes stay what they were.
func (m *Model) WithInitializers(tensors map[string]engine.Tensor) (*Model, error) {
	edit := m.Edit()
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		if err := edit.setInitializer(name, tensors[name]); err != nil {
			return nil, fmt.Errorf("models: initializer %q: %w", name, err)
		}
	}
	return edit.Model()
}

func (e *Edit) setInitializer(name string, t engine.Tensor) error {
	for i, old := range e.model.Proto.GetGraph().GetInitializer() {
		if old.GetName() != name {
			continue
		}
		made := engine.ToProto(name, t)
		made.DocString = old.DocString
		if old.GetDataType() != made.GetDataType() || !slices.Equal(old.GetDims(), made.GetDims()) {
			return fmt.Errorf("it is %s%v, and what is to replace it %s%v", ops.DType(old.GetDataType()), old.GetDims(), t.DType(), t.Shape())
		}
		e.replace(Initializers, i, made)
		return nil
	}
	return errors.New("there is none of this name")
}
