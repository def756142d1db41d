// Package modelfuzz makes wrong models out of sound ones: protobuf that decodes, of
// graphs that make no sense, and now and then bytes that do not decode. What it makes
// follows from the bytes that a fuzzer gives, so that an input says how to make the
// model again.
package modelfuzz

import (
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/onnxloss/onnxloss/internal/onnxpb"
)

// Model gives a serialised model: the first byte picks a seed, each few of the others
// a change of it.
func Model(decisions []byte) []byte {
	c := choices(decisions)
	seeds := Seeds()
	p := seeds[c.below(len(seeds))]
	wire := c.next()
	for steps := 0; len(c) > 3 && steps < 32 && proto.Size(p) < largest; steps++ {
		mutate(p, &c)
	}
	data, err := proto.MarshalOptions{Deterministic: true, AllowPartial: true}.Marshal(p)
	if err != nil { // a string that is not UTF-8, which proto2 does not ask for
		return nil
	}
	if wire%4 == 0 { // the bytes that are left go on as they are
		data = corrupt(data, &c)
	}
	return data
}

// largest is the size beyond which a model is not made larger.
const largest = 1 << 18

// each calls f for models that differ, the same ones each time: count of each seed.
func each(count int, f func(decisions []byte)) {
	for seed := range len(Seeds()) {
		random := rand.New(rand.NewPCG(uint64(seed), 1))
		f([]byte{byte(seed), 1})
		for range count {
			decisions := make([]byte, 2+random.IntN(60))
			for i := range decisions {
				decisions[i] = byte(random.Uint32())
			}
			decisions[0] = byte(seed)
			f(decisions)
		}
	}
}

// Add gives a fuzz target the seeds and some hundred changes of each to start from.
// They are also what it does as a test.
func Add(f *testing.F) {
	count := 100
	if testing.Short() {
		count = 20
	}
	each(count, func(decisions []byte) { f.Add(decisions) })
}

// choices takes decisions from bytes, 0 when they are used up.
type choices []byte

func (c *choices) next() byte {
	if len(*c) == 0 {
		return 0
	}
	b := (*c)[0]
	*c = (*c)[1:]
	return b
}

// below picks a number from 0 to n-1; 0 where there is none.
func (c *choices) below(n int) int {
	if n <= 0 {
		return 0
	}
	pick := int(c.next())
	if n > 256 {
		pick = pick<<8 | int(c.next())
	}
	return pick % n
}

// mutate makes one change of a model.
func mutate(p *onnxpb.ModelProto, c *choices) {
	all := messages(p.ProtoReflect(), nil)
	m := all[c.below(len(all))]
	fields := m.Descriptor().Fields()
	field := fields.Get(c.below(fields.Len()))
	if set := populated(m); len(set) > 0 && c.next()%4 != 0 { // mostly what is there
		field = set[c.below(len(set))]
	}
	switch {
	case field.IsList():
		changeList(m, field, all, c)
	case c.next()%8 == 0:
		m.Clear(field)
	default:
		m.Set(field, value(m, field, all, c))
	}
}

// messages lists all that a message consists of, itself first.
func messages(m protoreflect.Message, all []protoreflect.Message) []protoreflect.Message {
	all = append(all, m)
	for _, field := range populated(m) {
		switch {
		case field.Message() == nil:
		case field.IsList():
			for i := range m.Get(field).List().Len() {
				all = messages(m.Get(field).List().Get(i).Message(), all)
			}
		default:
			all = messages(m.Get(field).Message(), all)
		}
	}
	return all
}

// populated lists the fields that a message has, in order.
func populated(m protoreflect.Message) (set []protoreflect.FieldDescriptor) {
	for i := range m.Descriptor().Fields().Len() {
		if field := m.Descriptor().Fields().Get(i); m.Has(field) {
			set = append(set, field)
		}
	}
	return set
}

// changeList drops, exchanges, repeats, replaces or adds elements.
func changeList(m protoreflect.Message, field protoreflect.FieldDescriptor, all []protoreflect.Message, c *choices) {
	list := m.Mutable(field).List()
	kind, n := c.next()%8, list.Len()
	if n == 0 {
		kind = 7
	}
	i, j := c.below(n), c.below(n)
	switch kind {
	case 0:
		for ; i+1 < n; i++ {
			list.Set(i, list.Get(i+1))
		}
		list.Truncate(n - 1)
	case 1, 2:
		x, y := list.Get(i), list.Get(j)
		list.Set(i, y)
		list.Set(j, x)
	case 3:
		list.Append(copyOf(list.Get(i)))
	case 4:
		element, size := list.Get(i), 1
		if m, ok := element.Interface().(protoreflect.Message); ok {
			size += proto.Size(m.Interface())
		}
		for range min(1<<(c.next()%12), largest/size) {
			list.Append(element)
		}
	case 5, 6:
		list.Set(i, value(m, field, all, c))
	case 7:
		list.Append(value(m, field, all, c))
	}
}

func copyOf(v protoreflect.Value) protoreflect.Value {
	if m, ok := v.Interface().(protoreflect.Message); ok {
		return protoreflect.ValueOfMessage(proto.Clone(m.Interface()).ProtoReflect())
	}
	return v
}

// value makes one that a field can hold: often one that a field of the same kind has
// elsewhere in the model, so that names clash and graphs hold themselves.
func value(m protoreflect.Message, field protoreflect.FieldDescriptor, all []protoreflect.Message, c *choices) protoreflect.Value {
	if have := similar(field, all); len(have) > 0 && c.next()%2 == 0 {
		return copyOf(have[c.below(len(have))])
	}
	switch field.Kind() {
	case protoreflect.MessageKind:
		if field.IsList() {
			return m.NewField(field).List().NewElement()
		}
		return m.NewField(field)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(int8(c.next())))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(number(c)))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(number(c))
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(uint64(number(c)))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(float32(number(c)))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(float64(number(c)))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(text(c)))
	}
	return protoreflect.ValueOfString(text(c))
}

// similar lists what the fields of a type hold; of strings, also those of other
// messages.
func similar(field protoreflect.FieldDescriptor, all []protoreflect.Message) (have []protoreflect.Value) {
	for _, m := range all {
		for _, other := range populated(m) {
			same := other.FullName() == field.FullName() || other.Kind() == field.Kind() && other.Message() == field.Message()
			switch {
			case !same:
			case other.IsList():
				for i := range m.Get(other).List().Len() {
					have = append(have, m.Get(other).List().Get(i))
				}
			default:
				have = append(have, m.Get(other))
			}
		}
	}
	return have
}
