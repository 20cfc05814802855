package batch

import (
	"slices"
	"testing"
)

func TestAColumnReadsAsItWasMade(t *testing.T) {
	numbers := []int64{-1, 0, 1 << 62}
	if read := Int64(MakeInt64(numbers)); !slices.Equal(read, numbers) {
		t.Errorf("int64: %v", read)
	}
	floats := []float64{-0.5, 1e300}
	if read := Float64(MakeFloat64(floats)); !slices.Equal(read, floats) {
		t.Errorf("float64: %v", read)
	}
	flags := []bool{true, false}
	if read := Boolean(MakeBoolean(flags)); !slices.Equal(read, flags) {
		t.Errorf("boolean: %v", read)
	}
	words := []string{"", "größer", "\x00"}
	texts := Utf8(MakeUtf8(words))
	for row, word := range words {
		if string(texts.At(row)) != word {
			t.Errorf("utf8, row %d: %q", row, texts.At(row))
		}
	}
	if texts.Len() != len(words) {
		t.Errorf("utf8: %d rows", texts.Len())
	}
}

func TestAnEmptyColumnHasNoRows(t *testing.T) {
	if Int64(MakeInt64(nil)) != nil || Utf8(MakeUtf8(nil)).Len() != 0 || Utf8(Column{}).Len() != 0 {
		t.Error("there are rows in nothing")
	}
}

func TestAMisalignedBufferIsCopied(t *testing.T) {
	buffer := make([]byte, 1, 17)
	buffer = append(buffer, MakeInt64([]int64{1, -2}).Data...)
	if read := Int64(Column{Data: buffer[1:]}); !slices.Equal(read, []int64{1, -2}) {
		t.Errorf("read %v", read)
	}
}

func TestNullIsWhatPresentSays(t *testing.T) {
	column := MakeInt64([]int64{1, 2})
	if column.IsNull(0) || column.IsNull(1) {
		t.Error("a column without presence has a null")
	}
	column = column.WithPresent([]bool{true, false})
	if column.IsNull(0) || !column.IsNull(1) {
		t.Error("presence was turned round")
	}
}
