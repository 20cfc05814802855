package wasmilltest

import (
	"strings"
	"testing"
	"time"

	"wasmill"
)

type reading struct{ Value *float64 }

type totals struct {
	N   int64
	Sum float64
}

type mean struct{ Mean float64 }

type config struct{ From time.Time }

var operator = wasmill.Keyed(func(r reading, s *totals, cfg *config, out *wasmill.Out[mean]) error {
	switch {
	case r.Value == nil:
		return wasmill.Reject("there is no value")
	case out.Context().Now.Time().Before(cfg.From):
		return wasmill.Retry(time.Second, "not yet")
	}
	s.N++
	s.Sum += *r.Value
	if *r.Value > 99 {
		out.To("large", mean{s.Sum / float64(s.N)})
	}
	out.Emit(mean{s.Sum / float64(s.N)})
	return nil
}, wasmill.Ports("large"))

func TestCasesHold(t *testing.T) { CasesOf(t, operator, "testdata/cases.yaml") }

func TestACaseThatDoesNotHoldSaysWhereAndWhatDiffers(t *testing.T) {
	for _, wrong := range []struct{ expect, told string }{
		{"main: [ { sensor: a, value: 1, mean: 2 } ]", "cases.yaml:6: port main, row 0:\n    mean: expected 2, found 1"},
		{"main: [ { sensor: b, value: 1, mean: 1 } ]", `sensor: expected "b", found "a"`},
		{"main: [ { value: 1, mean: 1 } ]", `sensor: expected nothing, found "a"`},
		{"main: []", "cases.yaml:3: port main has a row 0 that is not expected: { mean: 1, sensor: \"a\", value: 1 }"},
		{"rejects: [ { row: 0, reason: why } ]",
			`rejects: expected { row: 0, reason: "why", action: dead_letter }, found no more`},
		{"large: [ { sensor: a } ]", `cases.yaml:6: port large has no row 0, expected { sensor: "a" }`},
		{"lareg: []", "cases.yaml:6:15: the operator has no port `lareg`; did you mean `large`?"},
		{"state: { a: { n: 1, sum: 2 } }", "cases.yaml:3: state of a:\n    sum: expected 2, found 1"},
		{"state: { b: { n: 1, sum: 2 } }", "state: the key b has none"},
		{"state: {}", "state: the key a is not expected: { n: 1, sum: 1 }"},
	} {
		text := "key: sensor\ncases:\n  - name: wrong\n    input:\n      - { sensor: a, value: 1 }\n" +
			"    expect: { " + wrong.expect + " }\n"
		file, err := parse("cases.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if told := strings.Join(file.run(operator, file.cases[0]), "\n"); !strings.Contains(told, wrong.told) {
			t.Errorf("%s: found %s", wrong.expect, told)
		}
	}
}

func TestWhatDoesNotSuitTheOperatorIsTold(t *testing.T) {
	for _, wrong := range []struct{ text, told string }{
		{"key: sensor\ncases:\n  - name: a\n    config: { frum: 1 }\n",
			"cannot be opened: configuration key `frum`: unknown key; did you mean `from`?"},
		{"cases:\n  - name: a\n", "a keyed operator needs the columns of its key"},
		{"key: sensor\ncases:\n  - name: a\n    input: [ { sensor: a, value: high } ]\n",
			"row 0: `value` is \"high\", where the operator reads float64"},
	} {
		file, err := parse("cases.yaml", []byte(wrong.text))
		if err != nil {
			t.Fatal(err)
		}
		if told := strings.Join(file.run(operator, file.cases[0]), "\n"); !strings.Contains(told, wrong.told) {
			t.Errorf("%s: found %s", wrong.text, told)
		}
	}
	need := wasmill.Filter(func(struct{ Value float64 }) bool { return true })
	run, err := Open(Setting{Operator: need})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = run.Process(Row{}); err == nil || !strings.Contains(err.Error(), "row 0 has no `value`") {
		t.Error(err)
	}
}

func TestWhatIsWrongWithACaseFileIsToldWithLineColumnAndWhatWasMeant(t *testing.T) {
	for _, wrong := range []struct{ text, told string }{
		{"casse: []",
			"cases.yaml:1:1: `casse` is no key of a case file; did you mean `cases`?"},
		{"",
			"cases.yaml: the file is empty"},
		{"cases: 3",
			"cases.yaml:1:8: `cases` is a list, `- ...`, not `3`"},
		{"cases:\n  - nmae: a\n",
			"cases.yaml:2:5: `nmae` is no key of a case; did you mean `name`?"},
		{"cases:\n  - name: a\n    inputs: []\n",
			"cases.yaml:3:5: `inputs` is no key of a case; did you mean `input`?"},
		{"cases:\n  - name: 3\n",
			"cases.yaml:2:11: `name` is text, not `3`"},
		{"cases:\n  - input: []\n",
			"cases.yaml:2:5: a case has no `name`"},
		{"cases:\n  - name: a\n    now: soon\n",
			"cases.yaml:3:10: `now` is a moment, `2026-01-01T00:00:00Z`, not `soon`"},
		{"cases:\n  - name: a\n    input: { b: 1 }\n",
			"cases.yaml:3:12: `input` is a list, `- ...`, not a mapping"},
		{"cases:\n  - name: a\n    input: [ 3 ]\n",
			"cases.yaml:3:14: a row of `input` is a mapping, `column: value`, not `3`"},
		{"cases:\n  - name: a\n    input: [ { b: 1, b: 2 } ]\n",
			"cases.yaml:3:22: `b` stands twice"},
		{"cases:\n  - name: a\n    config: 3\n",
			"cases.yaml:3:13: `config` is a mapping, not `3`"},
		{"cases:\n  - name: a\n    expect: { rejects: [ { rwo: 0 } ] }\n",
			"cases.yaml:3:28: `rwo` is no key of an entry of `rejects`; did you mean `row`?"},
		{"cases:\n  - name: a\n    expect: { rejects: [ { row: -1 } ] }\n",
			"`row` is the number of an input row, counted from 0, not `-1`"},
		{"cases:\n  - name: a\n    expect: { rejects: [ { row: 0, action: retyr } ] }",
			"cases.yaml:3:44: `retyr` is no action for a refused row; did you mean `retry`?"},
		{"cases:\n  - name: a\n  - name: a\n",
			"cases.yaml:3:5: two cases are called `a`"},
		{"columns: { a: flaot64 }\ncases: []",
			"cases.yaml:1:15: there is no kind `flaot64`; did you mean `float64`?"},
		{"cases: [",
			"cases.yaml: line 1"},
	} {
		_, err := parse("cases.yaml", []byte(wrong.text))
		if err == nil || !strings.Contains(err.Error(), wrong.told) {
			t.Errorf("%q: found %v, expected %s", wrong.text, err, wrong.told)
		}
	}
}
