package wasmill

import (
	"errors"
	"time"

	"wasmill/batch"
)

// refused is what an operator's function answers for a row that it refuses.
type refused struct{ batch.Reject }

func (r *refused) Error() string { return r.Reason }

// Reject refuses a row: it goes to the dead letters with the reason. Any other error that an operator's function
// returns does the same with its text.
func Reject(reason string) error { return &refused{batch.Reject{Reason: reason}} }

// Retry refuses a row for now: the host calls again with it after so long, in whole milliseconds, a limited number of
// times. A wait over the pipeline's limit retry_ms_max, a minute where it says nothing, fails the call.
func Retry(after time.Duration, reason string) error {
	millis := uint32(min(max(after.Milliseconds(), 0), 1<<32-1))
	return &refused{batch.Reject{Action: batch.Retry, RetryMillis: millis, Reason: reason}}
}

// Stop refuses a row: the pipeline stops before it.
func Stop(reason string) error { return &refused{batch.Reject{Action: batch.Stop, Reason: reason}} }

// verdict is an answer in the contract's words.
func verdict(answer error, row uint32) batch.Reject {
	reject := batch.Reject{Reason: answer.Error()}
	var known *refused
	if errors.As(answer, &known) {
		reject.Action, reject.RetryMillis = known.Action, known.RetryMillis
	}
	reject.Row = row
	return reject
}
