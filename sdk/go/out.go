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
	// row is the number of the row at hand.
	row int
	// made is room for a row of the main port for each input row; the first next are there. While next is row each input
	// row before has made one, and the next one has its place; -1 = the rows are in the port.
	made []T
	next int

	context batch.Context
	names   []string
	ports   []port[T]
	rejects []batch.Reject
}

// Emit sends a row to the main port. It may be called any number of times for an input row.
func (o *Out[T]) Emit(row T) { *o.place() = row }

// place is where the next row of the main port goes. Emit is small so that it is compiled into its callers.
func (o *Out[T]) place() *T {
	row := o.row
	if o.next == row {
		o.next = row + 1
		return &o.made[row]
	}
	o.leave()
	return o.ports[0].place(row)
}

// To sends a row to the port of that name, which must be one of [Ports]; else it panics.
func (o *Out[T]) To(name string, row T) {
	for number := range o.names {
		if o.names[number] == name {
			if number == 0 {
				o.Emit(row)
			} else {
				*o.ports[number].place(o.row) = row
			}
			return
		}
	}
	panic(fmt.Sprintf("there is no port %q: the operator has %s", name, strings.Join(o.names, ", ")))
}

// Pass sends the input row to the main port as it is. It is for operators whose T is [Same], or another struct without
// columns; where there is a column to make it panics.
func (o *Out[T]) Pass() {
	if len(o.ports[0].writers) > 0 {
		panic(fmt.Sprintf("Pass sends no columns, but %T has some: use Emit", *new(T)))
	}
	o.Emit(*new(T))
}

// Context is what the call may depend on: its time, its watermark, a seed.
func (o *Out[T]) Context() Context { return o.context }

func newOut[T any](names []string, fields []field) *Out[T] {
	out := &Out[T]{names: names, ports: make([]port[T], len(names))}
	for i := range out.ports {
		out.ports[i].writers = writersOf(fields)
	}
	return out
}

// begin forgets the last call and makes room for one of so many rows.
func (o *Out[T]) begin(context batch.Context, rows int) {
	o.context = context
	o.rejects = o.rejects[:0]
	o.made, o.next = sized(o.made, rows), 0
	for i := range o.ports {
		port := &o.ports[i]
		port.rows, port.origin, port.disordered = port.rows[:0], port.origin[:0], false
	}
}

// leave puts the rows of the main port into it.
func (o *Out[T]) leave() {
	if o.next >= 0 {
		o.ports[0].rows = append(o.ports[0].rows, o.made[:o.next]...)
		o.next = -1
	}
}

// refuse takes back what was sent for the row at hand.
func (o *Out[T]) refuse(answer error) {
	o.rejects = append(o.rejects, verdict(answer, uint32(o.row)))
	o.next = min(o.next, o.row)
	for i := range o.ports {
		o.ports[i].takeBack(uint32(o.row))
	}
}

// effects is all that the call wants done, having had so many rows.
func (o *Out[T]) effects(rows int) batch.Effects {
	effects := batch.Effects{Rejects: o.rejects, Metrics: measured()}
	if o.next == rows && rows > 0 {
		emit := batch.Emit{All: true, Columns: written(o.made, o.ports[0].writers)}
		effects.Emits = append(effects.Emits, emit)
	} else {
		o.leave()
	}
	for number := range o.ports {
		port := &o.ports[number]
		if len(port.rows) == 0 {
			continue
		}
		emit := batch.Emit{Port: uint32(number), Columns: written(port.rows, port.writers)}
		if emit.All = !port.disordered && len(port.rows) == rows; !emit.All {
			port.disorder()
			emit.Origin = port.origin
		}
		effects.Emits = append(effects.Emits, emit)
	}
	return effects
}

// port is the rows sent to one output, in the order in which they were: those of the row at hand are the last.
type port[T any] struct {
	rows []T
	// origin is the input row of each row. It is written from the first that is not number i of input row i.
	origin     []uint32
	disordered bool
	writers    []writer
}

// place is where the next row goes, which comes of that input row.
func (p *port[T]) place(from int) *T {
	if !p.disordered && from != len(p.rows) {
		p.disorder()
	}
	if p.disordered {
		p.origin = append(p.origin, uint32(from))
	}
	p.rows = append(p.rows, *new(T))
	return &p.rows[len(p.rows)-1]
}

func (p *port[T]) disorder() {
	for i := len(p.origin); i < len(p.rows); i++ {
		p.origin = append(p.origin, uint32(i))
	}
	p.disordered = true
}

func (p *port[T]) takeBack(row uint32) {
	if !p.disordered {
		p.rows = p.rows[:min(len(p.rows), int(row))]
		return
	}
	kept := len(p.origin)
	for kept > 0 && p.origin[kept-1] == row {
		kept--
	}
	p.origin, p.rows = p.origin[:kept], p.rows[:kept]
}
