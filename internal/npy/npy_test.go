package npy_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onnxloss/onnxloss/internal/npy"
	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// file builds a version 1 file as the format's specification describes it.
func file(descr, order, shape string, data ...byte) []byte {
	header := "{'descr': " + descr + ", 'fortran_order': " + order + ", 'shape': " + shape + ", }"
	return raw(1, header, data...)
}

func raw(version byte, header string, data ...byte) []byte {
	out := append([]byte("\x93NUMPY"), version, 0)
	lengthSize := 2
	if version > 1 {
		lengthSize = 4
	}
	header += strings.Repeat(" ", 63-(8+lengthSize+len(header))%64) + "\n"
	if version > 1 {
		out = binary.LittleEndian.AppendUint32(out, uint32(len(header)))
	} else {
		out = binary.LittleEndian.AppendUint16(out, uint16(len(header)))
	}
	return append(append(out, header...), data...)
}

var decodable = []struct {
	name string
	file []byte
	want engine.Tensor
}{
	{"float32", file("'<f4'", "False", "(2,)", 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0), engine.Must([]int{2}, []float32{1, -2})},
	{"float32, big-endian", file("'>f4'", "False", "(2,)", 0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0), engine.Must([]int{2}, []float32{1, -2})},
	{"float64", file("'<f8'", "False", "(1,)", 0, 0, 0, 0, 0, 0, 0xf8, 0x3f), engine.Must([]int{1}, []float64{1.5})},
	{"float64, big-endian", file("'>f8'", "False", "(1,)", 0x3f, 0xf8, 0, 0, 0, 0, 0, 0), engine.Must([]int{1}, []float64{1.5})},
	{"float16", file("'<f2'", "False", "(1,)", 0, 0x3c), engine.Must([]int{1}, []engine.Float16{0x3c00})},
	{"float16, big-endian", file("'>f2'", "False", "(1,)", 0x3c, 0), engine.Must([]int{1}, []engine.Float16{0x3c00})},
	{"int8", file("'|i1'", "False", "(2,)", 1, 0xff), engine.Must([]int{2}, []int8{1, -1})},
	{"int16", file("'<i2'", "False", "(1,)", 0xfe, 0xff), engine.Must([]int{1}, []int16{-2})},
	{"int32, big-endian", file("'>i4'", "False", "(1,)", 0, 0, 1, 2), engine.Must([]int{1}, []int32{258})},
	{"int64", file("'<i8'", "False", "(1,)", 3, 0, 0, 0, 0, 0, 0, 0x80), engine.Must([]int{1}, []int64{math.MinInt64 + 3})},
	{"uint8", file("'|u1'", "False", "(2,)", 0, 0xff), engine.Must([]int{2}, []uint8{0, 255})},
	{"uint16", file("'<u2'", "False", "(1,)", 0xff, 0xff), engine.Must([]int{1}, []uint16{65535})},
	{"uint32", file("'<u4'", "False", "(1,)", 4, 3, 2, 1), engine.Must([]int{1}, []uint32{0x01020304})},
	{"uint64", file("'>u8'", "False", "(1,)", 1, 0, 0, 0, 0, 0, 0, 2), engine.Must([]int{1}, []uint64{1<<56 | 2})},
	{"bool", file("'|b1'", "False", "(3,)", 0, 1, 1), engine.Must([]int{3}, []bool{false, true, true})},
	{"rank 0", file("'|i1'", "False", "()", 7), engine.Must([]int{}, []int8{7})},
	{"no elements", file("'<f4'", "False", "(0, 3)"), engine.Must([]int{0, 3}, []float32{})},
	{"no elements, Fortran order", file("'<f4'", "True", "(3, 0)"), engine.Must([]int{3, 0}, []float32{})},
	{"Fortran order of rank 2", file("'|i1'", "True", "(2, 3)", 1, 4, 2, 5, 3, 6), engine.Must([]int{2, 3}, []int8{1, 2, 3, 4, 5, 6})},
	{"Fortran order of rank 3, big-endian", file("'>i2'", "True", "(2, 1, 2)", 0, 1, 0, 3, 0, 2, 0, 4), engine.Must([]int{2, 1, 2}, []int16{1, 2, 3, 4})},
	{"version 2", raw(2, "{'descr': '|i1', 'fortran_order': False, 'shape': (1,), }", 9), engine.Must([]int{1}, []int8{9})},
}

