package main

import (
	"testing"

	"wasmill/wasmilltest"
)

func TestCases(t *testing.T) { wasmilltest.Cases(t, "cases.yaml") }
