package main

import (
	"testing"

	"wasmill/wasmilltest"
)

// The cases, natively: `go test`. `wasmill test` puts them through the compiled component.
func TestCases(t *testing.T) { wasmilltest.Cases(t, "cases.yaml") }
