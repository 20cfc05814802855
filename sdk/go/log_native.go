//go:build !wasm

package wasmill

import (
	"fmt"
	"os"
)

// Outside Wasm, in go test, the log is stderr.
func write(level Level, message string) {
	fmt.Fprintln(os.Stderr, [...]string{"trace", "debug", "info", "warn", "error"}[level], message)
}
