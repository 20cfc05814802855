// Package batch is the contract in Go: what an operator is told and answers, a batch of rows as columns at a time.
//
// It is what the rows of package wasmill are made of, and for operators that want the columns themselves. Everything
// that an operator receives is a view of memory that is used again after the call: copy what must outlive it. What it
// returns must not be changed until the next call.
package batch

// Transform is the two functions of wasmill:operator/transform.
type Transform struct {
	// Open is called once on a new instance. config is the text of a JSON object, valid during the call; input are the
	// fields that a row has here. With the same arguments the plan must be the same each time.
	Open func(config []byte, input []Field) (Plan, error)
	// Process is called for each batch.
	Process func(context Context, rows Rows) (Effects, error)
}

// Keyed is the three functions of wasmill:operator/keyed.
type Keyed struct {
	// Open is called once on a new instance. config is the text of a JSON object, valid during the call; input are the
	// fields that a row has here. With the same arguments the plan must be the same each time.
	Open func(config []byte, input []Field) (Plan, error)
	// Process is called for each batch.
	Process func(context Context, rows KeyedRows) (Step, error)
	// OnTimers is called with timers that are due. Nil = the operator sets none.
	OnTimers func(context Context, due Due) (Step, error)
}
