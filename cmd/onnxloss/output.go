package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// columns is the width that text is laid out for.
const columns = 80

// writeTable aligns the cells of rows behind an indent and wraps the last cell.
func writeTable(w io.Writer, indent int, rows [][]string) error {
	var widths []int
	for _, row := range rows {
		for i := range row {
			row[i] = printable(row[i])
		}
	}
	for _, row := range rows {
		for i, cell := range row[:len(row)-1] {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var s strings.Builder
		s.WriteString(strings.Repeat(" ", indent))
		start := indent
		for i, cell := range row[:len(row)-1] {
			fmt.Fprintf(&s, "%-*s  ", widths[i], cell)
			start += widths[i] + 2
		}
		last := wrap(row[len(row)-1], columns-start)
		s.WriteString(strings.Join(last, "\n"+strings.Repeat(" ", start)))
		if _, err := fmt.Fprintln(w, strings.TrimRight(s.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// printable writes out what a terminal would act on or could not show, as names from a
// file may have it, and leaves out the middle of very long text.
func printable(text string) string {
	const longest = 2048
	if len(text) > longest {
		text = text[:longest/2] + " ... " + text[len(text)-longest/2:]
	}
	if utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) }) < 0 {
		return text
	}
	quoted := strconv.QuoteToGraphic(text)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// wrap breaks text into lines of at most width characters, where words allow it.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}

func writeJSON(w io.Writer, value any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return err
	}
	_, err := w.Write(text.Bytes())
	return err
}

func jsonFlag(cmd *cobra.Command, target *bool) {
	cmd.Flags().BoolVar(target, "json", false, "print JSON")
}
