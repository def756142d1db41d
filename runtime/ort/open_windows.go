//go:build cgo

package ort

import (
	"syscall"
	"unsafe"
)

// openLibrary loads a shared library for good and gives one of its functions.
func openLibrary(path, function string) (unsafe.Pointer, error) {
	dll, err := syscall.LoadDLL(path)
	if err != nil {
		return nil, err
	}
	proc, err := dll.FindProc(function)
	if err != nil {
		_ = dll.Release()
		return nil, err
	}
	address := proc.Addr()
	return *(*unsafe.Pointer)(unsafe.Pointer(&address)), nil
}
