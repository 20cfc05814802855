// Package wasmilltest runs an operator natively inside go test, with no host and no WebAssembly: rows in; rows, refused
// rows and state out; time stands where the test puts it.
//
//	func TestCases(t *testing.T) { wasmilltest.Cases(t, "cases.yaml") }
//
// runs the same case files as `wasmill test`, which runs the compiled component. [Open] is for what cases do not say.
package wasmilltest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"wasmill/batch"
	"wasmill/internal/exported"
)

// Row is a row by the names of its columns. A nested column is a Row in a Row, or has its path as its name. Values are
// nil, bool, int64 (or int), float64, string, []byte, time.Time; for arrays and objects of kind json a string or any
// value that JSON has.
type Row = map[string]any

// Setting says what is opened, and how.
type Setting struct {
	// Operator is a batch.Transform or a batch.Keyed; nil = the one that this package exports.
	Operator any
	// Config is the configuration; nil = none.
	Config any
	// Columns are the kinds of columns by their names, `float64` or `float64?`. Those that are not here follow from
	// what the operator reads, or else from their values.
	Columns map[string]string
	// Key are the columns of the key, for a keyed operator.
	Key []string
}

// Reject is a row that was refused.
type Reject struct {
	// Row is the number of the input row, counted from 0.
	Row int
	// Action is dead_letter, retry or stop.
	Action string
	// Reason is a sentence.
	Reason string
}

// Result is what came of a call.
type Result struct {
	// Ports are the rows of each output that has some, in the order in which they were sent. An absent value is left out.
	Ports map[string][]Row
	// Rejects are the refused rows.
	Rejects []Reject
	// Metrics are the operator's own, where the call touched one.
	Metrics map[string]float64
}

// Run is an operator that was opened, and the state of its keys.
type Run struct {
	// Now is the host's clock for the next call: the operator's context.Now, and what states age by.
	Now time.Time
	// Watermark is the event time up to which the input is complete; zero = unknown.
	Watermark time.Time

	setting   Setting
	transform *batch.Transform
	keyed     *batch.Keyed
	plan      batch.Plan
	states    map[string]*state
	// names are how keys were first written.
	names map[string]string
	calls uint64
}

// state is that of a key.
type state struct {
	tables  [][]any // nil = nothing yet
	changed []time.Time
}

// Open opens an operator; the error is its refusal.
func Open(setting Setting) (*Run, error) {
	run := &Run{
		setting: setting, states: make(map[string]*state), names: make(map[string]string), Now: time.UnixMicro(0),
	}
	switch operator := setting.Operator.(type) {
	case batch.Transform:
		run.transform = &operator
	case batch.Keyed:
		run.keyed = &operator
	case nil:
		run.transform, run.keyed = exported.Operator()
	default:
		return nil, fmt.Errorf("%T is no operator: it is a batch.Transform or a batch.Keyed", operator)
	}
	config, err := json.Marshal(setting.Config)
	if setting.Config == nil {
		config = []byte("{}")
	} else if err != nil {
		return nil, err
	}
	var fields []batch.Field
	for _, name := range slices.Sorted(maps.Keys(setting.Columns)) {
		kind, nullable := strings.CutSuffix(setting.Columns[name], "?")
		fields = append(fields, batch.Field{Name: name, Kind: batch.Kind(kind), Nullable: nullable})
	}
	switch {
	case run.transform != nil:
		run.plan, err = run.transform.Open(config, fields)
	case run.keyed != nil:
		if len(setting.Key) == 0 {
			return nil, fmt.Errorf("a keyed operator needs the columns of its key")
		}
		run.plan, err = run.keyed.Open(config, fields)
	default:
		return nil, fmt.Errorf("there is no operator: give one, or call transform.Export or keyed.Export in an init " +
			"function")
	}
	return run, err
}

// Process calls the operator with a batch. The error says that the call failed, that a row does not suit the operator,
// or that the answer is one that the host would not take.
func (r *Run) Process(rows ...Row) (Result, error) {
	flat, names := make([]Row, len(rows)), make([]string, len(rows))
	for i, row := range rows {
		flat[i], names[i] = r.flat(row), r.keyName(row)
	}
	given := batch.Rows{Count: len(rows)}
	for _, read := range r.plan.Reads {
		column, err := r.column(read, flat)
		if err != nil {
			return Result{}, err
		}
		given.Columns = append(given.Columns, column)
	}
	if r.transform != nil {
		effects, err := r.transform.Process(r.context(), given)
		if err != nil {
			return Result{}, err
		}
		return r.result(effects, flat)
	}
	keys, slots := r.slots(flat, names)
	step, err := r.keyed.Process(r.context(), r.withState(given, keys, slots))
	if err != nil {
		return Result{}, err
	}
	if len(step.Timers) > 0 {
		return Result{}, fmt.Errorf("the operator sets timers, which this driver does not have")
	}
	result, err := r.result(step.Effects, flat)
	if err != nil {
		return Result{}, err
	}
	return result, r.keep(step.Tables, keys)
}

// State is the state of each key, by the texts of the key's columns as its first row had them, with commas between;
// an absent one is null. Where the operator has several tables, each is a Row by its name.
func (r *Run) State() map[string]Row {
	shown := make(map[string]Row)
	for key, state := range r.states {
		row := make(Row)
		for number, table := range r.plan.Tables {
			values := r.alive(state, number)
			into := row
			if len(r.plan.Tables) > 1 && values != nil {
				into = make(Row)
				row[table.Name] = into
			}
			for i := range values {
				if values[i] != nil {
					into[table.Columns[i].Name] = values[i]
				}
			}
			if values != nil {
				shown[r.names[key]] = row
			}
		}
	}
	return shown
}

