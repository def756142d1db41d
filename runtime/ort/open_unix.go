//go:build cgo && !windows

package ort

// #cgo linux LDFLAGS: -ldl
// #include <dlfcn.h>
// #include <stdlib.h>
import "C"

import (
	"errors"
	"unsafe"
)

// openLibrary loads a shared library for good and gives one of its functions.
func openLibrary(path, function string) (unsafe.Pointer, error) {
	cPath, cFunction := C.CString(path), C.CString(function)
	defer C.free(unsafe.Pointer(cPath))
	defer C.free(unsafe.Pointer(cFunction))
	handle := C.dlopen(cPath, C.RTLD_LAZY)
	if handle == nil {
		return nil, errors.New(C.GoString(C.dlerror()))
	}
	if f := C.dlsym(handle, cFunction); f != nil {
		return f, nil
	}
	C.dlclose(handle)
	return nil, errors.New("it has no function " + function)
}
