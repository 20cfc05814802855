//go:build wasm

package abi

import (
	"errors"
	"unsafe"

	"wasmill/batch"
)

// record takes zeroed memory for so many records.
func record(size uintptr, count int) Pointer {
	start := alloc(size*uintptr(count), 8)
	clear(unsafe.Slice((*byte)(start), size*uintptr(count)))
	return start
}

// put writes an address and a length.
func put(base Pointer, offset uintptr, start Pointer, length int) {
	*at[uint32](base, offset) = uint32(uintptr(start))
	*at[uint32](base, offset+4) = uint32(length)
}

// PutBytes writes a list<u8> and holds it until the host has read it.
func PutBytes(base Pointer, offset uintptr, bytes []byte) {
	start := Pointer(unsafe.SliceData(bytes))
	if len(bytes) > 0 {
		held = append(held, start)
	}
	put(base, offset, start, len(bytes))
}

func putString(base Pointer, offset uintptr, text string) {
	PutBytes(base, offset, unsafe.Slice(unsafe.StringData(text), len(text)))
}

// putOption writes an option<string>, none where it is empty.
func putOption(base Pointer, offset uintptr, text string) {
	if text != "" {
		*at[uint8](base, offset) = 1
		putString(base, offset+4, text)
	}
}

// PutList writes a list of records, each filled by fill.
func PutList[T any](base Pointer, offset, size uintptr, items []T, fill func(Pointer, *T)) {
	records := record(size, len(items))
	put(base, offset, records, len(items))
	for i := range items {
		fill(unsafe.Add(records, uintptr(i)*size), &items[i])
	}
}

// PutColumns writes a list<column>.
func PutColumns(base Pointer, offset uintptr, columns []batch.Column) {
	PutList(base, offset, 24, columns, func(to Pointer, column *batch.Column) {
		PutBytes(to, 0, column.Data)
		PutBytes(to, 8, column.Offsets)
		PutBytes(to, 16, column.Present)
	})
}

func putFields(base Pointer, offset uintptr, fields []batch.Field) {
	PutList(base, offset, 20, fields, func(to Pointer, field *batch.Field) {
		putString(to, 0, field.Name)
		putString(to, 8, string(field.Kind))
		putBool(to, 16, field.Nullable)
	})
}

func putBool(base Pointer, offset uintptr, value bool) { *at[bool](base, offset) = value }

// Opened is the result<plan, refusal> of an open function.
func Opened(plan batch.Plan, refused error) Pointer {
	const size = 36
	result := record(size, 1)
	payload := unsafe.Add(result, 4)
	if refused != nil {
		*at[uint8](result, 0) = 1
		refusal := &batch.Refusal{Message: refused.Error()}
		errors.As(refused, &refusal)
		putString(payload, 0, refusal.Message)
		putOption(payload, 8, refusal.ConfigPath)
		putOption(payload, 20, refusal.Field)
		return result
	}
	PutList(payload, 0, 32, plan.Reads, func(to Pointer, read *batch.Read) {
		putString(to, 0, read.Name)
		putString(to, 8, string(read.Kind))
		putBool(to, 16, read.Nullable)
		putOption(to, 20, read.Fallback)
	})
	PutList(payload, 8, 28, plan.Ports, putPort)
	PutList(payload, 16, 40, plan.Tables, putTable)
	PutList(payload, 24, 24, plan.Metrics, func(to Pointer, metric *batch.Metric) {
		putString(to, 0, metric.Name)
		putString(to, 8, metric.Kind)
		putString(to, 16, metric.Help)
	})
	return result
}

func putPort(to Pointer, port *batch.Port) {
	putString(to, 0, port.Name)
	if port.Carries != nil {
		*at[uint8](to, 8) = 1
		PutList(to, 12, 16, port.Carries, func(to Pointer, carried *batch.Carried) {
			putString(to, 0, carried.Input)
			putString(to, 8, carried.Output)
		})
	}
	putFields(to, 20, port.Makes)
}

func putTable(to Pointer, table *batch.Table) {
	putString(to, 0, table.Name)
	*at[uint32](to, 8) = table.Version
	putFields(to, 12, table.Columns)
	if table.TTL > 0 {
		*at[uint8](to, 24) = 1
		*at[uint64](to, 32) = uint64(table.TTL.Milliseconds())
	}
}

// Result takes the memory of a result<effects, fault> or result<step, fault>, and its payload.
func Result(payload uintptr) (result, content Pointer) {
	result = record(4+payload, 1)
	return result, unsafe.Add(result, 4)
}

// Failed is the same with a fault in it.
func Failed(failure error) Pointer {
	result, fault := Result(40)
	*at[uint8](result, 0) = 1
	putString(fault, 0, failure.Error())
	var known *batch.Fault
	if errors.As(failure, &known) {
		*at[uint8](fault, 8) = 1
		*at[uint32](fault, 12) = known.Row
	}
	return result
}

// SizeOfEffects is the size of the record effects.
const SizeOfEffects = 24

// PutEffects writes a record effects.
func PutEffects(to Pointer, effects *batch.Effects) {
	PutList(to, 0, 24, effects.Emits, func(to Pointer, emit *batch.Emit) {
		*at[uint32](to, 0) = emit.Port
		if !emit.All {
			*at[uint8](to, 4) = 1
			PutBytes(to, 8, Memory(emit.Origin))
		}
		PutColumns(to, 16, emit.Columns)
	})
	PutList(to, 8, 20, effects.Rejects, func(to Pointer, reject *batch.Reject) {
		*at[uint32](to, 0) = reject.Row
		*at[uint8](to, 4) = uint8(reject.Action)
		*at[uint32](to, 8) = reject.RetryMillis
		putString(to, 12, reject.Reason)
	})
	PutBytes(to, 16, Memory(effects.Metrics))
}

// Memory is the bytes of the values.
func Memory[T any](values []T) []byte {
	var value T
	return unsafe.Slice((*byte)(Pointer(unsafe.SliceData(values))), len(values)*int(unsafe.Sizeof(value)))
}
