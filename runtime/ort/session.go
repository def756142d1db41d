//go:build cgo

package ort

// #include "capi.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	binding "github.com/yalue/onnxruntime_go"

	"github.com/onnxloss/onnxloss/ops"
	"github.com/onnxloss/onnxloss/runtime/engine"
)

// port is an input or an output of a model as the session declares it.
type port struct {
	name  string
	cName *C.char
	dtype ops.DType
	shape string // "[N,3]", or empty where it is not known
}

func (p port) String() string { return fmt.Sprintf("%q (%s%s)", p.name, p.dtype, p.shape) }

type session struct {
	mutex   sync.RWMutex
	native  *binding.DynamicAdvancedSession // nil once closed
	handle  *C.Session                      // the C object of native
	inputs  []port
	outputs []port
}

func newSession(native *binding.DynamicAdvancedSession) (*session, error) {
	s := &session{native: native}
	err := s.describe()
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *session) describe() error {
	var err error
	if s.handle, err = handleOf(s.native); err != nil {
		return err
	}
	if s.inputs, err = ports(s.handle, false); err != nil {
		return err
	}
	s.outputs, err = ports(s.handle, true)
	return err
}

// handleOf reads the C object that the binding keeps to itself.
func handleOf(native *binding.DynamicAdvancedSession) (*C.Session, error) {
	inner := reflect.ValueOf(native).Elem().FieldByName("s")
	if inner.Kind() != reflect.Pointer {
		return nil, errors.New("this version of the binding keeps its session in another way")
	}
	handle := inner.Elem().FieldByName("ortSession")
	if handle.Kind() != reflect.Pointer {
		return nil, errors.New("this version of the binding keeps its session in another way")
	}
	return (*C.Session)(handle.UnsafePointer()), nil
}

