// Package json reads and writes JSON texts: a tenth of encoding/json, which would be a seventh of a component.
package json

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Number is a number as its text.
type Number string

// deepest is how far values may be nested.
const deepest = 1000

// Parse reads a text of one value: nil, bool, Number, string, []any or map[string]any.
func Parse(text string) (any, error) {
	reader := reader{text: text}
	value, err := reader.value(0)
	if err == nil {
		if reader.space(); reader.at < len(text) {
			err = errors.New("more than one value")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("byte %d: %w", reader.at, err)
	}
	return value, nil
}

// Quote is a text as JSON has it.
func Quote(text string) string {
	var quoted strings.Builder
	quoted.WriteByte('"')
	for _, letter := range text {
		switch {
		case letter == '"' || letter == '\\':
			quoted.WriteByte('\\')
			quoted.WriteRune(letter)
		case letter < ' ':
			fmt.Fprintf(&quoted, `\u%04x`, letter)
		default:
			quoted.WriteRune(letter)
		}
	}
	quoted.WriteByte('"')
	return quoted.String()
}

// Text is a value that [Parse] gave as a JSON text: without spaces, its keys sorted.
func Text(value any) string {
	var text strings.Builder
	write(&text, value)
	return text.String()
}

func write(text *strings.Builder, value any) {
	switch value := value.(type) {
	case nil:
		text.WriteString("null")
	case string:
		text.WriteString(Quote(value))
	case []any:
		text.WriteByte('[')
		for i, item := range value {
			if i > 0 {
				text.WriteByte(',')
			}
			write(text, item)
		}
		text.WriteByte(']')
	case map[string]any:
		text.WriteByte('{')
		for i, key := range slices.Sorted(maps.Keys(value)) {
			if i > 0 {
				text.WriteByte(',')
			}
			text.WriteString(Quote(key))
			text.WriteByte(':')
			write(text, value[key])
		}
		text.WriteByte('}')
	default: // a bool or a Number
		fmt.Fprint(text, value)
	}
}

type reader struct {
	text string
	at   int
}

func (r *reader) space() {
	for r.at < len(r.text) && strings.IndexByte(" \t\r\n", r.text[r.at]) >= 0 {
		r.at++
	}
}

// take goes on past the byte, if it is the next after space.
func (r *reader) take(expected byte) bool {
	r.space()
	if r.at == len(r.text) || r.text[r.at] != expected {
		return false
	}
	r.at++
	return true
}

var words = map[string]any{"null": nil, "true": true, "false": false}

func (r *reader) value(depth int) (any, error) {
	switch {
	case depth > deepest:
		return nil, errors.New("too deep")
	case r.take('{'):
		return r.object(depth)
	case r.take('['):
		return r.array(depth)
	case r.take('"'):
		return r.rest()
	}
	start := r.at
	for r.at < len(r.text) && strings.IndexByte(" \t\r\n,:[]{}\"", r.text[r.at]) < 0 {
		r.at++
	}
	word := r.text[start:r.at]
	if value, is := words[word]; is {
		return value, nil
	}
	if number(word) {
		return Number(word), nil
	}
	r.at = start
	if word == "" {
		return nil, errors.New("a value is missing")
	}
	return nil, fmt.Errorf("%q is no value", word)
}

// number says whether a word is a number of JSON.
func number(word string) bool {
	digits := func(text string) string { return strings.TrimLeft(text, "0123456789") }
	rest := strings.TrimPrefix(word, "-")
	after := digits(rest)
	if whole := len(rest) - len(after); whole == 0 || whole > 1 && rest[0] == '0' {
		return false
	}
	if fraction, is := strings.CutPrefix(after, "."); is {
		if after = digits(fraction); len(after) == len(fraction) {
			return false
		}
	}
	if len(after) > 0 && (after[0] == 'e' || after[0] == 'E') {
		power := after[1:]
		if len(power) > 0 && (power[0] == '+' || power[0] == '-') {
			power = power[1:]
		}
		if after = digits(power); len(after) == len(power) {
			return false
		}
	}
	return after == ""
}

func (r *reader) array(depth int) (any, error) {
	items := []any{}
	if r.take(']') {
		return items, nil
	}
	for {
		item, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
		switch {
		case r.take(']'):
			return items, nil
		case !r.take(','):
			return nil, errors.New("an array goes on with `,` or ends with `]`")
		}
	}
}

func (r *reader) object(depth int) (any, error) {
	entries := map[string]any{}
	if r.take('}') {
		return entries, nil
	}
	for {
		if !r.take('"') {
			return nil, errors.New("a key is missing")
		}
		key, err := r.rest()
		if err != nil {
			return nil, err
		}
		if !r.take(':') {
			return nil, errors.New("a `:` is missing")
		}
		if entries[key], err = r.value(depth + 1); err != nil {
			return nil, err
		}
		switch {
		case r.take('}'):
			return entries, nil
		case !r.take(','):
			return nil, errors.New("an object goes on with `,` or ends with `}`")
		}
	}
}

// rest is the text up to the closing quote.
func (r *reader) rest() (string, error) {
	var read strings.Builder
	for {
		run := strings.IndexAny(r.text[r.at:], "\"\\")
		if run < 0 {
			return "", errors.New("a text has no end")
		}
		read.WriteString(r.text[r.at : r.at+run])
		r.at += run + 1
		if r.text[r.at-1] == '"' {
			return read.String(), nil
		}
		letter, err := r.escaped()
		if err != nil {
			return "", err
		}
		read.WriteRune(letter)
	}
}

// escaped is what stands behind a backslash.
func (r *reader) escaped() (rune, error) {
	if r.at == len(r.text) {
		return 0, errors.New("a text has no end")
	}
	kind := r.text[r.at]
	r.at++
	if kind == 'u' {
		high, err := r.unit()
		if err != nil || !utf16.IsSurrogate(high) {
			return high, err
		}
		before := r.at
		if strings.HasPrefix(r.text[r.at:], `\u`) {
			r.at += 2
			low, err := r.unit()
			if pair := utf16.DecodeRune(high, low); err != nil || pair != utf8.RuneError {
				return pair, err
			}
		}
		// Half of a pair, and whatever follows.
		r.at = before
		return utf8.RuneError, nil
	}
	if at := strings.IndexByte(`"\/bfnrt`, kind); at >= 0 {
		return rune("\"\\/\b\f\n\r\t"[at]), nil
	}
	return 0, fmt.Errorf("`\\%c` means nothing", kind)
}

func (r *reader) unit() (rune, error) {
	if len(r.text) < r.at+4 {
		return 0, errors.New("a text has no end")
	}
	unit, err := strconv.ParseUint(r.text[r.at:r.at+4], 16, 16)
	r.at += 4
	return rune(unit), err
}
