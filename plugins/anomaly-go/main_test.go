package main

import (
	"testing"

	"wasmill/wasmilltest"
)

// The cases of the plugin in Rust.
func TestCases(t *testing.T) { wasmilltest.Cases(t, "../anomaly/cases.yaml") }
