package models

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
)

// copyOf copies a message and all that is in it, except for the numbers of tensors:
// weights may be gigabytes long, and stay shared.
func copyOf[M proto.Message](m M) M {
	return copyMessage(m.ProtoReflect()).Interface().(M)
}

func copyMessage(from protoreflect.Message) protoreflect.Message {
	to := from.New()
	_, isTensor := from.Interface().(*onnxpb.TensorProto)
	from.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch holdsMessages := field.Message() != nil; {
		case field.IsList() && (holdsMessages || !isTensor):
			copyList(value.List(), to.Mutable(field).List(), holdsMessages)
		case holdsMessages && !field.IsList():
			to.Set(field, protoreflect.ValueOfMessage(copyMessage(value.Message())))
		default:
			to.Set(field, value)
		}
		return true
	})
	to.SetUnknown(from.GetUnknown())
	return to
}

func copyList(from, to protoreflect.List, holdsMessages bool) {
	for i := range from.Len() {
		element := from.Get(i)
		if holdsMessages {
			element = protoreflect.ValueOfMessage(copyMessage(element.Message()))
		}
		to.Append(element)
	}
}

// shallowCopy copies a message and its lists, not what is in them.
func shallowCopy[M proto.Message](m M) M {
	from := m.ProtoReflect()
	to := from.New()
	from.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if field.IsList() {
			copyList(value.List(), to.Mutable(field).List(), false)
		} else {
			to.Set(field, value)
		}
		return true
	})
	to.SetUnknown(from.GetUnknown())
	return to.Interface().(M)
}
