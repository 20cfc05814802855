package json

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"
)

// plain is a value with the numbers that encoding/json has.
func plain(value any) any {
	switch value := value.(type) {
	case Number:
		return json.Number(value)
	case []any:
		for i := range value {
			value[i] = plain(value[i])
		}
	case map[string]any:
		for key := range value {
			value[key] = plain(value[key])
		}
	}
	return value
}

func agree(t *testing.T, text string) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	var expected any
	valid := json.Valid([]byte(text)) && decoder.Decode(&expected) == nil
	found, err := Parse(text)
	if valid && (err != nil || !reflect.DeepEqual(plain(found), expected)) {
		t.Errorf("%q: found %#v, %v, expected %#v", text, found, err, expected)
	}
}

var texts = []string{
	`null`, ` true `, `false`, `"a"`, `0`, `-0.5e+10`, `1E3`, `[]`, `{}`, `[1, [2], {"a": [null]}]`,
	`{"a": 1, "b": {"c": "d"}, "a": 2}`, `"\"\\\/\b\f\n\r\t\u00e4\ud83e\udd80\ud83e x"`, `"\ud800\u0000"`,
	`"größer 🦀"`, "\t\n[ 1 ,\r2 ]",
}

func TestWhatEncodingJSONReadsIsReadTheSame(t *testing.T) {
	for _, text := range texts {
		agree(t, text)
	}
}

func TestWhatIsNoJSONIsRefused(t *testing.T) {
	for _, text := range []string{
		``, ` `, `nul`, `tru e`, `01`, `-`, `.5`, `1.`, `1e`, `1e+`, `+1`, `0x1`, `"a`, `"\`, `"\x"`, `"\u12"`, `"\uzzzz"`,
		`[`,
		`[1`, `[1,`, `[,]`, `[1 2]`, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,}`, `{a:1}`, `{"a" 1}`, `1 2`, `]`, `NaN`,
	} {
		if value, err := Parse(text); err == nil {
			t.Errorf("%q is read as %#v", text, value)
		}
	}
	deep := bytes.Repeat([]byte("["), 100_000)
	if _, err := Parse(string(deep)); err == nil {
		t.Error("there is no end of depth")
	}
}

func TestAQuotedTextIsReadAsItWas(t *testing.T) {
	for _, text := range []string{"", "a", "\"\\\x00\n\u2028", "größer 🦀"} {
		if found, err := Parse(Quote(text)); found != text {
			t.Errorf("%q: found %q, %v", text, found, err)
		}
		var expected string
		if err := json.Unmarshal([]byte(Quote(text)), &expected); err != nil || expected != text {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range texts {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		agree(t, text)
		if _, err := Parse(text); (err == nil) && !json.Valid([]byte(text)) && !hasControl(text) {
			t.Errorf("%q is no JSON", text)
		}
	})
}

// hasControl says whether a text has a letter that JSON wants escaped, which is let pass.
func hasControl(text string) bool {
	return bytes.ContainsFunc([]byte(text), func(letter rune) bool { return letter < ' ' })
}

func TestATextIsReadAsTheValueThatItWasMadeOf(t *testing.T) {
	for _, text := range texts {
		value, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(Text(value))
		if err != nil || !reflect.DeepEqual(again, value) {
			t.Errorf("%q is %q", text, Text(value))
		}
	}
	text := Text(map[string]any{"b": []any{nil, true, Number("1e3")}, "a": "x"})
	if text != `{"a":"x","b":[null,true,1e3]}` {
		t.Error(text)
	}
}
