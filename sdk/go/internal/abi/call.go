//go:build wasm

package abi

import (
	"fmt"
	"runtime"

	"wasmill"
	"wasmill/batch"
	"wasmill/internal/stack"
)

// The three functions that the adapter has beside WASI's, see wasi_snapshot_preview1.wat.

//go:wasmimport wasi_snapshot_preview1 wasmill_console
//go:noescape
func console(buffer *[514]uint32)

//go:wasmimport wasi_snapshot_preview1 wasmill_call_begins
func callBegins(now batch.Timestamp, seed uint64)

//go:wasmimport wasi_snapshot_preview1 wasmill_call_ends
func callEnds()

//go:wasmimport wasi_snapshot_preview1 proc_exit
func exit(code int32)

var lines [514]uint32

// contract says for which text of wit/ this package was written: its digest. `wasmill build` looks for it in the module
// and refuses one that was written for another.
var contract = "wasmill:contract=" +
	"19842dd972a16f3eacf57b4efb84a3f1df64afb1418378d437d3034963bfcd05"

func init() {
	console(&lines)
	runtime.KeepAlive(contract)
}

// Begin sets clock and chance to what the call's context says. Its result is deferred by every call: it lets out what
// was printed, and turns a panic into a line of the log and a trap.
func Begin(context batch.Context) func() {
	callBegins(context.Now, context.Seed)
	lent = lent[:0]
	return end
}

func end() {
	if panicked := recover(); panicked != nil {
		whole := make([]byte, 16<<10)
		whole = whole[:runtime.Stack(whole, false)]
		callEnds()
		wasmill.Log(wasmill.Error, fmt.Sprintf("panic: %v%s", panicked, stack.Own(string(whole))))
		exit(2)
	}
	callEnds()
}
