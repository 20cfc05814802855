package wasmill

import (
	"fmt"
	"strings"
	"unsafe"

	"wasmill/batch"
)

// Out is where an operator's function sends rows, and what it may ask beside its arguments. T is the row that it makes:
// what leaves has all columns of the input row, and those made, of which one of the same name takes the other's place.
// What is sent for a row that is then refused is taken back.
type Out[T any] struct {
	context batch.Context
	// row is the number of the row at hand.
	row     uint32
	main    port[T]
	others  []port[T]
	names   []string
	rejects []batch.Reject
}

// Emit sends a row to the main port. It may be called any number of times for an input row.
func (o *Out[T]) Emit(row T) {
	// So little that it is compiled into its callers.
	o.main.sent = append(o.main.sent, sent[T]{row, o.row})
}

// To sends a row to the port of that name, which must be one of [Ports]; else it panics.
func (o *Out[T]) To(name string, row T) {
	for number := range o.names {
		if o.names[number] == name {
			port := o.port(number)
			port.sent = append(port.sent, sent[T]{row, o.row})
			return
		}
	}
	panic(fmt.Sprintf("there is no port %q: the operator has %s", name, strings.Join(o.names, ", ")))
}

// Pass sends the input row to the main port as it is. It is for operators whose T is [Same], or another struct without
// columns; where there is a column to make it panics.
func (o *Out[T]) Pass() {
	if len(o.main.writers) > 0 {
		panic(fmt.Sprintf("Pass sends no columns, but %T has some: use Emit", *new(T)))
	}
	o.Emit(*new(T))
}

// Context is what the call may depend on: its time, its watermark, a seed.
func (o *Out[T]) Context() Context { return o.context }

func newOut[T any](names []string, fields []field) *Out[T] {
	out := &Out[T]{names: names, others: make([]port[T], len(names)-1)}
	for number := range names {
		out.port(number).writers = writersOf(fields)
	}
	return out
}

func (o *Out[T]) port(number int) *port[T] {
	if number == 0 {
		return &o.main
	}
	return &o.others[number-1]
}

// begin forgets the last call.
func (o *Out[T]) begin(context batch.Context) {
	o.context = context
	o.rejects = o.rejects[:0]
	for number := range o.names {
		port := o.port(number)
		port.sent, port.whole = port.sent[:0], false
	}
}

// refuse takes back what was sent for the row at hand.
func (o *Out[T]) refuse(answer error) {
	o.rejects = append(o.rejects, verdict(answer, o.row))
	for number := range o.names {
		o.port(number).takeBack(o.row)
	}
}

// effects is all that the call wants done, having had so many rows.
func (o *Out[T]) effects(rows int) batch.Effects {
	effects := batch.Effects{Rejects: o.rejects, Metrics: measured()}
	for number := range o.names {
		port := o.port(number)
		if len(port.sent) == 0 {
			continue
		}
		emit := batch.Emit{Port: uint32(number), Columns: written(port.sent, port.writers)}
		if emit.All = port.whole || len(port.sent) == rows && inOrder(port.sent); !emit.All {
			port.origin = sized(port.origin, len(port.sent))
			collect(port.origin, laneOf(port.sent, unsafe.Offsetof(port.sent[0].from)))
			emit.Origin = port.origin
		}
		effects.Emits = append(effects.Emits, emit)
	}
	return effects
}

// sent is a row, which stands first, and the input row that it comes from.
type sent[T any] struct {
	row  T
	from uint32
}

// port is the rows sent to one output, in the order in which they were: those of the row at hand are the last.
type port[T any] struct {
	sent []sent[T]
	// whole says that there is a row of each input row, in order, without from.
	whole   bool
	origin  []uint32
	writers []writer
}

func (p *port[T]) takeBack(row uint32) {
	kept := len(p.sent)
	for kept > 0 && p.sent[kept-1].from == row {
		kept--
	}
	p.sent = p.sent[:kept]
}

// inOrder says whether each row comes from the input row of its place. Eight in a turn, as collect does.
func inOrder[T any](rows []sent[T]) bool {
	place := 0
	for ; place+8 <= len(rows); place += 8 {
		eight, first := rows[place:place+8:place+8], uint32(place)
		if eight[0].from != first || eight[1].from != first+1 || eight[2].from != first+2 || eight[3].from != first+3 ||
			eight[4].from != first+4 || eight[5].from != first+5 || eight[6].from != first+6 || eight[7].from != first+7 {
			return false
		}
	}
	for ; place < len(rows); place++ {
		if rows[place].from != uint32(place) {
			return false
		}
	}
	return true
}
