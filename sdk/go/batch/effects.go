package batch

import "time"

// Timestamp is microseconds since 1970-01-01 UTC.
type Timestamp int64

// TimestampOf is the timestamp of a time; what is finer than a microsecond is lost.
func TimestampOf(t time.Time) Timestamp { return Timestamp(t.UnixMicro()) }

// Time is the same in UTC.
func (t Timestamp) Time() time.Time { return time.UnixMicro(int64(t)).UTC() }

// String is the time as RFC 3339 writes it.
func (t Timestamp) String() string { return t.Time().Format(time.RFC3339Nano) }

// Context is what a call may depend on beside its rows and its state.
type Context struct {
	// Batch is the number of this batch within stage and lane; a batch that is tried again keeps it.
	Batch uint64
	// Attempt is 0 at the first try.
	Attempt uint32
	// Watermark is the event time up to which the input is believed complete; math.MinInt64 = unknown.
	Watermark Timestamp
	// Now is the host's clock.
	Now Timestamp
	// Seed is for random numbers, the same at every try of one batch.
	Seed uint64
}

// Rows is a batch as an operator receives it.
type Rows struct {
	// Count is the number of rows; may be 0.
	Count int
	// Columns has one entry for each of the plan's reads, in that order.
	Columns []Column
}

// Emit is rows for one output port.
type Emit struct {
	// Port is the position in the plan's ports.
	Port uint32
	// All says that the output rows are all input rows, in order; Origin is then left out.
	All bool
	// Origin has for each output row the number of its input row, in any order, any number of times.
	Origin []uint32
	// Columns has one entry for each of the port's Makes, with as many rows.
	Columns []Column
}

// Action is what the host shall do with a row that the operator refuses.
type Action uint8

// The actions.
const (
	// DeadLetter puts the row among the dead letters.
	DeadLetter Action = iota
	// Retry calls again with this row after Reject.RetryMillis.
	Retry
	// Stop stops the pipeline before this row.
	Stop
)

// Reject is a row that the operator refuses; it must not be the origin of an emitted row as well.
type Reject struct {
	// Row is the number of the input row.
	Row uint32
	// Action is what to do with it.
	Action Action
	// RetryMillis is the wait before a Retry.
	RetryMillis uint32
	// Reason says what is wrong with the row, in a sentence.
	Reason string
}

// Effects is all that a call wants done; the host does all of it or none.
type Effects struct {
	// Emits has at most one entry for each port. A row in no emit and no reject is filtered out.
	Emits []Emit
	// Rejects are the rows refused.
	Rejects []Reject
	// Metrics has one value for each of the plan's metrics, or is empty.
	Metrics []float64
}

// Fault is an error from Process that names the row to blame, so that the host need not search for it. Any other error
// is passed on as its text. Either way no row of the batch takes effect.
type Fault struct {
	// Message says what failed, in a sentence.
	Message string
	// Row is the number of the input row.
	Row uint32
}

// Error is the message.
func (f *Fault) Error() string { return f.Message }
