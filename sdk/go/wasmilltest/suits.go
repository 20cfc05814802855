package wasmilltest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"wasmill/batch"
)

// suits says what the host would find when a pipeline opens: that the columns which a case file names are not what the
// operator reads, or that rows are not what their columns say.
func (r *Run) suits(rows []Row) error {
	flat := make([]Row, len(rows))
	for i, row := range rows {
		flat[i] = r.flat(row)
	}
	for _, read := range r.plan.Reads {
		declared, is := r.setting.Columns[read.Name]
		kind, nullable := strings.CutSuffix(declared, "?")
		widens := kind == string(batch.KindInt64) && read.Kind == batch.KindFloat64
		switch {
		case !is:
		case kind != string(read.Kind) && !widens:
			return fmt.Errorf("the operator reads `%s` as %s, but it is %s here", read.Name, read.Kind, kind)
		case nullable && !read.Nullable && read.Fallback == "":
			return fmt.Errorf("the operator reads `%s` and takes no null, but it may be null here", read.Name)
		}
	}
	for _, name := range r.setting.Key {
		if len(rows) > 0 && !r.has(name, flat) {
			return fmt.Errorf("the key has `%s`, which the input does not have", name)
		}
	}
	for _, port := range r.plan.Ports {
		for _, carried := range port.Carries {
			if len(rows) > 0 && !r.has(carried.Input, flat) {
				return fmt.Errorf("port `%s` carries `%s`, which the input does not have", port.Name, carried.Input)
			}
		}
	}
	for number, row := range flat {
		for _, name := range slices.Sorted(maps.Keys(r.setting.Columns)) {
			kind, nullable := strings.CutSuffix(r.setting.Columns[name], "?")
			found := row[name]
			switch {
			case found == nil && !nullable:
				return fmt.Errorf("row %d of the input: there is no `%s`", number, name)
			case found != nil && kind != string(batch.KindJSON) && !fits(batch.Kind(kind), found):
				return fmt.Errorf("row %d of the input: `%s` is %s, which is not %s", number, name, value(found), kind)
			}
		}
	}
	return nil
}

// has holds for a column that the case file names or that some row has, itself or what is in it.
func (r *Run) has(name string, flat []Row) bool {
	if _, is := r.setting.Columns[name]; is {
		return true
	}
	for _, row := range flat {
		for path := range row {
			if path == name || strings.HasPrefix(path, name+".") {
				return true
			}
		}
	}
	return slices.ContainsFunc(r.plan.Reads, func(read batch.Read) bool { return read.Name == name })
}
