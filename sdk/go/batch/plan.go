package batch

import "time"

// Kind is the kind of a field's values, by the contract's name.
type Kind string

// The kinds. Timestamp is microseconds since 1970-01-01 UTC, JSON any JSON value as its text.
const (
	KindBoolean   Kind = "boolean"
	KindInt64     Kind = "int64"
	KindFloat64   Kind = "float64"
	KindUtf8      Kind = "utf8"
	KindBytes     Kind = "bytes"
	KindTimestamp Kind = "timestamp"
	KindJSON      Kind = "json"
)

// Field is a named, typed value that every row has or, where Nullable, may lack.
type Field struct {
	// Name is the path of the field, such as site.name.
	Name     string
	Kind     Kind
	Nullable bool
}

// Read is a column that the operator wants to see.
type Read struct {
	// Name is the path of the field in the input, or metadata: @source, @partition, @offset, @event-time, @key, @headers.
	Name string
	// Kind is what the operator expects; the host refuses the pipeline when the input has another.
	Kind Kind
	// Nullable says whether the operator accepts null.
	Nullable bool
	// Fallback is the value for rows that have none, as JSON text; empty = there is none.
	Fallback string
}

// Carried is a column of the input that a port passes on.
type Carried struct {
	// Input is its path in the input.
	Input string
	// Output is its path in the output.
	Output string
}

// Port is an output of the operator.
type Port struct {
	// Name is unique within the plan: lower-case words with - or _.
	Name string
	// Carries are the input's columns that its rows keep. Nil = all of them; an empty slice = none.
	Carries []Carried
	// Makes are the columns that the operator makes; one named like a carried column takes its place.
	Makes []Field
}

// Table is state that the host keeps for each key.
type Table struct {
	// Name is unique within the plan.
	Name string
	// Version changes whenever old values must not be read by new code.
	Version uint32
	// Columns are the fields of a key's row; a new key has zeros, empty strings, or null where nullable.
	Columns []Field
	// TTL is how long after its last change a key is forgotten, in whole milliseconds; 0 = never.
	TTL time.Duration
}

// Metric is a number that the operator wants to be watched.
type Metric struct {
	// Name is lower-case words with _, unit last.
	Name string
	// Kind is counter (amounts are added up) or gauge (the last value counts).
	Kind string
	// Help is one sentence for whoever reads the dashboard.
	Help string
}

// Plan is what an operator declares when it is opened; it holds for the life of the instance.
type Plan struct {
	// Reads are the columns that cross to the operator; all others never do.
	Reads []Read
	// Ports are the outputs, at least one; the first is the main one.
	Ports []Port
	// Tables are the state of a keyed operator; none for a transform.
	Tables []Table
	// Metrics are the operator's own.
	Metrics []Metric
}

// Refusal is an error from Open that says which key of the configuration or which input field is to blame. Any other
// error is passed on as its text.
type Refusal struct {
	// Message says what is wrong and what to do, in a sentence.
	Message string
	// ConfigPath is the path of the offending key, such as value.min; empty = none.
	ConfigPath string
	// Field is the offending input field; empty = none.
	Field string
}

// Error is the message.
func (r *Refusal) Error() string { return r.Message }
