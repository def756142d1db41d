package modelfuzz

import (
	"math"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// number is small, or as large as can be.
func number(c *choices) int64 {
	edges := []int64{math.MaxInt64, math.MinInt64, math.MaxInt32, math.MinInt32, 1 << 31, 1 << 33, 1 << 40, math.MaxInt64 / 2, 1 << 62, -1, 0, 65}
	b := c.next()
	if int(b) < len(edges) {
		return edges[b]
	}
	return int64(int8(b)) / 8
}

// texts are names and values that mean something to those who read models.
var texts = []string{
	"", "x", "y", "loss", "loss_2", "target", "prediction", "MSELoss/total", " ", "a/b", "\x00", "\x1b[31mred\x1b[0m", "\xff\xfe", "ünïcode",
	// operators and domains
	"ai.onnx", "ai.onnxloss", "test", "Constant", "Identity", "Split", "Concat", "Unsqueeze", "Transpose", "Pad", "Slice", "Range", "Expand",
	"Tile", "OneHot", "Gather", "Resize", "Loop", "If", "Einsum", "ConstantOfShape", "MSELoss", "Inner", "Outer", "Middle",
	// attributes
	"axis", "axes", "value", "value_ints", "perm", "pads", "split", "to", "then_branch", "body", "slope", "kernel_shape", "blocksize", "group",
	// external data
	"location", "offset", "length", "checksum", "onnxloss.field", "../x", "/etc/passwd", "weights.bin", "model.onnx", "C:\\x", "-1", "0", "4", "9",
	"9223372036854775807", "18446744073709551616", "1e9",
	// metadata
	"onnxloss.loss", "onnxloss.added", "onnxloss.terms", "onnxloss.total", "onnxloss.opset", "onnxloss.inputs", "onnxloss.params", "onnxloss.attached",
	`{"alpha":1e999}`, `{"prediction":"nowhere"}`, "{}", "[]", "null", "[null]", "true", "function", "custom", "sum", "none", "bfloat16",
	`{"nodes":-1,"outputs":1,"metadata":1}`, `{"nodes":4,"inputs":1,"outputs":1,"value_info":2,"metadata":11}`,
	`{"nodes":3,"inputs":1,"outputs":1,"value_info":2,"metadata":12}`, `{"nodes":9223372036854775807,"outputs":1,"metadata":11}`,
	`{"nodes":3,"inputs":1,"outputs":2,"value_info":2,"metadata":11,"hidden_outputs":1,"hidden":[-1]}`,
	`{"nodes":3,"inputs":1,"outputs":1,"value_info":2,"metadata":11,"hidden_outputs":2,"hidden":[0,999999999]}`,
	`{"nodes":3,"inputs":1,"outputs":1,"value_info":2,"metadata":11,"opset":-5,"ir_version":99}`,
	`{"nodes":3,"inputs":1,"outputs":1,"value_info":2,"metadata":11,"functions":1,"initializers":1,"opset_imports":1}`,
	`[{"loss":"MSELoss","params":"{}","form":"graph","opset":"17","dtype":"float32","reduction":"mean","inputs":"{}","output":"loss","attached":"true","weight":"nan"}]`,
	strings.Repeat("[", 20_000),
}

func text(c *choices) string {
	switch pick := c.next(); {
	case int(pick) < len(texts):
		return texts[pick]
	case pick%8 == 0:
		return strings.Repeat("long ", 1<<(c.next()%14))
	}
	return string(rune('a' + c.next()%8))
}

// corrupt changes bytes without knowing what they mean, or writes what means the same
// in a way that only a decoder sees.
func corrupt(data []byte, c *choices) []byte {
	for range 1 + c.next()%4 {
		at := c.below(len(data) + 1)
		switch c.next() % 8 {
		case 0:
			data = data[:at]
		case 1:
			if at < len(data) {
				data[at] ^= 1 << (c.next() % 8)
			}
		case 2: // the model twice, which protobuf merges into one
			data = append(data, data...)
		case 3: // a second part of the graph
			data = append(data, part(data, c.below(1<<12), int(c.next()))...)
		case 4: // a field that nobody knows
			data = protowire.AppendBytes(protowire.AppendTag(data, 999, protowire.BytesType), data[:at])
		case 5:
			data = append(data, strings.Repeat("\x3a\x00", 1<<(c.next()%14))...) // many empty graphs
		case 6: // a group, and a number in more bytes than it needs
			data = append(data, 0x3b, 0x0a, 0x00, 0x3c, 0x08, 0x88, 0x80, 0x80, 0x80, 0x00)
		case 7: // many empty messages
			data = append(data, part([]byte(strings.Repeat(string([]byte{c.next()&^7 | 2, 0}), 1<<(c.next()%14))), 0, 1<<20)...)
		}
	}
	return data
}

// part wraps a piece of data as a graph.
func part(data []byte, at, length int) []byte {
	at = min(at, len(data))
	inner := data[at:min(at+length, len(data))]
	return protowire.AppendBytes(protowire.AppendTag(nil, 7, protowire.BytesType), inner)
}
