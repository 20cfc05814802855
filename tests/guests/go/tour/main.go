// A walk through every part of the contract for operators without state: each kind, null and fallback, several ports,
// carried columns, origins in any order, refused rows, faults, metrics, the log.
package main

import (
	"wasmill"
	"wasmill/transform"
)

func init() { transform.Export(transform.Operator{Open: open, Process: process}) }

func main() {}

func open(_ []byte, input []wasmill.Field) (wasmill.Plan, error) {
	for _, field := range input {
		if field.Name == "old" {
			return wasmill.Plan{}, &wasmill.Refusal{Message: "drop the field `old`", Field: "old"}
		}
	}
	return wasmill.Plan{
		Reads: []wasmill.Read{
			{Name: "flag", Kind: wasmill.KindBoolean, Nullable: true},
			{Name: "amount", Kind: wasmill.KindFloat64, Fallback: "0.5"},
			{Name: "blob", Kind: wasmill.KindBytes, Nullable: true},
			{Name: "at", Kind: wasmill.KindTimestamp},
		},
		Ports: []wasmill.Port{
			{Name: "same", Makes: []wasmill.Field{
				{Name: "flag", Kind: wasmill.KindBoolean, Nullable: true},
				{Name: "amount", Kind: wasmill.KindFloat64},
				{Name: "blob", Kind: wasmill.KindBytes, Nullable: true},
				{Name: "at", Kind: wasmill.KindTimestamp},
				{Name: "note", Kind: wasmill.KindJSON},
			}},
			{Name: "twice", Carries: []wasmill.Carried{{Input: "at", Output: "seen.at"}}},
			{Name: "count", Carries: []wasmill.Carried{}, Makes: []wasmill.Field{{Name: "rows", Kind: wasmill.KindInt64}}},
		},
		Metrics: []wasmill.Metric{
			{Name: "seen_rows", Kind: "counter", Help: "Rows seen."},
			{Name: "last_amount", Kind: "gauge", Help: "The last amount."},
		},
	}, nil
}

// Amounts that mean something: below zero, the row is refused.
const (
	deadLetter = -1
	retry      = -2
	stop       = -3
	fault      = -4
)

func process(_ wasmill.Context, rows wasmill.Rows) (wasmill.Effects, error) {
	wasmill.Log(wasmill.Warn, "tour: größer")
	var same, twice []uint32
	var flags, hasFlag, hasBlob []bool
	var amounts []float64
	var times []int64
	var notes []string
	var rejects []wasmill.Reject
	blobs := wasmill.NewTextMaker(rows.Count, len(rows.Columns[2].Data))
	flag, blob := wasmill.Boolean(rows.Columns[0]), wasmill.Utf8(rows.Columns[2])
	at, last := wasmill.Int64(rows.Columns[3]), 0.0
	for row, amount := range wasmill.Float64(rows.Columns[1]) {
		number := uint32(row)
		last = amount
		switch amount {
		case deadLetter:
			rejects = append(rejects, wasmill.Reject{Row: number, Reason: "amount is negative"})
			continue
		case retry:
			again := wasmill.Reject{Row: number, Action: wasmill.Retry, RetryMillis: 250, Reason: "not yet"}
			rejects = append(rejects, again)
			continue
		case stop:
			rejects = append(rejects, wasmill.Reject{Row: number, Action: wasmill.Stop, Reason: "no further"})
			continue
		case fault:
			return wasmill.Effects{}, &wasmill.Fault{Message: "amount is -4", Row: number}
		}
		same = append(same, number)
		twice = append([]uint32{number, number}, twice...)
		flags, hasFlag = append(flags, flag[row]), append(hasFlag, !rows.Columns[0].IsNull(row))
		amounts, times = append(amounts, amount), append(times, at[row])
		blobs.Append(blob.At(row))
		hasBlob, notes = append(hasBlob, !rows.Columns[2].IsNull(row)), append(notes, `{"tour":[1]}`)
	}
	made := []wasmill.Column{
		wasmill.MakeBoolean(flags).WithPresent(hasFlag), wasmill.MakeFloat64(amounts),
		blobs.Column().WithPresent(hasBlob), wasmill.MakeInt64(times), wasmill.MakeUtf8(notes),
	}
	emits := []wasmill.Emit{{Port: 0, Origin: same, Columns: made}, {Port: 1, Origin: twice}}
	if len(same) > 0 {
		total := wasmill.MakeInt64([]int64{int64(len(same))})
		emits = append(emits, wasmill.Emit{Port: 2, Origin: same[:1], Columns: []wasmill.Column{total}})
	}
	return wasmill.Effects{Emits: emits, Rejects: rejects, Metrics: []float64{float64(rows.Count), last}}, nil
}
