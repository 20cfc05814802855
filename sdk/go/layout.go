package wasmill

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"

	"wasmill/batch"
	"wasmill/internal/json"
	"wasmill/internal/nearest"
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
	members, err := membersOf(of, "column")
	if err != nil {
		return nil, err
	}
	var found []field
	for _, member := range members {
		column, err := fieldOf(member)
		if err != nil {
			return nil, fmt.Errorf("%s.%s %w", of.Name(), member.Name, err)
		}
		column.offset += member.Offset
		column.valid += member.Offset
		found = append(found, column)
	}
	return found, nil
}

// member is a field of a struct as its tag has it.
type member struct {
	reflect.StructField
	// name is that of its column or key.
	name string
	// standard is its default as it was written, nil where it has none.
	standard *string
}

// membersOf is the fields of a struct that are columns, or keys of a configuration, which is what they are called in
// errors. No two have the same name.
func membersOf(of reflect.Type, what string) ([]member, error) {
	if of.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%s is no struct: a row, a state and a configuration are structs", of)
	}
	var found []member
	taken := make(map[string]string)
	for i := range of.NumField() {
		member := member{StructField: of.Field(i)}
		if member.Name == "_" || isLeftOut(member.StructField) {
			continue
		}
		at := fmt.Sprintf("%s.%s", of.Name(), member.Name)
		if !member.IsExported() {
			return nil, fmt.Errorf("%s is no %s: begin its name with a capital, or tag it `wasmill:\"-\"`", at, what)
		}
		var err error
		if member.name, member.standard, err = tagOf(member.StructField); err != nil {
			return nil, fmt.Errorf("%s %w", at, err)
		}
		if before, is := taken[member.name]; is {
			return nil, fmt.Errorf("%s and %s are both the %s `%s`: rename one by a tag", before, at, what, member.name)
		}
		taken[member.name] = at
		found = append(found, member)
	}
	return found, nil
}

func isLeftOut(member reflect.StructField) bool { return member.Tag.Get("wasmill") == "-" }

// tagOf takes the tag apart: `wasmill:"name,default=value"`. A field without a name has its own in snake case. A value
// goes on to the end of the tag, whatever it has in it.
func tagOf(member reflect.StructField) (name string, standard *string, err error) {
	tag := member.Tag.Get("wasmill")
	name, part, more := strings.Cut(tag, ",")
	key, value, given := strings.Cut(part, "=")
	switch before, _, is := strings.Cut(name, "="); {
	case is:
		return "", nil, fmt.Errorf("has the tag %q, where %q stands in the place of the name: write %q, or put a name "+
			"in front", tag, before+"=", ","+tag)
	case more && key != "default":
		return "", nil, fmt.Errorf("has the tag %q, in which %q is unknown; %s", tag, part,
			nearest.Meant(key, []string{"default"}))
	case more && !given:
		return "", nil, fmt.Errorf("has the tag %q, in which the default has no value: write `default=` and it", tag)
	case name == "":
		name = snake(member.Name)
	}
	if more {
		standard = &value
	}
	return name, standard, nil
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

func fieldOf(member member) (field, error) {
	var found field
	value := member.Type
	switch {
	case value.Kind() == reflect.Pointer:
		found.absence, value = byPointer, value.Elem()
	case value.Implements(typeNull):
		found.absence, found.valid = byNull, value.Field(1).Offset
		value = value.Field(0).Type
	}
	kind, form, err := kindOf(value)
	if err != nil {
		return field{}, err
	}
	found.Field = batch.Field{Name: member.name, Kind: kind, Nullable: found.absence != never}
	found.form = form
	if member.standard == nil {
		return found, nil
	}
	if found.Nullable {
		return field{}, fmt.Errorf("has a default, so it is never absent: its type is %s, without pointer or Null", value)
	}
	found.fallback, err = fallback(kind, *member.standard)
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
	value, err := json.Parse(text)
	// What the text is if it is read as Go reads it, and whether JSON has it so, too.
	var read string
	var same bool
	switch kind {
	case batch.KindUtf8, batch.KindBytes:
		return json.Quote(text), nil
	case batch.KindJSON:
		read, same = json.Text(value), err == nil
	case batch.KindBoolean:
		if truth, err := strconv.ParseBool(text); err == nil {
			read = strconv.FormatBool(truth)
		}
		_, same = value.(bool)
	case batch.KindInt64, batch.KindTimestamp:
		if whole, err := strconv.ParseInt(text, 10, 64); err == nil {
			read = strconv.FormatInt(whole, 10)
		}
		_, same = value.(json.Number)
	case batch.KindFloat64:
		if float, err := strconv.ParseFloat(text, 64); err == nil && !math.IsInf(float, 0) && !math.IsNaN(float) {
			read = strconv.FormatFloat(float, 'g', -1, 64)
		}
		_, same = value.(json.Number)
	}
	switch {
	case read == "" || kind == batch.KindJSON && !same:
		return "", fmt.Errorf("has the default %q, which is no %s", text, kind)
	case !same:
		return "", fmt.Errorf("has the default %q, which is no %s as JSON writes it: write %s", text, kind, read)
	}
	return read, nil
}
