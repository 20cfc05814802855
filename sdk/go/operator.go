package wasmill

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"wasmill/batch"
)

// Option is said of an operator when it is made.
type Option func(*settings)

type settings struct {
	ports   []string
	carries []batch.Carried
	ttl     time.Duration
	state   string
	version uint32
}

// Ports adds outputs beside the main one: lower-case words with - or _, reached by [Out.To].
func Ports(names ...string) Option {
	return func(s *settings) { s.ports = append(s.ports, names...) }
}

// Carries says which columns of the input row an output row has: these only and those of [CarriesAs], or, with no name,
// none. Without either option it has all.
func Carries(names ...string) Option {
	return func(s *settings) {
		if s.carries == nil {
			s.carries = []batch.Carried{}
		}
		for _, name := range names {
			s.carries = append(s.carries, batch.Carried{Input: name, Output: name})
		}
	}
}

// CarriesAs is [Carries] for a column that has another name in the output.
func CarriesAs(input, output string) Option {
	return func(s *settings) { s.carries = append(s.carries, batch.Carried{Input: input, Output: output}) }
}

// TTL is how long after its last change the state of a key is forgotten, in whole milliseconds. Without this option it
// is kept.
func TTL(ttl time.Duration) Option { return func(s *settings) { s.ttl = ttl } }

// StateName is the name under which the host keeps the state. Without this option it is that of the struct, so that a
// struct with another name has other state; give the old name when you rename one.
func StateName(name string) Option { return func(s *settings) { s.state = name } }

// Version is that of the state. Change it whenever old values must not be read by new code; without this option it
// is 1.
func Version(version uint32) Option { return func(s *settings) { s.version = version } }

// The loops below are also those that `wasmill build` compiles for a function that has a name, with the name in the
// place of each; all that they use of a Loop is exported for that.

// Map is an operator that makes a row of each row.
func Map[I, T any](each func(I) T, options ...Option) batch.Transform {
	loop := newLoop[I, none, NoConfig, T](each)
	loop.Run = func() {
		rows := loop.Rows
		made := loop.Made[:len(rows)]
		for row := range rows {
			made[row] = each(rows[row])
		}
	}
	work := rows[I, none, NoConfig, T]{loop: loop}
	return work.transform(options, func(loop *Loop[I, none, NoConfig, T]) {
		main := &loop.Out.main
		main.rows = sized(main.rows, len(loop.Rows))
		loop.Made = main.rows
		loop.Run()
	})
}

// Filter is an operator that passes the rows for which the function says true, as they are.
func Filter[I any](each func(I) bool, options ...Option) batch.Transform {
	loop := newLoop[I, none, NoConfig, Same](each)
	loop.Run = func() {
		rows, count := loop.Rows, 0
		kept := loop.Kept[:len(rows)]
		for row := range rows {
			if each(rows[row]) {
				kept[count] = uint32(row)
				count++
			}
		}
		loop.Kept = kept[:count]
	}
	work := rows[I, none, NoConfig, Same]{loop: loop}
	return work.transform(options, func(loop *Loop[I, none, NoConfig, Same]) {
		main := &loop.Out.main
		loop.Kept = sized(main.from, len(loop.Rows))
		loop.Run()
		main.rows, main.from, main.each = make([]Same, len(loop.Kept)), loop.Kept, false
	})
}

// Transform is an operator without state that calls the function for each row, with the configuration and the outputs.
// A row for which it returns an error is refused, see [Reject].
func Transform[I, C, T any](each func(I, *C, *Out[T]) error, options ...Option) batch.Transform {
	loop := newLoop[I, none, C, T](each)
	loop.Run = func() {
		rows, config, out := loop.Rows, loop.Config, loop.Out
		for row := range rows {
			loop.Begin(row)
			if answer := each(rows[row], config, out); answer != nil {
				loop.Refuse(answer)
			}
			if !loop.IsEach(row) {
				loop.Note()
			}
		}
	}
	work := rows[I, none, C, T]{loop: loop}
	return work.transform(options, func(loop *Loop[I, none, C, T]) { loop.Run() })
}

