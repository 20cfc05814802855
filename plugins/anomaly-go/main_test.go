package main

import (
	"math"
	"reflect"
	"testing"

	"wasmill/wasmilltest"
)

// The cases of the plugin in Rust.
func TestCases(t *testing.T) { wasmilltest.Cases(t, "../anomaly/cases.yaml") }

// No case can write these values down.
func TestAValueThatIsNotFiniteIsRefusedAsInRust(t *testing.T) {
	run, err := wasmilltest.Open(wasmilltest.Setting{Key: []string{"sensor"}})
	if err != nil {
		t.Fatal(err)
	}
	row := func(value float64) wasmilltest.Row { return wasmilltest.Row{"sensor": "a", "value": value} }
	result, err := run.Process(row(math.NaN()), row(math.Inf(1)), row(math.Inf(-1)), row(2))
	if err != nil {
		t.Fatal(err)
	}
	expected := []string{"`value` is NaN", "`value` is inf", "`value` is -inf"}
	var found []string
	for _, reject := range result.Rejects {
		found = append(found, reject.Reason)
	}
	state := map[string]wasmilltest.Row{"a": {"n": int64(1), "mean": 2.0, "m2": 0.0}}
	if !reflect.DeepEqual(found, expected) || !reflect.DeepEqual(run.State(), state) {
		t.Errorf("%q, %v", found, run.State())
	}
}
