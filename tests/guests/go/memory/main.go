// State of every kind: what a key had before, and what it has now.
package main

import (
	"time"

	"wasmill"
	"wasmill/keyed"
)

type Row struct {
	Word string
	Bad  bool
}

type Memory struct {
	N     int64 `wasmill:"n,default=100"`
	Words string
	Last  wasmill.Null[string]
	Raw   []byte
	At    wasmill.Timestamp
	Odd   bool
	Ratio float64
}

type Before struct {
	N     int64
	Words string
	Last  wasmill.Null[string]
}

func remember(row Row, memory *Memory, _ *wasmill.NoConfig, out *wasmill.Out[Before]) error {
	out.Emit(Before{memory.N, memory.Words, memory.Last})
	memory.N++
	memory.Words += row.Word
	memory.Last = wasmill.Some(row.Word)
	memory.Raw = append(append([]byte{}, memory.Raw...), row.Word...)
	memory.At = out.Context().Now
	memory.Odd = !memory.Odd
	memory.Ratio = float64(memory.N) / 2
	if row.Bad {
		return wasmill.Reject("bad")
	}
	return nil
}

func init() {
	name, version, ttl := wasmill.StateName("kept"), wasmill.Version(3), wasmill.TTL(time.Minute)
	keyed.Export(wasmill.Keyed(remember, name, version, ttl))
}

func main() {}