// Keyed is an operator with state for each key that calls the function for each row, with the state of the row's key,
// the configuration and the outputs. The state is kept as the function leaves it, unless it returns an error: then the
// row is refused, see [Reject], and the state is what it was before the row.
func Keyed[I, S, C, T any](each func(I, *S, *C, *Out[T]) error, options ...Option) batch.Keyed {
	loop := newLoop[I, S, C, T](each)
	loop.Run = func() {
		rows, states, config, out := loop.Rows, loop.States, loop.Config, loop.Out
		slots := loop.Slots[:len(rows)]
		for row := range rows {
			loop.Begin(row)
			own := &states[slots[row]]
			before := *own
			if answer := each(rows[row], own, config, out); answer != nil {
				*own = before
				loop.Refuse(answer)
			}
			if !loop.IsEach(row) {
				loop.Note()
			}
		}
	}
	work := rows[I, S, C, T]{loop: loop}
	var state states[S]
	open := func(config []byte, _ []batch.Field) (batch.Plan, error) {
		plan, err := work.open(config, options)
		if err != nil {
			return plan, err
		}
		table, err := state.open(options)
		plan.Tables = []batch.Table{table}
		return plan, err
	}
	process := func(context batch.Context, given batch.KeyedRows) (batch.Step, error) {
		loop := work.begin(context, given.Rows)
		loop.States, loop.Slots = state.load(given), given.Slots
		loop.Run()
		effects := loop.Out.effects(given.Count)
		return batch.Step{Effects: effects, Tables: state.store(given, effects.Rejects)}, nil
	}
	return batch.Keyed{Open: open, Process: process}
}

// rows is what all operators of rows have.
type rows[I, S, C, T any] struct {
	in   reader[I]
	loop *Loop[I, S, C, T]
}

// transform is an operator that has the loop run for the rows of a batch.
func (r *rows[I, S, C, T]) transform(options []Option, run func(*Loop[I, S, C, T])) batch.Transform {
	return batch.Transform{
		Open: func(config []byte, _ []batch.Field) (batch.Plan, error) { return r.open(config, options) },
		Process: func(context batch.Context, given batch.Rows) (batch.Effects, error) {
			loop := r.begin(context, given)
			run(loop)
			return loop.Out.effects(given.Count), nil
		},
	}
}

func (r *rows[I, S, C, T]) open(config []byte, options []Option) (batch.Plan, error) {
	chosen := chosen(options)
	in, err := readerOf[I]()
	if err != nil {
		return batch.Plan{}, err
	}
	makes, err := layoutOf(reflect.TypeFor[T]())
	if err != nil {
		return batch.Plan{}, err
	}
	r.loop = r.loop.orByName()
	if r.loop.Config, err = configOf[C](config); err != nil {
		return batch.Plan{}, err
	}
	r.in, r.loop.Out = in, newOut[T](chosen.ports, makes)
	plan := batch.Plan{Metrics: declared()}
	for _, field := range in.fields {
		read := batch.Read{Name: field.Name, Kind: field.Kind, Nullable: field.Nullable, Fallback: field.fallback}
		plan.Reads = append(plan.Reads, read)
	}
	for number, name := range chosen.ports {
		if slices.Index(chosen.ports, name) < number {
			return batch.Plan{}, fmt.Errorf("there are two ports %q", name)
		}
		plan.Ports = append(plan.Ports, batch.Port{Name: name, Carries: chosen.carries, Makes: columnsOf(makes)})
	}
	return plan, nil
}

// begin makes rows of the columns of a call.
func (r *rows[I, S, C, T]) begin(context batch.Context, given batch.Rows) *Loop[I, S, C, T] {
	measure()
	loop := r.loop
	loop.Out.begin(context)
	loop.Rows, loop.whole = r.in.read(given.Count, given.Columns), true
	return loop
}

func chosen(options []Option) settings {
	chosen := settings{ports: []string{"main"}, version: 1}
	for _, option := range options {
		option(&chosen)
	}
	return chosen
}

func columnsOf(fields []field) []batch.Field {
	columns := make([]batch.Field, len(fields))
	for i, field := range fields {
		columns[i] = field.Field
	}
	return columns
}
