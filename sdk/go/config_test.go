package wasmill

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"wasmill/batch"
)

type rate struct {
	Numerator   int64         `wasmill:"numerator,default=908"`
	Denominator uint16        `wasmill:"denominator,default=1000"`
	Every       time.Duration `wasmill:"every,default=5s"`
	Label       string        `wasmill:",default=a, b"`
	Steps       []step
	Names       map[string]float64
	Inner       struct {
		Deep bool `wasmill:"deep,default=true"`
	}
	Maybe *int64
	Until time.Time
	Any   any
	Null  Null[float64]
	Some  Null[step]  `wasmill:",default={\"at\": 3}"`
	Level level       `wasmill:",default=warn"`
	Sizes *[]level    `wasmill:"sizes"`
	Cache map[int]int `wasmill:"-"`
}

// level reads itself, as a name or as a number.
type level int

func (l *level) UnmarshalJSON(text []byte) error {
	for number, name := range []string{`"info"`, `"warn"`} {
		if string(text) == name || string(text) == fmt.Sprint(number) {
			*l = level(number)
			return nil
		}
	}
	return fmt.Errorf("%s is no level", text)
}

type step struct {
	At   float64
	Unit string `wasmill:"unit,default=cent"`
}

func (r *rate) Check() error {
	if r.Denominator == 0 {
		return errors.New("denominator is 0")
	}
	return nil
}

func TestKeysThatAreAbsentHaveTheirDefaults(t *testing.T) {
	read, err := configOf[rate]([]byte("{}"))
	expected := &rate{Numerator: 908, Denominator: 1000, Every: 5 * time.Second, Label: "a, b"}
	expected.Inner.Deep, expected.Level, expected.Some = true, 1, Some(step{3, "cent"})
	if err != nil || !reflect.DeepEqual(read, expected) {
		t.Errorf("%+v, %v", read, err)
	}
	read, err = configOf[rate]([]byte(`{"steps": [{"at": 1}, {"at": 2.5, "unit": "euro"}], "inner": {}, "every": "1h",
		"names": {"a": 1}, "maybe": 3, "until": "2026-01-02T03:04:05Z", "any": ["x"], "denominator": 7,
		"null": 0.5, "some": null, "level": 0, "sizes": ["warn", 0]}`))
	three := int64(3)
	expected.Steps = []step{{1, "cent"}, {2.5, "euro"}}
	expected.Names, expected.Every, expected.Maybe = map[string]float64{"a": 1}, time.Hour, &three
	expected.Until, expected.Any = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), []any{"x"}
	expected.Denominator = 7
	expected.Null, expected.Some = Some(0.5), Null[step]{}
	expected.Level, expected.Sizes = 0, &[]level{1, 0}
	if err != nil || !reflect.DeepEqual(read, expected) {
		t.Errorf("%+v, %v", read, err)
	}
}

func TestAWrongKeyIsRefusedWithItsPathAndWhatWasMeant(t *testing.T) {
	for text, told := range map[string][2]string{
		`{"denominater": 3}`:             {"denominater", "unknown key; did you mean `denominator`?"},
		`{"Numerator": 3}`:               {"Numerator", "unknown key; did you mean `numerator`?"},
		`{"steps": [{"at": 1, "x": 1}]}`: {"steps[0].x", "unknown key; the known ones are `at`, `unit`"},
		`{"steps": [{"at": "soon"}]}`:    {"steps[0].at", `expected a number, found "soon"`},
		`{"steps": 3}`:                   {"steps", "expected an array, found 3"},
		`{"names": {"a": true}}`:         {"names.a", "expected a number, found true"},
		`{"numerator": 1.5}`:             {"numerator", "expected a whole number of 64 bits, found 1.5"},
		`{"denominator": -1}`:            {"denominator", "expected a whole number of 16 bits, not below 0, found -1"},
		`{"every": 5}`:                   {"every", "expected a duration such as \"5s\" or \"1h30m\", found 5"},
		`{"inner": {"deep": "yes"}}`:     {"inner.deep", `expected true or false, found "yes"`},
		`{"inner": []}`:                  {"inner", "expected an object, found an array"},
		`{"label": null}`:                {"label", "expected a text, found null"},
		`{"null": "much"}`:               {"null", `expected a number, found "much"`},
		`{"some": {"att": 1}}`:           {"some.att", "unknown key; did you mean `at`?"},
		`{"level": {"b": 1, "a": "ö"}}`:  {"level", `{"a":"ö","b":1} is no level`},
		`{"until": 3}`:                   {"until", "Time.UnmarshalJSON: input is not a JSON string"},
	} {
		_, err := configOf[rate]([]byte(text))
		var refusal *batch.Refusal
		if !errors.As(err, &refusal) {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if message := "configuration key `" + told[0] + "`: " + told[1]; refusal.Message != message {
			t.Errorf("%s: found %q, expected %q", text, refusal.Message, message)
		}
		if refusal.ConfigPath != told[0] {
			t.Errorf("%s: the path is %q", text, refusal.ConfigPath)
		}
	}
	_, err := configOf[rate]([]byte(`{"denominator": 0}`))
	if err == nil || err.Error() != "the configuration is not usable: denominator is 0" {
		t.Errorf("check: %v", err)
	}
	if _, err = configOf[NoConfig]([]byte(`{"a": 1}`)); err == nil {
		t.Error("an operator without configuration takes a key")
	}
	if _, err = configOf[rate]([]byte("{")); err == nil {
		t.Error("what is not JSON is read")
	}
}

func TestANameInGoIsAColumnInSnakeCase(t *testing.T) {
	for name, column := range map[string]string{
		"Value": "value", "SensorName": "sensor_name", "M2": "m2", "SiteID": "site_id", "HTTPCode": "http_code", "N": "n",
	} {
		if snake(name) != column {
			t.Errorf("%s is %s, expected %s", name, snake(name), column)
		}
	}
}

// refusal is what is told of a configuration that the type cannot have, whatever is given.
func refusal[C any]() string {
	_, err := configOf[C]([]byte("{}"))
	return fmt.Sprint(err)
}

func TestAStructThatIsNoConfigurationIsRefusedWhateverIsGiven(t *testing.T) {
	type Twice struct {
		Sigma float64
		Other float64 `wasmill:"sigma"`
	}
	type Typo struct {
		Sigma float64 `wasmill:"sigma,defualt=3"`
	}
	type Unfit struct {
		Count int64 `wasmill:"count,default=+5"`
	}
	type Tree struct {
		Name string
		Of   []Tree
	}
	for told, words := range map[string]string{
		refusal[Twice]():                        "Twice.Sigma and Twice.Other are both the configuration key `sigma`",
		refusal[Typo]():                         "in which \"defualt=3\" is unknown; did you mean `default`?",
		refusal[Unfit]():                        "Unfit.Count has a default that does not fit it: configuration key",
		refusal[struct{ In []Twice }]():         "are both the configuration key `sigma`",
		refusal[struct{ In map[string]Typo }](): "did you mean `default`?",
		refusal[struct{ In Null[*Twice] }]():    "are both the configuration key `sigma`",
		refusal[struct{ In Tree }]():            "<nil>",
		refusal[int]():                          "int is no struct",
	} {
		if !strings.Contains(told, words) {
			t.Errorf("found %q, expected %q", told, words)
		}
	}
}
