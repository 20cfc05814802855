package batch

// KeyedRows is a call's rows with the state of their keys.
//
// The host keeps the state. The distinct keys of a call are its slots, numbered from 0; their state comes in as
// columns, a row a slot, and the operator returns it changed. The columns may be changed in place and returned as
// they are.
type KeyedRows struct {
	Rows
	// Slots has the slot of each row's key.
	Slots []uint32
	// Keys is the number of slots.
	Keys int
	// Tables has one entry for each table of the plan.
	Tables []TableRows
}

// TableRows is one table's rows for the slots of a call.
type TableRows struct {
	// Fresh has a byte a slot, 1 = the table has nothing for the key yet. Empty = none is new.
	Fresh []byte
	// Columns has one entry for each of the table's columns, a row a slot.
	Columns []Column
}

// Changes is one table's rows after the call.
type Changes struct {
	// Forget has a byte a slot, 1 = forget what the table has for the key. Empty = forget none.
	Forget []byte
	// Columns is the table as it shall be, all slots, same shape as it came. Empty = nothing changed.
	Columns []Column
}

// What a Timer does.
const (
	SetEventTime uint32 = iota
	SetHostTime
	ClearEventTime
	ClearHostTime
)

// Timer is to be set or cleared.
type Timer struct {
	// Slot is the key.
	Slot uint32
	// What is SetEventTime, SetHostTime, ClearEventTime or ClearHostTime.
	What uint32
	// Time is in microseconds.
	Time int64
}

// Step is all that a call wants done; the host does all of it or none.
type Step struct {
	Effects
	// Tables has one entry for each table of the plan; empty = no state changed.
	Tables []Changes
	// Timers are set or cleared. A key has at most one timer per clock and time.
	Timers []Timer
}

// DueTimer is a timer whose time has come.
type DueTimer struct {
	// Slot is the key.
	Slot uint32
	// Clock is 0 for event time, 1 for host time.
	Clock uint32
	// Time is in microseconds.
	Time int64
}

// Due is a call's timers with the state of their keys. In the answer a "row" is a timer.
type Due struct {
	// Timers are those that are due.
	Timers []DueTimer
	// Keys is the number of slots.
	Keys int
	// Tables has one entry for each table of the plan.
	Tables []TableRows
}
