package wasmill

import "wasmill/batch"

// Context is what a call may depend on beside its rows and its state; there is no other clock and no other chance.
type Context = batch.Context

// Timestamp is microseconds since 1970-01-01 UTC.
type Timestamp = batch.Timestamp

// JSON is a JSON value as its text: an array, an object, or anything else.
type JSON string

// Null is a value that may be absent. A field of a row may be a Null[T] or a *T, a field of a state a Null[T].
type Null[T any] struct {
	// V is the value where Valid is true.
	V T
	// Valid is whether there is one.
	Valid bool
}

// Some is a value that is there.
func Some[T any](value T) Null[T] { return Null[T]{V: value, Valid: true} }

// Or is the value, or that one where it is absent.
func (n Null[T]) Or(absent T) T {
	if n.Valid {
		return n.V
	}
	return absent
}

func (Null[T]) null() {}

// NoConfig is the configuration of an operator that has none.
type NoConfig = struct{}

// Same is the output row of an operator that makes no columns: what leaves is the input row as it is, see [Out.Pass].
type Same = struct{}
