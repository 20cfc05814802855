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

// Map is an operator that makes a row of each row.
func Map[I, T any](each func(I) T, options ...Option) batch.Transform {
	var work rows[I, NoConfig, T]
	return work.transform(options, func(rows []I) {
		main := &work.out.main
		main.rows = sized(main.rows, len(rows))
		made, number := main.rows, 0
		// Four in a turn, see collect.
		for ; number+4 <= len(rows); number += 4 {
			four, made := rows[number:number+4:number+4], made[number:number+4:number+4]
			made[0] = each(four[0])
			made[1] = each(four[1])
			made[2] = each(four[2])
			made[3] = each(four[3])
		}
		for ; number < len(rows); number++ {
			made[number] = each(rows[number])
		}
	})
}

// Filter is an operator that passes the rows for which keep says true, as they are.
func Filter[I any](keep func(I) bool, options ...Option) batch.Transform {
	var work rows[I, NoConfig, Same]
	return work.transform(options, func(rows []I) {
		main := &work.out.main
		main.from = sized(main.from, len(rows))
		kept := 0
		for number := range rows {
			if keep(rows[number]) {
				main.from[kept] = uint32(number)
				kept++
			}
		}
		main.rows, main.from, main.each = make([]Same, kept), main.from[:kept], false
	})
}

// Transform is an operator without state that calls the function for each row, with the configuration and the outputs.
// A row for which it returns an error is refused, see [Reject].
func Transform[I, C, T any](each func(I, *C, *Out[T]) error, options ...Option) batch.Transform {
	var work rows[I, C, T]
	return work.transform(options, func(rows []I) {
		out, config, whole := work.out, work.config, true
		for number := range rows {
			out.row = uint32(number)
			if answer := each(rows[number], config, out); answer != nil {
				out.refuse(answer)
			}
			if whole && len(out.main.rows) == number+1 {
				continue
			}
			if whole {
				whole = false
				out.main.scattered(out.row)
			}
			out.main.note(out.row)
		}
	})
}

// Keyed is an operator with state for each key that calls the function for each row, with the state of the row's key,
// the configuration and the outputs. The state is kept as the function leaves it, unless it returns an error: then the
// row is refused, see [Reject], and the state is what it was before the row.
func Keyed[I, S, C, T any](each func(I, *S, *C, *Out[T]) error, options ...Option) batch.Keyed {
	var work rows[I, C, T]
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
		rows, out, config := work.begin(context, given.Rows), work.out, work.config
		states, slots, whole := state.load(given), given.Slots[:len(rows)], true
		for number := range rows {
			out.row = uint32(number)
			own := &states[slots[number]]
			before := *own
			if answer := each(rows[number], own, config, out); answer != nil {
				*own = before
				out.refuse(answer)
			}
			if whole && len(out.main.rows) == number+1 {
				continue
			}
			if whole {
				whole = false
				out.main.scattered(out.row)
			}
			out.main.note(out.row)
		}
		return batch.Step{Effects: out.effects(given.Count), Tables: state.store(given, out.rejects)}, nil
	}
	return batch.Keyed{Open: open, Process: process}
}

// transform is an operator that calls the function for the rows of a batch.
func (r *rows[I, C, T]) transform(options []Option, work func([]I)) batch.Transform {
	return batch.Transform{
		Open: func(config []byte, _ []batch.Field) (batch.Plan, error) { return r.open(config, options) },
		Process: func(context batch.Context, given batch.Rows) (batch.Effects, error) {
			work(r.begin(context, given))
			return r.out.effects(given.Count), nil
		},
	}
}

// rows is what all operators of rows have.
type rows[I, C, T any] struct {
	in     reader[I]
	out    *Out[T]
	config *C
}

func (r *rows[I, C, T]) open(config []byte, options []Option) (batch.Plan, error) {
	chosen := chosen(options)
	in, err := readerOf[I]()
	if err != nil {
		return batch.Plan{}, err
	}
	makes, err := layoutOf(reflect.TypeFor[T]())
	if err != nil {
		return batch.Plan{}, err
	}
	if r.config, err = configOf[C](config); err != nil {
		return batch.Plan{}, err
	}
	r.in, r.out = in, newOut[T](chosen.ports, makes)
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
func (r *rows[I, C, T]) begin(context batch.Context, given batch.Rows) []I {
	measure()
	r.out.begin(context)
	return r.in.read(given.Count, given.Columns)
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
