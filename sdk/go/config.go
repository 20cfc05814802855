package wasmill

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"

	"wasmill/batch"
	"wasmill/internal/json"
	"wasmill/internal/nearest"
)

// configOf reads the text of a JSON object into a struct: defaults where a key is absent, no key that it does not have,
// and what its own Check says.
func configOf[C any](text []byte) (*C, error) {
	config := new(C)
	into := reflect.ValueOf(config).Elem()
	if err := sound(into.Type(), nil); err != nil {
		return nil, err
	}
	if err := defaults(into, ""); err != nil {
		return nil, err
	}
	given, err := json.Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("the configuration is not JSON: %w", err)
	}
	if err := decode(into, given, ""); err != nil {
		return nil, err
	}
	if checked, is := any(config).(interface{ Check() error }); is {
		if err := checked.Check(); err != nil {
			return nil, fmt.Errorf("the configuration is not usable: %w", err)
		}
	}
	return config, nil
}

// wrong is the refusal of what stands at a path.
func wrong(path, format string, values ...any) error {
	what := fmt.Sprintf(format, values...)
	if path == "" {
		return &batch.Refusal{Message: "configuration: " + what}
	}
	return &batch.Refusal{Message: fmt.Sprintf("configuration key `%s`: %s", path, what), ConfigPath: path}
}

func below(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// sound says whether all that a type has in it can be a configuration: tags that are understood, no key twice. Those
// above are not looked at again.
func sound(of reflect.Type, above []reflect.Type) error {
	switch {
	case slices.Contains(above, of) || own(of) || of == typeDuration:
		return nil
	case of.Implements(typeNull):
		return sound(of.Field(0).Type, above)
	case of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice || of.Kind() == reflect.Map:
		return sound(of.Elem(), append(above, of))
	case of.Kind() != reflect.Struct && len(above) > 0:
		return nil
	}
	members, err := membersOf(of, "configuration key")
	if err != nil {
		return err
	}
	for _, member := range members {
		if err := sound(member.Type, append(above, of)); err != nil {
			return err
		}
	}
	return nil
}

// defaults gives each field the default of its tag.
func defaults(into reflect.Value, path string) error {
	members, err := membersOf(into.Type(), "configuration key")
	if err != nil {
		return err
	}
	for _, member := range members {
		at, field := below(path, member.name), into.FieldByIndex(member.Index)
		switch {
		case member.standard != nil:
			if err := decode(field, literal(member.Type, *member.standard), at); err != nil {
				return fmt.Errorf("%s.%s has a default that does not fit it: %v", into.Type().Name(), member.Name, err)
			}
		case isPlainStruct(member.Type):
			if err := defaults(field, at); err != nil {
				return err
			}
		}
	}
	return nil
}

// literal is the text of a default as JSON gives such a value.
func literal(of reflect.Type, text string) any {
	switch {
	case of.Kind() == reflect.Pointer:
		return literal(of.Elem(), text)
	case of.Implements(typeNull):
		return literal(of.Field(0).Type, text)
	case of.Kind() == reflect.String || of == typeDuration || reflect.PointerTo(of).Implements(typeText):
		return text
	case of.Kind() == reflect.Slice && of.Elem().Kind() == reflect.Uint8:
		return text
	}
	if value, err := json.Parse(text); err == nil {
		return value
	}
	return text
}

var (
	typeDuration = reflect.TypeFor[time.Duration]()
	typeText     = reflect.TypeFor[encoding.TextUnmarshaler]()
	typeReader   = reflect.TypeFor[jsonUnmarshaler]()
)

// jsonUnmarshaler is the interface of that name of encoding/json, which would make a component larger.
type jsonUnmarshaler interface{ UnmarshalJSON(text []byte) error }

// own says whether a type reads itself.
func own(of reflect.Type) bool {
	pointer := reflect.PointerTo(of)
	return pointer.Implements(typeText) || pointer.Implements(typeReader)
}

// isPlainStruct holds for a struct whose fields are keys.
func isPlainStruct(of reflect.Type) bool {
	return of.Kind() == reflect.Struct && !own(of) && !of.Implements(typeNull)
}

// decode makes a value that JSON gave that of a variable.
func decode(into reflect.Value, given any, path string) error {
	switch kind := into.Kind(); {
	case own(into.Type()):
		return decodeOwn(into, given, path)
	case into.Type() == typeDuration:
		return decodeDuration(into, given, path)
	case kind == reflect.Pointer:
		if given == nil {
			into.SetZero()
			return nil
		}
		value := reflect.New(into.Type().Elem())
		into.Set(value)
		return decodeNew(value.Elem(), given, path)
	case into.Type().Implements(typeNull):
		into.SetZero()
		if given == nil {
			return nil
		}
		into.Field(1).SetBool(true)
		return decodeNew(into.Field(0), given, path)
	case kind == reflect.Struct:
		return decodeStruct(into, given, path)
	case kind == reflect.Slice && into.Type().Elem().Kind() != reflect.Uint8:
		return decodeSlice(into, given, path)
	case kind == reflect.Map && into.Type().Key().Kind() == reflect.String:
		return decodeMap(into, given, path)
	case kind == reflect.Interface && into.NumMethod() == 0:
		if given = plain(given); given != nil {
			into.Set(reflect.ValueOf(given))
		}
		return nil
	}
	return decodeScalar(into, given, path)
}

// plain is a value of JSON as a field of type any has it: a number is a float64.
func plain(given any) any {
	switch given := given.(type) {
	case json.Number:
		number, _ := strconv.ParseFloat(string(given), 64)
		return number
	case []any:
		for i := range given {
			given[i] = plain(given[i])
		}
	case map[string]any:
		for key := range given {
			given[key] = plain(given[key])
		}
	}
	return given
}

func decodeScalar(into reflect.Value, given any, path string) error {
	number, _ := given.(json.Number)
	text, isText := given.(string)
	var err error
	var expected string
	switch {
	case into.Kind() == reflect.Bool:
		value, is := given.(bool)
		expected = "true or false"
		if is {
			into.SetBool(value)
			return nil
		}
	case into.Kind() == reflect.String:
		expected = "a text"
		if isText {
			into.SetString(text)
			return nil
		}
	case into.Kind() == reflect.Slice:
		expected = "a text"
		if isText {
			into.SetBytes([]byte(text))
			return nil
		}
	case into.CanInt():
		var value int64
		expected = fmt.Sprintf("a whole number of %d bits", into.Type().Bits())
		if value, err = strconv.ParseInt(string(number), 10, into.Type().Bits()); err == nil {
			into.SetInt(value)
			return nil
		}
	case into.CanUint():
		var value uint64
		expected = fmt.Sprintf("a whole number of %d bits, not below 0", into.Type().Bits())
		if value, err = strconv.ParseUint(string(number), 10, into.Type().Bits()); err == nil {
			into.SetUint(value)
			return nil
		}
	case into.CanFloat():
		var value float64
		expected = "a number"
		if value, err = strconv.ParseFloat(string(number), into.Type().Bits()); err == nil {
			into.SetFloat(value)
			return nil
		}
	default:
		return wrong(path, "its type %s cannot be configured", into.Type())
	}
	return wrong(path, "expected %s, found %s", expected, shown(given))
}

// shown is a JSON value as a message names it.
func shown(given any) string {
	switch given := given.(type) {
	case nil:
		return "null"
	case map[string]any:
		return "an object"
	case []any:
		return "an array"
	case string:
		return json.Quote(given)
	}
	return fmt.Sprint(given)
}

func decodeDuration(into reflect.Value, given any, path string) error {
	text, _ := given.(string)
	value, err := time.ParseDuration(text)
	if err != nil {
		return wrong(path, "expected a duration such as \"5s\" or \"1h30m\", found %s", shown(given))
	}
	into.SetInt(int64(value))
	return nil
}

// decodeOwn has a type read itself, as JSON where it can, as encoding/json does.
func decodeOwn(into reflect.Value, given any, path string) error {
	if reader, is := into.Addr().Interface().(jsonUnmarshaler); is {
		if err := reader.UnmarshalJSON([]byte(json.Text(given))); err != nil {
			return wrong(path, "%v", err)
		}
		return nil
	}
	text, is := given.(string)
	if !is {
		return wrong(path, "expected a text, found %s", shown(given))
	}
	if err := into.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
		return wrong(path, "%v", err)
	}
	return nil
}

