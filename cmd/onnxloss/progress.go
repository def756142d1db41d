package main

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// newProgress gives a function that is told how much is done, and one to call at
// the end. A bar is shown only on a terminal, and only for what takes over a second.
func newProgress(w io.Writer, what string) (tell func(done, total int), end func()) {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return func(int, int) {}, func() {}
	}
	started := time.Now()
	var bar *progressbar.ProgressBar
	tell = func(done, total int) {
		if bar == nil && time.Since(started) > time.Second {
			bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what),
				progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetWidth(30))
		}
		if bar != nil {
			_ = bar.Set(done) // only drawing can fail
		}
	}
	end = func() {
		if bar != nil {
			_ = bar.Finish()
		}
	}
	return tell, end
}
