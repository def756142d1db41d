// Package brief keeps messages about foreign files short: a name in one can have
// megabytes.
package brief

import (
	"strings"
)

// longest is what a message may have, in bytes: far more than one about honest names
// has.
const longest = 2048

// Error gives an error whose message leaves out its middle where it is too long. It
// wraps err; nil stays nil.
func Error(err error) error {
	if err == nil || len(err.Error()) <= longest {
		return err
	}
	return &shortened{err}
}

type shortened struct{ error }

func (e *shortened) Error() string { return middleOut(e.error.Error()) }
func (e *shortened) Unwrap() error { return e.error }

// middleOut keeps the two ends of a text, what is whole of them.
func middleOut(text string) string {
	const gap = " ... "
	end := (longest - len(gap)) / 2
	return strings.ToValidUTF8(text[:end], "") + gap + strings.ToValidUTF8(text[len(text)-end:], "")
}
