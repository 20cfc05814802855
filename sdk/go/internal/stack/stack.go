// Package stack shortens what Go says of a panic to what its author wants to see: a line of the log is short.
package stack

import "strings"

// Own is the author's part of a stack as runtime.Stack writes it, taken while the panic is being recovered from: the
// frames from where it panicked to the first of the SDK, each as function and place in a line.
func Own(stack string) string {
	lines := strings.Split(stack, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "panic(") {
			lines = lines[min(i+2, len(lines)):]
			break
		}
	}
	var own strings.Builder
	for i := 0; i+1 < len(lines); i += 2 {
		function := withoutArguments(lines[i])
		place, _, _ := strings.Cut(strings.TrimSpace(lines[i+1]), " +0x")
		if strings.HasPrefix(function, "runtime.") && own.Len() == 0 {
			continue
		}
		// The name of a function that was put into another is that of the other: the place tells.
		if strings.HasPrefix(place, "wasmill@") || strings.HasPrefix(function, "wasmill/") {
			break
		}
		own.WriteString("\n  at " + function + " " + place)
	}
	return own.String()
}

// withoutArguments takes away the last parenthesis and what is in it.
func withoutArguments(function string) string {
	if !strings.HasSuffix(function, ")") {
		return function
	}
	depth := 0
	for i := len(function) - 1; i >= 0; i-- {
		switch function[i] {
		case ')':
			depth++
		case '(':
			depth--
		}
		if depth == 0 {
			return function[:i]
		}
	}
	return function
}
