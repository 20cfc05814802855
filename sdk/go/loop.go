package wasmill

import "reflect"

// Loop is how the function of an operator is called for each row. It is there for the code that `wasmill build` puts
// beside an operator and that calls its function by name: then the compiler may make both one, where it would not look
// into a function that it is given. In WebAssembly as Go makes it a call costs more than what many functions do. An
// operator whose function has no name, and one in a test, is called as any function is.
type Loop[I, S, C, T any] struct {
	// Run calls the function for each row.
	Run func()
	// Rows are those of the call; Slots has for each the number of its state.
	Rows   []I
	Slots  []uint32
	States []S
	Config *C
	Out    *Out[T]
	// Made has room for what a function of [Map] makes of each row, Kept for the numbers of the rows that a function of
	// [Filter] keeps, and then those.
	Made []T
	Kept []uint32

	function uintptr
	whole    bool
}

type none = struct{}

// byName is the [Loop] that calls a function by name, where there is one.
var byName any

// LoopOfMap is the loop of the operator with this function.
func LoopOfMap[I, T any](function func(I) T) *Loop[I, none, NoConfig, T] {
	return loopOf[I, none, NoConfig, T](function)
}

// LoopOfFilter is the loop of the operator with this function.
func LoopOfFilter[I any](function func(I) bool) *Loop[I, none, NoConfig, Same] {
	return loopOf[I, none, NoConfig, Same](function)
}

// LoopOfTransform is the loop of the operator with this function.
func LoopOfTransform[I, C, T any](function func(I, *C, *Out[T]) error) *Loop[I, none, C, T] {
	return loopOf[I, none, C, T](function)
}

// LoopOfKeyed is the loop of the operator with this function.
func LoopOfKeyed[I, S, C, T any](function func(I, *S, *C, *Out[T]) error) *Loop[I, S, C, T] {
	return loopOf[I, S, C, T](function)
}

func loopOf[I, S, C, T any](function any) *Loop[I, S, C, T] {
	loop := newLoop[I, S, C, T](function)
	byName = loop
	return loop
}

func newLoop[I, S, C, T any](function any) *Loop[I, S, C, T] {
	return &Loop[I, S, C, T]{function: reflect.ValueOf(function).Pointer()}
}

// orByName is the loop that calls the same function by name, where there is one, or this.
func (l *Loop[I, S, C, T]) orByName() *Loop[I, S, C, T] {
	if other, is := byName.(*Loop[I, S, C, T]); is && other.function == l.function {
		return other
	}
	return l
}

// Begin goes on to the row of that number.
func (l *Loop[I, S, C, T]) Begin(row int) { l.Out.row = uint32(row) }

// Refuse takes back what the row has sent, and notes its answer.
func (l *Loop[I, S, C, T]) Refuse(answer error) { l.Out.refuse(answer) }

// IsEach says whether the row, like all before it, was sent once and to the main port: then there is nothing to
// [Loop.Note].
func (l *Loop[I, S, C, T]) IsEach(row int) bool { return l.whole && len(l.Out.main.rows) == row+1 }

// Note notes what the row has sent. It and IsEach are two, so that the compiler makes the second part of the loop.
func (l *Loop[I, S, C, T]) Note() {
	if l.whole {
		l.whole = false
		l.Out.main.scattered(l.Out.row)
	}
	l.Out.main.note(l.Out.row)
}
