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
		function, _, _ := strings.Cut(lines[i], "(0x")
		function, _, _ = strings.Cut(function, "({0x")
		function = strings.TrimSuffix(function, "(...)")
		if strings.HasPrefix(function, "runtime.") && own.Len() == 0 {
			continue
		}
		if strings.HasPrefix(function, "wasmill.") || strings.HasPrefix(function, "wasmill/") {
			break
		}
		place, _, _ := strings.Cut(strings.TrimSpace(lines[i+1]), " +0x")
		own.WriteString("\n  at " + function + " " + place)
	}
	return own.String()
}
