package wasmill

import (
	"unsafe"

	"wasmill/batch"
)

// writer makes a column of a field of rows.
type writer struct {
	field
	words   []int64
	flags   []bool
	data    []byte
	offsets []uint32
	present []bool
}

// writers make the columns of rows. What they make is valid until they make the next.
type writers struct {
	each    []writer
	columns []batch.Column
}

func writersOf(fields []field) writers {
	each := make([]writer, len(fields))
	for i, field := range fields {
		each[i].field = field
	}
	return writers{each, make([]batch.Column, len(fields))}
}

// written is the rows as columns.
func written[R any](rows []R, writers writers) []batch.Column {
	columns := writers.columns
	if len(rows) == 0 {
		clear(columns)
		return columns
	}
	for i := range writers.each {
		writer := &writers.each[i]
		from := laneOf(rows, writer.offset)
		if writer.absence != never {
			writer.present = sized(writer.present, len(rows))
			writer.absent(from, laneOf(rows, writer.valid))
		}
		columns[i] = writer.column(from, len(rows))
		if writer.absence != never {
			columns[i] = columns[i].WithPresent(writer.present)
		}
	}
	return columns
}

// absent notes which rows have a value.
func (w *writer) absent(from, valid lane) {
	for row := range w.present {
		if w.absence == byPointer {
			w.present[row] = *(*unsafe.Pointer)(from.at(row)) != nil
		} else {
			w.present[row] = *(*bool)(valid.at(row))
		}
	}
}

func (w *writer) column(from lane, count int) batch.Column {
	switch w.form {
	case words:
		w.words = sized(w.words, count)
		gather(w.words, w.absence, w.present, from)
		return batch.MakeInt64(w.words)
	case flags:
		w.flags = sized(w.flags, count)
		gather(w.flags, w.absence, w.present, from)
		return batch.MakeBoolean(w.flags)
	case texts:
		join[string](w, from, count)
	case blobs:
		join[[]byte](w, from, count)
	}
	return batch.MakeTexts(w.data, w.offsets)
}

// gather takes a value of each row, zero where there is none.
func gather[V any](values []V, absence absence, present []bool, from lane) {
	if absence == never {
		collect(values, from)
		return
	}
	for row := range values {
		value := at[V](from, row, absence, present)
		if value != nil {
			values[row] = *value
		} else {
			clear(values[row : row+1])
		}
	}
}

// collect takes a value of each row. Eight in a turn: in WebAssembly as Go makes it, each turn of a loop costs a jump
// through a table.
func collect[V any](values []V, from lane) {
	if packed, is := whole[V](from, len(values)); is {
		copy(values, packed)
		return
	}
	row := 0
	for ; row+8 <= len(values); row += 8 {
		eight, at := values[row:row+8:row+8], from.at(row)
		eight[0] = *(*V)(at)
		at = unsafe.Add(at, from.stride)
		eight[1] = *(*V)(at)
		at = unsafe.Add(at, from.stride)
		eight[2] = *(*V)(at)
		at = unsafe.Add(at, from.stride)
		eight[3] = *(*V)(at)
		at = unsafe.Add(at, from.stride)
		eight[4] = *(*V)(at)
		at = unsafe.Add(at, from.stride)
		eight[5] = *(*V)(at)
		at = unsafe.Add(at, from.stride)
		eight[6] = *(*V)(at)
		at = unsafe.Add(at, from.stride)
		eight[7] = *(*V)(at)
	}
	for ; row < len(values); row++ {
		values[row] = *(*V)(from.at(row))
	}
}

// join puts the texts of the rows back to back.
func join[V string | []byte](w *writer, from lane, count int) {
	w.data, w.offsets = w.data[:0], sized(w.offsets, count+1)
	w.offsets[0] = 0
	for row := range count {
		if value := at[V](from, row, w.absence, w.present); value != nil {
			w.data = append(w.data, *value...)
		}
		w.offsets[row+1] = uint32(len(w.data))
	}
}

// at is where the value of a row lies, nil where there is none.
func at[V any](from lane, row int, absence absence, present []bool) *V {
	switch {
	case absence == never:
		return (*V)(from.at(row))
	case !present[row]:
		return nil
	case absence == byPointer:
		return *(**V)(from.at(row))
	}
	return (*V)(from.at(row))
}
