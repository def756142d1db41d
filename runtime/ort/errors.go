//go:build cgo

package ort

// #include "capi.h"
import "C"

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/onnxloss/onnxloss/runtime/engine"
)

// notImplemented is ONNX Runtime's error code for what it lacks.
const notImplemented = 9

// check turns a status of the C API into an error and releases it.
func check(status *C.Status) error {
	if status == nil {
		return nil
	}
	defer C.capi_release_status(status)
	message := sentence(C.GoString(C.capi_error_message(status)))
	if C.capi_error_code(status) == notImplemented {
		return fmt.Errorf("%s: %w", message, engine.ErrUnsupported)
	}
	return errors.New(message)
}

// lacks matches the messages by which ONNX Runtime says that it does not have what
// a model uses. The binding keeps the message but not the error's code.
var lacks = regexp.MustCompile(`(?i)not implemented|could not find an implementation|failed to find kernel|no op registered|not a registered function/op|unsupported model ir version|is under development|(is|are) not supported`)

// fellBack matches what ONNX Runtime says where a fallback to the CPU is forbidden
// and would be needed.
var fellBack = regexp.MustCompile(`fallback to CPU EP has been explicitly disabled`)

// refusal is why the binding did not make a session, without the binding's words.
func refusal(err error) error {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	message := sentence(err.Error())
	if lacks.MatchString(err.Error()) {
		return fmt.Errorf("%s: %w", message, engine.ErrUnsupported)
	}
	return errors.New(message)
}

var (
	// source matches where in ONNX Runtime's code an error arose: file, line and the
	// function's signature.
	source = regexp.MustCompile(`\S+\.(?:cc|cpp|h|cu|cuh):\d+ [^()]*\((?:[^()]|\([^()]*\))*\)(?:::<lambda[^>]*>)?(?: const)?(?: \[with [^\]]*\])? `)
	// running matches the words around the error of a node.
	running = regexp.MustCompile(`^Non-zero status code returned while running (\S+) node\. Name:'([^']*)' Status Message: `)
	// invalid matches a sentence that only opens the one with the reason.
	invalid = regexp.MustCompile(`(?:This is an i|I)nvalid model\. `)
	// assertion matches a condition in C++ that comes before its explanation.
	assertion = regexp.MustCompile(`[^.: ][^.:]* was false\. `)
	// newest matches the sentence that matters in what ONNX Runtime says about a
	// version of the operators that it does not know yet.
	newest = regexp.MustCompile(`^.*(Current official support for domain \S+ is till opset \d+).*$`)
)

// sentence shortens a message of ONNX Runtime to the sentence that says what is
// wrong.
func sentence(message string) string {
	message = strings.Join(strings.Fields(message), " ")
	message = source.ReplaceAllString(message, "")
	message = running.ReplaceAllString(message, `node "$2" ($1): `)
	message = newest.ReplaceAllString(message, "$1")
	message = invalid.ReplaceAllString(message, "invalid model: ")
	message = assertion.ReplaceAllString(message, "")
	message, _, _ = strings.Cut(message, ". ")
	return strings.TrimSuffix(message, ".")
}
