//go:build wasm

package keyed

import (
	"errors"
	"unsafe"

	"wasmill"
	"wasmill/internal/abi"
)

//go:wasmexport wasmill:operator/keyed@0.1.0#open
func open(config abi.Pointer, configLength uint32, input abi.Pointer, inputCount uint32) abi.Pointer {
	defer abi.Begin(wasmill.Context{})()
	return abi.Opened(exported.Open(abi.Bytes(config, configLength), abi.Fields(input, inputCount)))
}

//go:wasmexport cabi_post_wasmill:operator/keyed@0.1.0#open
func opened(abi.Pointer) { abi.PostReturn() }

//go:wasmexport wasmill:operator/keyed@0.1.0#process
func process(batch uint64, attempt uint32, watermark, now int64, seed uint64,
	count uint32, columns abi.Pointer, columnCount uint32, slots abi.Pointer, slotsLength, keys uint32,
	tables abi.Pointer, tableCount uint32) abi.Pointer {
	context := wasmill.Context{Batch: batch, Attempt: attempt, Watermark: watermark, Now: now, Seed: seed}
	defer abi.Begin(context)()
	return done(exported.Process(context, Batch{
		Rows:   wasmill.Rows{Count: int(count), Columns: abi.Columns(columns, columnCount)},
		Slots:  abi.Uint32s(slots, slotsLength),
		Keys:   int(keys),
		Tables: tablesAt(tables, tableCount),
	}))
}

//go:wasmexport cabi_post_wasmill:operator/keyed@0.1.0#process
func processed(abi.Pointer) { abi.PostReturn() }

//go:wasmexport wasmill:operator/keyed@0.1.0#on-timers
func onTimers(batch uint64, attempt uint32, watermark, now int64, seed uint64,
	due abi.Pointer, dueLength, keys uint32, tables abi.Pointer, tableCount uint32) abi.Pointer {
	context := wasmill.Context{Batch: batch, Attempt: attempt, Watermark: watermark, Now: now, Seed: seed}
	defer abi.Begin(context)()
	if exported.OnTimers == nil {
		return abi.Failed(errors.New("timers are due, but the operator has no function for them"))
	}
	return done(exported.OnTimers(context, Due{
		Timers: timersAt(due, dueLength),
		Keys:   int(keys),
		Tables: tablesAt(tables, tableCount),
	}))
}

//go:wasmexport cabi_post_wasmill:operator/keyed@0.1.0#on-timers
func timersDone(abi.Pointer) { abi.PostReturn() }

// tablesAt views a list<table-rows>.
func tablesAt(start abi.Pointer, count uint32) []Rows {
	const size = 16
	tables := make([]Rows, count)
	for i := range tables {
		table := unsafe.Add(start, i*size)
		tables[i] = Rows{Fresh: abi.BytesAt(table, 0), Columns: abi.ColumnsAt(table, 8)}
	}
	return tables
}

// timersAt copies the due timers, because a list<u8> promises no alignment.
func timersAt(start abi.Pointer, length uint32) []DueTimer {
	timers := make([]DueTimer, length/16)
	copy(abi.Memory(timers), abi.Bytes(start, length))
	return timers
}

// done is the result<step, fault>.
func done(step Step, failure error) abi.Pointer {
	if failure != nil {
		return abi.Failed(failure)
	}
	result, content := abi.Result(abi.SizeOfEffects + 16)
	abi.PutEffects(content, &step.Effects)
	abi.PutList(content, abi.SizeOfEffects, 16, step.Tables, func(to abi.Pointer, changes *Changes) {
		abi.PutBytes(to, 0, changes.Forget)
		abi.PutColumns(to, 8, changes.Columns)
	})
	abi.PutBytes(content, abi.SizeOfEffects+8, abi.Memory(step.Timers))
	return result
}
