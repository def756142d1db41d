package main

import (
	"math"
	"slices"
	"testing"
)

func TestPictureDrawsARowALine(t *testing.T) {
	tests := []struct {
		name   string
		pixels []float64
		width  int
		draw   ink
		want   []string
	}{
		{"shades", []float64{0, 0.25, 0.5, 0.75, 1, 0}, 3, plain, []string{"  ░░▒▒", "▓▓██  "}},
		{"shades, rounded", []float64{0.12, 0.13, 0.87, 0.88}, 2, plain, []string{"  ░░", "▓▓██"}},
		{"out of range", []float64{-1, 2, math.Inf(1), math.NaN()}, 4, plain, []string{"  ████  "}},
		{"greys", []float64{0, 1}, 1, colour, []string{"\x1b[48;5;232m  \x1b[0m", "\x1b[48;5;255m  \x1b[0m"}},
		{"grey between", []float64{0.5}, 1, colour, []string{"\x1b[48;5;244m  \x1b[0m"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := picture(test.pixels, test.width, test.draw); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestBesideKeepsColumnsApart(t *testing.T) {
	got := beside(framed(2, []string{"ab"}), caption(3, "x"), caption(1, "1", "2", "3"))
	want := []string{
		"  ┌──┐  x    1",
		"  │ab│       2",
		"  └──┘       3",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