func decodeStruct(into reflect.Value, given any, path string) error {
	keys, is := given.(map[string]any)
	if !is {
		return wrong(path, "expected an object, found %s", shown(given))
	}
	members, err := membersOf(into.Type(), "configuration key")
	if err != nil {
		return err
	}
	known := make([]string, len(members))
	for i, member := range members {
		known[i] = member.name
	}
	slices.Sort(known)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		at := slices.IndexFunc(members, func(member member) bool { return member.name == key })
		if at < 0 {
			return wrong(below(path, key), "unknown key; %s", nearest.Meant(key, known))
		}
		if err := decode(into.FieldByIndex(members[at].Index), keys[key], below(path, key)); err != nil {
			return err
		}
	}
	return nil
}

func decodeSlice(into reflect.Value, given any, path string) error {
	items, is := given.([]any)
	if !is {
		return wrong(path, "expected an array, found %s", shown(given))
	}
	into.Set(reflect.MakeSlice(into.Type(), len(items), len(items)))
	for i, item := range items {
		if err := decodeNew(into.Index(i), item, fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	return nil
}

func decodeMap(into reflect.Value, given any, path string) error {
	keys, is := given.(map[string]any)
	if !is {
		return wrong(path, "expected an object, found %s", shown(given))
	}
	into.Set(reflect.MakeMapWithSize(into.Type(), len(keys)))
	for key, item := range keys {
		value := reflect.New(into.Type().Elem()).Elem()
		if err := decodeNew(value, item, below(path, key)); err != nil {
			return err
		}
		into.SetMapIndex(reflect.ValueOf(key).Convert(into.Type().Key()), value)
	}
	return nil
}

// decodeNew is decode for a value that has not got its defaults yet.
func decodeNew(into reflect.Value, given any, path string) error {
	if isPlainStruct(into.Type()) {
		if err := defaults(into, path); err != nil {
			return err
		}
	}
	return decode(into, given, path)
}
