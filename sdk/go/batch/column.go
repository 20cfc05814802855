package batch

import "unsafe"

// Column is the values of one field for all rows of a batch, as the three buffers that cross the boundary.
type Column struct {
	// Data is 8 bytes a row (boolean: 1), little-endian, or the texts back to back.
	Data []byte
	// Offsets is, for texts, rows + 1 numbers of 4 bytes: text i is Data[offset i : offset i+1]. Else empty.
	Offsets []byte
	// Present has a byte a row, 0 = null. Empty = no row is null.
	Present []byte
}

// IsNull says whether a row has no value.
func (c Column) IsNull(row int) bool { return len(c.Present) > 0 && c.Present[row] == 0 }

// WithPresent is the column with the rows null for which present has false.
func (c Column) WithPresent(present []bool) Column {
	c.Present = bytesOf(present)
	return c
}

// Int64 views a column of kind int64 or timestamp.
func Int64(c Column) []int64 { return view[int64](c.Data) }

// Float64 views a column of kind float64.
func Float64(c Column) []float64 { return view[float64](c.Data) }

// Boolean views a column of kind boolean.
func Boolean(c Column) []bool { return view[bool](c.Data) }

// Utf8 views a column of kind utf8, json or bytes.
func Utf8(c Column) Texts { return Texts{data: c.Data, offsets: view[uint32](c.Offsets)} }

// Texts are byte strings back to back.
type Texts struct {
	data    []byte
	offsets []uint32
}

// Len is the number of texts.
func (t Texts) Len() int { return max(len(t.offsets)-1, 0) }

// At is the text of a row, a view that is valid during the call.
func (t Texts) At(row int) []byte { return t.data[t.offsets[row]:t.offsets[row+1]] }

// MakeInt64 makes a column of kind int64 or timestamp of the values themselves, not of a copy.
func MakeInt64(values []int64) Column { return Column{Data: bytesOf(values)} }

// MakeFloat64 makes a column of kind float64 of the values themselves, not of a copy.
func MakeFloat64(values []float64) Column { return Column{Data: bytesOf(values)} }

// MakeBoolean makes a column of kind boolean of the values themselves, not of a copy.
func MakeBoolean(values []bool) Column { return Column{Data: bytesOf(values)} }

// MakeUtf8 makes a column of kind utf8 or json.
func MakeUtf8(values []string) Column {
	size := 0
	for _, value := range values {
		size += len(value)
	}
	texts := NewTextMaker(len(values), size)
	for _, value := range values {
		texts.AppendString(value)
	}
	return texts.Column()
}

// MakeTexts makes a column of kind utf8, json or bytes of texts back to back: text i is data[offsets[i]:offsets[i+1]].
// It is made of the memory itself, not of a copy.
func MakeTexts(data []byte, offsets []uint32) Column {
	return Column{Data: data, Offsets: bytesOf(offsets)}
}

// TextMaker makes a column of kind utf8, json or bytes, a row at a time.
type TextMaker struct {
	data    []byte
	offsets []uint32
}

// NewTextMaker makes room for so many rows and bytes; both grow when they must.
func NewTextMaker(rows, bytes int) *TextMaker {
	offsets := make([]uint32, 1, rows+1)
	return &TextMaker{data: make([]byte, 0, bytes), offsets: offsets}
}

// Append adds a row.
func (m *TextMaker) Append(text []byte) {
	m.data = append(m.data, text...)
	m.offsets = append(m.offsets, uint32(len(m.data)))
}

// AppendString adds a row.
func (m *TextMaker) AppendString(text string) {
	m.data = append(m.data, text...)
	m.offsets = append(m.offsets, uint32(len(m.data)))
}

// Column is the rows so far.
func (m *TextMaker) Column() Column { return MakeTexts(m.data, m.offsets) }

// view reads bytes as values: in place where the address is aligned for them, else as a copy.
func view[T any](buffer []byte) []T {
	var value T
	size := unsafe.Sizeof(value)
	count := len(buffer) / int(size)
	if count == 0 {
		return nil
	}
	start := unsafe.Pointer(unsafe.SliceData(buffer))
	if uintptr(start)%unsafe.Alignof(value) == 0 {
		return unsafe.Slice((*T)(start), count)
	}
	values := make([]T, count)
	copy(bytesOf(values), buffer)
	return values
}

// bytesOf is the memory of the values.
func bytesOf[T any](values []T) []byte {
	var value T
	if len(values) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), len(values)*int(unsafe.Sizeof(value)))
}
