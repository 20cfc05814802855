package wasmilltest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"wasmill/batch"
)

// kindOf is the kind of a column of the input where it is known, else empty.
func (r *Run) kindOf(name string) batch.Kind {
	if kind, is := r.setting.Columns[name]; is {
		return batch.Kind(strings.TrimSuffix(kind, "?"))
	}
	at := slices.IndexFunc(r.plan.Reads, func(read batch.Read) bool { return read.Name == name })
	if at < 0 {
		return ""
	}
	return r.plan.Reads[at].Kind
}

// flat is a row of the input, see flatOf.
func (r *Run) flat(row Row) Row { return flatOf(r.kindOf, row) }

// flatOf is a row by the paths of its columns, without absent values. Each value is of the type that its kind has here;
// the kind is empty where it is not known.
func flatOf(kindOf func(name string) batch.Kind, row Row) Row {
	flat := make(Row)
	var walk func(path string, value any)
	walk = func(path string, value any) {
		kind := kindOf(path)
		if inner, is := value.(Row); is && kind == "" {
			for name, value := range inner {
				walk(path+"."+name, value)
			}
		} else if value = plain(kind, value); value != nil {
			flat[path] = value
		}
	}
	for name, value := range row {
		walk(name, value)
	}
	return flat
}

// keyName is the key of a row as people write it.
func (r *Run) keyName(row Row) string {
	written := flatOf(func(string) batch.Kind { return "" }, row)
	parts := make([]string, len(r.setting.Key))
	for i, name := range r.setting.Key {
		value, is := written[name]
		if !is {
			// An object, which was taken apart, or nothing.
			value = r.flat(row)[name]
		}
		switch value := value.(type) {
		case nil:
			parts[i] = "null"
		case float64:
			parts[i] = floatText(value)
		case []byte:
			parts[i] = string(value)
		default:
			parts[i] = fmt.Sprint(value)
		}
	}
	return strings.Join(parts, ",")
}

