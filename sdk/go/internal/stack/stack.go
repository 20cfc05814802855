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
		if strings.HasPrefix(function, "runtime.") && own.Len() == 0 {
			continue
		}
		place, _, _ := strings.Cut(strings.TrimSpace(lines[i+1]), " +0x")
		// A generic function of the SDK is compiled into the author's package, and so is the loop that `wasmill build`
		// makes: their place tells.
		if strings.HasPrefix(function, "wasmill.") || strings.HasPrefix(function, "wasmill/") ||
			strings.HasPrefix(place, "wasmill@") || strings.Contains(place, "/wasmill@") ||
			strings.Contains(place, "/wasmill_by_name.") {
			break
		}
		own.WriteString("\n  at " + function + " " + place)
	}
	return own.String()
}

// withoutArguments is the function of a frame: all before the first parenthesis that is not a receiver's.
func withoutArguments(frame string) string {
	for i := 1; i < len(frame); i++ {
		if frame[i] == '(' && frame[i-1] != '.' {
			return frame[:i]
		}
	}
	return frame
}
