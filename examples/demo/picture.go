package main

import (
	"fmt"
	"slices"
	"strings"
)

// ink draws one pixel, 0 (background) to 1, two columns wide: a character is about
// twice as high as it is wide.
type ink func(level float64) string

// plain draws with shades.
func plain(level float64) string {
	shades := []string{"  ", "░░", "▒▒", "▓▓", "██"}
	return shades[step(level, len(shades))]
}

// colour draws with the 24 greys of a terminal of 256 colours.
func colour(level float64) string {
	const black, greys = 232, 24
	return fmt.Sprintf("\x1b[48;5;%dm  \x1b[0m", black+step(level, greys))
}

// step picks one of count steps. A NaN is the lowest.
func step(level float64, count int) int {
	if !(level > 0) {
		return 0
	}
	return min(int(level*float64(count-1)+0.5), count-1)
}

// picture draws the pixels of an image in row-major order, a line a row.
func picture(pixels []float64, width int, draw ink) []string {
	var lines []string
	for row := range slices.Chunk(pixels, width) {
		line := ""
		for _, level := range row {
			line += draw(min(level, 1))
		}
		lines = append(lines, line)
	}
	return lines
}

// block is text as wide as its width, in columns, which may hold colours.
type block struct {
	width int
	lines []string
}

// caption is a block of lines that are filled up with blanks.
func caption(width int, lines ...string) block {
	b := block{width: width}
	for _, line := range lines {
		b.lines = append(b.lines, fmt.Sprintf("%-*s", width, line))
	}
	return b
}

// framed draws a line around a picture.
func framed(width int, lines []string) block {
	edge := strings.Repeat("─", width)
	b := block{width: width + 2, lines: []string{"┌" + edge + "┐"}}
	for _, line := range lines {
		b.lines = append(b.lines, "│"+line+"│")
	}
	b.lines = append(b.lines, "└"+edge+"┘")
	return b
}

// beside puts blocks next to each other.
func beside(blocks ...block) []string {
	height := 0
	for _, b := range blocks {
		height = max(height, len(b.lines))
	}
	var lines []string
	for i := range height {
		line := ""
		for _, b := range blocks {
			if i < len(b.lines) {
				line += "  " + b.lines[i]
			} else {
				line += "  " + strings.Repeat(" ", b.width)
			}
		}
		lines = append(lines, strings.TrimRight(line, " "))
	}
	return lines
}
