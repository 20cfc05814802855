package wasmill

import (
	"reflect"
	"unsafe"

	"wasmill/batch"
)

// lane is one field of all rows: where it lies in the first, and how far it is from one to the next.
type lane struct {
	start  unsafe.Pointer
	stride uintptr
}

// laneOf is the field at an offset in the rows, of which there is at least one.
func laneOf[R any](rows []R, offset uintptr) lane {
	return lane{unsafe.Add(unsafe.Pointer(unsafe.SliceData(rows)), offset), unsafe.Sizeof(rows[0])}
}

// whole is the lane as a slice, where nothing lies between its values.
func whole[V any](of lane, count int) ([]V, bool) {
	return unsafe.Slice((*V)(of.start), count), of.stride == unsafe.Sizeof(*new(V))
}

func (l lane) at(row int) unsafe.Pointer { return unsafe.Add(l.start, uintptr(row)*l.stride) }

// reader fills rows from columns, a column at a time: what kind a column has is asked once a call and not once a row.
type reader[R any] struct {
	fields []field
	rows   []R
	// texts and blobs are, for each field that is a pointer to one, what it points to.
	texts [][]string
	blobs [][][]byte
}

func readerOf[R any]() (reader[R], error) {
	layout, err := layoutOf(reflect.TypeFor[R]())
	count := len(layout)
	return reader[R]{fields: layout, texts: make([][]string, count), blobs: make([][][]byte, count)}, err
}

// read makes rows of the columns. The rows and what they are borrowed from are valid until the next call.
func (r *reader[R]) read(count int, columns []batch.Column) []R {
	r.rows = sized(r.rows, count)
	if count > 0 {
		for number := range r.fields {
			r.fill(number, columns[number])
		}
	}
	return r.rows
}

func (r *reader[R]) fill(number int, column batch.Column) {
	field, count := &r.fields[number], len(r.rows)
	to, points := laneOf(r.rows, field.offset), field.absence == byPointer
	switch field.form {
	case words:
		scatter(to, batch.Int64(column)[:count], points, column.Present)
	case flags:
		scatter(to, batch.Boolean(column)[:count], points, column.Present)
	case texts:
		if points {
			r.texts[number] = sized(r.texts[number], count)
			borrowStrings(laneOf(r.texts[number], 0), batch.Utf8(column))
			scatter(to, r.texts[number], points, column.Present)
		} else {
			borrowStrings(to, batch.Utf8(column))
		}
	case blobs:
		if points {
			r.blobs[number] = sized(r.blobs[number], count)
			borrowBytes(laneOf(r.blobs[number], 0), batch.Utf8(column))
			scatter(to, r.blobs[number], points, column.Present)
		} else {
			borrowBytes(to, batch.Utf8(column))
		}
	}
	if field.absence == byNull {
		valid := laneOf(r.rows, field.valid)
		for row := range count {
			*(*bool)(valid.at(row)) = !column.IsNull(row)
		}
	}
}

// scatter puts a value into each row, or a pointer to it.
func scatter[V any](to lane, values []V, points bool, present []byte) {
	if !points {
		spread(to, values)
		return
	}
	for row := range values {
		value := &values[row]
		if len(present) > 0 && present[row] == 0 {
			value = nil
		}
		*(**V)(to.at(row)) = value
	}
}

// spread puts a value into each row, eight in a turn, as collect does.
func spread[V any](to lane, values []V) {
	if packed, is := whole[V](to, len(values)); is {
		copy(packed, values)
		return
	}
	row := 0
	for ; row+8 <= len(values); row += 8 {
		eight, at := values[row:row+8:row+8], to.at(row)
		*(*V)(at) = eight[0]
		at = unsafe.Add(at, to.stride)
		*(*V)(at) = eight[1]
		at = unsafe.Add(at, to.stride)
		*(*V)(at) = eight[2]
		at = unsafe.Add(at, to.stride)
		*(*V)(at) = eight[3]
		at = unsafe.Add(at, to.stride)
		*(*V)(at) = eight[4]
		at = unsafe.Add(at, to.stride)
		*(*V)(at) = eight[5]
		at = unsafe.Add(at, to.stride)
		*(*V)(at) = eight[6]
		at = unsafe.Add(at, to.stride)
		*(*V)(at) = eight[7]
	}
	for ; row < len(values); row++ {
		*(*V)(to.at(row)) = values[row]
	}
}

// borrowStrings puts a view of a text into each row.
func borrowStrings(to lane, texts batch.Texts) {
	for row := range texts.Len() {
		text := texts.At(row)
		*(*string)(to.at(row)) = unsafe.String(unsafe.SliceData(text), len(text))
	}
}

// borrowBytes puts a view of a text into each row. Whoever appends to it does not write into the next one.
func borrowBytes(to lane, texts batch.Texts) {
	for row := range texts.Len() {
		text := texts.At(row)
		*(*[]byte)(to.at(row)) = text[:len(text):len(text)]
	}
}

// sized is the slice with that length, its contents being anything.
func sized[T any](slice []T, length int) []T {
	if cap(slice) < length {
		return make([]T, length, length+length/2)
	}
	return slice[:length]
}
