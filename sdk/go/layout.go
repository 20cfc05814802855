package wasmill

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"

	"wasmill/batch"
	"wasmill/internal/json"
)

// form is how the value of a field lies in memory.
type form uint8

const (
	words form = iota // 8 bytes
	flags             // bool
	texts             // string
	blobs             // []byte
)

// absence is how a field says that it has no value.
type absence uint8

const (
	never absence = iota
	byPointer
	byNull
)

// field is a field of a struct that is a column.
type field struct {
	batch.Field
	// fallback is the value for rows that have none, as JSON text.
	fallback string
	// standard is the same as it was written.
	standard string
	form     form
	absence  absence
	// offset is where the value or the pointer to it lies in the struct, valid where Null.Valid does.
	offset, valid uintptr
}

var (
	typeTimestamp = reflect.TypeFor[Timestamp]()
	typeJSON      = reflect.TypeFor[JSON]()
	typeNull      = reflect.TypeFor[interface{ null() }]()
	typeTime      = reflect.TypeFor[time.Time]()
)

// layoutOf is a struct as columns: worked out once, so that rows are read and written without reflection. An error
// names the field and says what it may be.
func layoutOf(of reflect.Type) ([]field, error) {
	if of.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%s is no struct: a row, a state and a configuration are structs", of)
	}
	var found []field
	taken := make(map[string]string)
	for i := range of.NumField() {
		member := of.Field(i)
		name, standard, used := tagOf(member)
		if !used {
			continue
		}
		at := fmt.Sprintf("%s.%s", of.Name(), member.Name)
		if !member.IsExported() {
			return nil, fmt.Errorf("%s is no column: begin its name with a capital, or tag it `wasmill:\"-\"`", at)
		}
		if before, is := taken[name]; is {
			return nil, fmt.Errorf("%s and %s are both the column `%s`: rename one by a tag", before, at, name)
		}
		taken[name] = at
		column, err := fieldOf(member.Type, name, standard)
		if err != nil {
			return nil, fmt.Errorf("%s %w", at, err)
		}
		column.offset += member.Offset
		column.valid += member.Offset
		found = append(found, column)
	}
	return found, nil
}

// tagOf takes the tag apart: `wasmill:"name,default=value"`. A field without a name has its own in snake case.
func tagOf(member reflect.StructField) (name, standard string, used bool) {
	tag := member.Tag.Get("wasmill")
	name, standard, _ = strings.Cut(tag, ",default=")
	if name == "" {
		name = snake(member.Name)
	}
	return name, standard, tag != "-" && member.Name != "_"
}

// snake is MaxAgeMs as max_age_ms.
func snake(name string) string {
	var made strings.Builder
	letters := []rune(name)
	for i, letter := range letters {
		if i > 0 && unicode.IsUpper(letter) {
			before, last := letters[i-1], i+1 == len(letters)
			if !unicode.IsUpper(before) || !last && unicode.IsLower(letters[i+1]) {
				made.WriteByte('_')
			}
		}
		made.WriteRune(unicode.ToLower(letter))
	}
	return made.String()
}

func fieldOf(of reflect.Type, name, standard string) (field, error) {
	found := field{standard: standard}
	value := of
	switch {
	case of.Kind() == reflect.Pointer:
		found.absence, value = byPointer, of.Elem()
	case of.Implements(typeNull):
		found.absence, value = byNull, of.Field(0).Type
		found.valid = of.Field(1).Offset
	}
	kind, form, err := kindOf(value)
	if err != nil {
		return field{}, err
	}
	found.Field = batch.Field{Name: name, Kind: kind, Nullable: found.absence != never}
	found.form = form
	if standard == "" {
		return found, nil
	}
	if found.Nullable {
		return field{}, fmt.Errorf("has a default, so it is never absent: its type is %s, without pointer or Null", value)
	}
	found.fallback, err = fallback(kind, standard)
	return found, err
}

func kindOf(of reflect.Type) (batch.Kind, form, error) {
	switch {
	case of == typeTimestamp:
		return batch.KindTimestamp, words, nil
	case of == typeJSON:
		return batch.KindJSON, texts, nil
	case of.Kind() == reflect.Bool:
		return batch.KindBoolean, flags, nil
	case of.Kind() == reflect.Int64 && of != reflect.TypeFor[time.Duration]():
		return batch.KindInt64, words, nil
	case of.Kind() == reflect.Float64:
		return batch.KindFloat64, words, nil
	case of.Kind() == reflect.String:
		return batch.KindUtf8, texts, nil
	case of.Kind() == reflect.Slice && of.Elem().Kind() == reflect.Uint8:
		return batch.KindBytes, blobs, nil
	}
	return "", 0, fmt.Errorf("has the type %s, which is no column: %s", of, advice(of))
}

// advice is what an author probably wants instead of a type.
func advice(of reflect.Type) string {
	switch of.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Uint, reflect.Uint8, reflect.Uint16,
		reflect.Uint32, reflect.Uint64:
		return "use int64"
	case reflect.Float32:
		return "use float64"
	}
	switch {
	case of == typeTime:
		return "use wasmill.Timestamp"
	case of.Kind() == reflect.Struct:
		return "name each column that you want of it by its path, as `wasmill:\"site.name\"`"
	case of.Kind() == reflect.Slice, of.Kind() == reflect.Map, of.Kind() == reflect.Array:
		return "use wasmill.JSON for arrays and objects"
	}
	return "columns are bool, int64, float64, string, []byte, wasmill.Timestamp, wasmill.JSON, or a pointer or " +
		"wasmill.Null of one of these"
}

// fallback is a default as the JSON text of the contract.
func fallback(kind batch.Kind, text string) (string, error) {
	var err error
	switch kind {
	case batch.KindBoolean:
		_, err = strconv.ParseBool(text)
	case batch.KindInt64, batch.KindTimestamp:
		_, err = strconv.ParseInt(text, 10, 64)
	case batch.KindFloat64:
		_, err = strconv.ParseFloat(text, 64)
	case batch.KindJSON:
		_, err = json.Parse(text)
	default:
		return json.Quote(text), nil
	}
	if err != nil {
		return "", fmt.Errorf("has the default %q, which is no %s", text, kind)
	}
	return text, nil
}
