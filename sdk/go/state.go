package wasmill

import (
	"fmt"
	"reflect"
	"slices"

	"wasmill/batch"
)

// states is the state of a call's keys, one struct a key: filled from columns before the first row, made columns again
// after the last.
type states[S any] struct {
	in      reader[S]
	writers writers
	// first is what a new key has: zeros and defaults.
	first S
	// changes is what the last call has left.
	changes [1]batch.Changes
}

func (s *states[S]) open(options []Option) (batch.Table, error) {
	of, chosen := reflect.TypeFor[S](), chosen(options)
	in, err := readerOf[S]()
	if err != nil {
		return batch.Table{}, err
	}
	for i := range of.NumField() {
		if member := of.Field(i); isLeftOut(member) {
			return batch.Table{}, fmt.Errorf("%s.%s is tagged `wasmill:\"-\"`, but a state is columns and nothing else: "+
				"the host gives back what it was given; make it a column or leave it out", of.Name(), member.Name)
		}
	}
	for _, field := range in.fields {
		if field.absence == byPointer {
			return batch.Table{}, fmt.Errorf("the column `%s` of %s is a pointer: in a state use wasmill.Null, so that "+
				"a refused row leaves it as it was", field.Name, of)
		}
	}
	s.in, s.writers, s.first = in, writersOf(in.fields), *new(S)
	if err := defaults(reflect.ValueOf(&s.first).Elem(), ""); err != nil {
		return batch.Table{}, err
	}
	name := chosen.state
	if name == "" {
		name = snake(of.Name())
	}
	if name == "" {
		return batch.Table{}, fmt.Errorf("the state is a struct without a name: give it a type, or say " +
			"wasmill.StateName(\"totals\")")
	}
	return batch.Table{
		Name: name, Version: chosen.version, Columns: columnsOf(in.fields), TTL: chosen.ttl,
	}, nil
}

// load is the state of the call's keys, a struct a slot.
func (s *states[S]) load(given batch.KeyedRows) []S {
	table := given.Tables[0]
	states := s.in.read(given.Keys, table.Columns)
	for slot, fresh := range table.Fresh {
		if fresh != 0 {
			states[slot] = s.first
		}
	}
	return states
}

// store is the state as the rows have left it. A new key of which every row was refused is not kept.
func (s *states[S]) store(given batch.KeyedRows, rejects []batch.Reject) []batch.Changes {
	s.changes[0] = batch.Changes{Columns: written(s.in.rows, s.writers)}
	changes := &s.changes[0]
	if fresh := given.Tables[0].Fresh; len(rejects) > 0 && len(fresh) > 0 {
		changes.Forget = slices.Clone(fresh)
		for row, slot := range given.Slots {
			if len(rejects) > 0 && int(rejects[0].Row) == row {
				rejects = rejects[1:]
			} else {
				changes.Forget[slot] = 0
			}
		}
	}
	return s.changes[:]
}
