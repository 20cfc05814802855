package wasmilltest

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"wasmill/batch"
	"wasmill/internal/nearest"
)

// actions are what may be done with a refused row, in the order of batch.Action.
var actions = [...]string{"dead_letter", "retry", "stop"}

// run answers what differs from what a case expects.
func (f *file) run(operator any, example example) []string {
	at := fmt.Sprintf("%s:%d", f.path, example.line)
	run, err := Open(Setting{Operator: operator, Config: example.config, Columns: f.columns, Key: f.key})
	if err != nil {
		return []string{fmt.Sprintf("%s: the operator cannot be opened: %v", at, err)}
	}
	names := make([]string, len(run.plan.Ports))
	for i, port := range run.plan.Ports {
		names[i] = port.Name
	}
	var rows []Row
	for _, step := range example.steps {
		for _, port := range slices.Sorted(maps.Keys(step.places)) {
			if place := step.places[port]; !slices.Contains(append(names, "rejects", "state"), port) {
				return []string{f.wrong(place, "the operator has no port `%s`; %s", port, nearest.Meant(port, names)).Error()}
			}
		}
		rows = append(rows, step.input...)
	}
	if err := run.suits(rows); err != nil {
		return []string{fmt.Sprintf("%s: %v", at, err)}
	}
	var differences []string
	for _, step := range example.steps {
		differences = append(differences, f.step(run, step)...)
	}
	return differences
}

// step answers what differs from what a step of a case expects, after those before it.
func (f *file) step(run *Run, step step) []string {
	at := fmt.Sprintf("%s:%d", f.path, step.line)
	if !step.now.IsZero() {
		run.Now = step.now
	}
	run.Watermark = step.watermark
	var result Result
	// A pipeline calls nobody for no rows.
	if len(step.input) > 0 {
		var err error
		if result, err = run.Process(step.input...); err != nil {
			return []string{fmt.Sprintf("%s: %v", at, err)}
		}
	}
	var differences []string
	for _, port := range run.plan.Ports {
		differences = append(differences, f.rows(run, at, port, step.ports[port.Name], result.Ports[port.Name])...)
	}
	differences = append(differences, rejects(at, step.rejects, result.Rejects)...)
	if step.state != nil {
		differences = append(differences, run.stateDiffers(at, step.state)...)
	}
	return differences
}

// rows compares what a port shall have with what it has.
func (f *file) rows(run *Run, at string, port batch.Port, wanted []expected, found []Row) []string {
	var differences []string
	kind := func(name string) batch.Kind {
		for _, made := range port.Makes {
			if made.Name == name {
				return made.Kind
			}
		}
		return run.kindOf(name)
	}
	for i := range max(len(wanted), len(found)) {
		switch {
		case i >= len(found):
			differences = append(differences, fmt.Sprintf("%s:%d: port %s has no row %d, expected %s",
				f.path, wanted[i].line, port.Name, i, text(wanted[i].row)))
		case i >= len(wanted):
			differences = append(differences, fmt.Sprintf("%s: port %s has a row %d that is not expected: %s",
				at, port.Name, i, text(found[i])))
		default:
			if columns := columns(flatOf(kind, wanted[i].row), flatOf(kind, found[i])); len(columns) > 0 {
				differences = append(differences, fmt.Sprintf("%s:%d: port %s, row %d:\n%s",
					f.path, wanted[i].line, port.Name, i, strings.Join(columns, "\n")))
			}
		}
	}
	return differences
}

// columns says in which columns two flat rows differ.
func columns(wanted, found Row) []string {
	var differences []string
	names := slices.Sorted(maps.Keys(wanted))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if _, is := wanted[name]; !is {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if !equal(wanted[name], found[name]) {
			differences = append(differences,
				fmt.Sprintf("    %s: expected %s, found %s", name, value(wanted[name]), value(found[name])))
		}
	}
	return differences
}

// equal holds for the same value; of two numbers, where no kind is known, for the same number.
func equal(wanted, found any) bool {
	if whole, is := wanted.(int64); is {
		if float, is := found.(float64); is {
			return float64(whole) == float
		}
	}
	if float, is := wanted.(float64); is {
		if whole, is := found.(int64); is {
			return float64(whole) == float
		}
		if other, is := found.(float64); is && float != float && other != other {
			return true
		}
	}
	return reflect.DeepEqual(wanted, found)
}

func rejects(at string, wanted, found []Reject) []string {
	var differences []string
	wanted = slices.Clone(wanted)
	slices.SortStableFunc(wanted, func(a, b Reject) int { return a.Row - b.Row })
	for i := range max(len(wanted), len(found)) {
		switch {
		case i >= len(found):
			differences = append(differences, fmt.Sprintf("%s: rejects: expected %s, found no more", at, wanted[i]))
		case i >= len(wanted):
			differences = append(differences, fmt.Sprintf("%s: rejects: not expected: %s", at, found[i]))
		default:
			want := wanted[i]
			if want.Reason == "" {
				want.Reason = found[i].Reason
			}
			if want != found[i] {
				differences = append(differences, fmt.Sprintf("%s: rejects: expected %s, found %s", at, wanted[i], found[i]))
			}
		}
	}
	return differences
}

// String is the refusal as a case file has it.
func (r Reject) String() string {
	return fmt.Sprintf("{ row: %d, reason: %q, action: %s }", r.Row, r.Reason, r.Action)
}

func (r *Run) stateDiffers(at string, wanted map[string]Row) []string {
	var differences []string
	kind := func(name string) batch.Kind {
		for _, table := range r.plan.Tables {
			for _, column := range table.Columns {
				if name == column.Name || name == table.Name+"."+column.Name {
					return column.Kind
				}
			}
		}
		return ""
	}
	found := r.State()
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		if _, is := found[key]; !is {
			differences = append(differences, fmt.Sprintf("%s: state: the key %s has none", at, key))
		} else if columns := columns(flatOf(kind, wanted[key]), flatOf(kind, found[key])); len(columns) > 0 {
			differences = append(differences, fmt.Sprintf("%s: state of %s:\n%s", at, key, strings.Join(columns, "\n")))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		if _, is := wanted[key]; !is {
			differences = append(differences,
				fmt.Sprintf("%s: state: the key %s is not expected: %s", at, key, text(found[key])))
		}
	}
	return differences
}

// text is a row in a line.
func text(row Row) string {
	parts := make([]string, 0, len(row))
	for _, name := range slices.Sorted(maps.Keys(row)) {
		parts = append(parts, name+": "+value(row[name]))
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}

func value(of any) string {
	switch of := of.(type) {
	case nil:
		return "nothing"
	case Row:
		return text(of)
	case string:
		return fmt.Sprintf("%q", of)
	case []byte:
		return fmt.Sprintf("%q", of)
	}
	return fmt.Sprint(of)
}
