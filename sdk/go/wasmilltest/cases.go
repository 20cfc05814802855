package wasmilltest

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"wasmill/internal/nearest"
)

// file is a file of cases.
type file struct {
	path    string
	columns map[string]string
	key     []string
	cases   []example
}

// example is a case of it.
type example struct {
	name   string
	line   int
	config any
	// steps are what happens, one after the other: at least one. State is kept from each to the next.
	steps []step
}

// step is what happens at one moment of a case.
type step struct {
	line int
	// now and watermark are zero where they are not said.
	now, watermark time.Time
	input          []Row
	ports          map[string][]expected
	// rejects have an empty reason where the file does not say one.
	rejects []Reject
	// state is nil where the file does not say it.
	state map[string]Row
	// places are the nodes of what is expected of ports, for messages.
	places map[string]*yaml.Node
}

// expected is a row that shall come out, and its line.
type expected struct {
	row  Row
	line int
}

// Cases runs each case of a file as a test of its own. The operator is the one that the package exports.
func Cases(t *testing.T, path string) {
	t.Helper()
	CasesOf(t, nil, path)
}

// CasesOf is [Cases] for that operator, a batch.Transform or a batch.Keyed.
func CasesOf(t *testing.T, operator any, path string) {
	t.Helper()
	file, err := read(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, example := range file.cases {
		t.Run(example.name, func(t *testing.T) {
			t.Helper()
			for _, difference := range file.run(operator, example) {
				t.Error(difference)
			}
		})
	}
}

func read(path string) (*file, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the case file cannot be read: %w", err)
	}
	return parse(path, text)
}

