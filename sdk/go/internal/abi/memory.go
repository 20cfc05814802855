//go:build wasm

// Package abi is the canonical ABI of the contract, written by hand: how the records of wit/data.wit lie in memory.
// Offsets and sizes are those of the contract's version in the export names of wasmill/transform and wasmill/keyed.
//
// Arguments, and the records of results, lie in an arena that is used again for the next call. The buffers that a
// result points to are Go's own and are held until the host has read them: Go's collector does not move memory, but
// it must see a reference.
package abi

import "unsafe"

const firstChunk = 64 << 10

var (
	// words is the memory that is given out at present; 8 bytes each, so that it is aligned for everything.
	words []uint64
	// used is how many bytes of it are taken.
	used uintptr
	// filled are the chunks that this call filled before.
	filled [][]uint64
	// held is what the last result points to.
	held []unsafe.Pointer
	// finished says that the host has read the last result: nothing in the arena is needed any more.
	finished bool
)

// realloc is where the host puts arguments. The contract promises no alignment for its buffers; here they get it, so
// that every view is in place.
//
//go:wasmexport cabi_realloc
func realloc(old unsafe.Pointer, oldSize, align, size uint32) unsafe.Pointer {
	fresh := alloc(uintptr(size), uintptr(max(align, 8)))
	if oldSize > 0 {
		copy(unsafe.Slice((*byte)(fresh), size), unsafe.Slice((*byte)(old), oldSize))
	}
	return fresh
}

// alloc gives memory that lives until the host has read the result. It is not zeroed.
func alloc(size, align uintptr) unsafe.Pointer {
	if finished {
		recycle()
	}
	start := (used + align - 1) &^ (align - 1)
	if room := uintptr(len(words)) * 8; start+size > room {
		if room > 0 {
			filled = append(filled, words)
		}
		words = make([]uint64, (max(firstChunk, room*2, size)+7)/8)
		start = 0
	}
	used = start + size
	return unsafe.Add(unsafe.Pointer(unsafe.SliceData(words)), start)
}

// recycle empties the arena. Of several chunks the last, which is the largest, stays.
func recycle() {
	clear(filled)
	filled = filled[:0]
	used = 0
	clear(held)
	held = held[:0]
	finished = false
}

// PostReturn is called by the host when it has read a result.
func PostReturn() { finished = true }