// floatText is a float as the host writes one: with a point, or with a power where that is much shorter.
func floatText(value float64) string {
	text := strconv.FormatFloat(value, 'e', -1, 64)
	digits, power, _ := strings.Cut(text, "e")
	exponent, err := strconv.Atoi(power)
	switch {
	case err != nil: // not finite
		return text
	case exponent < -5 || exponent > 15:
		return fmt.Sprintf("%se%d", digits, exponent)
	}
	text = strconv.FormatFloat(value, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

// nested is the row with each path taken apart.
func nested(flat Row) Row {
	row := make(Row)
	for path, value := range flat {
		into, parts := row, strings.Split(path, ".")
		for _, part := range parts[:len(parts)-1] {
			inner, is := into[part].(Row)
			if !is {
				inner = make(Row)
				into[part] = inner
			}
			into = inner
		}
		into[parts[len(parts)-1]] = value
	}
	return row
}

// plain is a value as this driver has those of its kind: int64, float64, bool, string; bytes as []byte, times as
// RFC 3339 (of whole numbers they are milliseconds), json as its text. What does not fit stays as it is, for the
// message.
func plain(kind batch.Kind, value any) any {
	switch value := value.(type) {
	case int:
		return plain(kind, int64(value))
	case int64:
		switch kind {
		case batch.KindFloat64:
			return float64(value)
		case batch.KindTimestamp:
			// As in NDJSON.
			return batch.Timestamp(value * 1_000).String()
		}
	case time.Time:
		return batch.TimestampOf(value).String()
	case batch.Timestamp:
		return value.String()
	case string:
		switch kind {
		case batch.KindBytes:
			return []byte(value)
		case batch.KindTimestamp:
			if at, err := time.Parse(time.RFC3339Nano, value); err == nil {
				return batch.TimestampOf(at).String()
			}
		case batch.KindJSON:
			return compact(value)
		}
	case Row, []any:
		text, err := json.Marshal(value)
		if err == nil {
			return string(text)
		}
	}
	return value
}

// compact is a JSON text without spaces, its keys sorted; a text that is no JSON is itself.
func compact(text string) string {
	var value any
	if json.Unmarshal([]byte(text), &value) != nil {
		return text
	}
	again, err := json.Marshal(value)
	if err != nil {
		return text
	}
	return string(again)
}

// column is what an operator reads of flat rows.
func (r *Run) column(read batch.Read, rows []Row) (batch.Column, error) {
	field := batch.Field{Name: read.Name, Kind: read.Kind, Nullable: read.Nullable}
	var fallback any
	if read.Fallback != "" {
		var value any
		if err := json.Unmarshal([]byte(read.Fallback), &value); err != nil {
			return batch.Column{}, fmt.Errorf("the fallback of `%s` is not JSON: %w", read.Name, err)
		}
		if number, is := value.(float64); is && read.Kind != batch.KindFloat64 {
			value = int64(number)
		}
		if micros, is := value.(int64); is && read.Kind == batch.KindTimestamp {
			value = batch.Timestamp(micros)
		}
		fallback = plain(read.Kind, value)
	}
	values := make([]any, len(rows))
	for number, row := range rows {
		value := row[read.Name]
		if value == nil {
			value = fallback
		}
		if value == nil && !read.Nullable {
			return batch.Column{}, fmt.Errorf("row %d has no `%s`, which the operator reads and does not take as absent: "+
				"give it one, or make the field a pointer or a wasmill.Null", number, read.Name)
		}
		if value != nil && !fits(read.Kind, value) {
			return batch.Column{}, fmt.Errorf("row %d: `%s` is %#v, where the operator reads %s",
				number, read.Name, value, read.Kind)
		}
		values[number] = value
	}
	return columnOf(field, values), nil
}

func fits(kind batch.Kind, value any) bool {
	var is bool
	switch kind {
	case batch.KindBoolean:
		_, is = value.(bool)
	case batch.KindInt64:
		_, is = value.(int64)
	case batch.KindFloat64:
		_, is = value.(float64)
	case batch.KindTimestamp:
		text, _ := value.(string)
		_, err := time.Parse(time.RFC3339Nano, text)
		is = err == nil
	case batch.KindBytes:
		_, is = value.([]byte)
	default:
		_, is = value.(string)
	}
	return is
}

// columnOf makes a column of values that fit; nil is null, or where the field has no nulls zero.
func columnOf(field batch.Field, values []any) batch.Column {
	var column batch.Column
	switch field.Kind {
	case batch.KindBoolean:
		column = batch.MakeBoolean(typed(values, func(value any) bool { return value.(bool) }))
	case batch.KindInt64:
		column = batch.MakeInt64(typed(values, func(value any) int64 { return value.(int64) }))
	case batch.KindFloat64:
		column = batch.MakeFloat64(typed(values, func(value any) float64 { return value.(float64) }))
	case batch.KindTimestamp:
		column = batch.MakeInt64(typed(values, func(value any) int64 {
			at, _ := time.Parse(time.RFC3339Nano, value.(string))
			return at.UnixMicro()
		}))
	case batch.KindBytes:
		column = batch.MakeUtf8(typed(values, func(value any) string { return string(value.([]byte)) }))
	default:
		column = batch.MakeUtf8(typed(values, func(value any) string { return value.(string) }))
	}
	if field.Nullable && slices.Contains(values, nil) {
		present := make([]bool, len(values))
		for i, value := range values {
			present[i] = value != nil
		}
		column = column.WithPresent(present)
	}
	return column
}

func typed[V any](values []any, as func(any) V) []V {
	made := make([]V, len(values))
	for i, value := range values {
		if value != nil {
			made[i] = as(value)
		}
	}
	return made
}

// valueOf is a value that an operator made, nil where it is null.
func valueOf(field batch.Field, column batch.Column, row int) (any, error) {
	if field.Nullable && column.IsNull(row) {
		return nil, nil
	}
	switch field.Kind {
	case batch.KindBoolean:
		return batch.Boolean(column)[row], nil
	case batch.KindInt64:
		return batch.Int64(column)[row], nil
	case batch.KindFloat64:
		return batch.Float64(column)[row], nil
	case batch.KindTimestamp:
		return batch.Timestamp(batch.Int64(column)[row]).String(), nil
	}
	text := batch.Utf8(column).At(row)
	switch {
	case field.Kind == batch.KindBytes:
		return slices.Clone(text), nil
	case !utf8.Valid(text):
		return nil, fmt.Errorf("row %d of `%s` is %q, which is not UTF-8: make it a []byte", row, field.Name, text)
	case field.Kind == batch.KindJSON:
		return compact(string(text)), nil
	}
	return string(text), nil
}
