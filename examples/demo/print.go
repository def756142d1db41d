package main

import (
	"fmt"
	"strings"
	"time"
)

// The demo's lines are at most 80 columns wide: a label, a text, the time it took.

func (d *demo) heading(title string) {
	fmt.Fprintf(d.to, "\n%s\n%s\n", title, strings.Repeat("─", len([]rune(title))))
}

func (d *demo) line(label, text string, start time.Time) {
	fmt.Fprintf(d.to, "  %-9s%-60s%9s\n", label, text, duration(time.Since(start)))
}

func duration(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "<1 ms"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// labelled is a line without a time.
func (d *demo) labelled(label, text string) {
	fmt.Fprintf(d.to, "  %-9s%s\n", label, text)
}

// note is a line below another one.
func (d *demo) note(text string) { d.labelled("", text) }

// wrapped is a note over as many lines as it needs.
func (d *demo) wrapped(text string) {
	const width = 80 - 11
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			d.note(line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	d.note(line)
}

// fail reports something that does not hold, and goes on.
func (d *demo) fail(label string, err error) {
	d.failed = true
	d.labelled(label, "FAILED")
	d.wrapped(err.Error())
}
