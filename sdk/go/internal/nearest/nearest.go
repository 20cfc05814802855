// Package nearest finds the name that was meant.
package nearest

import (
	"fmt"
	"strings"
)

// Meant says which of the known names an unknown one was probably to be: one at most a third of its letters away.
func Meant(name string, known []string) string {
	if len(known) == 0 {
		return "there is none"
	}
	nearest, least := "", len(name)+1
	for _, other := range known {
		if away := distance(name, other); away < least {
			nearest, least = other, away
		}
	}
	if least*3 <= max(len(name), len(nearest)) {
		return fmt.Sprintf("did you mean `%s`?", nearest)
	}
	return fmt.Sprintf("the known ones are `%s`", strings.Join(known, "`, `"))
}

// distance is how many letters have to be put in, taken out, changed, or swapped with the next, in bytes.
func distance(a, b string) int {
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next[0] = i + 1
		for j := range len(b) {
			next[j+1] = min(row[j+1]+1, next[j]+1, row[j]+1)
			switch {
			case a[i] == b[j]:
				next[j+1] = min(next[j+1], row[j])
			case i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j]:
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
