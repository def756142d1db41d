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

// Keep leaves those of a part that keep says, by their places.
func (e *Edit) Keep(p Part, keep func(i int) bool) {
	if fields := e.fields(p); fields != nil {
		i := -1
		*fields = slices.DeleteFunc(*fields, func(f field) bool {
			if !f.is(p) {
				return false
			}
			i++
			return !keep(i)
		})
	}
	list, kept := e.list(p), 0
	for i := range list.Len() {
		if keep(i) {
			list.Set(kept, list.Get(i))
			kept++
		}
	}
	list.Truncate(kept)
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
func (e *Edit) HideOutputs() (places []int) {
	graph := e.model.Proto.Graph
	graph.ValueInfo, graph.Output = append(graph.ValueInfo, graph.Output...), nil
	if e.model.layout == nil {
		return nil
	}
	var kept, hidden []field
	for at, f := range e.model.layout.graph {
		if f.is(Outputs) {
			places, hidden = append(places, at), append(hidden, f)
		} else {
			kept = append(kept, f)
		}
	}
	e.model.layout.graph = append(kept, e.renumbered(hidden, ValueInfo)...)
	return places
}

// ShowOutputs takes HideOutputs back for the last n tensors that have types inside the
// graph. places is where in the file they were; those that it lacks go to the end.
func (e *Edit) ShowOutputs(n int, places []int) {
	graph := e.model.Proto.Graph
	first := len(graph.ValueInfo) - n
	if n < 0 || first < 0 {
		e.fail(fmt.Errorf("there are no %d elements among %d", n, len(graph.ValueInfo)))
		return
	}
	graph.ValueInfo, graph.Output = graph.ValueInfo[:first], append(graph.Output, graph.ValueInfo[first:]...)
	if e.model.layout == nil {
		return
	}
	var rest, shown []field
	for _, f := range e.model.layout.graph {
		if f.is(ValueInfo) && first == 0 {
			shown = append(shown, f)
			continue
		}
		if f.is(ValueInfo) {
			first--
		}
		rest = append(rest, f)
	}
	fields := make([]field, 0, len(rest)+len(shown))
	for i, f := range e.renumbered(shown, Outputs) {
		before := len(rest)
		if i < len(places) {
			before = min(max(places[i]-len(fields), 0), len(rest))
		}
		fields = append(append(fields, rest[:before]...), f)
		rest = rest[before:]
	}
	e.model.layout.graph = append(fields, rest...)
}

// renumbered gives fields of a list another number and leaves their content as it is.
func (e *Edit) renumbered(fields []field, to Part) []field {
	contents, err := e.model.layout.read(fields)
	if err != nil {
		e.fail(err)
		return fields
	}
	made := make([]field, len(fields))
	for i, bytes := range contents {
		_, _, n := protowire.ConsumeTag(bytes) // which was read before
		tag := protowire.AppendTag(nil, to.number(), protowire.BytesType)
		made[i] = field{number: to.number(), kind: protowire.BytesType, bytes: append(tag, bytes[n:]...)}
	}
	return made
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
