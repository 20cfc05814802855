//go:build wasm

package keyed

import (
	"errors"
	"unsafe"

	"wasmill/batch"
	"wasmill/internal/abi"
	"wasmill/internal/exported"
)

//go:wasmexport wasmill:operator/keyed@0.1.0#open
func open(config abi.Pointer, configLength uint32, input abi.Pointer, inputCount uint32) abi.Pointer {
	defer abi.Begin(batch.Context{})()
	return abi.Opened(operator().Open(abi.Bytes(config, configLength), abi.Fields(input, inputCount)))
}

//go:wasmexport cabi_post_wasmill:operator/keyed@0.1.0#open
func opened(abi.Pointer) { abi.PostReturn() }

//go:wasmexport wasmill:operator/keyed@0.1.0#process
func process(number uint64, attempt uint32, watermark, now batch.Timestamp, seed uint64,
	count uint32, columns abi.Pointer, columnCount uint32, slots abi.Pointer, slotsLength, keys uint32,
	tables abi.Pointer, tableCount uint32) abi.Pointer {
	context := batch.Context{Batch: number, Attempt: attempt, Watermark: watermark, Now: now, Seed: seed}
	defer abi.Begin(context)()
	return done(operator().Process(context, batch.KeyedRows{
		Rows:   batch.Rows{Count: int(count), Columns: abi.Columns(columns, columnCount)},
		Slots:  abi.Uint32s(slots, slotsLength),
		Keys:   int(keys),
		Tables: tablesAt(tables, tableCount),
	}))
}

//go:wasmexport cabi_post_wasmill:operator/keyed@0.1.0#process
func processed(abi.Pointer) { abi.PostReturn() }

//go:wasmexport wasmill:operator/keyed@0.1.0#on-timers
func onTimers(number uint64, attempt uint32, watermark, now batch.Timestamp, seed uint64,
	due abi.Pointer, dueLength, keys uint32, tables abi.Pointer, tableCount uint32) abi.Pointer {
	context := batch.Context{Batch: number, Attempt: attempt, Watermark: watermark, Now: now, Seed: seed}
	defer abi.Begin(context)()
	if operator().OnTimers == nil {
		return abi.Failed(errors.New("timers are due, but the operator has no function for them"))
	}
	return done(operator().OnTimers(context, batch.Due{
		Timers: timersAt(due, dueLength),
		Keys:   int(keys),
		Tables: tablesAt(tables, tableCount),
	}))
}

//go:wasmexport cabi_post_wasmill:operator/keyed@0.1.0#on-timers
func timersDone(abi.Pointer) { abi.PostReturn() }

// given is the state that was given to the call, in memory that is used again for the next.
var given []batch.TableRows

// tablesAt views a list<table-rows>, during the call.
func tablesAt(start abi.Pointer, count uint32) []batch.TableRows {
	const size = 16
	given = given[:0]
	for i := range uintptr(count) {
		table := unsafe.Add(start, i*size)
		given = append(given, batch.TableRows{Fresh: abi.BytesAt(table, 0), Columns: abi.ColumnsAt(table, 8)})
	}
	return given
}

// timersAt copies the due timers, because a list<u8> promises no alignment.
func timersAt(start abi.Pointer, length uint32) []batch.DueTimer {
	timers := make([]batch.DueTimer, length/16)
	copy(abi.Memory(timers), abi.Bytes(start, length))
	return timers
}

// done is the result<step, fault>.
func done(step batch.Step, failure error) abi.Pointer {
	if failure != nil {
		return abi.Failed(failure)
	}
	result, content := abi.Result(abi.SizeOfEffects + 16)
	abi.PutEffects(content, &step.Effects)
	abi.PutList(content, abi.SizeOfEffects, 16, step.Tables, func(to abi.Pointer, changes *batch.Changes) {
		abi.PutBytes(to, 0, changes.Forget)
		abi.PutColumns(to, 8, changes.Columns)
	})
	abi.PutBytes(content, abi.SizeOfEffects+8, abi.Memory(step.Timers))
	return result
}

func operator() *batch.Keyed {
	_, operator := exported.Operator()
	if operator == nil {
		panic("there is no operator: call keyed.Export in an init function")
	}
	return operator
}