// ports lists the inputs or the outputs of a session.
func ports(handle *C.Session, outputs bool) ([]port, error) {
	var which C.int
	if outputs {
		which = 1
	}
	var count C.size_t
	if err := check(C.capi_count(handle, which, &count)); err != nil {
		return nil, err
	}
	var all []port
	for i := range count {
		p, err := portAt(handle, which, i)
		if err != nil {
			freeNames(all)
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

func portAt(handle *C.Session, which C.int, index C.size_t) (port, error) {
	var p port
	if err := check(C.capi_name(handle, which, index, &p.cName)); err != nil {
		return port{}, err
	}
	p.name = C.GoString(p.cName)
	err := p.readType(handle, which, index)
	if err != nil {
		C.capi_free_name(p.cName)
		return port{}, fmt.Errorf("%q: %w", p.name, err)
	}
	return p, nil
}

func (p *port) readType(handle *C.Session, which C.int, index C.size_t) error {
	var info *C.TypeInfo
	if err := check(C.capi_type(handle, which, index, &info)); err != nil {
		return err
	}
	defer C.capi_release_type(info)
	var tensor *C.TensorInfo
	if err := check(C.capi_tensor_type(info, &tensor)); err != nil {
		return err
	}
	if tensor == nil {
		return fmt.Errorf("only tensors go in and out of a model: %w", engine.ErrUnsupported)
	}
	dtype, dims, err := tensorType(tensor)
	if err != nil {
		return err
	}
	if dtype != ops.String && dtype.Size() == 0 {
		return fmt.Errorf("tensors of %s do not go in and out of a model: %w", dtype, engine.ErrUnsupported)
	}
	p.dtype = dtype
	if C.capi_has_shape(tensor) != 0 {
		p.shape, err = describeShape(tensor, dims)
	}
	return err
}

// describeShape writes a declared shape; dimensions may have names or be unknown.
func describeShape(tensor *C.TensorInfo, dims []C.int64_t) (string, error) {
	symbols := make([]*C.char, len(dims))
	if err := check(C.capi_symbols(tensor, unsafe.SliceData(symbols), C.size_t(len(dims)))); err != nil {
		return "", err
	}
	words := make([]string, len(dims))
	for i, d := range dims {
		switch name := C.GoString(symbols[i]); {
		case d >= 0:
			words[i] = strconv.FormatInt(int64(d), 10)
		case name != "":
			words[i] = name
		default:
			words[i] = "?"
		}
	}
	return "[" + strings.Join(words, ",") + "]", nil
}

func (s *session) Run(inputs map[string]engine.Tensor) (map[string]engine.Tensor, error) {
	return s.RunContext(context.Background(), inputs)
}

// RunContext is Run that ends with the error of ctx once that is done, after the
// operators that are being computed.
func (s *session) RunContext(ctx context.Context, inputs map[string]engine.Tensor) (map[string]engine.Tensor, error) {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	if s.native == nil {
		return nil, errors.New("ort: run: the session is closed")
	}
	if err := s.checkInputs(inputs); err != nil {
		return nil, fmt.Errorf("ort: run: %w", err)
	}
	outputs, err := s.run(ctx, inputs)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err() // what ONNX Runtime says of it is less
	}
	if err != nil {
		return nil, fmt.Errorf("ort: run: %w", err)
	}
	return outputs, nil
}

func (s *session) checkInputs(inputs map[string]engine.Tensor) error {
	for _, p := range s.inputs {
		t, given := inputs[p.name]
		if !given {
			return fmt.Errorf("input %s is missing", p)
		}
		if t.DType() != p.dtype {
			return fmt.Errorf("input %s got a tensor %s; convert it to %s", p, t, p.dtype)
		}
	}
	if len(inputs) == len(s.inputs) {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		if !slices.ContainsFunc(s.inputs, func(p port) bool { return p.name == name }) {
			return fmt.Errorf("the model has no input %q; it has %s", name, describePorts(s.inputs))
		}
	}
	return nil
}

func describePorts(all []port) string {
	if len(all) == 0 {
		return "none"
	}
	words := make([]string, len(all))
	for i, p := range all {
		words[i] = p.String()
	}
	return strings.Join(words, ", ")
}

func (s *session) run(ctx context.Context, inputs map[string]engine.Tensor) (map[string]engine.Tensor, error) {
	var pinner runtime.Pinner
	defer pinner.Unpin()
	given, results := make([]*C.Value, len(s.inputs)), make([]*C.Value, len(s.outputs))
	defer releaseValues(given)
	defer releaseValues(results)
	for i, p := range s.inputs {
		var err error
		if given[i], err = toValue(inputs[p.name], &pinner); err != nil {
			return nil, fmt.Errorf("input %s: %w", p, err)
		}
	}
	options, release, err := runOptions(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	inputNames, outputNames := cNames(s.inputs), cNames(s.outputs)
	status := C.capi_run(s.handle, options,
		unsafe.SliceData(inputNames), unsafe.SliceData(given), C.size_t(len(given)),
		unsafe.SliceData(outputNames), C.size_t(len(results)), unsafe.SliceData(results))
	if err := check(status); err != nil {
		return nil, err
	}
	outputs := make(map[string]engine.Tensor, len(results))
	for i, p := range s.outputs {
		t, err := fromValue(results[i])
		if err != nil {
			return nil, fmt.Errorf("output %s: %w", p, err)
		}
		outputs[p.name] = t
	}
	return outputs, nil
}

// runOptions gives options that end a run when ctx is done, none for one that never
// is. They are released after the run.
func runOptions(ctx context.Context) (options *C.RunOptions, release func(), err error) {
	if ctx.Done() == nil {
		return nil, func() {}, nil
	}
	if err := check(C.capi_run_options(&options)); err != nil {
		return nil, nil, err
	}
	terminated := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { terminated <- check(C.capi_terminate(options)) })
	return options, func() {
		if !stop() {
			<-terminated // it still uses the options
		}
		C.capi_release_run_options(options)
	}, nil
}

func cNames(all []port) []*C.char {
	names := make([]*C.char, len(all))
	for i, p := range all {
		names[i] = p.cName
	}
	return names
}

func releaseValues(values []*C.Value) {
	for _, v := range values {
		if v != nil {
			C.capi_release_value(v)
		}
	}
}

// Close frees the session; closing it again does nothing.
func (s *session) Close() error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.native == nil {
		return nil
	}
	freeNames(s.inputs)
	freeNames(s.outputs)
	err := s.native.Destroy()
	s.native, s.handle, s.inputs, s.outputs = nil, nil, nil, nil
	if err != nil {
		return fmt.Errorf("ort: close: %w", err)
	}
	return nil
}

func freeNames(all []port) {
	for _, p := range all {
		C.capi_free_name(p.cName)
	}
}
