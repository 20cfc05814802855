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
	if into.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%T is no struct: a configuration is one", *config)
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

// defaults gives each field the default of its tag.
func defaults(into reflect.Value, path string) error {
	for i := range into.NumField() {
		member := into.Type().Field(i)
		name, standard, used := tagOf(member)
		if !used {
			continue
		}
		at := below(path, name)
		switch {
		case !member.IsExported():
			return fmt.Errorf("%s.%s is not exported: begin its name with a capital, or tag it `wasmill:\"-\"`",
				into.Type().Name(), member.Name)
		case standard != "":
			if err := decode(into.Field(i), literal(member.Type, standard), at); err != nil {
				return err
			}
		case member.Type.Kind() == reflect.Struct && !own(into.Field(i)) && !member.Type.Implements(typeNull):
			if err := defaults(into.Field(i), at); err != nil {
				return err
			}
		}
	}
	return nil
}

// literal is the text of a default as JSON gives such a value.
func literal(of reflect.Type, text string) any {
	if of.Kind() == reflect.String || of == typeDuration || reflect.PointerTo(of).Implements(typeText) {
		return text
	}
	if of.Kind() == reflect.Slice && of.Elem().Kind() == reflect.Uint8 {
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
)

// own says whether a type reads itself.
func own(into reflect.Value) bool { return reflect.PointerTo(into.Type()).Implements(typeText) }

// decode makes a value that JSON gave that of a variable.
func decode(into reflect.Value, given any, path string) error {
	switch kind := into.Kind(); {
	case own(into):
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
		return decode(value.Elem(), given, path)
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

func decodeOwn(into reflect.Value, given any, path string) error {
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
	members := make(map[string]int)
	for i := range into.NumField() {
		if name, _, used := tagOf(into.Type().Field(i)); used {
			members[name] = i
		}
	}
	known := slices.Sorted(maps.Keys(members))
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		member, is := members[key]
		if !is {
			return wrong(below(path, key), "unknown key; %s", nearest.Meant(key, known))
		}
		if err := decode(into.Field(member), keys[key], below(path, key)); err != nil {
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
	if into.Kind() == reflect.Struct && !own(into) {
		if err := defaults(into, path); err != nil {
			return err
		}
	}
	return decode(into, given, path)
}