func TestDecodeReadsEveryNumericTypeAndLayout(t *testing.T) {
	for _, test := range decodable {
		t.Run(test.name, func(t *testing.T) {
			got, err := npy.Decode(bytes.NewReader(test.file))
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, test.want)
		})
	}
}

// same compares bits, so that NaN payloads and signed zeros count.
func same(t *testing.T, got, want engine.Tensor) {
	t.Helper()
	if got.DType() != want.DType() || !slices.Equal(got.Shape(), want.Shape()) {
		t.Fatalf("got %v, want %v", got, want)
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("%v: got % x, want % x", got, got.Bytes(), want.Bytes())
	}
}

var refused = []struct {
	name, says string
	file       []byte
}{
	{"empty", "empty", nil},
	{"another format", "not a .npy file", []byte("GIF89a and so on")},
	{"short and another format", "not a .npy file", []byte("hi")},
	{"an .npz archive", "numpy.save", []byte("PK\x03\x04 archive")},
	{"cut in the magic string", "not a .npy file", []byte("\x93NUM")},
	{"cut before the header's length", "ends in its header", []byte("\x93NUMPY\x01\x00\x10")},
	{"cut in the length of version 2", "ends in its header", []byte("\x93NUMPY\x02\x00\x10\x00\x00")},
	{"cut in the header", "ends in its header", file("'<f4'", "False", "(1,)", 0, 0, 0, 0)[:40]},
	{"cut in the data", "needs 8 bytes of data, the file has 5", file("'<f4'", "False", "(2,)", 1, 2, 3, 4, 5)},
	{"claims more than a machine holds", "too many elements", file("'<f8'", "False", "(9223372036854775807, 9)")},
	{"claims a terabyte", "the file is cut off", file("'<f8'", "False", "(137438953472,)", 1)},
	{"trailing bytes", "has more", file("'|i1'", "False", "(1,)", 1, 2)},
	{"a header of gigabytes", "header is 4294967295 bytes", []byte("\x93NUMPY\x02\x00\xff\xff\xff\xff")},
	{"version 3", "version 3", raw(3, "{'descr': '|i1', 'fortran_order': False, 'shape': (1,), }", 9)},
	{"a negative size", "negative dimension", file("'|i1'", "False", "(-1,)", 9)},
	{"more axes than numpy has", "65 axes", file("'|i1'", "False", "("+strings.Repeat("1,", 65)+")", 9)},
	{"objects", "Python objects", file("'|O'", "False", "(1,)", 9)},
	{"strings", "'<U5' is not supported", file("'<U5'", "False", "(1,)", 9)},
	{"complex numbers", "'<c8' is not supported", file("'<c8'", "False", "(1,)", 1, 2, 3, 4, 5, 6, 7, 8)},
	{"times", "'<M8[ns]' is not supported", file("'<M8[ns]'", "False", "(1,)", 1, 2, 3, 4, 5, 6, 7, 8)},
	{"a structure", "is not supported", file("[('a', '<f4')]", "False", "(1,)", 1, 2, 3, 4)},
	{"more than a byte without an order", "'|f4' is not supported", file("'|f4'", "False", "(1,)", 1, 2, 3, 4)},
	{"no dictionary", "header", raw(1, "hello")},
	{"keys in another order", "malformed", raw(1, "{'shape': (1,), 'descr': '|i1', 'fortran_order': False, }", 1)},
	{"no line end", "malformed", append([]byte("\x93NUMPY\x01\x00\x02\x00"), "{}"...)},
	{"an order that is neither", "fortran_order", file("'|i1'", "Maybe", "(1,)", 1)},
	{"a size that is no number", "header", file("'|i1'", "False", "(x,)", 1)},
}

func TestDecodeRefusesWithAReason(t *testing.T) {
	for _, test := range refused {
		t.Run(test.name, func(t *testing.T) {
			got, err := npy.Decode(bytes.NewReader(test.file))
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Fatalf("got %v, %v; want an error that says %q", got, err, test.says)
			}
		})
	}
}

