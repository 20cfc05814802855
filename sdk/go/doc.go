// Package wasmill holds what every operator written in Go uses: the words of the contract (a plan, rows, effects),
// typed views of columns and makers of new ones.
//
// An operator is a main package that hands its functions to wasmill/transform or wasmill/keyed in an init function:
//
//	func init() { transform.Export(transform.Operator{Open: open, Process: process}) }
//	func main() {}
//
// and is built with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags='-s -w -checklinkname=0'
//
// The finished component imports nothing but the host's log: no files, no network, no environment. time.Now() is the
// now of the call's context, a sleep ends at once, crypto/rand follows the context's seed, what is printed goes to
// the log. Map order and math/rand are seeded once for an instance, not for a call: draw from Context.Seed what a
// replay must see again.
//
// Everything that an operator receives is a view of memory that is used again after the call: copy what must outlive
// it. What it returns must not be changed until the next call. This package itself needs no Wasm, so operators can be
// tested with go test.
package wasmill
