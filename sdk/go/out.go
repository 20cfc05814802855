package wasmill

import (
	"fmt"
	"strings"

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
	emits   []batch.Emit
}

// Emit sends a row to the main port. It may be called any number of times for an input row.
func (o *Out[T]) Emit(row T) {
	// So little that it is compiled into its callers; which row it comes from is noted after the call.
	o.main.rows = append(o.main.rows, row)
}

// To sends a row to the port of that name, which must be one of [Ports]; else it panics.
func (o *Out[T]) To(name string, row T) {
	for number := range o.names {
		if o.names[number] == name {
			port := o.port(number)
			port.rows = append(port.rows, row)
			if number > 0 {
				port.from = append(port.from, o.row)
			}
			return
		}
	}
	panic(fmt.Sprintf("there is no port %q: the operator has %s", name, strings.Join(o.names, ", ")))
}

// Pass sends the input row to the main port as it is. It is for operators whose T is [Same], or another struct without
// columns; where there is a column to make it panics.
func (o *Out[T]) Pass() {
	if len(o.main.writers.each) > 0 {
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
		port.rows, port.from, port.each = port.rows[:0], port.from[:0], number == 0
	}
}

// refuse takes back what was sent for the row at hand.
func (o *Out[T]) refuse(answer error) {
	o.rejects = append(o.rejects, verdict(answer, o.row))
	kept := len(o.main.from)
	if o.main.each {
		kept = int(o.row)
	}
	o.main.rows = o.main.rows[:kept]
	for number := range o.others {
		o.others[number].takeBack(o.row)
	}
}

// effects is all that the call wants done, having had so many rows.
func (o *Out[T]) effects(rows int) batch.Effects {
	o.emits = o.emits[:0]
	for number := range o.names {
		port := o.port(number)
		if len(port.rows) == 0 {
			continue
		}
		emit := batch.Emit{Port: uint32(number), Columns: written(port.rows, port.writers)}
		if emit.All = port.each || len(port.from) == rows && inOrder(port.from); !emit.All {
			emit.Origin = port.from
		}
		o.emits = append(o.emits, emit)
	}
	return batch.Effects{Emits: o.emits, Rejects: o.rejects, Metrics: measured()}
}

// port is the rows sent to one output, in the order in which they were: those of the row at hand are the last.
type port[T any] struct {
	rows []T
	// each says that there is a row of each input row so far, in order, and from is empty.
	each bool
	// from is the number of the input row that each row comes from.
	from    []uint32
	writers writers
}

// scattered is called after the first row that was not sent once and to this port: all before it were.
func (p *port[T]) scattered(row uint32) {
	p.each = false
	for before := range row {
		p.from = append(p.from, before)
	}
}

// note writes down that what was sent since the last row is from this one.
func (p *port[T]) note(row uint32) {
	for len(p.from) < len(p.rows) {
		p.from = append(p.from, row)
	}
}

func (p *port[T]) takeBack(row uint32) {
	kept := len(p.from)
	for kept > 0 && p.from[kept-1] == row {
		kept--
	}
	p.rows, p.from = p.rows[:kept], p.from[:kept]
}

// inOrder says whether each row comes from the input row of its place.
func inOrder(from []uint32) bool {
	for place, row := range from {
		if row != uint32(place) {
			return false
		}
	}
	return true
}