func TestWriteThenReadGivesTheSameTensor(t *testing.T) {
	for _, want := range []engine.Tensor{
		engine.Must([]int{2, 2}, []float32{0, float32(math.Copysign(0, -1)), float32(math.NaN()), float32(math.Inf(-1))}),
		engine.Must([]int{1, 1, 3}, []float64{math.MaxFloat64, math.SmallestNonzeroFloat64, -1}),
		engine.Must([]int{2}, []engine.Float16{0x3c00, 0x7c01}),
		engine.Must([]int{3}, []int8{-128, 0, 127}),
		engine.Must([]int{1}, []int16{math.MinInt16}),
		engine.Must([]int{1}, []int32{math.MinInt32}),
		engine.Must([]int{1}, []int64{math.MinInt64}),
		engine.Must([]int{1}, []uint8{math.MaxUint8}),
		engine.Must([]int{1}, []uint16{math.MaxUint16}),
		engine.Must([]int{1}, []uint32{math.MaxUint32}),
		engine.Must([]int{1}, []uint64{math.MaxUint64}),
		engine.Must([]int{2}, []bool{true, false}),
		engine.Scalar(float32(2.5)),
		engine.Must([]int{4, 0, 2}, []int64{}),
	} {
		t.Run(want.String(), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "array.npy")
			if err := npy.Write(path, want); err != nil {
				t.Fatal(err)
			}
			got, err := npy.Read(path)
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, want)
		})
	}
}

func TestWriteFollowsTheSpecification(t *testing.T) {
	path := filepath.Join(t.TempDir(), "array.npy")
	if err := npy.Write(path, engine.Must([]int{2, 1}, []int16{1, -1})); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := file("'<i2'", "False", "(2, 1)", 1, 0, 0xff, 0xff)
	if !bytes.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if start := len(got) - 4; start%64 != 0 {
		t.Errorf("the data start at byte %d, which is not a multiple of 64", start)
	}
}

func TestWriteWidensBFloat16WithoutLoss(t *testing.T) {
	path := filepath.Join(t.TempDir(), "array.npy")
	if err := npy.Write(path, engine.Must([]int{2}, []engine.BFloat16{0x3f80, 0xc049})); err != nil {
		t.Fatal(err)
	}
	got, err := npy.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, engine.Must([]int{2}, []float32{1, -3.140625}))
}

func TestErrorsNameTheFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "bad.npy"), []byte("bad"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		err  error
		says []string
	}{
		"not there":     {readError(filepath.Join(dir, "none.npy")), []string{"none.npy", "no such file"}},
		"a directory":   {readError(dir), []string{dir, "directory"}},
		"not a file":    {readError(filepath.Join(dir, "bad.npy")), []string{"bad.npy", "not a .npy file"}},
		"strings":       {npy.Write(filepath.Join(dir, "s.npy"), engine.Scalar("x")), []string{"s.npy", "string"}},
		"the zero one":  {npy.Write(filepath.Join(dir, "z.npy"), engine.Tensor{}), []string{"z.npy", "undefined"}},
		"too many axes": {npy.Write(filepath.Join(dir, "a.npy"), engine.Must(slices.Repeat([]int{1}, 65), []int8{1})), []string{"a.npy", "65 axes"}},
		"no such place": {npy.Write(filepath.Join(dir, "no", "f.npy"), engine.Scalar(true)), []string{"f.npy", "no such file"}},
	} {
		for _, says := range test.says {
			if test.err == nil || !strings.Contains(test.err.Error(), says) {
				t.Errorf("%s: error is %v, want one that says %q", name, test.err, says)
			}
		}
	}
}

func readError(path string) error {
	_, err := npy.Read(path)
	return err
}

func FuzzDecode(f *testing.F) {
	for _, test := range decodable {
		f.Add(test.file)
	}
	for _, test := range refused {
		f.Add(test.file)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := npy.Decode(bytes.NewReader(data))
		if err != nil {
			return
		}
		if first.DType().Size() == 0 || first.DType() == ops.BFloat16 {
			t.Fatalf("decoded %v", first)
		}
		path := filepath.Join(dir, "array.npy")
		if err := npy.Write(path, first); err != nil {
			t.Fatal(err)
		}
		second, err := npy.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		same(t, second, first)
	})
}