func parse(path string, text []byte) (*file, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(within.ReplaceAll(text, []byte("${1}"+placeholder)), &document); err != nil {
		return nil, fmt.Errorf("%s: %s", path, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	file := &file{path: path, columns: make(map[string]string)}
	if len(document.Content) == 0 {
		return nil, fmt.Errorf("%s: the file is empty: write `cases:` and below it `- name: what happens`", path)
	}
	restore(&document)
	return file, file.whole(document.Content[0])
}

// The YAML library takes a question mark inside a flow mapping for the beginning of a key wherever it stands, as in
// { value: float64? }. A letter that nobody writes stands for one that ends or is within a word while it reads.
var within = regexp.MustCompile(`([^\s,\[\]{}])\?`)

const placeholder = "\uE000"

func restore(node *yaml.Node) {
	node.Value = strings.ReplaceAll(node.Value, placeholder, "?")
	for _, inner := range node.Content {
		restore(inner)
	}
}

// wrong is an error at a place of the file.
func (f *file) wrong(at *yaml.Node, format string, values ...any) error {
	return fmt.Errorf("%s:%d:%d: %s", f.path, at.Line, at.Column, fmt.Sprintf(format, values...))
}

// entries calls for each key of a mapping, those known only; no known ones = any.
func (f *file) entries(node *yaml.Node, what string, known []string, each func(key, value *yaml.Node) error) error {
	node = resolved(node)
	if nothing(node) {
		return nil
	}
	if node.Kind != yaml.MappingNode {
		return f.wrong(node, "%s is a mapping, `name: value`, not %s", what, shown(node))
	}
	seen := make(map[string]bool)
	for i := 0; i < len(node.Content); i += 2 {
		key := node.Content[i]
		switch {
		case seen[key.Value]:
			return f.wrong(key, "`%s` stands twice in %s", key.Value, what)
		case len(known) > 0 && !slices.Contains(known, key.Value):
			return f.wrong(key, "`%s` is no key of %s; %s", key.Value, what, nearest.Meant(key.Value, known))
		}
		seen[key.Value] = true
		if err := each(key, resolved(node.Content[i+1])); err != nil {
			return err
		}
	}
	return nil
}

// items calls for each item of a list.
func (f *file) items(node *yaml.Node, what string, each func(*yaml.Node) error) error {
	if nothing(node) {
		return nil
	}
	if node.Kind != yaml.SequenceNode {
		return f.wrong(node, "%s is a list, `- ...`, not %s", what, shown(node))
	}
	for _, item := range node.Content {
		if err := each(resolved(item)); err != nil {
			return err
		}
	}
	return nil
}

func resolved(node *yaml.Node) *yaml.Node {
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return node
}

// shown is a node as a message names it.
func shown(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return "`" + node.Value + "`"
}

func (f *file) text(node *yaml.Node, what string) (string, error) {
	if node.Kind != yaml.ScalarNode || node.Tag != "!!str" {
		return "", f.wrong(node, "%s is text, not %s", what, shown(node))
	}
	return node.Value, nil
}

var kinds = []string{"boolean", "int64", "float64", "utf8", "bytes", "timestamp", "json"}

func (f *file) whole(root *yaml.Node) error {
	are := false
	err := f.entries(root, "a case file", []string{"columns", "key", "cases"}, func(key, value *yaml.Node) error {
		switch key.Value {
		case "columns":
			return f.entries(value, "`columns`", nil, func(key, value *yaml.Node) error {
				kind := strings.TrimSuffix(value.Value, "?")
				if !slices.Contains(kinds, kind) {
					return f.wrong(value, "there is no kind %s; %s", shown(value), nearest.Meant(kind, kinds))
				}
				f.columns[key.Value] = value.Value
				return nil
			})
		case "key":
			if value.Kind == yaml.ScalarNode && !nothing(value) {
				name, err := f.text(value, "`key`")
				f.key = []string{name}
				return err
			}
			return f.items(value, "`key`", func(item *yaml.Node) error {
				name, err := f.text(item, "a column of the key")
				f.key = append(f.key, name)
				return err
			})
		}
		are = !nothing(value)
		return f.items(value, "`cases`", f.example)
	})
	if err == nil && !are {
		err = f.wrong(root, "a case file has no `cases`; write `cases:` and below it `- name: what happens`")
	}
	return err
}

// nothing holds for null, and where no value stands.
func nothing(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.Tag == "!!null" }

// ofStep are the keys of what happens at one moment.
var ofStep = []string{"now", "watermark", "input", "expect"}

func (f *file) example(node *yaml.Node) error {
	example := example{line: node.Line}
	own, beside := stepAt(node.Line), (*yaml.Node)(nil)
	known := append([]string{"name", "config", "steps"}, ofStep...)
	err := f.entries(node, "a case", known, func(key, value *yaml.Node) (err error) {
		if nothing(value) && key.Value != "name" {
			return nil
		}
		switch key.Value {
		case "name":
			example.name, err = f.text(value, "`name`")
		case "config":
			if value.Kind != yaml.MappingNode {
				return f.wrong(value, "`config` is a mapping, not %s", shown(value))
			}
			example.config, err = f.value(value)
		case "steps":
			err = f.items(value, "`steps`", func(item *yaml.Node) error {
				step := stepAt(item.Line)
				if last := len(example.steps) - 1; last >= 0 {
					step.now, step.watermark = example.steps[last].now, example.steps[last].watermark
				}
				err := f.entries(item, "a step", ofStep, func(key, value *yaml.Node) error {
					return f.ofStep(&step, key, value)
				})
				example.steps = append(example.steps, step)
				return err
			})
		default:
			beside = key
			err = f.ofStep(&own, key, value)
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case len(example.steps) == 0:
		example.steps = []step{own}
	case beside != nil:
		return f.wrong(beside, "`%s` stands beside the steps of a case; move it into one of them", beside.Value)
	}
	if example.name == "" {
		return f.wrong(node, "a case has no `name`; say what happens in it, `name: a hot reading raises an alert`")
	}
	if slices.ContainsFunc(f.cases, isNamed(example.name)) {
		return f.wrong(node, "two cases are called `%s`; give each a name of its own", example.name)
	}
	f.cases = append(f.cases, example)
	return nil
}

func stepAt(line int) step {
	return step{line: line, ports: make(map[string][]expected), places: make(map[string]*yaml.Node)}
}

// ofStep reads what stands under a key of a step, which has the moments of the one before.
func (f *file) ofStep(step *step, key, value *yaml.Node) error {
	if nothing(value) {
		return nil
	}
	switch key.Value {
	case "now":
		return f.moment(&step.now, "now", value)
	case "watermark":
		return f.moment(&step.watermark, "watermark", value)
	case "input":
		return f.items(value, "`input`", func(item *yaml.Node) error {
			row, err := f.row(item, "a row of `input`")
			step.input = append(step.input, row)
			return err
		})
	}
	return f.expect(step, value)
}

func (f *file) moment(at *time.Time, what string, node *yaml.Node) error {
	read, err := time.Parse(time.RFC3339Nano, node.Value)
	switch {
	case err != nil:
		return f.wrong(node, "`%s` is a moment, `2026-01-01T00:00:00Z`, not %s", what, shown(node))
	case read.Before(*at):
		return f.wrong(node, "`%s` of a step is before that of the step before; time does not go back", what)
	}
	*at = read
	return nil
}

func isNamed(name string) func(example) bool {
	return func(other example) bool { return other.name == name }
}

func (f *file) expect(into *step, node *yaml.Node) error {
	return f.entries(node, "`expect`", nil, func(key, value *yaml.Node) error {
		into.places[key.Value] = key
		switch key.Value {
		case "rejects":
			return f.items(value, "`rejects`", func(item *yaml.Node) error {
				reject, err := f.reject(item)
				into.rejects = append(into.rejects, reject)
				return err
			})
		case "state":
			into.state = make(map[string]Row)
			return f.entries(value, "`state`", nil, func(key, value *yaml.Node) (err error) {
				into.state[key.Value], err = f.row(value, "the state of a key")
				return err
			})
		}
		return f.items(value, fmt.Sprintf("the rows of port `%s`", key.Value), func(item *yaml.Node) error {
			row, err := f.row(item, fmt.Sprintf("a row of port `%s`", key.Value))
			into.ports[key.Value] = append(into.ports[key.Value], expected{row, item.Line})
			return err
		})
	})
}

func (f *file) reject(node *yaml.Node) (Reject, error) {
	reject := Reject{Row: -1, Action: actions[0]}
	known := []string{"row", "reason", "action"}
	err := f.entries(node, "an entry of `rejects`", known, func(key, value *yaml.Node) (err error) {
		switch key.Value {
		case "row":
			if value.Decode(&reject.Row) != nil || reject.Row < 0 {
				err = f.wrong(value, "`row` is the number of an input row, counted from 0, not %s", shown(value))
			}
		case "reason":
			reject.Reason, err = f.text(value, "`reason`")
		case "action":
			if reject.Action = value.Value; !slices.Contains(actions[:], value.Value) {
				err = f.wrong(value, "%s is no action for a refused row; %s", shown(value),
					nearest.Meant(value.Value, actions[:]))
			}
		}
		return err
	})
	if err == nil && reject.Row < 0 {
		err = f.wrong(node, "an entry of `rejects` has no `row`; give the number of the input row, counted from 0")
	}
	return reject, err
}

func (f *file) row(node *yaml.Node, what string) (Row, error) {
	if node.Kind != yaml.MappingNode {
		return nil, f.wrong(node, "%s is a mapping, `column: value`, not %s", what, shown(node))
	}
	value, err := f.value(node)
	row, _ := value.(Row)
	return row, err
}

// value is a value as JSON would have it; numbers are int64 or float64, and a moment is its text.
func (f *file) value(node *yaml.Node) (any, error) {
	switch node.Kind {
	case yaml.MappingNode:
		row := make(Row)
		err := f.entries(node, "a mapping", nil, func(key, value *yaml.Node) (err error) {
			row[key.Value], err = f.value(value)
			return err
		})
		return row, err
	case yaml.SequenceNode:
		list := make([]any, 0, len(node.Content))
		err := f.items(node, "a list", func(item *yaml.Node) error {
			value, err := f.value(item)
			list = append(list, value)
			return err
		})
		return list, err
	}
	var err error
	switch node.Tag {
	case "!!null":
		return nil, nil
	case "!!bool":
		var value bool
		err = node.Decode(&value)
		return value, err
	case "!!int":
		var value int64
		if node.Decode(&value) != nil {
			err = f.wrong(node, "%s is no whole number of 64 bits", shown(node))
		}
		return value, err
	case "!!float":
		var value float64
		if err = node.Decode(&value); err == nil && (math.IsNaN(value) || math.IsInf(value, 0)) {
			err = f.wrong(node, "a number must be finite")
		}
		return value, err
	}
	return node.Value, nil
}
