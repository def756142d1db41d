package brief_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/onnxloss/onnxloss/internal/brief"
)

func TestErrorKeepsBothEnds(t *testing.T) {
	long := fmt.Errorf("models: node %q: %w", strings.Repeat("ü€", 1<<18), fs.ErrNotExist)
	short := brief.Error(long)
	text := short.Error()
	if len(text) > 2100 || !utf8.ValidString(text) {
		t.Errorf("it has %d bytes, or is not UTF-8", len(text))
	}
	if !strings.HasPrefix(text, `models: node "ü`) || !strings.HasSuffix(text, `": file does not exist`) || !strings.Contains(text, " ... ") {
		t.Errorf("it is %q", text)
	}
	if !errors.Is(short, fs.ErrNotExist) {
		t.Error("it does not wrap what it is about")
	}
}

func TestShortErrorsStayAsTheyAre(t *testing.T) {
	if err := errors.New("short"); brief.Error(err) != err {
		t.Error("it is another")
	}
	if brief.Error(nil) != nil {
		t.Error("nil became an error")
	}
}