// alive is what a key has in a table, nil where that is nothing, or has been forgotten by its age.
func (r *Run) alive(state *state, table int) []any {
	ttl := r.plan.Tables[table].TTL
	if ttl > 0 && r.Now.Sub(state.changed[table]) >= ttl {
		return nil
	}
	return state.tables[table]
}

func (r *Run) context() batch.Context {
	r.calls++
	context := batch.Context{
		Batch: r.calls, Watermark: math.MinInt64, Now: batch.TimestampOf(r.Now), Seed: r.calls,
	}
	if !r.Watermark.IsZero() {
		context.Watermark = batch.TimestampOf(r.Watermark)
	}
	return context
}

// slots are the distinct keys in the order in which they first come, and the one of each row. Keys are the same where
// their columns have the same values, however those are written; names are how they are.
func (r *Run) slots(rows []Row, names []string) (keys []string, slots []uint32) {
	slots = make([]uint32, len(rows))
	known := make(map[string]uint32)
	for number, row := range rows {
		var of strings.Builder
		for _, name := range r.setting.Key {
			// No two values are written the same so.
			fmt.Fprintf(&of, "%#v,", row[name])
		}
		key := of.String()
		slot, is := known[key]
		if !is {
			slot = uint32(len(keys))
			known[key] = slot
			keys = append(keys, key)
		}
		if _, is := r.names[key]; !is {
			r.names[key] = names[number]
		}
		slots[number] = slot
	}
	return keys, slots
}

func (r *Run) withState(given batch.Rows, keys []string, slots []uint32) batch.KeyedRows {
	call := batch.KeyedRows{Rows: given, Slots: slots, Keys: len(keys)}
	for number, table := range r.plan.Tables {
		rows := batch.TableRows{Fresh: make([]byte, len(keys))}
		values := make([][]any, len(table.Columns))
		for slot, key := range keys {
			var own []any
			if known := r.states[key]; known != nil {
				own = r.alive(known, number)
			}
			if own == nil {
				rows.Fresh[slot] = 1
				own = make([]any, len(table.Columns))
			}
			for i := range own {
				values[i] = append(values[i], own[i])
			}
		}
		for i, field := range table.Columns {
			rows.Columns = append(rows.Columns, columnOf(field, values[i]))
		}
		call.Tables = append(call.Tables, rows)
	}
	return call
}

// keep takes the state as the call has left it.
func (r *Run) keep(tables []batch.Changes, keys []string) error {
	for number, changes := range tables {
		table := r.plan.Tables[number]
		for slot, key := range keys {
			own := r.states[key]
			if own == nil {
				count := len(r.plan.Tables)
				own = &state{tables: make([][]any, count), changed: make([]time.Time, count)}
				r.states[key] = own
			}
			values := make([]any, len(changes.Columns))
			for i, column := range changes.Columns {
				var err error
				if values[i], err = valueOf(table.Columns[i], column, slot); err != nil {
					return err
				}
			}
			// Time to live runs from the last change, and a value that is what it was is none.
			before := r.alive(own, number)
			if len(values) > 0 && (before == nil || !slices.EqualFunc(before, values, unchanged)) {
				own.tables[number], own.changed[number] = values, r.Now
			}
			if len(changes.Forget) > 0 && changes.Forget[slot] != 0 {
				own.tables[number] = nil
			}
		}
	}
	return nil
}

// unchanged says whether a value is what it was; floats are by their bits.
func unchanged(before, now any) bool {
	number, is := now.(float64)
	if other, both := before.(float64); is && both {
		return math.Float64bits(number) == math.Float64bits(other)
	}
	return reflect.DeepEqual(before, now)
}

// result is the answer as rows.
func (r *Run) result(effects batch.Effects, input []Row) (Result, error) {
	result := Result{Ports: make(map[string][]Row), Metrics: make(map[string]float64)}
	for i, value := range effects.Metrics {
		result.Metrics[r.plan.Metrics[i].Name] = value
	}
	for _, reject := range effects.Rejects {
		action := actions[reject.Action]
		result.Rejects = append(result.Rejects, Reject{Row: int(reject.Row), Action: action, Reason: reject.Reason})
	}
	for _, emit := range effects.Emits {
		port, origin := r.plan.Ports[emit.Port], emit.Origin
		if emit.All {
			origin = make([]uint32, len(input))
			for i := range origin {
				origin[i] = uint32(i)
			}
		}
		for i, from := range origin {
			row := carried(port, input[from])
			for number, field := range port.Makes {
				value, err := valueOf(field, emit.Columns[number], i)
				if err != nil {
					return Result{}, err
				}
				delete(row, field.Name)
				if value != nil {
					row[field.Name] = value
				}
			}
			result.Ports[port.Name] = append(result.Ports[port.Name], nested(row))
		}
	}
	return result, nil
}

// carried is what a row of a port has of its input row.
func carried(port batch.Port, input Row) Row {
	row := make(Row)
	if port.Carries == nil {
		maps.Copy(row, input)
	}
	for _, carried := range port.Carries {
		if value, is := input[carried.Input]; is {
			row[carried.Output] = value
		}
	}
	return row
}
