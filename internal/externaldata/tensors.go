package externaldata

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
)

// Is reports whether a tensor has its data in another file.
func Is(t *onnxpb.TensorProto) bool {
	return t.GetDataLocation() == onnxpb.TensorProto_EXTERNAL
}

// Tensors lists the tensors, wherever they are in a model, whose data are in other
// files.
func Tensors(model *onnxpb.ModelProto) []*onnxpb.TensorProto {
	var found finder
	found.graph(model.GetGraph())
	for _, f := range model.GetFunctions() {
		found.nodes(f.GetNode())
		found.attributes(f.GetAttributeProto())
	}
	return found
}

// finder collects tensors with external data.
type finder []*onnxpb.TensorProto

func (f *finder) graph(g *onnxpb.GraphProto) {
	f.tensors(g.GetInitializer()...)
	f.sparse(g.GetSparseInitializer()...)
	f.nodes(g.GetNode())
}

func (f *finder) nodes(nodes []*onnxpb.NodeProto) {
	for _, node := range nodes {
		f.attributes(node.GetAttribute())
	}
}

func (f *finder) attributes(attributes []*onnxpb.AttributeProto) {
	for _, a := range attributes {
		f.tensors(a.GetT())
		f.tensors(a.GetTensors()...)
		f.sparse(a.GetSparseTensor())
		f.sparse(a.GetSparseTensors()...)
		f.graph(a.GetG())
		for _, g := range a.GetGraphs() {
			f.graph(g)
		}
	}
}

func (f *finder) sparse(tensors ...*onnxpb.SparseTensorProto) {
	for _, t := range tensors {
		f.tensors(t.GetValues(), t.GetIndices())
	}
}

func (f *finder) tensors(tensors ...*onnxpb.TensorProto) {
	for _, t := range tensors {
		if Is(t) {
			*f = append(*f, t)
		}
	}
}

// deepest bounds messages inside of messages. Each level of subgraphs takes three.
const deepest = 200

// Scan gives Tensors of a serialised model, without decoding the numbers in it.
func Scan(model []byte) ([]*onnxpb.TensorProto, error) {
	bare, err := withoutNumbers(nil, new(onnxpb.ModelProto).ProtoReflect().Descriptor(), model, 0)
	if err != nil {
		return nil, err
	}
	var decoded onnxpb.ModelProto
	if err := proto.Unmarshal(bare, &decoded); err != nil {
		return nil, err
	}
	return Tensors(&decoded), nil
}

var tensorDescriptor = new(onnxpb.TensorProto).ProtoReflect().Descriptor()

// The fields of a tensor that hold its numbers.
var numberFields = map[protowire.Number]bool{4: true, 5: true, 6: true, 7: true, 9: true, 10: true, 11: true}

// withoutNumbers appends a serialised message, but for the numbers of tensors.
func withoutNumbers(to []byte, of protoreflect.MessageDescriptor, message []byte, level int) ([]byte, error) {
	if level > deepest {
		return nil, fmt.Errorf("messages are nested more than %d deep", deepest)
	}
	for len(message) > 0 {
		number, kind, tag := protowire.ConsumeTag(message)
		if tag < 0 {
			return nil, protowire.ParseError(tag)
		}
		length := protowire.ConsumeFieldValue(number, kind, message[tag:])
		if length < 0 {
			return nil, protowire.ParseError(length)
		}
		field, value := message[:tag+length], message[tag:tag+length]
		message = message[tag+length:]
		inner := messageOf(of, number, kind)
		switch {
		case of == tensorDescriptor && numberFields[number]:
		case inner == nil:
			to = append(to, field...)
		default:
			content, _ := protowire.ConsumeBytes(value)
			bare, err := withoutNumbers(nil, inner, content, level+1)
			if err != nil {
				return nil, err
			}
			to = protowire.AppendBytes(append(to, field[:tag]...), bare)
		}
	}
	return to, nil
}

// messageOf is the message that a field holds, nil for none.
func messageOf(of protoreflect.MessageDescriptor, number protowire.Number, kind protowire.Type) protoreflect.MessageDescriptor {
	field := of.Fields().ByNumber(number)
	if field == nil || kind != protowire.BytesType {
		return nil
	}
	return field.Message()
}
