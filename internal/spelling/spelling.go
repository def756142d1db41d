// Package spelling finds what a mistyped name was meant to be.
package spelling

import (
	"slices"
	"strings"
)

// Closest gives the candidate with the fewest edits, if they are few for the name's
// length, or the first of which the name is a part, or "". Capitals do not matter.
func Closest(name string, candidates []string) string {
	best, fewest := "", min(3, 2+len(name)/4, len(name)) // what has nothing in common is not close
	for _, c := range candidates {
		if max(len(name)-len(c), len(c)-len(name)) >= fewest { // so many edits at least
			continue
		}
		if n := edits(strings.ToLower(name), strings.ToLower(c)); n < fewest {
			best, fewest = c, n
		}
	}
	if best == "" && len(name) > 2 {
		if at := slices.IndexFunc(candidates, func(c string) bool { return strings.Contains(c, name) }); at >= 0 {
			best = candidates[at]
		}
	}
	return best
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substituted := diagonal
			if a[i] != b[j] {
				substituted++
			}
			diagonal = row[j+1]
			row[j+1] = min(substituted, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
