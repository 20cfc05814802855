//go:build wasm

package abi

import (
	"unsafe"

	"wasmill/batch"
)

// Pointer is an address in linear memory as the canonical ABI passes it.
type Pointer = unsafe.Pointer

func at[T any](base Pointer, offset uintptr) *T { return (*T)(unsafe.Add(base, offset)) }

// bytesAt reads a list<u8> or a string: an address and a length.
func bytesAt(base Pointer, offset uintptr) []byte {
	return Bytes(Pointer(uintptr(*at[uint32](base, offset))), *at[uint32](base, offset+4))
}

// Bytes is a list<u8> or a string passed as two parameters: a view that is valid during the call.
func Bytes(start Pointer, length uint32) []byte { return unsafe.Slice((*byte)(start), length) }

// Uint32s is a list<u8> of u32 each; realloc has aligned it.
func Uint32s(start Pointer, length uint32) []uint32 { return unsafe.Slice((*uint32)(start), length/4) }

// Fields copies a list<field>: it outlives the call.
func Fields(start Pointer, count uint32) []batch.Field {
	const size = 20
	fields := make([]batch.Field, count)
	for i := range fields {
		field := unsafe.Add(start, i*size)
		fields[i] = batch.Field{
			Name:     string(bytesAt(field, 0)),
			Kind:     batch.Kind(bytesAt(field, 8)),
			Nullable: *at[uint8](field, 16) != 0,
		}
	}
	return fields
}

// lent is the columns that were given to the call, in memory that is used again for the next.
var lent []batch.Column

// Columns views a list<column>, during the call.
func Columns(start Pointer, count uint32) []batch.Column {
	const size = 24
	first := len(lent)
	for i := range uintptr(count) {
		column := unsafe.Add(start, i*size)
		lent = append(lent, batch.Column{
			Data: bytesAt(column, 0), Offsets: bytesAt(column, 8), Present: bytesAt(column, 16),
		})
	}
	return lent[first:len(lent):len(lent)]
}

// ColumnsAt views a list<column> inside a record.
func ColumnsAt(base Pointer, offset uintptr) []batch.Column {
	return Columns(Pointer(uintptr(*at[uint32](base, offset))), *at[uint32](base, offset+4))
}

// BytesAt views a list<u8> inside a record.
func BytesAt(base Pointer, offset uintptr) []byte { return bytesAt(base, offset) }
